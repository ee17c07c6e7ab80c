// @ts-check
// Nobody has to believe a coordinator, and nobody depends on it: a real tab trains, a mirror recomputes
// everything, the coordinator is killed for good, the mirror takes the run over, and the same tab goes on
// from the last round it agreed to. A second browser trains nothing and recomputes all of it. What a visitor
// sees of it is looked at on the way.
//
// Settings as for training.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, scrollsSideways, shot, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const MINUTE = 60_000;
const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * MINUTE;
const CONFIG = `
assess_sequences = 0
evaluate_sequences = 0

[run]
name = "witnessed"

[run.inner]
steps = 4
batch = 2
peak_lr = 2e-3
warmup = 10
ramp = 5

[run.rounds]
window_ms = 45000
grace_ms = 15000
min_contributions = 1
checkpoint_every = 3
`;

/** What the page that recomputes last heard, if it is in that state. @param {import("playwright-core").Page} page @param {string} [state] @returns {Promise<import("../../www/app/types.js").WitnessView | null>} */
async function said(page, state) {
  const witness = await page.evaluate(() => /** @type {any} */ (window).covey.witness);
  return state === undefined || witness?.state === state ? witness : null;
}

/** @type {Coordinator} */
let coordinator;
/** @type {Coordinator} */
let mirror;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  coordinator = await Coordinator.create(CONFIG);
  mirror = await Coordinator.create(CONFIG);
  await coordinator.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all([coordinator?.kill(), mirror?.kill()]);
});

