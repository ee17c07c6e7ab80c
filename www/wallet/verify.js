// @ts-check
// The audit: the whole journal, downloaded or from a file, replayed from its genesis by a worker, and its
// end compared with two others: what the coordinator says now, and the copy that this page has kept.
//
// What a reader would get wrong: a journal that holds in itself is not yet the run's. Somebody could have
// written another one. Agreement of the hashes at the same entry is what makes it the same ledger.

import { find, make, setText, show } from "../app/dom.js";
import { bytes, count } from "../app/format.js";
import { entries, JOURNAL, told } from "./ledger.js";
import { describe } from "./problems.js";
import { sentence } from "./refusals.js";

/** @typedef {import("./model.js").App} App */
/** @typedef {import("./types.js").AuditProgress} AuditProgress */
/**
 * What the worker says.
 * @typedef {{type: "progress", progress: AuditProgress, read: number, total: number | null}
 *   | {type: "done", progress: AuditProgress, read: number}
 *   | {type: "wrong", index: number | null, name: string, message: string, line: string}
 *   | {type: "failed", message: string}} AuditReport
 */

export class Verification {
  #start = find("#verify", HTMLButtonElement);
  #cancel = find("#verify-cancel", HTMLButtonElement);
  #file = find("#verify-file", HTMLInputElement);
  #running = find("#verify-running", HTMLElement);
  #bar = find("#verify-progress", HTMLProgressElement);
  #words = find("#verify-words", HTMLElement);
  #result = find("#verify-result", HTMLElement);
  /** @type {Worker | null} */
  #worker = null;
  /** @type {(AuditReport & {type: "progress"}) | null} */
  #progress = null;
  #what = "";

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.#start.addEventListener("click", () => this.#begin("The coordinator\u2019s journal", { url: new URL(JOURNAL, location.href).href }));
    this.#cancel.addEventListener("click", () => {
      this.#end();
      this.#verdict("Cancelled", ["Nothing was found out."]);
      this.draw();
      this.#start.focus();
    });
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0];
      this.#file.value = "";
      if (file) this.#begin(file.name, { file });
    });
  }

  /** @param {string} what @param {{url: string} | {file: File}} source */
  #begin(what, source) {
    this.#end();
    this.#what = what;
    this.#progress = null;
    show(this.#result, false);
    const worker = new Worker(new URL("./audit-worker.js", import.meta.url), { type: "module" });
    this.#worker = worker;
    worker.addEventListener("message", ({ data }) => this.#hear(data));
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#hear({ type: "failed", message: event.message || "the audit\u2019s script could not be loaded" });
    });
    worker.postMessage(source);
    this.app.redraw();
    this.#cancel.focus();
  }

  #end() {
    this.#worker?.terminate();
    this.#worker = null;
    this.app.redraw();
  }

  /** @param {AuditReport} report */
  async #hear(report) {
    if (!this.#worker) return;
    if (report.type === "progress") {
      this.#progress = report;
      this.app.redraw();
      return;
    }
    if (report.type === "done") {
      const worker = this.#worker;
      const { good, lines } = await this.#compare(report.progress);
      // Cancelled, or another one begun, while the coordinator was asked.
      if (this.#worker !== worker) return;
      this.#end();
      this.#verdict(good ? "The hashes agree" : "The hashes do not agree", [
        `${this.#what}: ${count(report.progress.entries)} entries (${bytes(report.read)}) up to height ${count(report.progress.height)}, ${count(report.progress.epochs)} epochs. Every hash, signature and rule holds, and the state after each epoch is the recorded one.`,
        ...lines,
      ], !good, [["Last entry", report.progress.head], ["State at the last epoch", report.progress.state]]);
    } else if (report.type === "wrong") {
      this.#end();
      const { index, name, message, line } = report;
      this.#verdict(index === null ? "The journal does not hold" : `Entry ${count(index)} does not hold`, [
        sentence(message), `${this.#what}: ${index ? `the ${count(index)} entries before it hold. ` : ""}Nothing after it was looked at.`,
      ], true, [["What is wrong", name]]);
      if (line) this.#result.append(make("details", {}, make("summary", { text: "The entry as it came" }), make("pre", { text: line })));
    } else {
      this.#end();
      this.#verdict("It could not be verified", [report.message, "This says nothing about the ledger. Try again, or download the journal and verify the file."], true);
    }
    this.#result.focus({ preventScroll: true });
    this.#result.scrollIntoView({ block: "nearest" });
  }

  /** Compares the audit's end with the coordinator's word and with this page's copy.
   * @param {AuditProgress} end @returns {Promise<{good: boolean, lines: string[]}>} */
  async #compare(end) {
    const { follower } = this.app.model;
    const last = end.entries - 1;
    const lines = [];
    let good = true;
    try {
      const now = await told();
      if (now.entries < end.entries) {
        lines.push(`The coordinator has only ${count(now.entries)} entries: this journal goes further than its ledger.`);
        good = false;
      } else {
        const hash = now.entries === end.entries ? now.head : hashIn(await entries(last));
        good = hash === end.head;
        lines.push(good ? `The coordinator\u2019s entry ${count(last)} has the same hash.` : `The coordinator\u2019s entry ${count(last)} has another hash: ${hash || "none"}.`);
      }
    } catch (error) {
      lines.push(`The coordinator could not be asked for its hash: ${describe(error)}`);
      good = false;
    }
    await follower.catchUp().catch(() => {});
    const own = follower.hashes.get(last);
    if (own === undefined) lines.push(`This page\u2019s own copy began after entry ${count(last)}, so it has nothing to compare there.`);
    else if (own === end.head) lines.push("This page\u2019s own copy has the same hash there.");
    else {
      lines.push(`This page\u2019s own copy has another hash there: ${own}.`);
      good = false;
    }
    return { good, lines };
  }

  /** @param {string} title @param {string[]} lines @param {boolean} [bad] @param {[string, string][]} [hashes] */
  #verdict(title, lines, bad = false, hashes = []) {
    this.#result.classList.toggle("bad", bad);
    this.#result.replaceChildren(make("h3", { text: title }), ...lines.map((text) => make("p", { text })),
      ...hashes.filter(([, hash]) => hash).map(([name, hash]) => make("p", { class: "soft" }, `${name} `, make("code", { text: hash }))));
    show(this.#result, true);
  }

  draw() {
    const running = this.#worker !== null;
    show(this.#running, running);
    show(this.#cancel, running);
    this.#start.disabled = running;
    this.#file.disabled = running;
    if (!running) return;
    const report = this.#progress;
    const total = this.app.model.head.entries;
    const part = !report ? null : report.total ? report.read / report.total : Math.min(1, report.progress.entries / Math.max(1, total));
    if (part === null) this.#bar.removeAttribute("value");
    else this.#bar.value = part;
    setText(this.#words, !report ? "Beginning\u2026"
      : `${count(report.progress.entries)} entries checked, up to height ${count(report.progress.height)}, ${count(report.progress.epochs)} epochs, ${bytes(report.read)}.`);
  }
}

/** The hash of the first line. @param {string} lines */
function hashIn(lines) {
  try {
    return String(JSON.parse(lines.split("\n")[0] ?? "").hash);
  } catch {
    return "";
  }
}
