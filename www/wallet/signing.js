// @ts-check
// The one place where anything is signed. It tells the story in this order and no other:
//
// 1. The module runs the call on a copy of the ledger; its effects and warnings are shown, and exactly
//    the message that the wallet will be asked to sign. While they are shown, every change of the ledger
//    makes them anew.
// 2. The wallet signs that message. If the ledger moved meanwhile and the effects are others now, they
//    are shown once more before anything is sent.
// 3. The signed action is posted; the receipt names the entry and its hash. A refusal has its words.
//
// What a reader would get wrong: the signature is over the draft that is on screen. A draft made anew
// never takes the place of one whose signature the wallet is already asked for.

import { find, make, setText, show } from "../app/dom.js";
import { count } from "../app/format.js";
import { HashText } from "../elements/small.js";
import { Refusal, post } from "./ledger.js";
import { at, rebuild } from "./nodes.js";
import { Trouble } from "./problems.js";
import { inWords, refusal } from "./refusals.js";

/** @typedef {import("./types.js").Draft} Draft */
/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {{index: number, hash: string, title: string}} Receipt */
/**
 * @typedef {{step: "review", changed: boolean, trouble: string}
 *   | {step: "wallet"} | {step: "drift", body: string} | {step: "sending", body: string}
 *   | {step: "unsent", body: string, trouble: string}
 *   | {step: "refused", trouble: string} | {step: "receipt", receipt: Receipt}} Stage
 */

export class Signing {
  #dialog = find("#sign-dialog", HTMLDialogElement);
  #title = find("#sign-title", HTMLElement);
  #status = find("#sign-status", HTMLElement);
  #effects = find("#sign-effects", HTMLElement);
  #warnings = find("#sign-warnings", HTMLElement);
  #details = find("#sign-details", HTMLDetailsElement);
  #message = find("#sign-message", HTMLElement);
  #expires = find("#sign-expires", HTMLElement);
  #receipt = find("#sign-receipt", HTMLElement);
  #hash = find("#sign-hash", HashText);
  #index = find("#sign-index", HTMLElement);
  #cancel = find("#sign-cancel", HTMLButtonElement);
  #go = find("#sign-go", HTMLButtonElement);

  /** @type {(() => Call) | null} */
  #make = null;
  /** The call that the draft is of. @type {Call | null} */
  #call = null;
  /** @type {Draft | null} */
  #draft = null;
  /** @type {Stage} */
  #stage = { step: "review", changed: false, trouble: "" };
  #version = -1;
  /** Grows with every question, so that an answer to an earlier one is not taken for this one's. */
  #question = 0;
  /** @type {((receipt: Receipt | null) => void) | null} */
  #done = null;

