// @ts-check
// What a worker must be told again when it takes the place of one that is gone: the newest intent of
// each kind that still holds. What a reader would get wrong: a visitor who had paused must stay paused,
// so a start alone is not enough; and what was asked once (a text, a signature) is not asked again.

/** @typedef {import("./types.js").Intent} Intent */

export class Wishes {
  /** By what the intent is about, in the order in which it was first said. @type {Map<string, Intent>} */
  #held = new Map();

  /** @param {Intent} intent */
  note(intent) {
    switch (intent.type) {
      case "start":
        // A start begins without the pause of the one before it.
        this.#held.delete("pause");
        this.#held.set("start", intent);
        break;
      case "witness":
        // In place of a start: a worker does one or the other.
        this.#held.set("start", intent);
        break;
      case "stop":
      case "forget":
        this.#held.delete("start");
        break;
      case "pause":
        this.#held.set("pause", intent);
        break;
      case "resume":
        this.#held.delete("pause");
        break;
      case "override":
        this.#held.set(`override ${intent.reason}`, intent);
        break;
      case "environment":
      case "share":
        this.#held.set(intent.type, intent);
        break;
    }
  }

  /** Whether work was asked for and not stopped. */
  get working() {
    return this.#held.has("start");
  }

  /** Remembers for the next start how many graphics devices were lost. @param {number} count */
  lost(count) {
    const start = this.#held.get("start");
    if (start?.type === "start") this.#held.set("start", { ...start, devices_lost: count });
  }

  /** All of it, in an order in which a new worker understands it. */
  all() {
    return [...this.#held.values()];
  }
}
