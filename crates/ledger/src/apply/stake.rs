//! Staking and unstaking (economics sections 1.5 and 2.3).

use super::{
    credit, debit, subnet, subnet_mut,
    trade::{self, Limit},
};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    shares::SharePool,
    state::State,
    units::{Alpha, NetUid, Rao},
};

/// `add_stake` and `add_stake_limit`.
pub fn add(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    amount: Rao,
    limit: Limit,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let pool = subnet(state, netuid)?.pool;
    if !state.hotkeys.contains_key(&hotkey) {
        return Err(LedgerError::HotKeyAccountNotExists(hotkey));
    }
    if amount < state.rules.min_stake {
        return Err(LedgerError::AmountTooLow);
    }
    let tao = match limit {
        None => amount,
        Some((price, partial)) => Rao(trade::within(amount.0, pool.max_buy(price.0)?, partial)?),
    };
    debit(state, coldkey, tao)?;
    let swap = trade::buy(state, netuid, tao)?;
    let alpha = Alpha(swap.output);
    if alpha.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    deposit(state, netuid, hotkey, coldkey, alpha)?;
    events.push(Event::StakeAdded {
        coldkey,
        hotkey,
        netuid,
        tao,
        alpha,
        fee: Rao(swap.fee),
    });
    Ok(())
}

/// `remove_stake` and its limit forms: only what is available leaves.
pub fn remove(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    amount: Alpha,
    limit: Limit,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let place = subnet(state, netuid)?;
    if !state.hotkeys.contains_key(&hotkey) {
        return Err(LedgerError::HotKeyAccountNotExists(hotkey));
    }
    if amount.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    let staked = place.stake(&hotkey, &coldkey);
    if amount > staked {
        return Err(LedgerError::NotEnoughStakeToWithdraw);
    }
    if amount > place.available(&coldkey, state.height) {
        return Err(LedgerError::StakeUnavailable);
    }
    let alpha = match limit {
        None => amount,
        Some((price, partial)) => Alpha(trade::within(
            amount.0,
            place.pool.max_sell(price.0)?,
            partial,
        )?),
    };
    withdraw(state, netuid, hotkey, coldkey, alpha)?;
    let swap = trade::sell(state, netuid, alpha)?;
    let tao = Rao(swap.output);
    // A whole position may always leave, however small.
    if alpha < staked && tao < state.rules.min_stake {
        return Err(LedgerError::AmountTooLow);
    }
    credit(state, coldkey, tao)?;
    events.push(Event::StakeRemoved {
        coldkey,
        hotkey,
        netuid,
        tao,
        alpha,
        fee: Alpha(swap.fee),
    });
    Ok(())
}

/// `unstake_all`: everything that is available under one hotkey, on every subnet. What cannot be sold,
/// such as dust that somebody gave, does not keep the rest from leaving.
pub fn remove_all(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let now = state.height;
    let positions: Vec<(NetUid, Alpha)> = state
        .subnets
        .iter()
        .map(|(netuid, subnet)| (*netuid, subnet, subnet.stake(&hotkey, &coldkey)))
        .filter(|(_, _, staked)| !staked.is_zero())
        .map(|(netuid, subnet, staked)| (netuid, staked.min(subnet.available(&coldkey, now))))
        .collect();
    let mut outcome = Err(LedgerError::NotEnoughStakeToWithdraw);
    for (netuid, free) in positions {
        let sold = if free.is_zero() {
            Err(LedgerError::StakeUnavailable)
        } else {
            let mut next = state.clone();
            let sold = remove(&mut next, coldkey, hotkey, netuid, free, None, events);
            sold.map(|()| *state = next)
        };
        // One sale is a success; without any, the last refusal is the reason.
        if sold.is_ok() || outcome.is_err() {
            outcome = sold;
        }
    }
    outcome
}

/// Puts alpha that is outside the pool onto a hotkey.
pub(crate) fn deposit(
    state: &mut State,
    netuid: NetUid,
    hotkey: AccountId,
    coldkey: AccountId,
    amount: Alpha,
) -> Result<(), LedgerError> {
    super::account(state, coldkey);
    let subnet = subnet_mut(state, netuid)?;
    let mut pool = subnet.stakes.get(&hotkey).cloned().unwrap_or_default();
    pool.deposit(coldkey, amount).ok_or(LedgerError::Overflow)?;
    subnet.stakes.insert_mut(hotkey, pool);
    Ok(())
}

/// Takes alpha off a hotkey; it stays outside the pool. The last staker's dust is burned.
pub(crate) fn withdraw(
    state: &mut State,
    netuid: NetUid,
    hotkey: AccountId,
    coldkey: AccountId,
    amount: Alpha,
) -> Result<(), LedgerError> {
    let subnet = subnet_mut(state, netuid)?;
    let pool: &mut SharePool = subnet
        .stakes
        .get_mut(&hotkey)
        .ok_or(LedgerError::NotEnoughStakeToWithdraw)?;
    let dust = pool
        .withdraw(&coldkey, amount)
        .ok_or(LedgerError::NotEnoughStakeToWithdraw)?;
    if pool.is_empty() {
        subnet.stakes.remove_mut(&hotkey);
    }
    let burned = subnet.alpha_burned.checked_add(dust);
    subnet.alpha_burned = burned.ok_or(LedgerError::Overflow)?;
    Ok(())
}
