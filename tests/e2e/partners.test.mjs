// @ts-check
// A partner's story with nothing scripted: a site of its own (http://127.0.0.1) shows the operator's frame
// (http://localhost), a visitor consents in it and really trains, the receipt names the partner and its
// public page counts it. A site that is not on the partner's list cannot show the frame. The volunteer
// signs a share of its earnings in the wallet and the partner is paid at the next epoch. The operator
// suspends the partner, and that is seen everywhere.
//
// Beside it what the visit costs the partner: bytes before consent, long tasks of ours on its main thread
// while the real module trains, layout shift.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, scrollsSideways, shot, soon, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { developmentKeys, injectWallet } from "./support/injected_wallet.mjs";
import { advance, copy, told } from "./support/ledger.mjs";
import { send, site } from "./support/site.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Frame} Frame */

const MINUTE = 60_000;
/** Bytes from the operator before consent, as its files lie there: a server that compresses sends a third. */
const BEFORE_CONSENT = 80_000;
const EVE = "5HGjWAeFDfFCWPsjFQdVV2Msvz2XtMktvgocEZcCj68kUMaw";

/** @type {Coordinator} */ let coordinator;
/** @type {import("playwright-core").Browser} */ let browser;
/** @type {import("playwright-core").BrowserContext} */ let home;
/** @type {Awaited<ReturnType<typeof site>>} */ let blog;
/** @type {Awaited<ReturnType<typeof site>>} */ let stranger;
/** @type {Awaited<ReturnType<typeof developmentKeys>>} */ let keys;
/** @type {Page} */ let page;
/** @type {Frame} */ let frame;

/** @param {Awaited<ReturnType<typeof site>>} host */
const origin = (host) => `http://127.0.0.1:${host.port}`;
const snippet = (attributes = "") => `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Partner</title><style>covey-contribute { display: block; min-block-size: calc(34.75rem + 3px) }</style>
<script type="module" src="${coordinator.url}/embed.js"></script></head><body><h1>A partner's page</h1>
<covey-contribute partner="example-blog" power="100" ${attributes}></covey-contribute><p>Text below.</p></body></html>`;

before(async () => {
  [blog, stranger] = [await site(), await site()];
  coordinator = await Coordinator.create(`
embed_origins = []
evaluate_sequences = 0
[[partners]]
id = "example-blog"
name = "Example blog"
url = "https://blog.example"
origins = ["${origin(blog)}"]
account = "${EVE}"
[run]
name = "partners"
[run.inner]
steps = 5
batch = 4
peak_lr = 2e-3
warmup = 5
ramp = 5
[run.rounds]
window_ms = 20000
grace_ms = 5000
min_contributions = 1
checkpoint_every = 5
`);
  await coordinator.start();
  keys = await developmentKeys(process.env.COVEY_WWW ?? "", "//Charlie");
  browser = await launch();
  home = await browser.newContext({ viewport: { width: 1000, height: 900 } });
  home.setDefaultTimeout(2 * MINUTE);
  await injectWallet(home, keys);
  for (const host of [blog, stranger]) {
    host.answers["/"] = (request, response) => {
      const search = new URL(request.url ?? "/", "http://host").searchParams;
      send(response, snippet(search.get("attributes") ?? ""), "text/html; charset=utf-8");
    };
  }
}, { timeout: 5 * MINUTE });

after(async () => {
  await browser?.close();
  await coordinator?.kill();
  coordinator?.log.end();
  await blog?.close();
  await stranger?.close();
});

