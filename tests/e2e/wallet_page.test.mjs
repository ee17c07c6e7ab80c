// @ts-check
// The wallet page by itself, in a real Chromium, beside a ledger that is only answers: every way of not
// loading, wallets in every mood, what each view asks the module for and shows of its answers, signing
// with nothing signed that was not shown, the audit, the authorisation of a tab, keyboard and narrow
// screens. No rule of the ledger is tested here; the real module is another test's.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, scrollsSideways, shot, soon, until } from "./support/browser.mjs";
import { injectWallet } from "./support/injected_wallet.mjs";
import { ALICE, BOB, CAROL, CHAIN, HOT_ONE, HOT_TWO, ledgerSite } from "./support/ledger_site.mjs";
import { Pages } from "./support/pages.mjs";
import { send, WASM, withHeaders } from "./support/site.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {Awaited<ReturnType<typeof ledgerSite>>} Home */
/** @typedef {import("./support/site.mjs").Answer} Answer */

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Pages} */
let pages;
before(async () => {
  browser = await launch();
  pages = new Pages(browser);
});
after(() => browser.close());

const SIGNATURE = `0x${"5e".repeat(64)}`;
const ETHEREUM = "0x52908400098527886E0F7030069857D2E4169EE7";

/**
 * Runs a test with a site of its own.
 * @param {string} name
 * @param {(t: {page: Page, home: Home, errors: string[], context: import("playwright-core").BrowserContext}) => Promise<void>} body
 * @param {{answers?: Record<string, Answer>, change?: (state: any) => void, context?: import("playwright-core").BrowserContextOptions}} [options]
 */
