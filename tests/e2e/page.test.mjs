// @ts-check
// The page by itself, in a real Chromium, on a static server without a coordinator: consent before
// anything is fetched, every load failure in its own words, what the page asks of the module and
// shows of its answers, keyboard, narrow screens, several tabs. Training is not tested here.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, scrollsSideways, shot, soon, until } from "./support/browser.mjs";
import { Pages } from "./support/pages.mjs";
import { send, site, WASM, withHeaders } from "./support/site.mjs";
import { connecting, ME, OTHER, RUN, THETA, training } from "./support/views.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** For whatever the page does at once on an idle machine. */
const WITHIN = 30_000;

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Pages} */
let pages;
before(async () => {
  // A host name that is not local, so that a page can be opened without a secure context.
  browser = await launch(["--host-resolver-rules=MAP covey.test 127.0.0.1"]);
  pages = new Pages(browser);
});
after(() => browser.close());

/**
 * Runs a test on a site of its own.
 * @param {string} name
 * @param {(t: {page: Page, home: Awaited<ReturnType<typeof site>>, errors: string[], context: import("playwright-core").BrowserContext}) => Promise<void>} body
 * @param {{answers?: Record<string, import("./support/site.mjs").Answer>, context?: import("playwright-core").BrowserContextOptions}} [options]
 */
function on(name, body, options = {}) {
  test(name, { timeout: 90_000 }, async () => {
    const home = await site(options.answers);
    const { page, context, done } = await pages.take(options.context);
    let well = false;
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      // Without a coordinator the browser itself notes that the run's description is not there.
      if (message.type() === "error" && !/\/v1\/(run|witnesses)$/.test(message.location().url)) errors.push(message.text());
    });
    try {
      await body({ page, home, errors, context });
      well = true;
    } finally {
      await done(well);
      home.rest();
    }
  });
}

/** The newest worker, once its module answers. @param {Page} page */
async function worker(page) {
  const found = await until("a worker with its module", async () => {
    const newest = page.workers().at(-1);
    return newest && (await newest.evaluate("typeof scripted === 'object'")) && newest;
  }, WITHIN, 25);
  return {
    /** @param {object[]} reports */
    tell: (...reports) => found.evaluate((reports) => reports.forEach((r) => /** @type {any} */ (globalThis).scripted.tell(r)), reports),
    /** @returns {Promise<any[]>} */
    intents: () => found.evaluate(() => /** @type {any} */ (globalThis).scripted.intents),
    /** The last intent of a type, once it is as wanted. @param {string} type @param {(intent: any) => boolean} [wanted] @returns {Promise<any>} */
    intent(type, wanted = () => true) {
      return until(`intent ${type}`, async () => {
        const last = (await this.intents()).filter((intent) => intent.type === type).at(-1);
        return last && wanted(last) && last;
      }, WITHIN, 25);
    },
    evaluate: found.evaluate.bind(found),
  };
}

/** Presses Contribute. @param {Page} page @param {string} url */
async function contribute(page, url) {
  await page.goto(url);
  await page.click("#contribute");
}

/** The problem shown in place. @param {Page} page */
async function problem(page) {
  const card = page.locator("covey-problem:visible");
  await card.waitFor();
  return { code: await card.getAttribute("data-code"), text: await card.innerText() };
}

