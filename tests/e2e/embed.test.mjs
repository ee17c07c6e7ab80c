// @ts-check
// The element on a stranger's page: the page comes from http://127.0.0.1, the operator's frame from
// http://localhost, which are two sites. Plain pages, a strict policy, shadow roots, two on a page,
// hostile pages; what is fetched before consent, and what the page pays for. The module is scripted.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fatal, launch, scrollsSideways, shot, soon, until } from "./support/browser.mjs";
import { send, site, withHeaders, WWW } from "./support/site.mjs";
import { ME, training } from "./support/views.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Frame} Frame */
/** @typedef {Awaited<ReturnType<typeof site>>} Site */

const RUN = { protocol: 1, run: "d4".repeat(32), spec: { name: "shakespeare" }, round: 12, base: "c3".repeat(32), checkpoint: { len: 4_214_784 }, held_out: [], unigram_entropy: 3.3 };
const BLOG = { id: "example-blog", name: "Example blog", url: "https://blog.example", suspended: false, rounds: 3, packets: 4, tokens: 5, volunteers: 2, last_activity_ms: null, received: "0" };
/** Bytes that may be sent by us before consent, in one language, compressed as a coordinator sends them. */
const BEFORE_CONSENT = 25_000;
const WITHIN = 30_000;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  // The test driver switches off the partitioning of storage that every browser has for frames of
  // other sites; a list of our own replaces the driver's.
  browser = await launch(["--disable-features=Translate"]);
});
after(() => browser.close());

/** The line that docs/embedding.md gives, and nothing more. @param {string} operator */
const documented = (operator) => `default-src 'none'; script-src ${operator}; frame-src ${operator}`;

/** @param {Site} home @param {string} body @param {string} [head] */
const html = (home, body, head = "") => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Partner</title>${head}
<script type="module" src="${home.url}/embed.js"></script></head><body><h1>A partner's page</h1>${body}</body></html>`;

const PLAIN = `<covey-contribute run="shakespeare" partner="example-blog" power="75"></covey-contribute><p id="below">Text below.</p>`;

/**
 * @param {string} name
 * @param {(t: {page: Page, home: Site, host: Site, url: string, errors: string[], show: (body: string, head?: string, headers?: Record<string, string>) => Promise<void>}) => Promise<void>} body
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
function on(name, body, options = {}) {
  test(name, { timeout: 180_000 }, async () => {
    const home = await site({
      "/v1/run": (_, response) => send(response, JSON.stringify(RUN), "application/json"),
      "/v1/partners/example-blog": (_, response) => send(response, JSON.stringify(BLOG), "application/json"),
    });
    home.answers["/embed.js"] = withHeaders("embed.js", { "access-control-allow-origin": "*" });
    const host = await site();
    const url = `http://127.0.0.1:${host.port}`;
    const context = await browser.newContext({ viewport: { width: 900, height: 900 }, ...options });
    context.setDefaultTimeout(WITHIN);
    const page = await context.newPage();
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico")) errors.push(message.text());
    });
    await page.addInitScript(() => {
      /** @type {any} */ (globalThis).heard = [];
      for (const kind of ["ready", "state", "progress", "receipt", "error"]) {
        document.addEventListener(`covey-${kind}`, (event) => {
          const { detail, composed, bubbles } = /** @type {CustomEvent} */ (event);
          /** @type {any} */ (globalThis).heard.push({ kind, detail, composed, bubbles, at: performance.now() });
        });
      }
    });
    /** Shows a partner's page and waits for nothing. @param {string} body @param {string} [head] @param {Record<string, string>} [headers] */
    const show = async (body, head = "", headers = {}) => {
      host.answers["/"] = (_, response) => send(response, html(home, body, head), "text/html; charset=utf-8", headers);
      await page.goto(url);
    };
    try {
      await body({ page, home, host, url, errors, show });
    } finally {
      await context.close();
      await home.close();
      await host.close();
    }
  });
}

/** Our frames on a page, in order, once there are so many. @param {Page} page @param {Site} home */
async function ours(page, home, count = 1) {
  return until(`${count} frames of ours`, () => {
    const found = page.frames().filter((frame) => frame.url().split("?")[0] === `${home.url}/embed.html`);
    return found.length === count && found;
  }, WITHIN, 100);
}

/** The frame whose terms can be agreed to. @param {Page} page @param {Site} home */
async function asking(page, home) {
  const [frame] = await ours(page, home);
  await /** @type {Frame} */ (frame).locator("#contribute:enabled").waitFor();
  return /** @type {Frame} */ (frame);
}

/** Presses Contribute as a visitor: again, when it was too early. @param {Frame} frame */
async function contribute(frame) {
  await until("the consent", async () => {
    if (await frame.locator("#contribute").isVisible()) await frame.locator("#contribute").click({ timeout: 5000 }).catch(() => {});
    return frame.locator("#stop").isVisible();
  }, WITHIN, 300);
}

/**
 * A press within the half second in which it does not count. How fast that is done is the machine's doing,
 * so it is done again until it was within that time; only then it says anything.
 * @param {Frame} frame @param {() => Promise<number>} press gives the time from which on the half second runs
 */
async function pressed(frame, press) {
  await frame.evaluate(() => {
    const at = () => Object.assign(globalThis, { pressedAt: performance.timeOrigin + performance.now() });
    document.querySelector("#contribute")?.addEventListener("click", at, { capture: true });
  });
  await until("a press within half a second", async () => {
    await frame.evaluate(() => Object.assign(globalThis, { pressedAt: 0 }));
    const since = await press();
    const at = await frame.evaluate(() => /** @type {any} */ (globalThis).pressedAt);
    const counted = await frame.locator("#stop").isVisible();
    if (at > 0 && at - since < 500) {
      if (counted) throw new Fatal(`a press after ${at - since} ms counted`);
      return true;
    }
    if (counted) await frame.locator("#stop").click();
    await frame.locator("#contribute").waitFor();
    return false;
  }, WITHIN, 100);
}

