// @ts-check
/**
 * The wallet module's interface and the plain data it gives the page (crates/wallet is built to this).
 *
 * Amounts are strings of base units (rao), never numbers: `formatAmount("1500000000") === "1.5"`.
 * Heights are numbers. Accounts are SS58 strings. Conviction is a string of base units, cut off.
 * Every method that can fail throws a `WalletError`.
 *
 * @typedef {object} WalletError
 * @property {string} name      The ledger's error by name ("StakeUnavailable"), or "Unreadable", "Chain", ...
 * @property {string} message   What happened and what to do.
 * @property {number} [index]   The journal entry it concerns.
 *
 * @typedef {object} Head
 * @property {string} chain       The run's id, hex.
 * @property {boolean} development  The operator can move the clock and keys may be well known.
 * @property {number} entries     Number of journal entries.
 * @property {string} head        Hash of the last entry, hex.
 * @property {number} height      Height of the last entry.
 * @property {number} blockSeconds
 * @property {number} tempo       Blocks per epoch.
 * @property {number} nextEpoch   Height of the next epoch.
 * @property {number} startedMs   Unix time of height 0, ms.
 * @property {number} unlockCliff
 * @property {number} unlockRelease
 * @property {number} takeoverNotice
 *
 * @typedef {object} Manager
 * @property {string} hotkey
 * @property {string} coldkey
 * @property {boolean} owner        Owns the subnet.
 * @property {boolean} validator    Has a permit and fresh weights.
 * @property {number} take          0..1
 * @property {string} staked        Everything staked on it.
 * @property {number} stakers
 * @property {string} conviction
 * @property {LockView | null} ownLock  The lock of the manager's own coldkey, with its mode.
 * @property {string} lastDividends Paid to its stakers at the last epoch.
 *
 * @typedef {"perpetual" | "decay_announced" | "decaying"} LockMode
 * @typedef {object} UnlockView
 * @property {string} amount
 * @property {string} bound        Of it, not liquid yet.
 * @property {number} requested
 * @property {number} cliff        First height at which something is liquid.
 * @property {number} end
 *
 * @typedef {object} LockView
 * @property {string} hotkey
 * @property {string} mass
 * @property {string} conviction
 * @property {LockMode} mode
 * @property {number | null} decaysFrom
 * @property {UnlockView[]} unlocks
 * @property {number} unlockRate     Time constant in blocks.
 * @property {number} maturityRate
 *
 * @typedef {object} Position
 * @property {string} hotkey
 * @property {string} stake
 *
 * @typedef {object} EarningView
 * @property {number} height
 * @property {string} incentive
 * @property {string} dividends
 * @property {string} ownerCut
 *
 * @typedef {object} Overview
 * @property {boolean} known         Whether the ledger has this account.
 * @property {string} balance        TAO in rao.
 * @property {number} nonce
 * @property {boolean} acceptsLocked
 * @property {boolean} insider       Owner or role holder: its locks do not decay.
 * @property {string[]} roles
 * @property {string} total          Alpha, all managers.
 * @property {string} locked
 * @property {string} unlocking
 * @property {string} available
 * @property {string} price          Rao per alpha.
 * @property {string} value          Total alpha in rao at that price.
 * @property {string} proceeds       What selling the available alpha would bring now, after fee and slippage.
 * @property {Position[]} positions
 * @property {LockView | null} lock
 * @property {boolean} newLocksPerpetual
 * @property {EarningView[]} earnings  Oldest first.
 * @property {{ sessionKey: string, expiresAtMs: number }[]} sessions
 * @property {{ partner: string, share: number } | null} revenueShare  of 65535, of what contributing earns
 * @property {{ newColdkeyHash: string, ready: number } | null} coldkeySwap
 *
 * @typedef {object} Quote
 * @property {string} input       Base units put in, fee included.
 * @property {string} fee         In the input's token.
 * @property {string} output
 * @property {string} spot        Rao per alpha before.
 * @property {string} average     Rao per alpha of this trade, fee included.
 * @property {string} after       Rao per alpha after.
 * @property {number} slippage    0..1: average against spot.
 * @property {string} limitPrice  Rao per alpha for the given tolerance.
 * @property {string} worst       Least output at that limit.
 * @property {string} maxInput    Most input within the limit.
 *
 * @typedef {object} ProjectionPoint
 * @property {number} height
 * @property {string} mass        Locked mass.
 * @property {string} conviction
 * @property {string} unlocking   Still bound by unlock requests.
 *
 * @typedef {object} Projection
 * @property {ProjectionPoint[]} now     Without the draft.
 * @property {ProjectionPoint[]} draft   With it.
 * @property {string} gate               Conviction that must be exceeded, at today's eligible alpha.
 *
 * @typedef {object} Ownership
 * @property {string} owner           Coldkey.
 * @property {string} ownerHotkey
 * @property {string} eligible
 * @property {string} gate            18 % of it.
 * @property {number} contestableFrom Height from which ownership follows conviction.
 * @property {{ hotkey: string, coldkey: string | null, conviction: string, mass: string, share: number,
 *              owner: boolean, crossing: number | null }[]} convictions
 *   Most first; share of the gate (1 is at the gate); crossing: projected height, null if never.
 * @property {LockView | null} ownerLock
 * @property {{ king: string, since: number, ready: number } | null} takeover
 * @property {{ council: string[], threshold: number, roles: { role: string, holders: string[] }[],
 *              proposals: ProposalView[] }} governance
 *
 * @typedef {object} ProposalView
 * @property {number} id
 * @property {string} title       The change in words.
 * @property {string} reason      Hash, hex.
 * @property {number} approvals   That count.
 * @property {number} needed
 * @property {number | null} ready
 *
 * @typedef {object} NoticeView
 * @property {number} id
 * @property {string} kind        "unlock" | "decay" | "locked_transfer" | "takeover" | "governance" | "coldkey_swap" | "resignation" | "partnership"
 * @property {string} title       One sentence with amounts and names.
 * @property {string} account     The account it concerns, SS58, or "".
 * @property {boolean} insider
 * @property {number} announced
 * @property {number | null} earliest
 * @property {number | null} end
 * @property {"pending" | "done" | "void"} status
 *
 * @typedef {object} Notices
 * @property {NoticeView[]} notices     Newest first.
 * @property {string} insiderStake      Y: what insiders hold.
 * @property {string} insiderUnlocking  X: what of it is unlocking.
 * @property {number | null} firstLiquid
 *
 * @typedef {object} EffectLine
 * @property {string} label       "Balance", "Stake on 5F…", "Locked", "Conviction", "Limit price", "First liquid" ...
 * @property {string} before
 * @property {string} after       Words or exact decimals with a unit.
 *
 * @typedef {object} Draft
 * @property {string} title       The action in one sentence.
 * @property {EffectLine[]} effects
 * @property {string[]} warnings  What cannot be taken back, and for how long.
 * @property {string} message     Exactly what the wallet is asked to sign (canonical JSON).
 * @property {object} action      The action to seal.
 * @property {number} expires     Height.
 *
 * @typedef {object} Applied
 * @property {number} entries     Applied now.
 * @property {{ index: number, height: number, hash: string, account: string | null, title: string }[]} log
 *
 * @typedef {object} HistoryItem
 * @property {number} index
 * @property {number} height
 * @property {string} hash
 * @property {string} title       What was done, in words.
 *
 * @typedef {object} AuditProgress
 * @property {number} entries     Checked so far.
 * @property {number} height
 * @property {string} head
 * @property {string} state       State hash at the last epoch, hex.
 * @property {number} epochs
 *
 * @typedef {object} WalletModule
 * @property {() => Promise<unknown>} default   Loads the wasm.
 * @property {typeof WalletClass} Wallet
 * @property {typeof AuditClass} Audit
 * @property {typeof DevelopmentWalletClass} DevelopmentWallet
 * @property {typeof SessionClass} Session
 * @property {(baseUnits: string) => string} formatAmount
 * @property {(decimal: string) => string} parseAmount   Exact; throws WalletError "Amount".
 * @property {(address: string) => string} accountOf     Any SS58 or 0x hex to the run's SS58 form; throws "Account".
 */

