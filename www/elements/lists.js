// @ts-check
// The two tables that grow while the tab works: receipts for accepted contributions, and who else is
// here. Rows are added or changed one by one, never rebuilt, so reading or selecting in them is not
// disturbed. Both show a bounded number of rows; the summary above has the whole count.

import { define, find, make, setText } from "../app/dom.js";
import { backendName, count, shortHash, speed, timeOfDay } from "../app/format.js";

/** @typedef {import("../app/types.js").Receipt} Receipt */
/** @typedef {import("../app/types.js").Rejection} Rejection */
/** @typedef {import("../app/types.js").Peer} Peer */

/** Most receipts shown, newest first. */
const MAX_RECEIPTS = 100;

export class ReceiptList extends HTMLElement {
  #count = 0;
  #tokens = 0;

  /** @param {Receipt} receipt */
  add(receipt) {
    this.#count += 1;
    this.#tokens += receipt.tokens;
    const packet = make("code", { text: shortHash(receipt.packet), title: receipt.packet });
    const row = make("tr", {},
      cell("th", count(receipt.round)),
      cell("td", count(receipt.tokens), "num"),
      make("td", {}, packet, ...(receipt.partner ? [make("small", { class: "soft", text: ` for ${receipt.partner}` })] : [])),
      cell("td", timeOfDay(receipt.received_at_ms), "num"));
    row.dataset.packet = receipt.packet;
    this.#prepend(row);
    this.#summarise();
  }

  /** @param {Rejection} rejection */
  reject(rejection) {
    const words = make("td", { text: `Not accepted: ${rejection.message}` });
    words.colSpan = 3;
    this.#prepend(make("tr", { class: "rejected" }, cell("th", count(rejection.round)), words));
  }

  /**
   * Says that a contribution was received but not merged; its receipt stays. That nothing was wrong with
   * it, as with a check of somebody else's work, is not said in the colour of what was refused.
   * @param {{round: number, packet: string, reason: string, message: string}} exclusion
   */
  leaveOut(exclusion) {
    const words = make("td", { text: `Received, but not merged: ${exclusion.message}.` });
    words.colSpan = 3;
    const fine = ["replica", "not_needed"].includes(exclusion.reason);
    this.#prepend(make("tr", { class: fine ? "" : "rejected" }, cell("th", count(exclusion.round)), words));
  }

  /** @param {HTMLTableRowElement} row */
  #prepend(row) {
    const body = find("tbody", HTMLElement, this);
    find(".scroll", HTMLElement, this).hidden = false;
    body.prepend(row);
    while (body.childElementCount > MAX_RECEIPTS) body.lastElementChild?.remove();
  }

  #summarise() {
    const works = this.#count === 1 ? "1 contribution" : `${count(this.#count)} contributions`;
    setText(find("[data-slot=summary]", HTMLElement, this), `${works} accepted since you opened this tab, ${count(this.#tokens)} tokens.`);
  }
}

const ACTIVITY = /** @type {Record<string, string>} */ ({ watching: "watching", training: "training", contributed: "done this round" });

export class PeerTable extends HTMLElement {
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();
  /** @type {unknown} */
  #last = null;

  /** @param {{total: number, volunteers: Peer[]}} peers @param {string | null} me */
  update(peers, me) {
    // Each view is a new object, so compare contents: most views change nothing here.
    const key = JSON.stringify([peers, me]);
    if (key === this.#last) return;
    this.#last = key;
    const { total, volunteers } = peers;
    setText(find("[data-slot=summary]", HTMLElement, this),
      total === 0 ? "Nobody is connected yet."
      : total > volunteers.length ? `${count(total)} volunteers, of whom ${volunteers.length} are listed.`
      : total === 1 ? "One volunteer." : `${count(total)} volunteers.`);
    find(".scroll", HTMLElement, this).hidden = volunteers.length === 0;

    const body = find("tbody", HTMLElement, this);
    const gone = new Set(this.#rows.keys());
    const ordered = [...volunteers].sort((a, b) =>
      Number(b.volunteer === me) - Number(a.volunteer === me) || (a.volunteer < b.volunteer ? -1 : 1));
    ordered.forEach((peer, i) => {
      gone.delete(peer.volunteer);
      let row = this.#rows.get(peer.volunteer);
      if (!row) {
        row = make("tr", {},
          make("th", {}, make("code", { text: shortHash(peer.volunteer), title: peer.volunteer }), make("small")),
          cell("td"), cell("td", "", "num"), cell("td", "", "num"));
        row.querySelector("th")?.setAttribute("scope", "row");
        this.#rows.set(peer.volunteer, row);
      }
      if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
      const [who, doing, rate, accepted] = /** @type {HTMLElement[]} */ ([...row.children]);
      const mine = peer.volunteer === me;
      row.classList.toggle("me", mine);
      if (who) setText(find("small", HTMLElement, who), [mine ? "you" : "", backendName(peer.backend)].filter(Boolean).join(" \u00b7 "));
      if (doing) setText(doing, ACTIVITY[peer.activity] ?? peer.activity);
      if (rate) setText(rate, speed(peer.tokens_per_second));
      if (accepted) setText(accepted, count(peer.accepted));
    });
    for (const volunteer of gone) {
      this.#rows.get(volunteer)?.remove();
      this.#rows.delete(volunteer);
    }
  }
}

/** @param {"th" | "td"} tag @param {string} [text] @param {string} [kind] */
function cell(tag, text = "", kind) {
  const node = make(tag, { text, class: kind });
  if (tag === "th") node.setAttribute("scope", "row");
  return node;
}

define("covey-receipts", ReceiptList);
define("covey-peers", PeerTable);
