// @ts-check
// What goes wrong with what a tab stores: refused space, emptied under the running tab, emptied or half
// emptied between two visits. Real module, real coordinator. Each test says what the visitor reads, what is
// kept, and that a later packet is accepted.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { contributes, contributor, midRound, MINUTE, reads, Scene, stage } from "./support/fault.mjs";
import { Volunteer } from "./support/volunteer.mjs";

before(async () => {
  stage.scene = await Scene.set();
}, { timeout: 5 * MINUTE });
after(() => stage.scene?.strike());

/** Bounds what may be stored for as long as the tab lives. @param {Volunteer} volunteer @param {number} quotaSize bytes */
async function quota(volunteer, quotaSize) {
  const devtools = await volunteer.context.newCDPSession(volunteer.page);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: stage.scene.coordinator.url, quotaSize });
}

/** Everything that browsers delete with "site data". @param {import("playwright-core").BrowserContext} context */
async function wipe(context) {
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.clearDataForOrigin", { origin: stage.scene.coordinator.url, storageTypes: "all" });
  await page.close();
}

/** What lies in the private file system. @param {Volunteer} volunteer */
const stored = (volunteer) => volunteer.page.evaluate(async () => {
  const root = await navigator.storage.getDirectory();
  const found = [];
  for await (const [name, slot] of /** @type {any} */ (await root.getDirectoryHandle("covey", { create: true })).entries()) {
    for await (const file of slot.keys()) found.push(`${name}/${file}`);
  }
  return found;
});

/** Closes the tab and comes back. @param {Volunteer} before @param {Volunteer[]} everyone */
async function comeBack(before, everyone) {
  if (!before.gone) {
    await midRound(before);
    await before.leave();
  }
  const volunteer = await Volunteer.join(`${before.name} again`, before.context, `${stage.scene.coordinator.url}/?backend=flex&share=100`);
  everyone.push(volunteer);
  return volunteer;
}

Scene.test("space_refused_while_running_costs_nothing_that_was_stored", async (context, everyone) => {
  const volunteer = await contributor("no space", context, everyone);
  // What it has so far is stored before anything goes wrong.
  await midRound(volunteer);
  const identity = volunteer.view?.volunteer;
  await quota(volunteer, 1);
  await reads(volunteer, "#resumed", /Progress could not be saved in this browser \(.+\); work goes on/);
  await contributes(volunteer);
  // Saved twice in vain: neither may have destroyed the save before.
  await contributes(volunteer);
  const rounds = volunteer.view?.rounds_contributed ?? 0;
  const again = await comeBack(volunteer, everyone);
  await reads(again, "#resumed", /Welcome back: continued with \d+ rounds? contributed/);
  await again.look();
  assert.equal(again.view?.volunteer, identity);
  assert.ok((again.view?.rounds_contributed ?? 0) > 0);
  assert.ok((again.view?.rounds_contributed ?? 0) < rounds, "what was not saved is not counted, but its packets are in the run");
  // The refusal ended with the tab it was made for: what comes now is stored.
  await contributes(again);
  await contributes(again);
});

Scene.test("space_refused_at_the_first_visit_is_said_and_does_not_stop_the_work", async (context, everyone) => {
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: stage.scene.coordinator.url, quotaSize: 1 });
  const volunteer = await contributor("no room", context, everyone);
  await reads(volunteer, "#resumed", /This browser keeps nothing between visits, so each visit starts fresh/);
  const identity = volunteer.view?.volunteer;
  await contributes(volunteer);
  // With room again the next visit is an ordinary first one: nothing half-written is in its way.
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: stage.scene.coordinator.url });
  const again = await comeBack(volunteer, everyone);
  await reads(again, "#resumed", /First visit to this run in this browser/);
  await contributes(again);
  assert.notEqual(again.view?.volunteer, identity);
});

Scene.test("storage_emptied_under_a_running_tab_is_filled_again", async (context, everyone) => {
  const volunteer = await contributor("emptied", context, everyone);
  await midRound(volunteer);
  const identity = volunteer.view?.volunteer;
  await wipe(context);
  await reads(volunteer, "#resumed", /storage was emptied while the tab ran; identity and progress were stored again/);
  await contributes(volunteer);
  const files = await stored(volunteer);
  assert.ok(files.some((name) => name.endsWith("/identity")) && files.length >= 2, files.join(", "));
  const rounds = volunteer.view?.rounds_contributed ?? 0;
  const again = await comeBack(volunteer, everyone);
  await reads(again, "#resumed", /Welcome back/);
  await contributes(again);
  assert.equal(again.view?.volunteer, identity, "the same volunteer, who keeps what it earned");
  assert.ok((again.view?.rounds_contributed ?? 0) >= rounds);
});

Scene.test("storage_emptied_between_visits_begins_anew", async (context, everyone) => {
  const volunteer = await contributor("forgotten", context, everyone);
  await volunteer.leave();
  await wipe(context);
  const again = await comeBack(volunteer, everyone);
  await reads(again, "#resumed", /First visit to this run in this browser/);
  await contributes(again);
  assert.notEqual(again.view?.volunteer, volunteer.view?.volunteer);
});

Scene.test("a_lost_key_for_the_stored_identity_is_said_and_deleting_helps", async (context, everyone) => {
  const volunteer = await contributor("locked out", context, everyone);
  await volunteer.leave();
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Storage.clearDataForOrigin", { origin: stage.scene.coordinator.url, storageTypes: "indexeddb" });
  await page.close();
  const again = await comeBack(volunteer, everyone);
  // Nobody silently becomes somebody else: the visitor decides.
  await reads(again, "covey-problem", /stored identity cannot be used: the key that opens the stored identity is gone[\s\S]*delete what this browser stored/);
  await again.page.click("#forget");
  await again.page.getByRole("button", { name: "Delete", exact: true }).click();
  await again.page.getByText("Deleted. This browser stores nothing of Covey any more.").waitFor();
  await again.page.click("#contribute");
  await contributes(again);
});
