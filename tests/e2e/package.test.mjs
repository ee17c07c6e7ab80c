// @ts-check
// The package's module as a developer's page uses it: loaded from the page's own origin and from
// another one, held to its hashes, driven and stopped. The program is the scripted one.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { launch, until } from "./support/browser.mjs";
import { send, site, WASM, WWW } from "./support/site.mjs";
import { training } from "./support/views.mjs";

const PKG = process.env.COVEY_REPOSITORY ? join(process.env.COVEY_REPOSITORY, "pkg") : fileURLToPath(new URL("../../pkg", import.meta.url));
const SCRIPTED = await readFile(fileURLToPath(new URL("./support/scripted-module.js", import.meta.url)));
const WITHIN = 30_000;
/** The policy that the package's README asks for, for a program of another origin. @param {string} operator */
const policy = (operator) => `default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${operator}`;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** @param {Buffer} bytes */
const sri = (bytes) => `sha384-${createHash("sha384").update(bytes).digest("base64")}`;

/**
 * A developer's page with the package on it, and an operator that serves the versioned files.
 * @param {string} name
 * @param {(t: {page: import("playwright-core").Page, own: Awaited<ReturnType<typeof site>>, operator: Awaited<ReturnType<typeof site>>}) => Promise<void>} body
 */
function on(name, body) {
  test(name, { timeout: 120_000 }, async () => {
    const [own, operator] = [await site(), await site()];
    const script = (/** @type {string | Buffer} */ text) => (/** @type {any} */ _, /** @type {any} */ response) => send(response, text, "text/javascript");
    const release = `export const VERSION = "1.2.3"; export const INTEGRITY = ${JSON.stringify({ "module/covey.js": sri(SCRIPTED), "module/covey_bg.wasm": sri(WASM) })};`;
    for (const file of ["index.js", "worker.js"]) {
      const text = await readFile(join(PKG, "src", file));
      own.answers[`/pkg/${file}`] = (_, response) => send(response, text, "text/javascript", { "content-security-policy": policy(operator.url) });
    }
    own.answers["/pkg/release.js"] = script(release);
    own.answers["/pkg/keystore.js"] = script(await readFile(join(WWW, "app/keystore.js")));
    own.answers["/"] = (_, response) => send(response, "<!doctype html><title>Developer</title>", "text/html", { "content-security-policy": policy(operator.url) });
    for (const [home, headers] of /** @type {const} */ ([[own, {}], [operator, { "access-control-allow-origin": "*" }]])) {
      home.answers["/v1.2.3/module/covey.js"] = home.answers["/pkg/v1.2.3/module/covey.js"] = (_, response) => send(response, SCRIPTED, "text/javascript", headers);
      home.answers["/v1.2.3/module/covey_bg.wasm"] = home.answers["/pkg/v1.2.3/module/covey_bg.wasm"] = (_, response) => send(response, WASM, "application/wasm", headers);
    }
    const page = await browser.newPage();
    try {
      await page.goto(own.url);
      await body({ page, own, operator });
    } finally {
      await page.close();
      await own.close();
      await operator.close();
    }
  });
}

/** Makes a contributor on the page and starts it; what came of it. @param {import("playwright-core").Page} page @param {object} options */
const start = (page, options) => page.evaluate(async (options) => {
  const { Contributor } = await import(/** @type {string} */ ("/pkg/index.js"));
  const contributor = new Contributor({ coordinators: ["https://covey.example"], ...options });
  Object.assign(globalThis, { contributor });
  return contributor.start().then(() => "started", (/** @type {any} */ error) => error.code);
}, options);

/** @param {import("playwright-core").Page} page */
const intents = async (page) => {
  const worker = await until("a worker", () => page.workers()[0], WITHIN);
  return /** @type {Promise<any[]>} */ (worker.evaluate(() => /** @type {any} */ (globalThis).scripted.intents));
};

on("it_loads_beside_the_package_trains_and_stops", async ({ page, own }) => {
  assert.equal(await start(page, { share: 75, partner: "my-site" }), "started");
  assert.ok(own.requests.includes("/pkg/v1.2.3/module/covey_bg.wasm"));
  await until("the start", async () => (await intents(page)).length > 0, WITHIN);
  assert.deepEqual(await intents(page), [{ type: "start", coordinators: ["https://covey.example"], backend: "auto", share: 75, slot: 0, partner: "my-site" }]);
  const tell = (/** @type {object} */ report) => page.workers()[0]?.evaluate((report) => /** @type {any} */ (globalThis).scripted.tell(report), report);
  await tell(training());
  await page.waitForFunction(() => /** @type {any} */ (globalThis).contributor.view?.round === 12);
  const text = page.evaluate(() => /** @type {any} */ (globalThis).contributor.sample("To be", { tokens: 20 }));
  await until("the wish", async () => (await intents(page)).some((intent) => intent.type === "sample"), WITHIN);
  await tell({ type: "sample", text: "To be or", done: false, error: null });
  await tell({ type: "sample", text: "To be or not", done: true, error: null });
  assert.equal(await text, "To be or not");
  const signed = page.evaluate(() => /** @type {any} */ (globalThis).contributor.sign("authorise me").catch((/** @type {any} */ error) => error.code));
  await until("the wish", async () => (await intents(page)).some((intent) => intent.type === "sign_session"), WITHIN);
  await tell({ type: "session_signature", signature: null, error: "not this text" });
  assert.equal(await signed, "not_signed");
  const stopped = page.evaluate(() => /** @type {any} */ (globalThis).contributor.stop());
  await until("the stop", async () => (await intents(page)).some((intent) => intent.type === "stop"), WITHIN);
  await tell(training({ state: "stopped" }));
  await stopped;
  await until("no worker", () => page.workers().length === 0, WITHIN);
});

on("a_program_of_another_origin_runs_from_the_checked_bytes", async ({ page, operator }) => {
  // Whoever asks twice gets another script the second time; it must not be asked for twice.
  let asked = 0;
  operator.answers["/v1.2.3/module/covey.js"] = (_, response) => {
    asked += 1;
    send(response, asked === 1 ? SCRIPTED : "throw new Error('another script')", "text/javascript", { "access-control-allow-origin": "*" });
  };
  assert.equal(await start(page, { base: `${operator.url}/v1.2.3/` }), "started");
  assert.equal(asked, 1);
});

for (const [what, path] of /** @type {const} */ ([["script", "module/covey.js"], ["program", "module/covey_bg.wasm"]])) {
  on(`a_${what}_that_was_changed_is_refused_before_it_runs`, async ({ page, operator }) => {
    const bytes = Buffer.from(path.endsWith(".js") ? SCRIPTED : WASM);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    operator.answers[`/v1.2.3/${path}`] = (_, response) => send(response, bytes, path.endsWith(".js") ? "text/javascript" : "application/wasm", { "access-control-allow-origin": "*" });
    assert.equal(await start(page, { base: `${operator.url}/v1.2.3/` }), "integrity");
    // The browser says that a worker has ended a moment after it did.
    await until("the worker's end", () => page.workers().length === 0, WITHIN);
  });
}

on("a_program_that_is_missing_says_so", async ({ page, operator }) => {
  operator.answers["/v1.2.3/module/covey_bg.wasm"] = (_, response) => response.writeHead(404, { "access-control-allow-origin": "*" }).end();
  assert.equal(await start(page, { base: `${operator.url}/v1.2.3/` }), "module_missing");
});
