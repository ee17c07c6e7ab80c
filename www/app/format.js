// @ts-check
// Numbers, sizes, times and hashes as people read them. Pure functions; digits are grouped with the
// visitor's own locale, sizes are decimal (1 MB = 1,000,000 bytes) as network data is counted.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** @param {number} value */
export const count = (value) => whole.format(value);

/** @param {number} bytes */
export function bytes(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = Math.max(0, bytes);
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}\u00a0${units[unit]}`;
}

/** A count of parameters or tokens: 1.2 M, 125 M, 72 B. @param {number} value */
export function large(value) {
  const steps = /** @type {const} */ ([[1e9, "B"], [1e6, "M"], [1e3, "k"]]);
  for (const [size, letter] of steps) {
    if (value >= size) {
      const scaled = value / size;
      return `${scaled >= 100 ? scaled.toFixed(0) : scaled.toFixed(1).replace(/\.0$/, "")}\u00a0${letter}`;
    }
  }
  return whole.format(value);
}

/** Tokens per second: whole numbers once they are large. @param {number} value */
export const speed = (value) => (value > 0 && value < 10 ? value.toFixed(1) : whole.format(value));

/** A loss in nats. @param {number | null | undefined} value */
export const loss = (value) => (value == null || !Number.isFinite(value) ? "\u2013" : value.toFixed(3));

/** Milliseconds since 1970 by a clock that only runs forward, as the module's times are: setting the system's
 * clock while the page is open changes no countdown. */
export const now = () => performance.timeOrigin + performance.now();

/** Minutes and seconds left; never negative. @param {number} ms */
export function remaining(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Time of day. @param {number} ms */
export const timeOfDay = (ms) => clock.format(new Date(ms));

/** The first characters of a hash, enough to compare by eye. @param {string} hash */
export const shortHash = (hash) => (hash.length > 10 ? `${hash.slice(0, 8)}\u2026` : hash);

/** Where a URL points, for a sentence. @param {string} url */
export function host(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/** @param {string} name */
export const backendName = (name) =>
  ({ webgpu: "WebGPU", flex: "CPU" })[name] ?? name;
