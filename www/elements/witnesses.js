// @ts-check
// Who recomputed this run: servers that follow it, tabs that apply its rounds, this tab among them. Asked
// of the coordinator that the tab is connected to, now and then; drawn only when it changed.
//
// What a reader would get wrong: the list is what the coordinator shows of what it was told. It convinces
// nobody who does not want to be; whoever doubts asks a witness, or follows the run.

import { define, find, make, setText, show } from "../app/dom.js";
import { count, shortHash } from "../app/format.js";
import { PLACES } from "./places.js";

/** @typedef {import("../app/types.js").View} View */
/** @typedef {import("../app/types.js").Verdict} Verdict */
/** @typedef {{witness: string, statement: {kind: "server" | "tab", name: string, round: number, verdict: Verdict}}} Statement */
/** @typedef {{round: number, servers: Statement[], tabs: {agree: number, whole?: number, round: number, latest: Statement[]}, disagreements: Statement[]}} Witnesses */

/** Milliseconds between two questions. */
const EVERY_MS = 10_000;

export class WitnessList extends HTMLElement {
  #asked = 0;
  #asking = false;
  #key = "";
  /** @type {Witnesses | null} */
  #list = null;

  /** @param {View} view */
  update(view) {
    const { url, connected } = view.connection;
    if (url && connected && !this.#asking && Date.now() - this.#asked > EVERY_MS) this.#ask(url);
    const key = JSON.stringify([this.#list, view.handover, view.disagreement, view.volunteer, view.run?.coordinator]);
    if (key === this.#key) return;
    this.#key = key;
    this.#draw(view);
  }

  /** @param {string} url */
  async #ask(url) {
    this.#asking = true;
    this.#asked = Date.now();
    try {
      const base = url.replace(/^ws/, "http").replace(/\/$/, "");
      const response = await fetch(`${base}/v1/witnesses`, { credentials: "omit", signal: AbortSignal.timeout(5000) });
      const list = response.ok ? await response.json() : null;
      if (Array.isArray(list?.servers) && Array.isArray(list.disagreements)) this.#list = list;
    } catch {
      // The next question may be answered; what was heard stays on the page.
    }
    this.#asking = false;
  }

  /** @param {View} view */
  #draw(view) {
    const list = this.#list;
    const summary = find("[data-slot=summary]", HTMLElement, this);
    const own = find("[data-slot=own]", HTMLElement, this);
    const handover = find("[data-slot=handover]", HTMLElement, this);
    const coordinator = find("[data-slot=coordinator]", HTMLElement, this);
    const tabs = !list || list.tabs.agree === 0 ? "" : list.tabs.agree === 1
      ? `One tab agrees up to round ${count(list.tabs.round)}.`
      : `${count(list.tabs.agree)} tabs agree up to round ${count(list.tabs.round)}.`;
    const whole = !list?.tabs.whole ? "" : list.tabs.whole === 1 ? " One tab recomputed all of it, the ledger too." : ` ${count(list.tabs.whole)} tabs recomputed all of it, the ledger too.`;
    setText(summary, !list ? "Not asked yet." : tabs + whole || (list.servers.length === 0 ? "Nobody has recomputed this run yet." : ""));
    show(own, view.disagreement !== null);
    setText(own, view.disagreement ?? "");
    show(handover, view.handover !== null);
    if (view.handover) {
      const { old, new: now, round, changed_here: here } = view.handover;
      handover.replaceChildren(here ? "The coordinator changed while this browser knew it. From round " : "From round ", count(round), " on this run is coordinated by ",
        key(now), ", which took it over from ", key(old), here ? ". The rounds that this tab recomputed are the same there." : ".");
    }
    coordinator.replaceChildren(...(view.run?.coordinator ? ["Coordinator ", key(view.run.coordinator)] : []));
    const rows = [
      ...(list?.disagreements ?? []).map((said) => row(said, disagrees(said.statement.verdict), "rejected")),
      ...(list?.servers ?? []).map((said) => row(said, behind(said.statement.round, list?.round ?? 0), "")),
    ];
    find("tbody", HTMLElement, this).replaceChildren(...rows);
    show(find(".scroll", HTMLElement, this), rows.length > 0);
  }
}

/** @param {string} hex */
const key = (hex) => make("code", { text: shortHash(hex), title: hex });

/** @param {number} agreed @param {number} open */
function behind(agreed, open) {
  const rounds = Math.max(0, open - agreed);
  if (rounds === 0) return "agrees with every round";
  return `agrees up to round ${count(agreed)}, ${rounds === 1 ? "one round" : `${count(rounds)} rounds`} behind`;
}

/** @param {Verdict} verdict */
function disagrees(verdict) {
  if (verdict.is !== "disagrees") return "";
  const of = ["ledger_entry", "ledger_head", "payment"].includes(verdict.place) ? "Ledger entry" : "Round";
  return `${of} ${count(verdict.number)}: ${PLACES[verdict.place] ?? verdict.place}.`;
}

/** @param {Statement} said @param {string} words @param {string} kind */
function row(said, words, kind) {
  const { name, kind: who } = said.statement;
  const head = make("th", {}, make("span", { text: name || (who === "tab" ? "A tab" : "A server") }), make("small", {}, key(said.witness)));
  head.setAttribute("scope", "row");
  return make("tr", { class: kind }, head, make("td", { text: words }));
}

define("covey-witnesses", WitnessList);
