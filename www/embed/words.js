// @ts-check
// The frame's words in the visitor's language. English is always there and fills what a translation
// lacks; another language is one small file, fetched when it is asked for.

import { words as english } from "./words/en.js";

export { english };

/**
 * `x_` and a problem's code is that problem's title; the English ones are the problems' own.
 * @typedef {typeof english & {[title: `x_${string}`]: string}} Words
 */
/** @typedef {keyof typeof english} Word */

/** Languages there are words in. A language is its first part: `zh-TW` reads `zh`. */
export const LANGUAGES = ["en", "de", "es", "fr", "zh", "ar"];
const RIGHT_TO_LEFT = ["ar"];

/** @param {string} wish @returns {string} */
export function pick(wish) {
  const first = wish.toLowerCase().split(/[-_]/)[0] ?? "";
  return LANGUAGES.includes(first) ? first : "en";
}

/** @param {string} language one that `pick` gave @returns {"rtl" | "ltr"} */
export const direction = (language) => (RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr");

/** @param {string} language one that `pick` gave @returns {Promise<Words>} */
export async function load(language) {
  if (language === "en") return english;
  try {
    const { words } = await import(`./words/${language}.js`);
    return { ...english, ...words };
  } catch (error) {
    console.warn(`no words for ${language}`, error);
    return english;
  }
}

/** Puts values where the words have {names}. @param {string} text @param {Record<string, string | number>} values */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
