// @ts-check
// The box in which the current weights write. The text streams in whole each time (the module sends
// all of it so far); the beginning that the visitor gave is set apart from what the model added.
// Fires `sample` with {prompt, tokens, temperature}.

import { define, find, make, setText } from "../app/dom.js";

export class SampleBox extends HTMLElement {
  #prompt = "";
  /** @type {{text: string, done: boolean, error: string | null} | null} */
  #latest = null;

  connectedCallback() {
    const form = find("form", HTMLFormElement, this);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const data = new FormData(form);
      this.#prompt = String(data.get("prompt") ?? "");
      this.#latest = { text: this.#prompt, done: false, error: null };
      this.draw();
      this.dispatchEvent(new CustomEvent("sample", {
        detail: { prompt: this.#prompt, tokens: Number(data.get("tokens")), temperature: Number(data.get("temperature")) },
      }));
    });
  }

  /** Whether asking makes sense now. @param {boolean} possible */
  set possible(possible) {
    const button = find("button", HTMLButtonElement, this);
    const disabled = !possible || (this.#latest !== null && !this.#latest.done);
    if (button.disabled !== disabled) button.disabled = disabled;
    setText(button, this.#latest && !this.#latest.done ? "Writing\u2026" : "Write");
  }

  /** The worker is gone: whatever was being written stays as it is. */
  interrupt() {
    if (this.#latest && !this.#latest.done) this.#latest = { ...this.#latest, done: true };
  }

  /** @param {{text: string, done: boolean, error: string | null}} sample */
  hear(sample) {
    this.#latest = sample;
  }

  /** Called in an animation frame. */
  draw() {
    if (!this.#latest) return;
    const { text, done, error } = this.#latest;
    const out = find(".sample-out", HTMLElement, this);
    const failure = find(".sample-error", HTMLElement, this);
    failure.hidden = !error;
    setText(failure, error ?? "");
    out.hidden = error !== null && text === "";
    out.setAttribute("aria-busy", String(!done));
    if (out.textContent === text && out.childElementCount > 0) return;
    const given = text.startsWith(this.#prompt) ? this.#prompt.length : 0;
    out.replaceChildren(make("span", { class: "given", text: text.slice(0, given) }), make("span", { text: text.slice(given) }));
  }
}

define("covey-sample", SampleBox);