/** A checked copy of the ledger. */
export class WalletClass {
  /** Opens the body of GET /v1/ledger/snapshot (an entry line, a line feed, the bytes); checks its hash.
   *  @param {Uint8Array} snapshot @returns {WalletClass} */
  static open(snapshot) { throw snapshot; }
  /** Applies journal lines in order, checking every hash, signature and rule; all or up to the first wrong one.
   *  @param {string} lines NDJSON @returns {Applied} */
  apply(lines) { throw lines; }
  /** @returns {Head} */
  head() { throw this; }
  /** @param {string} account @param {number} height @returns {Overview} */
  overview(account, height) { throw [account, height]; }
  /** @param {number} height @returns {Manager[]} */
  managers(height) { throw height; }
  /** @param {number} height @returns {Ownership} */
  ownership(height) { throw height; }
  /** @param {number} height @returns {Notices} */
  notices(height) { throw height; }
  /** @param {"buy" | "sell"} side @param {string} amount @param {number} tolerance 0..1 @returns {Quote} */
  quote(side, amount, tolerance) { throw [side, amount, tolerance]; }
  /** Conviction and mass over time, with and without a call.
   *  @param {string} account @param {object | null} call @param {number} height @param {number} span blocks
   *  @returns {Projection} */
  projection(account, call, height, span) { throw [account, call, height, span]; }
  /** Runs the call on a copy and says what it does; throws the ledger's refusal.
   *  @param {string} account @param {object} call `{ call, args }` as in crates/ledger/src/call.rs
   *  @param {number} height @returns {Draft} */
  draft(account, call, height) { throw [account, call, height]; }
  /** Puts a wallet's signature (hex, 64 or 65 bytes) to a draft's action and checks it; gives the body to post.
   *  @param {object} action @param {"sr25519" | "ed25519"} key @param {string} signature @returns {string} */
  seal(action, key, signature) { throw [action, key, signature]; }
  /** An entry in words. @param {string} line @returns {HistoryItem} */
  describe(line) { throw line; }
}

