// @ts-check
// Sharing what contributing earns with a partner: who gets what, chosen here and signed by the account's
// own wallet. What a reader would get wrong: a link can propose a partner (`?partner=`), and only that.
// The part is chosen by hand, the effect is shown before it is signed, and nothing else sets a share.

import { find, make, setText, show } from "../../app/dom.js";
import * as calls from "../calls.js";
import { chosen, field, onSubmit, request } from "../form.js";
import { account, choices, rebuild } from "../nodes.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {{id: string, name: string, suspended: boolean, account: string}} Partner */

/** A part of all, as the ledger counts it. */
const WHOLE = 65_535;
const WITHIN_MS = 15_000;

export class ShareView {
  #card = find("#share-card", HTMLElement);
  #form = find("#share", HTMLFormElement);
  #end = find("#share-end", HTMLButtonElement);
  /** @type {Partner[]} */
  #partners = [];

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    onSubmit(app, this.#form, () => calls.shareRevenue(chosen(this.#form, "partner"), this.#part()));
    const error = find(".form-error", HTMLElement, this.#form);
    this.#end.addEventListener("click", () => request(app, error, () => calls.shareRevenue(null, 0)));
    this.#ask();
  }

  #part() {
    const percent = Number(field(this.#form, "percent").value);
    if (!Number.isInteger(percent) || percent < 1 || percent > 49) throw new Error("Enter a whole number from 1 to 49.");
    return Math.floor((percent * WHOLE) / 100);
  }

  async #ask() {
    try {
      const response = await fetch("/v1/partners", { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
      const said = await response.json();
      if (response.ok) this.#partners = said.partners.filter((/** @type {Partner} */ partner) => partner.account);
    } catch {
      // Without partners there is nothing to choose; a share that is signed can be ended all the same.
    }
    const proposed = new URLSearchParams(location.search).get("partner");
    choices(field(this.#form, "partner"), this.#partners.map(({ account, name, id }) => ({ value: account, text: `${name} (${id})` })));
    const known = this.#partners.find(({ id }) => id === proposed);
    if (known) field(this.#form, "partner").value = known.account;
    this.app.redraw();
  }

  draw() {
    const share = this.app.model.overview()?.revenueShare ?? null;
    show(this.#card, this.#partners.length > 0 || share !== null);
    show(this.#form, this.#partners.length > 0);
    const name = share && this.#partners.find((partner) => partner.account === share.partner)?.name;
    setText(find("#share-words", HTMLElement), share === null ? "This account keeps all it earns."
      : `${(Math.round((share.share * 1000) / WHOLE) / 10)} % of what this account\u2019s keys earn by contributing goes to:`);
    rebuild(find("#share-now", HTMLElement), [share, name], () => (share ? [make("div", { class: "who" }, account(share.partner, name ?? ""))] : []));
    show(this.#end, share !== null && this.app.model.people.canSign);
  }
}
