// @ts-check
// The loader that a partner's page includes: one file, no dependency, one element,
// `<covey-contribute run coordinator partner power theme lang>`. It shows a frame of the operator's
// origin and a bar with the state and a stop. All consent, computing and keys are inside that frame.
//
// What a reader would get wrong: nothing here can begin work. The frame begins on a real click inside
// itself and on nothing else, so `start()` only leads the visitor to its button. docs/embedding.md has
// the whole contract. Everything is in this one file so that one integrity hash covers it.

/** The version of the messages between element and frame. */
const PROTOCOL = 1;
const NAME = "covey-contribute";
/** Milliseconds for the frame to answer once it has loaded, and to obey a stop. */
const ANSWER_WITHIN = 15_000;
const STOP_WITHIN = 3_000;
const SHARES = [25, 50, 75, 100];
/** A partner's id, as coordinators know them. */
const PARTNER = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const THEMES = ["auto", "light", "dark"];
const STATES = ["consent_needed", "starting", "working", "paused", "stopping", "stopped", "failed"];

/** What this file itself says; the frame brings its own words. Order: label, stop, then the states. */
const KEYS = ["label", "stop", "idle", "loading", "consent_needed", "starting", "working", "paused", "stopping", "stopped", "failed"];
/** @type {Record<string, string[]>} */
const WORDS = {
  en: ["Lend this tab to train a shared language model", "Stop", "Not loaded", "Loading", "Waiting for your consent", "Starting", "Working", "Paused", "Stopping", "Stopped", "Not available"],
  de: ["Diesen Tab zum Training eines gemeinsamen Sprachmodells leihen", "Stopp", "Nicht geladen", "Wird geladen", "Wartet auf Ihre Zustimmung", "Startet", "Arbeitet", "Pausiert", "Wird gestoppt", "Gestoppt", "Nicht verf\u00fcgbar"],
  es: ["Prestar esta pesta\u00f1a para entrenar un modelo de lenguaje compartido", "Detener", "Sin cargar", "Cargando", "Esperando su consentimiento", "Iniciando", "Trabajando", "En pausa", "Deteniendo", "Detenido", "No disponible"],
  fr: ["Pr\u00eater cet onglet pour entra\u00eener un mod\u00e8le de langue commun", "Arr\u00eater", "Non charg\u00e9", "Chargement", "En attente de votre accord", "D\u00e9marrage", "Au travail", "En pause", "Arr\u00eat en cours", "Arr\u00eat\u00e9", "Indisponible"],
  zh: ["\u501f\u51fa\u6b64\u6807\u7b7e\u9875\uff0c\u8bad\u7ec3\u5171\u4eab\u7684\u8bed\u8a00\u6a21\u578b", "\u505c\u6b62", "\u672a\u52a0\u8f7d", "\u6b63\u5728\u52a0\u8f7d", "\u7b49\u5f85\u60a8\u7684\u540c\u610f", "\u6b63\u5728\u542f\u52a8", "\u6b63\u5728\u5de5\u4f5c", "\u5df2\u6682\u505c", "\u6b63\u5728\u505c\u6b62", "\u5df2\u505c\u6b62", "\u4e0d\u53ef\u7528"],
  ar: ["\u0625\u0639\u0627\u0631\u0629 \u0647\u0630\u0627 \u0627\u0644\u062a\u0628\u0648\u064a\u0628 \u0644\u062a\u062f\u0631\u064a\u0628 \u0646\u0645\u0648\u0630\u062c \u0644\u063a\u0648\u064a \u0645\u0634\u062a\u0631\u0643", "\u0625\u064a\u0642\u0627\u0641", "\u063a\u064a\u0631 \u0645\u062d\u0645\u0651\u0644", "\u062c\u0627\u0631\u064d \u0627\u0644\u062a\u062d\u0645\u064a\u0644", "\u0628\u0627\u0646\u062a\u0638\u0627\u0631 \u0645\u0648\u0627\u0641\u0642\u062a\u0643", "\u062c\u0627\u0631\u064d \u0627\u0644\u0628\u062f\u0621", "\u064a\u0639\u0645\u0644", "\u0645\u062a\u0648\u0642\u0641 \u0645\u0624\u0642\u062a\u064b\u0627", "\u062c\u0627\u0631\u064d \u0627\u0644\u0625\u064a\u0642\u0627\u0641", "\u0645\u062a\u0648\u0642\u0641", "\u063a\u064a\u0631 \u0645\u062a\u0627\u062d"],
};

