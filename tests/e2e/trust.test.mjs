// @ts-check
// What a tab does when it is not just its own work for one honest coordinator: it computes a newcomer's
// work again, to check it; it is told that it has used up its quota; it meets bytes that were changed on the
// way, and a coordinator that signs a second story; and two coordinators that both took the run over.
//
// One run carries all of it, with the real module and real coordinators. Nothing is forged by hand: the
// second story is what comes of two coordinators started from copies of one data folder. They are copied
// before the first round, because a coordinator that is started later waits for volunteers to return.
// Each step waits for what it is about, and none for a time.

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
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
const PROBATION = 2;
/** Rounds of a period, in each of which a newcomer of the second story has one packet. */
const PERIOD = 5;
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

/** Both have the same key. @type {Coordinator} */ let coordinator;
/** @type {Coordinator} */ let second;
/** @type {Coordinator[]} */ let mirrors = [];
/** To the mirrors. @type {Cable[]} */ let doors = [];
/** @type {import("playwright-core").Browser} */ let browser;
/** Was there from the beginning. @type {Volunteer} */ let first;
/** @type {Cable} */ let firsts;
/** @type {Cable} */ let doubters;
/** @type {Volunteer} */ let newcomer;
/** @type {Cable} */ let newcomers;

before(async () => {
  [coordinator, second, ...mirrors] = await Promise.all([
    Coordinator.create(config()), Coordinator.create(config(`quota_packets = 1\nquota_rounds = ${PERIOD}`)),
    Coordinator.create(config()), Coordinator.create(config()),
  ]);
  await coordinator.start();
  await coordinator.kill();
  cpSync(join(coordinator.folder, "data"), join(second.folder, "data"), { recursive: true });
  [browser] = await Promise.all([launch(), coordinator.start(), second.start()]);
  [firsts, newcomers, ...doors] = await Promise.all([coordinator, coordinator, ...mirrors].map(({ port }) => Cable.lay(port)));
  // Nobody is behind those yet.
  for (const door of doors) door.cut();
}, { timeout: 5 * MINUTE });

after(async () => {
  await browser?.close();
  for (const cable of [firsts, newcomers, doubters, ...doors]) cable?.close();
  await Promise.all([coordinator, second, ...mirrors].map((one) => one?.kill()));
});

/**
 * A tab of a browser profile of its own that keeps every status it ever showed.
 * @param {string} name @param {Cable} cable its network @param {number} share @param {string[]} [others] addresses that it knows as well
 */
async function tab(name, cable, share, others = []) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.addInitScript(() => {
    const said = /** @type {Set<string>} */ (new Set());
    Object.assign(globalThis, { said });
    addEventListener("DOMContentLoaded", () => {
      const status = /** @type {HTMLElement} */ (document.querySelector("#status"));
      new MutationObserver(() => said.add(status.textContent ?? "")).observe(status, { childList: true, characterData: true, subtree: true });
    });
  });
  const list = [cable.url, ...others].map((one) => `&coordinator=${encodeURIComponent(one)}`).join("");
  return Volunteer.join(name, context, `${cable.url}/?backend=flex&share=${share}${list}`);
}

/** What a tab's status ever said of that kind. @param {Volunteer} volunteer @param {RegExp} words */
const said = async (volunteer, words) =>
  (await volunteer.page.evaluate(() => [.../** @type {Set<string>} */ (/** @type {any} */ (globalThis).said)])).filter((text) => words.test(text));

const id = (/** @type {Volunteer} */ volunteer) => /** @type {string} */ (volunteer.view?.volunteer);
/** Every record so far; lists without anything in them are not written. @param {Coordinator} of @returns {Promise<any[]>} */
const records = async (of) => (await of.records()).map((record) => ({ excluded: [], replicas: [], ...record }));

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