/** Replays a whole journal from its genesis. */
export class AuditClass {
  /** Next lines, in any cut (also within a line). Throws WalletError with `index` at the first wrong entry.
   *  @param {string} chunk @returns {AuditProgress} */
  feed(chunk) { throw chunk; }
  /** @returns {AuditProgress} */
  finish() { throw this; }
}

/** Well-known development keys, for runs marked as such. */
export class DevelopmentWalletClass {
  /** @returns {string[]} "//Alice", ... */
  static names() { throw this; }
  /** @param {string} name */
  constructor(name) { throw name; }
  /** @returns {string} */
  account() { throw this; }
  /** Signs as a wallet's signRaw does. @param {string} message @returns {string} hex */
  sign(message) { throw message; }
}

/** One signature that lets a tab's key contribute for an account. */
export class SessionClass {
  /** @param {{ domain: string, run: string, account: string, sessionKey: string, nowMs: number, days: number }} terms */
  constructor(terms) { throw terms; }
  /** The readable text that the wallet signs. @returns {string} */
  text() { throw this; }
  /** Body for POST /v1/ledger/sessions. The tab's key signs the text itself (`keySignature`, hex).
   *  @param {"sr25519" | "ed25519"} key @param {string} walletSignature @param {string} keySignature @returns {string} */
  seal(key, walletSignature, keySignature) { throw [key, walletSignature, keySignature]; }
}
