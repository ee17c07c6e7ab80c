// @ts-check
// The static site with a ledger beside it, as scripted-wallet.js understands one: a coordinator's answers
// without a coordinator. A test appends entries, which go out on the socket, or only to those who ask.

import { createHash } from "node:crypto";
import { send, site } from "./site.mjs";

/** @typedef {import("./site.mjs").Answer} Answer */

export const ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
export const BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
export const CAROL = "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy";
export const HOT_ONE = "5HGjWAeFDfFCWPsjFQdVV2Msvz2XtMktvgocEZcCj68kUMaw";
export const HOT_TWO = "5CiPPseXPECbkjWCa6MnjNokrgYjMqmKndv2rSnekmSK2DjL";
export const CHAIN = "c0".repeat(32);

/** @param {number} n */
const hash = (n) => createHash("sha256").update(`entry ${n}`).digest("hex");

const START = 1000;
/** Entries in the snapshot. */
const SNAPSHOT = 40;

/** @param {string} hotkey @param {string} mass @param {string} mode */
const lock = (hotkey, mass, mode = "perpetual") => ({
  hotkey, mass, conviction: String(BigInt(mass) / 3n), mode, decaysFrom: mode === "decay_announced" ? START + 50_000 : null,
  unlocks: mode === "perpetual" ? [] : [{ amount: "50000000000", bound: "50000000000", requested: START - 10, cliff: START + 100_800, end: START + 316_800 }],
  unlockRate: 934_866, maturityRate: 311_622,
});

/** Answers of the module, as of the snapshot. */
export const state = () => ({
  price: "512345678", pool: "400000000000000",
  head: {
    chain: CHAIN, development: true, entries: SNAPSHOT, head: hash(SNAPSHOT - 1), height: START, blockSeconds: 12, tempo: 360, nextEpoch: START + 80,
    startedMs: Date.now() - START * 12_000, unlockCliff: 100_800, unlockRelease: 216_000, takeoverNotice: 50_400,
  },
  nobody: {
    known: false, balance: "0", nonce: 0, acceptsLocked: true, insider: false, roles: [], total: "0", locked: "0", unlocking: "0", available: "0",
    price: "512345678", value: "0", proceeds: "0", positions: [], lock: null, newLocksPerpetual: false, earnings: [], sessions: [], revenueShare: /** @type {{partner: string, share: number} | null} */ (null), coldkeySwap: null,
  },
  overviews: {
    [ALICE]: {
      known: true, balance: "12345678901234567", nonce: 7, acceptsLocked: true, insider: true, roles: ["operator"], total: "3210000000001", locked: "1000000000000",
      unlocking: "50000000000", available: "2160000000001", price: "512345678", value: "1644629626380", proceeds: "1098765432109",
      positions: [{ hotkey: HOT_ONE, stake: "3000000000000" }, { hotkey: HOT_TWO, stake: "210000000001" }],
      lock: lock(HOT_ONE, "1000000000000", "decay_announced"), newLocksPerpetual: true,
      earnings: Array.from({ length: 30 }, (_, i) => ({ height: 360 * (i + 1) - 9800 + START, incentive: String(41_000_000_000 + 3_000_000_001 * (i % 5)), dividends: String(12_000_000_000 + 500_000_000 * i), ownerCut: i > 20 ? "64799011215" : "0" })),
      sessions: [{ sessionKey: "e1".repeat(32), expiresAtMs: Date.now() + 20 * 86_400_000 }], revenueShare: /** @type {{partner: string, share: number} | null} */ (null), coldkeySwap: null,
    },
    [BOB]: {
      known: true, balance: "5000000000", nonce: 0, acceptsLocked: false, insider: false, roles: [], total: "0", locked: "0", unlocking: "0", available: "0",
      price: "512345678", value: "0", proceeds: "0", positions: [], lock: null, newLocksPerpetual: false, earnings: [], sessions: [], revenueShare: /** @type {{partner: string, share: number} | null} */ (null), coldkeySwap: null,
    },
  },
  managers: [
    { hotkey: HOT_ONE, coldkey: ALICE, owner: true, validator: true, take: 0.18, staked: "90210000000001", stakers: 12, conviction: "333333333333", ownLock: lock(HOT_ONE, "1000000000000", "decay_announced"), lastDividends: "147000000001" },
    { hotkey: HOT_TWO, coldkey: CAROL, owner: false, validator: true, take: 0.0925, staked: "40210000000001", stakers: 1234, conviction: "7123000000000", ownLock: lock(HOT_TWO, "9000000000000"), lastDividends: "88000000000" },
    { hotkey: CAROL, coldkey: CAROL, owner: false, validator: false, take: 0, staked: "1000000000", stakers: 1, conviction: "0", ownLock: null, lastDividends: "0" },
  ],
  ownership: {
    owner: ALICE, ownerHotkey: HOT_ONE, eligible: "50000000000000", gate: "9000000000000", contestableFrom: START - 5,
    convictions: [
      { hotkey: HOT_TWO, coldkey: CAROL, conviction: "10123000000000", mass: "12000000000000", share: 1.125, owner: false, crossing: START - 50 },
      { hotkey: HOT_ONE, coldkey: ALICE, conviction: "333333333333", mass: "1000000000000", share: 0.037, owner: true, crossing: null },
      { hotkey: CAROL, coldkey: CAROL, conviction: "4000000000000", mass: "9900000000000", share: 0.444, owner: false, crossing: START + 400_000 },
    ],
    ownerLock: lock(HOT_ONE, "1000000000000", "decay_announced"),
    takeover: { king: HOT_TWO, since: START - 50, ready: START + 50_350 },
    governance: {
      council: [ALICE, BOB, CAROL], threshold: 2, roles: [{ role: "operator", holders: [ALICE] }, { role: "moderator", holders: [] }, { role: "parameter setter", holders: [CAROL] }],
      proposals: [{ id: 3, title: "Give the role of moderator to 5FHneW\u202694ty", reason: "ab".repeat(32), approvals: 1, needed: 2, ready: null }],
    },
  },
  notices: {
    insiderStake: "3210000000001", insiderUnlocking: "50000000000", firstLiquid: START + 100_800,
    notices: [
      { id: 9, kind: "takeover", title: "5CiPPs\u2026K2DjL passed the gate and will own subnet 1 if it stays above.", account: CAROL, insider: false, announced: START - 50, earliest: START + 50_350, end: null, status: "pending" },
      { id: 8, kind: "unlock", title: "5Grwva\u2026utQY unlocks 50 \u03b1.", account: ALICE, insider: true, announced: START - 10, earliest: START + 100_800, end: START + 316_800, status: "pending" },
      { id: 5, kind: "governance", title: "A change of the least stake was proposed.", account: "", insider: false, announced: START - 600, earliest: START - 100, end: null, status: "void" },
    ],
  },
});