/** What a page's listeners hear of the element. @param {Page} page */
const listen = (page) => page.addInitScript(() => {
  const seen = { heard: /** @type {any[]} */ ([]), shift: 0, ours: /** @type {{at: number, ms: number}[]} */ ([]), long: 0 };
  Object.assign(globalThis, { seen });
  for (const kind of ["ready", "state", "receipt", "error"]) {
    document.addEventListener(`covey-${kind}`, (event) => seen.heard.push({ kind, at: performance.now(), ...(/** @type {CustomEvent} */ (event).detail) }));
  }
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.shift += /** @type {any} */ (entry).value;
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => void (seen.long += list.getEntries().length)).observe({ type: "longtask", buffered: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      for (const script of /** @type {any} */ (entry).scripts) if (script.sourceURL.includes("/embed")) seen.ours.push({ at: script.startTime, ms: script.duration });
    }
  }).observe({ type: "long-animation-frame", buffered: true });
});
/** @param {Page} page @param {string} kind @returns {Promise<any[]>} */
const heard = (page, kind) => page.evaluate((kind) => /** @type {any} */ (globalThis).seen.heard.filter((/** @type {any} */ event) => event.kind === kind), kind);
/** The frame of ours on a page. @param {Page} page */
const ours = (page) => until("our frame", () => page.frames().find((frame) => frame.url().startsWith(`${coordinator.url}/embed.html`)), MINUTE, 200);
/** @returns {Promise<any>} */
const partner = async () => (await fetch(`${coordinator.url}/v1/partners/example-blog`)).json();

/** The operator's switch. @param {"suspend" | "restore"} what */
async function operator(what) {
  const token = readFileSync(join(coordinator.folder, "data/admin.token"), "utf8").trim();
  const response = await fetch(`${coordinator.operator}/partners/example-blog/${what}`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200, await response.text());
}

test("a_site_that_is_not_on_the_partners_list_cannot_show_its_frame", { timeout: 5 * MINUTE }, async () => {
  const other = await home.newPage();
  await listen(other);
  /** @type {string[]} */
  const console_ = [];
  other.on("console", (message) => console_.push(message.text()));
  await other.goto(origin(stranger));
  await until("the browser refuses", async () => (await heard(other, "state")).some(({ state, reason }) => state === "failed" && reason === "frame_unreachable"), 2 * MINUTE);
  assert.ok(console_.some((text) => text.includes("frame-ancestors")), console_.join("\n"));
  const policy = (await fetch(`${coordinator.url}/embed.html?partner=example-blog`)).headers.get("content-security-policy") ?? "";
  assert.ok(policy.endsWith(`frame-ancestors 'self' ${origin(blog)}`), policy);
  await other.close();
});

test("a_visitor_consents_trains_and_the_receipt_names_the_partner", { timeout: 15 * MINUTE }, async () => {
  page = await home.newPage();
  await listen(page);
  let bytes = 0;
  page.on("response", (response) => {
    if (response.url().startsWith(coordinator.url)) bytes += Number(response.headers()["content-length"] ?? 0);
  });
  /** @type {string[]} */
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(origin(blog));
  frame = await ours(page);
  await frame.locator("#contribute:enabled").waitFor();
  await soon(async () => assert.match(await frame.locator("#credit").innerText(), /Example blog.* is named on every receipt/s));
  await page.waitForTimeout(1000);
  const total = bytes;
  console.log(`bytes before consent: ${total}`);
  assert.ok(total > 10_000 && total < BEFORE_CONSENT, `${total} bytes`);
  assert.deepEqual(asked.filter((url) => /module|worker|work\.js/.test(url)), [], "nothing of the program");
  await shot(page, "partner-embed-light");

  await until("the consent", async () => {
    if (await frame.locator("#contribute").isVisible()) await frame.locator("#contribute").click({ timeout: 5000 }).catch(() => {});
    return frame.locator("#stop").isVisible();
  }, MINUTE);
  const receipt = await until("a receipt", async () => (await heard(page, "receipt"))[0], 12 * MINUTE, 300);
  assert.equal(receipt.partner, "example-blog");
  await soon(async () => assert.match(await frame.locator("#credited").innerText(), /Credited to .*Example blog/));
  await shot(page, "partner-embed-credited");
  const record = await until("the record", async () => (await coordinator.records()).find(({ contributions }) => contributions.length > 0), 3 * MINUTE);
  assert.equal(/** @type {any} */ (record.contributions[0]).partner, "example-blog");
});

