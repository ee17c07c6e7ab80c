// @ts-check
// Pages for tests of a page by itself. A renderer takes longer to start than most of these tests take, so a
// page that was left as it was found is used again. Every test still has a site of its own, and with its
// port an origin that nobody had before: no storage, no lock and no cache of another test.
//
// A page that was changed for good (a script for every document, a clock, a size, another tab beside it) is
// closed with its context after the test, and so is the page of a test that failed.

import { until } from "./browser.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContext} BrowserContext */

const VIEWPORT = { width: 1280, height: 900 };
/** What changes a page or its context for good. */
const LASTING = /** @type {const} */ ({
  page: ["addInitScript", "exposeFunction", "exposeBinding", "route", "setViewportSize", "emulateMedia", "close"],
  context: ["addInitScript", "exposeFunction", "exposeBinding", "route", "setOffline", "grantPermissions", "newPage", "newCDPSession"],
  clock: ["install"],
});

/** @typedef {{context: BrowserContext, page: Page, changed: boolean, heard: (() => void)[]}} Kept */

export class Pages {
  /** @type {Kept | null} */
  #kept = null;

  /** @param {import("playwright-core").Browser} browser */
  constructor(browser) {
    this.browser = browser;
  }

  /**
   * A page for one test, and what is to be called when the test is over.
   * @param {import("playwright-core").BrowserContextOptions} [options] a context that is unlike the others is used once
   */
  async take(options) {
    const kept = options ? null : this.#kept;
    if (kept) this.#kept = null;
    const taken = kept ?? (await this.#open(options));
    const { page, context } = taken;
    /** @param {boolean} well the test passed */
    const done = async (well) => {
      for (const leave of taken.heard.splice(0)) leave();
      const same = well && !options && !taken.changed && context.pages().length === 1;
      if (!same || this.#kept || !(await emptied(page))) return context.close();
      this.#kept = taken;
    };
    return { page, context, done };
  }

  /** @param {import("playwright-core").BrowserContextOptions} [options] @returns {Promise<Kept>} */
  async #open(options) {
    const context = await this.browser.newContext({ viewport: VIEWPORT, ...options });
    const page = await context.newPage();
    /** @type {Kept} */
    const taken = { context, page, changed: false, heard: [] };
    for (const target of /** @type {any[]} */ ([page, context])) {
      const on = target.on;
      target.on = (/** @type {string} */ event, /** @type {() => void} */ listener) => {
        taken.heard.push(() => target.off(event, listener));
        return on.call(target, event, listener);
      };
    }
    for (const [target, names] of /** @type {[any, readonly string[]][]} */ ([[page, LASTING.page], [context, LASTING.context], [page.clock, LASTING.clock]])) {
      for (const name of names) {
        const real = target[name];
        target[name] = (/** @type {any[]} */ ...words) => {
          taken.changed = true;
          return real.apply(target, words);
        };
      }
    }
    return taken;
  }
}

/** Ends what a page shows, its workers too; false when it does not let go of it. @param {Page} page */
async function emptied(page) {
  try {
    await page.goto("about:blank");
    await until("the workers are gone", () => page.workers().length === 0, 5000, 10);
    return true;
  } catch {
    return false;
  }
}