function on(name, body, options = {}) {
  test(name, { timeout: 90_000 }, async () => {
    const home = await ledgerSite(options);
    const { page, context, done } = await pages.take(options.context);
    let well = false;
    /** @type {string[]} */
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
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

/** Opens a view. @param {Page} page @param {Home} home @param {string} [route] */
async function open(page, home, route = "") {
  await page.goto(`${home.url}/wallet.html${route && `#${route}`}`);
  await page.locator("#bar").waitFor();
}

/** Opens a view as a development key. @param {Page} page @param {Home} home @param {string} route @param {string} [key] */
async function as(page, home, route, key = "//Alice") {
  await open(page, home, "wallet");
  await page.getByRole("button", { name: key }).click();
  await open(page, home, route);
  await page.locator(`#view-${route}`).waitFor();
}

/** What the page asked of the stand-in. @param {Page} page @returns {Promise<{drafts: any[], projections: any[], sealed: any[]}>} */
const scripted = (page) => page.evaluate(() => /** @type {any} */ (globalThis).scripted);

/** The problem shown. @param {Page} page */
async function problem(page) {
  const card = page.locator("#problem:visible");
  await card.waitFor();
  return { code: await card.getAttribute("data-code"), text: await card.innerText() };
}

const dialog = (/** @type {Page} */ page) => page.locator("#sign-dialog[open]");

/** Text without the thin spaces between thousands. @param {import("playwright-core").Locator} locator */
const text = async (locator) => (await locator.innerText()).replace(/[\u202f\u00a0]/g, " ").replace(/(\d) (?=\d{3})/g, "$1");

describe("load failures have their own words", () => {
  /** @type {(status: number) => Answer} */
  const status = (status) => (_, response) => response.writeHead(status).end();
  /** @type {Answer} */
  const html = (_, response) => send(response, "<!doctype html><title>Start</title>", "text/html");

  /** @param {string} name @param {string} code @param {RegExp} words @param {Record<string, Answer>} answers */
  const fails = (name, code, words, answers) =>
    on(name, async ({ page, home }) => {
      await page.goto(`${home.url}/wallet.html`);
      const found = await problem(page);
      assert.equal(found.code, code);
      assert.match(found.text, words);
      await soon(async () => assert.ok(await page.locator("#bar").isHidden()));
    }, { answers });

  fails("a_module_that_was_not_built", "module_missing", /cargo xtask start/, { "/module/wallet.js": status(404) });
  fails("webassembly_that_was_not_built", "module_missing", /has not been built/, { "/module/wallet_bg.wasm": status(404) });
  fails("a_server_that_fails", "module_http", /error/, { "/module/wallet_bg.wasm": status(503) });
  fails("a_script_of_the_wrong_type", "module_mime", /text\/javascript/, { "/module/wallet.js": html });
  fails("webassembly_of_the_wrong_type", "module_mime", /application\/wasm/, { "/module/wallet_bg.wasm": (_, response) => send(response, WASM, "text/plain") });
  fails("webassembly_that_arrives_damaged", "wasm_invalid", /damaged/, { "/module/wallet_bg.wasm": (_, response) => send(response, WASM.subarray(0, 500), "application/wasm") });
  fails("a_download_that_breaks_off", "network", /broke off/, { "/module/wallet_bg.wasm": (request) => void request.socket.destroy() });
  fails("a_script_that_does_not_fit", "module_mismatch", /different builds/, { "/module/wallet.js": (_, response) => send(response, "export const nothing = ;", "text/javascript") });
  fails("a_policy_that_forbids_webassembly", "csp_wasm", /'wasm-unsafe-eval'/, { "/wallet.html": withHeaders("wallet.html", { "content-security-policy": "script-src 'self'" }) });
  fails("a_server_without_a_ledger", "ledger_missing", /keeps no ledger/, { "/v1/ledger": status(404), "/v1/ledger/snapshot": status(404) });
  fails("a_snapshot_that_is_not_what_it_says", "snapshot", /do not sign anything/, { "/v1/ledger/snapshot": (_, response) => send(response, "{}\nnonsense", "application/octet-stream") });

  on("no_webassembly_is_said", async ({ page, home }) => {
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebAssembly"));
    await page.goto(`${home.url}/wallet.html`);
    assert.equal((await problem(page)).code, "no_wasm");
  });

  on("a_ledger_that_is_down_is_asked_again_until_it_answers", async ({ page, home }) => {
    const answer = home.answers["/v1/ledger"];
    home.answers["/v1/ledger"] = (request) => void request.socket.destroy();
    await page.goto(`${home.url}/wallet.html`);
    assert.equal((await problem(page)).code, "ledger_network");
    if (answer) home.answers["/v1/ledger"] = answer;
    await page.locator("#bar").waitFor();
    await soon(async () => assert.ok(await page.locator("#problem").isHidden()));
  });

  on("in_a_frame_it_only_offers_a_window_of_its_own", async ({ page, home }) => {
    home.answers["/framed.html"] = (_, response) => send(response, "<!doctype html><iframe src='/wallet.html#locks' width=600 height=600></iframe>", "text/html");
    await page.goto(`${home.url}/framed.html`);
    const frame = page.frameLocator("iframe");
    await frame.getByText("The wallet must have a window of its own").waitFor();
    assert.ok(!home.requests.includes("/module/wallet.js"), "nothing is loaded there");
    const popup = page.waitForEvent("popup");
    await frame.getByRole("link", { name: "Open the wallet in its own window" }).click();
    const opened = await popup;
    await opened.locator("#view-locks").waitFor();
  });
});

describe("wallets and accounts", () => {
  on("without_any_wallet_it_says_which_ones_would_do_and_everything_can_be_read", async ({ page, home }) => {
    await open(page, home);
    await page.getByText("No wallet extension is in this browser.").waitFor();
    await page.getByLabel("Address").fill(ALICE);
    await page.getByRole("button", { name: "Show it" }).click();
    await page.locator("#view-overview").waitFor();
    await soon(async () => assert.equal(await page.locator("#balance").getAttribute("value"), "12345678901234567"));
    await open(page, home, "stake");
    await page.locator("#trade-amount").fill("1");
    await page.locator("#trade button[type=submit]").click();
    await page.getByText("This account is only being looked at.").waitFor();
    await soon(async () => assert.equal(await dialog(page).count(), 0));
  });

  on("an_address_that_is_none_is_refused_in_words", async ({ page, home }) => {
    await open(page, home);
    await page.getByLabel("Address").fill("5Grwva");
    await page.getByRole("button", { name: "Show it" }).click();
    await soon(async () => assert.match(await page.locator("#read-form .form-error").innerText(), /no address/));
  });

  on("every_wallet_is_found_under_any_name_also_a_late_one", async ({ page, home }) => {
    await injectWallet(page, { name: "talisman", accounts: [], sign: () => SIGNATURE });
    await injectWallet(page, { name: "nobody-knows-it", version: "0.0.1", accounts: [], sign: () => SIGNATURE, lateMs: 900 });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).waitFor();
    await page.getByRole("button", { name: "Connect nobody-knows-it" }).waitFor();
    await page.getByText("0.0.1").waitFor();
    await soon(async () => assert.ok(await page.locator("#no-wallets").isHidden()));
  });

  for (const [mood, words] of /** @type {const} */ ([
    ["refuse", /refused\. If that was not you: open it and allow this site/],
    ["locked", /is locked\. Open it, enter its password/],
    ["pending", /already has a question open/],
  ])) {
    on(`a_wallet_that_is_${mood}_has_its_own_words_and_can_be_tried_again`, async ({ page, home }) => {
      const wallet = await injectWallet(page, { name: "subwallet-js", accounts: [{ address: BOB, name: "One", type: "sr25519" }], sign: () => SIGNATURE, enable: mood });
      await open(page, home);
      await page.getByRole("button", { name: "Connect SubWallet" }).click();
      await page.locator("#wallet-status.bad").waitFor();
      await soon(async () => assert.match(await page.locator("#wallet-status").innerText(), words));
      await wallet.mood(page, { enable: "ready" });
      await page.getByRole("button", { name: "Connect SubWallet" }).click();
      await page.locator("#accounts .chosen").waitFor();
      await soon(async () => assert.ok(await page.locator("#wallet-status").isHidden()));
    });
  }

  on("a_wallet_that_does_not_answer_is_waited_for_and_can_be_given_up", async ({ page, home }) => {
    await injectWallet(page, { name: "talisman", accounts: [], sign: () => SIGNATURE, enable: "silent" });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.getByText("Waiting for Talisman. Look for its window").waitFor();
    await page.getByRole("button", { name: "Stop waiting" }).click();
    await page.getByRole("button", { name: "Connect Talisman" }).waitFor();
    await soon(async () => assert.ok(await page.locator("#wallet-status").isHidden()));
  });

  on("a_wallet_without_accounts_says_how_to_get_one", async ({ page, home }) => {
    const wallet = await injectWallet(page, { name: "talisman", accounts: [], sign: () => SIGNATURE });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.getByText("Talisman is connected but offers no account to this site.").waitFor();
    await wallet.mood(page, { accounts: [{ address: BOB, name: "New", type: "sr25519" }] });
    await page.getByRole("button", { name: "Choose New" }).waitFor();
  });

  on("only_keys_that_can_sign_here_are_offered_and_the_others_say_why", async ({ page, home }) => {
    await injectWallet(page, { name: "talisman", sign: () => SIGNATURE, accounts: [
      { address: ALICE, name: "Main", type: "sr25519" }, { address: BOB, name: "Other", type: "ed25519" },
      { address: CAROL, name: "Bitcoin", type: "ecdsa" }, { address: ETHEREUM, name: "Ether", type: "ethereum" },
    ] });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.getByRole("button", { name: "Choose Other" }).waitFor();
    await soon(async () => assert.equal(await page.locator("#accounts button").count(), 2));
    await soon(async () => assert.match(await page.locator(`[data-unusable="${CAROL}"]`).innerText(), /ecdsa key\. The ledger knows sr25519 and ed25519 only/));
    await soon(async () => assert.match(await page.locator(`[data-unusable="${ETHEREUM}"]`).innerText(), /ethereum/));
  });

  on("the_choice_is_remembered_and_a_visit_asks_the_wallet_for_nothing", async ({ page, home }) => {
    const wallet = await injectWallet(page, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: ALICE, name: "Main", type: "sr25519" }, { address: BOB, name: "Other", type: "sr25519" }] });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.getByRole("button", { name: "Choose Other" }).click();
    await page.locator("#who", { hasText: "Other" }).waitFor();
    await page.reload();
    await page.locator("#who", { hasText: "Other" }).waitFor();
    assert.equal(await wallet.enabled(page), 0);
    await open(page, home, "wallet");
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.getByRole("button", { name: "Choose an account" }).waitFor();
    assert.equal(await page.evaluate(() => localStorage.getItem("covey.wallet")), null);
    await page.reload();
    await page.getByRole("button", { name: "Choose an account" }).waitFor();
  });

  on("development_keys_are_offered_in_development_runs_and_the_run_is_called_one", async ({ page, home }) => {
    await open(page, home);
    await page.getByText("Development run.", { exact: true }).waitFor();
    await page.getByRole("button", { name: "//Bob" }).click();
    await page.locator("#who", { hasText: /5FHneW.*\/\/Bob/s }).waitFor();
  });

  on("development_keys_are_not_offered_elsewhere_not_even_remembered_ones", async ({ page, home }) => {
    await page.addInitScript((account) => localStorage.setItem("covey.wallet", JSON.stringify({ kind: "development", account, label: "//Alice", key: "sr25519" })), ALICE);
    await open(page, home);
    await page.getByRole("button", { name: "Choose an account" }).waitFor();
    await soon(async () => assert.ok(await page.locator("#development-keys").isHidden()));
    await soon(async () => assert.ok(await page.locator("#development").isHidden()));
  }, { change: (state) => void (state.head.development = false) });
});

