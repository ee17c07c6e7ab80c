//! Stake that goes from one place to another: to another manager, subnet or coldkey (economics sections
//! 1.5 and 2.3).
//!
//! Inside a subnet nothing is traded and nothing is charged. A lock is a floor under a coldkey's total on
//! the subnet and not tied to a position, so changing the manager is always allowed. To another coldkey
//! free alpha goes first; what exceeds it carries lock mass and conviction with it, to a receiver that
//! opted in, and is a public notice.

use super::{
    locks, stake, subnet,
    trade::{self, Limit},
};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    fixed::U64F64,
    lock::{Lock, LockMode},
    notice::Subject,
    state::State,
    units::{Alpha, NetUid, Rao, UNIT},
    wide::mul_div,
};

/// A position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub coldkey: AccountId,
    pub hotkey: AccountId,
    pub netuid: NetUid,
}

/// `move_stake`, `swap_stake`(`_limit`) and `transfer_stake`, which are one thing between two places.
pub fn between(
    state: &mut State,
    from: Place,
    to: Place,
    amount: Alpha,
    limit: Limit,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    if from == to {
        return Err(LedgerError::SameDestination);
    }
    for place in [from, to] {
        subnet(state, place.netuid)?;
        if !state.hotkeys.contains_key(&place.hotkey) {
            return Err(LedgerError::HotKeyAccountNotExists(place.hotkey));
        }
    }
    if amount.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    let staked = subnet(state, from.netuid)?.stake(&from.hotkey, &from.coldkey);
    if amount > staked {
        return Err(LedgerError::NotEnoughStakeToWithdraw);
    }
    let mut locked = Alpha::ZERO;
    let mut moved = amount;
    if from.netuid == to.netuid {
        if from.coldkey != to.coldkey {
            locked = carry_lock(state, from, to.coldkey, amount)?;
        }
        // Nothing is charged here, so dust could be strewn for ever. A whole position may always leave.
        if amount < staked && worth(state, from.netuid, amount)? < state.rules.min_stake {
            return Err(LedgerError::AmountTooLow);
        }
        stake::withdraw(state, from.netuid, from.hotkey, from.coldkey, amount)?;
        stake::deposit(state, to.netuid, to.hotkey, to.coldkey, amount)?;
    } else {
        let available = subnet(state, from.netuid)?.available(&from.coldkey, state.height);
        if amount > available {
            return Err(LedgerError::StakeUnavailable);
        }
        moved = swap(state, from, to, amount, limit)?;
    }
    events.push(if from.coldkey == to.coldkey {
        Event::StakeMoved {
            coldkey: from.coldkey,
            origin_hotkey: from.hotkey,
            origin_netuid: from.netuid,
            destination_hotkey: to.hotkey,
            destination_netuid: to.netuid,
            alpha: moved,
        }
    } else {
        Event::StakeTransferred {
            origin_coldkey: from.coldkey,
            destination_coldkey: to.coldkey,
            hotkey: to.hotkey,
            netuid: to.netuid,
            alpha: moved,
            locked,
        }
    });
    Ok(())
}

/// What alpha is worth at the pool's price.
fn worth(state: &State, netuid: NetUid, amount: Alpha) -> Result<Rao, LedgerError> {
    let price = subnet(state, netuid)?.pool.price().to_bits();
    let worth = mul_div(u128::from(amount.0), price, 1 << 64);
    Ok(Rao(u64::try_from(worth).unwrap_or(u64::MAX)))
}

/// Moves the lock mass under the part of `amount` that is not free; gives that mass.
fn carry_lock(
    state: &mut State,
    from: Place,
    receiver: AccountId,
    amount: Alpha,
) -> Result<Alpha, LedgerError> {
    let now = state.height;
    let place = subnet(state, from.netuid)?;
    let excess = amount.saturating_sub(place.available(&from.coldkey, now));
    if excess.is_zero() {
        return Ok(excess);
    }
    let mut lock = place
        .lock(&from.coldkey, now)
        .filter(|lock| lock.mass >= excess)
        // What is unlocking already cannot be given away: its clock is somebody's notice.
        .ok_or(LedgerError::StakeUnavailable)?;
    if !state
        .accounts
        .get(&receiver)
        .is_some_and(|account| account.accepts_locked)
    {
        return Err(LedgerError::AccountRejectsLockedAlpha);
    }
    let theirs = place.lock(&receiver, now).filter(|lock| !lock.is_over());
    let conviction = lock.split(excess);
    let mut before = None;
    let received = match theirs {
        None => Lock {
            mass: excess,
            conviction,
            // A receiver who is an insider gets what insiders' locks are.
            mode: if state.is_insider(&receiver) {
                LockMode::Perpetual
            } else {
                lock.mode
            },
            unlocks: Vec::new(),
            ..lock.clone()
        },
        Some(theirs) if theirs.hotkey == lock.hotkey => {
            before = Some(theirs.mode);
            merge(theirs, &lock, excess, conviction)
        }
        Some(_) => return Err(LedgerError::LockHotkeyMismatch),
    };
    let insider = state.is_insider(&from.coldkey) || state.is_insider(&receiver);
    locks::store(state, from.netuid, from.coldkey, lock)?;
    announce_decay(state, from.netuid, receiver, before, &received);
    locks::store(state, from.netuid, receiver, received)?;
    let subject = Subject::LockedTransfer {
        netuid: from.netuid,
        from: from.coldkey,
        to: receiver,
        amount: excess,
    };
    state.notices.announce(now, Some(now), insider, subject);
    Ok(excess)
}

