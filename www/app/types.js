// @ts-check
// The messages between the page and its worker, as types. No code: the page only shows what the
// module says and sends back what the visitor wants, so these shapes are all it knows of training.
// The one thing to remember: times from the module are to be compared with `now` of format.js, not with
// the system's clock, which can be set; a receipt's is the coordinator's.

/** @typedef {"auto" | "webgpu" | "flex"} BackendChoice */
/** @typedef {25 | 50 | 75 | 100} Share */
/** @typedef {"battery" | "metered" | "other_tab"} OverridableReason */

/**
 * What the page wants from the worker.
 * @typedef {{type: "start", coordinators: string[], backend: BackendChoice, share: Share, slot: number,
 *     partner?: string | null, devices_lost?: number}
 *   | {type: "pause"} | {type: "resume"} | {type: "stop"} | {type: "forget"} | {type: "export_identity"}
 *   | {type: "witness", coordinators: string[]}
 *   | {type: "sign_session", text: string}
 *   | {type: "share", value: Share}
 *   | {type: "validate", on: boolean, only: boolean}
 *   | ({type: "environment"} & Facts)
 *   | {type: "override", reason: OverridableReason, on: boolean}
 *   | {type: "sample", prompt: string, tokens: number, temperature: number}} Intent
 */

/**
 * What the page can see of the machine and the browser.
 * @typedef {{on_battery: boolean, metered: boolean, other_tab: boolean, hidden: boolean, online: boolean}} Facts
 */

/**
 * @typedef {"idle" | "probing" | "connecting" | "catching_up" | "waiting" | "training" | "validating" | "uploading"
 *   | "applying" | "paused" | "recovering" | "stopped" | "failed"} State
 */

/** @typedef {{reason: string, text: string, override: boolean}} Pause */
/**
 * @typedef {{name: "webgpu" | "flex", reason: string, adapter: string | null, webgpu_ms: number | null,
 *   flex_ms: number | null, forced: boolean}} Backend
 */
/**
 * @typedef {{id: string, coordinator?: string, name: string, parameters: number, context: number, vocabulary: number,
 *   inner_steps: number, summary: string}} Run
 */
/**
 * @typedef {{volunteer: string, backend: string, activity: "watching" | "training" | "contributed",
 *   tokens_per_second: number, accepted: number}} Peer
 */
/**
 * @typedef {{url: string | null, connected: boolean, attempt: number, retry_at_ms: number | null,
 *   error: string | null}} Connection
 */
/**
 * Scoring others' work. The stake is in base units; rounds and packets are this visit's.
 * @typedef {{on: boolean, only: boolean, active: boolean, status: string, stake: string | null,
 *   rounds: number, packets: number, weights_set: number | null}} Validation
 */
/** @typedef {{round: number, loss: number}} HeldOut */
/** @typedef {{step: number, loss: number, tokens: number}} Loss */
/** @typedef {{round: number, packet: string, tokens: number, received_at_ms: number, partner: string | null}} Receipt */
/**
 * Whether the site that the page named is credited; `refused` says why not.
 * @typedef {{partner: string, refused: "unknown" | "suspended" | null, message: string | null}} Credit
 */
/** @typedef {{round: number, code: string, message: string}} Rejection */

/**
 * The worker's whole state, sent a few times a second.
 * @typedef {object} View
 * @property {State} state
 * @property {string} status one sentence in plain words
 * @property {Pause[]} pauses
 * @property {string[]} overrides
 * @property {Backend | null} backend
 * @property {string | null} volunteer hex
 * @property {Run | null} run
 * @property {number | null} round
 * @property {number} step
 * @property {number} steps
 * @property {number | null} deadline_ms
 * @property {string | null} theta hex
 * @property {number | null} theta_round
 * @property {number} tokens_per_second
 * @property {number} tokens_total
 * @property {number} rounds_contributed
 * @property {number} bytes_up
 * @property {number} bytes_down
 * @property {number} share
 * @property {number | null} unigram_entropy nats per token
 * @property {HeldOut[]} held_out
 * @property {{total: number, volunteers: Peer[]}} peers
 * @property {Connection} connection
 * @property {Validation} validation
 * @property {Credit | null} credit
 * @property {string | null} resumed
 * @property {{old: string, new: string, round: number, changed_here: boolean} | null} handover
 * @property {string | null} disagreement
 */

/** @typedef {{is: "agrees"} | {is: "disagrees", place: string, number: number, expected: string, found: string}} Verdict */
/**
 * Where a replay of the whole run is.
 * @typedef {object} WitnessView
 * @property {"connecting" | "rounds" | "ledger" | "level" | "waiting" | "disagrees" | "refused" | "stopped"} state
 * @property {string} status one sentence in plain words
 * @property {string | null} witness hex
 * @property {boolean} durable whether the next visit goes on from here
 * @property {string | null} run hex
 * @property {string} name
 * @property {number} parameters
 * @property {string | null} coordinator hex
 * @property {number | null} resumed
 * @property {number} round rounds before this one are recomputed
 * @property {number} rounds
 * @property {number} packets
 * @property {string | null} theta hex
 * @property {number} entries
 * @property {number} entries_of
 * @property {number} bytes
 * @property {Verdict | null} verdict
 * @property {string | null} statement JSON
 * @property {boolean} listed
 * @property {string | null} refusal
 * @property {string | null} proof JSON
 */

/**
 * What the worker tells the page. The last four come from worker.js itself, before or instead of
 * the module.
 * @typedef {{type: "view", view: View} | ({type: "loss"} & Loss) | ({type: "held_out"} & HeldOut)
 *   | {type: "receipt", receipt: Receipt} | ({type: "rejected"} & Rejection)
 *   | {type: "left_out", round: number, packet: string, reason: string, message: string}
 *   | {type: "sample", text: string, done: boolean, error: string | null}
 *   | {type: "witness", witness: WitnessView}
 *   | {type: "identity", secret_hex: string}
 *   | {type: "session_signature", signature: string | null, error: string | null}
 *   | {type: "device_lost", retry_in_ms: number, devices_lost: number, message: string}
 *   | {type: "fatal", code: string, message: string, remedy: string, detail?: string}
 *   | {type: "script_running"} | {type: "ready"} | {type: "notice", code: string, message: string}
 *   | {type: "loading", loaded: number, total: number | null}
 *   | {type: "load_error", code: string, message: string}} Report
 */

export {};