test("the_partners_public_page_counts_it", { timeout: 5 * MINUTE }, async () => {
  const said = await until("it is counted", async () => {
    const now = await partner();
    return now.packets >= 1 && now;
  }, 2 * MINUTE);
  assert.ok(said.rounds >= 1 && said.tokens > 0 && said.volunteers === 1 && !said.suspended);
  const public_ = await home.newPage();
  /** @type {string[]} */
  const errors = [];
  public_.on("pageerror", (error) => errors.push(error.message));
  public_.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await public_.goto(`${coordinator.url}/`);
  await public_.getByRole("link", { name: "Partners" }).click();
  await public_.getByRole("link", { name: "Example blog" }).click();
  await public_.getByRole("heading", { name: "Example blog" }).waitFor();
  await soon(async () => assert.ok(Number(await public_.locator("#packets").innerText()) >= 1));
  await soon(async () => assert.equal(await public_.locator("#suspended").isVisible(), false));
  await shot(public_, "partner-page");
  await public_.setViewportSize({ width: 390, height: 800 });
  assert.ok(!(await scrollsSideways(public_)), "it fits a phone");
  await shot(public_, "partner-page-390");
  await public_.emulateMedia({ colorScheme: "dark" });
  await shot(public_, "partner-page-390-dark");
  await public_.goto(`${coordinator.url}/partners.html?id=%3Cb%3Enobody`);
  await public_.getByText("no partner of that name").waitFor();
  assert.deepEqual(errors.filter((text) => !text.includes("404")), []);
  await public_.close();
});

test("a_share_that_the_volunteer_signed_pays_the_partner_at_the_next_epoch", { timeout: 15 * MINUTE }, async () => {
  // Epochs come by themselves as well: what the partner has is read before anything can be shared with it.
  const before = (await copy(coordinator, keys.module)).overview(EVE, (await told(coordinator)).height);
  // The tab earns for Charlie, as the wallet's window says.
  const popup = home.waitForEvent("page");
  await frame.locator("#payout-connect").click();
  const window = await popup;
  const choose = async (/** @type {Page} */ at) => {
    const offer = at.getByRole("button", { name: /^Connect / });
    const charlie = at.getByRole("button", { name: "Choose //Charlie" });
    await offer.or(charlie).first().waitFor();
    if (await offer.isVisible()) await offer.click();
    await charlie.or(at.getByText("signs for this account")).first().waitFor();
    if (await charlie.isVisible()) await charlie.click();
  };
  await choose(window);
  await window.locator("#authorise-text").waitFor();
  await window.locator("#authorise-form button[type=submit]").click();
  await window.locator("#authorise-receipt").waitFor();
  await window.close();

  const wallet = await home.newPage();
  await wallet.goto(`${coordinator.url}/wallet.html?partner=example-blog#wallet`);
  await wallet.waitForFunction(() => /** @type {any} */ (globalThis).coveyWallet);
  await choose(wallet);
  await wallet.evaluate(() => void (location.hash = "overview"));
  await wallet.locator("#share-card").waitFor();
  await soon(async () => assert.equal(await wallet.locator("#share select[name=partner]").inputValue(), EVE, "the link proposes the partner"));
  await soon(async () => assert.match(await wallet.locator("#share-words").innerText(), /keeps all it earns/));
  await wallet.fill("#share input[name=percent]", "20");
  await wallet.locator("#share").getByRole("button", { name: "Review and sign" }).click();
  await wallet.locator("#sign-dialog[data-step=review]").waitFor();
  const effects = await wallet.locator("#sign-effects").innerText();
  assert.ok(effects.includes("Share of earnings") && effects.includes(`20.00 % to ${EVE}`), effects);
  await shot(wallet, "wallet-share-review");
  await wallet.click("#sign-go");
  await wallet.locator("#sign-dialog[data-step=receipt], #sign-dialog[data-step=drift]").waitFor();
  if (await wallet.locator("#sign-dialog[data-step=drift]").count()) {
    await wallet.click("#sign-go");
    await wallet.locator("#sign-dialog[data-step=receipt]").waitFor();
  }
  await wallet.click("#sign-go");
  await wallet.getByText("20 % of what this account").waitFor();
  await shot(wallet, "wallet-share");

  await until("six rounds", async () => (await heard(page, "receipt")).length >= 6, 10 * MINUTE, 1000);
  const paid = await until("the partner was paid", async () => {
    await advance(coordinator, 30);
    const { received } = await partner();
    return BigInt(received) > 0n ? BigInt(received) : null;
  }, 5 * MINUTE, 1000);
  const height = (await told(coordinator)).height;
  const after_ = (await copy(coordinator, keys.module)).overview(EVE, height);
  const position = (/** @type {typeof after_} */ overview) => BigInt(overview.positions.find(({ hotkey }) => hotkey === EVE)?.stake ?? 0);
  assert.ok(position(after_) - position(before) >= paid, "on its own account");
  await wallet.close();
});

