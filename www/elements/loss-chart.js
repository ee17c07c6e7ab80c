// @ts-check
// The loss curve, drawn by uPlot: the tab's own training loss, the run's held-out loss, and the
// unigram entropy as a reference line (what knowing only the frequency of each token would reach).
// All three share an x axis counted in rounds; a training step is a fraction of a round.
//
// Own losses are noisy, one small batch each, so they are drawn thin, with a running mean on top.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { define, make, setText } from "../app/dom.js";
import { count, loss } from "../app/format.js";

/**
 * @typedef {{xs: number[], ys: number[]}} Line
 * @typedef {{own: Line, heldOut: Line, unigram: number | null}} Losses
 */

const HEIGHT = 300;
/** Weight of the newest point in the running mean. */
const SMOOTHING = 0.12;

export class LossChart extends HTMLElement {
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {Losses} */
  #losses = { own: { xs: [], ys: [] }, heldOut: { xs: [], ys: [] }, unigram: null };
  #canvas = make("div", { class: "chart-canvas" });
  #values = [0, 1, 2].map(() => make("span", { class: "legend-value numbers", text: "\u2013" }));
  #at = make("span", { class: "legend-at soft numbers" });
  #width = 0;

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const names = ["Your training loss", "Held-out loss of the run", "Unigram entropy"];
    const kinds = ["own", "held", "unigram"];
    const legend = make("ul", { class: "legend" }, ...names.map((name, i) => {
      const item = make("li", {}, make("span", { class: `swatch ${kinds[i]}` }), make("span", { text: name }), /** @type {Node} */ (this.#values[i]));
      if (i === 2) item.title = "What a model would reach that only knows how common each token is.";
      return item;
    }));
    this.#canvas.setAttribute("role", "img");
    this.append(this.#canvas, make("div", { class: "legend-row" }, legend, this.#at));
    new ResizeObserver(([entry]) => {
      this.#width = Math.floor(entry?.contentRect.width ?? 0);
      if (this.#width > 0) this.#plot?.setSize({ width: this.#width, height: HEIGHT });
      if (!this.#plot) this.draw(this.#losses);
    }).observe(this);
    const redraw = () => this.#rebuild();
    document.addEventListener("theme", redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  /** Draws the curves; called in an animation frame. @param {Losses} losses */
  draw(losses) {
    this.#losses = losses;
    if (this.#width === 0) return;
    if (this.#plot) this.#plot.setData(this.#data());
    else this.#rebuild();
    this.#describe(null);
    const text = `Loss curve. Your training loss ${loss(losses.own.ys.at(-1))}, held-out loss ${loss(losses.heldOut.ys.at(-1))}, unigram entropy ${loss(losses.unigram)}.`;
    if (this.#canvas.getAttribute("aria-label") !== text) this.#canvas.setAttribute("aria-label", text);
  }

  /** @returns {uPlot.AlignedData} x, own, running mean, held-out, unigram */
  #data() {
    const { own, heldOut, unigram } = this.#losses;
    let mean = own.ys[0] ?? 0;
    const means = own.ys.map((y) => (mean += SMOOTHING * (y - mean)));
    const ends = [...own.xs.slice(0, 1), ...heldOut.xs.slice(0, 1), ...own.xs.slice(-1), ...heldOut.xs.slice(-1)];
    const first = ends.length > 0 ? Math.min(...ends) : 0;
    const last = ends.length > 0 ? Math.max(...ends) : 1;
    const line = unigram === null ? [[], []] : [[first, Math.max(last, first + 1)], [unigram, unigram]];
    return uPlot.join(/** @type {uPlot.AlignedData[]} */ ([[own.xs, own.ys, means], [heldOut.xs, heldOut.ys], line]));
  }

  #rebuild() {
    if (this.#width === 0) return;
    this.#plot?.destroy();
    const style = getComputedStyle(this);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    const dot = { show: true, size: 6, width: 0, fill: colour("--held") };
    this.#plot = new uPlot({
      width: this.#width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
      padding: [12, 12, 0, 0],
      scales: {
        x: { time: false, range: (_, low, high) => [low ?? 0, Math.max(high ?? 1, (low ?? 0) + 1)] },
        y: { range: (_, low, high) => {
          const room = Math.max(0.05, (high - low) * 0.08);
          return [Math.max(0, low - room), high + room];
        } },
      },
      axes: [
        { ...axis, label: "round", labelFont: axis.font, labelSize: 20, size: 32, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000] },
        { ...axis, size: 48 },
      ],
      series: [
        {},
        { stroke: colour("--own-faint"), width: 1, spanGaps: true, points: { show: false } },
        { stroke: colour("--own"), width: 2, spanGaps: true, points: { show: false } },
        { stroke: colour("--held"), width: 2.5, spanGaps: true, points: dot },
        { stroke: colour("--reference"), width: 1.5, dash: [6, 5], spanGaps: true, points: { show: false } },
      ],
      hooks: { setCursor: [(plot) => this.#describe(plot.cursor.idx ?? null)] },
    }, this.#data(), this.#canvas);
  }

  /** Writes the values at the cursor, or the newest. @param {number | null} index */
  #describe(index) {
    const { own, heldOut, unigram } = this.#losses;
    const x = index === null ? null : (this.#plot?.data[0][index] ?? null);
    /** @param {Line} line */
    const at = (line) => {
      if (x === null) return line.ys.at(-1);
      let i = line.xs.length - 1;
      while (i > 0 && /** @type {number} */ (line.xs[i]) > x) i -= 1;
      return line.ys[i];
    };
    [at(own), at(heldOut), unigram].forEach((value, i) => setText(/** @type {Node} */ (this.#values[i]), loss(value)));
    setText(this.#at, x === null ? "" : `at round ${count(Math.floor(x))}`);
  }
}

define("covey-loss-chart", LossChart);
