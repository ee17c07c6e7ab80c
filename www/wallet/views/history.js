// @ts-check
// The person's own entries of the journal, newest first, each with its hash, and the audit of all of
// them. The list is the coordinator's answer and only a convenience: the audit is what proves anything.

import { find, make, setText, show } from "../../app/dom.js";
import { count } from "../../app/format.js";
import { HashText } from "../../elements/small.js";
import { history } from "../ledger.js";
import { at, rebuild, say } from "../nodes.js";
import { describe } from "../problems.js";
import { Verification } from "../verify.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").HistoryItem} HistoryItem */

const PAGE = 50;

export class HistoryView {
  #more = find("#history-more", HTMLButtonElement);
  #error = find("#history-error", HTMLElement);
  /** @type {HistoryItem[]} */
  #items = [];
  /** Whose items these are, and as of which state of the ledger. */
  #of = "";
  #version = -1;
  #older = false;
  #busy = false;

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.verification = new Verification(app);
    this.#more.addEventListener("click", () => this.#load(this.#items.at(-1)?.index ?? null));
  }

  draw() {
    const { model } = this.app;
    const account = model.account ?? "";
    if (!this.#busy && (account !== this.#of || (account && model.follower.version !== this.#version))) this.#load(null);
    setText(find("#history-words", HTMLElement), account === "" ? "Choose an account to see its actions."
      : this.#items.length === 0 && !this.#busy ? "Nothing yet." : "Every one has its place in the journal, under its hash.");
    rebuild(find("#history", HTMLElement), [this.#items, this.#items.map(({ height }) => model.when.since(height))], () => this.#items.map((item) => {
      const hash = /** @type {HashText} */ (document.createElement("covey-hash"));
      hash.value = item.hash;
      const row = make("li", {}, make("div", {}, make("p", { text: item.title }),
        make("p", { class: "soft", text: `entry ${count(item.index)}, ${model.when.since(item.height)}`, title: at(item.height, model.when) })), hash);
      row.dataset.entry = String(item.index);
      return row;
    }));
    show(this.#more, this.#older);
    this.verification.draw();
  }

  /** @param {number | null} before */
  async #load(before) {
    const { model } = this.app;
    const account = model.account ?? "";
    this.#version = model.follower.version;
    if (account !== this.#of) this.#items = [];
    this.#of = account;
    this.#older = false;
    if (!account) return;
    this.#busy = true;
    try {
      const { items } = await history(account, before);
      if (account !== model.account) return;
      const described = items.map(({ line }) => model.wallet.describe(JSON.stringify(line)));
      // The newest page again keeps the older ones that were asked for.
      const oldest = described.at(-1)?.index ?? 0;
      this.#items = before === null ? [...described, ...this.#items.filter(({ index }) => index < oldest)] : [...this.#items, ...described];
      this.#older = items.length === PAGE || (before === null && this.#items.length > described.length);
      say(this.#error, "");
    } catch (error) {
      say(this.#error, `The list could not be fetched: ${describe(error)}`);
    } finally {
      this.#busy = false;
      this.app.redraw();
    }
  }
}
