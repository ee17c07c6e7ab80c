/** Percent of the machine. */
export type Power = 25 | 50 | 75 | 100;
export type Theme = "auto" | "light" | "dark";
export type EmbedState =
  | "idle" | "loading" | "consent_needed" | "starting" | "working" | "paused" | "stopping" | "stopped" | "failed";

export interface ReadyDetail { readonly run: string | null; readonly operator: string }
export interface StateDetail { readonly state: EmbedState; readonly reason: string | null }
export interface ProgressDetail {
  readonly round: number; readonly step: number; readonly steps: number;
  /** Rounds accepted since the visitor's consent. */
  readonly accepted: number;
}
export interface ReceiptDetail {
  readonly round: number; readonly tokens: number;
  /** Whom the receipt names. */
  readonly partner: string | null;
}
export interface ErrorDetail { readonly code: string; readonly message: string }

export interface CoveyEventMap {
  "covey-ready": CustomEvent<ReadyDetail>;
  "covey-state": CustomEvent<StateDetail>;
  "covey-progress": CustomEvent<ProgressDetail>;
  "covey-receipt": CustomEvent<ReceiptDetail>;
  "covey-error": CustomEvent<ErrorDetail>;
}

/** `<covey-contribute>`. Importing `covey/embed` registers it. */
export class CoveyContribute extends HTMLElement {
  static readonly observedAttributes: readonly string[];
  static readonly coveyProtocol: number;
  /** Name of the run, or the beginning of its id. */
  get run(): string | null;
  set run(value: string | null);
  /** The operator's address. Needed when this file does not come from the operator. */
  get coordinator(): string | null;
  set coordinator(value: string | null);
  get partner(): string | null;
  set partner(value: string | null);
  /** Any number may be given; the nearest share is read. */
  get power(): Power;
  set power(value: number | string | null);
  get theme(): Theme;
  set theme(value: Theme | null);
  get state(): EmbedState;
  /** Leads the visitor to the button, or ends a pause that the page asked for. Never begins work. */
  start(): void;
  pause(): void;
  resume(): void;
  /** Ends the work and the consent. */
  stop(): void;
  addEventListener<K extends keyof CoveyEventMap>(
    type: K, listener: (this: CoveyContribute, event: CoveyEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener<K extends keyof HTMLElementEventMap>(
    type: K, listener: (this: HTMLElement, event: HTMLElementEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CoveyEventMap>(
    type: K, listener: (this: CoveyContribute, event: CoveyEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener<K extends keyof HTMLElementEventMap>(
    type: K, listener: (this: HTMLElement, event: HTMLElementEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

/** Registers the element, unless its name is taken. Called on import. */
export function register(): void;

declare global {
  interface HTMLElementTagNameMap {
    "covey-contribute": CoveyContribute;
  }
}
