// @ts-check
// Whether a click is a visitor's own decision. The browser says whether a person made it; the rest is
// against being tricked into it: a frame moved under the pointer, a focus that jumps here while
// somebody types elsewhere, a key held down.

/** Milliseconds after the frame got the focus before a key press in it counts. */
const SETTLED_MS = 500;

/** @typedef {"synthetic" | "just_shown" | import("./sight.js").Unseen} Refusal */

export class Gesture {
  #focused = performance.now();

  /** @param {import("./sight.js").Sight} sight @param {HTMLElement} button */
  constructor(sight, button) {
    this.sight = sight;
    addEventListener("focus", () => this.moved());
    // A key held down since before the focus came here repeats, and each repeat would be a click.
    button.addEventListener("keydown", (event) => {
      if (event.repeat) event.preventDefault();
    });
  }

  /** The focus came here without the visitor's doing, or may have. */
  moved() {
    this.#focused = performance.now();
  }

  /** Why this click does not count; null when it does. @param {MouseEvent} event @returns {Refusal | null} */
  refusal(event) {
    if (!event.isTrusted) return "synthetic";
    const { userActivation } = navigator;
    if (userActivation && !userActivation.isActive) return "synthetic";
    if (this.sight.unseen) return this.sight.unseen;
    if (!this.sight.steady) return "just_shown";
    const byKey = event.detail === 0;
    return byKey && performance.now() - this.#focused < SETTLED_MS ? "just_shown" : null;
  }
}