test("a_suspension_is_seen_everywhere_and_ends_the_work_with_its_reason", { timeout: 10 * MINUTE }, async () => {
  const seen = await page.evaluate(() => /** @type {any} */ (globalThis).seen);
  const long = seen.ours.filter((/** @type {{ms: number}} */ { ms }) => ms > 50);
  console.log(`while training: layout shift ${seen.shift}, long tasks on the partner's page ${seen.long}, of ours ${long.length}`);
  assert.equal(seen.shift, 0);
  // Where the training itself takes all the processors, any task is long now and then. What of ours is
  // long by itself is so in every round, so one round without is enough.
  const rounds = seen.heard.filter((/** @type {any} */ { kind }) => kind === "receipt").map((/** @type {any} */ { at }) => at);
  const quiet = rounds.slice(1).some((/** @type {number} */ end, /** @type {number} */ i) => !long.some((/** @type {{at: number}} */ { at }) => at > rounds[i] && at <= end));
  assert.ok(quiet, `${long.length} tasks of ours over 50 ms in ${rounds.length} rounds, ${seen.long} in all`);

  await operator("suspend");
  await until("the frame stops with the reason", async () => {
    const last = (await heard(page, "state")).at(-1);
    return last?.state === "failed" && last.reason === "partner_suspended";
  }, 2 * MINUTE);
  assert.ok((await heard(page, "error")).some(({ code }) => code === "partner_suspended"));
  await soon(async () => assert.match(await frame.locator("#note").innerText(), /partnership is suspended/));
  await soon(async () => assert.ok(await frame.locator("#contribute").isDisabled()));
  await until("its worker is gone", () => page.workers().length === 0, MINUTE);
  await shot(page, "partner-embed-suspended");
  // A new visit finds the same, in any language and colour.
  const again = await home.newPage();
  await listen(again);
  await again.goto(`${origin(blog)}/?attributes=${encodeURIComponent('lang="ar" theme="dark"')}`);
  const arabic = await ours(again);
  await until("it is barred", async () => (await heard(again, "state")).at(-1)?.reason === "partner_suspended", MINUTE);
  await soon(async () => assert.match(await arabic.locator("#note").innerText(), /شراكة هذا الموقع معلّقة/));
  await shot(again, "partner-embed-suspended-ar-dark");
  await again.goto(`${coordinator.url}/partners.html?id=example-blog`);
  await again.locator("#suspended").waitFor();
  await again.goto(`${coordinator.url}/wallet.html#notices`);
  await again.getByText("The operator suspended the partner example-blog").waitFor();
  const feed = await (await fetch(`${coordinator.url}/v1/ledger/notices.atom`)).text();
  assert.ok(feed.includes("The operator suspended the partner example-blog"));

  await operator("restore");
  await again.goto(`${origin(blog)}/?attributes=${encodeURIComponent('lang="ar" theme="dark"')}`);
  const open = await ours(again);
  await open.locator("#contribute:enabled").waitFor();
  await shot(again, "partner-embed-ar-dark");
  await again.close();
});