/** Every worker that a page's frames have, once its module answers. @param {Page} page @param {number} [index] */
async function worker(page, index = 0) {
  const found = await until("a worker", () => page.workers()[index], WITHIN, 100);
  await until("its module", () => found.evaluate("typeof scripted === 'object'"), WITHIN, 100);
  return {
    /** @param {object[]} reports */
    tell: (...reports) => found.evaluate((reports) => reports.forEach((r) => /** @type {any} */ (globalThis).scripted.tell(r)), reports),
    /** @returns {Promise<any[]>} */
    intents: () => found.evaluate(() => /** @type {any} */ (globalThis).scripted.intents),
    /** The last intent of a type, once it is as wanted. @param {string} type @param {(intent: any) => boolean} [wanted] */
    intent: (type, wanted = () => true) => until(`intent ${type}`, async () => {
      const intents = await found.evaluate(() => /** @type {any} */ (globalThis).scripted.intents);
      const last = intents.filter((/** @type {any} */ intent) => intent.type === type).at(-1);
      return last && wanted(last) && last;
    }, WITHIN, 100),
  };
}

/** What the page has heard. @param {Page} page @param {string} [kind] @returns {Promise<any[]>} */
const heard = (page, kind) => page.evaluate((kind) => /** @type {any} */ (globalThis).heard.filter((/** @type {any} */ h) => !kind || h.kind === kind), kind);
/** @param {Page} page @param {string} state @param {string | null} [reason] */
const state = (page, state, reason) => until(`state ${state} ${reason ?? ""}`, async () => {
  const last = (await heard(page, "state")).at(-1)?.detail;
  return last?.state === state && (reason === undefined || last.reason === reason);
}, WITHIN, 100);
/** @param {Page} page @param {string} call */
const call = (page, call) => page.evaluate((call) => /** @type {any} */ (document.querySelector("covey-contribute"))[call](), call);
/** Nothing of the program was asked for. @param {Site} home */
const untouched = (home) => assert.deepEqual(home.requests.filter((path) => /module|worker|work\.js/.test(path)), []);