describe("consent", () => {
  on("nothing_of_the_program_is_fetched_before_the_click", async ({ page, home }) => {
    await page.goto(`${home.url}/?autostart=1&backend=webgpu`);
    await page.locator("#contribute:enabled").waitFor();
    await page.waitForLoadState("networkidle");
    const early = home.requests.filter((path) => path.startsWith("/module/") || path === "/worker.js");
    assert.deepEqual(early, []);
    assert.equal(page.workers().length, 0);
    await page.click("#contribute");
    await worker(page);
    assert.ok(home.requests.includes("/module/covey_bg.wasm"));
  });

  on("the_terms_name_computing_share_data_storage_and_stopping", async ({ page, home }) => {
    await page.goto(home.url);
    const terms = await page.locator("#consent").innerText();
    for (const words of [/What is computed/, /Share of this machine/, /Data used/, /Down:/, /Every round:/, /What is stored here/, /Pause, stop or close/]) {
      assert.match(terms, words);
    }
    await shot(page, "consent-wide");
  });

  on("a_link_that_names_a_coordinator_is_shown_in_the_terms", async ({ page, home }) => {
    await page.goto(`${home.url}/?coordinator=https://elsewhere.test:7443/&coordinator=javascript:alert(1)`);
    await soon(async () => assert.equal(await page.locator("#consent-where").innerText(), "elsewhere.test:7443"));
    await page.click("#contribute");
    const start = await (await worker(page)).intent("start");
    assert.deepEqual(start.coordinators, ["https://elsewhere.test:7443"]);
    assert.ok(!home.requests.includes("/v1/run"), "another coordinator was chosen, so this site's is not asked");
  });

  on("the_start_carries_share_backend_slot_and_facts_first", async ({ page, home }) => {
    await page.goto(`${home.url}/?backend=flex&share=75`);
    await page.locator("#consent-share input").press("ArrowRight");
    await page.click("#contribute");
    const module = await worker(page);
    assert.deepEqual(await module.intent("start"), { type: "start", coordinators: [home.url], backend: "flex", share: 100, slot: 0 });
    const [first] = await module.intents();
    assert.equal(first.type, "environment");
    assert.deepEqual(Object.keys(first).sort(), ["hidden", "metered", "on_battery", "online", "other_tab", "type"]);
    await soon(async () => assert.equal(await page.locator("#backend").inputValue(), "flex"));
  });

  on("coordinators_json_adds_addresses_after_this_site", async ({ page, home }) => {
    home.answers["/coordinators.json"] = (_, response) => send(response, JSON.stringify(["https://second.test", 7, "ftp://no.test"]), "application/json");
    await contribute(page, home.url);
    const start = await (await worker(page)).intent("start");
    assert.deepEqual(start.coordinators, [home.url, "https://second.test"]);
  });

  on("the_model_so_far_is_shown_when_this_site_has_a_run", async ({ page, home }) => {
    home.answers["/v1/run"] = (_, response) => send(response, JSON.stringify({
      protocol: 1, round: 4, spec: { name: "shakespeare" }, unigram_entropy: 3.3, checkpoint: { len: 4_214_784 },
      held_out: [5.5, 4.2, 3.6, 3.1].map((loss, round) => ({ round, loss })),
    }), "application/json");
    await page.goto(home.url);
    const card = page.locator("covey-run-preview");
    await card.waitFor();
    await soon(async () => assert.match(await card.innerText(), /shakespeare[\s\S]*round 4[\s\S]*3\.10[\s\S]*3\.30/));
    await soon(async () => assert.match(await page.locator("#consent-weights").innerText(), /4\.21\s?MB/));
  });

  on("an_answer_that_is_not_a_run_changes_nothing", async ({ page, home, errors }) => {
    home.answers["/v1/run"] = (_, response) => send(response, "<html>", "text/html");
    await page.goto(home.url);
    await page.waitForLoadState("networkidle");
    await soon(async () => assert.ok(await page.locator("covey-run-preview").isHidden()));
    assert.deepEqual(errors, []);
  });
});

