// @ts-check
// The ledger's story in a real browser, with a real coordinator, real training and real sr25519
// signatures from a test wallet extension:
//
// A volunteer trains, lets its wallet have the earnings, and is paid at an epoch. Bob stakes with a
// quote, locks, watches his conviction grow while the operator moves the development run's clock, and
// owns the subnet once the notice period is over. He asks for part of the lock back and cannot sell it
// before the cliff. Charlie changes manager. The audit replays everything, and finds a forged entry.

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, scrollsSideways, shot, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { developmentKeys, injectWallet } from "./support/injected_wallet.mjs";
import { act, advance, copy, told } from "./support/ledger.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const MINUTE = 60_000;
/** Short rounds: a volunteer earns once three of them went well. */
const CONFIG = `
evaluate_sequences = 0

[run]
name = "ledger"

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
`;
const WIDE = { viewport: { width: 1280, height: 900 } };
const ALPHA = 1_000_000_000n;

/** @type {Coordinator} */ let coordinator;
/** @type {import("playwright-core").Browser} */ let browser;
/** @type {import("playwright-core").BrowserContext} */ let home;
/** @type {Awaited<ReturnType<typeof developmentKeys>>} */ let keys;
/** @type {import("playwright-core").Page} */ let wallet;
/** @type {Volunteer} */ let volunteer;

/** @param {string} name */
const person = (name) => new keys.module.DevelopmentWallet(name).account();
const ledger = () => copy(coordinator, keys.module);
/** Bob's own manager in the development genesis. */
let bobs = "";

/** Connects the test wallet in a wallet page and chooses an account. @param {import("playwright-core").Page} page @param {string} name */
async function connect(page, name) {
  await page.evaluate(() => {
    if (!location.search.includes("authorise")) location.hash = "wallet";
  });
  const offer = page.getByRole("button", { name: /^Connect / });
  const choose = page.getByRole("button", { name: `Choose ${name}` });
  await offer.or(choose).first().waitFor();
  if (await offer.isVisible()) await offer.click();
  await choose.click();
}

/** Reviews, signs, and gives the receipt's hash. @param {import("playwright-core").Page} page @param {string} form */
async function sign(page, form) {
  await page.locator(form).getByRole("button", { name: "Review and sign" }).click();
  await page.locator("#sign-dialog[data-step=review]").waitFor();
  assert.ok(await page.locator("#sign-effects tbody tr").count() > 0, "the effect is shown before the signature");
  await page.click("#sign-go");
  await page.locator("#sign-dialog[data-step=receipt], #sign-dialog[data-step=drift], #sign-dialog[data-step=refused]").waitFor();
  if (await page.locator("#sign-dialog[data-step=drift]").count()) {
    await page.click("#sign-go");
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
  }
  assert.equal(await page.locator("#sign-dialog").getAttribute("data-step"), "receipt", await page.locator("#sign-status").innerText());
  await page.click("#sign-go");
}

/** Shows one of the wallet's views. @param {string} name */
async function view(name) {
  await wallet.evaluate((name) => {
    location.hash = name;
  }, name);
  await wallet.locator(`#view-${name}`).waitFor();
}

/** Waits until the page's copy has what the coordinator has. */
async function caughtUp() {
  const { entries } = await told(coordinator);
  await wallet.waitForFunction((entries) => /** @type {any} */ (window).coveyWallet.head.entries >= entries, entries);
}

before(async () => {
  keys = await developmentKeys(process.env.COVEY_WWW ?? "", "//Bob", "//Charlie");
  coordinator = await Coordinator.create(CONFIG);
  await coordinator.start();
  browser = await launch();
  home = await browser.newContext(WIDE);
  home.setDefaultTimeout(Number(process.env.COVEY_PATIENCE ?? MINUTE));
  await injectWallet(home, keys);
}, { timeout: 5 * MINUTE });

after(async () => {
  await browser?.close();
  await coordinator?.kill();
  coordinator?.log.end();
});

