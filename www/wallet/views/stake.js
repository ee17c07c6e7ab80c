// @ts-check
// Buying, selling and moving stake. The quote follows every keystroke and every change of the pool; what
// is signed carries the limit price of the quote that was shown, so that a price that moved meanwhile
// leads to a refusal and never to a worse trade. Quotes are the module's.

import { find, make, setText, show } from "../../app/dom.js";
import { count } from "../../app/format.js";
import { ALPHA, amount, least, more, percent, plain, PRICE, setAmount, words } from "../amounts.js";
import * as calls from "../calls.js";
import { amountIn, amountOrNull, chosen, field, filled, onSubmit } from "../form.js";
import { account, button, cell, choices, head, mode, modeKind, named, rebuild, say, tag } from "../nodes.js";
import { inWords } from "../refusals.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").Manager} Manager */
/** @typedef {import("../types.js").Quote} Quote */

/** Tolerance used where somebody chose none: the quote needs one, the call then has no limit. */
const NO_LIMIT_QUOTED = 0.5;
/** One token, to show a price before any amount is given. */
const PROBE = "1000000000";

export class StakeView {
  #trade = find("#trade", HTMLFormElement);
  #move = find("#move", HTMLFormElement);
  #register = find("#register", HTMLFormElement);
  #fit = find("#trade-fit", HTMLButtonElement);
  #most = "0";

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    onSubmit(app, this.#trade, () => this.#tradeCall(), () => this.#empty(this.#trade));
    onSubmit(app, this.#move, () => this.#moveCall(), () => this.#empty(this.#move));
    onSubmit(app, this.#register, () => calls.register(app.model.module.accountOf(chosen(this.#register, "hotkey").trim())));
    this.#named();
    find("[data-act=max]", HTMLButtonElement, this.#trade).addEventListener("click", () => this.#fill(this.#trade, this.#have()));
    find("[data-act=max]", HTMLButtonElement, this.#move).addEventListener("click", () => this.#fill(this.#move, this.#movable()));
    this.#fit.addEventListener("click", () => this.#fill(this.#trade, this.#most));
  }

  /** A tab that wants to validate names its key in the link (`?validator=`). */
  #named() {
    const key = new URLSearchParams(location.search).get("validator");
    if (key === null) return;
    try {
      field(this.#register, "hotkey").value = this.app.model.module.accountOf(key);
      find("#register-box", HTMLDetailsElement).open = true;
    } catch {
      // A damaged link shows the usual page.
    }
  }

  get side() {
    return /** @type {"buy" | "sell"} */ (chosen(this.#trade, "side"));
  }

  /** The visitor's tolerance, null for none. */
  get tolerance() {
    const value = chosen(this.#trade, "tolerance");
    return value === "none" ? null : Number(value);
  }

  /** @param {HTMLFormElement} form @param {string} base */
  #fill(form, base) {
    field(form, "amount").value = plain(base);
    field(form, "amount").dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** @param {HTMLFormElement} form */
  #empty(form) {
    field(form, "amount").value = "";
    this.app.redraw();
  }

  /** What can be put in: the balance, or what may leave this manager. */
  #have() {
    const overview = this.app.model.overview();
    if (!overview) return "0";
    return this.side === "buy" ? overview.balance : least(this.app.model.stakeOn(chosen(this.#trade, "hotkey")), overview.available);
  }

  #movable() {
    const { model } = this.app;
    return model.overview() ? model.stakeOn(chosen(this.#move, "from")) : "0";
  }

  #tradeCall() {
    const amount = filled(amountIn(this.app, field(this.#trade, "amount")));
    const { tolerance, side } = this;
    const limitPrice = tolerance === null ? null : this.app.model.quote(side, amount, tolerance).limitPrice;
    const trade = { hotkey: chosen(this.#trade, "hotkey"), amount, limitPrice, partial: field(this.#trade, "partial").checked };
    return side === "buy" ? calls.buy(trade) : calls.sell(trade);
  }

  #moveCall() {
    const amount = filled(amountIn(this.app, field(this.#move, "amount")));
    return calls.moveStake(chosen(this.#move, "from"), chosen(this.#move, "to"), amount);
  }

  draw() {
    const managers = this.app.model.managers();
    this.#options(managers);
    this.#drawQuote();
    this.#table(managers);
  }

  /** @param {Manager[]} managers */
  #options(managers) {
    const { model } = this.app;
    const label = (/** @type {Manager} */ manager) => {
      const mine = model.stakeOn(manager.hotkey);
      return { value: manager.hotkey, text: `${named(manager.hotkey)}, takes ${percent(manager.take)}${mine === "0" ? "" : `, yours ${words(mine, ALPHA)}`}` };
    };
    const all = managers.map(label);
    const mine = managers.filter(({ hotkey }) => model.stakeOn(hotkey) !== "0").map(label);
    choices(field(this.#trade, "hotkey"), this.side === "buy" ? all : mine);
    choices(field(this.#move, "from"), mine);
    choices(field(this.#move, "to"), all.filter(({ value }) => value !== chosen(this.#move, "from")));
    const overview = model.overview();
    setText(find("#trade-amount-label", HTMLElement), this.side === "buy" ? "Amount in TAO" : `Amount in ${ALPHA}`);
    setText(find("#trade-have", HTMLElement), !overview ? "Choose an account to see what you have."
      : this.side === "buy" ? `You have ${words(overview.balance, "TAO")}.`
      : mine.length === 0 ? "Nothing is staked yet." : `You can sell ${words(this.#have(), ALPHA)} of this manager\u2019s.`);
    setText(find("#move-have", HTMLElement), !overview ? "Choose an account to see what you have."
      : mine.length === 0 ? "Nothing is staked yet." : `You have ${words(this.#movable(), ALPHA)} with this manager.`);
  }

  #drawQuote() {
    const box = find("#quote", HTMLElement);
    const { side, tolerance } = this;
    const amount = amountOrNull(this.app, field(this.#trade, "amount"));
    /** @type {Quote | null} */
    let quote = null;
    let note = "";
    try {
      if (amount === null && field(this.#trade, "amount").value.trim() !== "") amountIn(this.app, field(this.#trade, "amount"));
      quote = this.app.model.quote(side, amount ?? PROBE, tolerance ?? NO_LIMIT_QUOTED);
    } catch (error) {
      note = inWords(error);
    }
    const [input, output] = side === "buy" ? /** @type {const} */ (["TAO", ALPHA]) : /** @type {const} */ ([ALPHA, "TAO"]);
    const slot = (/** @type {string} */ name, /** @type {string | null | undefined} */ base, /** @type {import("../amounts.js").Unit} */ unit) =>
      setAmount(find(`[data-slot=${name}]`, HTMLDataElement, box), base ?? null, unit);
    const full = amount === null ? null : quote;
    slot("spot", quote?.spot, PRICE);
    slot("average", full?.average, PRICE);
    slot("after", full?.after, PRICE);
    slot("fee", full?.fee, input);
    slot("output", full?.output, output);
    slot("limit", tolerance === null ? null : full?.limitPrice, PRICE);
    slot("worst", tolerance === null ? null : full?.worst, output);
    setText(find("[data-slot=slippage]", HTMLElement, box), full ? percent(full.slippage, 3) : "\u2013");

    const tooMuch = full !== null && tolerance !== null && more(full.input, full.maxInput);
    if (tooMuch) {
      this.#most = full.maxInput;
      note = field(this.#trade, "partial").checked
        ? `Only ${words(full.maxInput, input)} of it fits within your limit; the rest stays with you.`
        : `This moves the price past your limit, so the ledger would refuse it whole. ${words(full.maxInput, input)} would fit.`;
    } else if (full !== null && tolerance === null) {
      note = "Without a limit the trade happens at whatever price the pool has by then. There is no worst case.";
    }
    say(find("#trade-note", HTMLElement), note);
    show(this.#fit, tooMuch && this.#most !== "0");
    if (tooMuch) setText(this.#fit, `Use ${words(this.#most, input)}`);
  }

  /** @param {Manager[]} managers */
  #table(managers) {
    const { model } = this.app;
    const rows = managers.map((manager) => ({ manager, mine: model.stakeOn(manager.hotkey), mode: mode(manager.ownLock, model.when) }));
    rebuild(find("#managers", HTMLElement), rows, () => rows.map(({ manager, mine, mode }) => {
      const { hotkey, owner, validator, take, staked, stakers, lastDividends, ownLock } = manager;
      const who = head(account(hotkey));
      if (owner) who.append(tag("owner", "good"));
      if (validator) who.append(tag("validator"));
      const everyone = cell(amount(staked, ALPHA), "num");
      everyone.append(make("small", { text: stakers === 1 ? "1 staker" : `${count(stakers)} stakers` }));
      const lock = cell(tag(mode, modeKind(ownLock)));
      if (ownLock) lock.append(make("small", {}, amount(ownLock.mass, ALPHA)));
      const row = make("tr", { class: mine === "0" ? "" : "me" }, who, cell(percent(take), "num"), everyone,
        cell(mine === "0" ? "\u2013" : amount(mine, ALPHA), "num"), lock, cell(amount(lastDividends, ALPHA), "num"),
        cell(button("Stake here", () => this.#choose(hotkey), { class: "copy", focus: hotkey, label: `Stake with ${named(hotkey)}` })));
      row.dataset.hotkey = hotkey;
      return row;
    }));
  }

  /** @param {string} hotkey */
  #choose(hotkey) {
    const buy = this.#trade.querySelector("input[value=buy]");
    if (buy instanceof HTMLInputElement) buy.checked = true;
    this.draw();
    field(this.#trade, "hotkey").value = hotkey;
    this.draw();
    field(this.#trade, "amount").focus();
  }
}
