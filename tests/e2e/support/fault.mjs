// @ts-check
// What the tests of faults share: a coordinator with short rounds, and volunteers on the CPU who have
// contributed before anything goes wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, until } from "./browser.mjs";
import { Coordinator } from "./coordinator.mjs";
import { Volunteer } from "./volunteer.mjs";

export const MINUTE = 60_000;
/** For one test. Cores are shared with everything else here, so it is generous. */
export const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * MINUTE;
export const STEPS = 6;

/** Rounds of a few seconds; the window only matters to whoever is lost. @param {number} window milliseconds */
const config = (window) => `
# Trying packets and measuring the weights takes longer than these rounds.
assess_sequences = 0
evaluate_sequences = 0

[run]
name = "faults"

[run.inner]
steps = ${STEPS}
batch = 1

[run.rounds]
window_ms = ${window}
grace_ms = 5000
min_contributions = 1
`;

/** Where a test takes place. */
export class Scene {
  /** @param {Coordinator} coordinator @param {import("playwright-core").Browser} browser */
  constructor(coordinator, browser) {
    this.coordinator = coordinator;
    this.browser = browser;
  }

  static async set(window = MINUTE) {
    const coordinator = await Coordinator.create(config(window));
    const [browser] = await Promise.all([launch(), coordinator.start()]);
    return new Scene(coordinator, browser);
  }

  async strike() {
    await this.browser?.close();
    await this.coordinator?.kill();
    this.coordinator?.log.end();
  }

  /**
   * A test with a browser profile of its own, whose every receipt must be in the records in the end.
   * @param {string} name
   * @param {(context: import("playwright-core").BrowserContext, everyone: Volunteer[]) => Promise<void>} body
   */
  static test(name, body) {
    test(name, { timeout: BUDGET }, async () => {
      const scene = stage.scene;
      const context = await scene.browser.newContext({ viewport: { width: 1280, height: 900 } });
      /** @type {Volunteer[]} */
      const everyone = [];
      try {
        await body(context, everyone);
        for (const volunteer of everyone) assert.deepEqual(volunteer.errors, [], volunteer.name);
        await scene.everythingAcknowledgedIsMerged(everyone);
      } catch (error) {
        for (const volunteer of everyone) console.log(volunteer.summary(), JSON.stringify(volunteer.view?.connection), volunteer.view?.status);
        throw error;
      } finally {
        await context.close();
      }
    });
  }

  /** @param {Volunteer[]} everyone */
  async everythingAcknowledgedIsMerged(everyone) {
    const receipts = everyone.flatMap((volunteer) => [...volunteer.receipts.values()]);
    assert.ok(receipts.length > 0, "somebody contributed");
    const newest = Math.max(...receipts.map(({ round }) => round));
    await until("the newest receipt's round closes", async () => (await this.coordinator.run()).round > newest, 5 * MINUTE);
    const packets = new Set((await this.coordinator.records()).flatMap((record) => record.contributions.map(({ packet }) => packet)));
    for (const { round, packet } of receipts) assert.ok(packets.has(packet), `the acknowledged packet of round ${round} is missing`);
  }
}

/** Set before the tests run. @type {{scene: Scene}} */
export const stage = /** @type {any} */ ({});

/**
 * Joins and waits for the first receipt.
 * @param {string} name @param {import("playwright-core").BrowserContext} context @param {Volunteer[]} everyone
 * @param {string} [query] @param {string} [url]
 */
export async function contributor(name, context, everyone, query = "?backend=flex", url = stage.scene.coordinator.url) {
  const volunteer = await Volunteer.join(name, context, `${url}/${query}&share=100`);
  everyone.push(volunteer);
  await contributes(volunteer);
  return volunteer;
}

/** Waits until a volunteer has another receipt than those it has now. @param {Volunteer} volunteer */
export async function contributes(volunteer) {
  const before = volunteer.receipts.size;
  await volunteer.sees("gets a packet accepted", (v) => v.receipts.size > before, BUDGET / 2);
}

/** Waits for the middle of a round: then everything before it is stored. @param {Volunteer} volunteer */
export async function midRound(volunteer) {
  await volunteer.sees("is in the middle of a round", (v) => v.view?.state === "training" && v.view.step >= 1, 6 * MINUTE);
}

/** The tab's worker, when there is one. @param {Volunteer} volunteer */
export function workerOf(volunteer) {
  const worker = volunteer.page.workers().at(-1);
  if (!worker) throw new Error("there is no worker");
  return worker;
}

/** Waits for words on the page and gives them. @param {Volunteer} volunteer @param {string} selector @param {RegExp} words */
export async function reads(volunteer, selector, words) {
  return until(`${volunteer.name} reads ${words} in ${selector}`, async () => {
    const text = await volunteer.page.locator(selector).first().innerText({ timeout: 1000 });
    return words.test(text) ? text : "";
  }, 6 * MINUTE, 200);
}
