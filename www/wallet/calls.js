// @ts-check
// Calls as the ledger knows them (crates/ledger/src/call.rs): names, argument names, amounts as strings
// of base units. Only shapes; what a call does is said by the module's draft.

/** The run's subnet. Wallets deal with this one; others exist only after `register_network`. */
export const NETUID = 1;

/** @typedef {{call: string, args: Record<string, unknown>}} Call */
/** @typedef {{hotkey: string, amount: string, limitPrice: string | null, partial: boolean}} Trade */

/** @param {Trade} trade @returns {Call} */
export const buy = ({ hotkey, amount, limitPrice, partial }) => limitPrice === null
  ? { call: "add_stake", args: { hotkey, netuid: NETUID, amount_staked: amount } }
  : { call: "add_stake_limit", args: { hotkey, netuid: NETUID, amount_staked: amount, limit_price: limitPrice, allow_partial: partial } };

/** @param {Trade} trade @returns {Call} */
export const sell = ({ hotkey, amount, limitPrice, partial }) => limitPrice === null
  ? { call: "remove_stake", args: { hotkey, netuid: NETUID, amount_unstaked: amount } }
  : { call: "remove_stake_limit", args: { hotkey, netuid: NETUID, amount_unstaked: amount, limit_price: limitPrice, allow_partial: partial } };

/** @param {string} from @param {string} to @param {string} amount @returns {Call} */
export const moveStake = (from, to, amount) => ({ call: "move_stake", args: {
  origin_hotkey: from, destination_hotkey: to, origin_netuid: NETUID, destination_netuid: NETUID, alpha_amount: amount,
} });

/** @param {string} hotkey @returns {Call} */
export const register = (hotkey) => ({ call: "burned_register", args: { netuid: NETUID, hotkey } });

/** @param {string} hotkey @param {string} amount @returns {Call} */
export const lock = (hotkey, amount) => ({ call: "lock_stake", args: { hotkey, netuid: NETUID, amount } });

/** @param {string} hotkey @returns {Call} */
export const moveLock = (hotkey) => ({ call: "move_lock", args: { destination_hotkey: hotkey, netuid: NETUID } });

/** @param {boolean} enabled @returns {Call} */
export const perpetual = (enabled) => ({ call: "set_perpetual_lock", args: { netuid: NETUID, enabled } });

/** @param {string} amount @returns {Call} */
export const unlock = (amount) => ({ call: "unlock_stake", args: { netuid: NETUID, amount } });

/** @param {boolean} enabled @returns {Call} */
export const rejectLocked = (enabled) => ({ call: "set_reject_locked_alpha", args: { enabled } });

/** @param {string | null} partner @param {number} share of 65535 @returns {Call} */
export const shareRevenue = (partner, share) => ({ call: "set_revenue_share", args: { netuid: NETUID, partner, share } });

/** @param {number} proposal @returns {Call} */
export const approve = (proposal) => ({ call: "approve", args: { proposal } });

/** @param {number} proposal @returns {Call} */
export const withdrawApproval = (proposal) => ({ call: "withdraw_approval", args: { proposal } });

/** @param {object} effect @param {string} reason 64 hex @returns {Call} */
export const propose = (effect, reason) => ({ call: "propose", args: { effect, reason } });

/** @returns {Call} */
export const cancelColdkeySwap = () => ({ call: "cancel_coldkey_swap", args: {} });
