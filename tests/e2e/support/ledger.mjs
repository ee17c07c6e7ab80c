// @ts-check
// The ledger as a test drives it: the operator's clock, and people who sign in Node with the wallet
// module itself, without a page.

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {import("./coordinator.mjs").Coordinator} Coordinator */
/** @typedef {import("../../../www/wallet/types.js").WalletModule} WalletModule */

/** Moves a development run's clock, with every epoch on the way. @param {Coordinator} coordinator @param {number} blocks */
export async function advance(coordinator, blocks) {
  const token = readFileSync(join(coordinator.folder, "data/admin.token"), "utf8").trim();
  const response = await fetch(`${coordinator.operator}/ledger/advance?blocks=${blocks}`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`the clock did not move: ${response.status} ${await response.text()}`);
  return /** @type {{height: number}} */ (await response.json()).height;
}

/** What the coordinator says of its ledger. @param {Coordinator} coordinator */
export async function told(coordinator) {
  return (await fetch(`${coordinator.url}/v1/ledger`)).json();
}

/** A checked copy as of now. @param {Coordinator} coordinator @param {WalletModule} module */
export async function copy(coordinator, module) {
  const snapshot = await fetch(`${coordinator.url}/v1/ledger/snapshot`);
  const wallet = module.Wallet.open(new Uint8Array(await snapshot.arrayBuffer()));
  for (;;) {
    const lines = await (await fetch(`${coordinator.url}/v1/ledger/entries?from=${wallet.head().entries}`)).text();
    if (lines === "") return wallet;
    wallet.apply(lines);
  }
}

/** Signs and posts a call; throws what the ledger refuses. @param {Coordinator} coordinator @param {WalletModule} module @param {string} name "//Bob" @param {object} call */
export async function act(coordinator, module, name, call) {
  const wallet = await copy(coordinator, module);
  const key = new module.DevelopmentWallet(name);
  const draft = wallet.draft(key.account(), call, (await told(coordinator)).height);
  const body = wallet.seal(draft.action, "sr25519", key.sign(draft.message));
  const response = await fetch(`${coordinator.url}/v1/ledger/actions`, { method: "POST", body, headers: { "content-type": "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.message), { name: answer.name });
  return answer;
}
