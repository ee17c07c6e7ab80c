// @ts-check
// Keeps the page's own checked copy of the ledger up to date, and tells the height.
//
// 1. The snapshot is opened and every later entry applied; the module checks hashes, signatures, rules.
// 2. A socket tells of new entries. One that is next is applied as it is; a gap is filled from
//    `entries?from=`, which is also how a broken connection resumes.
// 3. Between two reports the height goes on with the clock: one block every `blockSeconds`.
//
// An entry that does not hold ends following for good: what is shown stays the last state that holds.

import { entries, snapshot, socketUrl, told } from "./ledger.js";
import { describe, Trouble } from "./problems.js";

/** @typedef {import("./types.js").Head} Head */
/** @typedef {import("./types.js").NoticeView} NoticeView */
/** @typedef {import("./ledger.js").Told} Told */
/** @typedef {InstanceType<import("./types.js").WalletModule["Wallet"]>} Wallet */

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
/** The socket tells its head every 15 s; one that is silent for three times as long is dead. */
const SILENCE_MS = 45_000;
/** Hashes of the newest entries, by which an audit that ended earlier can be compared. */
const REMEMBERED = 20_000;

export class Follower {
  /** @type {Head} */
  head;
  /** Grows with every change of the copy. */
  version = 0;
  connected = false;
  attempt = 0;
  /** @type {number | null} */
  retryAt = null;
  /** What the coordinator last said of itself. @type {Told} */
  told;
  /** @type {Map<number, string>} */
  hashes = new Map();
  /** @type {Trouble | null} */
  broken = null;
  #toldAt = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  #silence = 0;
  /** One catching up at a time; a second one waits for the first. @type {Promise<void>} */
  #queue = Promise.resolve();

  /**
   * @param {Wallet} wallet
   * @param {Told} told
   * @param {{changed: () => void, notice: (notice: NoticeView) => void, broken: (trouble: Trouble) => void}} hear
   */
  constructor(wallet, told, hear) {
    this.wallet = wallet;
    this.told = told;
    this.hear = hear;
    this.head = wallet.head();
    this.hashes.set(this.head.entries - 1, this.head.head);
    this.#keep(told);
  }

  /** Fetches and opens a copy.
   * @param {import("./types.js").WalletModule} module
   * @param {Follower["hear"]} hear */
  static async open(module, hear) {
    const [first, bytes] = await Promise.all([told(), snapshot()]);
    let wallet;
    try {
      wallet = module.Wallet.open(bytes);
    } catch (error) {
      throw new Trouble("snapshot", describe(error));
    }
    const self = new Follower(wallet, first, hear);
    await self.catchUp();
    return self;
  }

  /** @param {Told} told */
  #keep(told) {
    this.told = told;
    this.#toldAt = performance.now();
  }

  /** The height now, as far as this page can know. */
  get height() {
    const blocks = Math.floor((performance.now() - this.#toldAt) / 1000 / Math.max(1, this.head.blockSeconds));
    return Math.max(this.head.height, this.told.height + blocks);
  }

  /** Seconds until the next block would begin. */
  get restOfBlock() {
    const block = Math.max(1, this.head.blockSeconds);
    return block - (((performance.now() - this.#toldAt) / 1000) % block);
  }

  /** Applies everything there is. Safe to call at any time. */
  catchUp() {
    const next = this.#queue.then(() => this.#fill());
    this.#queue = next.catch(() => {});
    return next;
  }

  async #fill() {
    while (!this.broken) {
      const lines = await entries(this.head.entries);
      if (lines.trim() === "") return;
      const before = this.head.entries;
      this.#apply(lines);
      // Lines that add nothing would be asked for again for ever.
      if (this.head.entries === before) return;
    }
  }

  /** @param {string} lines */
  #apply(lines) {
    try {
      for (const entry of this.wallet.apply(lines).log) this.hashes.set(entry.index, entry.hash);
    } catch (error) {
      this.broken = new Trouble("wrong_entry", describe(error));
      this.hear.broken(this.broken);
    }
    this.head = this.wallet.head();
    this.hashes.set(this.head.entries - 1, this.head.head);
    for (const index of this.hashes.keys()) {
      if (this.hashes.size <= REMEMBERED) break;
      this.hashes.delete(index);
    }
    this.version += 1;
    this.hear.changed();
  }

  /** Connects, and connects again whenever it is lost. */
  follow() {
    if (this.broken) return;
    this.retryAt = null;
    const socket = new WebSocket(socketUrl());
    this.#socket = socket;
    const alive = () => {
      clearTimeout(this.#silence);
      this.#silence = setTimeout(() => socket.close(), SILENCE_MS);
    };
    alive();
    socket.addEventListener("message", (event) => {
      alive();
      this.#hear(event.data);
    });
    socket.addEventListener("close", () => {
      clearTimeout(this.#silence);
      if (this.#socket !== socket) return;
      this.connected = false;
      // A little randomness, so that a thousand wallets do not return in the same moment.
      const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempt) * (0.75 + Math.random() / 2);
      this.attempt += 1;
      this.retryAt = Date.now() + wait;
      setTimeout(() => this.follow(), wait);
      this.hear.changed();
    });
  }

  /** @param {unknown} data */
  #hear(data) {
    let message;
    try {
      message = JSON.parse(String(data));
    } catch {
      return;
    }
    if (!this.connected) {
      this.connected = true;
      this.attempt = 0;
      this.hear.changed();
    }
    if (message.type === "head") {
      if (message.chain !== this.head.chain) {
        this.broken = new Trouble("other_run", `${this.head.chain} before, ${message.chain} now`);
        this.#socket?.close();
        this.hear.broken(this.broken);
        return;
      }
      this.#keep(message);
      if (message.entries > this.head.entries) this.#resume();
      this.hear.changed();
    } else if (message.type === "entry") {
      this.#keep({ ...this.told, height: message.height });
      if (this.broken) return;
      // Another catching up may be under way: the entry takes its turn behind it.
      this.#queue = this.#queue.then(() => {
        if (message.line.index === this.head.entries) this.#apply(`${JSON.stringify(message.line)}\n`);
        else if (message.line.index > this.head.entries) return this.#fill();
      }).catch((error) => console.warn("entries could not be fetched", error));
    } else if (message.type === "notice") {
      this.hear.notice(message.notice);
    }
  }

  #resume() {
    // A failure here is the connection's, and its end leads to the next attempt.
    this.catchUp().catch((error) => console.warn("entries could not be fetched", error));
  }
}
