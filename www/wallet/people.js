// @ts-check
// Whose ledger entries are shown, and who can sign. Three kinds of person: an account of a browser
// wallet, a development key (only where the run says so), and a reader, who pasted an address and can
// look at everything but sign nothing.
//
// The choice is remembered. On a later visit the account is shown at once and the wallet itself is
// asked only when something is to be signed, so that opening the page opens no windows.

import { store, stored } from "../app/settings.js";
import { Connection, WalletTrouble, walletName } from "./extensions.js";

/** @typedef {import("./types.js").WalletModule} WalletModule */
/** @typedef {import("./extensions.js").Usable} Usable */
/** @typedef {import("./extensions.js").Unusable} Unusable */

/**
 * @typedef {{kind: "wallet", wallet: string, account: string, address: string, label: string, key: "sr25519" | "ed25519"}
 *   | {kind: "development", account: string, label: string, key: "sr25519"}
 *   | {kind: "reader", account: string}} Person
 */

export class People {
  /** @type {Person | null} */
  person = null;
  /** @type {Connection | null} */
  connection = null;
  /** @type {{usable: Usable[], unusable: Unusable[]} | null} */
  offered = null;

  /** @param {WalletModule} module @param {boolean} development @param {() => void} changed */
  constructor(module, development, changed) {
    this.module = module;
    this.development = development;
    this.changed = changed;
    this.#restore();
  }

  get account() {
    return this.person?.account ?? null;
  }

  get canSign() {
    return this.person !== null && this.person.kind !== "reader";
  }

  /** Who signs, for a sentence. */
  get signer() {
    const { person } = this;
    return person?.kind === "wallet" ? walletName(person.wallet) : person?.kind === "development" ? "the development key" : "nobody";
  }

  #restore() {
    try {
      const kept = JSON.parse(stored("wallet") ?? "null");
      if (!kept || typeof kept.account !== "string") return;
      const account = this.module.accountOf(kept.account);
      if (kept.kind === "development" && this.development && this.module.DevelopmentWallet.names().includes(kept.label)) this.develop(kept.label);
      else if (kept.kind === "wallet" && typeof kept.wallet === "string" && typeof kept.address === "string") {
        this.person = { kind: "wallet", wallet: kept.wallet, account, address: kept.address, label: String(kept.label ?? ""), key: kept.key === "ed25519" ? "ed25519" : "sr25519" };
      } else if (kept.kind === "reader") this.person = { kind: "reader", account };
    } catch {
      // Not ours, or of another time: the visitor chooses again.
    }
  }

  /** @param {Person | null} person */
  #become(person) {
    this.person = person;
    store("wallet", person && JSON.stringify(person));
    this.changed();
  }

  /** Connects to an extension and lists its accounts. @param {string} id */
  async connect(id) {
    const connection = await Connection.open(id, this.module.accountOf);
    const offered = await connection.accounts();
    this.connection = connection;
    this.offered = offered;
    connection.subscribe((accounts) => {
      if (this.connection !== connection) return;
      this.offered = accounts;
      this.changed();
    });
    this.changed();
    if (offered.usable.length === 0) throw new WalletTrouble("none", connection.name);
    return offered;
  }

  /** @param {Usable} usable */
  choose(usable) {
    if (!this.connection) return;
    const { account, address, label, key } = usable;
    this.#become({ kind: "wallet", wallet: this.connection.id, account, address, label, key });
  }

  /** @param {string} name "//Alice" */
  develop(name) {
    if (!this.development) return;
    const wallet = new this.module.DevelopmentWallet(name);
    this.#become({ kind: "development", account: wallet.account(), label: name, key: "sr25519" });
  }

  /** Shows an account without being able to sign. @param {string} address */
  read(address) {
    this.#become({ kind: "reader", account: this.module.accountOf(address.trim()) });
  }

  /** Shows an account for this visit only: the remembered choice stays. @param {string} address */
  look(address) {
    this.person = { kind: "reader", account: this.module.accountOf(address) };
  }

  /** Forgets account and connection. The wallet's own permission stays until it is withdrawn there. */
  disconnect() {
    this.connection = null;
    this.offered = null;
    this.#become(null);
  }

  /** Has the person's key sign a text, wrapped as `signRaw` wraps it. @param {string} text */
  async sign(text) {
    const { person } = this;
    if (!person || person.kind === "reader") throw new Error("There is nobody here who can sign.");
    if (person.kind === "development") {
      return { key: person.key, signature: new this.module.DevelopmentWallet(person.label).sign(text) };
    }
    if (this.connection?.id !== person.wallet) await this.connect(person.wallet);
    const connection = /** @type {Connection} */ (this.connection);
    if (!this.offered?.usable.some(({ account }) => account === person.account)) throw new WalletTrouble("gone", connection.name);
    return { key: person.key, signature: await connection.sign(person.address, text) };
  }
}