test("a tab goes on with a mirror that takes the run over, from what it agreed to", { timeout: BUDGET }, async () => {
  await mirror.follow(coordinator.url, "a library");
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  const parameters = `share=100&backend=flex&coordinator=${encodeURIComponent(coordinator.url)}&coordinator=${encodeURIComponent(mirror.url)}`;
  const tab = await Volunteer.join("tab", context, `${coordinator.url}/?${parameters}`);
  await tab.sees("contributes", (self) => self.receipts.size >= 2, BUDGET);
  await until("the tab is a witness", async () => (await coordinator.witnesses()).tabs.agree === 1, 2 * MINUTE);
  const panel = tab.page.locator("#witnesses");
  await until("the page shows both", async () => {
    const words = await panel.innerText();
    return words.includes("a library") && words.includes("One tab agrees");
  }, MINUTE);
  const old = await coordinator.run();
  assert.deepEqual((await coordinator.witnesses()).disagreements, []);

  // Everybody gets to where the run is: who is further than the mirror when it takes over does not follow it.
  await tab.page.getByRole("button", { name: "Pause", exact: true }).click();
  await until("the mirror is level", async () => {
    const [here, there] = await Promise.all([coordinator.run(), mirror.run()]);
    await tab.look();
    return here.round === there.round && tab.view?.state === "paused" && tab.view.theta_round === here.round;
  }, 5 * MINUTE);

  // Somebody who trains nothing recomputes all of it in a tab of another browser.
  const doubter = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  const check = await doubter.newPage();
  /** @type {string[]} */
  const errors = [];
  check.on("pageerror", (error) => errors.push(error.message));
  await check.goto(`${coordinator.url}/witness.html?coordinator=${encodeURIComponent(coordinator.url)}&coordinator=${encodeURIComponent(mirror.url)}`);
  assert.deepEqual(await said(check), null, "nothing begins by itself");
  await check.click("#start");
  const first = await until("the tab is level", () => said(check, "level"), 5 * MINUTE);
  const [closed, head] = await Promise.all([coordinator.records(), coordinator.ledger()]);
  assert.equal(first.resumed, null);
  assert.ok(first.round > 0 && first.round <= closed.length, `${first.round} of ${closed.length} rounds`);
  assert.equal(first.theta, closed[first.round - 1]?.theta_after);
  assert.ok(first.entries > 0 && first.entries <= head.entries);
  assert.equal(first.listed, true, first.refusal ?? "");
  assert.equal((await coordinator.witnesses()).tabs.whole, 1);
  await check.getByText("Everything is so").waitFor();
  await shot(check, "recompute-light");
  // The next visit goes on where this one ended, by the same key.
  await check.click("#stop");
  await until("it stopped", () => said(check, "stopped"), MINUTE);
  await check.reload();
  await check.click("#start");
  const again = await until("it is level again", () => said(check, "level"), 5 * MINUTE);
  assert.equal(again.witness, first.witness);
  assert.ok(again.resumed !== null && again.resumed >= first.round, `resumed at ${again.resumed}`);

  // The coordinator is gone for good once it has given its word for a packet, and before it can merge it.
  const agreed = await mirror.run();
  const before = tab.receipts.size;
  await tab.page.getByRole("button", { name: "Resume" }).click();
  await until("the tab has a receipt", () => tab.page.evaluate((count) => /** @type {any} */ (window).covey.receipts.length > count, before), MINUTE, 20);
  await coordinator.kill();
  await until("it says that nobody answers", () => said(check, "waiting"), MINUTE);
  assert.equal((await mirror.run()).round, agreed.round);
  await mirror.kill();
  await mirror.takeOver();
  const taken = await mirror.run();
  assert.notEqual(taken.coordinator, old.coordinator);
  assert.equal(taken.base, agreed.base);

  // What the old one had received is lost with it, so the tab works on that round once more.
  await tab.sees("goes on there", (self) => self.receipts.size >= before + 2 && self.view?.connection.connected, BUDGET);
  const twice = [...tab.receipts.values()].filter(({ round }) => round === agreed.round);
  assert.equal(twice.length, 2, "one receipt of each coordinator");
  assert.deepEqual(tab.errors, []);
  assert.equal(tab.view?.run?.coordinator, taken.coordinator);
  assert.deepEqual(tab.view?.handover, { old: old.coordinator, new: taken.coordinator, round: agreed.round, changed_here: true });
  // Who recomputes follows as well: the records that it agreed to are in the new one's chain.
  const { round } = await until("the new coordinator closes a round", async () => {
    const now = await mirror.run();
    return now.round > agreed.round && now;
  }, 5 * MINUTE);
  const after = await until("the doubter is level with the new coordinator", async () => {
    const now = await said(check, "level");
    return now && now.round >= round && now.coordinator === taken.coordinator && now;
  }, 5 * MINUTE);
  assert.equal(after.verdict?.is, "agrees");
  assert.equal(after.theta, (await mirror.records())[after.round - 1]?.theta_after);
  assert.deepEqual(errors, []);
  await check.emulateMedia({ colorScheme: "dark" });
  await shot(check, "recompute-dark");
  await check.setViewportSize({ width: 390, height: 844 });
  assert.equal(await scrollsSideways(check), false);
  await shot(check, "recompute-390");
  const records = await mirror.records();
  for (const receipt of tab.receipts.values()) {
    if (receipt.round >= records.length) continue;
    const known = twice.some(({ packet }) => packet === receipt.packet);
    assert.ok(known || records[receipt.round]?.contributions.some(({ packet }) => packet === receipt.packet), `receipt of round ${receipt.round}`);
  }
  for (const [round, theta] of tab.thetas) {
    if (round > 0 && round <= records.length) assert.equal(records[round - 1]?.theta_after, theta, `weights before round ${round}`);
  }
  await until("the page says who coordinates", async () => (await panel.innerText()).includes("took it over"), MINUTE);
  await panel.scrollIntoViewIfNeeded();
  await shot(tab.page, "witnesses-light");
  await tab.page.emulateMedia({ colorScheme: "dark" });
  await shot(tab.page, "witnesses-dark");
  await tab.page.setViewportSize({ width: 390, height: 844 });
  await panel.scrollIntoViewIfNeeded();
  assert.equal(await scrollsSideways(tab.page), false);
  await shot(tab.page, "witnesses-390");
});
