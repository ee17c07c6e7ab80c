// @ts-check
// What goes wrong with a tab while it works: its worker, its clock, its network, the tab itself. Real
// module, real coordinator. Each test says what the visitor reads, what is kept, and that a later packet is
// accepted; in the end everything that was ever acknowledged is in the records. Storage that fails is in
// faults_storage.test.mjs, a lost graphics device in webgpu.test.mjs; a coordinator that is killed, a tab
// that vanishes and two tabs at once are in training.test.mjs ("a_second_tab_waits_unless_told_otherwise")
// and page.test.mjs ("one browser").

import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { until } from "./support/browser.mjs";
import { Cable } from "./support/cable.mjs";
import { BUDGET, contributes, contributor, midRound, MINUTE, reads, Scene, stage, STEPS, workerOf } from "./support/fault.mjs";

before(async () => {
  stage.scene = await Scene.set();
}, { timeout: 5 * MINUTE });
after(() => stage.scene?.strike());

// A minute is long: the others go wrong meanwhile.
describe("while one tab waits for its network", { concurrency: 2 }, () => {
  Scene.test("a_minute_without_network_is_waited_out_quietly", async (context, everyone) => {
    const cable = await Cable.lay(stage.scene.coordinator.port);
    try {
      const volunteer = await contributor("offline", context, everyone, "?backend=flex", cable.url);
      const identity = volunteer.view?.volunteer;
      const [accepted, rounds] = [volunteer.receipts.size, volunteer.view?.rounds_contributed ?? 0];
      cable.cut();
      await context.setOffline(true);
      await reads(volunteer, "#notices", /Paused because this device is offline. Work goes on when the network is back/);
      await volunteer.page.waitForTimeout(MINUTE);
      await volunteer.look();
      assert.equal(volunteer.view?.connection.connected, false);
      // Half a minute between attempts in the end: a busy loop would make thousands.
      assert.ok(cable.knocks < 30 && (volunteer.view?.connection.attempt ?? 0) < 20, `${cable.knocks} knocks, ${volunteer.view?.connection.attempt} attempts`);
      cable.mend();
      await context.setOffline(false);
      await volunteer.sees("is connected again", (v) => v.view?.connection.connected, 2 * MINUTE);
      await contributes(volunteer);
      assert.equal(volunteer.view?.volunteer, identity);
      assert.ok(volunteer.receipts.size > accepted);
      await volunteer.sees("still counts the rounds before", (v) => (v.view?.rounds_contributed ?? 0) > rounds, MINUTE);
      assert.ok(volunteer.view?.pauses.every(({ reason }) => reason !== "offline"));
    } finally {
      cable.close();
    }
  });

  describe("another", () => {
    Scene.test("a_worker_that_the_browser_ends_is_replaced_and_goes_on_from_what_is_stored", async (context, everyone) => {
      const volunteer = await contributor("ended", context, everyone);
      await midRound(volunteer);
      const { volunteer: identity, rounds_contributed: rounds } = /** @type {import("./support/volunteer.mjs").View} */ (volunteer.view);
      // The page is not told: this is what running out of memory looks like.
      await workerOf(volunteer).evaluate(() => self.close());
      await reads(volunteer, "[data-code=worker_replaced]", /started again[\s\S]*goes on from its saved state/);
      await reads(volunteer, "#resumed", /Welcome back: continued with \d+ rounds? contributed/);
      await contributes(volunteer);
      assert.equal(volunteer.view?.volunteer, identity);
      await volunteer.sees("still counts the rounds before", (v) => (v.view?.rounds_contributed ?? 0) > rounds, MINUTE);

      // A browser that ends it every time is believed in the end, and the visitor decides.
      for (let ended = 0; ended < 3; ended += 1) {
        const worker = await until("a worker", () => volunteer.page.workers().at(-1), 2 * MINUTE);
        await worker.evaluate(() => self.close()).catch(() => {});
        await until("it is gone", () => !volunteer.page.workers().includes(worker), MINUTE);
      }
      await reads(volunteer, "covey-problem", /keeps ending the training program[\s\S]*What was accepted is safe/);
      await volunteer.page.getByRole("button", { name: "Start again" }).click();
      await volunteer.page.locator("covey-problem").waitFor({ state: "hidden" });
      await contributes(volunteer);
      assert.equal(volunteer.view?.volunteer, identity);
    });

    Scene.test("a_pause_outlives_the_worker_that_was_told_of_it", async (context, everyone) => {
      const volunteer = await contributor("paused", context, everyone);
      await volunteer.page.click("#pause");
      await volunteer.sees("is paused", (v) => v.view?.state === "paused", MINUTE);
      await workerOf(volunteer).evaluate(() => self.close());
      await reads(volunteer, "[data-code=worker_replaced]", /started again/);
      await volunteer.sees("is still paused", (v) => v.view?.state === "paused" && v.view.pauses.some(({ reason }) => reason === "user"), 5 * MINUTE);
      await volunteer.page.getByRole("button", { name: "Resume" }).click();
      await contributes(volunteer);
    });

    for (const [years, words] of /** @type {const} */ ([[1, "ahead"], [-1, "behind"]])) {
      Scene.test(`a_clock_that_is_a_year_${words}_and_is_set_right_mid_round_changes_nothing`, async (context, everyone) => {
        /** Shifts the system's clock as seen by scripts. @param {number} years */
        const shift = (years) => {
          const { now } = /** @type {any} */ (globalThis.Date.real ??= { now: Date.now });
          Date.now = () => now() + years * 365 * 86_400_000;
        };
        await context.addInitScript(shift, years);
        context.on("page", (page) => page.on("worker", (worker) => void worker.evaluate(shift, years).catch(() => {})));
        const volunteer = await contributor(words, context, everyone);
        assert.match(await reads(volunteer, "#deadline", /closes in/), /closes in [0-4]:\d\d/);
        await midRound(volunteer);
        await workerOf(volunteer).evaluate(shift, -years);
        await volunteer.page.evaluate(shift, -years);
        const known = new Set(volunteer.receipts.keys());
        await contributes(volunteer);
        assert.match(await reads(volunteer, "#deadline", /closes in/), /closes in [0-4]:\d\d/);
        const fresh = [...volunteer.receipts.values()].filter(({ packet }) => !known.has(packet));
        // A deadline that seemed to have passed would have cut the round short after its first step.
        for (const { tokens } of fresh) assert.equal(tokens, STEPS * (volunteer.view?.run?.context ?? 0));
      });
    }
  });
});