describe("the element on a partner's page", () => {
  on("a_suspended_partner_starts_nothing_and_ends_what_runs", async ({ page, home, show }) => {
    await show(PLAIN);
    const frame = await asking(page, home);
    await contribute(frame);
    const module = await worker(page);
    await module.tell(training({ credit: { partner: "example-blog", refused: null, message: null } }));
    await state(page, "working");
    home.answers["/v1/partners/example-blog"] = (_, response) => send(response, JSON.stringify({ ...BLOG, suspended: true }), "application/json");
    await module.tell(training({ credit: { partner: "example-blog", refused: "suspended", message: "Suspended." } }));
    await module.intent("stop");
    await module.tell(training({ state: "stopped" }));
    await state(page, "failed", "partner_suspended");
    await frame.getByText("partnership is suspended").waitFor();
    await soon(async () => assert.ok(await frame.locator("#contribute").isDisabled()));
    const codes = (await heard(page, "error")).map((event) => event.detail.code);
    assert.deepEqual(codes.filter((code) => !code.startsWith("consent_")), ["partner_suspended"]);
    await page.reload();
    const [again] = await ours(page, home);
    await state(page, "failed", "partner_suspended");
    await soon(async () => assert.ok(await again?.locator("#contribute").isDisabled()));
  });

  on("only_the_frames_own_address_says_who_is_credited", async ({ page, home, show }) => {
    // A page whose frame names nobody says afterwards that it is somebody.
    await show(`<iframe id="f" src="${home.url}/embed.html" width="500" height="520"></iframe><script type="module">
      const frame = document.querySelector("#f");
      frame.addEventListener("load", () => {
        const { port2 } = new MessageChannel();
        frame.contentWindow.postMessage({ covey: 1, type: "hello", partner: "example-blog", power: 100, lang: "en" }, "*", [port2]);
      });
      frame.src = frame.src;
    </script>`);
    const frame = await asking(page, home);
    await soon(async () => assert.match(await frame.locator("#credit").innerText(), /^Nobody else is named/));
    await contribute(frame);
    assert.equal((await (await worker(page)).intent("start")).partner, null);
  });

  on("consents_works_and_stops", async ({ page, home, errors, show }) => {
    await show(PLAIN);
    const frame = await asking(page, home);
    const terms = (await frame.locator("#terms").innerText()).replace(/\s+/g, " ");
    for (const words of [/shakespeare/, new RegExp(`localhost:${home.port}`), /trained on the run’s text/, /Until you press Stop/, /earns the run’s token/, /Example blog. is named on every receipt/, /shown by 127\.0\.0\.1:\d+/, /4\.21\s?MB/]) {
      assert.match(terms, words);
    }
    await soon(async () => assert.equal(await frame.locator("#power-value").innerText(), "75 %"));
    untouched(home);
    await shot(page, "embed-consent-light");
    await contribute(frame);
    const module = await worker(page);
    const start = await module.intent("start");
    assert.deepEqual(start, { type: "start", coordinators: [home.url], backend: "auto", share: 75, slot: 0, partner: "example-blog" });
    await module.tell(training());
    await state(page, "working");
    // Progress is told at the next drawing: a receipt that came before it would be counted in it.
    const first = await until("progress", async () => (await heard(page, "progress"))[0], WITHIN, 100);
    await module.tell({ type: "receipt", receipt: { round: 12, packet: "e5".repeat(32), tokens: 20_480, received_at_ms: Date.now(), partner: "example-blog" } });
    await frame.getByText("Rounds accepted on this visit: 1").waitFor();
    await shot(page, "embed-working-light");
    await frame.locator("#stop").click();
    await module.intent("stop");
    await module.tell(training({ state: "stopped" }));
    await state(page, "stopped");
    await until("the worker is gone", () => page.workers().length === 0, WITHIN);
    await soon(async () => assert.ok(await frame.locator("#contribute").isVisible()));
    const all = await heard(page);
    assert.ok(all.every((event) => event.bubbles && event.composed));
    assert.deepEqual((await heard(page, "ready"))[0].detail, { run: "shakespeare", operator: home.url });
    assert.deepEqual((await heard(page, "receipt")).map((event) => event.detail), [{ round: 12, tokens: 20_480, partner: "example-blog" }]);
    assert.deepEqual(first.detail, { round: 12, step: 7, steps: 20, accepted: 0 });
    const said = JSON.stringify(all.map(({ kind, detail }) => ({ kind, detail })));
    for (const secret of [ME, "e5e5", "903", "245760"]) assert.ok(!said.includes(secret), `${secret} left the frame`);
    assert.deepEqual(errors, []);
  });

  on("works_under_the_documented_policy_and_nothing_more", async ({ page, home, errors, show }) => {
    await show(PLAIN, "", { "content-security-policy": documented(home.url) });
    const frame = await asking(page, home);
    const size = await page.locator("covey-contribute").evaluate((node) => {
      const { height } = node.getBoundingClientRect();
      return { height, display: getComputedStyle(/** @type {Element} */ (node.shadowRoot?.querySelector(".bar"))).display };
    });
    assert.ok(size.height > 300 && size.display === "flex", "the sheet is applied");
    await contribute(frame);
    await (await worker(page)).intent("start");
    assert.deepEqual(errors, []);
  });

  on("a_policy_without_the_frame_is_named_as_the_cause", async ({ page, home, show }) => {
    await show(PLAIN, "", { "content-security-policy": `default-src 'none'; script-src ${home.url}` });
    await state(page, "failed", "csp_frame");
    assert.match((await heard(page, "error"))[0].detail.message, /frame-src/);
  });

  on("works_inside_a_shadow_root_and_events_leave_it", async ({ page, home, show }) => {
    await show("<div id=outer></div>");
    await page.evaluate(() => {
      const root = document.querySelector("#outer")?.attachShadow({ mode: "closed" });
      root?.append(Object.assign(document.createElement("covey-contribute"), { run: "shakespeare", power: 25 }));
    });
    const frame = await asking(page, home);
    await contribute(frame);
    assert.equal((await (await worker(page)).intent("start")).share, 25);
    await state(page, "starting");
  });

  on("two_on_a_page_and_two_scripts_share_the_machine", async ({ page, home, errors, show }) => {
    const half = "<style>covey-contribute { float: left; max-inline-size: 26rem }</style>";
    await show(`${PLAIN}${PLAIN}<script type="module" src="${home.url}/embed.js?again"></script>`, half);
    const [first, second] = await ours(page, home, 2);
    for (const frame of [first, second]) await /** @type {Frame} */ (frame).locator("#contribute:enabled").waitFor();
    await contribute(/** @type {Frame} */ (first));
    const one = await worker(page, 0);
    await one.intent("environment", ({ other_tab }) => !other_tab);
    await contribute(/** @type {Frame} */ (second));
    const two = await worker(page, 1);
    assert.equal((await two.intent("start")).slot, 1);
    await two.intent("environment", ({ other_tab }) => other_tab);
    await two.tell(training({ state: "paused", pauses: [{ reason: "other_tab", text: "Paused.", override: true }] }));
    await /** @type {Frame} */ (second).getByText("another tab or frame here already works").waitFor();
    await shot(page, "embed-two");
    await page.evaluate(() => document.querySelector("covey-contribute")?.remove());
    await until("the second may work", async () => (await two.intent("environment")).other_tab === false, WITHIN);
    assert.deepEqual(errors, []);
  });

  on("removed_it_ends_and_added_again_it_asks_again", async ({ page, home, show }) => {
    await show(PLAIN);
    await contribute(await asking(page, home));
    await (await worker(page)).tell(training());
    await state(page, "working");
    await page.evaluate(() => {
      const node = /** @type {Element} */ (document.querySelector("covey-contribute"));
      node.remove();
      Object.assign(globalThis, { kept: node });
    });
    await until("the worker is gone", () => page.workers().length === 0, WITHIN);
    await page.evaluate(() => document.body.prepend(/** @type {any} */ (globalThis).kept));
    const again = await asking(page, home);
    await state(page, "consent_needed");
    await contribute(again);
    await (await worker(page)).intent("start");
  });

  on("start_leads_to_the_button_and_begins_nothing", async ({ page, home, show }) => {
    await show(`<p>Long text.</p><div id=space></div>${PLAIN}`, "<style>#space { height: 12000px }</style>");
    await page.locator("covey-contribute").waitFor({ state: "attached" });
    untouched(home);
    assert.ok(!home.requests.includes("/embed.html"), "far below the fold not even the frame is fetched");
    await call(page, "start");
    const frame = await asking(page, home);
    await state(page, "consent_needed", "start");
    await frame.getByText("Only your click here starts it.").waitFor();
    assert.equal(await frame.evaluate(() => document.activeElement?.id), "contribute");
    assert.ok(await page.locator("covey-contribute").evaluate((node) => node.getBoundingClientRect().top < innerHeight));
    untouched(home);
  });

  on("the_page_may_pause_and_ask_for_less_but_not_for_more", async ({ page, home, show }) => {
    await show(PLAIN);
    const frame = await asking(page, home);
    await frame.locator("#power").press("ArrowLeft");
    await contribute(frame);
    const module = await worker(page);
    assert.equal((await module.intent("start")).share, 50);
    await module.tell(training());
    await state(page, "working");
    const power = (/** @type {number} */ value) => page.evaluate((value) => void (/** @type {any} */ (document.querySelector("covey-contribute")).power = value), value);
    await power(25);
    await module.intent("share", ({ value }) => value === 25);
    await power(100);
    await until("back to what the visitor agreed to", async () => (await module.intent("share")).value === 50, WITHIN);
    await call(page, "pause");
    await module.intent("pause");
    await state(page, "paused", "host");
    await frame.locator("#pause").click();
    await state(page, "paused", "visitor");
    await call(page, "resume");
    await call(page, "start");
    await page.waitForTimeout(500);
    await state(page, "paused", "visitor");
    assert.ok(!(await module.intents()).some((intent) => intent.type === "resume"), "a visitor's pause is the visitor's");
    await frame.locator("#pause").click();
    await module.intent("resume");
    await state(page, "working");
    await call(page, "stop");
    await module.intent("stop");
    await module.tell(training({ state: "stopped" }));
    await state(page, "stopped");
    await call(page, "start");
    await state(page, "consent_needed", "start");
    await page.waitForTimeout(500);
    assert.equal(page.workers().length, 0, "a stop ends the consent");
  });

  on("the_elements_own_stop_works_even_when_the_frame_does_not", async ({ page, home, show }) => {
    await show(PLAIN);
    const frame = await asking(page, home);
    await contribute(frame);
    await (await worker(page)).tell(training());
    await state(page, "working");
    // A frame that is stuck obeys nobody.
    await frame.evaluate(() => void setTimeout(() => { for (const end = Date.now() + 4000; Date.now() < end;); }));
    await page.getByRole("button", { name: "Stop" }).first().click();
    await until("the worker is gone", () => page.workers().length === 0, WITHIN);
    await asking(page, home);
  });

  on("attributes_mirror_properties_and_nonsense_never_throws", async ({ page, home, errors, show }) => {
    await show(`<covey-contribute power="9999" theme="plaid" lang="tlh" partner="<b>you get $100</b>"></covey-contribute>`);
    const frame = await asking(page, home);
    const seen = await page.evaluate(() => {
      const node = /** @type {any} */ (document.querySelector("covey-contribute"));
      const before = { power: node.power, theme: node.theme, run: node.run };
      Object.assign(node, { power: 30, theme: "dark", lang: "de" });
      return { before, power: node.getAttribute("power"), read: node.power, theme: node.getAttribute("theme") };
    });
    assert.deepEqual(seen, { before: { power: 100, theme: "auto", run: null }, power: "30", read: 25, theme: "dark" });
    await frame.getByRole("button", { name: "Mitmachen" }).waitFor();
    await soon(async () => assert.doesNotMatch(await frame.locator("#terms").innerText(), /\$100/));
    assert.ok((await heard(page, "error")).some((event) => event.detail.code === "partner_invalid"));
    await page.evaluate(() => document.querySelector("covey-contribute")?.setAttribute("coordinator", "javascript:alert(1)"));
    await state(page, "failed", "coordinator_invalid");
    assert.deepEqual(errors, []);
  });

  on("another_run_or_a_silent_operator_starts_nothing", async ({ page, home, show }) => {
    await show(`<covey-contribute run="milton"></covey-contribute>`);
    await state(page, "failed", "wrong_run");
    const [frame] = await ours(page, home);
    await soon(async () => assert.ok(await /** @type {Frame} */ (frame).locator("#contribute").isDisabled()));
    home.answers["/v1/run"] = (_, response) => response.writeHead(503).end();
    await show(PLAIN);
    await state(page, "failed", "no_run");
  });

  test("where_the_browser_denies_storage_it_still_starts", { timeout: 120_000 }, async () => {
    // With the driver's own switches this browser gives frames of other sites no storage and no locks.
    const strict = await launch();
    const home = await site({ "/v1/run": (_, response) => send(response, JSON.stringify(RUN), "application/json") });
    home.answers["/embed.js"] = withHeaders("embed.js", { "access-control-allow-origin": "*" });
    const host = await site({ "/": (_, response) => send(response, html(home, PLAIN), "text/html") });
    try {
      const page = await strict.newPage();
      await page.goto(`http://127.0.0.1:${host.port}`);
      await contribute(await asking(page, home));
      assert.equal((await (await worker(page)).intent("start")).slot, 0);
    } finally {
      await strict.close();
      await home.close();
      await host.close();
    }
  });

  on("a_consent_taken_back_while_the_program_comes_begins_nothing", async ({ page, home, show }) => {
    /** @type {(() => void)[]} */
    const held = [];
    home.answers["/embed/work.js"] = (request, response) => void held.push(() => withHeaders("embed/work.js", {})(request, response));
    await show(PLAIN);
    const frame = await asking(page, home);
    await contribute(frame);
    await frame.locator("#stop").click();
    await state(page, "stopped");
    held.forEach((answer) => answer());
    await page.waitForTimeout(700);
    assert.equal(page.workers().length, 0);
    await contribute(frame);
    await (await worker(page)).intent("start");
  });

  on("a_taken_name_is_left_alone", async ({ page, home, show }) => {
    await show(PLAIN, "<script>customElements.define('covey-contribute', class extends HTMLElement {})</script>");
    await page.waitForTimeout(500);
    assert.ok(!home.requests.includes("/embed.html"));
  });
});