describe("load failures have their own words", () => {
  /** @type {(status: number) => import("./support/site.mjs").Answer} */
  const status = (status) => (_, response) => response.writeHead(status).end();
  /** @type {import("./support/site.mjs").Answer} */
  const html = (_, response) => send(response, "<!doctype html><title>Start</title>", "text/html");

  /**
   * @param {string} name @param {string} code @param {RegExp} words
   * @param {Record<string, import("./support/site.mjs").Answer>} answers
   */
  const fails = (name, code, words, answers) =>
    on(name, async ({ page, home }) => {
      await contribute(page, home.url);
      const found = await problem(page);
      assert.equal(found.code, code);
      assert.match(found.text, words);
      await soon(async () => assert.ok(await page.locator("covey-problem button").isVisible()));
    }, { answers });

  fails("a_module_that_was_not_built", "module_missing", /has not been built: run cargo xtask start/, { "/module/covey.js": status(404) });
  fails("webassembly_that_was_not_built", "module_missing", /cargo xtask start/, { "/module/covey_bg.wasm": status(404) });
  fails("a_server_that_fails", "module_http", /error/, { "/module/covey_bg.wasm": status(503) });
  fails("a_script_of_the_wrong_type", "module_mime", /text\/javascript/, { "/module/covey.js": html });
  fails("webassembly_replaced_by_a_page", "wasm_mime", /application\/wasm/, { "/module/covey_bg.wasm": html });
  fails("webassembly_that_arrives_damaged", "wasm_invalid", /not valid WebAssembly/, {
    "/module/covey_bg.wasm": (_, response) => send(response, WASM.subarray(0, 1000), "application/wasm"),
  });
  fails("a_policy_that_forbids_webassembly", "csp_wasm", /'wasm-unsafe-eval'/, {
    "/worker.js": withHeaders("worker.js", { "content-security-policy": "script-src 'self'" }),
  });
  fails("a_policy_that_forbids_the_worker", "csp_worker", /worker-src 'self'/, {
    "/": withHeaders("index.html", { "content-security-policy": "worker-src 'none'" }),
  });
  fails("a_worker_script_that_is_missing", "worker_script", /worker\.js/, { "/worker.js": status(404) });

  on("a_broken_download_can_be_started_again", async ({ page, home }) => {
    home.answers["/module/covey_bg.wasm"] = (request) => void request.socket.destroy();
    await contribute(page, home.url);
    assert.equal((await problem(page)).code, "network");
    delete home.answers["/module/covey_bg.wasm"];
    await page.getByRole("button", { name: "Start again" }).click();
    await (await worker(page)).intent("start");
    await page.locator("covey-problem:visible").waitFor({ state: "detached" });
  });

  on("a_wrong_label_alone_is_corrected_and_mentioned", async ({ page, home }) => {
    home.answers["/module/covey_bg.wasm"] = (_, response) => send(response, WASM, "application/octet-stream");
    await contribute(page, home.url);
    await (await worker(page)).intent("start");
    await page.locator("#notices", { hasText: "application/octet-stream instead of application/wasm" }).waitFor();
  });

  on("no_webassembly_is_said_before_the_terms", async ({ page, home }) => {
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebAssembly"));
    await page.goto(home.url);
    assert.equal((await problem(page)).code, "no_wasm");
  });

  on("a_browser_without_module_workers", async ({ page, home }) => {
    await page.addInitScript(() => {
      // As old browsers do: the second argument is never looked at.
      const { Worker } = globalThis;
      globalThis.Worker = class extends Worker {
        constructor(/** @type {string | URL} */ url) {
          super(url);
        }
      };
    });
    await contribute(page, home.url);
    assert.equal((await problem(page)).code, "no_module_workers");
    assert.ok(!home.requests.includes("/module/covey_bg.wasm"));
  });

  on("a_page_that_is_not_a_secure_context", async ({ page, home }) => {
    await page.goto(`http://covey.test:${home.port}/`);
    assert.equal((await problem(page)).code, "insecure_context");
  });

  on("a_start_without_progress_is_called_slow_after_twenty_seconds", async ({ page, home }) => {
    home.answers["/module/covey.js"] = () => {};
    await page.clock.install();
    await contribute(page, home.url);
    await until("the worker begins", () => page.workers().length > 0, WITHIN, 25);
    await page.clock.fastForward(15_000);
    await soon(async () => assert.equal(await page.locator("[data-code=slow_start]").count(), 0));
    await page.clock.fastForward(10_000);
    await page.clock.runFor(100);
    await soon(async () => assert.match(await page.locator("[data-code=slow_start]").innerText(), /Microsoft Edge/));
  });

  on("a_download_shows_its_bytes", async ({ page, home }) => {
    home.answers["/module/covey_bg.wasm"] = (_, response) => {
      response.writeHead(200, { "content-type": "application/wasm", "content-length": WASM.length });
      response.write(WASM.subarray(0, 40_000));
      setTimeout(() => response.write(WASM.subarray(40_000, 50_000)), 300);
    };
    await contribute(page, home.url);
    await page.getByText(/(40\.0|50\.0)\s?kB of 65\.[56]\s?kB/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    // Stopping while it loads leads back to the terms.
    await page.locator("#contribute").waitFor();
  });

  on("who_recomputed_the_run_and_who_disagrees_is_shown", async ({ page, home, errors }) => {
    const said = (/** @type {number} */ n, /** @type {string} */ name, /** @type {number} */ round, /** @type {object} */ verdict) =>
      ({ witness: `${n}`.repeat(64), signature: "", statement: { kind: "server", name, round, verdict } });
    home.answers["/v1/witnesses"] = (_, response) => send(response, Buffer.from(JSON.stringify({
      round: 12,
      servers: [said(1, "a library", 12, { is: "agrees" }), said(2, "<b>another</b>", 9, { is: "agrees" })],
      tabs: { agree: 3, round: 11, latest: [] },
      disagreements: [said(3, "", 7, { is: "disagrees", place: "weights", number: 7, expected: THETA, found: ME })],
    })), "application/json");
    await contribute(page, home.url);
    const module = await worker(page);
    const connection = { url: home.url, connected: true, attempt: 0, retry_at_ms: null, error: null };
    await module.tell(training({ connection }));
    const panel = page.locator("#witnesses");
    await panel.getByText("3 tabs agree up to round 11.").waitFor();
    assert.deepEqual(await panel.locator("tbody tr").evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).innerText.replace(/\s+/g, " "))), [
      "A server 33333333\u2026 Round 7: the contributions add up to other weights than the record says.",
      "a library 11111111\u2026 agrees with every round",
      "<b>another</b> 22222222\u2026 agrees up to round 9, 3 rounds behind",
    ]);
    const disagreement = "This tab recomputed round 8 and disagrees: the contributions add up to other weights than the record says.";
    await module.tell(training({ connection, disagreement, run: { ...RUN, coordinator: OTHER }, handover: { old: ME, new: OTHER, round: 6, changed_here: true } }));
    await panel.getByRole("alert").waitFor();
    await soon(async () => assert.match(await panel.innerText(), /From round 6 on this run is coordinated by b2b2b2b2\u2026, which took it over from a1a1a1a1\u2026/));
    for (const [name, scheme, width] of /** @type {const} */ ([["light", "light", 1280], ["dark", "dark", 1280], ["390", "light", 390]])) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 900 });
      assert.equal(await scrollsSideways(page), false);
      await panel.scrollIntoViewIfNeeded();
      await shot(page, `witness-panel-${name}`);
    }
    assert.deepEqual(errors, []);
  });

  on("a_crash_offers_a_new_worker", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    await module.evaluate(() => {
      console.error("panicked at src/lib.rs:1:1:\nboom");
      const trap = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 97, 0, 0, 10, 5, 1, 3, 0, 0, 11];
      setTimeout(() => /** @type {any} */ (new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(trap))).exports).a());
    });
    const found = await problem(page);
    assert.equal(found.code, "panic");
    await page.getByText("Technical message").click();
    await soon(async () => assert.match(await page.locator("covey-problem pre").innerText(), /boom[\s\S]*unreachable/));
    const again = page.waitForEvent("worker");
    await page.getByRole("button", { name: "Start again" }).click();
    await again;
    await (await worker(page)).intent("start");
  });

  on("a_protocol_that_is_too_old_asks_for_a_reload", async ({ page, home }) => {
    await contribute(page, home.url);
    await (await worker(page)).tell({ type: "fatal", code: "protocol_old", message: "This page speaks protocol 1; the coordinator needs 2.", remedy: "Reload the page to get the current version." });
    const found = await problem(page);
    assert.match(found.text, /older than the coordinator[\s\S]*protocol 1[\s\S]*Reload the page/);
    await until("the worker's end", () => page.workers().length === 0, WITHIN, 25);
  });

  on("no_coordinator_says_what_to_check_and_counts_down", async ({ page, home }) => {
    await contribute(page, home.url);
    const lost = { url: "http://coordinator.test:7000", connected: false, attempt: 3, retry_at_ms: Date.now() + 60_000, error: "No coordinator answers at this address." };
    await (await worker(page)).tell(connecting({ connection: lost }));
    assert.match((await problem(page)).text, /cargo xtask start/);
    const line = page.locator("#connection");
    const seconds = async () => Number(/again in (\d+) s/.exec(await line.innerText())?.[1]);
    const first = await seconds();
    await page.waitForFunction((first) => {
      const now = /again in (\d+) s/.exec(document.querySelector("#connection")?.textContent ?? "")?.[1];
      return now !== undefined && Number(now) < first;
    }, first);
  });
});

