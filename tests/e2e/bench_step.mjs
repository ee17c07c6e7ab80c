// @ts-check
// How fast one inner step is in Chromium, on both backends; how long from the click to the first step;
// how large the module is. Everything is the shipped module in a real browser.
//
//   node bench_step.mjs [--json FILE] [--seconds N] [--models tiny,small]
//
// Settings as for the tests: COVEY_WWW, and COVEY_COORDINATOR_BIN with COVEY_CORPUS for the clicks.

import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, brotliCompressSync } from "node:zlib";
import { launch, launchProfile, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { site, WWW } from "./support/site.mjs";

/** @typedef {{name: string, value: number, unit: string, against?: string, ratio?: number}} Row */

/** @param {string} name */
function argument(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

const SECONDS = Number(argument("--seconds") ?? 10);
const MODELS = (argument("--models") ?? "tiny,small").split(",");
/** WebGPU in software compiles kernels for most of a minute and then crawls. */
const PATIENCE = 20 * 60_000;
/** @type {Row[]} */
const rows = [];

const WORKER = `
  import init, { measure_step } from "/module/covey.js";
  onmessage = async ({ data }) => {
    try {
      await init({ module_or_path: "/module/covey_bg.wasm" });
      postMessage({ result: await measure_step(data) });
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };`;

/** @param {string} type @param {string} file */
const serveFile = (type, file) => (/** @type {any} */ _request, /** @type {any} */ response) => {
  response.writeHead(200, { "content-type": type });
  createReadStream(file).pipe(response);
};
/** @param {string} type @param {string} body */
const serveText = (type, body) => (/** @type {any} */ _request, /** @type {any} */ response) =>
  response.writeHead(200, { "content-type": type }).end(body);

async function steps() {
  const server = await site({
    "/bench.html": serveText("text/html", "<!doctype html><title>bench</title>"),
    "/bench-worker.js": serveText("text/javascript", WORKER),
    "/module/covey.js": serveFile("text/javascript", join(WWW, "module/covey.js")),
    "/module/covey_bg.wasm": serveFile("application/wasm", join(WWW, "module/covey_bg.wasm")),
  });
  const browser = await launch();
  for (const preset of MODELS) {
    /** @type {Row | undefined} */
    let flex;
    for (const backend of ["flex", "webgpu"]) {
      // A full batch of `small` would take software graphics a quarter of an hour.
      const batch = preset !== "tiny" && backend === "webgpu" ? 1 : 8;
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE);
      await page.goto(`${server.url}/bench.html`);
      const outcome = await page.evaluate((request) => new Promise((resolve) => {
        const worker = new Worker("/bench-worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => resolve({ error: event.message });
        worker.postMessage(request);
      }), { preset, backend, batch, seconds: SECONDS });
      await page.close();
      const { result, error } = /** @type {any} */ (outcome);
      if (error) {
        console.error(`${preset} on ${backend}: ${error}`);
        continue;
      }
      const name = `${preset}, Chromium ${backend}${batch === 8 ? "" : `, batch ${batch}`}`;
      /** @type {Row} */
      const row = { name, value: result.tokens_per_second, unit: "tokens/s" };
      if (flex) Object.assign(row, { against: flex.name, ratio: row.value / flex.value });
      else flex = row;
      rows.push(row, { name: `${name}: first step`, value: result.first_ms / 1000, unit: "s" });
      console.error(`${row.name}: ${row.value.toFixed(1)} tokens/s, first step ${(result.first_ms / 1000).toFixed(1)} s`);
    }
  }
  await browser.close();
  await server.close();
}

/** From pressing Contribute to the first finished inner step; the second visit finds the caches warm. */
async function clicks() {
  const coordinator = await Coordinator.create("[run]\nname = \"bench\"\n");
  await coordinator.start();
  const profile = mkdtempSync(join(tmpdir(), "covey-bench-"));
  /** @type {Row | undefined} */
  let cold;
  for (const visit of ["cold", "warm"]) {
    const home = await launchProfile(profile);
    const page = await home.newPage();
    await page.goto(coordinator.url);
    const begun = Date.now();
    await page.click("#contribute");
    await until("the first step", () => page.evaluate(() => /** @type {any} */ (window).covey.losses.length > 0), PATIENCE, 50);
    /** @type {Row} */
    const row = { name: `click to first step, ${visit}`, value: (Date.now() - begun) / 1000, unit: "s" };
    if (cold) Object.assign(row, { against: cold.name, ratio: row.value / cold.value });
    else cold = row;
    rows.push(row);
    // Chromium writes compiled code to its cache a little after it was used.
    await page.waitForTimeout(3000);
    await home.close();
  }
  await coordinator.kill();
  coordinator.log.end();
  rmSync(profile, { recursive: true, force: true });
}

function size() {
  const raw = readFileSync(join(WWW, "module/covey_bg.wasm"));
  const brotli = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 } });
  const name = "covey_bg.wasm";
  rows.push({ name, value: raw.length / 1e6, unit: "MB" });
  rows.push({ name: `${name}, Brotli 9`, value: brotli.length / 1e6, unit: "MB", against: name, ratio: brotli.length / raw.length });
}

size();
if (process.env.COVEY_COORDINATOR_BIN) await clicks();
await steps();
console.log("\n| what | value | unit | against |\n|---|---|---|---|");
for (const { name, value, unit, against, ratio } of rows) {
  console.log(`| ${name} | ${value.toFixed(3)} | ${unit} | ${against ? `${ratio?.toFixed(3)} x ${against}` : ""} |`);
}
const json = argument("--json");
if (json) writeFileSync(json, JSON.stringify(rows, null, 2));