describe("a hostile page", () => {
  on("cannot_read_the_frame_or_reach_its_storage", async ({ page, home, show }) => {
    await show(PLAIN);
    await asking(page, home);
    const tried = await page.evaluate(() => {
      const frame = /** @type {HTMLIFrameElement} */ (document.querySelector("covey-contribute")?.shadowRoot?.querySelector("iframe"));
      const attempt = (/** @type {() => unknown} */ act) => {
        try {
          return String(act());
        } catch (error) {
          return /** @type {Error} */ (error).name;
        }
      };
      return {
        document: String(frame.contentDocument),
        body: attempt(() => frame.contentWindow?.document.body),
        storage: attempt(() => frame.contentWindow?.localStorage),
        location: attempt(() => frame.contentWindow?.location.href),
        covey: attempt(() => /** @type {any} */ (frame.contentWindow).covey),
        idb: attempt(() => frame.contentWindow?.indexedDB),
      };
    });
    assert.deepEqual(tried, { document: "null", body: "SecurityError", storage: "SecurityError", location: "SecurityError", covey: "SecurityError", idb: "SecurityError" });
  });

  on("cannot_begin_by_script_events_or_messages", async ({ page, home, host, show }) => {
    // A third origin that also tries to talk to the frame.
    host.answers["/forger"] = (_, response) => send(response, `<script>
      setInterval(() => { for (let i = 0; i < parent.frames.length; i += 1) if (parent.frames[i] !== self) {
        const { port1, port2 } = new MessageChannel();
        parent.frames[i].postMessage({ covey: 1, type: "hello", run: "shakespeare", partner: "forger", power: 100 }, "*", [port2]);
        port1.postMessage({ type: "command", name: "start" });
      } }, 50);</script>`, "text/html");
    await show(`<iframe src="http://localhost:${host.port}/forger"></iframe>${PLAIN}`);
    const frame = await asking(page, home);
    await soon(async () => assert.doesNotMatch(await frame.locator("#terms").innerText(), /forger/));
    await page.evaluate(async () => {
      const element = /** @type {any} */ (document.querySelector("covey-contribute"));
      const inner = /** @type {HTMLIFrameElement} */ (element.shadowRoot.querySelector("iframe"));
      const { width, height, x, y } = inner.getBoundingClientRect();
      for (let round = 0; round < 5; round += 1) {
        element.start();
        element.resume();
        for (const target of [inner, element, document.body]) {
          for (const type of ["pointerdown", "mousedown", "pointerup", "mouseup", "click"]) {
            target.dispatchEvent(new MouseEvent(type, { bubbles: true, composed: true, clientX: x + width / 4, clientY: y + height - 40 }));
          }
          target.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, composed: true }));
          target.dispatchEvent(new KeyboardEvent("keyup", { key: "Enter", bubbles: true, composed: true }));
        }
        inner.click();
        for (const name of ["start", "consent", "contribute", "resume", "attention"]) {
          const { port2 } = new MessageChannel();
          inner.contentWindow?.postMessage({ covey: 1, type: "hello", power: 100, partner: "second" }, "*", [port2]);
          inner.contentWindow?.postMessage({ covey: 1, type: "command", name }, "*");
          inner.contentWindow?.postMessage({ type: "covey-session-request", text: "sign this" }, "*");
        }
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    });
    assert.equal(page.workers().length, 0);
    untouched(home);
    await soon(async () => assert.doesNotMatch(await frame.locator("#terms").innerText(), /second/));
    // Even inside the frame a script's click is not a visitor's.
    await frame.evaluate(() => /** @type {HTMLElement} */ (document.querySelector("#contribute")).click());
    await frame.getByText("Only a click or key of your own").waitFor();
    untouched(home);
  });

  on("cannot_have_a_hidden_button_pressed", async ({ page, home, show }) => {
    await show(`<div id="bait">Win a prize: click here</div>${PLAIN}`, `<style>
      #bait { position: absolute; z-index: 5; inset: 0; height: 900px; background: #fff; pointer-events: none }</style>`);
    const frame = await asking(page, home);
    const box = await frame.locator("#contribute").boundingBox();
    if (!box) throw new Error("no button");
    /** Presses until the frame gives a reason why that does not count. @param {RegExp} reason */
    const refused = (reason) => until(`refused: ${reason}`, async () => {
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      return reason.test(await frame.locator("#note").innerText());
    }, WITHIN, 100);
    await refused(/Something covers this frame/);
    untouched(home);
    // Seen through instead of covered.
    await page.addStyleTag({ content: "#bait { display: none } covey-contribute { opacity: 0.01 }" });
    for (let press = 0; press < 5; press += 1) {
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      await page.waitForTimeout(200);
    }
    untouched(home);
    // Put under the pointer at the last moment.
    await page.addStyleTag({ content: "covey-contribute { opacity: 1 } .away { display: none !important }" });
    await frame.evaluate(() => {
      const button = /** @type {HTMLElement} */ (document.querySelector("#contribute"));
      const options = /** @type {IntersectionObserverInit} */ ({ trackVisibility: true, delay: 100 });
      new IntersectionObserver((entries) => Object.assign(globalThis, { shown: entries.at(-1)?.isIntersecting }), options).observe(button);
    });
    await pressed(frame, async () => {
      await page.evaluate(() => document.querySelector("covey-contribute")?.classList.add("away"));
      await until("the frame knows that it is away", () => frame.evaluate(() => /** @type {any} */ (globalThis).shown === false), WITHIN, 50);
      await page.waitForTimeout(300);
      const since = await page.evaluate(() => {
        document.querySelector("covey-contribute")?.classList.remove("away");
        return performance.timeOrigin + performance.now();
      });
      // The browser takes a moment until it gives the frame clicks again.
      do {
        await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      } while (Date.now() - since < 300);
      return since;
    });
    // And shown for real it can be pressed.
    await contribute(frame);
  });

  on("cannot_make_a_key_meant_for_itself_count", async ({ page, home, show }) => {
    await show(`<input id="typing">${PLAIN}`);
    const frame = await asking(page, home);
    await pressed(frame, async () => {
      await page.focus("#typing");
      await page.keyboard.down("Enter");
      const since = await page.evaluate(() => {
        const now = performance.timeOrigin + performance.now();
        /** @type {any} */ (document.querySelector("covey-contribute")).start();
        return now;
      });
      await until("the focus is there", () => frame.evaluate(() => document.activeElement?.id === "contribute"), WITHIN, 10);
      // The key that was held down repeats, and another one follows.
      await page.keyboard.down("Enter");
      await page.keyboard.up("Enter");
      await page.keyboard.press("Space");
      return since;
    });
    // A key of the visitor's own counts, once the focus has been here for a moment.
    await until("the consent", async () => {
      await page.keyboard.press("Enter");
      return frame.locator("#stop").isVisible();
    }, WITHIN, 300);
    await (await worker(page)).intent("start");
  });

  on("that_covers_the_stop_pauses_the_work", async ({ page, home, show }) => {
    await show(PLAIN);
    await contribute(await asking(page, home));
    const module = await worker(page);
    await module.tell(training());
    await state(page, "working");
    await page.addStyleTag({ content: "body::after { content: ''; position: fixed; inset: 0; background: #fff; z-index: 9; pointer-events: none }" });
    await state(page, "paused", "covered");
    await module.intent("pause");
    await call(page, "resume");
    await page.waitForTimeout(300);
    assert.ok(!(await module.intents()).some((intent) => intent.type === "resume"));
    await page.addStyleTag({ content: "body::after { display: none }" });
    await state(page, "working");
    await module.intent("resume");
    await page.addStyleTag({ content: "covey-contribute { --covey-height: 40px }" });
    await state(page, "paused", "covered");
  });

  on("without_an_origin_is_refused", async ({ page, home, host, url, show }) => {
    // A frame is waited for for a quarter of a minute; the clock is moved instead.
    await page.clock.install();
    host.answers["/inner"] = (_, response) => send(response, html(home, PLAIN), "text/html");
    const data = `<iframe id="f" src="${home.url}/embed.html" width="500" height="450"></iframe><script>
      f.onload = () => f.contentWindow.postMessage({ covey: 1, type: "hello", run: "shakespeare" }, "*", [new MessageChannel().port2]);</script>`;
    await show(`<iframe src="data:text/html,${encodeURIComponent(data)}" width="600" height="500"></iframe>
      <iframe sandbox="allow-scripts" src="${url}/inner" width="700" height="600"></iframe>`);
    const frame = await until("the frame in a page without an origin", () => page.frames().find((frame) => frame.url() === `${home.url}/embed.html` && frame.parentFrame()?.url().startsWith("data:")), WITHIN);
    await frame.getByText("hides where it comes from").waitFor();
    await soon(async () => assert.ok(!(await frame.locator("#contribute").isVisible())));
    // A sandbox without an origin takes ours as well, so nothing of ours even loads.
    const inner = page.frames().find((frame) => frame.url() === `${url}/inner`);
    await until("its element waits", () => inner?.evaluate(() => /** @type {any} */ (document.querySelector("covey-contribute"))?.state === "loading"), WITHIN, 100);
    await page.clock.fastForward(20_000);
    await until("it gives up", () => inner?.evaluate(() => /** @type {any} */ (document.querySelector("covey-contribute"))?.state === "failed"), WITHIN);
    untouched(home);
  });
});

