// @ts-check
// Small pieces that several views show: an account, a tag, a lock's mode, a table row, a bar.

import { make, setText } from "../app/dom.js";
import { count } from "../app/format.js";

/** @typedef {import("./types.js").LockView} LockView */
/** @typedef {import("./when.js").Heights} Heights */

/** Names of well-known keys in development runs. @type {Map<string, string>} */
export const known = new Map();

/** An address as people compare it: both ends. @param {string} account */
export const short = (account) => (account.length > 16 ? `${account.slice(0, 6)}\u2026${account.slice(-5)}` : account);

/** With its name, if it is a well-known one. @param {string} account */
export const named = (account) => (known.has(account) ? `${known.get(account)} (${short(account)})` : short(account));

/** @param {string} account @param {...(string | null | false | undefined)} notes */
export function account(account, ...notes) {
  const code = make("code", { text: short(account), title: account });
  code.dataset.account = account;
  const small = [...new Set([known.get(account), ...notes])].filter(Boolean).join(" \u00b7 ");
  return make("span", { class: "account" }, code, ...(small ? [make("small", { text: small })] : []));
}

/** @param {string} text @param {"" | "good" | "warn" | "bad"} [kind] */
export const tag = (text, kind = "") => make("span", { class: `tag ${kind}`.trim(), text });

/** A lock's mode in words. @param {LockView | null} lock @param {Heights} when */
export function mode(lock, when) {
  if (!lock) return "nothing locked";
  if (lock.mode === "perpetual") return "perpetual";
  if (lock.mode === "decay_announced" && lock.decaysFrom !== null) return `decays ${when.until(lock.decaysFrom) === "now" ? "now" : `from ${when.day(lock.decaysFrom)}`}`;
  return "decaying";
}

/** @param {LockView | null} lock */
export const modeKind = (lock) => (lock?.mode === "perpetual" ? "good" : lock ? "warn" : "");

/** @param {string | Node} content @param {string} [kind] */
export function cell(content, kind) {
  const node = make("td", { class: kind });
  node.append(content);
  return node;
}

/** @param {string | Node} content */
export function head(content) {
  const node = make("th");
  node.scope = "row";
  node.append(content);
  return node;
}

/** A term with its description. @param {string} term @param {string | Node} description */
export function pair(term, description) {
  const dd = make("dd");
  dd.append(description);
  return make("div", {}, make("dt", { text: term }), dd);
}

/** A date with its height. @param {number} height @param {Heights} when */
export const at = (height, when) => `${when.date(height)} (height ${count(height)})`;

/**
 * Replaces children only when what they show has changed, so that focus and selection stay.
 * @param {Element & {dataset: DOMStringMap}} node
 * @param {unknown} key
 * @param {() => (Node | string)[]} build
 */
export function rebuild(node, key, build) {
  const text = JSON.stringify(key);
  if (seen.get(node) === text) return false;
  seen.set(node, text);
  // Whoever had the focus inside keeps it, if the same thing is there again.
  const focused = node.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.focus : undefined;
  node.replaceChildren(...build());
  if (focused) /** @type {HTMLElement | null} */ (node.querySelector(`[data-focus="${CSS.escape(focused)}"]`))?.focus();
  return true;
}
/** @type {WeakMap<Element, string>} */
const seen = new WeakMap();

/** A button. @param {string} text @param {() => void} act @param {{class?: string, focus?: string, label?: string}} [options] */
export function button(text, act, options = {}) {
  const node = make("button", { text, class: options.class });
  node.type = "button";
  if (options.focus) node.dataset.focus = options.focus;
  if (options.label) node.setAttribute("aria-label", options.label);
  node.addEventListener("click", act);
  return node;
}

/** @param {HTMLSelectElement} select @param {{value: string, text: string}[]} options @param {string} [first] chosen at first */
export function choices(select, options, first = "") {
  const key = JSON.stringify(options);
  if (select.dataset.choices === key) return;
  select.dataset.choices = key;
  const chosen = select.value || first;
  select.replaceChildren(...options.map(({ value, text }) => {
    const option = make("option", { text });
    option.value = value;
    return option;
  }));
  if (options.some(({ value }) => value === chosen)) select.value = chosen;
}

/** @param {HTMLElement} node @param {string} text */
export function say(node, text) {
  setText(node, text);
  node.hidden = text === "";
}
