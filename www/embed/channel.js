// @ts-check
// The channel between the page that embeds us and this frame. The page says hello once, with one end
// of a MessageChannel; after that only that port is heard. The page's origin is taken from the
// browser's own event, and shown in the terms.
//
// What a reader would get wrong: the embedding page is not trusted. Whatever it says is a wish out of
// a short list, none of which can begin work; and nothing that leads to this volunteer's identity goes
// out (see reduced.js).

import { nearestShare } from "../app/settings.js";

export const PROTOCOL = 1;
/** A partner's id: it is shown in the terms, and must not be able to say anything. */
const PARTNER = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
/** A run is named or given by the start of its id; it is compared and never shown. */
const RUN = /^.{1,128}$/;
const THEMES = ["auto", "light", "dark"];
const COMMANDS = /** @type {const} */ (["pause", "resume", "stop", "attention"]);

/** @typedef {typeof COMMANDS[number]} Command */
/**
 * @typedef {object} Wishes what the page asks for, checked
 * @property {string | null} run
 * @property {string | null} partner whom it names; whose frame this is, the frame's own address says
 * @property {import("../app/types.js").Share} power
 * @property {string} theme
 * @property {string} lang
 */

/**
 * Checks what the page says of itself. What cannot be read counts as not said.
 * @param {any} said
 * @returns {{wishes: Wishes, ignored: string[]}}
 */
export function read(said) {
  /** @type {string[]} */
  const ignored = [];
  const name = (/** @type {"run" | "partner"} */ key, /** @type {RegExp} */ pattern) => {
    const value = said[key];
    if (value === null || value === undefined || value === "") return null;
    if (typeof value === "string" && pattern.test(value)) return value;
    ignored.push(key);
    return null;
  };
  const wishes = { run: name("run", RUN), partner: name("partner", PARTNER), power: power(said.power), theme: theme(said.theme), lang: lang(said.lang) };
  return { wishes, ignored };
}

/**
 * Whose frame this is: the partner that our own address names, because the operator's list of sites that
 * may show this frame goes by that address. What the page says beside it credits nobody.
 * @param {string} search the address's query
 */
export function partnerOf(search) {
  const named = new URLSearchParams(search).get("partner");
  return named !== null && PARTNER.test(named) ? named : null;
}

/** @param {unknown} value */
const power = (value) => nearestShare(typeof value === "number" ? value : 50);
/** @param {unknown} value */
const theme = (value) => (typeof value === "string" && THEMES.includes(value) ? value : "auto");
/** @param {unknown} value */
const lang = (value) => (typeof value === "string" ? value.slice(0, 35) : "en");

export class Channel {
  /** @type {MessagePort | null} */
  #port = null;
  /** Where the page that embeds us comes from; null until it has said hello. @type {string | null} */
  origin = null;

  /**
   * @param {object} listeners
   * @param {(wishes: Wishes, ignored: string[]) => void} listeners.hello
   * @param {() => void} listeners.nameless a page without an origin said hello
   * @param {(command: Command) => void} listeners.command
   * @param {(change: Partial<Wishes>) => void} listeners.set
   */
  constructor(listeners) {
    this.listeners = listeners;
    if (window.parent === window) return;
    addEventListener("message", (event) => {
      const port = event.ports[0];
      // Only our parent, only once: a window that knows our address is not the page around us.
      if (event.source !== window.parent || this.origin !== null || !port) return;
      if (event.data?.covey !== PROTOCOL || event.data.type !== "hello") return;
      this.origin = event.origin;
      this.#port = port;
      if (event.origin === "null") return listeners.nameless();
      port.onmessage = ({ data }) => this.#hear(data);
      const { wishes, ignored } = read(event.data);
      listeners.hello(wishes, ignored);
    });
  }

  /** @param {any} said */
  #hear(said) {
    if (said?.type === "command" && COMMANDS.includes(said.name)) this.listeners.command(said.name);
    if (said?.type !== "set") return;
    if (said.name === "power") this.listeners.set({ power: power(said.value) });
    if (said.name === "theme") this.listeners.set({ theme: theme(said.value) });
    if (said.name === "lang") this.listeners.set({ lang: lang(said.value) });
  }

  /** @param {import("./reduced.js").Told} message */
  tell(message) {
    this.#port?.postMessage(message);
  }
}
