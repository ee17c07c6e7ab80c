// @ts-check
// Amounts on the page. They are strings of base units all the way from the ledger to the screen; the
// module writes them as exact decimals, and nothing here rounds, except for plots and shares, where a
// number's picture is wanted. Every shown amount is a <data> element whose value is the base units.

import { make } from "../app/dom.js";

/** One TAO or one alpha. */
const UNIT = 1e9;

/** @type {(baseUnits: string) => string} */
let format = (baseUnits) => baseUnits;

/** Lends the module's exact decimals to this file. @param {import("./types.js").WalletModule} module */
export function useDecimals(module) {
  format = module.formatAmount;
}

/** The token's sign after an amount. @typedef {"TAO" | "\u03b1" | "TAO/\u03b1" | ""} Unit */
export const ALPHA = "\u03b1";
export const PRICE = "TAO/\u03b1";

/** An exact decimal with thin spaces between thousands. @param {string} base */
function grouped(base) {
  const [whole = "0", fraction] = format(base).split(".");
  return { whole: whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f"), fraction: fraction ? `.${fraction}` : "" };
}

/** In a sentence. @param {string} base @param {Unit} [unit] */
export function words(base, unit = "") {
  const { whole, fraction } = grouped(base);
  return `${whole}${fraction}${unit ? `\u00a0${unit}` : ""}`;
}

/** In a field, to be read back as it is. @param {string} base */
export const plain = (base) => format(base);

/** @param {HTMLDataElement} node @param {string | null} base @param {Unit} [unit] */
export function setAmount(node, base, unit = "") {
  const key = `${base}${unit}`;
  if (node.dataset.shown === key) return;
  node.dataset.shown = key;
  node.classList.add("amount");
  if (base === null) {
    node.value = "";
    node.textContent = "\u2013";
    return;
  }
  node.value = base;
  const { whole, fraction } = grouped(base);
  node.replaceChildren(whole, make("span", { class: "fraction", text: fraction }));
  if (unit) node.append(make("span", { class: "unit", text: `\u00a0${unit}` }));
}

/** @param {string | null} base @param {Unit} [unit] */
export function amount(base, unit = "") {
  const node = make("data");
  setAmount(node, base, unit);
  return node;
}

/** For a plot only. @param {string} base */
export const picture = (base) => Number(base) / UNIT;

/** @param {string} a @param {string} b */
export const least = (a, b) => (BigInt(a) < BigInt(b) ? a : b);

/** Whether a is more than b. @param {string} a @param {string} b */
export const more = (a, b) => BigInt(a) > BigInt(b);

/** @param {string[]} list */
export const sum = (list) => list.reduce((total, base) => total + BigInt(base), 0n).toString();

/** Part of a whole for a bar, 0 to 1. @param {string} part @param {string} whole */
export const share = (part, whole) => (BigInt(whole) === 0n ? 0 : Number((BigInt(part) * 1_000_000n) / BigInt(whole)) / 1e6);

/** A fraction as a percentage with the digits it needs. @param {number} fraction @param {number} [digits] */
export function percent(fraction, digits = 2) {
  const value = fraction * 100;
  return `${value.toFixed(digits).replace(/\.?0+$/, "") || "0"}\u00a0%`;
}
