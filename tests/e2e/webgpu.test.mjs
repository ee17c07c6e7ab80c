// @ts-check
// Two volunteers on different backends: one forced onto WebGPU (in software here, so twenty tokens a
// second and most of a minute for the first step), one on the CPU. Their results pass the self-check,
// both contribute to the same rounds, and both arrive at the same weights, bit for bit.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * 60_000;
/** As little work as a round can hold: software graphics are slow. */
const CONFIG = `
[run]
name = "two backends"

[run.inner]
steps = 1
batch = 1

[run.rounds]
window_ms = 300000
min_contributions = 2
`;

/** @type {Coordinator} */ let coordinator;
/** @type {import("playwright-core").Browser} */ let browser;

before(async () => {
  coordinator = await Coordinator.create(CONFIG);
  await coordinator.start();
  browser = await launch();
}, { timeout: 5 * 60_000 });

after(async () => {
  await browser?.close();
  await coordinator?.kill();
  coordinator?.log.end();
});

test("webgpu_and_the_cpu_train_the_same_weights", { timeout: BUDGET }, async () => {
  const gpu = await Volunteer.join("gpu", await browser.newContext(), `${coordinator.url}/?backend=webgpu`);
  // Alone it could close no round: the second joins only when the slow probe is over.
  await gpu.sees("finishes its probe", (v) => v.view?.backend, BUDGET);
  assert.equal(gpu.view?.backend?.name, "webgpu", gpu.view?.backend?.reason);
  assert.ok(gpu.view?.backend?.webgpu_ms && gpu.view.backend.flex_ms, "both were timed");
  console.log(gpu.view.backend.reason);
  const cpu = await Volunteer.join("cpu", await browser.newContext(), `${coordinator.url}/?backend=flex`);
  await gpu.sees("gets a receipt", (v) => v.receipts.size > 0, BUDGET);

  const both = (/** @type {any} */ record) => record.contributions.length === 2;
  const record = await until("a round with both closes", async () => (await coordinator.records()).find(both), BUDGET);
  for (const volunteer of [gpu, cpu]) {
    await volunteer.sees("holds the round's weights", (v) => v.thetas.get(record.round + 1), BUDGET);
    assert.equal(volunteer.thetas.get(record.round + 1), record.theta_after, volunteer.name);
    assert.deepEqual(volunteer.errors, []);
  }
  const ids = record.contributions.map((/** @type {any} */ c) => c.volunteer).sort();
  assert.deepEqual(ids, [gpu.view?.volunteer, cpu.view?.volunteer].sort());
});
