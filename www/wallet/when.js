// @ts-check
// Heights as people read them. A height is a date only as long as the clock runs as it does now: in a
// development run the operator can move it, so dates are always said together with the height.

const dayOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A number of seconds in its two largest parts. @param {number} seconds */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const parts = /** @type {const} */ ([["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]]);
  const at = parts.findIndex(([, size]) => s >= size);
  if (at < 0) return "0\u00a0s";
  let rest = s;
  const shown = [];
  for (const [name, size] of parts.slice(at, at + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0) shown.push(`${n}\u00a0${name}`);
  }
  return shown.join(" ");
}

/** @param {number} ms Unix time */
export const date = (ms) => day.format(new Date(ms));

/**
 * What a page needs to speak of heights.
 * @param {{height: number, restOfBlock: number, head: {blockSeconds: number}}} clock
 */
export function heights(clock) {
  const seconds = (/** @type {number} */ height) => {
    const blocks = height - clock.height;
    return blocks <= 0 ? 0 : (blocks - 1) * clock.head.blockSeconds + clock.restOfBlock;
  };
  return {
    /** A span of blocks. @param {number} blocks */
    span: (blocks) => duration(blocks * clock.head.blockSeconds),
    /** Unix ms at which a height is or was, with the clock as it runs now. @param {number} height */
    ms: (height) => Date.now() + (height > clock.height ? seconds(height) : (height - clock.height) * clock.head.blockSeconds) * 1000,
    /** "in 3 d 4 h", or "now". @param {number} height */
    until: (height) => (height <= clock.height ? "now" : `in ${duration(seconds(height))}`),
    /** "3 d 4 h ago" @param {number} height */
    since: (height) => (height >= clock.height ? "now" : `${duration((clock.height - height) * clock.head.blockSeconds)} ago`),
    /** The day of a height. @param {number} height */
    day(height) {
      return dayOnly.format(new Date(this.ms(height)));
    },
    /** The date and time of a height. @param {number} height */
    date(height) {
      return date(this.ms(height));
    },
  };
}

/** @typedef {ReturnType<typeof heights>} Heights */
