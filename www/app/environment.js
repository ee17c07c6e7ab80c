// @ts-check
// The facts about machine and connection that only a page can see (a worker has no battery, no
// visibility). The page draws no conclusion from them: it hands them to the module, which decides
// what they mean. A fact that the browser does not tell counts as harmless.

/** @typedef {import("./types.js").Facts} Facts */

/**
 * @typedef {{saveData?: boolean, type?: string} & EventTarget} NetworkInformation
 * @typedef {{charging: boolean} & EventTarget} Battery
 */

export class Environment {
  /** @type {Battery | null} */
  #battery = null;
  /** @type {NetworkInformation | null} */
  #connection = /** @type {any} */ (navigator).connection ?? null;
  #told = "";

  /**
   * @param {() => boolean} otherTab
   * @param {(facts: Facts) => void} changed
   */
  constructor(otherTab, changed) {
    this.otherTab = otherTab;
    this.changed = changed;
  }

  /** Starts observing; resolves once the battery's state is known. */
  async observe() {
    const update = () => this.update();
    addEventListener("online", update);
    addEventListener("offline", update);
    document.addEventListener("visibilitychange", update);
    this.#connection?.addEventListener?.("change", update);
    try {
      this.#battery = (await /** @type {any} */ (navigator).getBattery?.()) ?? null;
      this.#battery?.addEventListener("chargingchange", update);
    } catch {
      // Refused by policy: the same as not telling.
    }
  }

  /** @returns {Facts} */
  facts() {
    return {
      on_battery: this.#battery ? !this.#battery.charging : false,
      metered: Boolean(this.#connection?.saveData) || this.#connection?.type === "cellular",
      other_tab: this.otherTab(),
      hidden: document.visibilityState === "hidden",
      online: navigator.onLine,
    };
  }

  /** Tells the facts if they differ from what was last told. */
  update() {
    const facts = this.facts();
    const key = JSON.stringify(facts);
    if (key === this.#told) return;
    this.#told = key;
    this.changed(facts);
  }

  /** Tells the facts, known or not: for a new worker. */
  tell() {
    this.#told = "";
    this.update();
  }
}