describe("following the ledger", () => {
  on("entries_come_over_the_socket_and_change_what_is_shown", async ({ page, home }) => {
    await as(page, home, "overview", "//Bob");
    await page.getByText("40 entries checked, following").waitFor();
    home.append({ set: { overviews: { [BOB]: { balance: "7000000001" } } } });
    await page.locator('#balance[value="7000000001"]').waitFor();
    assert.match(await text(page.locator("#balance")), /^7\.000000001 TAO$/);
    await page.getByText("41 entries checked").waitFor();
  });

  on("entries_that_the_socket_left_out_are_fetched", async ({ page, home }) => {
    await as(page, home, "overview", "//Bob");
    await page.getByText("following").waitFor();
    home.append({ quiet: true, set: { overviews: { [BOB]: { nonce: 3 } } } });
    home.append({ quiet: true });
    home.append({ set: { overviews: { [BOB]: { balance: "8000000000" } } } });
    await page.locator('#balance[value="8000000000"]').waitFor();
    await soon(async () => assert.match(await page.locator("#facts").innerText(), /Actions so far\s*3/));
  });

  on("a_lost_connection_is_said_and_resumed_where_it_was", async ({ page, home }) => {
    await as(page, home, "overview", "//Bob");
    await page.getByText("following").waitFor();
    home.cut();
    await page.getByText("Connection lost. Trying again in").waitFor();
    home.append({ quiet: true, set: { overviews: { [BOB]: { balance: "9000000000" } } } });
    await page.locator('#balance[value="9000000000"]').waitFor();
    await page.getByText("41 entries checked, following").waitFor();
  });

  on("an_entry_that_does_not_hold_stops_it_and_the_last_good_state_stays", async ({ page, home }) => {
    await as(page, home, "overview", "//Bob");
    await page.getByText("following").waitFor();
    home.append({ bad: true, set: { overviews: { [BOB]: { balance: "1" } } } });
    const found = await problem(page);
    assert.equal(found.code, "wrong_entry");
    assert.match(found.text, /Do not sign anything/);
    await page.getByText("Not following the ledger any more").waitFor();
    home.append({ set: { overviews: { [BOB]: { balance: "2" } } } });
    await page.waitForTimeout(300);
    await soon(async () => assert.equal(await page.locator("#balance").getAttribute("value"), "5000000000"));
  });

  on("another_run_at_the_same_address_is_noticed", async ({ page, home }) => {
    await open(page, home);
    await page.getByText("following").waitFor();
    home.broadcast({ type: "head", ...home.head(), chain: "aa".repeat(32) });
    assert.equal((await problem(page)).code, "other_run");
  });

  on("the_height_goes_on_with_the_clock", async ({ page, home }) => {
    await page.clock.install();
    await open(page, home);
    await page.getByText("Height 1,000").waitFor();
    await page.clock.fastForward(36_500);
    await page.clock.runFor(1_500);
    // The real clock goes on as well, so a slow machine may see a later block.
    await page.getByText(/Height 1,0(0[3-9]|[1-7]\d)/).waitFor();
    const [, height, left] = /Height (1,0\d\d)[\s\S]*next epoch in (\d+) blocks/.exec(await page.locator("#bar").innerText()) ?? [];
    assert.equal(Number(height?.replace(",", "")) + Number(left), 1080);
  });
});

describe("overview", () => {
  on("amounts_are_exact_to_the_last_unit", async ({ page, home }) => {
    await as(page, home, "overview");
    assert.equal(await text(page.locator("#balance")), "12345678.901234567 TAO");
    assert.equal(await text(page.locator("#total")), "3210.000000001 \u03b1");
    assert.equal(await text(page.locator("#proceeds")), "1098.765432109 TAO");
    const parts = await Promise.all(["available", "unlocking", "locked"].map((id) => page.locator(`#${id}`).getAttribute("value")));
    assert.equal(parts.reduce((sum, base) => sum + BigInt(base ?? 0), 0n), 3_210_000_000_001n);
    assert.match(await text(page.locator("#positions tr").nth(1)), /210\.000000001 \u03b1\s*9\.25 %/);
    await soon(async () => assert.match(await page.locator("#facts").innerText(), /operator/));
  });

  on("earnings_have_a_plot_and_a_table_newest_first", async ({ page, home }) => {
    await as(page, home, "overview");
    await page.locator("#earnings-plot canvas").waitFor();
    await soon(async () => assert.match(await page.locator("#earnings tr").first().locator("th").innerText(), /^2,000$/));
    await soon(async () => assert.equal(await page.locator("#earnings tr").count(), 30));
    await soon(async () => assert.match(await page.locator("#earnings-plot [role=img]").getAttribute("aria-label") ?? "", /every number/));
  });

  on("an_account_that_the_ledger_does_not_know_says_so", async ({ page, home }) => {
    await open(page, home);
    await page.getByLabel("Address").fill(CAROL);
    await page.getByRole("button", { name: "Show it" }).click();
    await page.getByText("The ledger has nothing of this account yet.").waitFor();
  });

  on("an_announced_coldkey_swap_can_be_taken_back_from_here", async ({ page, home }) => {
    await as(page, home, "overview");
    await page.getByRole("button", { name: "Take it back" }).click();
    await dialog(page).waitFor();
    assert.equal((await scripted(page)).drafts.at(-1).call.call, "cancel_coldkey_swap");
  }, { change: (state) => void (state.overviews[ALICE].coldkeySwap = { newColdkeyHash: "aa".repeat(32), ready: 1500 }) });

  const partners = [
    { id: "moneyless", name: "Moneyless", url: "https://m.example", suspended: false },
    { id: "news", name: "The news", url: "https://n.example", suspended: false, account: CAROL },
    { id: "example-blog", name: "Example blog", url: "https://b.example", suspended: false, account: BOB },
  ];
  /** @type {Record<string, Answer>} */
  const listed = { "/v1/partners": (_, response) => send(response, JSON.stringify({ partners }), "application/json") };

  on("a_link_proposes_a_partner_and_only_a_hand_and_a_signature_share_anything", async ({ page, home, errors }) => {
    await open(page, home, "wallet");
    await page.getByRole("button", { name: "//Alice" }).click();
    await page.goto(`${home.url}/wallet.html?partner=example-blog#overview`);
    await page.locator("#share-card").waitFor();
    assert.deepEqual(await page.locator("#share option").allInnerTexts(), ["The news (news)", "Example blog (example-blog)"]);
    await soon(async () => assert.equal(await page.locator("#share select").inputValue(), BOB));
    assert.equal((await scripted(page)).drafts.length, 0);
    await page.locator("#share input[name=percent]").fill("20");
    await shot(page, "wallet-share-form");
    await page.locator("#share").getByRole("button", { name: "Review and sign" }).click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "set_revenue_share", args: { netuid: 1, partner: BOB, share: 13_107 } });
    assert.deepEqual(errors, []);
  }, { answers: listed });

  on("a_share_that_was_signed_is_shown_and_can_be_ended", async ({ page, home }) => {
    await as(page, home, "overview");
    await page.getByText("20 % of what this account").waitFor();
    await soon(async () => assert.match(await page.locator("#share-now").innerText(), /The news/));
    await page.getByRole("button", { name: "Share nothing any more" }).click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "set_revenue_share", args: { netuid: 1, partner: null, share: 0 } });
  }, { answers: listed, change: (state) => void (state.overviews[ALICE].revenueShare = { partner: CAROL, share: 13_107 }) });
});