/** @typedef {ReturnType<typeof state>} State */
/** @typedef {{index: number, height: number, hash: string, title?: string, bad?: boolean, set?: object}} Entry */

/**
 * Starts the site.
 * @param {{answers?: Record<string, Answer>, change?: (state: State) => void}} [options]
 */
export async function ledgerSite({ answers = {}, change } = {}) {
  const first = state();
  change?.(first);
  /** @type {Entry[]} */
  const journal = Array.from({ length: SNAPSHOT }, (_, index) => ({ index, height: Math.floor((START * index) / (SNAPSHOT - 1)), hash: hash(index), title: `Bought stake, time ${index}` }));
  /** @type {{path: string, body: string}[]} */
  const posted = [];
  /** @type {Set<import("node:stream").Duplex>} */
  const sockets = new Set();
  let height = START;
  const head = () => ({
    chain: first.head.chain, development: first.head.development, height, entries: journal.length, head: journal.at(-1)?.hash ?? "",
    block_seconds: 12, tempo: 360, next_epoch: first.head.nextEpoch, started_ms: 0, coordinator: "f".repeat(64), signature: "0".repeat(128),
  });
  /** @param {unknown} value @returns {Answer} */
  const json = (value) => (_, response) => send(response, JSON.stringify(value), "application/json");
  const lines = (/** @type {Entry[]} */ list) => list.map((entry) => `${JSON.stringify(entry)}\n`).join("");

  /** @type {Record<string, Answer>} */
  const ledger = {
    "/v1/partners": json({ partners: [] }),
    "/v1/ledger": (request, response) => json(head())(request, response),
    "/v1/ledger/snapshot": (_, response) => send(response, `${JSON.stringify(journal[SNAPSHOT - 1])}\n${JSON.stringify(first)}`, "application/octet-stream"),
    "/v1/ledger/entries": (request, response) => {
      const from = Number(new URL(request.url ?? "", "http://site").searchParams.get("from"));
      send(response, lines(journal.slice(from)), "application/x-ndjson");
    },
    "/v1/ledger/journal": (_, response) => send(response, lines(journal), "application/x-ndjson"),
    "/v1/ledger/history": (request, response) => {
      const before = Number(new URL(request.url ?? "", "http://site").searchParams.get("before") ?? Infinity);
      json({ items: journal.filter(({ index }) => index < before).reverse().slice(0, 50).map((line) => ({ line, events: [] })) })(request, response);
    },
  };
  for (const path of ["/v1/ledger/actions", "/v1/ledger/sessions"]) {
    ledger[path] = async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      posted.push({ path, body });
      const line = append({ title: "What was posted" });
      json({ line, events: [] })(request, response);
    };
  }
  const home = await site({ ...ledger, ...answers });
  home.server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => sockets.delete(socket));
    write(socket, { type: "head", ...head() });
  });

  /** A text frame. @param {import("node:stream").Duplex} socket @param {object} message */
  function write(socket, message) {
    const body = Buffer.from(JSON.stringify(message));
    const header = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
    socket.write(Buffer.concat([header, body]));
  }
  /** @param {object} message */
  const broadcast = (message) => sockets.forEach((socket) => write(socket, message));

  /** Adds an entry and tells of it, unless quietly. @param {Partial<Entry> & {quiet?: boolean}} [entry] */
  function append({ quiet = false, ...entry } = {}) {
    height = entry.height ?? height;
    const line = { index: journal.length, height, hash: hash(journal.length), ...entry };
    journal.push(line);
    if (!quiet) broadcast({ type: "entry", line, height });
    return line;
  }
  return {
    ...home, journal, posted, append, broadcast, head,
    rest: () => {
      sockets.forEach((socket) => socket.destroy());
      home.rest();
    },
    /** Cuts every socket. */
    cut: () => sockets.forEach((socket) => socket.destroy()),
    get sockets() { return sockets.size; },
  };
}