describe("what it costs the page", () => {
  on("little_is_fetched_before_consent_and_from_nobody_else", async ({ page, home, host, show }) => {
    /** @type {string[]} */
    const strangers = [];
    page.context().on("response", (response) => {
      const { origin } = new URL(response.url());
      if (origin !== home.url && origin !== `http://127.0.0.1:${host.port}`) strangers.push(response.url());
    });
    await show(PLAIN);
    await asking(page, home);
    await page.waitForTimeout(500);
    const files = home.requests.filter((path) => !path.startsWith("/v1/"));
    const sent = await Promise.all(files.map(async (path) => brotliCompressSync(await readFile(join(WWW, path))).length));
    const total = sent.reduce((sum, length) => sum + length, 0);
    console.log(`before consent: ${total} bytes with Brotli in ${files.length} files`);
    assert.ok(total > 10_000 && total < BEFORE_CONSENT, `${total} bytes: ${files}`);
    assert.deepEqual(strangers, []);
    assert.deepEqual(await page.context().cookies(), []);
    untouched(home);
    const loader = brotliCompressSync(await readFile(join(WWW, "embed.js"))).length;
    console.log(`embed.js: ${loader} bytes with Brotli`);
    assert.ok(loader < 10_000);
  });

  on("the_page_stays_still_and_its_main_thread_free", async ({ page, home, show }) => {
    home.answers["/embed.js"] = async (request, response) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      withHeaders("embed.js", { "access-control-allow-origin": "*" })(request, response);
    };
    await page.addInitScript(() => {
      const seen = { shift: 0, long: 0 };
      Object.assign(globalThis, { seen });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.shift += /** @type {any} */ (entry).value;
      }).observe({ type: "layout-shift", buffered: true });
      new PerformanceObserver((list) => void (seen.long += list.getEntries().length)).observe({ type: "longtask", buffered: true });
    });
    // The processor's time that scripts took on the page's main thread, which is ours and what this test
    // asks: the frame has a process of its own. Time by the clock would be how busy the machine is.
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    const scripts = async () => 1000 * ((await devtools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "ScriptDuration")?.value ?? NaN);
    // The one line of style that the manual gives to keep the place free until the script is there.
    await show(PLAIN, "<style>covey-contribute { display: block; min-block-size: calc(34.75rem + 3px) }</style>");
    const frame = await asking(page, home);
    await contribute(frame);
    const module = await worker(page);
    for (let step = 0; step < 60; step += 1) {
      await module.tell(training({ step: step % 20, round: 12 + Math.floor(step / 20) }), { type: "loss", step, loss: 4, tokens: step });
      if (step % 20 === 19) await module.tell({ type: "receipt", receipt: { round: 12, packet: "e5".repeat(32), tokens: 20_480, received_at_ms: Date.now(), partner: "example-blog" } });
      await page.waitForTimeout(40);
    }
    await call(page, "pause");
    await state(page, "paused");
    await call(page, "stop");
    await module.tell(training({ state: "stopped" }));
    await state(page, "stopped");
    const took = await scripts();
    const seen = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
    assert.equal(seen.shift, 0);
    // At most one in a second, however long this took.
    const progress = await heard(page, "progress");
    const seconds = (progress.at(-1).at - progress[0].at) / 1000;
    assert.ok(progress.length <= seconds + 3, `${progress.length} reports of progress in ${seconds} s`);
    console.log(`layout shift ${seen.shift}, long tasks on the page ${seen.long}, all its scripts together ${took.toFixed(1)} ms of a processor`);
    assert.ok(took > 0 && took < 250, `${took} ms for scripts`);
  });
});

