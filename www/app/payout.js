// @ts-check
// Who this tab earns for: its own key, until a wallet authorises that key. The wallet page opens in a
// window of its own, because wallets are not injected into frames; it asks for this key's signature,
// and nothing else, by a message whose origin and window are checked.

import { find, setText } from "./dom.js";

/** @typedef {import("./types.js").View} View */

/** What is said here; a page in another language brings its own. */
const WORDS = {
  done: (/** @type {string} */ account) => `What this tab earns goes to ${account}.`,
  change: "Change the wallet",
  blocked: "The browser blocked the wallet\u2019s window. Allow pop-ups for this site and try again.",
};

export class Payout {
  button = find("#payout-connect", HTMLButtonElement);
  words = find("#payout-words", HTMLElement);
  earnings = find("#payout-earnings", HTMLAnchorElement);
  /** @type {Window | null} */
  #wallet = null;
  /** @type {View | null} */
  #view = null;

  /**
   * @param {(text: string) => void} sign asks the worker to sign an authorisation
   * @param {() => typeof WORDS} [words]
   */
  constructor(sign, words = () => WORDS) {
    this.say = words;
    this.button.addEventListener("click", () => this.#open());
    addEventListener("message", (event) => {
      if (event.origin !== location.origin || !this.#wallet || event.source !== this.#wallet) return;
      const { type, text, account } = event.data ?? {};
      if (type === "covey-session-request" && typeof text === "string") sign(text);
      if (type === "covey-session-done" && typeof account === "string") {
        setText(this.words, this.say().done(account));
        setText(this.button, this.say().change);
      }
    });
  }

  /** @param {View} view */
  draw(view) {
    this.#view = view;
    this.button.disabled = view.volunteer === null || view.run === null;
    if (view.volunteer) {
      const href = `wallet.html?account=0x${view.volunteer}#overview`;
      if (this.earnings.getAttribute("href") !== href) this.earnings.setAttribute("href", href);
      this.earnings.hidden = false;
    }
  }

  /** The worker's answer. @param {{signature: string | null, error: string | null}} answer */
  signed({ signature, error }) {
    this.#wallet?.postMessage({ type: "covey-session-signature", signature, error }, location.origin);
  }

  #open() {
    const { volunteer, run } = this.#view ?? {};
    if (!volunteer || !run) return;
    const url = new URL("wallet.html", location.href);
    url.searchParams.set("authorise", volunteer);
    url.searchParams.set("run", run.id);
    this.#wallet = open(url, "covey-wallet", "popup,width=520,height=760");
    if (!this.#wallet) setText(this.words, this.say().blocked);
  }
}
