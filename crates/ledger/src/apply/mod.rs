//! Carrying out calls. Each function either does everything its call says or returns the error; the
//! caller works on a copy of the state, which is dropped on an error, so a refusal changes nothing.

pub mod coldkey;
pub mod hotkeys;
pub mod locks;
pub mod stake;
pub mod trade;
pub mod transfer;

use crate::{
    account::AccountId,
    call::{Action, Call, MAX_WEIGHTS},
    error::LedgerError,
    event::Event,
    governance, partner,
    state::{Account, State, Subnet, Weights},
    units::{NetUid, Rao},
};

/// Everything about an action but its signature: run, account, nonce, expiry. Then the call.
///
/// # Errors
/// Why it is refused; `state` is then to be thrown away.
pub fn action(state: &mut State, action: &Action) -> Result<Vec<Event>, LedgerError> {
    if action.chain != state.chain || action.app != crate::call::APP {
        return Err(LedgerError::WrongChain);
    }
    let longest = state.rules.max_action_lifetime;
    if action.expires < state.height {
        return Err(LedgerError::Expired(action.expires));
    }
    if action.expires > state.height.saturating_add(longest) {
        return Err(LedgerError::LifetimeTooLong(longest));
    }
    let account = state
        .accounts
        .get_mut(&action.account)
        .ok_or(LedgerError::UnknownAccount(action.account))?;
    if account.nonce != action.nonce {
        return Err(LedgerError::BadNonce {
            expected: account.nonce,
            got: action.nonce,
        });
    }
    account.nonce = account.nonce.checked_add(1).ok_or(LedgerError::Overflow)?;
    call(state, action.account, &action.call)
}