describe("stake", () => {
  on("a_quote_follows_the_amount_and_the_call_carries_its_limit", async ({ page, home }) => {
    await as(page, home, "stake");
    assert.match(await text(page.locator("[data-slot=spot]")), /^0\.512345678 TAO\/\u03b1$/);
    await page.locator("#trade-amount").fill("100.5");
    await page.locator('[data-slot=fee][value="50250000"]').waitFor();
    await soon(async () => assert.match(await page.locator("[data-slot=slippage]").innerText(), /%/));
    await soon(async () => assert.equal(await page.locator("[data-slot=limit]").getAttribute("value"), "517469134"));
    await page.locator("#trade button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "add_stake_limit", args: {
      hotkey: HOT_ONE, netuid: 1, amount_staked: "100500000000", limit_price: "517469134", allow_partial: false,
    } });
  });

  on("selling_offers_own_managers_and_what_is_available", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.getByRole("radio", { name: "Sell" }).check();
    await page.getByText("You can sell").waitFor();
    await soon(async () => assert.equal(await page.locator("#trade select[name=hotkey] option").count(), 2));
    await page.locator("#trade select[name=hotkey]").selectOption(HOT_ONE);
    await page.locator("#trade [data-act=max]").click();
    await soon(async () => assert.equal(await page.locator("#trade-amount").inputValue(), "2160.000000001", "not all of 3000: the rest is locked"));
    await page.locator("#trade select[name=tolerance]").selectOption("0.03");
    await page.locator("#trade input[name=partial]").check();
    await page.locator("#trade button[type=submit]").click();
    await dialog(page).waitFor();
    const { call } = (await scripted(page)).drafts.at(-1);
    assert.equal(call.call, "remove_stake_limit");
    assert.equal(call.args.amount_unstaked, "2160000000001");
    assert.equal(call.args.allow_partial, true);
  });

  on("an_amount_beyond_the_tolerance_says_what_would_fit", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.locator("#trade-amount").fill("5000");
    await page.getByText("the ledger would refuse it whole").waitFor();
    await page.locator("#trade-fit").click();
    await soon(async () => assert.equal(await page.locator("#trade-amount").inputValue(), "4000"));
    await page.locator("#trade-fit").waitFor({ state: "hidden" });
  });

  on("without_a_limit_it_is_said_that_there_is_no_worst_case", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.locator("#trade select[name=tolerance]").selectOption("none");
    await page.locator("#trade-amount").fill("10");
    await page.getByText("There is no worst case.").waitFor();
    await page.locator("#trade button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "add_stake", args: { hotkey: HOT_ONE, netuid: 1, amount_staked: "10000000000" } });
  });

  on("amounts_that_are_none_are_named_and_nothing_is_drafted", async ({ page, home }) => {
    await as(page, home, "stake");
    for (const amount of ["", "1.0000000001", "abc", "-1"]) {
      await page.locator("#trade-amount").fill(amount);
      await page.locator("#trade button[type=submit]").click();
      await page.locator("#trade .form-error").waitFor();
    }
    assert.equal((await scripted(page)).drafts.length, 0);
  });

  on("a_manager_is_changed_in_one_step", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.locator("#move select[name=from]").selectOption(HOT_TWO);
    await page.locator("#move select[name=to]").selectOption(CAROL);
    await page.locator("#move [data-act=max]").click();
    await page.locator("#move button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "move_stake", args: {
      origin_hotkey: HOT_TWO, destination_hotkey: CAROL, origin_netuid: 1, destination_netuid: 1, alpha_amount: "210000000001",
    } });
  });

  on("a_tab_s_key_is_registered_as_a_validator_from_its_link", async ({ page, home }) => {
    await as(page, home, "stake");
    await soon(async () => assert.ok(await page.locator("#register").isHidden(), "folded away until somebody asks for it"));
    await page.goto(`${home.url}/wallet.html?validator=${CAROL}#stake`);
    await page.locator("#register").waitFor();
    await soon(async () => assert.equal(await page.locator("#register input[name=hotkey]").inputValue(), CAROL));
    await page.locator("#register button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "burned_register", args: { netuid: 1, hotkey: CAROL } });
    await page.goto(`${home.url}/wallet.html?validator=nonsense#stake`);
    await page.locator("#register-box summary").click();
    await page.locator("#register input[name=hotkey]").fill("nonsense");
    await page.locator("#register button[type=submit]").click();
    await page.locator("#register .form-error").filter({ hasText: /address/ }).waitFor();
  });

  on("managers_show_take_stake_and_lock_mode_and_can_be_chosen", async ({ page, home }) => {
    await as(page, home, "stake");
    const row = page.locator(`#managers tr[data-hotkey="${HOT_ONE}"]`);
    assert.match(await text(row), /owner[\s\S]*validator[\s\S]*18 %[\s\S]*90210\.000000001 \u03b1[\s\S]*3000 \u03b1[\s\S]*decays from/);
    await soon(async () => assert.match(await page.locator(`#managers tr[data-hotkey="${HOT_TWO}"]`).innerText(), /perpetual/));
    await page.locator(`#managers tr[data-hotkey="${CAROL}"] button`).click();
    await soon(async () => assert.equal(await page.locator("#trade select[name=hotkey]").inputValue(), CAROL));
    assert.equal(await page.evaluate(() => document.activeElement?.id), "trade-amount");
  });
});

