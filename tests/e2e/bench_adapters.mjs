// @ts-check
// What Chromium makes of the work that examples/adapters.rs prepared: the same inner steps from the same
// weights on the CPU backend and on WebGPU, each twice, as packets beside those made natively.
//
//   node bench_adapters.mjs --out DIR [--repeat-webgpu H]
//
// WebGPU in software takes many seconds a step, so its repetition stops after H inner steps (default 5).

import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch } from "./support/browser.mjs";
import { site, WWW } from "./support/site.mjs";

/** @param {string} name */
function argument(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

const OUT = argument("--out") ?? "";
const REPEAT_WEBGPU = Number(argument("--repeat-webgpu") ?? 5);
const BASES = ["initial", "trained"];
const PATIENCE = 90 * 60_000;

const WORKER = `
  import init, { measure_packets } from "/module/covey.js";
  onmessage = async ({ data: { work, base, backend } }) => {
    try {
      await init({ module_or_path: "/module/covey_bg.wasm" });
      const theta = new Float32Array(await (await fetch("/" + base)).arrayBuffer());
      postMessage({ result: await measure_packets(work, theta, backend) });
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

const work = JSON.parse(readFileSync(join(OUT, "work.json"), "utf8"));
const server = await site({
  "/bench.html": serveText("text/html", "<!doctype html><title>bench</title>"),
  "/bench-worker.js": serveText("text/javascript", WORKER),
  "/module/covey.js": serveFile("text/javascript", join(WWW, "module/covey.js")),
  "/module/covey_bg.wasm": serveFile("application/wasm", join(WWW, "module/covey_bg.wasm")),
  ...Object.fromEntries(BASES.map((base) => [`/${base}`, serveFile("application/octet-stream", join(OUT, `${base}.theta`))])),
});
const browser = await launch();
for (const backend of ["flex", "webgpu"]) {
  for (const time of ["", " again"]) {
    const asked = { ...work, steps: work.steps.filter((/** @type {number} */ steps) => !time || backend === "flex" || steps <= REPEAT_WEBGPU) };
    for (const base of BASES) {
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE);
      await page.goto(`${server.url}/bench.html`);
      const begun = Date.now();
      const outcome = await page.evaluate((request) => new Promise((resolve) => {
        const worker = new Worker("/bench-worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => resolve({ error: event.message });
        worker.postMessage(request);
      }), { work: JSON.stringify(asked), base, backend });
      await page.close();
      const { result, error } = /** @type {any} */ (outcome);
      if (error) throw new Error(`${backend}: ${error}`);
      writeFileSync(join(OUT, `wasm ${backend}${time}, ${base}.json`), result);
      console.error(`wasm ${backend}${time} from ${base} weights: ${asked.steps.join(", ")} inner steps in ${Math.round((Date.now() - begun) / 1000)} s`);
    }
  }
}
await browser.close();
await server.close();