describe("where rounds end soon", () => {
  /** @type {Scene} */ let usual;
  before(async () => {
    usual = stage.scene;
    stage.scene = await Scene.set(10_000);
  }, { timeout: 5 * MINUTE });
  after(async () => {
    await stage.scene.strike();
    stage.scene = usual;
  });

  Scene.test("a_page_that_was_frozen_for_more_than_a_round_goes_on_when_it_thaws", async (context, everyone) => {
    const volunteer = await contributor("frozen", context, everyone);
    await midRound(volunteer);
    const rounds = volunteer.view?.rounds_contributed ?? 0;
    const devtools = await context.newCDPSession(volunteer.page);
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    // That alone leaves the worker running here; a browser that saves energy stops all of the tab.
    const system = await stage.scene.browser.newBrowserCDPSession();
    const { processInfo } = await system.send("SystemInfo.getProcessInfo");
    const tabs = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
    for (const tab of tabs) process.kill(tab, "SIGSTOP");
    try {
      // The round that it was in ends without it, if it was in one; none is begun by anybody else.
      const { length } = await stage.scene.coordinator.records();
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      assert.ok((await stage.scene.coordinator.records()).length <= length + 1, "nobody worked meanwhile");
    } finally {
      for (const tab of tabs) process.kill(tab, "SIGCONT");
    }
    await devtools.send("Page.setWebLifecycleState", { state: "active" });
    await volunteer.sees("is connected", (v) => v.view?.connection.connected, 3 * MINUTE);
    await contributes(volunteer);
    await volunteer.sees("still counts the rounds before", (v) => (v.view?.rounds_contributed ?? 0) > rounds, MINUTE);
  });
});
