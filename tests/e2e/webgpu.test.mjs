// @ts-check
// Two volunteers on different backends: one forced onto WebGPU (in software here, so twenty tokens a
// second and most of a minute for the first step), one on the CPU. Their results pass the self-check,
// both contribute to the same rounds, and both arrive at the same weights, bit for bit. Then the graphics
// device is lost: another one is opened, and in the end the CPU takes over.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { contributes, reads, workerOf } from "./support/fault.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const BUDGET = Number(process.env.COVEY_BUDGET_MINUTES ?? 30) * 60_000;
/** As little work as a round can hold: software graphics are slow. */
const CONFIG = `
assess_sequences = 0
evaluate_sequences = 0

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
/** @type {Volunteer} */ let gpu;
/** @type {Volunteer} */ let cpu;

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

/** Keeps the graphics devices that a worker opens. */
function keepDevices() {
  const { requestDevice } = GPUAdapter.prototype;
  const devices = /** @type {any[]} */ ([]);
  Object.assign(globalThis, { devices });
  GPUAdapter.prototype.requestDevice = async function (...wishes) {
    const device = await requestDevice.apply(this, wishes);
    devices.push(device);
    return device;
  };
}

test("webgpu_and_the_cpu_train_the_same_weights", { timeout: BUDGET }, async () => {
  const context = await browser.newContext();
  // A worker fetches the module before it opens a device, which takes longer than this.
  context.on("page", (page) => page.on("worker", (worker) => void worker.evaluate(keepDevices).catch(() => {})));
  gpu = await Volunteer.join("gpu", context, `${coordinator.url}/?backend=webgpu&share=100`);
  // Alone it could close no round: the second joins only when the slow probe is over.
  await gpu.sees("finishes its probe", (v) => v.view?.backend, BUDGET);
  assert.equal(gpu.view?.backend?.name, "webgpu", gpu.view?.backend?.reason);
  assert.ok(gpu.view?.backend?.webgpu_ms && gpu.view.backend.flex_ms, "both were timed");
  console.log(gpu.view.backend.reason);
  cpu = await Volunteer.join("cpu", await browser.newContext(), `${coordinator.url}/?backend=flex&share=100`);
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

test("a_lost_graphics_device_is_opened_anew_and_the_cpu_takes_over_in_the_end", { timeout: BUDGET }, async () => {
  assert.ok(gpu?.receipts.size, "the test before got it to train");
  await gpu.sees("trains on WebGPU", (v) => v.view?.state === "training", BUDGET / 2);
  const first = workerOf(gpu);
  await first.evaluate(() => /** @type {any} */ (globalThis).devices.at(-1).destroy());
  await reads(gpu, "[data-code=device_lost]", /graphics device was lost[\s\S]*tried at once[\s\S]*What was accepted is safe/i);
  await until("another worker", () => gpu.page.workers().length > 0 && !gpu.page.workers().includes(first), BUDGET / 2);
  await contributes(gpu);
  assert.equal(gpu.view?.backend?.name, "webgpu", "on a new device");

  // Two more losses in a row would take minutes of software graphics: the worker says what it would say.
  await workerOf(gpu).evaluate(() => postMessage({ type: "device_lost", retry_in_ms: 0, devices_lost: 3, message: "The graphics device was lost once more. The CPU takes over." }));
  await reads(gpu, "[data-code=device_lost]", /The CPU takes over/);
  await gpu.sees("computes on the CPU", (v) => v.view?.backend?.name === "flex", BUDGET / 2);
  await reads(gpu, "#backend-reason", /lost its device 3 times in a row, so the CPU is used for the rest of this visit/);
  await contributes(gpu);

  for (const volunteer of [gpu, cpu]) assert.deepEqual(volunteer.errors, [], volunteer.name);
  await cpu.look();
  const receipts = [gpu, cpu].flatMap((volunteer) => [...volunteer.receipts.values()]);
  const newest = Math.max(...receipts.map(({ round }) => round));
  await until("the newest receipt's round closes", async () => {
    await Promise.all([gpu.look(), cpu.look()]);
    return (await coordinator.run()).round > newest;
  }, BUDGET / 2);
  const packets = new Set((await coordinator.records()).flatMap(({ contributions }) => contributions.map(({ packet }) => packet)));
  for (const { round, packet } of receipts) assert.ok(packets.has(packet), `the acknowledged packet of round ${round} is missing`);
});
