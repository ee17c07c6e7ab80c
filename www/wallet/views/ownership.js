// @ts-check
// Who owns the subnet, who could, and who may change what. Shares of the gate and crossing heights are
// the module's projection at today's numbers: a forecast, not a promise, and it is called so.

import { find, make, setText, show } from "../../app/dom.js";
import { count } from "../../app/format.js";
import { ALPHA, amount, percent, share, words } from "../amounts.js";
import * as calls from "../calls.js";
import { chosen, onSubmit, request } from "../form.js";
import { account, at, button, mode, modeKind, named, pair, rebuild, say, tag } from "../nodes.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").Ownership} Ownership */

/** Where the gate stands in a bar's width of 100, so that what is above it has room. */
const GATE_AT = 70;
const SVG = "http://www.w3.org/2000/svg";

export class OwnershipView {
  #error = find("#proposals-error", HTMLElement);
  #form = find("#propose", HTMLFormElement);

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    onSubmit(app, this.#form, () => {
      const holder = app.model.module.accountOf(chosen(this.#form, "holder").trim());
      return calls.propose({ [chosen(this.#form, "change")]: { role: chosen(this.#form, "role"), holder } }, chosen(this.#form, "reason").toLowerCase());
    }, () => this.#form.reset());
  }

  draw() {
    const ownership = this.app.model.ownership();
    this.#owner(ownership);
    this.#bars(ownership);
    this.#council(ownership);
  }

  /** @param {Ownership} ownership */
  #owner(ownership) {
    const { when, height } = this.app.model;
    const { owner, ownerHotkey, ownerLock, contestableFrom, takeover } = ownership;
    setText(find("#ownership-words", HTMLElement), height < contestableFrom
      ? `Ownership can be contested ${when.until(contestableFrom)}. From then on it follows conviction.`
      : "Ownership follows conviction: whoever passes the gate and stays above it for the notice period owns the subnet.");
    rebuild(find("#owner-facts", HTMLElement), [owner, ownerHotkey, ownerLock, mode(ownerLock, when)], () => [
      pair("Owner", account(owner)),
      pair("With the hotkey", account(ownerHotkey)),
      pair("The owner\u2019s own lock", ownerLock ? amount(ownerLock.mass, ALPHA) : "nothing is locked"),
      ...(ownerLock ? [
        pair("Its mode", tag(mode(ownerLock, when), modeKind(ownerLock))),
        pair("Its conviction", amount(ownerLock.conviction)),
        ...ownerLock.unlocks.map((unlock) => pair("Being unlocked", make("span", {}, amount(unlock.amount, ALPHA), `, first liquid ${when.date(unlock.cliff)}`))),
      ] : []),
    ]);
    show(find("#takeover", HTMLElement), takeover !== null);
    if (takeover) {
      setText(find("#takeover span", HTMLElement),
        `${named(takeover.king)} passed the gate ${when.since(takeover.since)}. It takes over ${when.until(takeover.ready)} if it stays above: ${at(takeover.ready, when)}.`);
    }
  }

  /** @param {Ownership} ownership */
  #bars(ownership) {
    const { when } = this.app.model;
    const { convictions, gate, eligible } = ownership;
    setText(find("#gate-words", HTMLElement), `The gate is ${words(gate, ALPHA)}: ${percent(share(gate, eligible))} of the ${words(eligible, ALPHA)} that count. It must be exceeded.`);
    rebuild(find("#convictions", HTMLElement), [convictions, convictions.map(({ crossing }) => crossing && when.until(crossing))], () =>
      convictions.length === 0 ? [make("li", { class: "soft", text: "Nothing is locked to anyone." })] : convictions.map((row) => {
        const above = row.share > 1;
        const item = make("li", { class: row.owner ? "owner" : "" },
          make("div", { class: "bar-head" }, account(row.hotkey, row.owner && "owner"), make("span", { class: "numbers", text: `${percent(row.share, 1)} of the gate` })),
          bar(row.share, `${percent(row.share, 1)} of the gate`),
          make("div", { class: "bar-head soft" }, make("span", {}, amount(row.conviction), " conviction from ", amount(row.mass, ALPHA)),
            make("span", { text: above ? "above the gate" : row.crossing === null ? "never crosses at today\u2019s numbers" : `would cross ${when.until(row.crossing)}, ${when.date(row.crossing)}` })));
        item.dataset.hotkey = row.hotkey;
        return item;
      }));
  }

  /** @param {Ownership} ownership */
  #council({ governance }) {
    const { model } = this.app;
    const { council, threshold, roles, proposals } = governance;
    const member = model.account !== null && council.includes(model.account);
    setText(find("#council-words", HTMLElement), `A change needs ${threshold} of ${council.length} keys, none of them the one who gains by it, and a public notice before it holds. Nothing here can touch emission, stakes or locks.`);
    const list = (/** @type {string[]} */ accounts) => make("span", { class: "stack" }, ...(accounts.length > 0 ? accounts.map((key) => account(key, key === model.account && "you")) : [document.createTextNode("nobody")]));
    rebuild(find("#council", HTMLElement), [council, roles, model.account], () => [
      pair("Council", list(council)), ...roles.map(({ role, holders }) => pair(capital(role), list(holders))),
    ]);
    say(find("#proposals-words", HTMLElement), proposals.length === 0 ? "Nothing is proposed." : "");
    show(find("#propose-box", HTMLElement), member && model.people.canSign);
    rebuild(find("#proposals", HTMLElement), [proposals, member, proposals.map(({ ready }) => ready && model.when.until(ready))], () => proposals.map((proposal) => {
      const { id, title, reason, approvals, needed, ready } = proposal;
      const row = make("li", {}, make("div", {}, make("b", { text: title }),
        make("p", { class: "soft", text: `${count(approvals)} of ${count(needed)} approvals. ${ready === null ? "Not enough yet." : `Takes effect ${model.when.until(ready)}: ${at(ready, model.when)}.`}` }),
        make("p", { class: "soft" }, "Reason ", make("code", { text: `${reason.slice(0, 12)}\u2026`, title: reason }))));
      row.dataset.proposal = String(id);
      if (member && model.people.canSign) {
        row.append(make("span", { class: "controls" },
          button("Approve", () => request(this.app, this.#error, () => calls.approve(id)), { focus: `approve ${id}` }),
          button("Withdraw approval", () => request(this.app, this.#error, () => calls.withdrawApproval(id)), { focus: `withdraw ${id}` })));
      }
      return row;
    }));
  }
}

/** @param {number} share of the gate @param {string} words */
function bar(share, words) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 12");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", words);
  const part = (/** @type {string} */ name, /** @type {string} */ kind, /** @type {Record<string, number>} */ attributes) => {
    const node = document.createElementNS(SVG, name);
    node.setAttribute("class", kind);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
    svg.append(node);
  };
  part("rect", "track", { x: 0, y: 2, width: 100, height: 8 });
  part("rect", "fill", { x: 0, y: 2, width: Math.max(0, Math.min(100, share * GATE_AT)), height: 8 });
  part("line", "mark", { x1: GATE_AT, x2: GATE_AT, y1: 0, y2: 12 });
  return svg;
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
