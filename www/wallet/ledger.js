// @ts-check
// The coordinator's ledger over HTTP: what can be read, and the two things that can be posted. Always the
// site that the page itself came from: a link cannot point a wallet at somebody else's ledger.
// Nothing read here is believed; the wallet module checks it.

import { describe, Trouble } from "./problems.js";

/**
 * What the coordinator says of its ledger (GET /v1/ledger).
 * @typedef {{chain: string, development: boolean, height: number, entries: number, head: string,
 *   block_seconds: number, tempo: number, next_epoch: number, started_ms: number, coordinator: string,
 *   signature: string}} Told
 * @typedef {{index: number, height: number, hash: string, [key: string]: unknown}} Line
 * @typedef {{line: Line, events: object[]}} Recorded
 */

const BASE = "/v1/ledger";

/** Longest a question may take. The journal is a stream and has no such limit. */
const PATIENCE_MS = 30_000;

export const JOURNAL = `${BASE}/journal`;
export const ATOM = `${BASE}/notices.atom`;

/** The ledger did not accept what was posted. `name` is the rule's, as the ledger calls it. */
export class Refusal extends Error {
  /** @param {string} name @param {string} message */
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  } catch (error) {
    throw new Trouble("ledger_network", describe(error));
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  if (response.status >= 400 && response.status < 500 && text.startsWith("{")) {
    const { code, name, message } = refusalIn(text);
    if (code === "ledger" || name) throw new Refusal(name || "Refused", message || `The coordinator answered ${response.status}.`);
    if (options.method === "POST") throw new Refusal(code || "Refused", message || `The coordinator answered ${response.status}.`);
  }
  if (response.status === 404) throw new Trouble("ledger_missing", `404 for ${path}`);
  throw new Trouble("ledger_http", `${response.status} for ${path}${text ? `: ${text.slice(0, 300)}` : ""}`);
}

/** @param {string} text @returns {{code?: string, name?: string, message?: string}} */
function refusalIn(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** A body that must be JSON. @param {Response} response */
async function json(response) {
  try {
    return await response.json();
  } catch (error) {
    throw new Trouble("ledger_http", `not JSON: ${describe(error)}`);
  }
}

/** @returns {Promise<Told>} */
export const told = async () => json(await ask(BASE));

/** @returns {Promise<Uint8Array>} */
export const snapshot = async () => new Uint8Array(await (await ask(`${BASE}/snapshot`)).arrayBuffer());

/** Journal lines from an entry on; empty at the end. @param {number} from */
export const entries = async (from) => (await ask(`${BASE}/entries?from=${from}`)).text();

/** @param {string} account @param {number | null} before @returns {Promise<{items: Recorded[]}>} */
export const history = async (account, before) =>
  json(await ask(`${BASE}/history?account=${encodeURIComponent(account)}${before === null ? "" : `&before=${before}`}`));

/** @param {"actions" | "sessions"} what @param {string} body @returns {Promise<Recorded>} */
export const post = async (what, body) =>
  json(await ask(`${BASE}/${what}`, { method: "POST", body, headers: { "content-type": "application/json" } }));

/** Where the events come from. */
export const socketUrl = () => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${BASE}/socket`;