describe("locks", () => {
  on("the_plot_is_of_what_is_about_to_be_signed", async ({ page, home }) => {
    await as(page, home, "locks");
    await soon(async () => assert.match(await page.locator("#lock-facts").innerText(), /1.000.*\u03b1[\s\S]*333\.333333333/));
    assert.match(await text(page.locator("#unlocks")), /in 1[34] d/);
    await page.locator("#lock-amount").fill("20.5");
    await page.getByText("Solid: with what you are about to sign.").waitFor();
    await page.locator("#projection canvas").waitFor();
    const call = { call: "lock_stake", args: { hotkey: HOT_ONE, netuid: 1, amount: "20500000000" } };
    assert.deepEqual((await scripted(page)).projections.at(-1), call);
    await page.locator("#lock-form button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, call);
    await soon(async () => assert.match(await page.locator("#sign-warnings").innerText(), /14 days/));
  });

  for (const [what, fill, call] of /** @type {const} */ ([
    ["Move", { hotkey: HOT_TWO }, { call: "move_lock", args: { destination_hotkey: HOT_TWO, netuid: 1 } }],
    ["Mode", { perpetual: "true" }, { call: "set_perpetual_lock", args: { netuid: 1, enabled: true } }],
    ["Unlock", { amount: "max" }, { call: "unlock_stake", args: { netuid: 1, amount: "1000000000000" } }],
  ])) {
    on(`${what.toLowerCase()}_is_the_call_it_says`, async ({ page, home }) => {
      await as(page, home, "locks");
      await page.getByRole("radio", { name: what, exact: true }).check();
      if ("hotkey" in fill) await page.locator("#lock-form select[name=hotkey]").selectOption(fill.hotkey);
      if ("perpetual" in fill) await page.locator("#lock-form select[name=perpetual]").selectOption(fill.perpetual);
      if ("amount" in fill) await page.locator("#lock-form [data-act=max]").click();
      await page.locator("#lock-form button[type=submit]").click();
      await dialog(page).waitFor();
      assert.deepEqual((await scripted(page)).drafts.at(-1).call, call);
    });
  }

  on("what_the_ledger_would_refuse_is_said_while_the_form_is_filled_in", async ({ page, home }) => {
    await as(page, home, "locks");
    await page.locator("#lock-amount").fill("99999999");
    await page.getByText("The stake on this subnet is smaller than the lock would be.").first().waitFor();
    await page.locator("#lock-form button[type=submit]").click();
    await soon(async () => assert.match(await page.locator("#lock-form .form-error").innerText(), /smaller.*Lock less, or stake more first\. \(InsufficientStakeForLock\)/));
    await soon(async () => assert.equal(await dialog(page).count(), 0));
  }, { change: (state) => void (state.refuse = { lock_stake: ["InsufficientStakeForLock", "the stake on this subnet is smaller than the lock would be"] }) });
});

describe("ownership and notices", () => {
  on("conviction_stands_against_the_gate_with_dates_and_the_takeover_counts_down", async ({ page, home }) => {
    await as(page, home, "ownership");
    await soon(async () => assert.match(await page.locator(`#convictions [data-hotkey="${HOT_TWO}"]`).innerText(), /112\.5.%[\s\S]*above the gate/));
    await soon(async () => assert.match(await page.locator(`#convictions [data-hotkey="${CAROL}"]`).innerText(), /44\.4.%[\s\S]*would cross in 55.d/));
    await soon(async () => assert.match(await page.locator(`#convictions [data-hotkey="${HOT_ONE}"]`).innerText(), /never crosses/));
    await soon(async () => assert.match(await page.locator("#takeover").innerText(), /takes over in [67].d.*if it stays above/));
    await soon(async () => assert.match(await page.locator("#owner-facts").innerText(), /decays from/));
    await soon(async () => assert.match(await page.locator("#council-words").innerText(), /2 of 3 keys/));
  });

  on("a_council_key_approves_and_proposes", async ({ page, home }) => {
    await as(page, home, "ownership", "//Bob");
    await page.getByRole("button", { name: "Approve" }).click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "approve", args: { proposal: 3 } });
    await page.locator("#sign-cancel").click();
    await page.getByText("Propose a change of roles").click();
    await page.getByLabel("Of the account").fill(CAROL);
    await page.getByLabel("Hash of the published reason").fill("AB".repeat(32));
    await page.locator("#propose button[type=submit]").click();
    await dialog(page).waitFor();
    assert.deepEqual((await scripted(page)).drafts.at(-1).call, { call: "propose", args: { effect: { assign_role: { role: "operator", holder: CAROL } }, reason: "ab".repeat(32) } });
  });

  on("somebody_outside_the_council_is_offered_neither", async ({ page, home }) => {
    await as(page, home, "ownership", "//Bob");
    await page.locator("#proposals li").waitFor();
    await soon(async () => assert.equal(await page.locator("#proposals button").count(), 0));
    await soon(async () => assert.ok(await page.locator("#propose-box").isHidden()));
  }, { change: (state) => void (state.ownership.governance.council = [ALICE, CAROL]) });

  on("notices_say_how_much_of_the_insiders_stake_is_leaving", async ({ page, home }) => {
    await open(page, home, "notices");
    await page.locator("#notices li").first().waitFor();
    assert.match(await text(page.locator("#insiders")), /^50 \u03b1 of 3210\.000000001 \u03b1 insider stake \(1\.6 %\) is unlocking, first liquid at .* \(height 101,?800\), in 1[34] d/);
    assert.deepEqual(await page.locator("#notices li").evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).dataset.notice)), ["9", "8", "5"]);
    await soon(async () => assert.equal(await page.locator("#atom").getAttribute("href"), "/v1/ledger/notices.atom"));
    await soon(async () => assert.match(await page.locator("#notices-count").innerText(), /2/));
  });

  on("a_new_notice_is_spoken", async ({ page, home }) => {
    await open(page, home, "stake");
    await page.getByText("following").waitFor();
    home.broadcast({ type: "notice", notice: { id: 10, kind: "unlock", title: "Somebody unlocks 7 \u03b1.", account: BOB, insider: false, announced: 1000, earliest: 2000, end: 3000, status: "pending" } });
    await page.locator("#live[aria-live=polite]").filter({ hasText: "New notice: Somebody unlocks 7 \u03b1." }).waitFor({ state: "attached" });
  });
});

