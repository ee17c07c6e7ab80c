// @ts-check
// A tab that validates, in a real browser with a real coordinator: two tabs train, a third scores what
// they send. Its key is registered through the wallet page and staked on by a development key. Scores
// arrive, weights that the tab's own key signed appear in the ledger, and dividends reach it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, shot, until } from "./support/browser.mjs";
import { Coordinator } from "./support/coordinator.mjs";
import { developmentKeys, injectWallet } from "./support/injected_wallet.mjs";
import { act, advance, copy, told } from "./support/ledger.mjs";
import { Volunteer } from "./support/volunteer.mjs";

const MINUTE = 60_000;
const CONFIG = `
evaluate_sequences = 0

[run]
name = "validators"

[run.inner]
steps = 5
batch = 4
peak_lr = 2e-3
warmup = 5
ramp = 5

[run.rounds]
window_ms = 30000
grace_ms = 5000
min_contributions = 2
checkpoint_every = 5
`;
const UNIT = 1_000_000_000n;

/** @type {Coordinator} */ let coordinator;
/** @type {import("playwright-core").Browser} */ let browser;
/** @type {Awaited<ReturnType<typeof developmentKeys>>} */ let keys;
/** @type {Volunteer} */ let judge;
/** @type {Volunteer[]} */ const workers = [];

/** A tab in a browser profile of its own. @param {string} name @param {boolean} [wallet] */
async function tab(name, wallet = false) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(Number(process.env.COVEY_PATIENCE ?? 2 * MINUTE));
  if (wallet) await injectWallet(context, keys);
  const volunteer = await Volunteer.join(name, context, `${coordinator.url}/?share=100&backend=flex`);
  await volunteer.sees("has joined", ({ view }) => view?.run && view.volunteer, 5 * MINUTE);
  return volunteer;
}

const id = (/** @type {Volunteer} */ volunteer) => /** @type {string} */ (volunteer.view?.volunteer);
const account = (/** @type {Volunteer} */ volunteer) => keys.module.accountOf(`0x${id(volunteer)}`);

/** All public sheets. @returns {Promise<{sheet: any, signature: string}[]>} */
async function sheets() {
  const all = [];
  for (let from = 0; ;) {
    const page = await (await fetch(`${coordinator.url}/v1/validations?from=${from}`)).json();
    all.push(...page.sheets);
    if (page.next <= from) return all;
    from = page.next;
  }
}

/** Weights that an account ever set: its journal entries. @param {string} signer */
async function weights(signer) {
  const journal = await (await fetch(`${coordinator.url}/v1/ledger/journal`)).text();
  return journal.trimEnd().split("\n").map((line) => JSON.parse(line))
    .flatMap((line) => findAction(line)).filter((action) => action.call === "set_weights" && action.account === signer);
}

/** The signed action in a journal line, wherever it is. @param {any} value @returns {any[]} */
function findAction(value) {
  if (!value || typeof value !== "object") return [];
  if (value.app === "covey" && value.call) return [value];
  return Object.values(value).flatMap(findAction);
}

before(async () => {
  // Two, so that the wallet asks which.
  keys = await developmentKeys(process.env.COVEY_WWW ?? "", "//Bob", "//Charlie");
  coordinator = await Coordinator.create(CONFIG);
  await coordinator.start();
  browser = await launch();
}, { timeout: 5 * MINUTE });

after(async () => {
  await browser?.close();
  await coordinator?.kill();
  coordinator?.log.end();
});

test("a_tab_that_wants_to_validate_is_told_what_it_lacks", { timeout: 10 * MINUTE }, async () => {
  judge = await tab("judge", true);
  assert.equal(await judge.page.locator("#validate-only").isDisabled(), true);
  await judge.page.check("#validate");
  await judge.page.check("#validate-only");
  await judge.sees("knows that its key is not registered", ({ view }) => /not registered/.test(view?.validation.status ?? ""), 2 * MINUTE);

  const popup = judge.context.waitForEvent("page");
  await judge.page.click("#validate-wallet");
  const wallet = await popup;
  await wallet.waitForFunction(() => /** @type {any} */ (window).coveyWallet);
  await wallet.evaluate(() => { location.hash = "wallet"; });
  const offer = wallet.getByRole("button", { name: /^Connect / });
  const choose = wallet.getByRole("button", { name: "Choose //Bob" });
  await offer.or(choose).first().waitFor();
  if (await offer.isVisible()) await offer.click();
  await choose.click();
  await wallet.evaluate(() => { location.hash = "stake"; });
  const field = wallet.locator("#register input[name=hotkey]");
  await field.waitFor();
  assert.equal(await field.inputValue(), account(judge), "the link names the tab's key");
  await wallet.locator("#register").getByRole("button", { name: "Review and sign" }).click();
  await wallet.locator("#sign-dialog[data-step=review]").waitFor();
  assert.match(await wallet.locator("#sign-dialog").innerText(), /Register the hotkey[\s\S]*never returned/);
  await shot(wallet, "wallet-register");
  await wallet.click("#sign-go");
  await wallet.locator("#sign-dialog[data-step=receipt]").waitFor();
  await wallet.close();

  await judge.sees("knows that nothing is staked on it", ({ view }) => /nothing is staked/.test(view?.validation.status ?? ""), 2 * MINUTE);
  await act(coordinator, keys.module, "//Bob", { call: "add_stake", args: { hotkey: account(judge), netuid: 1, amount_staked: String(800n * UNIT) } });
  await judge.sees("validates", ({ view }) => view?.validation.active, 2 * MINUTE);
  await shot(judge.page, "validating");
});

test("its_scores_of_others_work_are_public", { timeout: 15 * MINUTE }, async () => {
  for (const name of ["left", "right"]) workers.push(await tab(name));
  await judge.sees("has scored four packets", ({ view }) => (view?.validation.packets ?? 0) >= 4, 10 * MINUTE);
  const found = await until("its sheets are public", async () => {
    const all = await sheets();
    return all.length > 0 ? all : null;
  }, 10 * MINUTE);
  const trained = workers.map(id);
  for (const { sheet } of found) {
    assert.equal(sheet.validator, id(judge));
    for (const { volunteer, losses } of sheet.scores) {
      if (volunteer === id(judge)) {
        // It was training when it was told to only validate, and may have finished that round.
        assert.equal(losses, null, "nobody scores its own work");
        continue;
      }
      assert.ok(trained.includes(volunteer));
      assert.ok(losses.own_before > 0 && losses.random_before > 0 && losses.own_after > 0);
    }
  }
  await judge.look();
  assert.ok(judge.receipts.size <= 1, "it trains no more than what was under way when it was told to only validate");
});

test("weights_of_its_own_key_are_on_the_ledger_and_earn_dividends", { timeout: 25 * MINUTE }, async () => {
  const trained = workers.map(account);
  const said = await until("its key has named who worked", async () => {
    const all = await weights(account(judge));
    return all.find(({ args }) => args.weights.some((/** @type {[string, number]} */ [who]) => trained.includes(who)));
  }, 20 * MINUTE, 1_000);
  assert.equal(said.args.netuid, 1);
  await until("dividends reached it", async () => {
    const height = await advance(coordinator, 15);
    const manager = (await copy(coordinator, keys.module)).managers(height).find(({ hotkey }) => hotkey === account(judge));
    return manager && BigInt(manager.lastDividends) > 0n;
  }, 5 * MINUTE, 1_000);
  assert.ok((await told(coordinator)).entries > 0);
  await shot(judge.page, "validated");
});
