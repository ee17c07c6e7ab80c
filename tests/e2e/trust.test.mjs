// @ts-check
// What a tab does when it is not just its own work for one honest coordinator: it computes a newcomer's
// work again, to check it; it is told that it has used up its quota; it meets bytes that were changed on the
// way, and a coordinator that signs a second story; and two coordinators that both took the run over.
//
// One run carries all of it, with the real module and real coordinators. Nothing is forged by hand: the
// second story is what comes of two coordinators started from copies of one data folder. Each step waits
// for what it is about, and leaves tabs and rounds at rest for the next one.

import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, scrollsSideways, shot, until } from "./support/browser.mjs";
import { Cable } from "./support/cable.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const MINUTE = 60_000;
/** For one test, and for one thing that it waits for. */
const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * MINUTE;
const LONG = BUDGET / 3;
/** Clean rounds until a volunteer may check others, and is no newcomer any more. */
const PROBATION = 3;
/** As little work as a round can hold. One clean volunteer is enough to check a newcomer. Nothing waits for
 * the window: rounds close when everybody who joined has contributed. */
const config = (quota = "") => `
assess_sequences = 0
evaluate_sequences = 0

[replication]
clean_needed = 1
probation = ${PROBATION}
${quota}

[run]
name = "trust"

[run.inner]
steps = 4
batch = 1

[run.rounds]
window_ms = 60000
grace_ms = 5000
min_contributions = 1
checkpoint_every = 1
`;

/** @type {Coordinator} */ let coordinator;
/** @type {Coordinator[]} */ const mirrors = [];
/** @type {Cable[]} */ const cables = [];
/** To the mirrors. @type {Cable[]} */ const doors = [];
/** @type {import("playwright-core").Browser} */ let browser;
/** Was there from the beginning. @type {Volunteer} */ let first;
/** @type {Volunteer} */ let newcomer;
/** @type {Volunteer} */ let third;

before(async () => {
  coordinator = await Coordinator.create(config());
  [browser] = await Promise.all([launch(), coordinator.start()]);
}, { timeout: 5 * MINUTE });

after(async () => {
  await browser?.close();
  for (const cable of [...cables, ...doors]) cable.close();
  await Promise.all([coordinator, ...mirrors].map((one) => one?.kill()));
});

/**
 * A tab of a browser profile of its own that keeps every status it ever showed.
 * @param {string} name @param {string} url of the page @param {string[]} [coordinators] that it is told of
 */
async function tab(name, url, coordinators = [url]) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.addInitScript(() => {
    const said = /** @type {Set<string>} */ (new Set());
    Object.assign(globalThis, { said });
    addEventListener("DOMContentLoaded", () => {
      const status = /** @type {HTMLElement} */ (document.querySelector("#status"));
      new MutationObserver(() => said.add(status.textContent ?? "")).observe(status, { childList: true, characterData: true, subtree: true });
    });
  });
  const list = coordinators.map((one) => `&coordinator=${encodeURIComponent(one)}`).join("");
  return Volunteer.join(name, context, `${url}/?backend=flex&share=50${list}`);
}

/** A tab whose network can be cut. @param {string} name */
async function tabByCable(name) {
  const cable = await Cable.lay(coordinator.port);
  cables.push(cable);
  return { cable, volunteer: await tab(name, cable.url) };
}

/** What a tab's status ever said of that kind. @param {Volunteer} volunteer @param {RegExp} words */
const said = async (volunteer, words) =>
  (await volunteer.page.evaluate(() => [.../** @type {Set<string>} */ (/** @type {any} */ (globalThis).said)])).filter((text) => words.test(text));

const id = (/** @type {Volunteer} */ volunteer) => /** @type {string} */ (volunteer.view?.volunteer);
/** Every record so far; lists without anything in them are not written. @returns {Promise<any[]>} */
const records = async () => (await coordinator.records()).map((record) => ({ excluded: [], replicas: [], ...record }));

/** Pauses a tab as its visitor does; then it has nothing under way. @param {Volunteer} volunteer */
async function rest(volunteer) {
  await volunteer.page.getByRole("button", { name: "Pause", exact: true }).click();
  await volunteer.sees("rests", ({ view }) => view?.state === "paused", 2 * MINUTE);
}

/** @param {Volunteer} volunteer */
const goOn = (volunteer) => volunteer.page.getByRole("button", { name: "Resume" }).click();

/** Another receipt than those a tab has now. @param {Volunteer} volunteer */
async function contributes(volunteer) {
  await volunteer.look();
  const before = volunteer.receipts.size;
  await volunteer.sees("gets a receipt", ({ receipts }) => receipts.size > before, LONG);
}

/** Takes the network away from a tab at rest. @param {Cable} cable @param {Volunteer} volunteer */
async function cut(cable, volunteer) {
  cable.cut();
  await volunteer.context.setOffline(true);
  await volunteer.sees("is cut off", ({ view }) => view?.connection.connected === false && view.state === "paused", 2 * MINUTE);
}