describe("signing", () => {
  /** Opens the dialog for a purchase with an injected wallet.
   * @param {Page} page @param {Home} home @param {Partial<Parameters<typeof injectWallet>[1]>} [options] */
  async function buying(page, home, options = {}) {
    const wallet = await injectWallet(page, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: ALICE, name: "Main", type: "sr25519" }], ...options });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.locator("#accounts .chosen").waitFor();
    await open(page, home, "stake");
    await page.locator("#trade-amount").fill("100");
    await page.locator("#trade button[type=submit]").click();
    await dialog(page).waitFor();
    return wallet;
  }

  on("effects_and_the_exact_message_come_first_and_the_receipt_after", async ({ page, home, errors }) => {
    const wallet = await buying(page, home);
    await soon(async () => assert.match(await page.locator("#sign-effects tbody tr").first().innerText(), /Balance\s*12345678\.901234567 TAO\s*12345578\.901234567 TAO/));
    await soon(async () => assert.ok(await page.locator("#sign-message").isHidden()));
    await page.getByText("The exact message to sign").click();
    const message = await page.locator("#sign-message").innerText();
    assert.equal(wallet.asked.length, 0, "nothing is asked of the wallet before the click");
    await page.getByRole("button", { name: "Sign with Talisman" }).click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
    assert.deepEqual(wallet.asked, [{ address: ALICE, data: message, type: "bytes" }]);
    const body = JSON.parse(home.posted[0]?.body ?? "");
    assert.equal(home.posted[0]?.path, "/v1/ledger/actions");
    assert.deepEqual([body.key, body.signature, JSON.stringify(body.action)], ["sr25519", SIGNATURE, message]);
    await soon(async () => assert.equal(await page.locator("#sign-index").innerText(), "40"));
    await soon(async () => assert.equal(await page.locator("#sign-hash code").getAttribute("title"), home.journal[40]?.hash));
    await page.getByRole("button", { name: `Copy ${home.journal[40]?.hash}` }).waitFor();
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByText("41 entries checked").waitFor();
    await until("the form is empty", async () => (await page.locator("#trade-amount").inputValue()) === "", 30_000, 50);
    assert.deepEqual(errors, []);
  });

  on("escape_cancels_and_the_focus_returns", async ({ page, home }) => {
    const wallet = await buying(page, home);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "sign-cancel");
    await page.keyboard.press("Escape");
    await soon(async () => assert.equal(await dialog(page).count(), 0));
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Review and sign");
    assert.equal(wallet.asked.length + home.posted.length, 0);
    await soon(async () => assert.equal(await page.locator("#trade-amount").inputValue(), "100", "the form stays as it was"));
  });

  on("a_wallet_that_refuses_says_so_and_nothing_is_sent", async ({ page, home }) => {
    const wallet = await buying(page, home);
    await wallet.mood(page, { sign: "refuse" });
    await page.locator("#sign-go").click();
    await page.locator("#sign-status.bad").waitFor();
    await soon(async () => assert.match(await page.locator("#sign-status").innerText(), /Talisman refused/));
    assert.equal(home.posted.length, 0);
    await wallet.mood(page, { sign: "ready" });
    await page.locator("#sign-go").click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
  });

  on("a_signature_given_after_cancelling_is_thrown_away", async ({ page, home }) => {
    await buying(page, home);
    // It arrives with the very press of Cancel, before the browser has told of the dialog's end.
    await page.evaluate((signature) => {
      const bridge = Object.keys(window).find((name) => name.startsWith("coveyTestSign_")) ?? "";
      Object.assign(window, {
        [bridge]: () => new Promise((resolve) => document.querySelector("#sign-cancel")?.addEventListener("click", () => resolve(signature))),
      });
    }, SIGNATURE);
    await page.locator("#sign-go").click();
    await page.getByText("Waiting for Talisman. Look for its window").waitFor();
    await page.locator("#sign-cancel").click();
    await page.waitForTimeout(300);
    assert.equal(home.posted.length, 0);
    await soon(async () => assert.equal(await dialog(page).count(), 0));
  });

  on("a_stale_quote_is_drafted_anew_and_shown_and_not_signed", async ({ page, home }) => {
    const wallet = await buying(page, home);
    home.append({ set: { price: "600000000" } });
    await page.getByText("The ledger has moved on: these are the effects as of now.").waitFor();
    await soon(async () => assert.match(await page.locator("#sign-effects").innerText(), /0\.6 TAO/));
    const { limit_price } = (await scripted(page)).drafts.at(-1).call.args;
    assert.equal(limit_price, "606000000", "the limit is of the quote that is shown");
    await page.locator("#sign-go").click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
    assert.equal(JSON.parse(wallet.asked[0]?.data ?? "").args.limit_price, "606000000");
  });

  on("a_change_while_the_wallet_is_open_is_shown_before_anything_is_sent", async ({ page, home }) => {
    /** @type {(() => void) | undefined} */
    let release;
    const held = new Promise((resolve) => (release = () => resolve(undefined)));
    await buying(page, home, { sign: async () => (await held, SIGNATURE) });
    await page.getByText("The exact message to sign").click();
    const message = await page.locator("#sign-message").innerText();
    await page.locator("#sign-go").click();
    await page.getByText("Waiting for Talisman").waitFor();
    home.append({ set: { price: "600000000" } });
    await page.getByText("41 entries checked").waitFor();
    await soon(async () => assert.equal(await page.locator("#sign-message").innerText(), message, "what the wallet was asked stays on screen"));
    release?.();
    await page.getByText("What you signed would now do this. Nothing has been sent yet.").waitFor();
    await soon(async () => assert.match(await page.locator("#sign-effects").innerText(), /0\.6 TAO/));
    assert.equal(home.posted.length, 0);
    await page.getByRole("button", { name: "Send it" }).click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
    assert.equal(JSON.stringify(JSON.parse(home.posted[0]?.body ?? "").action), message);
  });

  on("a_refusal_has_the_rules_name_and_what_to_do", async ({ page, home }) => {
    await buying(page, home);
    home.answers["/v1/ledger/actions"] = (_, response) => response.writeHead(409, { "content-type": "application/json" })
      .end(JSON.stringify({ code: "ledger", name: "PriceLimitExceeded", message: "the price already is past the limit" }));
    await page.locator("#sign-go").click();
    await page.locator("#sign-dialog[data-step=refused]").waitFor();
    await soon(async () => assert.match(await page.locator("#sign-status").innerText(), /The price already is past the limit\. .*new quote.*\(PriceLimitExceeded\)/));
    await page.getByRole("button", { name: "Draft again" }).click();
    await page.locator("#sign-dialog[data-step=review]").waitFor();
  });

  on("an_answer_that_never_came_can_be_asked_for_again_with_the_same_body", async ({ page, home }) => {
    await buying(page, home);
    const answer = home.answers["/v1/ledger/actions"];
    /** @type {string[]} */
    const bodies = [];
    home.answers["/v1/ledger/actions"] = async (request) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      bodies.push(body);
      request.socket.destroy();
    };
    await page.locator("#sign-go").click();
    await page.getByText("it is not known whether the action was recorded").waitFor();
    if (answer) home.answers["/v1/ledger/actions"] = answer;
    await page.getByRole("button", { name: "Send again" }).click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
    assert.equal(home.posted[0]?.body, bodies[0]);
  });

  on("a_remembered_wallet_is_asked_only_when_something_is_signed", async ({ page, home }) => {
    const wallet = await injectWallet(page, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: ALICE, name: "Main", type: "sr25519" }] });
    await open(page, home);
    await page.getByRole("button", { name: "Connect Talisman" }).click();
    await page.locator("#accounts .chosen").waitFor();
    await page.goto(`${home.url}/wallet.html#locks`);
    await page.reload();
    await page.locator("#lock-amount").fill("1");
    await page.locator("#lock-form button[type=submit]").click();
    await dialog(page).waitFor();
    assert.equal(await wallet.enabled(page), 0);
    await wallet.mood(page, { accounts: [{ address: BOB, type: "sr25519" }] });
    await page.locator("#sign-go").click();
    await page.getByText("Talisman does not offer this account to this site any more.").waitFor();
    await wallet.mood(page, { accounts: [{ address: ALICE, type: "sr25519" }] });
    await page.locator("#sign-go").click();
    await page.locator("#sign-dialog[data-step=receipt]").waitFor();
    assert.equal(await wallet.enabled(page), 1);
  });
});