describe("everyone can read it", () => {
  for (const [lang, button, dir] of /** @type {const} */ ([["de-AT", "Mitmachen", "ltr"], ["es", "Contribuir", "ltr"], ["fr", "Contribuer", "ltr"], ["zh-CN", "参与贡献", "ltr"], ["ar", "المساهمة", "rtl"], ["pl", "Contribute", "ltr"]])) {
    on(`in_${lang}`, async ({ page, home, show }) => {
      await show(`<div lang="${lang}"><covey-contribute partner="example-blog"></covey-contribute></div>`);
      const frame = await asking(page, home);
      await frame.getByRole("button", { name: button }).waitFor();
      assert.equal(await frame.evaluate(() => document.documentElement.dir), dir);
      const empty = await frame.locator("[data-word]").evaluateAll((nodes) => nodes.filter((node) => node.textContent === "").length);
      assert.equal(empty, 0);
      await shot(page, `embed-${lang}`);
    });
  }

  on("what_went_wrong_is_said_in_the_visitors_language", async ({ page, home, show }) => {
    home.answers["/module/covey_bg.wasm"] = (_, response) => { response.writeHead(404); response.end(); };
    await show('<covey-contribute lang="de"></covey-contribute>');
    const frame = await asking(page, home);
    // The program fails so soon that Stop may never be seen.
    await until("it gives up", async () => {
      await frame.locator("#contribute").click({ timeout: 2000 }).catch(() => {});
      return frame.getByText("Das Programm wurde noch nicht gebaut").isVisible();
    }, WITHIN, 300);
  });

  on("every_language_has_every_word", async ({ page, home }) => {
    await page.goto(`${home.url}/embed.html`);
    const lacking = await page.evaluate(async () => {
      const { LANGUAGES } = await import(/** @type {string} */ ("/embed/words.js"));
      const { words: english } = await import(/** @type {string} */ ("/embed/words/en.js"));
      const { CODES } = await import(/** @type {string} */ ("/app/problems.js"));
      const titles = CODES.map((/** @type {string} */ code) => `x_${code}`);
      const slots = (/** @type {string} */ text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
      const found = [];
      for (const language of LANGUAGES) {
        const { words } = await import(`/embed/words/${language}.js`);
        for (const [key, text] of Object.entries(english)) if (!words[key] || slots(words[key]) !== slots(/** @type {string} */ (text))) found.push(`${language}.${key}`);
        if (language !== "en") for (const key of titles) if (!words[key]) found.push(`${language}.${key}`);
        for (const key of Object.keys(words)) if (!(key in english) && !titles.includes(key)) found.push(`${language}.${key} (unknown)`);
      }
      return found;
    });
    assert.deepEqual(lacking, []);
    await soon(async () => assert.ok(await page.getByText("made to be shown inside other sites").isVisible()));
  });

  for (const theme of ["dark", "light"]) {
    on(`narrow_and_${theme}_by_the_pages_wish`, async ({ page, home, show }) => {
      const other = theme === "dark" ? "#101513" : "#f6f3ec";
      await show(`<covey-contribute theme="${theme}" partner="example-blog"></covey-contribute>`, `<meta name="viewport" content="width=device-width"><style>body { margin: 8px; background: ${other} } h1 { color: ${theme === "dark" ? "#eee" : "#111"} }</style>`);
      const frame = await asking(page, home);
      assert.ok(!(await scrollsSideways(page)));
      assert.ok(!(await frame.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)), "the frame does not scroll sideways");
      await shot(page, `embed-narrow-${theme}`);
      await contribute(frame);
      await (await worker(page)).tell(training({ state: "paused", pauses: [{ reason: "battery", text: "Paused.", override: true }] }));
      await frame.getByRole("button", { name: "Contribute anyway" }).waitFor();
      await shot(page, `embed-narrow-${theme}-paused`);
      await frame.getByRole("button", { name: "Contribute anyway" }).click();
      await (await worker(page)).intent("override");
    }, { viewport: { width: 320, height: 700 } });
  }

  on("the_keyboard_consents_and_stops_and_states_are_spoken", async ({ page, home, show }) => {
    await show(PLAIN);
    const frame = await asking(page, home);
    await page.waitForTimeout(600);
    for (let i = 0; i < 6 && (await frame.evaluate(() => document.activeElement?.id)) !== "contribute"; i += 1) await page.keyboard.press("Tab");
    await until("the consent", async () => {
      await page.keyboard.press("Enter");
      return frame.locator("#stop").isVisible();
    }, WITHIN, 300);
    const module = await worker(page);
    await module.tell(training());
    await frame.locator("#spoken[role=status]", { hasText: "Training" }).waitFor({ state: "attached" });
    await page.locator("covey-contribute").getByRole("status").getByText("Working").waitFor();
    await frame.locator("#stop").focus();
    await page.keyboard.press("Enter");
    await module.intent("stop");
  });
});

