// @ts-check
// Lines over time, drawn by uPlot, with the values at the cursor beside their names. Values are pictures
// of amounts: the exact ones stand in the tables. Lines may be solid or dashed, in the colours that the
// loss chart uses; a screen reader gets the sentence that the view writes.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { define, make, setText, show } from "../app/dom.js";

/**
 * @typedef {"held" | "own" | "faint" | "reference"} Colour
 * @typedef {{name: string, colour: Colour, dashed?: boolean, stepped?: boolean, values: (number | null)[]}} Line
 * @typedef {{times: number[], lines: Line[], words: string, unit: string}} Picture  times: Unix ms, ascending
 */

const HEIGHT = 250;
/** @type {Record<Colour, string>} */
const VARIABLES = { held: "--held", own: "--own", faint: "--own-faint", reference: "--reference" };

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 4 });
const precise = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class TimePlot extends HTMLElement {
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {Picture | null} */
  #picture = null;
  #shape = "";
  #key = "";
  #width = 0;
  #canvas = make("div", { class: "chart-canvas" });
  #legend = make("ul", { class: "legend" });
  #at = make("span", { class: "legend-at soft numbers" });
  /** @type {HTMLElement[]} */
  #values = [];

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.#canvas.setAttribute("role", "img");
    this.append(this.#canvas, make("div", { class: "legend-row" }, this.#legend, this.#at));
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width === this.#width || width === 0) return;
      this.#width = width;
      if (this.#plot) this.#plot.setSize({ width, height: HEIGHT });
      else this.#rebuild();
    }).observe(this);
    const redraw = () => this.#rebuild();
    document.addEventListener("theme", redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }

  /** @param {Picture | null} picture */
  draw(picture) {
    show(this, picture !== null && picture.times.length > 0);
    const key = JSON.stringify(picture);
    if (key === this.#key) return;
    this.#key = key;
    this.#picture = picture;
    if (!picture) return;
    this.#canvas.setAttribute("aria-label", picture.words);
    const shape = JSON.stringify(picture.lines.map(({ name, colour, dashed, stepped }) => [name, colour, dashed, stepped]));
    if (shape !== this.#shape || !this.#plot) {
      this.#shape = shape;
      this.#values = picture.lines.map(() => make("span", { class: "legend-value numbers" }));
      this.#legend.replaceChildren(...picture.lines.map((line, i) => make("li", {},
        make("span", { class: `swatch ${line.colour}${line.dashed ? " dashed" : ""}` }), make("span", { text: line.name }), /** @type {Node} */ (this.#values[i]))));
      this.#rebuild();
    } else {
      this.#plot.setData(this.#data(picture));
    }
    this.#describe(null);
  }

  /** @param {Picture} picture @returns {uPlot.AlignedData} */
  #data(picture) {
    return /** @type {uPlot.AlignedData} */ ([picture.times.map((ms) => ms / 1000), ...picture.lines.map(({ values }) => values)]);
  }

  #rebuild() {
    const picture = this.#picture;
    if (this.#width === 0 || !picture) return;
    this.#plot?.destroy();
    const style = getComputedStyle(this);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    this.#plot = new uPlot({
      width: this.#width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 }, y: false },
      padding: [12, 14, 0, 0],
      scales: {
        x: { time: true },
        // From nothing, so that a small change does not look like a large one.
        y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, space: 70 },
        { ...axis, size: 60, values: (_, splits) => splits.map((value) => compact.format(value)) },
      ],
      series: [{}, ...picture.lines.map((line) => ({
        stroke: colour(VARIABLES[line.colour]),
        width: line.dashed ? 1.5 : 2.25,
        ...(line.dashed ? { dash: [6, 5] } : {}),
        ...(line.stepped && stepped ? { paths: stepped } : {}),
        points: { show: picture.times.length === 1 },
      }))],
      hooks: { setCursor: [(plot) => this.#describe(plot.cursor.idx ?? null)] },
    }, this.#data(picture), this.#canvas);
  }

  /** The values at the cursor, or the last ones. @param {number | null} index */
  #describe(index) {
    const picture = this.#picture;
    if (!picture) return;
    const i = index ?? picture.times.length - 1;
    picture.lines.forEach((line, n) => {
      const value = line.values[i];
      const node = this.#values[n];
      if (node) setText(node, value == null ? "\u2013" : `${precise.format(value)}\u00a0${picture.unit}`);
    });
    const ms = picture.times[i];
    setText(this.#at, ms === undefined ? "" : day.format(new Date(ms)));
  }
}

define("covey-plot", TimePlot);
