// @ts-check
// What to do when the ledger refuses an action. The ledger says what is wrong, in a sentence of its own;
// this adds the next step, by the name of the rule. Names without an entry have only the ledger's sentence.

/** @type {Record<string, string>} */
const REMEDY = {
  BadSignature: "The wallet may have signed with another account, or in a form of its own. Choose the account again under Wallet and sign anew.",
  WrongChain: "Reload the page: it belongs to another run.",
  BadNonce: "Another action of this account came first. Look at its effects here, and sign anew.",
  Expired: "It waited too long. Look at the effects again, and sign anew.",
  LifetimeTooLong: "Reload the page to get its current version.",
  UnknownAccount: "The account needs something first: contribute, or have somebody send it TAO or stake.",
  AmountTooLow: "Choose a larger amount.",
  NotEnoughBalanceToStake: "Choose an amount within your balance.",
  NotEnoughStakeToWithdraw: "Choose an amount within your stake on this manager.",
  StakeUnavailable: "Choose less, or ask for an unlock under Locks and wait until it is released.",
  InsufficientLiquidity: "Choose a smaller amount.",
  PriceLimitExceeded: "The price moved past your limit. Look at the new quote, or allow more tolerance.",
  SlippageTooHigh: "Choose a smaller amount, more tolerance, or allow a part of it to be traded.",
  HotKeyAccountNotExists: "Choose another manager.",
  HotKeyNotRegisteredInSubNet: "Choose a manager that is registered on this subnet.",
  SameDestination: "Choose two different managers.",
  LockHotkeyMismatch: "Lock to the same manager as before, or move the lock first.",
  InsufficientStakeForLock: "Lock less, or stake more first.",
  NoExistingLock: "Lock something first.",
  UnlockAmountTooHigh: "Choose an amount within what is locked.",
  TooManyUnlocks: "Wait until one of the pending requests has ended.",
  InsiderLockMustBeAnnounced: "Choose \u201cUnlock\u201d instead: it is public from the moment you sign it.",
  RevenueShareTooHigh: "Choose a smaller part: less than half can be shared.",
  NotACouncilKey: "Sign with an account that is in the council.",
  AlreadyApproved: "Nothing more to do with this key.",
  NoSuchProposal: "It was carried out, or became void.",
};

/** @param {string} name */
export const remedy = (name) => REMEDY[name] ?? "";

/**
 * The name and words of whatever a module or the ledger threw. wasm-bindgen may hand over a plain
 * object or an Error; both have a name and a message.
 * @param {unknown} error
 * @returns {{name: string, message: string, remedy: string}}
 */
export function refusal(error) {
  const { name, message } = typeof error === "object" && error !== null
    ? /** @type {{name?: unknown, message?: unknown}} */ (error) : { name: "", message: error };
  const known = typeof name === "string" ? name : "";
  const text = typeof message === "string" && message ? message : String(error);
  return { name: known, message: sentence(text), remedy: remedy(known) };
}

/** With a capital and a full stop. @param {string} text */
export function sentence(text) {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** All of it in one line. @param {unknown} error */
export function inWords(error) {
  const { name, message, remedy } = refusal(error);
  return [message, remedy].filter(Boolean).join(" ") + (name && name !== "Error" ? ` (${name})` : "");
}
