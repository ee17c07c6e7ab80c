// @ts-check
// The points of a curve, bounded: a tab may train for weeks. When there are too many, the older half
// is averaged in pairs, so the shape of the whole run stays and the newest part stays exact.
// A point that does not lie after the last one replaces what it overlaps: a round done again after a
// resynchronisation has its steps twice, and a chart needs ascending x.

/** Most points drawn of one curve. */
export const MAX_POINTS = 2000;

export class Curve {
  /** @type {number[]} */
  xs = [];
  /** @type {number[]} */
  ys = [];

  constructor(limit = MAX_POINTS) {
    this.limit = limit;
  }

  /** @param {number} x @param {number} y */
  push(x, y) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) return;
    while (this.xs.length > 0 && /** @type {number} */ (this.xs.at(-1)) >= x) {
      this.xs.pop();
      this.ys.pop();
    }
    this.xs.push(x);
    this.ys.push(y);
    if (this.xs.length > this.limit) this.#thin();
  }

  #thin() {
    const old = 2 * Math.floor(this.xs.length / 4);
    this.xs = [...pairs(this.xs.slice(0, old)), ...this.xs.slice(old)];
    this.ys = [...pairs(this.ys.slice(0, old)), ...this.ys.slice(old)];
  }
}

/** @param {number[]} values of even length */
function pairs(values) {
  const out = [];
  for (let i = 0; i + 1 < values.length; i += 2) {
    out.push((/** @type {number} */ (values[i]) + /** @type {number} */ (values[i + 1])) / 2);
  }
  return out;
}

/** At most `limit` of a list, evenly spread, the last one always among them. @template T
 * @param {T[]} list @param {number} limit @returns {T[]} */
export function spread(list, limit = MAX_POINTS) {
  if (list.length <= limit) return list;
  const stride = Math.ceil(list.length / limit);
  return list.filter((_, i) => (list.length - 1 - i) % stride === 0);
}
