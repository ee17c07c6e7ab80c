// @ts-check
// What the visitor or the link chose: backend, share, coordinators. A URL parameter wins over a
// stored choice, and a link can choose everything except to start: that is always a click.

/** @typedef {import("./types.js").BackendChoice} BackendChoice */
/** @typedef {import("./types.js").Share} Share */

/** @type {readonly Share[]} */
const SHARES = [25, 50, 75, 100];

/** Reads localStorage, which throws where it is blocked. @param {string} key */
export function stored(key) {
  try {
    return localStorage.getItem(`covey.${key}`);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value */
export function store(key, value) {
  try {
    if (value === null) localStorage.removeItem(`covey.${key}`);
    else localStorage.setItem(`covey.${key}`, value);
  } catch {
    // Blocked storage only means that the choice is not remembered.
  }
}

/** The allowed share nearest to a number. @param {number} value @returns {Share} */
export function nearestShare(value) {
  if (!Number.isFinite(value)) return 50;
  return SHARES.reduce((best, share) => (Math.abs(share - value) < Math.abs(best - value) ? share : best));
}

/**
 * Coordinators named by the link, or null when it names none. Only http and https: anything else
 * in a link is ignored.
 * @param {URLSearchParams} parameters
 */
function linkedCoordinators(parameters) {
  const urls = parameters.getAll("coordinator").flatMap((text) => coordinatorUrl(text) ?? []);
  return urls.length > 0 ? urls : null;
}

/** @param {unknown} text @returns {string | null} */
function coordinatorUrl(text) {
  if (typeof text !== "string") return null;
  try {
    const url = new URL(text, location.href);
    return url.protocol === "http:" || url.protocol === "https:"
      ? url.href.replace(/\/$/, "")
      : null;
  } catch {
    return null;
  }
}

/** @returns {{backend: BackendChoice, share: Share, linked: string[] | null}} */
export function readSettings() {
  const parameters = new URLSearchParams(location.search);
  const backend = parameters.get("backend");
  const share = parameters.get("share") ?? stored("share");
  return {
    backend: backend === "webgpu" || backend === "flex" ? backend : "auto",
    share: share === null ? 50 : nearestShare(Number(share)),
    linked: linkedCoordinators(parameters),
  };
}

/**
 * The coordinators to try, in order: those of the link, or this site and then those that
 * coordinators.json (a JSON list of addresses beside the page) adds.
 * @param {string[] | null} linked
 * @returns {Promise<string[]>}
 */
export async function coordinators(linked) {
  if (linked) return linked;
  /** @type {unknown} */
  let listed = [];
  try {
    const response = await fetch("coordinators.json", { credentials: "omit" });
    if (response.ok) listed = await response.json();
  } catch (error) {
    console.warn("coordinators.json could not be read", error);
  }
  const more = Array.isArray(listed) ? listed.flatMap((text) => coordinatorUrl(text) ?? []) : [];
  return [...new Set([location.origin, ...more])];
}