/** Errors of the element itself, for the page's owner: in the console and in `covey-error`. */
const ERRORS = /** @type {Record<string, string>} */ ({
  coordinator_invalid: "The coordinator attribute must be an http or https address.",
  insecure_context: "Browsers allow this on https pages and on localhost only.",
  csp_frame: "This page's Content-Security-Policy blocks the frame: add the operator's origin to frame-src.",
  frame_unreachable: "The operator's frame did not answer. Is the address right, does the operator allow this site to embed it, and is this page itself in a sandboxed frame?",
});

const CSS = `
:host { display: block; box-sizing: border-box; inline-size: 100%; max-inline-size: var(--covey-width, 27rem); contain: layout;
  --bg: #fffdf9; --ink: #1b2420; --soft: #59635d; --line: #e3ddd0; --on: #17614f; color-scheme: light; }
:host([hidden]) { display: none; }
.box { display: block; overflow: hidden; border: 1px solid var(--covey-border, var(--line)); border-radius: var(--covey-radius, 14px);
  background: var(--covey-background, var(--bg)); color: var(--covey-color, var(--ink)); }
iframe { display: block; inline-size: 100%; block-size: var(--covey-height, 32rem); border: 0; color-scheme: inherit; }
.bar { display: flex; align-items: center; gap: 0.6rem; min-block-size: 2.75rem; padding: 0.25rem 0.5rem 0.25rem 0.9rem; box-sizing: border-box;
  border-block-start: 1px solid var(--covey-border, var(--line)); font: 0.875rem/1.3 var(--covey-font, system-ui, sans-serif); }
.bar[dir="rtl"] { padding: 0.25rem 0.9rem 0.25rem 0.5rem; }
.dot { flex: none; inline-size: 0.6rem; block-size: 0.6rem; border-radius: 50%; background: var(--soft); }
.dot[data-state="working"], .dot[data-state="starting"] { background: var(--covey-accent, var(--on)); }
.status { flex: 1; margin: 0; min-inline-size: 0; overflow-wrap: anywhere; }
button { flex: none; font: inherit; font-weight: 600; color: inherit; background: none; border: 1px solid currentColor; border-radius: 8px;
  padding: 0.35rem 0.9rem; cursor: pointer; }
button:disabled { opacity: 0.45; cursor: default; }
button:focus-visible { outline: 3px solid var(--covey-focus, #b8621b); outline-offset: 2px; }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) {
  --bg: #181f1c; --ink: #e9e7df; --soft: #a2aca6; --line: #2c3531; --on: #7fd0b4; color-scheme: dark; } }
:host([theme="dark"]) { --bg: #181f1c; --ink: #e9e7df; --soft: #a2aca6; --line: #2c3531; --on: #7fd0b4; color-scheme: dark; }
@media (prefers-reduced-motion: no-preference) { .dot[data-state="working"] { animation: breathe 2.4s ease-in-out infinite; } }
@keyframes breathe { 50% { opacity: 0.35; } }
@media (forced-colors: active) { .dot { forced-color-adjust: none; } }`;

/** One sheet for all elements; made from code, so a policy without inline styles allows it. @type {CSSStyleSheet | undefined} */
let sheet;

