// @ts-check
// The worker as the page sees it: started, spoken to, watched, ended. It tells three things that the
// worker cannot tell about itself: that its script never ran, that it crashed, and that starting
// takes too long. A new start after a crash is a new worker; nothing of the old one is reused.

import { problem } from "./problems.js";

/** @typedef {import("./types.js").Report} Report */
/** @typedef {import("./types.js").Intent} Intent */
/** @typedef {import("./problems.js").Problem} Problem */

/** Starting that shows no progress for this long is called slow. */
const SLOW_MS = 20_000;

export class Trainer {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #slow;
  #scriptRan = false;
  #wasProbing = false;
  #workerForbidden = false;

  /**
   * @param {object} listeners
   * @param {(report: Report) => void} listeners.report
   * @param {(problem: Problem) => void} listeners.failed the worker is gone
   * @param {(slow: boolean) => void} listeners.slow starting takes long, or no longer does
   */
  constructor(listeners) {
    this.listeners = listeners;
    document.addEventListener("securitypolicyviolation", (event) => {
      if (/^(worker|child|script|default)-src/.test(event.effectiveDirective) && /worker\.js/.test(event.blockedURI)) {
        this.#workerForbidden = true;
        if (this.#worker) this.#fail(problem("csp_worker", { detail: event.originalPolicy }));
      }
    });
  }

  /** A worker exists; it may still be loading. */
  get running() {
    return this.#worker !== null;
  }

  /** Starts a worker in place of any old one. Intents may be sent at once. */
  launch() {
    this.end();
    this.#scriptRan = false;
    this.#wasProbing = false;
    // Browsers without module workers never look at the option, so the getter tells them apart
    // without an extra worker.
    let modules = false;
    const options = /** @type {WorkerOptions} */ ({
      name: "covey",
      get type() {
        modules = true;
        return "module";
      },
    });
    let worker;
    try {
      worker = new Worker(new URL("../worker.js", import.meta.url), options);
    } catch (error) {
      this.listeners.failed(problem(this.#workerForbidden ? "csp_worker" : "worker_script", { detail: String(error) }));
      return;
    }
    if (!modules) {
      worker.terminate();
      this.listeners.failed(problem("no_module_workers"));
      return;
    }
    this.#worker = worker;
    worker.addEventListener("message", (event) => {
      if (this.#worker === worker) this.#hear(event.data);
    });
    worker.addEventListener("error", (event) => {
      if (this.#worker !== worker) return;
      event.preventDefault();
      if (this.#scriptRan) return this.#fail(problem("panic", { detail: event.message }));
      // A script that a policy blocks fails like one that is missing; the violation that tells them
      // apart may arrive just after.
      setTimeout(() => {
        if (this.#worker === worker) this.#fail(problem("worker_script", { detail: event.message }));
      }, 100);
    });
    this.#watch();
  }

  /** @param {Intent} intent */
  send(intent) {
    this.#worker?.postMessage(intent);
  }

  end() {
    clearTimeout(this.#slow);
    this.#worker?.terminate();
    this.#worker = null;
  }

  /** @param {Report} report */
  #hear(report) {
    switch (report.type) {
      case "script_running":
        this.#scriptRan = true;
        return;
      case "loading":
        // A slow network is visible in the bytes; only silence is suspicious.
        this.#watch();
        break;
      case "view":
        this.#probing(report.view.state === "probing");
        break;
      case "load_error":
        this.#fail(problem(report.code, { detail: report.message }));
        return;
      case "fatal":
        this.#fail(problem(report.code, report));
        return;
    }
    this.listeners.report(report);
  }

  /** Probing counts as starting: it is where a slow WebAssembly or graphics adapter shows. @param {boolean} now */
  #probing(now) {
    if (now && !this.#wasProbing) this.#watch();
    if (!now) {
      clearTimeout(this.#slow);
      this.listeners.slow(false);
    }
    this.#wasProbing = now;
  }

  #watch() {
    clearTimeout(this.#slow);
    this.#slow = setTimeout(() => this.listeners.slow(true), SLOW_MS);
  }

  /** @param {Problem} problem */
  #fail(problem) {
    this.end();
    this.listeners.slow(false);
    this.listeners.failed(problem);
  }
}
