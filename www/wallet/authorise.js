// @ts-check
// A tab asks for an account to contribute for (`?authorise=<session key>&run=<id>`). Two signatures over
// one text: the wallet's, that the account accepts the key, and the key's own, which only the tab that
// opened this window can give. It is asked by postMessage, and both ends accept only this very origin.
//
// What a reader would get wrong: the text carries the time at which it was made. It is made anew for
// every attempt, and the one that is shown is the one that is signed.

import { find, setText, show } from "../app/dom.js";
import { count } from "../app/format.js";
import { HashText } from "../elements/small.js";
import { chosen } from "./form.js";
import { post } from "./ledger.js";
import { named, say } from "./nodes.js";
import { inWords } from "./refusals.js";

/** @typedef {import("./model.js").App} App */
/** @typedef {InstanceType<import("./types.js").WalletModule["Session"]>} Session */

/** How long the tab may take to sign with its key. */
const PATIENCE_MS = 20_000;

/** What the address asks for; null when it asks for nothing. */
export function asked() {
  const parameters = new URLSearchParams(location.search);
  const key = parameters.get("authorise");
  return key === null ? null : { sessionKey: key.toLowerCase(), run: (parameters.get("run") ?? "").toLowerCase() };
}

export class AuthoriseView {
  #form = find("#authorise-form", HTMLFormElement);
  #go = find("#authorise-form button[type=submit]", HTMLButtonElement);
  #status = find("#authorise-status", HTMLElement);
  #text = find("#authorise-text", HTMLElement);
  /** @type {{session: Session, account: string, days: number} | null} */
  #session = null;
  #busy = false;
  #done = false;

  /** @param {App} app @param {{sessionKey: string, run: string}} request */
  constructor(app, request) {
    this.app = app;
    this.request = request;
    find("#authorise-key", HashText).value = request.sessionKey;
    this.#form.addEventListener("change", () => this.draw());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#authorise();
    });
  }

  /** Why this cannot be done at all; empty when it can. */
  get #obstacle() {
    const { sessionKey, run } = this.request;
    if (!/^[0-9a-f]{64}$/.test(sessionKey)) return "The link is damaged: it names no key. Open this window from the contributing page again.";
    if (run !== this.app.model.head.chain) return "The tab contributes to another run than the one whose ledger is kept here.";
    if (!window.opener) return "The tab that asked is gone. Open this window from the contributing page again: only that tab can give its key\u2019s signature.";
    return "";
  }

  draw() {
    if (this.#done) return;
    const { people } = this.app.model;
    const obstacle = this.#obstacle;
    setText(find("#authorise-account", HTMLElement), people.account === null ? "choose one below" : named(people.account));
    const ready = !obstacle && people.canSign;
    if (ready && !this.#busy) this.#write();
    show(find("#authorise-text-box", HTMLElement), ready && this.#session !== null);
    this.#go.disabled = !ready || this.#busy || this.#session === null;
    setText(this.#go, this.#busy ? "Waiting\u2026" : people.canSign ? `Sign with ${people.signer}` : "Sign");
    if (obstacle) this.#say(obstacle, true);
    else if (!people.canSign && !this.#busy) this.#say("Connect a wallet and choose an account below.", false);
    else if (ready && this.#status.dataset.kind === "choose") this.#say("", false);
  }

  /** @param {string} words @param {boolean} bad */
  #say(words, bad) {
    this.#status.dataset.kind = words.startsWith("Connect") ? "choose" : "";
    this.#status.classList.toggle("bad", bad);
    say(this.#status, words);
  }

  /** The text for the account and time that are chosen now. */
  #write() {
    const account = /** @type {string} */ (this.app.model.account);
    const days = Number(chosen(this.#form, "days"));
    if (this.#session?.account === account && this.#session.days === days) return;
    try {
      const { sessionKey, run } = this.request;
      const session = new this.app.model.module.Session({ domain: location.host, run, account, sessionKey, nowMs: Date.now(), days });
      this.#session = { session, account, days };
      setText(this.#text, session.text());
    } catch (error) {
      this.#session = null;
      this.#say(inWords(error), true);
    }
  }

  async #authorise() {
    const made = this.#session;
    if (!made || this.#busy || this.#obstacle) return;
    const { people } = this.app.model;
    this.#busy = true;
    this.#say(`Waiting for ${people.signer}. Look for its window.`, false);
    this.draw();
    try {
      const text = made.session.text();
      const { key, signature } = await people.sign(text);
      this.#say("Your wallet has signed. Asking the tab for its key\u2019s signature.", false);
      const own = await keySignature(text);
      const { line } = await post("sessions", made.session.seal(key, signature, own));
      this.#done = true;
      this.#say("", false);
      show(this.#form, false);
      setText(find("#authorise-index", HTMLElement), count(line.index));
      find("#authorise-hash", HashText).value = line.hash;
      show(find("#authorise-receipt", HTMLElement), true);
      find("#view-authorise", HTMLElement).focus();
      this.app.announce("Done. The tab now contributes for your account.");
      window.opener?.postMessage({ type: "covey-session-done", account: made.account }, location.origin);
    } catch (error) {
      // A new attempt has a text of its own: this one's time has passed.
      this.#session = null;
      this.#say(inWords(error), true);
    } finally {
      this.#busy = false;
      this.draw();
    }
  }
}

/** Has the tab that opened this window sign the text with its key. @param {string} text @returns {Promise<string>} */
function keySignature(text) {
  return new Promise((resolve, reject) => {
    const opener = /** @type {Window | null} */ (window.opener);
    const end = (/** @type {() => void} */ settle) => {
      clearTimeout(timer);
      removeEventListener("message", hear);
      settle();
    };
    /** @param {MessageEvent} event */
    const hear = (event) => {
      if (event.origin !== location.origin || event.source !== opener) return;
      if (event.data?.type !== "covey-session-signature" || typeof event.data.signature !== "string") return;
      end(() => resolve(event.data.signature));
    };
    const timer = setTimeout(() => end(() => reject(new Error("The tab did not answer. Is it still open and contributing? Try again."))), PATIENCE_MS);
    addEventListener("message", hear);
    opener?.postMessage({ type: "covey-session-request", text }, location.origin);
  });
}
