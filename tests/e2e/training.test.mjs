// @ts-check
// The whole story in a real browser: a coordinator on embedded storage, and volunteers (each a
// browser profile of its own) who train one model together. One computes on the CPU by choice, one on
// whatever the probe chooses, one joins late, one vanishes in the middle of a round; the coordinator
// is killed without warning and started again. In the end the model is clearly better than knowing
// only how common each token is, everyone holds the same weights, and nothing that was acknowledged is
// missing.
//
// Settings: COVEY_COORDINATOR_BIN, COVEY_WWW, COVEY_CORPUS, COVEY_CHROMIUM, COVEY_OUT (screenshots and
// log), COVEY_BUDGET_MINUTES. Budgets are generous: software graphics and shared cores are slow.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, launchProfile, scrollsSideways, shot, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const MINUTE = 60_000;
const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * MINUTE;
/** How far below the unigram entropy counts as well below, in nats. */
const MARGIN = 0.3;
/** Short rounds, so that the story has many. */
const CONFIG = `
evaluate_sequences = 32

[run]
name = "end-to-end"

[run.inner]
steps = 10
batch = 4
peak_lr = 2e-3
warmup = 10
ramp = 5

[run.rounds]
window_ms = 45000
grace_ms = 15000
min_contributions = 1
checkpoint_every = 3
`;
const WIDE = { viewport: { width: 1280, height: 900 } };

const began = Date.now();
/** @type {Coordinator} */
let coordinator;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Volunteer[]} */
const everyone = [];
/** @type {ReturnType<typeof setInterval>} */
let narrator;
const profile = mkdtempSync(join(tmpdir(), "covey-profile-"));
/** @type {import("playwright-core").BrowserContext} */
let home;

const say = (/** @type {string} */ words) => console.log(`[${Math.round((Date.now() - began) / 1000)} s] ${words}`);
const left = () => Math.max(MINUTE, BUDGET - (Date.now() - began));

/** @param {string} name @param {import("playwright-core").BrowserContext} context @param {string} parameters */
async function join_(name, context, parameters) {
  const volunteer = await Volunteer.join(name, context, `${coordinator.url}/?share=100${parameters}`);
  everyone.push(volunteer);
  say(`${name} pressed Contribute`);
  return volunteer;
}

/** Has receipts for at least so many more rounds than `before`. */
const contributed = (before = 0) => (/** @type {Volunteer} */ self) => self.receipts.size > before;

before(async () => {
  coordinator = await Coordinator.create(CONFIG);
  await coordinator.start();
  const { spec } = await coordinator.run();
  assert.equal(spec.inner.steps, 10, "the coordinator took the test's configuration");
  browser = await launch();
  home = await launchProfile(profile, WIDE);
  let turn = 0;
  narrator = setInterval(async () => {
    await Promise.all(everyone.map((volunteer) => volunteer.look().catch(() => {})));
    if (turn++ % 10 > 0) return;
    const run = await coordinator.run().catch(() => null);
    const newest = run?.held_out.at(-1);
    say(`round ${run?.round ?? "?"}, held-out ${newest?.loss.toFixed(3) ?? "?"} (unigram ${run?.unigram_entropy.toFixed(3) ?? "?"}) | ${everyone.map((v) => v.summary()).join(" | ")}`);
  }, 1000);
}, { timeout: 5 * MINUTE });

after(async () => {
  clearInterval(narrator);
  await browser?.close();
  await home?.close();
  await coordinator?.kill();
  coordinator?.log.end();
});

/** @type {Volunteer} */ let cpu;
/** @type {Volunteer} */ let auto;
/** @type {Volunteer} */ let late;
let identity = "";