  /** @param {Model} model @param {(words: string) => void} announce */
  constructor(model, announce) {
    this.model = model;
    this.announce = announce;
    this.#cancel.addEventListener("click", () => this.#close());
    this.#go.addEventListener("click", () => this.#advance());
    this.#dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close();
    });
    this.#dialog.addEventListener("close", () => this.#ended());
  }

  get open() {
    return this.#dialog.open;
  }

  /**
   * Shows what a call does and has it signed and recorded.
   * @param {() => Call} make the call as it is now: asked again when the ledger has moved
   * @returns {Promise<Receipt | null>} null when nothing was recorded
   * @throws what the ledger would refuse already, before anything is shown
   */
  ask(make) {
    if (this.open) return Promise.resolve(null);
    this.#draft = this.#drafted(make());
    this.#make = make;
    this.#question += 1;
    this.#details.open = false;
    this.#to({ step: "review", changed: false, trouble: "" });
    this.#dialog.showModal();
    this.#cancel.focus();
    return new Promise((resolve) => (this.#done = resolve));
  }

  /** @param {Call} call */
  #drafted(call) {
    this.#call = call;
    const account = this.model.account;
    if (account === null) throw new Error("Choose an account first.");
    this.#version = this.model.follower.version;
    return this.model.wallet.draft(account, call, this.model.height);
  }

  /** Called with every change of the ledger and every second. */
  draw() {
    if (!this.open) return;
    if (this.#stage.step === "review" && (this.model.follower.version !== this.#version || this.#expired)) this.#again();
    this.#countdown();
  }

  get #expired() {
    return this.#draft !== null && this.model.height >= this.#draft.expires;
  }

  /** Makes the draft anew and shows it, saying so when its effects are others. */
  #again() {
    const before = this.#draft;
    try {
      this.#draft = this.#drafted(/** @type {() => Call} */ (this.#make)());
      if (before && this.#stage.step === "review" && same(before, this.#draft)) this.#render();
      else this.#to({ step: "review", changed: before !== null && !same(before, this.#draft), trouble: "" });
    } catch (error) {
      this.#to({ step: "refused", trouble: inWords(error) });
    }
  }

  /** @param {Stage} stage */
  #to(stage) {
    this.#stage = stage;
    this.#render();
  }

  #advance() {
    const stage = this.#stage;
    if (stage.step === "review") this.#sign();
    else if (stage.step === "drift" || stage.step === "unsent") this.#send(stage.body);
    else if (stage.step === "refused") this.model.follower.catchUp().catch(() => {}).then(() => this.open && this.#again());
    else if (stage.step === "receipt") this.#close();
  }

  async #sign() {
    if (this.model.follower.version !== this.#version || this.#expired) {
      this.#again();
      if (this.#stage.step !== "review" || this.#stage.changed) return;
    }
    const shown = this.#draft;
    if (!shown) return;
    const question = this.#question;
    this.#to({ step: "wallet" });
    try {
      const { key, signature } = await this.model.people.sign(shown.message);
      if (question !== this.#question) return;
      const body = this.model.wallet.seal(shown.action, key, signature);
      if (this.#drifted(shown)) this.#to({ step: "drift", body });
      else await this.#send(body);
    } catch (error) {
      if (question !== this.#question) return;
      this.#to({ step: "review", changed: false, trouble: inWords(error) });
      this.draw();
    }
  }

  /** Whether what was signed would do something else now; shows that if so. @param {Draft} shown */
  #drifted(shown) {
    if (this.model.follower.version === this.#version) return false;
    const now = this.#drafted(/** @type {Call} */ (this.#call));
    if (sameEffects(shown, now)) return false;
    this.#draft = { ...shown, effects: now.effects, warnings: now.warnings };
    return true;
  }

  /** @param {string} body */
  async #send(body) {
    const question = this.#question;
    this.#to({ step: "sending", body });
    try {
      const { line } = await post("actions", body);
      const receipt = { index: line.index, hash: line.hash, title: this.#draft?.title ?? "" };
      this.#to({ step: "receipt", receipt });
      this.announce(`Recorded as entry ${receipt.index}`);
      this.model.follower.catchUp().catch((error) => console.warn("entries could not be fetched", error));
    } catch (error) {
      if (question !== this.#question) return;
      // The same body may be posted again: the ledger answers the same once it has recorded it.
      if (error instanceof Refusal) this.#to({ step: "refused", trouble: inWords(error) });
      else this.#to({ step: "unsent", body, trouble: error instanceof Trouble ? "The coordinator did not answer, so it is not known whether the action was recorded. Sending it again is safe: it is recorded once." : refusal(error).message });
    }
  }

  #close() {
    // What is on its way to the ledger cannot be called back.
    if (this.#stage.step === "sending") return;
    // At once: the browser tells of the end a moment later, and a signature that comes before that is too late.
    this.#question += 1;
    this.#dialog.close();
  }

  #ended() {
    this.#question += 1;
    const { step } = this.#stage;
    const receipt = this.#stage.step === "receipt" ? this.#stage.receipt : null;
    if (step === "unsent") this.announce("Closed without knowing whether the action was recorded");
    this.#make = null;
    this.#draft = null;
    const done = this.#done;
    this.#done = null;
    done?.(receipt);
  }

  #countdown() {
    const draft = this.#draft;
    const { step } = this.#stage;
    setText(this.#expires, draft && (step === "review" || step === "wallet" || step === "drift")
      ? `Good until ${at(draft.expires, this.model.when)}, ${this.model.when.until(draft.expires)}.` : "");
  }

  #render() {
    const stage = this.#stage;
    const draft = this.#draft;
    const { signer } = this.model.people;
    if (this.#dialog.dataset.step !== stage.step) this.#dialog.dataset.step = stage.step;
    setText(this.#title, stage.step === "receipt" ? "Recorded" : draft?.title ?? "");
    setText(this.#status, words(stage, signer));
    this.#status.classList.toggle("bad", stage.step === "refused" || stage.step === "unsent" || (stage.step === "review" && stage.trouble !== ""));
    show(this.#status, this.#status.textContent !== "");

    const showsDraft = stage.step !== "receipt" && draft !== null;
    show(this.#effects, showsDraft);
    show(this.#details, showsDraft);
    show(this.#receipt, stage.step === "receipt");
    show(this.#warnings, showsDraft && draft.warnings.length > 0);
    if (draft) {
      rebuild(find("tbody", HTMLElement, this.#effects), draft.effects, () => draft.effects.map(({ label, before, after }) => {
        const th = make("th", { text: label });
        th.scope = "row";
        return make("tr", {}, th, make("td", { class: "num before", text: before }), make("td", { class: "num after", text: after }));
      }));
      rebuild(this.#warnings, draft.warnings, () => draft.warnings.map((text) => make("li", { text })));
      setText(this.#message, draft.message);
    }
    if (stage.step === "receipt") {
      setText(this.#index, count(stage.receipt.index));
      this.#hash.value = stage.receipt.hash;
      setText(find("#sign-what", HTMLElement), stage.receipt.title);
    }

    const labels = /** @type {Record<Stage["step"], string>} */ ({
      review: signer === "the development key" ? "Sign with the development key" : `Sign with ${signer}`,
      wallet: "Waiting\u2026", drift: "Send it", sending: "Sending\u2026", unsent: "Send again", refused: "Draft again", receipt: "Done",
    });
    setText(this.#go, labels[stage.step]);
    this.#go.disabled = stage.step === "wallet" || stage.step === "sending" || (stage.step === "refused" && this.#make === null);
    setText(this.#cancel, stage.step === "refused" || stage.step === "unsent" ? "Close" : "Cancel");
    show(this.#cancel, stage.step !== "receipt");
    this.#cancel.disabled = stage.step === "sending";
    if (this.open && (document.activeElement === document.body || document.activeElement === this.#dialog || /** @type {HTMLButtonElement} */ (document.activeElement).disabled)) {
      (stage.step === "receipt" || this.#cancel.disabled ? this.#go : this.#cancel).focus();
    }
    this.#countdown();
  }
}

/** @param {Stage} stage @param {string} signer */
function words(stage, signer) {
  switch (stage.step) {
    case "review":
      return stage.trouble || (stage.changed ? "The ledger has moved on: these are the effects as of now. Nothing was signed." : "");
    case "wallet":
      return `Waiting for ${signer}. Look for its window: it shows the message below, and asks for a password if it is locked.`;
    case "drift":
      return "While your wallet was open the ledger moved on. What you signed would now do this. Nothing has been sent yet.";
    case "sending":
      return "Sending it to the ledger.";
    case "unsent":
    case "refused":
      return stage.trouble;
    case "receipt":
      return "";
  }
}

/** @param {Draft} a @param {Draft} b */
const sameEffects = (a, b) => JSON.stringify([a.title, a.effects, a.warnings]) === JSON.stringify([b.title, b.effects, b.warnings]);

/** The same effects of the same action; only how long it is good may differ. @param {Draft} a @param {Draft} b */
const same = (a, b) => sameEffects(a, b) && JSON.stringify({ ...a.action, expires: 0 }) === JSON.stringify({ ...b.action, expires: 0 });
