// @ts-check
// What the views read: answers of the wallet module at the height of now, each computed once per change
// of the ledger, height or person, and the time in words. An answer that the module refuses (an account
// it has never heard of, say) is kept as the refusal and thrown again to whoever asks.

import { heights } from "./when.js";

/** @typedef {import("./types.js").WalletModule} WalletModule */
/** @typedef {import("./follow.js").Follower} Follower */
/** @typedef {import("./people.js").People} People */
/** @typedef {import("./signing.js").Signing} Signing */

export class Model {
  /** @type {Map<string, {value?: any, error?: unknown}>} */
  #answers = new Map();
  #at = "";

  /** @param {WalletModule} module @param {Follower} follower @param {People} people */
  constructor(module, follower, people) {
    this.module = module;
    this.follower = follower;
    this.people = people;
    this.when = heights(follower);
  }

  get wallet() {
    return this.follower.wallet;
  }

  get head() {
    return this.follower.head;
  }

  get height() {
    return this.follower.height;
  }

  get account() {
    return this.people.account;
  }

  /** @template T @param {string} key @param {() => T} compute @returns {T} */
  #once(key, compute) {
    const at = `${this.follower.version}|${this.height}`;
    if (at !== this.#at) {
      this.#at = at;
      this.#answers.clear();
    }
    let answer = this.#answers.get(key);
    if (!answer) {
      try {
        answer = { value: compute() };
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) reportError(error);
        answer = { error };
      }
      this.#answers.set(key, answer);
    }
    if ("error" in answer) throw answer.error;
    return answer.value;
  }

  /** Of the person, or null without one. */
  overview() {
    const { account } = this;
    return account === null ? null : this.#once(`overview ${account}`, () => this.wallet.overview(account, this.height));
  }

  managers() {
    return this.#once("managers", () => this.wallet.managers(this.height));
  }

  ownership() {
    return this.#once("ownership", () => this.wallet.ownership(this.height));
  }

  notices() {
    return this.#once("notices", () => this.wallet.notices(this.height));
  }

  /** @param {"buy" | "sell"} side @param {string} amount @param {number} tolerance */
  quote(side, amount, tolerance) {
    return this.#once(`quote ${side} ${amount} ${tolerance}`, () => this.wallet.quote(side, amount, tolerance));
  }

  /** @param {import("./calls.js").Call | null} call @param {number} span blocks */
  projection(call, span) {
    const { account } = this;
    if (account === null) return null;
    return this.#once(`projection ${account} ${JSON.stringify(call)} ${span}`, () => this.wallet.projection(account, call, this.height, span));
  }

  /** The person's stake on a manager. @param {string} hotkey */
  stakeOn(hotkey) {
    return this.overview()?.positions.find((/** @type {import("./types.js").Position} */ position) => position.hotkey === hotkey)?.stake ?? "0";
  }
}

/**
 * What every view is given.
 * @typedef {object} App
 * @property {Model} model
 * @property {Signing} signing
 * @property {() => void} redraw
 * @property {(words: string) => void} announce  For a screen reader.
 * @property {(route: string) => void} go
 */

export {};