describe("history and audit", () => {
  on("own_actions_are_listed_with_their_hashes_and_older_ones_on_demand", async ({ page, home }) => {
    for (let i = 0; i < 60; i += 1) home.append({ quiet: true, title: `Action ${i}` });
    await as(page, home, "history");
    await page.locator("#history li").nth(49).waitFor();
    await soon(async () => assert.match(await page.locator("#history li").first().innerText(), /Action 59[\s\S]*entry 99/));
    await soon(async () => assert.equal(await page.locator("#history li").first().locator("code").getAttribute("title"), home.journal[99]?.hash));
    await page.locator("#history-more").click();
    await page.locator("#history li").nth(99).waitFor();
    await soon(async () => assert.equal(await page.locator("#history li").count(), 100));
    home.append({ title: "The newest" });
    await page.locator("#history li").first().filter({ hasText: "The newest" }).waitFor();
  });

  on("verify_replays_the_journal_and_the_hashes_agree", async ({ page, home, errors }) => {
    home.append();
    await open(page, home, "history");
    await page.getByRole("button", { name: "Verify the journal" }).click();
    const verdict = page.locator("#verify-result");
    await verdict.waitFor();
    const words = await verdict.innerText();
    assert.match(words, /The hashes agree[\s\S]*41 entries[\s\S]*The coordinator\u2019s entry 40 has the same hash[\s\S]*own copy has the same hash/);
    assert.ok(words.includes(home.journal[40]?.hash ?? "?"));
    assert.ok(words.includes("5a".repeat(32)), "the state's hash is shown");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "verify-result");
    assert.deepEqual(errors, []);
  });

  on("verify_shows_the_first_entry_that_does_not_hold", async ({ page, home }) => {
    await open(page, home, "history");
    const entry = home.journal[17];
    assert.ok(entry);
    home.journal[17] = { ...entry, bad: true };
    await page.getByRole("button", { name: "Verify the journal" }).click();
    await page.locator("#verify-result.bad").waitFor();
    const words = await page.locator("#verify-result").innerText();
    assert.match(words, /Entry 17 does not hold[\s\S]*does not have the hash it claims[\s\S]*17 entries before it hold/);
    await page.getByText("The entry as it came").click();
    await soon(async () => assert.equal(await page.locator("#verify-result pre").innerText(), JSON.stringify(home.journal[17])));
  });

  on("another_journal_that_holds_in_itself_does_not_agree", async ({ page, home }) => {
    await open(page, home, "history");
    const file = home.journal.map((entry) => `${JSON.stringify({ ...entry, hash: "77".repeat(32) })}\n`).join("");
    await page.locator("#verify-file").setInputFiles({ name: "other.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(file) });
    await page.locator("#verify-result.bad").waitFor();
    await soon(async () => assert.match(await page.locator("#verify-result").innerText(), /The hashes do not agree[\s\S]*other\.ndjson[\s\S]*entry 39 has another hash[\s\S]*own copy has another hash/));
  });

  on("a_file_that_is_a_beginning_of_the_ledger_agrees_there", async ({ page, home }) => {
    await open(page, home, "history");
    const file = home.journal.slice(0, 20).map((entry) => `${JSON.stringify(entry)}\n`).join("");
    await page.locator("#verify-file").setInputFiles({ name: "older.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(file) });
    await page.locator("#verify-result:not(.bad)").waitFor();
    await soon(async () => assert.match(await page.locator("#verify-result").innerText(), /entry 19 has the same hash[\s\S]*began after entry 19/));
  });

  on("a_file_that_is_cut_off_does_not_hold", async ({ page, home }) => {
    await open(page, home, "history");
    const file = home.journal.slice(0, 5).map((entry) => `${JSON.stringify(entry)}\n`).join("").slice(0, -20);
    await page.locator("#verify-file").setInputFiles({ name: "cut.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(file) });
    await page.locator("#verify-result.bad").waitFor();
    await soon(async () => assert.match(await page.locator("#verify-result").innerText(), /Entry 4 does not hold/));
  });

  on("a_download_that_ends_early_says_nothing_about_the_ledger", async ({ page, home }) => {
    await open(page, home, "history");
    home.answers["/v1/ledger/journal"] = (_, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson", "content-length": 100_000 });
      response.write(`${JSON.stringify(home.journal[0])}\n`);
      setTimeout(() => response.destroy(), 300);
    };
    await page.getByRole("button", { name: "Verify the journal" }).click();
    await page.locator("#verify-result.bad").waitFor();
    await soon(async () => assert.match(await page.locator("#verify-result").innerText(), /could not be verified[\s\S]*says nothing about the ledger/));
  });

  on("verifying_shows_progress_and_can_be_cancelled", async ({ page, home }) => {
    await open(page, home, "history");
    home.answers["/v1/ledger/journal"] = (_, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      for (const entry of home.journal.slice(0, 10)) response.write(`${JSON.stringify(entry)}\n`);
    };
    await page.getByRole("button", { name: "Verify the journal" }).click();
    await page.getByText(/\d+ entries checked, up to height/).waitFor();
    await soon(async () => assert.equal(await page.locator("#verify-progress").getAttribute("max"), "1"));
    await page.getByRole("button", { name: "Cancel" }).first().click();
    await page.getByText("Nothing was found out.").waitFor();
    assert.equal(page.workers().length, 0);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "verify");
  });
});

describe("a tab asks for an account", () => {
  const KEY = "e5".repeat(32);
  const KEY_SIGNATURE = "9a".repeat(64);

  /** A page that opens the wallet as the contributing page does. @param {Page} page @param {Home} home @param {string} query @param {boolean} [answers] */
  async function asking(page, home, query, answers = true) {
    home.answers["/opener.html"] = (_, response) => send(response, "<!doctype html><title>Opener</title>", "text/html");
    await page.goto(`${home.url}/opener.html`);
    const popup = page.waitForEvent("popup");
    await page.evaluate(({ query, answers, signature }) => {
      const heard = /** @type {any[]} */ ([]);
      Object.assign(globalThis, { heard });
      addEventListener("message", (event) => {
        if (event.origin !== location.origin) return;
        heard.push(event.data);
        if (answers && event.data.type === "covey-session-request") {
          /** @type {Window} */ (event.source).postMessage({ type: "covey-session-signature", signature }, event.origin);
        }
      });
      open(`/wallet.html?${query}`, "_blank", "popup,width=520,height=800");
    }, { query, answers, signature: KEY_SIGNATURE });
    return popup;
  }

  on("both_keys_sign_the_text_that_is_shown_and_the_tab_is_told", async ({ page, home, context }) => {
    const wallet = await injectWallet(context, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: BOB, name: "Mine", type: "ed25519" }] });
    const popup = await asking(page, home, `authorise=${KEY}&run=${CHAIN}`);
    await popup.getByText("Let a tab contribute for your account").waitFor();
    await soon(async () => assert.ok(await popup.locator("#tabs").isHidden()));
    await popup.getByRole("button", { name: "Connect Talisman" }).click();
    await popup.locator("#authorise-text").waitFor();
    await popup.getByLabel("For how long").selectOption("7");
    await popup.locator("#authorise-text").filter({ hasText: "Days: 7" }).waitFor();
    const shown = await popup.locator("#authorise-text").innerText();
    assert.match(shown, new RegExp(`^localhost:${home.port} wants you to authorise[\\s\\S]*${BOB}[\\s\\S]*Session Key: ${KEY}`));
    await shot(popup, "wallet-authorise");
    await popup.getByRole("button", { name: "Sign with Talisman" }).click();
    await popup.locator("#authorise-receipt").waitFor();
    assert.deepEqual(wallet.asked, [{ address: BOB, data: shown, type: "bytes" }]);
    const heard = await page.evaluate(() => /** @type {any} */ (globalThis).heard);
    assert.deepEqual(heard, [{ type: "covey-session-request", text: shown }, { type: "covey-session-done", account: BOB }]);
    const body = JSON.parse(home.posted[0]?.body ?? "");
    assert.equal(home.posted[0]?.path, "/v1/ledger/sessions");
    assert.deepEqual([body.key, body.walletSignature, body.keySignature], ["ed25519", SIGNATURE, KEY_SIGNATURE]);
    assert.deepEqual([body.authorisation.domain, body.authorisation.run, body.authorisation.days], [`localhost:${home.port}`, CHAIN, 7]);
  });

  on("signatures_from_anywhere_else_are_not_taken", async ({ page, home, context }) => {
    await injectWallet(context, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: BOB, name: "Mine", type: "sr25519" }] });
    const popup = await asking(page, home, `authorise=${KEY}&run=${CHAIN}`, false);
    await popup.getByRole("button", { name: "Connect Talisman" }).click();
    await popup.locator("#authorise-text").waitFor();
    await popup.getByRole("button", { name: "Sign with Talisman" }).click();
    await popup.getByText("Asking the tab for its key").waitFor();
    await popup.evaluate((signature) => {
      postMessage({ type: "covey-session-signature", signature }, location.origin);
      dispatchEvent(new MessageEvent("message", { origin: "https://elsewhere.test", source: opener, data: { type: "covey-session-signature", signature } }));
    }, KEY_SIGNATURE);
    await popup.waitForTimeout(300);
    assert.equal(home.posted.length, 0);
  });

  for (const [name, query, words] of /** @type {const} */ ([
    ["a_damaged_key", `authorise=12&run=${CHAIN}`, /names no key/],
    ["another_run", `authorise=${KEY}&run=${"aa".repeat(32)}`, /another run/],
  ])) {
    on(`${name}_is_refused_before_anything_is_signed`, async ({ page, home }) => {
      const popup = await asking(page, home, query);
      await popup.locator("#authorise-status.bad").waitFor();
      await soon(async () => assert.match(await popup.locator("#authorise-status").innerText(), words));
      await soon(async () => assert.ok(await popup.locator("#authorise-form button").isDisabled()));
    });
  }

  on("without_the_tab_that_asked_nothing_can_be_authorised", async ({ page, home }) => {
    await page.goto(`${home.url}/wallet.html?authorise=${KEY}&run=${CHAIN}`);
    await page.getByText("The tab that asked is gone.").waitFor();
  });

  on("a_refused_session_says_why_and_the_next_attempt_has_a_new_text", async ({ page, home, context }) => {
    await injectWallet(context, { name: "talisman", sign: () => SIGNATURE, accounts: [{ address: BOB, name: "Mine", type: "sr25519" }] });
    const popup = await asking(page, home, `authorise=${KEY}&run=${CHAIN}`);
    await popup.getByRole("button", { name: "Connect Talisman" }).click();
    await popup.locator("#authorise-text").waitFor();
    const answer = home.answers["/v1/ledger/sessions"];
    home.answers["/v1/ledger/sessions"] = (_, response) => response.writeHead(409, { "content-type": "application/json" })
      .end(JSON.stringify({ code: "ledger", name: "BadSession", message: "the session authorisation is not valid: check the clock of this device" }));
    await popup.getByRole("button", { name: "Sign with Talisman" }).click();
    await popup.locator("#authorise-status.bad").waitFor();
    await soon(async () => assert.match(await popup.locator("#authorise-status").innerText(), /check the clock of this device.*\(BadSession\)/));
    if (answer) home.answers["/v1/ledger/sessions"] = answer;
    await popup.getByRole("button", { name: "Sign with Talisman" }).click();
    await popup.locator("#authorise-receipt").waitFor();
  });
});

