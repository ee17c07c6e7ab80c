// @ts-check
// The real Chromium the tests run in.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const executablePath = process.env.COVEY_CHROMIUM ?? "/usr/bin/chromium";

/** Flags that give a WebGPU adapter in software, and no traffic of the browser's own. */
export const FLAGS = [
  "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** @param {string[]} [more] */
export const launch = (more = []) => chromium.launch({ executablePath, headless: true, args: [...FLAGS, ...more] });

/** A browser with a profile of its own that outlives it. @param {string} profile @param {object} [options] */
export const launchProfile = (profile, options = {}) =>
  chromium.launchPersistentContext(profile, { executablePath, headless: true, args: FLAGS, ...options });

/** Saves a screenshot where COVEY_OUT says, if it says. @param {import("playwright-core").Page} page @param {string} name */
export async function shot(page, name) {
  const out = process.env.COVEY_OUT;
  if (!out) return;
  mkdirSync(out, { recursive: true });
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
}

/** Whether the page is wider than its window. @param {import("playwright-core").Page} page */
export const scrollsSideways = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** Something that waiting will not repair. */
export class Fatal extends Error {}

/** Waits until a condition gives something true, asking again and again. @template T
 * @param {string} what @param {() => T | Promise<T>} condition @param {number} budget milliseconds
 * @param {number} [every] milliseconds @returns {Promise<NonNullable<T>>} */
export async function until(what, condition, budget, every = 500) {
  const end = Date.now() + budget;
  /** @type {unknown} */
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return /** @type {NonNullable<T>} */ (value);
      last = value;
    } catch (error) {
      if (error instanceof Fatal) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${Math.round(budget / 1000)} s: ${what} (last: ${last})`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** Repeats an assertion until it holds: what a page was told it draws in a frame to come, and how soon that is
 * is the machine's doing. @param {() => Promise<void>} check */
export async function soon(check) {
  const end = Date.now() + 5_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
