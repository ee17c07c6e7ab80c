// @ts-check
// The worker as the page sees it: started, spoken to, watched, ended. It tells four things that the
// worker cannot tell about itself: that its script never ran, that it crashed, that the browser ended it,
// and that starting takes too long. A new start is a new worker; nothing of the old one is reused.
//
// A worker that was ended, or that lost its graphics device, is replaced by itself: it is told the same
// wishes and goes on from what is stored. How often is bounded here for workers and by the module for
// devices. What a reader would get wrong: a browser tells nobody that it ended a worker. The worker holds a
// Web Lock as long as it lives, and the page waits for the same lock.

import { problem } from "./problems.js";
import { Wishes } from "./wishes.js";

/** @typedef {import("./types.js").Report} Report */
/** @typedef {import("./types.js").Intent} Intent */
/** @typedef {import("./problems.js").Problem} Problem */

/** Starting that shows no progress for this long is called slow. */
const SLOW_MS = 20_000;
/** Milliseconds before a worker that was ended is replaced, each time without accepted work in between;
 * after that the visitor decides. */
const REPLACE_AFTER = [0, 15_000];

export class Trainer {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #slow;
  #scriptRan = false;
  #wasProbing = false;
  #wishes = new Wishes();
  #replaced = 0;
  /** Set while a new worker is due. @type {ReturnType<typeof setTimeout> | undefined} */
  #due;
  /** Ends the waiting for the worker's lock. @type {AbortController | undefined} */
  #vigil;
  #workerForbidden = false;

  /**
   * @param {object} listeners
   * @param {(report: Report) => void} listeners.report
   * @param {(problem: Problem) => void} listeners.failed the worker is gone
   * @param {(slow: boolean) => void} listeners.slow starting takes long, or no longer does
   * @param {(notice: Problem) => void} listeners.replaced another worker takes over, now or soon
   * @param {() => void} listeners.cancelled stopped while no worker was there to say so
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

  /** A worker exists or is due; it may still be loading. */
  get running() {
    return this.#worker !== null || this.#due !== undefined;
  }

  /** Starts a worker in place of any old one. Intents may be sent at once. */
  launch() {
    this.end();
    this.#scriptRan = false;
    this.#wasProbing = false;
    // Browsers without module workers never look at the option, so the getter tells them apart
    // without an extra worker.
    let modules = false;
    const name = `covey-worker-${crypto.randomUUID()}`;
    const options = /** @type {WorkerOptions} */ ({
      name,
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
      if (this.#worker !== worker) return;
      if (event.data.type === "script_running") this.#watchOver(worker, name);
      this.#hear(event.data);
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
    if (intent.type === "start") this.#replaced = 0;
    this.#wishes.note(intent);
    this.#worker?.postMessage(intent);
    if (this.#due !== undefined && !this.#wishes.working) {
      this.end();
      this.listeners.cancelled();
    }
  }

  end() {
    clearTimeout(this.#slow);
    clearTimeout(this.#due);
    this.#due = undefined;
    this.#vigil?.abort();
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
      case "witness":
        this.#probing(false);
        break;
      case "receipt":
        this.#replaced = 0;
        this.#wishes.lost(0);
        break;
      case "device_lost":
        this.#wishes.lost(report.devices_lost);
        this.#replace(report.retry_in_ms, problem("device_lost", { message: report.message }));
        return;
      case "load_error":
        this.#fail(problem(report.code, { detail: report.message }));
        return;
      case "fatal":
        this.#fail(problem(report.code, report));
        return;
    }
    this.listeners.report(report);
  }

  /**
   * Waits for the end of a worker that nobody ended. It has its lock by now: it said so.
   * @param {Worker} worker @param {string} name
   */
  #watchOver(worker, name) {
    // Without locks, or where they are denied, a worker that was ended looks like one that is busy.
    if (!("locks" in navigator)) return;
    this.#vigil = new AbortController();
    const gone = () => {
      if (this.#worker !== worker) return;
      // After a stop nobody misses it; the next start launches another.
      if (!this.#wishes.working) return this.end();
      const delay = REPLACE_AFTER[this.#replaced];
      if (delay === undefined) return this.#fail(problem("worker_gone"));
      this.#replaced += 1;
      this.#replace(delay, problem("worker_replaced"));
    };
    navigator.locks.request(name, { signal: this.#vigil.signal }, gone).catch(() => {});
  }

  /** Another worker in place of this one, told the same. @param {number} delay @param {Problem} notice */
  #replace(delay, notice) {
    this.end();
    this.#due = setTimeout(() => {
      this.launch();
      for (const intent of this.#wishes.all()) this.#worker?.postMessage(intent);
    }, delay);
    this.listeners.slow(false);
    this.listeners.replaced(notice);
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
