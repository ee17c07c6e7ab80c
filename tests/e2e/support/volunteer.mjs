// @ts-check
// One volunteer: a browser profile with the page open in it, pressed Contribute, and watched. What
// it ever reported (receipts, weights hashes by round) is kept here, so that it still counts after
// the tab is gone.

import { Fatal, until } from "./browser.mjs";

/** @typedef {import("playwright-core").BrowserContext} BrowserContext */
/** @typedef {import("../../../www/app/types.js").View} View */
/** @typedef {import("../../../www/app/types.js").Receipt} Receipt */

export class Volunteer {
  /** @type {Map<string, Receipt & {volunteer: string}>} by packet */
  receipts = new Map();
  /** @type {Map<number, string>} weights hash by the round it is the base of */
  thetas = new Map();
  /** @type {View | null} */
  view = null;
  /** @type {{round: number, loss: number}[]} */
  heldOut = [];
  /** Tasks over 50 ms, with what share of the time they took in each full stretch of five seconds. */
  longTasks = { count: 0, longest: 0, total: 0, watched: 0, shares: /** @type {number[]} */ ([]) };
  /** @type {string[]} */
  errors = [];
  gone = false;

  /** @param {string} name @param {BrowserContext} context @param {import("playwright-core").Page} page */
  constructor(name, context, page) {
    this.name = name;
    this.context = context;
    this.page = page;
  }

  /**
   * Opens the page and consents.
   * @param {string} name @param {BrowserContext} context @param {string} url
   */
  static async join(name, context, url) {
    const page = await context.newPage();
    const self = new Volunteer(name, context, page);
    page.on("pageerror", (error) => self.errors.push(error.message));
    await page.addInitScript(() => {
      // Loading the page and drawing its first chart are not what is measured: it begins with training.
      const seen = { count: 0, longest: 0, total: 0, since: Infinity, stretches: /** @type {number[]} */ ([]) };
      Object.assign(globalThis, { longTasks: seen });
      new PerformanceObserver((list) => {
        for (const { duration, startTime } of list.getEntries()) {
          if (startTime < seen.since) continue;
          seen.count += 1;
          seen.total += duration;
          const stretch = Math.floor((startTime - seen.since) / 5000);
          seen.stretches[stretch] = (seen.stretches[stretch] ?? 0) + duration;
          seen.longest = Math.max(seen.longest, duration);
        }
      }).observe({ type: "longtask" });
    });
    await page.goto(url);
    await page.click("#contribute");
    return self;
  }

  /** Looks at the page once and remembers. */
  async look() {
    if (this.gone) return;
    const seen = await this.page.evaluate(() => {
      const { covey, longTasks } = /** @type {any} */ (window);
      if (covey.losses.length > 0 && longTasks.since === Infinity) longTasks.since = performance.now() + 2000;
      const problem = /** @type {HTMLElement | null} */ (document.querySelector("covey-problem:not([hidden])"));
      return {
        view: covey.view, receipts: covey.receipts, heldOut: covey.heldOut, longTasks, watched: Math.max(0, performance.now() - longTasks.since),
        problem: problem && { code: problem.dataset.code, text: problem.innerText },
      };
    });
    this.view = seen.view;
    this.heldOut = seen.heldOut;
    const { count, longest, total, stretches } = seen.longTasks;
    const shares = Array.from({ length: Math.floor(seen.watched / 5000) }, (_, i) => (stretches[i] ?? 0) / 5000);
    this.longTasks = { count, longest, total, shares, watched: seen.watched };
    for (const receipt of seen.receipts) this.receipts.set(receipt.packet, { ...receipt, volunteer: seen.view.volunteer });
    if (seen.view?.theta && seen.view.theta_round !== null) {
      const before = this.thetas.get(seen.view.theta_round);
      if (before && before !== seen.view.theta) this.errors.push(`two hashes for round ${seen.view.theta_round}`);
      this.thetas.set(seen.view.theta_round, seen.view.theta);
    }
    // A lost coordinator is part of the story; everything else that is shown in red is not.
    if (seen.problem && seen.problem.code !== "no_coordinator") throw new Fatal(`${this.name}: ${seen.problem.text}`);
  }

  /** Waits for something in what this volunteer reports. @param {string} what @param {(self: this) => unknown} condition @param {number} budget */
  async sees(what, condition, budget) {
    await until(`${this.name} ${what}`, async () => {
      await this.look();
      return Boolean(condition(this));
    }, budget, 150);
  }

  /** Closes the tab, however busy it is. */
  async leave() {
    await this.look().catch(() => {});
    this.gone = true;
    await this.page.close();
  }

  summary() {
    const view = this.view;
    if (this.gone) return `${this.name}: gone, ${this.receipts.size} receipts`;
    return `${this.name}: ${view?.state ?? "loading"} r${view?.round ?? "-"} ${view?.step ?? 0}/${view?.steps ?? 0} ${Math.round(view?.tokens_per_second ?? 0)} tok/s, ${this.receipts.size} receipts`;
  }
}
