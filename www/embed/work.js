// @ts-check
// The work itself, as the frame sees it: fetched only after the visitor's consent. It is the same
// worker, lock and facts as on the main page; what is added is that three parties may pause it (the
// visitor, the page around the frame, and the guard that sees the stop covered), and that it goes on
// only when none of them wants it paused.

import { Environment } from "../app/environment.js";
import { holdSlot, WorkingLock } from "../app/locks.js";
import { preflight } from "../app/problems.js";
import { Trainer } from "../app/trainer.js";

/** @typedef {import("../app/types.js").View} View */
/** @typedef {import("../app/types.js").Share} Share */
/** @typedef {import("./reduced.js").Cause} Cause */

/** Longest that a stop may take inside the worker before it is ended from outside. */
const PATIENCE_MS = 15_000;

export class Work {
  /** @type {View | null} */
  view = null;
  /** @type {import("../app/problems.js").Problem | null} */
  problem = null;
  /** Bytes of the program that have come. */
  loaded = 0;
  stopping = false;
  /** @type {Set<Cause>} */
  causes = new Set();
  /** The slot of this frame's life, asked for once. @type {Promise<number> | null} */
  #slot = null;
  /** Counts the starts: what an earlier one still waits for must not touch a later one. */
  #start = 0;
  /** @type {(() => void) | null} */
  #stopped = null;

  /**
   * @param {object} listeners
   * @param {() => void} listeners.changed
   * @param {(receipt: import("../app/types.js").Receipt) => void} listeners.receipt
   * @param {(answer: {signature: string | null, error: string | null}) => void} listeners.signed
   */
  constructor(listeners) {
    this.listeners = listeners;
    this.working = new WorkingLock(() => this.environment.update());
    this.environment = new Environment(() => this.working.elsewhere, (facts) => this.trainer.send({ type: "environment", ...facts }));
    this.trainer = new Trainer({
      report: (report) => this.#hear(report),
      slow: () => {},
      replaced: () => {
        this.view = null;
        this.loaded = 0;
        this.listeners.changed();
      },
      cancelled: () => this.#stopped?.(),
      failed: (problem) => this.#fail(problem),
    });
  }

  /** The worker lives: there is something to pause or to stop. */
  get running() {
    return this.trainer.running;
  }

  /** @param {{share: Share, partner: string | null}} terms what the visitor has agreed to */
  async begin({ share, partner }) {
    this.#start += 1;
    const mine = this.#start;
    this.causes.clear();
    this.view = null;
    this.loaded = 0;
    this.problem = preflight();
    if (this.problem) return this.listeners.changed();
    // The worker loads while the browser is asked for the rest: intents wait in its queue.
    this.trainer.launch();
    this.listeners.changed();
    const slot = await (this.#slot ??= this.environment.observe().then(holdSlot));
    if (this.causes.size === 0) await this.working.want();
    if (mine !== this.#start) return;
    if (!this.trainer.running || this.stopping) return this.working.release();
    this.environment.tell();
    this.trainer.send({ type: "start", coordinators: [location.origin], backend: "auto", share, slot, partner });
    if (this.causes.size > 0) this.trainer.send({ type: "pause" });
  }

  /** @param {Cause} cause */
  pause(cause) {
    if (!this.running || this.causes.has(cause)) return;
    this.causes.add(cause);
    if (this.causes.size === 1) {
      this.trainer.send({ type: "pause" });
      // Another tab or frame may work meanwhile.
      this.working.release();
      this.environment.update();
    }
    this.listeners.changed();
  }

  /** @param {Cause} cause */
  async resume(cause) {
    if (!this.causes.delete(cause)) return;
    this.listeners.changed();
    if (this.causes.size > 0 || !this.running || this.stopping) return;
    await this.working.want();
    if (this.causes.size > 0 || !this.running || this.stopping) return this.working.release();
    this.environment.update();
    this.trainer.send({ type: "resume" });
  }

  /** Ends it: gently where the module runs, at once where it still loads. */
  async stop() {
    if (!this.running || this.stopping) return;
    this.working.release();
    if (this.view) {
      this.stopping = true;
      this.trainer.send({ type: "stop" });
      this.listeners.changed();
      await new Promise((resolve) => {
        this.#stopped = () => resolve(undefined);
        setTimeout(resolve, PATIENCE_MS);
      });
      this.#stopped = null;
    }
    this.trainer.end();
    this.stopping = false;
    this.causes.clear();
    this.view = null;
    this.listeners.changed();
  }

  /** @param {Share} share */
  set share(share) {
    this.trainer.send({ type: "share", value: share });
  }

  /** @param {string} reason */
  override(reason) {
    this.trainer.send({ type: "override", reason: /** @type {any} */ (reason), on: true });
  }

  /** @param {string} text */
  sign(text) {
    this.trainer.send({ type: "sign_session", text });
  }

  /** @param {import("../app/types.js").Report} report */
  #hear(report) {
    switch (report.type) {
      case "view":
        this.view = report.view;
        if (report.view.state === "stopped") {
          this.#stopped?.();
          this.working.release();
        }
        break;
      case "loading":
        this.loaded = report.loaded;
        break;
      case "receipt":
        this.listeners.receipt(report.receipt);
        break;
      case "session_signature":
        this.listeners.signed(report);
        return;
      default:
        // Losses, samples and the like have no place in a frame this small.
        return;
    }
    this.listeners.changed();
  }

  /** @param {import("../app/problems.js").Problem} problem */
  #fail(problem) {
    this.working.release();
    this.#stopped?.();
    this.problem = problem;
    this.view = null;
    this.stopping = false;
    this.causes.clear();
    this.listeners.changed();
  }
}
