// @ts-check
// What the page around the frame is told: a few plain facts, made from the worker's view. Pure.
//
// What a reader would get wrong: leaving a number out is the point. The coordinator publishes who
// contributes, with key, speed and accepted rounds, so a page that learnt this tab's key, packet hash,
// speed or lifetime count could find out who its visitor is. It learns the round (the same for
// everyone), the step within it, and how many rounds were accepted since it was opened.

/** @typedef {import("../app/types.js").View} View */
/** @typedef {"loading" | "consent_needed" | "starting" | "working" | "paused" | "stopping" | "stopped" | "failed"} EmbedState */
/**
 * @typedef {{type: "ready", run: string | null} | {type: "state", state: EmbedState, reason: string | null}
 *   | {type: "progress", round: number, step: number, steps: number, accepted: number}
 *   | {type: "receipt", round: number, tokens: number, partner: string | null}
 *   | {type: "error", code: string, message: string}} Told
 */

/** Reasons for which this frame itself pauses the work, the strongest first. */
export const CAUSES = /** @type {const} */ (["visitor", "covered", "host"]);
/** @typedef {typeof CAUSES[number]} Cause */

const WORKING = ["waiting", "training", "uploading", "applying"];

/**
 * The state in one word, with a reason.
 * @param {View | null} view
 * @param {ReadonlySet<Cause>} causes
 * @returns {{state: EmbedState, reason: string | null}}
 */
export function reduced(view, causes) {
  const cause = CAUSES.find((cause) => causes.has(cause));
  if (view?.state === "failed") return { state: "failed", reason: null };
  if (view?.state === "stopped") return { state: "stopped", reason: null };
  if (cause) return { state: "paused", reason: cause };
  if (!view) return { state: "starting", reason: "loading" };
  if (view.state === "paused") return { state: "paused", reason: view.pauses.find((pause) => pause.reason !== "user")?.reason ?? "visitor" };
  if (WORKING.includes(view.state)) return { state: "working", reason: null };
  const trouble = !view.connection.connected && view.connection.error !== null;
  return { state: "starting", reason: trouble ? "no_coordinator" : view.state };
}

/**
 * @param {View} view
 * @param {number} accepted rounds accepted since the consent
 * @returns {Told | null}
 */
export function progress(view, accepted) {
  if (view.round === null) return null;
  return { type: "progress", round: view.round, step: view.step, steps: view.steps, accepted };
}