describe("the wallet", () => {
  on("opens_in_a_window_of_ours_and_hears_only_it", async ({ page, home, show }) => {
    home.answers["/wallet.html"] = (_, response) => send(response, `<!doctype html><title>Wallet</title><script>
      addEventListener("message", (event) => { globalThis.got = { origin: event.origin, data: event.data }; });</script>`, "text/html");
    await show(PLAIN);
    const frame = await asking(page, home);
    await contribute(frame);
    const module = await worker(page);
    await module.tell(training({ volunteer: ME }));
    const opened = page.context().waitForEvent("page");
    await frame.locator("#payout-connect").click();
    const wallet = await opened;
    await wallet.waitForLoadState();
    assert.ok(wallet.url().startsWith(`${home.url}/wallet.html?authorise=${ME}&run=`), wallet.url());
    // The page around the frame is not the wallet.
    await page.evaluate(() => {
      const frame = document.querySelector("covey-contribute")?.shadowRoot?.querySelector("iframe");
      frame?.contentWindow?.postMessage({ type: "covey-session-request", text: "forged" }, "*");
    });
    await page.waitForTimeout(300);
    assert.ok(!(await module.intents()).some((intent) => intent.type === "sign_session"));
    await wallet.evaluate(() => window.opener.postMessage({ type: "covey-session-request", text: "authorise me" }, location.origin));
    assert.deepEqual(await module.intent("sign_session"), { type: "sign_session", text: "authorise me" });
    await module.tell({ type: "session_signature", signature: "ab", error: null });
    const got = await until("the signature", () => wallet.evaluate(() => /** @type {any} */ (globalThis).got), WITHIN);
    assert.deepEqual(got, { origin: home.url, data: { type: "covey-session-signature", signature: "ab", error: null } });
    await wallet.evaluate(() => window.opener.postMessage({ type: "covey-session-done", account: "5Grw" }, location.origin));
    await frame.getByText("What this tab earns goes to 5Grw.").waitFor();
    assert.ok(!JSON.stringify(await heard(page)).includes("5Grw"));
  });
});