describe("the live panel", () => {
  on("shows_what_the_module_reports", async ({ page, home, errors }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    const losses = Array.from({ length: 240 }, (_, step) => ({ type: "loss", step, loss: 5.5 - step / 80, tokens: step * 1024 }));
    await module.tell(training(), ...losses, { type: "receipt", receipt: { round: 11, packet: "e5".repeat(32), tokens: 20_480, received_at_ms: Date.now() } });
    await page.getByRole("heading", { name: "Training round 12: step 7 of 20." }).waitFor();
    // Every report came, and was drawn.
    await page.locator("#receipts tbody tr").waitFor();
    await page.locator(".legend", { hasText: "2.513" }).waitFor();
    const text = async (/** @type {string} */ selector) => (await page.locator(selector).innerText()).replace(/\s+/g, " ");
    assert.equal(await text("#tokens-per-second"), "903");
    assert.equal(await text("#rounds"), "12");
    assert.equal(await text("#bytes-up"), "387 kB");
    assert.equal(await text("#bytes-down"), "6.20 MB");
    assert.match(await text("#deadline"), /Round 12 closes in (1:0[0-5]|0:\d\d)/);
    assert.match(await text("#backend-reason"), /35\.0 times faster/);
    await soon(async () => assert.equal(await page.locator("#theta code").getAttribute("title"), THETA));
    assert.match(await text("#receipts tbody"), /11 20,480 e5e5e5e5/);
    assert.match(await text("#peers"), /2 volunteers[\s\S]*you · CPU training 903 12[\s\S]*WebGPU done this round 8,123 40/);
    assert.match(await text(".legend"), /Your training loss 2\.513 Held-out loss of the run 3\.100 Unigram entropy 3\.320/);
    const inked = () => page.locator("#chart canvas").evaluate((canvas) => {
      const { width, height } = /** @type {HTMLCanvasElement} */ (canvas);
      const pixels = /** @type {HTMLCanvasElement} */ (canvas).getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
      return pixels.filter((_, i) => i % 4 === 3 && /** @type {number} */ (pixels[i]) > 0).length;
    });
    await until("the curve is drawn", async () => (await inked()) > 1000, WITHIN, 100);
    const seen = await page.evaluate(() => {
      const covey = /** @type {any} */ (window).covey;
      return { losses: covey.losses.length, heldOut: covey.heldOut.length, receipts: covey.receipts.length, state: covey.view.state };
    });
    assert.deepEqual(seen, { losses: 240, heldOut: 13, receipts: 1, state: "training" });
    assert.deepEqual(errors, []);
    await shot(page, "panel-wide");
  });

  on("a_pause_says_why_and_can_be_overridden", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    const battery = { reason: "battery", text: "Paused because this device runs on battery.", override: true };
    const user = { reason: "user", text: "Paused by you.", override: false };
    await module.tell(training({ state: "paused", status: "Paused.", pauses: [user, battery] }));
    await page.getByText("Paused because this device runs on battery.").first().waitFor();
    await soon(async () => assert.equal(await page.getByRole("button", { name: "Contribute anyway" }).count(), 1));
    await soon(async () => assert.equal(await page.locator("#pause").innerText(), "Resume"));
    await page.getByRole("button", { name: "Contribute anyway" }).click();
    assert.deepEqual(await module.intent("override"), { type: "override", reason: "battery", on: true });
    await module.tell(training({ overrides: ["battery"] }));
    await page.getByRole("button", { name: "Pause instead" }).click();
    assert.deepEqual(await module.intent("override", ({ on }) => !on), { type: "override", reason: "battery", on: false });
  });

  on("pause_resume_stop_and_share_are_intents", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    await page.click("#pause");
    await module.intent("pause");
    await module.tell(training({ state: "paused", pauses: [{ reason: "user", text: "Paused by you.", override: false }] }));
    await page.getByRole("button", { name: "Resume" }).click();
    await module.intent("resume");
    await page.locator("#share input").press("End");
    assert.deepEqual(await module.intent("share"), { type: "share", value: 100 });
    await module.tell(training());
    await page.click("#stop");
    await module.intent("stop");
    await module.tell(training({ state: "stopped", status: "Stopped." }));
    await page.getByRole("button", { name: "Contribute again" }).click();
    const starts = await until("the second start", async () => {
      const found = (await module.intents()).filter((intent) => intent.type === "start");
      return found.length > 1 && found;
    }, WITHIN, 25);
    assert.equal(starts.length, 2);
    assert.equal(starts[1].share, 100);
  });

  on("validating_is_chosen_told_and_remembered", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.intent("start");
    assert.equal((await module.intents()).filter((intent) => intent.type === "validate").length, 0, "off unless it was chosen");
    const validation = { on: true, only: false, active: false, status: "Not active: nothing is staked on this tab\u2019s key.", stake: "0", rounds: 0, packets: 0, weights_set: null };
    await module.tell(training());
    await soon(async () => assert.ok(await page.locator("#validate-only").isDisabled()));
    await soon(async () => assert.ok(await page.locator("#validate-wallet").isHidden()));
    await page.check("#validate");
    assert.deepEqual(await module.intent("validate"), { type: "validate", on: true, only: false });
    await module.tell(training({ validation }));
    await page.getByText("nothing is staked on this tab").waitFor();
    await soon(async () => assert.equal(await page.locator("#validate-wallet").getAttribute("href"), `wallet.html?validator=0x${ME}#stake`));
    await page.check("#validate-only");
    assert.deepEqual(await module.intent("validate", ({ only }) => only), { type: "validate", on: true, only: true });
    await module.tell(training({ state: "validating", validation: { ...validation, only: true, active: true, status: "Active.", stake: "1234000000000", rounds: 3, packets: 12, weights_set: 4567 } }));
    await page.getByText("Active.", { exact: true }).waitFor();
    const shown = (await page.locator("#validate-numbers").innerText()).replace(/[\u202f\u00a0,.]/g, "");
    assert.match(shown, /12[\s\S]*1234 \u03b1[\s\S]*4567/);
    await soon(async () => assert.ok(await page.locator("#validate-wallet").isHidden()));
    await page.reload();
    await page.click("#contribute");
    const again = await worker(page);
    assert.deepEqual(await again.intent("validate"), { type: "validate", on: true, only: true });
    await again.tell(training());
    await page.uncheck("#validate");
    assert.deepEqual(await again.intent("validate", ({ on }) => !on), { type: "validate", on: false, only: false });
    assert.ok(!(await page.locator("#validate-only").isChecked()));
  });

  on("another_backend_is_a_stop_and_a_start", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    await page.selectOption("#backend", "webgpu");
    await module.intent("stop");
    assert.equal((await module.intents()).filter((intent) => intent.type === "start").length, 1);
    await module.tell(training({ state: "stopped" }));
    await module.intent("start", ({ backend }) => backend === "webgpu");
  });

  on("a_sample_streams_and_keeps_the_beginning_apart", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    await page.getByLabel("Beginning").fill("ROMEO:");
    await page.getByLabel("Length").fill("50");
    await page.getByLabel("Temperature").fill("0.5");
    await page.getByRole("button", { name: "Write" }).click();
    assert.deepEqual(await module.intent("sample"), { type: "sample", prompt: "ROMEO:", tokens: 50, temperature: 0.5 });
    await module.tell({ type: "sample", text: "ROMEO:\nO <b>", done: false, error: null });
    await page.locator(".sample-out", { hasText: "O <b>" }).waitFor();
    await soon(async () => assert.equal(await page.locator(".sample-out .given").innerText(), "ROMEO:"));
    await module.tell({ type: "sample", text: "ROMEO:\nO <b> night.", done: true, error: null });
    await page.locator("covey-sample button:enabled").waitFor();
    await soon(async () => assert.match(await page.locator(".sample-out").innerText(), /O <b> night\./));
  });

  on("a_refused_packet_is_listed_with_its_reason", async ({ page, home }) => {
    await contribute(page, home.url);
    await (await worker(page)).tell(training(), { type: "rejected", round: 12, code: "stale_round", message: "The round is closed." });
    await page.getByText("Not accepted: The round is closed.").waitFor();
  });

  on("a_packet_left_out_of_the_merge_is_listed_with_its_reason", async ({ page, home }) => {
    await contribute(page, home.url);
    await (await worker(page)).tell(training(), { type: "left_out", round: 12, packet: "e5".repeat(32), reason: "harmful", message: "it made the model worse when it was tried" });
    await page.getByText("Received, but not merged: it made the model worse when it was tried.").waitFor();
  });

  on("a_long_run_keeps_the_curve_bounded", async ({ page, home }) => {
    await page.goto(home.url);
    const result = await page.evaluate(async () => {
      const { Curve, spread, MAX_POINTS } = await import(/** @type {string} */ ("/app/history.js"));
      const curve = new Curve();
      for (let step = 0; step < 100_000; step += 1) curve.push(step, Math.sin(step / 5000));
      const ascending = curve.xs.every((/** @type {number} */ x, /** @type {number} */ i) => i === 0 || x > curve.xs[i - 1]);
      const worst = Math.max(...curve.xs.map((/** @type {number} */ x, /** @type {number} */ i) => Math.abs(curve.ys[i] - Math.sin(x / 5000))));
      const [length, last] = [curve.xs.length, curve.xs.at(-1)];
      curve.push(50_000, 0);
      return { length, last, ascending, worst, redone: curve.xs.at(-1), limit: MAX_POINTS, spread: spread(Array.from({ length: 5001 }, (_, i) => i)).at(-1) };
    });
    assert.ok(result.length <= result.limit && result.length > result.limit / 4, `${result.length} points`);
    assert.equal(result.last, 99_999);
    assert.ok(result.ascending && result.worst < 0.05, `worst error ${result.worst}`);
    assert.equal(result.redone, 50_000);
    assert.equal(result.spread, 5000);
  });
});