test("a_volunteer_trains_and_lets_its_wallet_have_the_earnings", { timeout: 10 * MINUTE }, async () => {
  volunteer = await Volunteer.join("volunteer", home, `${coordinator.url}/?share=100&backend=flex`);
  await volunteer.sees("has joined", ({ view }) => view?.run && view.volunteer, 5 * MINUTE);
  const stored = await volunteer.page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const slot = await (await root.getDirectoryHandle("covey")).getDirectoryHandle("slot-0");
    const file = await (await slot.getFileHandle("identity")).getFile();
    return [...new Uint8Array(await file.arrayBuffer())];
  });
  assert.equal(String.fromCharCode(...stored.slice(0, 4)), "CVI1", "the key is sealed at rest");
  assert.equal(stored.length, 4 + 12 + 32 + 16, "mark, nonce, secret, tag");
  const popup = home.waitForEvent("page");
  await volunteer.page.click("#payout-connect");
  const window = await popup;
  await connect(window, "//Charlie");
  await window.locator("#authorise-text").waitFor();
  const text = await window.locator("#authorise-text").innerText();
  assert.match(text, /cannot move, stake or lock anything/);
  assert.ok(text.includes(/** @type {string} */ (volunteer.view?.volunteer)));
  await window.locator("#authorise-form button[type=submit]").click();
  await window.locator("#authorise-receipt").waitFor();
  await shot(window, "wallet-authorised");
  await window.close();
  await volunteer.page.getByText(`What this tab earns goes to ${person("//Charlie")}`).waitFor();
  const { sessions } = (await ledger()).overview(person("//Charlie"), (await told(coordinator)).height);
  assert.equal(sessions.length, 1);
});

test("scored_work_is_paid_at_the_epoch", { timeout: 15 * MINUTE }, async () => {
  await volunteer.sees("has contributed to six rounds", (self) => self.receipts.size >= 6, 10 * MINUTE);
  await until("the work was paid", async () => {
    const height = await advance(coordinator, 30);
    const { earnings } = (await ledger()).overview(person("//Charlie"), height);
    return earnings.some(({ incentive }) => BigInt(incentive) > 0n);
  }, 5 * MINUTE, 1_000);
  await volunteer.leave();
});

test("bob_stakes_with_a_quote_and_a_limit", { timeout: 5 * MINUTE }, async () => {
  const height = (await told(coordinator)).height;
  const mine = (await ledger()).managers(height).find(({ coldkey }) => coldkey === person("//Bob"));
  assert.ok(mine);
  bobs = mine.hotkey;
  wallet = await home.newPage();
  await wallet.goto(`${coordinator.url}/wallet.html`);
  await wallet.waitForFunction(() => /** @type {any} */ (window).coveyWallet);
  await connect(wallet, "//Bob");
  await view("stake");
  await wallet.selectOption("#trade select[name=hotkey]", bobs);
  await wallet.selectOption("#trade select[name=tolerance]", "0.1");
  await wallet.fill("#trade-amount", "400");
  await wallet.locator("#quote [data-slot=worst]").filter({ hasText: /\d/ }).waitFor();
  await shot(wallet, "wallet-quote");
  const before = (await ledger()).overview(person("//Bob"), height);
  await sign(wallet, "#trade");
  const after = (await ledger()).overview(person("//Bob"), (await told(coordinator)).height);
  assert.equal(BigInt(before.balance) - BigInt(after.balance), 400n * ALPHA);
  assert.ok(BigInt(after.total) > BigInt(before.total) + 600n * ALPHA);
});

test("bob_locks_and_his_conviction_grows", { timeout: 5 * MINUTE }, async () => {
  await view("locks");
  await wallet.selectOption("#lock-form select[name=hotkey]", bobs);
  await wallet.fill("#lock-amount", "1200");
  await wallet.locator("#projection canvas").waitFor();
  await shot(wallet, "wallet-lock");
  await sign(wallet, "#lock-form");
  const early = (await ledger()).ownership((await told(coordinator)).height);
  const height = await advance(coordinator, 1000);
  const late = (await ledger()).ownership(height);
  const conviction = (/** @type {typeof late} */ ownership) => BigInt(ownership.convictions.find(({ hotkey }) => hotkey === bobs)?.conviction ?? 0);
  assert.ok(conviction(late) > conviction(early) + 200n * ALPHA, `${conviction(early)} then ${conviction(late)}`);
});

test("ownership_changes_hands_after_the_notice_and_not_before", { timeout: 10 * MINUTE }, async () => {
  // Others who want Bob stake on his manager and lock to it.
  for (const name of ["//Dave", "//Eve", "//Ferdie"]) {
    const { entries } = await told(coordinator);
    assert.ok(entries > 0);
    await act(coordinator, keys.module, name, { call: "add_stake", args: { hotkey: bobs, netuid: 1, amount_staked: String(900n * ALPHA) } });
    const total = (await ledger()).overview(person(name), (await told(coordinator)).height).total;
    await act(coordinator, keys.module, name, { call: "lock_stake", args: { hotkey: bobs, netuid: 1, amount: total } });
  }
  let takeover = null;
  for (let step = 0; step < 60 && !takeover; step += 1) {
    const height = await advance(coordinator, 120);
    takeover = (await ledger()).ownership(height).takeover;
  }
  assert.ok(takeover, "the challenger passed the gate");
  assert.equal(takeover.king, bobs);
  await caughtUp();
  await view("ownership");
  await wallet.locator("#takeover").waitFor();
  await shot(wallet, "wallet-takeover");
  const now = (await told(coordinator)).height;
  assert.equal((await ledger()).ownership(now).owner, person("//Alice"), "the notice is not over");
  const height = await advance(coordinator, takeover.ready - now + 31);
  assert.equal((await ledger()).ownership(height).owner, person("//Bob"));
});