/// One call by an account whose right to make it was checked. A wallet's preview calls this on a copy.
///
/// # Errors
/// Why it is refused; `state` is then to be thrown away.
#[allow(clippy::too_many_lines, reason = "one line per call")]
pub fn call(state: &mut State, by: AccountId, call: &Call) -> Result<Vec<Event>, LedgerError> {
    use transfer::Place;

    let mut events = Vec::new();
    let out = &mut events;
    match call {
        Call::AddStake {
            hotkey,
            netuid,
            amount_staked,
        } => {
            stake::add(state, by, *hotkey, *netuid, *amount_staked, None, out)?;
        }
        Call::AddStakeLimit {
            hotkey,
            netuid,
            amount_staked,
            limit_price,
            allow_partial,
        } => {
            let limit = Some((*limit_price, *allow_partial));
            stake::add(state, by, *hotkey, *netuid, *amount_staked, limit, out)?;
        }
        Call::RemoveStake {
            hotkey,
            netuid,
            amount_unstaked,
        } => {
            stake::remove(state, by, *hotkey, *netuid, *amount_unstaked, None, out)?;
        }
        Call::RemoveStakeLimit {
            hotkey,
            netuid,
            amount_unstaked,
            limit_price,
            allow_partial,
        } => {
            let limit = Some((*limit_price, *allow_partial));
            stake::remove(state, by, *hotkey, *netuid, *amount_unstaked, limit, out)?;
        }
        Call::RemoveStakeFullLimit {
            hotkey,
            netuid,
            limit_price,
        } => {
            let all = subnet(state, *netuid)?.stake(hotkey, &by);
            let limit = limit_price.map(|limit| (limit, false));
            stake::remove(state, by, *hotkey, *netuid, all, limit, out)?;
        }
        Call::UnstakeAll { hotkey } => stake::remove_all(state, by, *hotkey, out)?,
        Call::MoveStake {
            origin_hotkey,
            destination_hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => {
            let from = Place {
                coldkey: by,
                hotkey: *origin_hotkey,
                netuid: *origin_netuid,
            };
            let to = Place {
                coldkey: by,
                hotkey: *destination_hotkey,
                netuid: *destination_netuid,
            };
            transfer::between(state, from, to, *alpha_amount, None, out)?;
        }
        Call::SwapStake {
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => {
            let from = Place {
                coldkey: by,
                hotkey: *hotkey,
                netuid: *origin_netuid,
            };
            let to = Place {
                netuid: *destination_netuid,
                ..from
            };
            transfer::between(state, from, to, *alpha_amount, None, out)?;
        }
        Call::SwapStakeLimit {
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
            limit_price,
            allow_partial,
        } => {
            let from = Place {
                coldkey: by,
                hotkey: *hotkey,
                netuid: *origin_netuid,
            };
            let to = Place {
                netuid: *destination_netuid,
                ..from
            };
            let limit = Some((*limit_price, *allow_partial));
            transfer::between(state, from, to, *alpha_amount, limit, out)?;
        }
        Call::TransferStake {
            destination_coldkey,
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => {
            let from = Place {
                coldkey: by,
                hotkey: *hotkey,
                netuid: *origin_netuid,
            };
            let to = Place {
                coldkey: *destination_coldkey,
                netuid: *destination_netuid,
                ..from
            };
            transfer::between(state, from, to, *alpha_amount, None, out)?;
        }
        Call::TransferKeepAlive { dest, value } => pay(state, by, *dest, *value, out)?,
        Call::LockStake {
            hotkey,
            netuid,
            amount,
        } => {
            locks::lock(state, by, *hotkey, *netuid, *amount, out)?;
        }
        Call::MoveLock {
            destination_hotkey,
            netuid,
        } => {
            locks::relocate(state, by, *destination_hotkey, *netuid, out)?;
        }
        Call::SetPerpetualLock { netuid, enabled } => {
            locks::set_perpetual(state, by, *netuid, *enabled, out)?;
        }
        Call::UnlockStake { netuid, amount } => locks::unlock(state, by, *netuid, *amount, out)?,
        Call::SetRejectLockedAlpha { enabled } => {
            account(state, by).accepts_locked = !enabled;
            out.push(Event::RejectLockedAlphaUpdated {
                coldkey: by,
                enabled: *enabled,
            });
        }
        Call::SetRevenueShare {
            netuid,
            partner,
            share,
        } => partner::set_share(state, by, *netuid, *partner, *share, out)?,
        Call::BurnedRegister { netuid, hotkey } => {
            hotkeys::register(state, by, *hotkey, *netuid, out)?;
        }
        Call::RegisterNetwork { hotkey } => hotkeys::register_network(state, by, *hotkey, out)?,
        Call::IncreaseTake { hotkey, take } => hotkeys::raise_take(state, by, *hotkey, *take, out)?,
        Call::DecreaseTake { hotkey, take } => hotkeys::lower_take(state, by, *hotkey, *take, out)?,
        Call::AnnounceColdkeySwap { new_coldkey_hash } => {
            coldkey::announce(state, by, *new_coldkey_hash, out)?;
        }
        Call::CancelColdkeySwap {} => coldkey::cancel(state, by, out)?,
        Call::SwapColdkeyAnnounced { new_coldkey } => coldkey::swap(state, by, *new_coldkey, out)?,
        Call::SetWeights { netuid, weights } => set_weights(state, by, *netuid, weights, out)?,
        Call::Propose { effect, reason } => governance::propose(state, by, effect, *reason, out)?,
        Call::Approve { proposal } => governance::approve(state, by, *proposal, out)?,
        Call::WithdrawApproval { proposal } => governance::withdraw(state, by, *proposal, out)?,
        Call::ResignRole { role } => governance::resign(state, by, *role, out)?,
    }
    Ok(events)
}

/// A subnet to read.
pub(crate) fn subnet(state: &State, netuid: NetUid) -> Result<&Subnet, LedgerError> {
    let subnet = state.subnets.get(&netuid);
    subnet.ok_or(LedgerError::SubnetNotExists(netuid))
}

/// A subnet to change.
pub(crate) fn subnet_mut(state: &mut State, netuid: NetUid) -> Result<&mut Subnet, LedgerError> {
    let subnet = state.subnets.get_mut(&netuid);
    subnet.ok_or(LedgerError::SubnetNotExists(netuid))
}

/// An account to change, made if there is none.
pub(crate) fn account(state: &mut State, id: AccountId) -> &mut Account {
    if !state.accounts.contains_key(&id) {
        state.accounts.insert_mut(id, Account::default());
    }
    // Present since the line above; a fresh value could only be reached if that were not so.
    match state.accounts.get_mut(&id) {
        Some(account) => account,
        None => unreachable!("the account was just inserted"),
    }
}

/// Takes TAO from an account.
pub(crate) fn debit(state: &mut State, from: AccountId, amount: Rao) -> Result<(), LedgerError> {
    let account = account(state, from);
    let left = account.balance.checked_sub(amount);
    account.balance = left.ok_or(LedgerError::NotEnoughBalanceToStake)?;
    Ok(())
}

/// Gives TAO to an account.
pub(crate) fn credit(state: &mut State, to: AccountId, amount: Rao) -> Result<(), LedgerError> {
    let account = account(state, to);
    let sum = account.balance.checked_add(amount);
    account.balance = sum.ok_or(LedgerError::Overflow)?;
    Ok(())
}

/// Takes TAO out of existence; it was taken from somewhere before.
pub(crate) fn recycle(state: &mut State, amount: Rao) -> Result<(), LedgerError> {
    let left = state.issuance.checked_sub(amount);
    state.issuance = left.ok_or(LedgerError::Overflow)?;
    let sum = state.recycled.checked_add(amount);
    state.recycled = sum.ok_or(LedgerError::Overflow)?;
    Ok(())
}

fn pay(
    state: &mut State,
    from: AccountId,
    to: AccountId,
    amount: Rao,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    if amount.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    if from == to {
        return Err(LedgerError::SameDestination);
    }
    debit(state, from, amount)?;
    credit(state, to, amount)?;
    events.push(Event::Transfer { from, to, amount });
    Ok(())
}

fn set_weights(
    state: &mut State,
    hotkey: AccountId,
    netuid: NetUid,
    targets: &[(AccountId, u16)],
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let set = state.height;
    let subnet = subnet_mut(state, netuid)?;
    if !subnet.neurons.contains(&hotkey) {
        return Err(LedgerError::HotKeyNotRegisteredInSubNet);
    }
    let ascending = targets.is_sorted_by(|(a, _), (b, _)| a < b);
    if targets.len() > MAX_WEIGHTS || !ascending {
        return Err(LedgerError::MalformedWeights(MAX_WEIGHTS));
    }
    let targets = targets.to_vec();
    subnet.weights.insert_mut(hotkey, Weights { set, targets });
    events.push(Event::WeightsSet { netuid, hotkey });
    Ok(())
}
