// @ts-check
// The built wallet module in Node, against what native code says about the same run:
//   COVEY_MODULE=www/module COVEY_WALLET_FIXTURES=FOLDER node --test module.test.mjs
// `cargo xtask test wallet` builds the one and has a native test write the other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";

/** @param {string} name */
function folder(name) {
  const path = process.env[name];
  assert.ok(path, `${name} names a folder`);
  return resolve(path);
}

const modules = folder("COVEY_MODULE");
const fixtures = folder("COVEY_WALLET_FIXTURES");
const journal = readFileSync(join(fixtures, "journal.ndjson"), "utf8");
const snapshot = readFileSync(join(fixtures, "snapshot.bin"));
const views = JSON.parse(readFileSync(join(fixtures, "views.json"), "utf8"));

/** @type {any} */
let module;
/** @type {any} */
let wallet;

before(async () => {
  module = await import(pathToFileURL(join(modules, "wallet.js")).href);
  await module.default({ module_or_path: readFileSync(join(modules, "wallet_bg.wasm")) });
  wallet = module.Wallet.open(snapshot);
});

/**
 * @param {string} name
 * @param {RegExp} [message]
 * @returns {(error: any) => boolean}
 */
function refusal(name, message) {
  return (error) => {
    assert.ok(error instanceof Error, String(error));
    assert.equal(error.name, name, error.message);
    if (message) assert.match(error.message, message);
    return true;
  };
}

test("every view is what native code gives", () => {
  const { height } = views;
  assert.deepEqual(wallet.head(), views.head);
  views.accounts.forEach((/** @type {string} */ account, /** @type {number} */ at) => {
    assert.deepEqual(wallet.overview(account, height), views.overviews[at]);
  });
  assert.deepEqual(wallet.managers(height), views.managers);
  assert.deepEqual(wallet.ownership(height), views.ownership);
  assert.deepEqual(wallet.notices(height), views.notices);
  assert.deepEqual(wallet.quote("buy", "123456789012", 0.005), views.buy);
  assert.deepEqual(wallet.quote("sell", "98765432109", 0.005), views.sell);
});

test("a draft, its projection and a development key's signature are what native code gives", () => {
  const bob = new module.DevelopmentWallet("//Bob");
  assert.equal(bob.account(), views.accounts[1]);
  const draft = wallet.draft(bob.account(), views.call, views.height);
  assert.deepEqual(draft, views.draft);
  assert.equal(bob.sign(draft.message), `0x${views.signature}`);
  const projection = wallet.projection(bob.account(), views.call, views.height, 90 * 7200);
  assert.deepEqual(projection, views.projection);
  const without = wallet.projection(bob.account(), null, views.height, 90 * 7200);
  assert.deepEqual(without.now, projection.now);
  assert.deepEqual(without.draft, []);
});

test("what is drafted, signed and sealed is in the ledger once its entry is applied", () => {
  const bob = new module.DevelopmentWallet("//Bob");
  const page = module.Wallet.open(snapshot);
  const draft = page.draft(bob.account(), views.call, views.height);
  const body = JSON.parse(page.seal(draft.action, "sr25519", bob.sign(draft.message)));
  const line = JSON.parse(views.entry);
  assert.deepEqual(line.body.action, body);
  const before = page.overview(bob.account(), views.height);
  const applied = page.apply(`${views.entry}\n`);
  assert.equal(applied.entries, 1);
  assert.equal(applied.log[0].account, bob.account());
  assert.equal(applied.log[0].title, draft.title);
  const after = page.overview(bob.account(), views.height);
  assert.equal(BigInt(after.locked) - BigInt(before.locked), 100n * 10n ** 9n);
  assert.deepEqual(page.describe(views.entry), {
    index: views.head.entries,
    height: views.height,
    hash: line.hash,
    title: draft.title,
  });
  // The socket and a fetch may bring the same entry.
  assert.equal(page.apply(views.entry).entries, 0);
});

test("a signature of another message or key is refused, and so is another run's action", () => {
  const bob = new module.DevelopmentWallet("//Bob");
  const eve = new module.DevelopmentWallet("//Eve");
  const { action, message } = wallet.draft(bob.account(), views.call, views.height);
  assert.throws(() => wallet.seal(action, "sr25519", eve.sign(message)), refusal("BadSignature"));
  assert.throws(() => wallet.seal(action, "ed25519", bob.sign(message)), refusal("BadSignature"));
  assert.throws(() => wallet.seal(action, "ecdsa", bob.sign(message)), refusal("Unreadable", /ecdsa/));
  const later = { ...action, expires: action.expires + 1 };
  assert.throws(() => wallet.seal(later, "sr25519", bob.sign(message)), refusal("BadSignature"));
  const other = { ...action, chain: "00".repeat(32) };
  assert.throws(() => wallet.seal(other, "sr25519", bob.sign(message)), refusal("Chain"));
});