test("an_unlock_is_public_and_cannot_be_sold_before_the_cliff", { timeout: 5 * MINUTE }, async () => {
  await caughtUp();
  await view("locks");
  await wallet.locator("#lock-form input[value=unlock]").check({ force: true });
  await wallet.fill("#lock-amount", "500");
  await sign(wallet, "#lock-form");
  const height = (await told(coordinator)).height;
  const copy = await ledger();
  const { notices, insiderUnlocking } = copy.notices(height);
  assert.equal(notices[0]?.kind, "unlock");
  assert.equal(insiderUnlocking, String(500n * ALPHA), "Bob owns the subnet: he is an insider now");
  await view("notices");
  await wallet.locator("#insiders").filter({ hasText: /500/ }).waitFor();
  await shot(wallet, "wallet-notices");
  const feed = await (await fetch(`${coordinator.url}/v1/ledger/notices.atom`)).text();
  assert.match(feed, /<feed[\s\S]*unlock/i);

  const overview = copy.overview(person("//Bob"), height);
  const sale = (/** @type {bigint} */ amount) => ({ call: "remove_stake", args: { hotkey: bobs, netuid: 1, amount_unstaked: String(amount) } });
  const more = BigInt(overview.available) + 100n * ALPHA;
  await assert.rejects(act(coordinator, keys.module, "//Bob", sale(more)), { name: "StakeUnavailable" });
  const { unlockCliff, unlockRelease } = copy.head();
  await advance(coordinator, unlockCliff + unlockRelease + 1);
  await act(coordinator, keys.module, "//Bob", sale(more));
});

test("charlie_changes_manager_in_one_step", { timeout: 5 * MINUTE }, async () => {
  await connect(wallet, "//Charlie");
  await view("stake");
  await caughtUp();
  const before = (await ledger()).overview(person("//Charlie"), (await told(coordinator)).height);
  await wallet.selectOption("#move select[name=to]", bobs);
  await wallet.fill("#move-amount", "100");
  await sign(wallet, "#move");
  const after = (await ledger()).overview(person("//Charlie"), (await told(coordinator)).height);
  assert.equal(after.positions.find(({ hotkey }) => hotkey === bobs)?.stake, String(100n * ALPHA));
  assert.ok(BigInt(after.total) >= BigInt(before.total), "nothing was charged");
});

test("the_audit_passes_and_finds_a_forged_entry", { timeout: 10 * MINUTE }, async () => {
  await view("history");
  await wallet.click("#verify");
  await wallet.locator("#verify-result").waitFor({ timeout: 5 * MINUTE });
  const verdict = await wallet.locator("#verify-result").innerText();
  assert.match(verdict, /Every hash, signature and rule holds/);
  await shot(wallet, "wallet-verified");

  const journal = await (await fetch(`${coordinator.url}/v1/ledger/journal`)).text();
  const lines = journal.trimEnd().split("\n");
  const forged = lines.findIndex((line) => line.includes("add_stake"));
  assert.ok(forged > 0);
  lines[forged] = /** @type {string} */ (lines[forged]).replace(/"amount_staked":"4/, '"amount_staked":"5');
  const file = join(mkdtempSync(join(tmpdir(), "covey-journal-")), "forged.ndjson");
  writeFileSync(file, `${lines.join("\n")}\n`);
  await wallet.setInputFiles("#verify-file", file);
  await wallet.locator("#verify-result").filter({ hasText: new RegExp(`\\b${forged}\\b`) }).waitFor({ timeout: 5 * MINUTE });
  const found = await wallet.locator("#verify-result").innerText();
  assert.doesNotMatch(found, /Every hash, signature and rule holds/);
  await wallet.setViewportSize({ width: 390, height: 800 });
  assert.equal(await scrollsSideways(wallet), false);
  await shot(wallet, "wallet-forged-narrow");
});