describe("everyone can use it", () => {
  on("the_keyboard_reaches_everything_with_visible_focus", async ({ page, home }) => {
    await page.goto(home.url);
    const reached = new Set();
    for (let i = 0; i < 25; i += 1) {
      await page.keyboard.press("Tab");
      const { name, visible } = await page.evaluate(() => {
        const node = /** @type {HTMLElement} */ (document.activeElement);
        const marked = node.matches("[name=theme]") ? /** @type {HTMLElement} */ (node.nextElementSibling) : node;
        return { name: node.id || node.getAttribute("name") || node.tagName, visible: getComputedStyle(marked).outlineStyle !== "none" };
      });
      if (name === "BODY") break;
      assert.ok(visible, `focus on ${name} cannot be seen`);
      reached.add(name);
    }
    for (const name of ["theme", "consent-share-input", "contribute", "forget"]) assert.ok(reached.has(name), `${name} not in ${[...reached]}`);
    await page.focus("#contribute");
    await page.keyboard.press("Enter");
    const module = await worker(page);
    await module.tell(training());
    await page.locator("#pause:enabled").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "pause");
    await page.keyboard.press("Enter");
    await module.intent("pause");
  });

  on("state_changes_are_spoken_and_steps_are_not", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    const live = page.locator("#live[aria-live=polite]");
    await live.filter({ hasText: /^Training$/ }).waitFor({ state: "attached" });
    await module.tell(training({ step: 8, status: "Training round 12: step 8 of 20." }));
    await page.getByRole("heading", { name: "step 8 of 20" }).waitFor();
    await soon(async () => assert.equal(await live.textContent(), "Training"));
    await module.tell(training({ state: "paused", pauses: [{ reason: "metered", text: "Paused because this connection is metered.", override: true }] }));
    await live.filter({ hasText: "metered" }).waitFor({ state: "attached" });
  });

  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    on(`a_${colorScheme}_phone_never_scrolls_sideways`, async ({ page, home }) => {
      await page.goto(home.url);
      assert.ok(!(await scrollsSideways(page)), "consent");
      await shot(page, `consent-narrow-${colorScheme}`);
      await page.click("#contribute");
      const module = await worker(page);
      const packet = "f6".repeat(32);
      await module.tell(
        training({ run: { ...RUN, name: "x".repeat(64) }, resumed: "Welcome back: continued with 12 rounds contributed; error feedback and optimiser state restored." }),
        ...Array.from({ length: 30 }, (_, step) => ({ type: "loss", step, loss: 4, tokens: step })),
        { type: "receipt", receipt: { round: 123_456, packet, tokens: 20_480, received_at_ms: Date.now() } },
        { type: "rejected", round: 5, code: "malformed", message: packet });
      await page.locator("#receipts tbody tr").first().waitFor();
      await page.getByRole("button", { name: "Write" }).click();
      await module.tell({ type: "sample", text: "x".repeat(300), done: true, error: null });
      await page.locator(".sample-out", { hasText: "x".repeat(300) }).waitFor();
      assert.ok(!(await scrollsSideways(page)), "panel");
      await shot(page, `panel-narrow-${colorScheme}`);
      await module.tell({ type: "fatal", code: "panic", message: "y".repeat(200), remedy: "Start again." });
      await problem(page);
      assert.ok(!(await scrollsSideways(page)), "problem");
    }, { context: { viewport: { width: 390, height: 844 }, colorScheme } });
  }

  on("the_colours_follow_the_system_until_chosen_and_are_remembered", async ({ page, home, context }) => {
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.goto(home.url);
    const light = await paper();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await paper();
    assert.notEqual(light, dark);
    await page.getByRole("radio", { name: "Light" }).check();
    assert.equal(await paper(), light);
    await page.reload();
    assert.equal(await paper(), light);
    assert.ok(await page.getByRole("radio", { name: "Light" }).isChecked());
    assert.deepEqual(await context.cookies(), []);
  });

  on("an_ordinary_visit_is_silent_and_asks_nobody_else", async ({ page, home, errors, context }) => {
    home.answers["/v1/run"] = (_, response) => send(response, JSON.stringify({ spec: { name: "shakespeare" }, round: 0, held_out: [], unigram_entropy: 3.3, checkpoint: { len: 4000 } }), "application/json");
    /** @type {string[]} */
    const strangers = [];
    context.on("request", (request) => {
      if (new URL(request.url()).origin !== home.url && !request.url().startsWith("data:")) strangers.push(request.url());
    });
    await contribute(page, home.url);
    const module = await worker(page);
    const connection = { url: home.url, connected: true, attempt: 0, retry_at_ms: null, error: null };
    await module.tell(training({ connection }), { type: "loss", step: 1, loss: 5, tokens: 10 });
    await page.locator("#chart canvas").waitFor();
    assert.deepEqual(strangers, []);
    assert.deepEqual(errors, []);
    assert.deepEqual(await context.cookies(), []);
  });
});