/// A receiver's lock that will begin to decay at another height than before is a notice of its own.
fn announce_decay(
    state: &mut State,
    netuid: NetUid,
    coldkey: AccountId,
    before: Option<LockMode>,
    lock: &Lock,
) {
    if before == Some(lock.mode) {
        return;
    }
    locks::void_decay(state, netuid, coldkey);
    if let LockMode::PerpetualUntil(from) = lock.mode {
        let subject = Subject::Decay {
            netuid,
            coldkey,
            mass: lock.mass,
        };
        let insider = state.is_insider(&coldkey);
        let now = state.height;
        state.notices.announce(now, Some(from), insider, subject);
    }
}

/// Adds carried mass to a lock. Of two different clocks the slower one holds for all of it.
fn merge(mut into: Lock, from: &Lock, mass: Alpha, conviction: U64F64) -> Lock {
    into.mass = Alpha(into.mass.0.saturating_add(mass.0));
    into.conviction = into.conviction.saturating_add(conviction);
    into.rates.unlock = into.rates.unlock.max(from.rates.unlock);
    into.rates.maturity = into.rates.maturity.max(from.rates.maturity);
    into.cliff = into.cliff.max(from.cliff);
    into.release = into.release.max(from.release);
    into.mode = match (into.mode, from.mode) {
        (LockMode::Perpetual, _) | (_, LockMode::Perpetual) => LockMode::Perpetual,
        (LockMode::PerpetualUntil(a), LockMode::PerpetualUntil(b)) => {
            LockMode::PerpetualUntil(a.max(b))
        }
        (LockMode::PerpetualUntil(a), LockMode::Decaying)
        | (LockMode::Decaying, LockMode::PerpetualUntil(a)) => LockMode::PerpetualUntil(a),
        (LockMode::Decaying, LockMode::Decaying) => LockMode::Decaying,
    };
    into
}

/// Sells on one subnet and buys on the other; one fee per trip, on the way out. Gives what arrived.
fn swap(
    state: &mut State,
    from: Place,
    to: Place,
    amount: Alpha,
    limit: Limit,
) -> Result<Alpha, LedgerError> {
    let amount = match limit {
        None => amount,
        Some((price, partial)) => {
            let most = most_within(state, from.netuid, to.netuid, amount, price)?;
            Alpha(trade::within(amount.0, most, partial)?)
        }
    };
    let whole = amount == subnet(state, from.netuid)?.stake(&from.hotkey, &from.coldkey);
    stake::withdraw(state, from.netuid, from.hotkey, from.coldkey, amount)?;
    let sold = trade::sell(state, from.netuid, amount)?;
    if !whole && Rao(sold.output) < state.rules.min_stake {
        return Err(LedgerError::AmountTooLow);
    }
    let bought = trade::buy_free(state, to.netuid, Rao(sold.output))?;
    let arrived = Alpha(bought.output);
    if arrived.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    stake::deposit(state, to.netuid, to.hotkey, to.coldkey, arrived)?;
    Ok(arrived)
}

/// The most of `amount` after which the price, in destination alpha per origin alpha and billionths, is
/// still at the limit. It only falls as more is traded, so halving finds it.
fn most_within(
    state: &State,
    from: NetUid,
    to: NetUid,
    amount: Alpha,
    limit: Rao,
) -> Result<u64, LedgerError> {
    let (origin, destination) = (subnet(state, from)?.pool, subnet(state, to)?.pool);
    let holds = |alpha: u64| -> bool {
        let (Ok(sold), true) = (origin.sell(alpha), alpha > 0) else {
            return alpha == 0 && at_limit(&origin, &destination, limit);
        };
        match trade::buy_free_of(&destination, sold.output) {
            Ok(bought) => at_limit(&sold.after, &bought.after, limit),
            Err(_) => false,
        }
    };
    if !holds(0) {
        return Err(LedgerError::PriceLimitExceeded);
    }
    let (mut low, mut high) = (0, amount.0);
    if holds(high) {
        return Ok(high);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn at_limit(origin: &crate::pool::Pool, destination: &crate::pool::Pool, limit: Rao) -> bool {
    let (numerator, denominator) = (origin.price().to_bits(), destination.price().to_bits());
    mul_div(numerator, u128::from(UNIT), denominator) >= u128::from(limit.0)
}
