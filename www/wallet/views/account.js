// @ts-check
// Choosing whose account is shown: wallets of this browser and their accounts, any address to look at,
// and the development keys. Every state of a wallet has its own words: none installed, refused, locked,
// waiting for an answer, no account. What is said is what to do next.

import { find, make, setText, show } from "../../app/dom.js";
import { installed, walletName } from "../extensions.js";
import { button, account as accountNode, rebuild, say } from "../nodes.js";
import { describe } from "../problems.js";
import { inWords } from "../refusals.js";

/** @typedef {import("../model.js").App} App */

/** Extensions inject themselves some time after the page has loaded. */
const LOOK_EVERY_MS = 400;
const LOOKS = 10;
/** After so long without an answer, the wallet is probably waiting for its owner. */
const WAITING_MS = 1_200;

export class AccountView {
  #status = find("#wallet-status", HTMLElement);
  #looks = 0;
  /** The wallet that is being asked. @type {string | null} */
  #asking = null;
  /** Grows with every question; an answer to an earlier one is dropped. */
  #question = 0;

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    find("#look-again", HTMLButtonElement).addEventListener("click", () => {
      // A wallet that is connected may offer other accounts by now.
      const { connection } = this.people;
      if (connection) this.#connect(connection.id);
      app.redraw();
    });
    const form = find("#read-form", HTMLFormElement);
    const error = find(".form-error", HTMLElement, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.people.read(String(new FormData(form).get("address") ?? ""));
        say(error, "");
        app.go("overview");
      } catch (failure) {
        say(error, inWords(failure));
      }
    });
    const looking = setInterval(() => {
      if (++this.#looks >= LOOKS) clearInterval(looking);
      app.redraw();
    }, LOOK_EVERY_MS);
  }

  get people() {
    return this.app.model.people;
  }

  draw() {
    this.#drawPerson();
    this.#drawWallets();
    this.#drawAccounts();
    this.#drawDevelopment();
  }

  #drawPerson() {
    const { person } = this.people;
    setText(find("#person-words", HTMLElement), person === null ? "No account is chosen. Everything here can be read without one."
      : person.kind === "reader" ? "You are looking at this account. To sign for it, connect its wallet."
      : person.kind === "development" ? "A development key signs for this account."
      : `${walletName(person.wallet)} signs for this account.`);
    rebuild(find("#person", HTMLElement), person, () => person === null ? [] : [make("div", { class: "who" },
      accountNode(person.account, person.kind === "reader" ? "reading only" : person.label),
      button(person.kind === "wallet" ? "Disconnect" : "Leave", () => this.#leave(), { focus: "leave" }))]);
  }

  #leave() {
    this.#question += 1;
    this.#asking = null;
    this.people.disconnect();
    say(this.#status, "");
    find("#look-again", HTMLElement).focus();
  }

  #drawWallets() {
    const wallets = installed();
    const connected = this.people.connection?.id ?? null;
    show(find("#no-wallets", HTMLElement), wallets.length === 0 && this.#looks >= LOOKS / 2);
    rebuild(find("#wallets", HTMLElement), [wallets, connected, this.#asking], () => wallets.map(({ id, name, version }) => {
      const row = make("li", {}, make("div", {}, make("b", { text: name }), make("span", { class: "soft", text: version ? ` ${version}` : "" })));
      row.dataset.wallet = id;
      if (this.#asking === id) {
        row.append(make("span", { class: "soft", text: "Asking it\u2026" }), button("Stop waiting", () => this.#stop(), { focus: id }));
      } else if (connected === id) {
        row.append(make("span", { class: "chosen", text: "Connected" }));
      } else {
        row.append(button("Connect", () => this.#connect(id), { focus: id, label: `Connect ${name}` }));
      }
      return row;
    }));
  }

  #stop() {
    this.#question += 1;
    this.#asking = null;
    say(this.#status, "");
    this.app.redraw();
  }

  /** @param {string} id */
  async #connect(id) {
    const question = ++this.#question;
    this.#asking = id;
    this.#trouble("");
    this.app.redraw();
    const waiting = setTimeout(() => {
      if (question === this.#question) this.#trouble(`Waiting for ${walletName(id)}. Look for its window or its icon: it wants your consent, or its password if it is locked.`, false);
    }, WAITING_MS);
    try {
      const { usable } = await this.people.connect(id);
      if (question !== this.#question) return;
      this.#trouble("");
      const only = usable[0];
      if (usable.length === 1 && only) this.people.choose(only);
      else find("#accounts-title", HTMLElement).scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (question === this.#question) this.#trouble(describe(error));
    } finally {
      clearTimeout(waiting);
      if (question === this.#question) this.#asking = null;
      this.app.redraw();
    }
  }

  /** @param {string} words @param {boolean} [bad] */
  #trouble(words, bad = true) {
    this.#status.classList.toggle("bad", bad && words !== "");
    say(this.#status, words);
  }

  #drawAccounts() {
    const { offered, connection, person } = this.people;
    show(find("#accounts-box", HTMLElement), offered !== null && connection !== null);
    if (!offered || !connection) return;
    setText(find("#accounts-title", HTMLElement), `Accounts of ${connection.name}`);
    rebuild(find("#accounts", HTMLElement), [offered, person], () => [
      ...offered.usable.map((usable) => {
        const chosen = person?.kind === "wallet" && person.wallet === connection.id && person.account === usable.account;
        const row = make("li", {}, make("div", {}, accountNode(usable.account, usable.label, usable.key)));
        row.dataset.account = usable.account;
        row.append(chosen ? make("span", { class: "chosen", text: "Chosen" })
          : button("Choose", () => this.people.choose(usable), { focus: usable.account, label: `Choose ${usable.label || usable.account}` }));
        return row;
      }),
      ...offered.unusable.map(({ address, label, why }) => {
        const row = make("li", {}, make("div", {}, accountNode(address, label), make("p", { class: "soft", text: why })));
        row.dataset.unusable = address;
        return row;
      }),
    ]);
  }

  #drawDevelopment() {
    const { development, person } = this.people;
    show(find("#development-keys", HTMLElement), development);
    if (!development) return;
    rebuild(find("#development-names", HTMLElement), person, () => this.app.model.module.DevelopmentWallet.names().map((name) => {
      const node = button(name, () => this.people.develop(name), { focus: name });
      node.setAttribute("aria-pressed", String(person?.kind === "development" && person.label === name));
      return node;
    }));
  }
}
