//! Locks: making, moving, switching and asking back (economics sections 1.4, 1.8 and 4.2).
//!
//! What a reader would get wrong: nothing here makes alpha liquid at once. A switch to decaying starts
//! after the cliff and an unlock request pays nothing before it; both are notices from the moment they
//! are made. The owner's and role holders' locks do not decay at all.

use super::{subnet, subnet_mut};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    fixed::U64F64,
    lock::{Lock, LockMode, MAX_UNLOCKS, Unlock},
    notice::{Status, Subject},
    state::State,
    units::{Alpha, NetUid},
};

/// `lock_stake`: new mass enters with conviction 0, on top of what is there.
pub fn lock(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    amount: Alpha,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let now = state.height;
    let place = subnet(state, netuid)?;
    if amount.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    if !state.hotkeys.contains_key(&hotkey) {
        return Err(LedgerError::HotKeyAccountNotExists(hotkey));
    }
    let mode = state.default_lock_mode(place, &coldkey);
    let known = place.lock(&coldkey, now).filter(|lock| !lock.is_over());
    let mut lock = known.unwrap_or_else(|| Lock::new(hotkey, mode, &state.rules, now));
    if lock.hotkey != hotkey {
        return Err(LedgerError::LockHotkeyMismatch);
    }
    let bound = lock.bound(now).checked_add(amount);
    if bound.is_none_or(|bound| bound > place.total_stake(&coldkey)) {
        return Err(LedgerError::InsufficientStakeForLock);
    }
    lock.mass = lock.mass.checked_add(amount).ok_or(LedgerError::Overflow)?;
    if lock.is_dust() {
        // It would be gone as it is written, and the event would say that something was locked.
        return Err(LedgerError::AmountTooLow);
    }
    if state.is_insider(&coldkey) {
        void_decay(state, netuid, coldkey);
        lock.mode = LockMode::Perpetual;
    }
    store(state, netuid, coldkey, lock)?;
    events.push(Event::StakeLocked {
        coldkey,
        hotkey,
        netuid,
        amount,
    });
    Ok(())
}

/// `move_lock`: conviction is kept only between hotkeys of one owner.
pub fn relocate(
    state: &mut State,
    coldkey: AccountId,
    destination: AccountId,
    netuid: NetUid,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    if !state.hotkeys.contains_key(&destination) {
        return Err(LedgerError::HotKeyAccountNotExists(destination));
    }
    let mut lock = existing(state, netuid, &coldkey)?;
    let origin = lock.hotkey;
    if state.owner_of(&origin) != state.owner_of(&destination) {
        lock.conviction = U64F64::ZERO;
    }
    lock.hotkey = destination;
    store(state, netuid, coldkey, lock)?;
    events.push(Event::LockMoved {
        coldkey,
        origin_hotkey: origin,
        destination_hotkey: destination,
        netuid,
    });
    Ok(())
}

/// `set_perpetual_lock`: also without a lock, as a choice for the next one.
pub fn set_perpetual(
    state: &mut State,
    coldkey: AccountId,
    netuid: NetUid,
    enabled: bool,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let now = state.height;
    let insider = state.is_insider(&coldkey);
    if !enabled && insider {
        return Err(LedgerError::InsiderLockMustBeAnnounced);
    }
    subnet_mut(state, netuid)?
        .lock_choice
        .insert_mut(coldkey, enabled);
    let mut from = now;
    let lock = subnet(state, netuid)?.lock(&coldkey, now);
    if let Some(mut lock) = lock.filter(|lock| !lock.is_over()) {
        let cliff = now.saturating_add(lock.cliff);
        match (enabled, lock.mode) {
            (true, LockMode::PerpetualUntil(_)) => {
                void_decay(state, netuid, coldkey);
                lock.mode = LockMode::Perpetual;
            }
            (true, _) => lock.mode = LockMode::Perpetual,
            (false, LockMode::Perpetual) => {
                from = cliff;
                lock.mode = LockMode::PerpetualUntil(cliff);
                let mass = lock.mass;
                let subject = Subject::Decay {
                    netuid,
                    coldkey,
                    mass,
                };
                state.notices.announce(now, Some(cliff), insider, subject);
            }
            (false, LockMode::PerpetualUntil(height)) => from = height,
            (false, LockMode::Decaying) => {}
        }
        store(state, netuid, coldkey, lock)?;
    }
    events.push(Event::PerpetualLockUpdated {
        coldkey,
        netuid,
        enabled,
        from,
    });
    Ok(())
}

