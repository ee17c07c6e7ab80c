// @ts-check
// What the model can do so far, shown before anybody agrees to anything. It asks only the site that
// the page itself came from, for numbers that it publishes to everyone; if nobody answers, or the
// answer is not a run, the card stays away.

import { define, find, make, setText } from "../app/dom.js";
import { bytes, count, large } from "../app/format.js";

/**
 * The part of the coordinator's answer that is shown.
 * @typedef {{round: number, spec: {name: string}, held_out: {round: number, loss: number}[],
 *   unigram_entropy: number, checkpoint: {len: number}}} RunInfo
 */

export class RunPreview extends HTMLElement {
  /** @param {string} origin */
  async load(origin) {
    let run;
    try {
      const response = await fetch(`${origin}/v1/run`, { credentials: "omit", signal: AbortSignal.timeout(5000) });
      if (!response.ok) return null;
      run = /** @type {RunInfo} */ (await response.json());
    } catch {
      // No coordinator here, or none that answers in time. Contributing will say so in words.
      return null;
    }
    if (typeof run?.spec?.name !== "string" || !Array.isArray(run.held_out)) return null;
    this.#draw(run);
    return { weights: typeof run.checkpoint?.len === "number" ? bytes(run.checkpoint.len) : null };
  }

  /** @param {RunInfo} run */
  #draw(run) {
    const name = find("[data-slot=name]", HTMLElement, this);
    const words = find("[data-slot=words]", HTMLElement, this);
    setText(name, run.spec.name);
    const newest = run.held_out.at(-1);
    const size = run.checkpoint?.len > 0 ? `${large(run.checkpoint.len / 4)} parameters, round ${count(run.round)}. ` : `Round ${count(run.round)}. `;
    if (!newest || !Number.isFinite(run.unigram_entropy)) {
      setText(words, `${size}Not measured yet: yours could be its first round.`);
    } else {
      const better = run.unigram_entropy - newest.loss;
      words.replaceChildren(
        `${size}Loss on text nobody trains on: `, make("b", { text: newest.loss.toFixed(2) }),
        better > 0
          ? `, against ${run.unigram_entropy.toFixed(2)} for guessing by frequency alone.`
          : `; guessing by frequency alone would reach ${run.unigram_entropy.toFixed(2)}. It has just begun.`);
      this.#spark(run);
    }
    this.hidden = false;
  }

  /** @param {RunInfo} run */
  #spark(run) {
    const points = run.held_out.filter((point) => Number.isFinite(point.loss));
    const [first, last] = [points[0], points.at(-1)];
    if (!first || !last || points.length < 3) return;
    const svg = find("[data-slot=spark]", SVGElement, this);
    const all = [...points.map((point) => point.loss), run.unigram_entropy];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const x = (/** @type {number} */ round) => (320 * (round - first.round)) / Math.max(1, last.round - first.round);
    const y = (/** @type {number} */ loss) => 6 + (84 * (high - loss)) / Math.max(1e-6, high - low);
    find(".spark-line", SVGElement, svg).setAttribute("points", points.map((p) => `${x(p.round).toFixed(1)},${y(p.loss).toFixed(1)}`).join(" "));
    const reference = find(".spark-ref", SVGElement, svg);
    for (const end of ["y1", "y2"]) reference.setAttribute(end, y(run.unigram_entropy).toFixed(1));
    svg.removeAttribute("hidden");
  }
}

define("covey-run-preview", RunPreview);
