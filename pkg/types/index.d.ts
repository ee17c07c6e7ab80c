/** Percent of the machine. */
export type Share = 25 | 50 | 75 | 100;
export type Backend = "auto" | "webgpu" | "flex";
/** Circumstances in which the program pauses unless it is overridden. */
export type OverridableReason = "battery" | "metered" | "other_tab";
export type State =
  | "idle" | "probing" | "connecting" | "catching_up" | "waiting" | "training" | "uploading"
  | "applying" | "paused" | "recovering" | "stopped" | "failed";

export interface ContributorOptions {
  /** Base addresses, tried in turn. */
  coordinators: readonly string[];
  /**
   * Where the versioned files are: an address ending in `/v<version>/`. Default: beside this package,
   * which holds when it is served as it is. Name it when a bundler moves the package's scripts.
   */
  base?: string | URL;
  /** Default `auto`: whichever is faster. */
  backend?: Backend;
  /** Default 50. */
  share?: Share;
  /** Which of this browser's identities to use; two contributors at once need different ones. */
  slot?: number;
  partner?: string | null;
  /** Makes the worker, for bundlers that want to see the expression. It must run `covey/worker.js`. */
  worker?: () => Worker;
}

/** What the page sees and a worker cannot. What is left out counts as harmless. */
export interface Facts {
  on_battery?: boolean;
  metered?: boolean;
  other_tab?: boolean;
  hidden?: boolean;
  online?: boolean;
}

export interface Pause { reason: OverridableReason | "user" | "offline"; text: string; override: boolean }
export interface Run {
  id: string; name: string; parameters: number; context: number; vocabulary: number; inner_steps: number; summary: string;
}
export interface Receipt {
  round: number; packet: string; tokens: number; received_at_ms: number;
  /** Whom it names. */
  partner: string | null;
}
/** Whether the partner that was named is credited; `refused` says why not. */
export interface Credit { partner: string; refused: "unknown" | "suspended" | null; message: string | null }
export interface Rejection { round: number; code: string; message: string }
export interface Loss { step: number; loss: number; tokens: number }
export interface HeldOut { round: number; loss: number }

/** The program's whole state, several times a second. Hashes and keys are hex. */
export interface View {
  state: State;
  /** One English sentence. */
  status: string;
  pauses: Pause[];
  overrides: OverridableReason[];
  backend: {
    name: "webgpu" | "flex"; reason: string; adapter: string | null; webgpu_ms: number | null; flex_ms: number | null; forced: boolean;
  } | null;
  volunteer: string | null;
  run: Run | null;
  round: number | null;
  step: number;
  steps: number;
  /** Milliseconds since 1970, this machine's clock. */
  deadline_ms: number | null;
  theta: string | null;
  theta_round: number | null;
  tokens_per_second: number;
  tokens_total: number;
  rounds_contributed: number;
  bytes_up: number;
  bytes_down: number;
  share: number;
  /** Nats per token. */
  unigram_entropy: number | null;
  held_out: HeldOut[];
  peers: {
    total: number;
    volunteers: { volunteer: string; backend: string; activity: "watching" | "training" | "contributed"; tokens_per_second: number; accepted: number }[];
  };
  connection: { url: string | null; connected: boolean; attempt: number; retry_at_ms: number | null; error: string | null };
  credit: Credit | null;
  resumed: string | null;
}

export class CoveyError extends Error {
  constructor(code: string, message: string, remedy?: string);
  readonly name: "CoveyError";
  readonly code: string;
  readonly remedy: string;
}

export interface ContributorEventMap {
  ready: CustomEvent<{ type: "ready" }>;
  view: CustomEvent<View>;
  loss: CustomEvent<Loss & { type: "loss" }>;
  held_out: CustomEvent<HeldOut & { type: "held_out" }>;
  receipt: CustomEvent<Receipt>;
  rejected: CustomEvent<Rejection & { type: "rejected" }>;
  sample: CustomEvent<{ type: "sample"; text: string; done: boolean; error: string | null }>;
  /** The worker has ended; `start` may be called again. */
  problem: CustomEvent<CoveyError>;
}

/** One worker that trains. Ask the visitor before you call `start`. */
export class Contributor extends EventTarget {
  constructor(options: ContributorOptions);
  readonly view: View | null;
  share: Share;
  /** Loads and checks the program, then starts. Rejects with a CoveyError. */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Saves, leaves the run and ends the worker. */
  stop(): Promise<void>;
  environment(facts: Facts): void;
  override(reason: OverridableReason, on: boolean): void;
  sample(prompt: string, options?: { tokens?: number; temperature?: number }): Promise<string>;
  /** Signs a wallet's authorisation with this tab's key. */
  sign(text: string): Promise<string>;
  addEventListener<K extends keyof ContributorEventMap>(
    type: K, listener: (this: Contributor, event: ContributorEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof ContributorEventMap>(
    type: K, listener: (this: Contributor, event: ContributorEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

export const VERSION: string;
/** SHA-384 of the program's files, by path below `base`. */
export const INTEGRITY: Readonly<Record<string, string>>;
