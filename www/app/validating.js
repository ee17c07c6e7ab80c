// @ts-check
// The volunteer's choice to score others' work, and what came of it. Whether the key may, and what is said
// about that, comes from the module; the wallet page registers the key and stakes on it.

import { find, setText, show } from "./dom.js";
import { count } from "./format.js";
import { store, stored } from "./settings.js";

/** @typedef {import("./types.js").View} View */

/** A stake in base units, in whole tokens: only to see whether there is any. @param {string} base */
const tokens = (base) => `${count(Number(base.slice(0, -9) || "0"))} \u03b1`;

export class Validating {
  on = find("#validate", HTMLInputElement);
  only = find("#validate-only", HTMLInputElement);
  status = find("#validate-status", HTMLElement);
  numbers = find("#validate-numbers", HTMLElement);
  rounds = find("#validate-rounds", HTMLElement);
  packets = find("#validate-packets", HTMLElement);
  stake = find("#validate-stake", HTMLElement);
  weights = find("#validate-weights", HTMLElement);
  wallet = find("#validate-wallet", HTMLAnchorElement);

  /** @param {(on: boolean, only: boolean) => void} choose tells the worker */
  constructor(choose) {
    this.choose = choose;
    const before = stored("validate");
    this.on.checked = before === "too" || before === "only";
    this.only.checked = before === "only";
    this.only.disabled = !this.on.checked;
    for (const box of [this.on, this.only]) {
      box.addEventListener("change", () => {
        this.only.disabled = !this.on.checked;
        if (!this.on.checked) this.only.checked = false;
        store("validate", this.on.checked ? (this.only.checked ? "only" : "too") : null);
        this.tell();
      });
    }
  }

  /** Says what is chosen; a new worker knows nothing of it. */
  tell() {
    this.choose(this.on.checked, this.only.checked);
  }

  /** @param {View} view */
  draw({ validation, volunteer }) {
    const { on, active, status, rounds, packets, stake, weights_set } = validation;
    setText(this.status, status);
    show(this.numbers, on);
    setText(this.rounds, count(rounds));
    setText(this.packets, count(packets));
    setText(this.stake, stake === null ? "\u2013" : tokens(stake));
    setText(this.weights, weights_set === null ? "\u2013" : count(weights_set));
    show(this.wallet, on && !active && volunteer !== null);
    if (volunteer) {
      const href = `wallet.html?validator=0x${volunteer}#stake`;
      if (this.wallet.getAttribute("href") !== href) this.wallet.setAttribute("href", href);
    }
  }
}
