// @ts-check
// The small elements: share slider, hash with copying, choice of colours, and the card for a
// problem. They enhance ordinary markup (no shadow root), so the page's one style sheet and its
// security policy hold for them as for everything else.

import { define, make, setText, show } from "../app/dom.js";
import { shortHash } from "../app/format.js";
import { nearestShare, store, stored } from "../app/settings.js";

/** @type {Record<number, string>} */
const SHARE_WORDS = {
  25: "Works a quarter of the time. You should hardly notice.",
  50: "Works half of the time and rests the other half.",
  75: "Works most of the time, with short rests.",
  100: "Works without rest. Fans may spin up.",
};

/** A slider over 25, 50, 75 and 100 %. Fires `share` with the value in `detail`. */
export class ShareSlider extends HTMLElement {
  #input = make("input");
  #output = make("output", { class: "share-value" });
  #words = make("p", { class: "soft share-words" });

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const id = `${this.id}-input`;
    Object.assign(this.#input, { type: "range", id, min: "25", max: "100", step: "25" });
    const label = make("label", { text: this.dataset.label ?? "Share" });
    label.htmlFor = id;
    this.#output.htmlFor.add(id);
    const ticks = make("div", { class: "ticks" }, ...[25, 50, 75, 100].map((n) => make("span", { text: `${n}` })));
    ticks.setAttribute("aria-hidden", "true");
    this.append(make("div", { class: "share-head" }, label, this.#output), this.#input, ticks, this.#words);
    this.#input.addEventListener("input", () => {
      this.#describe();
      this.dispatchEvent(new CustomEvent("share", { detail: this.value, bubbles: true }));
    });
    this.value = 50;
  }

  /** @returns {import("../app/types.js").Share} */
  get value() {
    return nearestShare(Number(this.#input.value));
  }

  /** @param {number} value */
  set value(value) {
    // Never moves under a finger: a report of the old value may arrive while the slider is dragged.
    if (this.#input.value !== String(value) && !this.#input.matches(":active")) this.#input.value = String(value);
    this.#describe();
  }

  #describe() {
    const value = this.value;
    setText(this.#output, `${value} %`);
    setText(this.#words, SHARE_WORDS[value] ?? "");
    const text = `${value} percent`;
    if (this.#input.getAttribute("aria-valuetext") !== text) this.#input.setAttribute("aria-valuetext", text);
  }
}

/** A hash: short, whole on hover and for assistive technology, copied by its button. */
export class HashText extends HTMLElement {
  #hash = "";
  #code = make("code", { text: "\u2013" });
  #button = make("button", { class: "copy", text: "Copy" });

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.#button.type = "button";
    this.#button.hidden = this.#hash === "";
    this.append(this.#code, this.#button);
    this.#button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(this.#hash);
        setText(this.#button, "Copied");
      } catch {
        // No permission: the whole hash is put on the page instead, to be selected by hand.
        setText(this.#code, this.#hash);
        setText(this.#button, "Select it");
      }
      setTimeout(() => setText(this.#button, "Copy"), 1500);
    });
  }

  get value() {
    return this.#hash;
  }

  /** @param {string | null} hash */
  set value(hash) {
    if ((hash ?? "") === this.#hash) return;
    this.#hash = hash ?? "";
    setText(this.#code, hash ? shortHash(hash) : "\u2013");
    this.#code.title = this.#hash;
    this.#button.setAttribute("aria-label", `Copy ${this.#hash}`);
    show(this.#button, hash !== null);
  }
}

/** Auto, light or dark. theme.js applies the stored choice before the first paint. */
export class ThemeChoice extends HTMLElement {
  connectedCallback() {
    const group = this.querySelector("fieldset");
    if (!group) return;
    group.hidden = false;
    const choice = stored("theme") ?? "auto";
    for (const input of this.querySelectorAll("input")) {
      input.checked = input.value === choice;
      input.addEventListener("change", () => this.#choose(input.value));
    }
  }

  /** @param {string} theme */
  #choose(theme) {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    store("theme", theme === "auto" ? null : theme);
    this.dispatchEvent(new CustomEvent("theme", { bubbles: true }));
  }
}

/** @typedef {import("../app/problems.js").Problem} Problem */

/** Says what went wrong and what to do. Fires `reload` or `restart` when its button is pressed. */
export class ProblemCard extends HTMLElement {
  /** @type {string | null} */
  #shown = null;

  /** @param {Problem | null} problem */
  set problem(problem) {
    const key = problem && JSON.stringify(problem);
    if (key === this.#shown) return;
    this.#shown = key;
    this.hidden = problem === null;
    this.replaceChildren();
    if (!problem) return;
    this.className = "problem";
    this.dataset.code = problem.code;
    this.append(make("h2", { text: problem.title }), make("p", { text: problem.text }));
    if (problem.remedy.length > 0) {
      this.append(make("ul", { class: "remedy" }, ...problem.remedy.map((step) => withCode("li", step))));
    }
    const action = problem.action;
    if (action) {
      const button = make("button", { class: "primary", text: action === "reload" ? "Reload the page" : "Start again" });
      button.type = "button";
      button.addEventListener("click", () => this.dispatchEvent(new CustomEvent(action, { bubbles: true })));
      this.append(make("div", { class: "controls" }, button));
    }
    if (problem.detail) {
      this.append(make("details", {}, make("summary", { text: "Technical message" }), make("pre", { text: problem.detail })));
    }
  }
}

/**
 * Text in which `words in back-ticks` are code.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} text
 */
function withCode(tag, text) {
  return make(tag, {}, ...text.split("`").map((part, i) => (i % 2 ? make("code", { text: part }) : document.createTextNode(part))));
}

define("covey-share", ShareSlider);
define("covey-hash", HashText);
define("covey-theme", ThemeChoice);
define("covey-problem", ProblemCard);