test("refusals of the ledger come by name, and bad input as Unreadable", () => {
  const [, bob] = views.accounts;
  const draft = (/** @type {any} */ call) => wallet.draft(bob, call, views.height);
  const [{ stake }] = views.overviews[1].positions;
  const sell = { call: "remove_stake", args: { ...views.call.args, amount_unstaked: stake } };
  delete sell.args.amount;
  assert.throws(() => draft(sell), refusal("StakeUnavailable"));
  const much = { call: "lock_stake", args: { ...views.call.args, amount: "18446744073709551615" } };
  assert.throws(() => draft(much), refusal("InsufficientStakeForLock"));
  const wrong = { call: "lock_stake", args: { ...views.call.args, amount: 5 } };
  assert.throws(() => draft(wrong), refusal("Unreadable"));
  assert.throws(() => draft({ call: "sudo", args: {} }), refusal("Unreadable"));
  assert.throws(() => draft(undefined), refusal("Unreadable"));
  assert.throws(() => wallet.draft("5Nobody", views.call, views.height), refusal("Account"));
  assert.throws(() => wallet.draft(bob, views.call, 2 ** 40), refusal("Behind"));
  assert.throws(() => wallet.quote("buy", "1.5", 0), refusal("Amount"));
  assert.throws(() => module.Wallet.open(snapshot.subarray(0, 4000)), refusal("Unreadable"));
  const damaged = Uint8Array.from(snapshot);
  damaged[damaged.length - 20] ^= 1;
  assert.throws(() => module.Wallet.open(damaged), (/** @type {any} */ error) => {
    assert.ok(["Hash", "Unreadable"].includes(error.name));
    return true;
  });
});

test("an audit takes the journal in any cuts and ends where the run is", () => {
  for (const step of [7, 1000, journal.length]) {
    const audit = new module.Audit();
    for (let at = 0; at < journal.length; at += step) audit.feed(journal.slice(at, at + step));
    const end = audit.finish();
    assert.equal(end.head, views.head.head);
    assert.equal(end.entries, views.head.entries);
    assert.equal(end.height, views.head.height);
  }
});

test("an audit names the first wrong entry of an altered journal", () => {
  const lines = journal.trimEnd().split("\n");
  const at = lines.findIndex((line) => line.includes("lock_stake"));
  assert.ok(at > 0);
  lines[at] = lines[at].replace("2000000000000", "1000000000000");
  const audit = new module.Audit();
  const index = (/** @type {any} */ error) => refusal("Hash")(error) && error.index === at;
  assert.throws(() => audit.feed(lines.join("\n")), index);
  assert.throws(() => audit.finish(), index);
});

test("amounts and accounts are exact in both directions", () => {
  assert.equal(module.formatAmount("1500000000"), "1.5");
  assert.equal(module.formatAmount("18446744073709551615"), "18446744073.709551615");
  assert.equal(module.parseAmount("0.000000001"), "1");
  assert.throws(() => module.parseAmount("0.0000000001"), refusal("Amount"));
  const alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
  assert.equal(module.accountOf("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"), alice);
  assert.equal(module.accountOf("0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"), alice);
  assert.throws(() => module.accountOf("0x12"), refusal("Account"));
});

test("a session's text names the tab's key, and both must sign it", () => {
  const alice = new module.DevelopmentWallet(module.DevelopmentWallet.names()[0]);
  const sessionKey = "ab".repeat(32);
  const terms = { domain: "covey.example", run: views.head.chain, account: alice.account(), sessionKey, nowMs: 1.7e12, days: 30 };
  const session = new module.Session(terms);
  const text = session.text();
  assert.match(text, new RegExp(`^covey\\.example wants .*\\n${alice.account()}\\n`));
  assert.ok(text.includes(`Session Key: ${sessionKey}`));
  assert.notEqual(new module.Session(terms).text(), text);
  const signature = alice.sign(text);
  assert.throws(() => session.seal("sr25519", signature, "00".repeat(64)), refusal("BadSession", /session key/));
  assert.throws(() => new module.Session({ ...terms, days: 91 }), refusal("Unreadable"));
});