describe("everyone can use it", () => {
  const VIEWS = ["wallet", "overview", "stake", "locks", "ownership", "notices", "history"];

  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    for (const [name, width] of /** @type {const} */ ([["phone", 390], ["wide", 1280]])) {
      on(`no_${colorScheme}_${name}_view_scrolls_sideways`, async ({ page, home }) => {
        await as(page, home, "stake");
        await page.locator("#trade-amount").fill("18446744073.709551615");
        await open(page, home, "locks");
        await page.locator("#lock-amount").fill("2000.123456789");
        for (const view of VIEWS) {
          await open(page, home, view);
          await page.locator(`#view-${view}`).waitFor();
          if (view === "history") {
            await page.locator("#verify").click();
            await page.locator("#verify-result").waitFor();
          }
          await page.waitForTimeout(250);
          assert.ok(!(await scrollsSideways(page)), view);
          await shot(page, `wallet-${view}-${name}-${colorScheme}`);
        }
        await open(page, home, "locks");
        await page.locator("#lock-form button[type=submit]").click();
        await dialog(page).waitFor();
        await page.getByText("The exact message to sign").click();
        const { inner, outer } = await dialog(page).evaluate((node) => ({ inner: node.scrollWidth, outer: node.clientWidth }));
        assert.ok(inner <= outer, `the dialog is ${inner} wide in ${outer}`);
        await shot(page, `wallet-sign-${name}-${colorScheme}`);
      }, { context: { viewport: { width, height: 844 }, colorScheme } });
    }
  }

  on("the_keyboard_reaches_every_control_with_visible_focus", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.reload();
    await page.locator("#managers tr").first().waitFor();
    const reached = new Set();
    for (let i = 0; i < 60; i += 1) {
      await page.keyboard.press("Tab");
      const { name, visible } = await page.evaluate(() => {
        const node = /** @type {HTMLElement} */ (document.activeElement);
        const marked = node.matches(".segments input") ? /** @type {HTMLElement} */ (node.nextElementSibling) : node;
        return { name: node.getAttribute("href") || node.getAttribute("name") || node.id || node.tagName, visible: getComputedStyle(marked).outlineStyle !== "none" };
      });
      if (name === "BODY") break;
      assert.ok(visible, `focus on ${name} cannot be seen`);
      reached.add(name);
    }
    for (const name of ["theme", "#overview", "#history", "side", "hotkey", "amount", "tolerance", "partial", "from", "to"]) assert.ok(reached.has(name), `${name} not in ${[...reached]}`);
  });

  on("another_view_is_reached_by_its_link_and_takes_the_focus", async ({ page, home }) => {
    await open(page, home);
    await page.getByRole("link", { name: "Ownership" }).focus();
    await page.keyboard.press("Enter");
    await until("the view has the focus", () => page.evaluate(() => document.activeElement?.id === "view-ownership"), 30_000, 50);
    await soon(async () => assert.equal(await page.locator("#tabs [aria-current=page]").innerText(), "Ownership"));
    await page.goBack();
    await page.locator("#view-wallet").waitFor();
  });

  on("what_is_drawn_anew_keeps_the_focus", async ({ page, home }) => {
    await as(page, home, "stake");
    await page.locator(`#managers tr[data-hotkey="${CAROL}"] button`).focus();
    const managers = (await import("./support/ledger_site.mjs")).state().managers.map((manager) => ({ ...manager, staked: "5" }));
    home.append({ set: { managers } });
    await page.locator('#managers data[value="5"]').first().waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.closest("tr")?.dataset.hotkey), CAROL);
  });

  on("an_ordinary_visit_is_silent_and_asks_nobody_else", async ({ page, home, errors, context }) => {
    /** @type {string[]} */
    const strangers = [];
    context.on("request", (request) => {
      if (new URL(request.url()).origin !== home.url && !request.url().startsWith("data:")) strangers.push(request.url());
    });
    await as(page, home, "overview");
    for (const view of VIEWS) await open(page, home, view);
    assert.deepEqual(strangers, []);
    assert.deepEqual(errors, []);
    assert.deepEqual(await context.cookies(), []);
    assert.ok(!home.requests.some((path) => path.includes("covey_bg.wasm")), "the training module is not loaded");
  });

  on("the_start_page_leads_to_the_wallet_and_back", async ({ page, home }) => {
    await page.goto(home.url);
    await page.getByRole("link", { name: "Wallet" }).click();
    await page.locator("#bar").waitFor();
    await page.getByRole("link", { name: "Contribute" }).click();
    await page.locator("#contribute").waitFor();
  });
});