/// `unlock_stake`: conviction falls at once, the alpha becomes liquid from the cliff to the end.
pub fn unlock(
    state: &mut State,
    coldkey: AccountId,
    netuid: NetUid,
    amount: Alpha,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let now = state.height;
    let mut lock = existing(state, netuid, &coldkey)?;
    if amount.is_zero() {
        return Err(LedgerError::AmountTooLow);
    }
    if amount > lock.mass {
        return Err(LedgerError::UnlockAmountTooHigh);
    }
    if lock.unlocks.len() >= MAX_UNLOCKS {
        return Err(LedgerError::TooManyUnlocks);
    }
    let cliff = now.saturating_add(lock.cliff);
    let end = cliff.saturating_add(lock.release);
    lock.mass = lock.mass.saturating_sub(amount);
    lock.conviction = lock.conviction.saturating_sub(U64F64::from_num(amount.0));
    lock.unlocks.push(Unlock {
        amount,
        requested: now,
        cliff,
        end,
    });
    let hotkey = lock.hotkey;
    store(state, netuid, coldkey, lock)?;
    let insider = state.is_insider(&coldkey);
    let subject = Subject::Unlock {
        netuid,
        coldkey,
        amount,
        end,
    };
    state.notices.announce(now, Some(cliff), insider, subject);
    events.push(Event::StakeUnlocked {
        coldkey,
        hotkey,
        netuid,
        amount,
        cliff,
        end,
    });
    Ok(())
}

/// Makes every lock of somebody who became an insider perpetual.
pub fn make_perpetual(state: &mut State, coldkey: &AccountId) {
    let now = state.height;
    let netuids: Vec<NetUid> = state.subnets.keys().copied().collect();
    for netuid in netuids {
        let lock = state
            .subnets
            .get(&netuid)
            .and_then(|s| s.lock(coldkey, now));
        if let Some(mut lock) = lock {
            if matches!(lock.mode, LockMode::PerpetualUntil(_)) {
                void_decay(state, netuid, *coldkey);
            }
            lock.mode = LockMode::Perpetual;
            // The subnet exists: it was just read.
            let _ = store(state, netuid, *coldkey, lock);
        }
    }
}

/// Writes a rolled lock back, with the owner's and the dust rule applied; an empty one is removed.
pub(crate) fn store(
    state: &mut State,
    netuid: NetUid,
    coldkey: AccountId,
    mut lock: Lock,
) -> Result<(), LedgerError> {
    let now = state.height;
    let subnet = subnet_mut(state, netuid)?;
    lock.roll(now, lock.hotkey == subnet.owner_hotkey);
    if lock.is_over() {
        subnet.locks.remove_mut(&coldkey);
    } else {
        subnet.locks.insert_mut(coldkey, lock);
    }
    Ok(())
}

fn existing(state: &State, netuid: NetUid, coldkey: &AccountId) -> Result<Lock, LedgerError> {
    let lock = subnet(state, netuid)?.lock(coldkey, state.height);
    lock.filter(|lock| !lock.is_over())
        .ok_or(LedgerError::NoExistingLock)
}

/// Closes the notice of a decay that will not begin.
pub(crate) fn void_decay(state: &mut State, netuid: NetUid, coldkey: AccountId) {
    let at = state.height;
    let ours = |subject: &Subject| matches!(subject, Subject::Decay { netuid: n, coldkey: c, .. } if (*n, *c) == (netuid, coldkey));
    let pending: Vec<u64> = state
        .notices
        .iter()
        .filter(|notice| notice.status == Status::Pending && ours(&notice.subject))
        .map(|notice| notice.id)
        .collect();
    for id in pending {
        state.notices.close(id, Status::Void { at });
    }
}
