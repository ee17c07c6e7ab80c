// @ts-check
// What an account has and earns. Amounts are exact; the bar and the plot are pictures of them. Nothing
// is computed here: total, locked, unlocking and available are the module's, from the ledger's own code.

import { find, make, setText, show } from "../../app/dom.js";
import { count } from "../../app/format.js";
import { HashText } from "../../elements/small.js";
import { ALPHA, amount, percent, picture, PRICE, setAmount, share, sum } from "../amounts.js";
import * as calls from "../calls.js";
import { request } from "../form.js";
import { account, at, button, cell, head, pair, rebuild } from "../nodes.js";
import { TimePlot } from "../plot.js";
import { refusal } from "../refusals.js";
import { date } from "../when.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").Overview} Overview */
/** @typedef {import("../types.js").EarningView} EarningView */

/** Most epochs in the table; the plot has all of them. */
const MAX_ROWS = 200;

/** @param {string} id */
const data = (id) => find(`#${id}`, HTMLDataElement);

export class OverviewView {
  #error = find("#overview-error", HTMLElement);
  #locked = find("#accepts-locked", HTMLButtonElement);

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.#locked.addEventListener("click", () => {
      const accepts = app.model.overview()?.acceptsLocked ?? false;
      request(app, this.#error, () => calls.rejectLocked(accepts));
    });
  }

  draw() {
    const { model } = this.app;
    /** @type {Overview | null} */
    let overview = null;
    let words = "Choose an account, or paste an address, under Account.";
    try {
      overview = model.overview();
      if (overview) words = overview.known ? "" : "The ledger has nothing of this account yet. It appears here with its first reward, transfer or stake.";
    } catch (error) {
      words = refusal(error).message;
    }
    const line = find("#overview-words", HTMLElement);
    setText(line, words);
    show(line, words !== "");
    this.#amounts(overview);
    this.#positions(overview);
    this.#facts(overview);
    this.#earnings(overview?.earnings ?? []);
  }

  /** @param {Overview | null} overview */
  #amounts(overview) {
    setAmount(data("balance"), overview?.balance ?? null, "TAO");
    setAmount(data("total"), overview?.total ?? null, ALPHA);
    setAmount(data("value"), overview?.value ?? null, "TAO");
    setAmount(data("proceeds"), overview?.proceeds ?? null, "TAO");
    setAmount(data("price"), overview?.price ?? null, PRICE);
    for (const part of /** @type {const} */ (["available", "unlocking", "locked"])) {
      setAmount(data(part), overview?.[part] ?? null, ALPHA);
      const bar = find(`#composition .${part}`, HTMLElement);
      const grow = String(overview ? share(overview[part], overview.total) : 0);
      if (bar.style.flexGrow !== grow) bar.style.flexGrow = grow;
    }
    const swap = overview?.coldkeySwap;
    const notice = find("#swap-notice", HTMLElement);
    show(notice, Boolean(swap));
    rebuild(notice, swap && [swap, this.app.model.when.until(swap.ready)], () => !swap ? [] : [
      make("span", { text: `Everything of this account is announced to move to another coldkey, first possible ${this.app.model.when.until(swap.ready)}. If that was not you, take it back now.` }),
      button("Take it back", () => request(this.app, this.#error, calls.cancelColdkeySwap), { focus: "swap" })]);
  }

  /** @param {Overview | null} overview */
  #positions(overview) {
    const positions = overview?.positions ?? [];
    setText(find("#positions-words", HTMLElement), positions.length === 0 ? "Nothing is staked." : positions.length === 1 ? "One manager." : `${positions.length} managers.`);
    const takes = new Map(this.app.model.managers().map((manager) => [manager.hotkey, manager.take]));
    rebuild(find("#positions", HTMLElement), [positions, [...takes]], () => positions.map(({ hotkey, stake }) =>
      make("tr", {}, head(account(hotkey)), cell(amount(stake, ALPHA), "num"), cell(takes.has(hotkey) ? percent(takes.get(hotkey) ?? 0) : "\u2013", "num"))));
  }

  /** @param {Overview | null} overview */
  #facts(overview) {
    const person = this.app.model.account;
    rebuild(find("#facts", HTMLElement), [person, overview?.roles, overview?.insider, overview?.acceptsLocked, overview?.nonce, overview?.newLocksPerpetual], () => !overview || person === null ? [] : [
      pair("Address", hash(person)),
      pair("Roles", overview.roles.length > 0 ? overview.roles.join(", ") : "none"),
      ...(overview.insider ? [pair("Insider", "yes: its locks do not decay")] : []),
      pair("New locks are", overview.newLocksPerpetual ? "perpetual" : "decaying"),
      pair("Takes locked stake from others", overview.acceptsLocked ? "yes" : "no"),
      pair("Actions so far", count(overview.nonce)),
    ]);
    show(this.#locked, overview !== null && this.app.model.people.canSign);
    setText(this.#locked, overview?.acceptsLocked ? "Refuse locked stake from others" : "Accept locked stake from others");
    const sessions = overview?.sessions ?? [];
    show(find("#no-sessions", HTMLElement), sessions.length === 0);
    rebuild(find("#sessions", HTMLElement), sessions, () => sessions.map(({ sessionKey, expiresAtMs }) =>
      make("li", {}, make("div", {}, hash(sessionKey)), make("span", { class: "soft", text: `until ${date(expiresAtMs)}` }))));
  }

  /** @param {EarningView[]} earnings */
  #earnings(earnings) {
    const { when } = this.app.model;
    const all = earnings.flatMap((earning) => [earning.incentive, earning.dividends, earning.ownerCut]);
    const words = find("#earnings-words", HTMLElement);
    rebuild(words, earnings, () => earnings.length === 0 ? ["Nothing yet. Rewards are paid at every epoch."]
      : [`${count(earnings.length)} epochs, together `, amount(sum(all), ALPHA), "."]);
    show(find("#earnings-box", HTMLElement), earnings.length > 0);
    const newest = earnings.slice(-MAX_ROWS).reverse();
    rebuild(find("#earnings", HTMLElement), newest, () => newest.map((earning) => make("tr", {}, head(count(earning.height)),
      ...[earning.incentive, earning.dividends, earning.ownerCut].map((base) => cell(amount(base, ALPHA), "num")))));
    const last = earnings.at(-1);
    const owns = earnings.some(({ ownerCut }) => ownerCut !== "0");
    find("#earnings-plot", TimePlot).draw(!last || earnings.length < 2 ? null : {
      // Rounded to the minute, so that a ticking clock does not redraw a plot of the past.
      times: earnings.map(({ height }) => Math.round(when.ms(height) / 60_000) * 60_000),
      unit: ALPHA,
      words: `Earnings per epoch up to ${at(last.height, when)}; the table below has every number.`,
      lines: [
        { name: "For work", colour: "own", stepped: true, values: earnings.map(({ incentive }) => picture(incentive)) },
        { name: "Dividends", colour: "held", stepped: true, values: earnings.map(({ dividends }) => picture(dividends)) },
        ...(owns ? [{ name: "Owner\u2019s cut", colour: /** @type {const} */ ("reference"), stepped: true, values: earnings.map(({ ownerCut }) => picture(ownerCut)) }] : []),
      ],
    });
  }
}

/** @param {string} value */
function hash(value) {
  const node = /** @type {HashText} */ (document.createElement("covey-hash"));
  node.value = value;
  return node;
}