/** @param {Cable} cable @param {Volunteer} volunteer */
async function mend(cable, volunteer) {
  cable.mend();
  await volunteer.context.setOffline(false);
}

/** One after another, and none after one that failed: each stands on those before it. */
let broken = false;
/** @param {string} name @param {() => Promise<void>} body */
function step(name, body) {
  test(name, { timeout: BUDGET }, async (t) => {
    if (broken) return t.skip("an earlier step failed");
    broken = true;
    await body();
    broken = false;
  });
}

/** @type {Cable} */ let firsts;
/** @type {Cable} */ let newcomers;

step("a_tab_computes_a_newcomers_work_again_says_so_and_the_record_lists_that_they_agree", async () => {
  ({ cable: firsts, volunteer: first } = await tabByCable("first"));
  await first.sees("has a clean record", ({ receipts }) => receipts.size >= PROBATION, LONG);
  ({ cable: newcomers, volunteer: newcomer } = await tabByCable("newcomer"));
  const agreed = await until("a pair that agrees", async () => {
    await Promise.all([first.look(), newcomer.look()]);
    return (await records()).find((record) => record.replicas.some((/** @type {any} */ { agreement }) => agreement === "agreed"));
  }, LONG);
  assert.deepEqual(agreed.replicas, [{ of: id(newcomer), by: id(first), agreement: "agreed" }]);
  assert.ok(agreed.contributions.some((/** @type {any} */ { volunteer }) => volunteer === id(newcomer)), "the newcomer's own packet is merged");
  assert.deepEqual(agreed.excluded.map((/** @type {any} */ { volunteer, reason }) => [volunteer, reason]), [[id(first), "replica"]], "the same work does not count twice");
  await until("its page says what it does", async () => (await said(first, /^Computing somebody's work again, to check it, in round \d+: step \d of 4\.$/)).length > 0, LONG);
  await first.page.getByText("Received, but not merged: it was a check of somebody else's work, and counts as such.").first().waitFor({ timeout: MINUTE });
  await shot(first.page, "trust-replica");
});

step("bytes_that_were_changed_on_the_way_are_not_applied_and_work_goes_on_with_the_right_ones", async () => {
  // The page's own requests go past the worker's; so one in the middle changes every update until told not to.
  let changed = 0;
  firsts.alter = (bytes) => {
    const at = bytes.indexOf("CVU1");
    if (at < 0) return bytes;
    changed += 1;
    const other = Buffer.from(bytes);
    other[at + 4] ^= 1;
    return other;
  };
  await first.page.evaluate(() => /** @type {any} */ (globalThis).said.clear());
  const words = await until("the page says what is wrong", async () => (await said(first, /another hash/))[0], LONG);
  assert.match(words, /Something failed and is tried again: .*the blob [0-9a-f]{64} has another hash/);
  assert.ok(changed > 0);
  firsts.alter = null;
  await contributes(first);
  // Whoever stands between is no coordinator: nobody is accused of what it did.
  assert.equal(first.view?.disagreement, null);
  assert.deepEqual((await coordinator.witnesses()).disagreements, []);
});

step("a_coordinator_that_signs_a_second_story_is_disagreed_with_on_the_page_and_in_public", async () => {
  // At rest the data folder is copied: from here on there are two coordinators with one key.
  await Promise.all([rest(first), rest(newcomer)]);
  await cut(newcomers, newcomer);
  await coordinator.kill();
  const other = new Coordinator(coordinator.port, Number(new URL(coordinator.operator).port), config());
  cpSync(join(coordinator.folder, "data"), join(other.folder, "data"), { recursive: true });

  // One tab lives on in the one story, alone, ...
  await coordinator.start();
  await first.sees("is back", ({ view }) => view?.connection.connected, LONG);
  const { round: fork } = await coordinator.run();
  await goOn(first);
  await first.sees("has the first story's weights", ({ view }) => (view?.theta_round ?? 0) > fork, LONG);
  await rest(first);
  await cut(firsts, first);
  const known = /** @type {number} */ (first.view?.theta_round);
  await coordinator.kill();

  // ... the other tab in the other.
  coordinator = other;
  await coordinator.start();
  await mend(newcomers, newcomer);
  await goOn(newcomer);
  await until("the second story is longer", async () => {
    await newcomer.look();
    return (await coordinator.run()).round > known;
  }, LONG);
  await mend(firsts, first);
  await goOn(first);
  const words = await until("the page says so", async () => {
    const own = first.page.locator("#witnesses [role=alert]");
    return (await own.isVisible()) && own.innerText();
  }, LONG);
  const last = known - 1;
  assert.equal(words, `This tab recomputed round ${last} and disagrees: two different records were signed for one round. The coordinator was told so.`);
  const [told] = await until("it is public", async () => {
    const { disagreements } = await coordinator.witnesses();
    return disagreements.length > 0 && disagreements;
  }, LONG);
  assert.equal(told.witness, id(first));
  assert.equal(told.statement.kind, "tab");
  const { is, place, number, expected, found } = told.statement.verdict;
  assert.deepEqual({ is, place, number }, { is: "disagrees", place: "equivocation", number: last });
  assert.equal(found, (await records())[known].previous, "the record of the second story");
  assert.match(expected, /^[0-9a-f]{64}$/);
  assert.notEqual(expected, found);
  // Everybody else reads it, too.
  await newcomer.page.locator("#witnesses tbody").getByText(`Round ${last}: two different records were signed for one round.`).waitFor({ timeout: MINUTE });
  // It keeps nothing of what it doubts, begins again from a checkpoint, and does not stop saying so.
  await first.sees("begins again", ({ view }) => (view?.theta_round ?? 0) > known, LONG);
  await contributes(first);
  assert.equal(await first.page.locator("#witnesses [role=alert]").innerText(), words);
  await shot(first.page, "trust-disagreement");
  await first.page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await scrollsSideways(first.page), false);
  await shot(first.page, "trust-disagreement-390");
  await rest(newcomer);
  await newcomer.leave();
});

step("who_has_used_up_its_quota_reads_until_when_and_goes_on_then", async () => {
  await rest(first);
  const { length: closed } = await records();
  await coordinator.kill();
  // One packet for a newcomer, in periods such that the open round and the next two are of the same one.
  let period = 4;
  while (closed % period > period - 3) period += 1;
  writeFileSync(coordinator.config, config(`quota_packets = 1\nquota_rounds = ${period}`));
  await coordinator.start();
  mirrors.push(await Coordinator.create(config()), await Coordinator.create(config()));
  for (const mirror of mirrors) doors.push(await Cable.lay(mirror.port));
  // Nobody is behind those doors yet.
  for (const door of doors) door.cut();
  third = await tab("third", coordinator.url, [coordinator.url, ...doors.map(({ url }) => url)]);
  await third.sees("contributes", ({ receipts }) => receipts.size > 0, LONG);
  const [{ round: used }] = /** @type {[import("./support/volunteer.mjs").Receipt]} */ ([...third.receipts.values()]);
  const end = (Math.floor(used / period) + 1) * period;
  // Nobody else works, so no round ends: it is refused for as long as it takes to read why.
  const status = third.page.locator("#status");
  const words = await until("the page says why", async () => {
    const text = await status.innerText();
    return text.includes("used up") && text;
  }, LONG);
  assert.ok(words.startsWith(`This identity has used up its 1 packets in ${period} rounds; it may contribute again from round ${end}.`), words);
  await third.sees("waits", ({ view }) => view?.state === "waiting", MINUTE);
  await shot(third.page, "trust-quota");
  await third.page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await scrollsSideways(third.page), false);
  await shot(third.page, "trust-quota-390");

  await first.sees("is back", ({ view }) => view?.connection.connected, LONG);
  await goOn(first);
  await third.sees("contributes again", ({ receipts }) => receipts.size > 1, LONG);
  const rounds = [...third.receipts.values()].map(({ round }) => round);
  for (const round of rounds) assert.ok(round === used || round >= end, `receipts of rounds ${rounds}, refused until ${end}`);
  await rest(first);
  await first.leave();
});

step("two_coordinators_that_both_took_the_run_over_are_named_and_neither_is_followed", async () => {
  await rest(third);
  const [left, right] = /** @type {[Coordinator, Coordinator]} */ (mirrors);
  await Promise.all([left.follow(coordinator.url, "left"), right.follow(coordinator.url, "right")]);
  const { round } = await until("both mirrors and the tab are level", async () => {
    await third.look();
    const [here, ...there] = await Promise.all([coordinator.run(), left.run(), right.run()]);
    return there.every((one) => one.round === here.round) && third.view?.theta_round === here.round && here;
  }, LONG);
  await Promise.all([coordinator.kill(), left.kill(), right.kill()]);
  await third.context.setOffline(true);
  await Promise.all([left.takeOver(), right.takeOver()]);
  const keys = await Promise.all([left, right].map(async (one) => (await one.run()).coordinator));
  assert.notEqual(keys[0], keys[1]);
  // Both doors at once: whoever is met first, the other is there.
  for (const door of doors) door.mend();
  await third.context.setOffline(false);

  const card = third.page.locator("covey-problem:visible");
  await card.waitFor({ timeout: LONG });
  assert.equal(await until("the tab decides", async () => (await card.getAttribute("data-code")) === "two_coordinators" && "stopped", LONG), "stopped");
  const words = await card.innerText();
  assert.match(words, /Two coordinators claim this run/);
  for (const [place, { url }] of doors.entries()) {
    assert.ok(words.includes(url), `${url} is named: ${words}`);
    assert.ok(words.includes(/** @type {string} */ (keys[place]).slice(0, 12)), `its key is named: ${words}`);
  }
  assert.match(words, /open the page of the one you trust/i);
  await until("nothing works on", () => third.page.workers().length === 0, MINUTE);
  // Neither got anything from this tab, and no round.
  for (const one of [left, right]) assert.equal((await one.run()).round, round);
  await shot(third.page, "trust-two");
  await third.page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await scrollsSideways(third.page), false);
  await shot(third.page, "trust-two-390");
});