step("a_tab_computes_a_newcomers_work_again_says_so_and_the_record_lists_that_they_agree", async () => {
  // Half of the time it rests, so that there is time to read what it does.
  first = await tab("first", firsts, 50, doors.map(({ url }) => url));
  await first.sees("has a clean record", ({ receipts }) => receipts.size >= PROBATION, LONG);
  newcomer = await tab("newcomer", newcomers, 100);
  const agreed = await until("a pair that agrees", async () => {
    await Promise.all([first.look(), newcomer.look()]);
    return (await records(coordinator)).find((record) => record.replicas.some((/** @type {any} */ { agreement }) => agreement === "agreed"));
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
  // Somebody who trains nothing recomputes all of the first story, and goes on doing so.
  doubters = await Cable.lay(coordinator.port);
  const doubter = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  await doubter.goto(`${doubters.url}/witness.html`);
  await doubter.click("#start");
  const witness = async (/** @type {string} */ state) => {
    const now = await doubter.evaluate(() => /** @type {any} */ (globalThis).covey.witness);
    return now?.state === state && now;
  };
  const level = await until("the doubter is level", () => witness("level"), LONG);
  assert.deepEqual([level.verdict.is, level.listed], ["agrees", true]);
  // The newcomer finds itself in the second story, and carries it on alone; the other tab rests in the first.
  newcomers.lead(second.port);
  await rest(first);
  await until("the second story is longer", async () => {
    await Promise.all([first.look(), newcomer.look()]);
    return (await second.run()).round > (first.view?.theta_round ?? Infinity);
  }, LONG);
  const known = /** @type {number} */ (first.view?.theta_round);
  firsts.lead(second.port);
  const own = first.page.locator("#witnesses [role=alert]");
  await own.waitFor({ timeout: LONG });
  const words = await own.innerText();
  const [told] = await until("it is public", async () => {
    const { disagreements } = await second.witnesses();
    return disagreements.length > 0 && disagreements;
  }, LONG);
  assert.equal(told.witness, id(first));
  assert.equal(told.statement.kind, "tab");
  const { is, place, number, expected, found } = told.statement.verdict;
  assert.deepEqual({ is, place }, { is: "disagrees", place: "equivocation" });
  assert.ok(number >= known - 1, `round ${number}, of ${known} that it recomputed`);
  assert.equal(words, `This tab recomputed round ${number} and disagrees: two different records were signed for one round. The coordinator was told so.`);
  assert.match(expected, /^[0-9a-f]{64}$/);
  assert.notEqual(found, expected);
  const next = await until("the record after it", async () => (await records(second))[number + 1], LONG);
  assert.equal(found, next.previous, "it is the second story's record that is named");
  // It keeps nothing of what it doubts, and begins again from a checkpoint.
  await until("it holds what is there now", async () => {
    await first.look();
    return first.view?.theta === (await second.run()).base;
  }, LONG);
  assert.equal(await own.innerText(), words);
  await shot(first.page, "trust-disagreement");
  // The doubter is shown the second story as well. It keeps the two records, which convict by themselves.
  doubters.lead(second.port);
  const doubts = await until("the doubter disagrees", () => witness("disagrees"), LONG);
  assert.deepEqual([doubts.verdict.is, doubts.verdict.place], ["disagrees", "equivocation"]);
  const proof = JSON.parse(doubts.proof);
  assert.equal(proof.first.record.round, doubts.verdict.number);
  assert.equal(proof.second.record.round, doubts.verdict.number);
  assert.deepEqual(proof.second, (await (await fetch(`${second.url}/v1/records?from=${doubts.verdict.number}`)).json()).records[0]);
  assert.ok((await second.witnesses()).disagreements.some((said) => said.witness === doubts.witness), "it said so");
  await doubter.getByText("two different records were signed for one round").waitFor();
  await doubter.getByRole("button", { name: "Save the proof" }).waitFor();
  await shot(doubter, "recompute-disagrees");
  await doubter.context().close();
  // Everybody else reads it, too.
  await newcomer.page.locator("#witnesses tbody").getByText(`Round ${number}: two different records were signed for one round.`).first().waitFor({ timeout: LONG });
});

step("who_has_used_up_its_quota_reads_until_when_and_goes_on_then", async () => {
  // In the second story it is the newcomer. It is to begin early enough in a period for a round or two of
  // waiting; the other tab goes on until then.
  const { round: open } = await until("a round early in a period", async () => {
    await rest(newcomer);
    const now = await second.run();
    if (now.round % PERIOD <= PERIOD - 3) return now;
    await goOn(newcomer);
    await until("another round", async () => (await second.run()).round > now.round, LONG);
    return null;
  }, LONG);
  await first.look();
  const before = new Set(first.receipts.keys());
  const fresh = () => [...first.receipts.values()].filter(({ packet }) => !before.has(packet)).map(({ round }) => round);
  await goOn(first);
  await first.sees("contributes", () => fresh().length > 0, LONG);
  const [used] = /** @type {[number]} */ (fresh());
  assert.ok(used >= open);
  const end = (Math.floor(used / PERIOD) + 1) * PERIOD;
  // Nobody else works, so no round ends: it is refused for as long as it takes to read why.
  const status = first.page.locator("#status");
  const words = await until("the page says why", async () => {
    const text = await status.innerText();
    return text.includes("used up") && text;
  }, LONG);
  assert.equal(words, `This identity has used up its quota of 1 packet in ${PERIOD} rounds; it may contribute again from round ${end}. This tab waits and goes on by itself.`);
  await first.sees("waits", ({ view }) => view?.state === "waiting", LONG);
  // What it found out stays on its page.
  await first.page.locator("#witnesses [role=alert]").getByText("two different records").waitFor();
  await shot(first.page, "trust-quota");
  await first.page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await scrollsSideways(first.page), false);
  await shot(first.page, "trust-quota-390");

  await goOn(newcomer);
  await first.sees("contributes again", () => fresh().length > 1, LONG);
  for (const round of fresh()) assert.ok(round === used || round >= end, `receipts of rounds ${fresh()}, refused until ${end}`);
  await Promise.all([rest(first), rest(newcomer)]);
  await newcomer.leave();
});

step("two_coordinators_that_both_took_the_run_over_are_named_and_neither_is_followed", async () => {
  const [left, right] = /** @type {[Coordinator, Coordinator]} */ (mirrors);
  await Promise.all([left.follow(second.url, "left"), right.follow(second.url, "right")]);
  const { round } = await until("both mirrors and the tab are level", async () => {
    await first.look();
    const [here, ...there] = await Promise.all([second.run(), left.run(), right.run()]);
    return there.every((one) => one.round === here.round) && first.view?.theta_round === here.round && here;
  }, LONG);
  await Promise.all([second.kill(), left.kill(), right.kill()]);
  await first.context.setOffline(true);
  await Promise.all([left.takeOver(), right.takeOver()]);
  const keys = await Promise.all([left, right].map(async (one) => (await one.run()).coordinator));
  assert.notEqual(keys[0], keys[1]);
  // Both doors at once: whoever is met first, the other is there.
  for (const door of doors) door.mend();
  await first.context.setOffline(false);

  const card = first.page.locator("covey-problem[data-code=two_coordinators]:visible");
  await card.waitFor({ timeout: LONG });
  const words = await card.innerText();
  assert.match(words, /Two coordinators claim this run/);
  for (const [place, { url }] of doors.entries()) {
    assert.ok(words.includes(url), `${url} is named: ${words}`);
    assert.ok(words.includes(/** @type {string} */ (keys[place]).slice(0, 12)), `its key is named: ${words}`);
  }
  assert.match(words, /open the page of the one you trust/i);
  await until("nothing works on", () => first.page.workers().length === 0, LONG);
  // Neither got anything from this tab, and no round.
  for (const one of [left, right]) assert.equal((await one.run()).round, round);
  assert.equal(await scrollsSideways(first.page), false);
  await shot(first.page, "trust-two-390");
  await first.page.setViewportSize({ width: 1280, height: 900 });
  await shot(first.page, "trust-two");
});