describe("the manual", () => {
  on("writes_the_snippet_and_shows_it_live", async ({ page, home, errors }) => {
    await page.goto(`${home.url}/manual/index.html`);
    const frame = await asking(page, home);
    const snippet = page.locator("#snippet");
    await soon(async () => assert.equal(await snippet.innerText(), `<script type="module" src="${home.url}/embed.js"></script>\n<covey-contribute partner="example-blog"></covey-contribute>`));
    await soon(async () => assert.equal(`default-src 'none'; ${await page.locator("#policy").innerText()}`, documented(home.url), "the tested policy is the documented one"));
    await page.locator("[name=power]").selectOption("25");
    await page.locator("[name=theme]").selectOption("dark");
    await page.locator("[name=lang]").selectOption("fr");
    await page.locator("[name=partner]").fill('"><script>');
    await soon(async () => assert.match(await snippet.innerText(), /partner="&quot;>&lt;script>" power="25" theme="dark" lang="fr"/));
    home.answers["/v1/partners/my-site"] = (_, response) => send(response, JSON.stringify({ ...BLOG, id: "my-site", name: "My site" }), "application/json");
    await page.locator("[name=partner]").fill("my-site");
    const again = await asking(page, home);
    await again.getByRole("button", { name: "Contribuer" }).waitFor();
    await soon(async () => assert.equal(await again.locator("#power").inputValue(), "25"));
    await page.getByText(/covey-ready\s+\{"run":"shakespeare"/).first().waitFor();
    await page.getByRole("button", { name: "start()" }).click();
    await page.getByText('{"state":"consent_needed","reason":"start"}').first().waitFor();
    untouched(home);
    assert.ok(!(await scrollsSideways(page)));
    await shot(page, "embed-manual");
    assert.ok(frame);
    assert.deepEqual(errors.filter((text) => !/allow-scripts and allow-same-origin/.test(text)), []);
  });
});