describe("one browser", () => {
  on("a_second_tab_is_told_of_the_first_and_takes_over_when_it_goes", async ({ page, home, context }) => {
    await contribute(page, home.url);
    const first = await worker(page);
    assert.equal((await first.intent("environment")).other_tab, false);
    const other = await context.newPage();
    await contribute(other, home.url);
    const second = await worker(other);
    assert.equal((await second.intent("start")).slot, 1);
    await second.intent("environment", ({ other_tab }) => other_tab);
    await page.close();
    await second.intent("environment", ({ other_tab }) => !other_tab);
    const third = await context.newPage();
    await contribute(third, home.url);
    assert.equal((await (await worker(third)).intent("start")).slot, 0);
  });

  on("a_tab_paused_by_its_user_lets_another_one_work", async ({ page, home, context }) => {
    await contribute(page, home.url);
    const first = await worker(page);
    await first.tell(training());
    const other = await context.newPage();
    await contribute(other, home.url);
    const second = await worker(other);
    await second.intent("environment", ({ other_tab }) => other_tab);
    await page.click("#pause");
    await first.intent("pause");
    await second.intent("environment", ({ other_tab }) => !other_tab);
    await first.tell(training({ state: "paused", pauses: [{ reason: "user", text: "Paused by you.", override: false }] }));
    await page.getByRole("button", { name: "Resume" }).click();
    await first.intent("resume");
    const intents = await first.intents();
    const resume = intents.findIndex((intent) => intent.type === "resume");
    assert.equal(intents.slice(0, resume).filter((intent) => intent.type === "environment").at(-1).other_tab, true, "the fact is told before the wish");
  });

  on("facts_of_the_connection_are_passed_on", async ({ page, home, context }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.intent("start");
    await context.setOffline(true);
    await module.intent("environment", ({ online }) => !online);
  });

  on("deleting_leaves_nothing_and_returns_to_the_terms", async ({ page, home }) => {
    await page.goto(home.url);
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const covey = await root.getDirectoryHandle("covey", { create: true });
      await covey.getDirectoryHandle("slot-0", { create: true });
      await root.getFileHandle("another-page", { create: true });
    });
    await page.reload();
    await page.getByText("This browser has contributed before.").waitFor();
    await page.getByRole("radio", { name: "Dark" }).check();
    await page.click("#contribute");
    const module = await worker(page);
    await module.tell(training());
    await page.click("#forget");
    await page.getByRole("button", { name: "Keep it" }).click();
    assert.ok(!(await module.intents()).some((intent) => intent.type === "forget"));
    await page.click("#forget");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await module.intent("forget");
    await module.tell(training({ state: "stopped" }));
    await page.getByText("Deleted. This browser stores nothing of Covey any more.").waitFor();
    const left = await page.evaluate(async () => {
      const names = [];
      for await (const name of /** @type {any} */ (await navigator.storage.getDirectory()).keys()) names.push(name);
      return { names, settings: Object.keys(localStorage).filter((key) => key.startsWith("covey.")) };
    });
    assert.deepEqual(left, { names: ["another-page"], settings: [] });
    await page.locator("#contribute").waitFor();
    await until("the worker's end", () => page.workers().length === 0, WITHIN, 25);
  });

  on("the_identity_is_saved_to_a_file_after_a_warning", async ({ page, home }) => {
    await contribute(page, home.url);
    const module = await worker(page);
    await module.tell(training());
    await page.click("#export");
    await page.getByText("keep it where you keep passwords").waitFor();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save the file" }).click();
    await module.intent("export_identity");
    await module.tell({ type: "identity", secret_hex: OTHER });
    const file = await download;
    assert.equal(file.suggestedFilename(), `covey-identity-${ME.slice(0, 8)}.txt`);
    const stream = await file.createReadStream();
    let text = "";
    for await (const chunk of stream) text += chunk;
    assert.match(text, new RegExp(`secret ${OTHER}`));
  });
});
