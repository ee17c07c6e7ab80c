// @ts-check
// Whether the visitor can really see what matters: nothing over it, nothing see-through, nothing cut
// off. Consent counts only then, and work pauses while its stop is covered. A page can draw over a
// frame or shrink it, but it cannot read or fake this: the browser itself says it.
//
// It is IntersectionObserver version 2 (`trackVisibility`), which Chromium has. Elsewhere the first
// version says only whether something is cut off or out of sight; that part then holds alone.

/** Milliseconds that something must have been in sight before a click on it counts. */
export const STEADY_MS = 500;
/** The smallest frame in which the terms and the stop can be read. */
export const SMALLEST = { width: 200, height: 180 };
/** Height in pixels of a text that is taller than the place it is shown in: this much must be in sight. */
const READABLE = 160;

/** @typedef {"small" | "covered" | "away"} Unseen */

export class Sight {
  /** @type {Map<Element, {whole: boolean, touched: boolean, clear: boolean}>} */
  #seen = new Map();
  #since = Infinity;
  /** @type {IntersectionObserver} */
  #observer;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    const options = { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1], trackVisibility: true, delay: 100 };
    this.#observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!this.#seen.has(entry.target)) continue;
        const clear = /** @type {{isVisible?: boolean}} */ (entry).isVisible ?? entry.isIntersecting;
        const whole = entry.intersectionRatio >= 0.98 || (entry.target.matches("[data-long]") && entry.intersectionRect.height >= READABLE);
        this.#seen.set(entry.target, { whole, touched: entry.isIntersecting, clear });
      }
      this.#judge();
    }, options);
    addEventListener("resize", () => this.#judge());
  }

  /** Watches these and nothing else. @param {Element[]} nodes */
  watch(nodes) {
    this.#observer.disconnect();
    this.#seen.clear();
    this.#since = Infinity;
    for (const node of nodes) {
      this.#seen.set(node, { whole: false, touched: false, clear: false });
      this.#observer.observe(node);
    }
  }

  /** Why something watched cannot be seen; null when all of it can. @returns {Unseen | null} */
  get unseen() {
    if (innerWidth < SMALLEST.width || innerHeight < SMALLEST.height) return "small";
    const all = [...this.#seen.values()];
    if (all.some((seen) => seen.touched && !seen.clear)) return "covered";
    return all.length > 0 && all.every((seen) => seen.whole && seen.clear) ? null : "away";
  }

  /** Everything watched has been in sight for long enough to be read as a button and not as a surprise. */
  get steady() {
    return this.unseen === null && performance.now() - this.#since >= STEADY_MS;
  }

  #judge() {
    if (this.unseen !== null) this.#since = Infinity;
    else if (this.#since === Infinity) this.#since = performance.now();
    this.changed();
  }
}
