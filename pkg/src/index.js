// @ts-check
// The module to drive from code: one Contributor is one worker that loads the training program,
// checks it against the hashes that came with this package, and trains. No interface, no consent:
// whoever uses this class asks the visitor first (README, "Consent is yours to ask for").
//
// Importing this file does nothing but define; it may be imported on a server.

import { INTEGRITY, VERSION } from "./release.js";

export { INTEGRITY, VERSION };

/** Longest that the program may take to end by itself, in milliseconds. */
const STOP_WITHIN = 15_000;
/** What ends a worker, by the report's type. */
const FATAL = ["load_error", "fatal"];

/** A failure with its code. The words of codes are in docs/embedding.md. */
export class CoveyError extends Error {
  /** @param {string} code @param {string} message @param {string} [remedy] */
  constructor(code, message, remedy = "") {
    super(message || code);
    this.name = "CoveyError";
    this.code = code;
    this.remedy = remedy;
  }
}

export class Contributor extends EventTarget {
  /** The worker's newest view, or null before the first. @type {any} */
  view = null;
  /** @type {Worker | null} */
  #worker = null;
  /** @type {((error?: CoveyError) => void)[]} */
  #waiting = [];
  /** @type {{resolve: (text: string) => void, reject: (error: CoveyError) => void} | null} */
  #sample = null;

  /** @param {any} options */
  constructor(options) {
    super();
    const coordinators = [...(options?.coordinators ?? [])];
    if (coordinators.length === 0) throw new CoveyError("no_coordinator", "name at least one coordinator");
    this.options = {
      coordinators, backend: options.backend ?? "auto", share: options.share ?? 50, slot: options.slot ?? 0, partner: options.partner ?? null,
      base: new URL(options.base ?? `./v${VERSION}/`, import.meta.url).href,
      worker: options.worker ?? (() => new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "covey" })),
    };
  }

  /** Loads, checks and starts. Resolves when the program runs; rejects with a CoveyError. */
  async start() {
    const { coordinators, backend, share, slot, partner, base, worker } = this.options;
    if (!this.#worker) {
      const fresh = worker();
      this.#worker = fresh;
      fresh.addEventListener("message", (/** @type {MessageEvent} */ event) => {
        if (this.#worker === fresh) this.#hear(event.data);
      });
      fresh.addEventListener("error", (/** @type {ErrorEvent} */ event) => {
        if (this.#worker === fresh) this.#fail(new CoveyError("worker_script", event.message ?? "the worker's script could not be loaded"));
      });
      const ready = this.#once("ready");
      fresh.postMessage({ type: "load", base, integrity: INTEGRITY });
      await ready;
    }
    this.#send({ type: "start", coordinators, backend, share, slot, partner });
  }

  pause() {
    this.#send({ type: "pause" });
  }

  resume() {
    this.#send({ type: "resume" });
  }

  /** Saves, leaves the run and ends the worker. */
  async stop() {
    if (!this.#worker) return;
    if (this.view) {
      const ended = new Promise((resolve) => {
        const seen = () => this.view?.state === "stopped" && resolve(undefined);
        this.addEventListener("view", seen);
        setTimeout(resolve, STOP_WITHIN);
      });
      this.#send({ type: "stop" });
      await ended;
    }
    this.#end(new CoveyError("stopped", "the contributor was stopped"));
  }

  /** Percent of the machine: 25, 50, 75 or 100. */
  get share() {
    return this.options.share;
  }

  set share(value) {
    this.options.share = value;
    this.#send({ type: "share", value });
  }

  /** Tells what only a page can see, such as a battery. @param {any} facts */
  environment(facts) {
    this.#send({ type: "environment", ...facts });
  }

  /** Works, or does not, in spite of a circumstance. @param {string} reason @param {boolean} on */
  override(reason, on) {
    this.#send({ type: "override", reason, on });
  }

  /**
   * Text from the weights in this tab.
   * @param {string} prompt
   * @param {{tokens?: number, temperature?: number}} [options]
   * @returns {Promise<string>}
   */
  sample(prompt, { tokens = 200, temperature = 0.8 } = {}) {
    this.#sample?.reject(new CoveyError("superseded", "another sample was asked for"));
    return new Promise((resolve, reject) => {
      this.#sample = { resolve, reject };
      this.#send({ type: "sample", prompt, tokens, temperature });
    });
  }

  /**
   * Signs a wallet's authorisation with this tab's key; see covey/wallet.
   * @param {string} text
   * @returns {Promise<string>}
   */
  async sign(text) {
    const answer = this.#once("session_signature");
    this.#send({ type: "sign_session", text });
    const { signature, error } = await answer;
    if (signature === null) throw new CoveyError("not_signed", error ?? "the program did not sign");
    return signature;
  }

  /** @param {object} intent */
  #send(intent) {
    this.#worker?.postMessage(intent);
  }

  /** @param {string} type @returns {Promise<any>} */
  #once(type) {
    return new Promise((resolve, reject) => {
      const heard = (/** @type {Event} */ event) => {
        this.removeEventListener(type, heard);
        resolve(/** @type {CustomEvent} */ (event).detail);
      };
      this.addEventListener(type, heard);
      this.#waiting.push((error) => {
        this.removeEventListener(type, heard);
        reject(error);
      });
    });
  }

  /** @param {any} report */
  #hear(report) {
    if (FATAL.includes(report.type)) return this.#fail(new CoveyError(report.code, report.message, report.remedy));
    if (report.type === "view") this.view = report.view;
    if (report.type === "sample" && report.done) {
      if (report.error) this.#sample?.reject(new CoveyError("sample", report.error));
      else this.#sample?.resolve(report.text);
      this.#sample = null;
    }
    const detail = { view: report.view, receipt: report.receipt }[/** @type {string} */ (report.type)] ?? report;
    this.dispatchEvent(new CustomEvent(report.type, { detail }));
  }

  /** @param {CoveyError} error */
  #fail(error) {
    this.#end(error);
    this.dispatchEvent(new CustomEvent("problem", { detail: error }));
  }

  /** @param {CoveyError} error what those who still wait are told */
  #end(error) {
    this.#worker?.terminate();
    this.#worker = null;
    this.view = null;
    for (const end of this.#waiting.splice(0)) end(error);
    this.#sample?.reject(error);
    this.#sample = null;
  }
}