/** @param {string} tag @param {string} part @param {Record<string, string>} [attributes] */
function make(tag, part, attributes = {}) {
  const node = document.createElement(tag);
  node.className = part;
  node.setAttribute("part", part);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A server that renders pages has no elements: there the class only exists. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? /** @type {any} */ (class {});

export class CoveyContribute extends Base {
  static observedAttributes = ["run", "coordinator", "partner", "power", "theme", "lang"];
  /** Tells our class from a stranger's of the same name. */
  static coveyProtocol = PROTOCOL;

  #box = make("div", "box", { role: "group" });
  #frame = /** @type {HTMLIFrameElement} */ (make("iframe", "frame", {
    // What the frame may do to this page: nothing. Its wallet opens in a window of its own.
    sandbox: "allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox", loading: "lazy", referrerpolicy: "strict-origin",
  }));
  #bar = make("div", "bar");
  #dot = make("span", "dot", { "aria-hidden": "true" });
  #status = make("p", "status", { role: "status" });
  #stop = /** @type {HTMLButtonElement} */ (make("button", "stop", { type: "button" }));
  /** @type {MessagePort | null} */
  #port = null;
  #origin = "";
  #state = "idle";
  /** @type {string | null} */
  #reason = null;
  #wishes = false;
  #rebuild = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    try {
      if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
      root.adoptedStyleSheets = [sheet];
    } catch {
      // A browser without constructable sheets shows it plain; it works all the same.
    }
    this.#bar.append(this.#dot, this.#status, this.#stop);
    this.#box.append(this.#frame, this.#bar);
    root.append(this.#box);
    this.#frame.addEventListener("load", () => this.#greet());
    this.#stop.addEventListener("click", () => this.stop());
  }

  connectedCallback() {
    for (const name of ["run", "coordinator", "partner", "power", "theme"]) this.#upgrade(name);
    document.addEventListener("securitypolicyviolation", this.#forbidden);
    this.#open();
  }

  disconnectedCallback() {
    document.removeEventListener("securitypolicyviolation", this.#forbidden);
    this.#close();
    this.#frame.removeAttribute("src");
    this.#become("idle", null);
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (name === "lang") this.#speak();
    if (name === "power" || name === "theme" || name === "lang") {
      this.#port?.postMessage({ type: "set", name, value: this.#settings()[name] });
    } else if (!this.#rebuild) {
      // Another run, operator or partner is another consent: the frame begins anew, once for all changes.
      this.#rebuild = true;
      queueMicrotask(() => {
        this.#rebuild = false;
        if (this.isConnected) this.#open();
      });
    }
  }

  get run() { return this.getAttribute("run"); }
  set run(value) { this.#reflect("run", value); }
  get coordinator() { return this.getAttribute("coordinator"); }
  set coordinator(value) { this.#reflect("coordinator", value); }
  get partner() { return this.getAttribute("partner"); }
  set partner(value) { this.#reflect("partner", value); }
  /** Percent of the machine that is proposed, and never exceeded: 25, 50, 75 or 100. */
  get power() {
    const wish = Number(this.getAttribute("power") ?? 50);
    return Number.isFinite(wish) ? SHARES.reduce((best, share) => (Math.abs(share - wish) < Math.abs(best - wish) ? share : best)) : 50;
  }
  set power(value) { this.#reflect("power", value); }
  get theme() {
    const theme = this.getAttribute("theme") ?? "";
    return THEMES.includes(theme) ? theme : "auto";
  }
  set theme(value) { this.#reflect("theme", value); }
  get state() { return this.#state; }

  /** Leads the visitor to the frame's button, or ends a pause that this page asked for. */
  start() {
    if (this.#state === "working" || this.#state === "starting") return;
    if (this.#state === "paused") return this.resume();
    this.#frame.loading = "eager";
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    this.#wishes = true;
    this.#attend();
  }

  pause() { this.#command("pause"); }
  resume() { this.#command("resume"); }

  /** Ends the work and the consent. A frame that does not obey is thrown away with its worker. */
  stop() {
    if (!this.#port || !["starting", "working", "paused"].includes(this.#state)) return;
    this.#command("stop");
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#open(), STOP_WITHIN);
  }

  /** @param {string} name */
  #command(name) {
    this.#port?.postMessage({ type: "command", name });
  }

  #attend() {
    if (!this.#wishes || !this.#port || !["consent_needed", "stopped"].includes(this.#state)) return;
    this.#wishes = false;
    this.#frame.focus();
    this.#command("attention");
    this.#become("consent_needed", "start", true);
  }

  /** @param {string} name */
  #upgrade(name) {
    if (!Object.hasOwn(this, name)) return;
    const self = /** @type {any} */ (this);
    const value = self[name];
    delete self[name];
    self[name] = value;
  }

  /** @param {string} name @param {unknown} value */
  #reflect(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, String(value));
  }

  /** The nearest language that is said anywhere around the element. */
  #language() {
    /** @type {Element | null} */
    let node = this;
    while (node) {
      const near = node.closest("[lang]");
      if (near?.getAttribute("lang")) return near.getAttribute("lang") ?? "en";
      const root = node.getRootNode();
      node = root instanceof ShadowRoot ? root.host : null;
    }
    return navigator.language || "en";
  }

  /** @returns {Record<string, unknown>} */
  #settings() {
    return { run: this.run, partner: this.partner, power: this.power, theme: this.theme, lang: this.#language() };
  }

  /** The frame's address: beside this file, or beside the page of the coordinator that is named. */
  #address() {
    const url = this.#page();
    // The operator lets a partner's own sites show the frame for it, and nobody is credited in any other.
    if (url && PARTNER.test(this.partner ?? "")) url.searchParams.set("partner", this.partner ?? "");
    return url;
  }

  #page() {
    const own = new URL("./embed.html", import.meta.url);
    const named = this.coordinator;
    if (named === null) return own;
    try {
      const url = new URL(named, document.baseURI);
      if (url.protocol !== "https:" && url.protocol !== "http:") return null;
      return url.origin === own.origin ? own : new URL("/embed.html", url);
    } catch {
      return null;
    }
  }

  #open() {
    this.#close();
    this.#speak();
    const address = this.#address();
    if (!isSecureContext) return this.#fail("insecure_context");
    if (!address) return this.#fail("coordinator_invalid");
    this.#origin = address.origin;
    this.#become("loading", null);
    this.#frame.src = address.href;
  }

  #close() {
    clearTimeout(this.#patience);
    this.#port?.close();
    this.#port = null;
  }

  /** The frame has loaded: hand it one end of a channel. Only a document of its origin can get it. */
  #greet() {
    if (!this.isConnected || !this.#frame.src || this.#state === "failed") return;
    this.#close();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = (event) => this.#hear(event.data);
    this.#become("loading", null);
    this.#frame.contentWindow?.postMessage({ covey: PROTOCOL, type: "hello", ...this.#settings() }, this.#origin, [port2]);
    this.#patience = setTimeout(() => this.#fail("frame_unreachable"), ANSWER_WITHIN);
  }

  /** @param {any} said */
  #hear(said) {
    clearTimeout(this.#patience);
    switch (said?.type) {
      case "ready":
        this.#tell("ready", { run: said.run, operator: this.#origin });
        break;
      case "state":
        if (STATES.includes(said.state)) this.#become(said.state, said.reason ?? null);
        this.#attend();
        break;
      case "progress":
        this.#tell("progress", { round: said.round, step: said.step, steps: said.steps, accepted: said.accepted });
        break;
      case "receipt":
        this.#tell("receipt", { round: said.round, tokens: said.tokens, partner: said.partner ?? null });
        break;
      case "error":
        this.#tell("error", { code: said.code, message: said.message });
        break;
    }
  }

  /** @param {string} state @param {string | null} reason @param {boolean} [again] tell it even if nothing changed */
  #become(state, reason, again = false) {
    if (!again && state === this.#state && reason === this.#reason) return;
    this.#state = state;
    this.#reason = reason;
    this.#speak();
    this.#tell("state", { state, reason });
  }

  /** @param {string} code */
  #fail(code) {
    this.#close();
    console.warn(`<${NAME}>: ${ERRORS[code]}`);
    this.#become("failed", code);
    this.#tell("error", { code, message: ERRORS[code] });
  }

  #forbidden = (/** @type {SecurityPolicyViolationEvent} */ event) => {
    const blocked = /^(frame|child|default)-src/.test(event.effectiveDirective) && event.blockedURI.startsWith(this.#origin);
    if (blocked && this.#origin && this.#state !== "failed") this.#fail("csp_frame");
  };

  /** Says the state in the visitor's language, only where something changed. */
  #speak() {
    const lang = this.#language().toLowerCase().split("-")[0] ?? "en";
    const known = WORDS[lang] ? lang : "en";
    const word = (/** @type {string} */ key) => WORDS[known]?.[KEYS.indexOf(key)] ?? "";
    const set = (/** @type {Element} */ node, /** @type {string} */ name, /** @type {string} */ value) => {
      if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    };
    set(this.#box, "lang", known);
    set(this.#box, "aria-label", word("label"));
    set(this.#bar, "dir", known === "ar" ? "rtl" : "ltr");
    set(this.#frame, "title", `Covey: ${word("label")}`);
    set(this.#dot, "data-state", this.#state);
    if (this.#status.textContent !== word(this.#state)) this.#status.textContent = word(this.#state);
    if (this.#stop.textContent !== word("stop")) this.#stop.textContent = word("stop");
    this.#stop.disabled = !["starting", "working", "paused"].includes(this.#state);
  }

  /** @param {string} name @param {object} detail */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(`covey-${name}`, { bubbles: true, composed: true, detail: Object.freeze(detail) }));
  }
}

/** Registers the element, unless the name is taken: by this file loaded twice, or by a stranger. */
export function register() {
  if (!globalThis.customElements) return;
  const there = /** @type {any} */ (customElements.get(NAME));
  if (!there) customElements.define(NAME, CoveyContribute);
  else if (there.coveyProtocol === undefined) console.warn(`<${NAME}> is already defined by something else on this page.`);
}

register();