test("volunteers train one model together", { timeout: BUDGET + 10 * MINUTE }, async (t) => {
  // Each step stands on the ones before it, so the first failure ends the story.
  let broken = false;
  const step = (/** @type {string} */ name, /** @type {() => Promise<void>} */ body) =>
    t.test(name, { skip: broken && "an earlier step failed" }, async () => {
      say(name);
      try {
        await body();
      } catch (error) {
        broken = true;
        throw error;
      }
    });

  await step("two_volunteers_contribute_and_get_receipts", async () => {
    cpu = await join_("cpu", home, "&backend=flex");
    auto = await join_("auto", await browser.newContext(WIDE), "");
    await cpu.sees("gets a receipt", contributed(), left());
    await auto.sees("gets a receipt", contributed(), left());
    assert.equal(cpu.view?.backend?.name, "flex");
    assert.ok(cpu.view?.backend?.forced);
    assert.ok(auto.view?.backend && auto.view.backend.reason.length > 10, "the choice of backend is explained");
    assert.ok(!auto.view.backend.forced);
    say(`auto chose ${auto.view.backend.name}: ${auto.view.backend.reason}`);
    await cpu.page.locator("#receipts tbody tr").first().waitFor();
  });

  await step("a_volunteer_that_vanishes_mid_round_blocks_nobody", async () => {
    const context = await browser.newContext(WIDE);
    const doomed = await join_("doomed", context, "&backend=flex");
    await doomed.sees("is in the middle of a round", (v) => v.view?.state === "training" && v.view.step >= 2, left());
    await doomed.look().catch(() => {});
    doomed.gone = true;
    await context.close();
    const { round } = await coordinator.run();
    await until("two more rounds close", async () => (await coordinator.run()).round >= round + 2, left());
    await cpu.sees("keeps contributing", contributed(cpu.receipts.size), left());
  });

  await step("a_coordinator_that_is_killed_loses_nothing_it_acknowledged", async () => {
    const before = cpu.receipts.size;
    await cpu.sees("gets a receipt just before", contributed(before), left());
    const newest = [...cpu.receipts.keys()].at(-1);
    await coordinator.kill();
    say("the coordinator was killed");
    await cpu.sees("notices", (v) => v.view?.connection.connected === false, MINUTE);
    await cpu.page.getByText(/Trying again in|Connecting to/).waitFor();
    await coordinator.start();
    say("the coordinator is back");
    // The round that it found half done is held for those who were in it, which is time for one more to
    // come. Nothing listens at the first coordinator that it knows: it goes on to the second.
    const coordinators = `&coordinator=http://localhost:9&coordinator=${encodeURIComponent(coordinator.url)}`;
    late = await join_("late", await browser.newContext(WIDE), `&backend=flex${coordinators}`);
    for (const volunteer of [cpu, auto]) {
      await volunteer.sees("is connected again", (v) => v.view?.connection.connected, 2 * MINUTE);
      await volunteer.sees("contributes again", contributed(volunteer.receipts.size), left());
    }
    await until("the acknowledged packet is in a record", async () =>
      (await coordinator.records()).some((record) => record.contributions.some(({ packet }) => packet === newest)), left());
  });

  await step("a_late_volunteer_catches_up_and_contributes", async () => {
    await late.sees("contributes", contributed(), left());
    assert.ok((late.view?.theta_round ?? 0) > 0);
    assert.equal(late.view?.connection.url, coordinator.url);
  });

  await step("a_tab_closed_mid_round_and_reopened_goes_on_as_the_same_volunteer", async () => {
    await cpu.sees("is in the middle of a round", (v) => v.view?.state === "training" && v.view.step >= 2, left());
    identity = cpu.view?.volunteer ?? "";
    const rounds = cpu.view?.rounds_contributed ?? 0;
    assert.ok(rounds > 0);
    await cpu.look().catch(() => {});
    cpu.gone = true;
    await home.close();
    home = await launchProfile(profile, WIDE);
    const again = await join_("cpu again", home, "&backend=flex");
    await again.sees("is restored", (v) => v.view?.resumed, left());
    assert.equal(again.view?.volunteer, identity);
    assert.match(again.view?.resumed ?? "", /restored/);
    assert.ok((again.view?.rounds_contributed ?? 0) >= rounds, "no finished round is forgotten");
    await again.sees("contributes", contributed(), left());
    cpu = again;
  });

  await step("a_second_tab_waits_unless_told_otherwise", async () => {
    const second = await join_("second tab", home, "&backend=flex");
    await second.sees("says that another tab works", (v) => v.view?.pauses.some((pause) => pause.reason === "other_tab"), left());
    await second.page.locator("#notices", { hasText: "another tab" }).waitFor();
    await second.page.getByRole("button", { name: "Contribute anyway" }).click();
    await second.sees("contributes", contributed(), left());
    assert.notEqual(second.view?.volunteer, identity, "two tabs are two volunteers");
    await second.leave();
  });

  await step("the_weights_write_text_on_demand", async () => {
    await cpu.page.getByLabel("Length").fill("60");
    await cpu.page.getByRole("button", { name: "Write" }).click();
    const out = cpu.page.locator(".sample-out");
    await until("the text is written", async () => (await out.getAttribute("aria-busy")) === "false" && (await out.innerText()).length > 20, 5 * MINUTE);
    say(`sample: ${JSON.stringify(await out.innerText())}`);
  });

  await step("held_out_loss_falls_well_below_the_unigram_entropy", async () => {
    const { loss } = await until(`held-out loss is ${MARGIN} below the unigram entropy`, async () => {
      const run = await coordinator.run();
      return run.held_out.find((point) => point.loss < run.unigram_entropy - MARGIN);
    }, left(), 2000);
    say(`held-out loss ${loss.toFixed(3)}`);
    await cpu.sees("shows the same curve", (v) => v.heldOut.some((point) => point.loss < (v.view?.unigram_entropy ?? 0) - MARGIN), MINUTE);
  });

  await step("everyone_holds_the_same_weights_after_every_round", async () => {
    const survivors = [cpu, auto, late];
    const target = (await coordinator.run()).round + 1;
    for (const volunteer of survivors) {
      await volunteer.sees(`reaches round ${target}`, (v) => (v.view?.theta_round ?? 0) >= target, left());
    }
    const records = await coordinator.records();
    let compared = 0;
    for (const volunteer of everyone) {
      assert.deepEqual(volunteer.errors, [], volunteer.name);
      for (const [round, theta] of volunteer.thetas) {
        const record = records[round - 1];
        if (!record) continue;
        assert.equal(theta, record.theta_after, `${volunteer.name} at round ${round}`);
        compared += 1;
      }
    }
    const shared = [...cpu.thetas.keys()].filter((round) => auto.thetas.has(round) && late.thetas.has(round));
    assert.ok(shared.length > 0, "all three were seen at the same round");
    say(`${compared} hashes compared with the records, ${shared.length} rounds seen by all three`);
  });

  await step("every_receipt_is_in_the_records", async () => {
    // The round that is open now may hold acknowledged packets: it closes first.
    const { round } = await coordinator.run();
    const receipts = everyone.flatMap((volunteer) => [...volunteer.receipts.values()]).filter((receipt) => receipt.round <= round);
    await until("the open round closes", async () => (await coordinator.run()).round > round, left());
    const merged = new Map((await coordinator.records()).flatMap((record) =>
      record.contributions.map((contribution) => /** @type {const} */ ([contribution.packet, { ...contribution, round: record.round }]))));
    for (const receipt of receipts) {
      const found = merged.get(receipt.packet);
      assert.ok(found, `the packet of round ${receipt.round} that was acknowledged is missing`);
      assert.equal(found.round, receipt.round);
      assert.equal(found.volunteer, receipt.volunteer);
      assert.equal(found.tokens, receipt.tokens);
    }
    say(`${receipts.length} receipts, ${merged.size} contributions merged`);
    assert.ok(receipts.length >= 6);
  });

  await step("the_page_never_janks_while_training", async () => {
    for (const volunteer of [cpu, auto, late]) {
      await volunteer.look();
      const { count, longest, shares, watched } = volunteer.longTasks;
      say(`${volunteer.name}: ${count} tasks over 50 ms in ${Math.round(watched / 1000)} s of training, longest ${Math.round(longest)} ms`);
      // Cores are shared with everything else here. A page that is busy itself is so all the time, so one
      // stretch of five seconds without is enough.
      assert.ok(shares.length > 0 && Math.min(...shares) < 0.1, `${volunteer.name} spent ${shares} of its time in long tasks`);
    }
  });

  await step("the_page_looks_right_wide_and_narrow", async () => {
    await cpu.page.bringToFront();
    await shot(cpu.page, "training-wide");
    await cpu.page.emulateMedia({ colorScheme: "dark" });
    await shot(cpu.page, "training-wide-dark");
    await cpu.page.emulateMedia({ colorScheme: "light" });
    await cpu.page.setViewportSize({ width: 390, height: 844 });
    await cpu.page.waitForTimeout(500);
    assert.ok(!(await scrollsSideways(cpu.page)));
    await shot(cpu.page, "training-narrow");
  });

  await step("stopping_leaves_the_round_and_says_so", async () => {
    await late.page.click("#stop");
    await late.sees("stops", (v) => v.view?.state === "stopped", MINUTE);
    await late.page.getByRole("button", { name: "Contribute again" }).waitFor();
  });
});
