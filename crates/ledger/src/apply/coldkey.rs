//! The announced coldkey swap: everything a person has moves to a new key, days after it was announced by
//! the new key's hash (economics sections 1.5 and 4.1).

use covey_protocol::Hash;

use super::{account, credit, debit, locks, stake};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    governance,
    notice::{Status, Subject},
    state::{AnnouncedSwap, EARNINGS, State},
    units::NetUid,
};

/// What is announced of a new coldkey.
#[must_use]
pub fn hash_of(coldkey: &AccountId) -> Hash {
    Hash(*blake3::hash(&coldkey.0).as_bytes())
}

/// `announce_coldkey_swap`.
pub fn announce(
    state: &mut State,
    coldkey: AccountId,
    new_coldkey_hash: Hash,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    if account(state, coldkey).swap.is_some() {
        return Err(LedgerError::ColdkeySwapAnnounced);
    }
    let (now, insider) = (state.height, state.is_insider(&coldkey));
    let ready = now.saturating_add(state.rules.coldkey_swap_delay);
    let subject = Subject::ColdkeySwap { coldkey };
    let notice = state.notices.announce(now, Some(ready), insider, subject);
    account(state, coldkey).swap = Some(AnnouncedSwap {
        new_coldkey_hash,
        ready,
        notice,
    });
    events.push(Event::ColdkeySwapAnnounced {
        coldkey,
        new_coldkey_hash,
        ready,
    });
    Ok(())
}

/// Takes the announcement back.
pub fn cancel(
    state: &mut State,
    coldkey: AccountId,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let at = state.height;
    let swap = account(state, coldkey).swap.take();
    let swap = swap.ok_or(LedgerError::ColdkeySwapNotAnnounced)?;
    state.notices.close(swap.notice, Status::Void { at });
    events.push(Event::ColdkeySwapCancelled { coldkey });
    Ok(())
}

/// `swap_coldkey_announced`: balance, stakes, locks, choices, hotkeys, subnets, roles, sessions, revenue
/// shares.
pub fn swap(
    state: &mut State,
    old: AccountId,
    new: AccountId,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let now = state.height;
    let announced = account(state, old).swap;
    let announced = announced.ok_or(LedgerError::ColdkeySwapNotAnnounced)?;
    if now < announced.ready {
        return Err(LedgerError::ColdkeySwapTooEarly(announced.ready));
    }
    if announced.new_coldkey_hash != hash_of(&new) {
        return Err(LedgerError::AnnouncedColdkeyHashDoesNotMatch);
    }
    if old == new {
        return Err(LedgerError::SameDestination);
    }
    let netuids: Vec<NetUid> = state.subnets.keys().copied().collect();
    for netuid in netuids {
        positions(state, netuid, old, new)?;
    }
    let balance = account(state, old).balance;
    debit(state, old, balance)?;
    credit(state, new, balance)?;
    let from = account(state, old);
    from.swap = None;
    let (accepts_locked, earnings) = (from.accepts_locked, std::mem::take(&mut from.earnings));
    let into = account(state, new);
    // Who has spoken for itself keeps its own word: anybody can name this account as their new coldkey.
    if into.nonce == 0 {
        into.accepts_locked = accepts_locked;
    }
    into.earnings.extend(earnings);
    into.earnings.sort_by_key(|earning| earning.height);
    let excess = into.earnings.len().saturating_sub(EARNINGS);
    into.earnings.drain(..excess);

    let hotkeys: Vec<AccountId> = owned(state.hotkeys.iter().map(|(k, v)| (k, &v.coldkey)), &old);
    for hotkey in hotkeys {
        if let Some(entry) = state.hotkeys.get_mut(&hotkey) {
            entry.coldkey = new;
        }
    }
    let sessions: Vec<AccountId> = owned(state.sessions.iter().map(|(k, v)| (k, &v.coldkey)), &old);
    for key in sessions {
        if let Some(session) = state.sessions.get_mut(&key) {
            session.coldkey = new;
        }
    }
    state.partners.follow(old, new);
    governance::follow(state, &old, new, events)?;
    state
        .notices
        .close(announced.notice, Status::Done { at: now });
    events.push(Event::ColdkeySwapped {
        old_coldkey: old,
        new_coldkey: new,
    });
    if state.is_insider(&new) {
        locks::make_perpetual(state, &new);
    }
    Ok(())
}

/// What the coldkey has on one subnet.
fn positions(
    state: &mut State,
    netuid: NetUid,
    old: AccountId,
    new: AccountId,
) -> Result<(), LedgerError> {
    let now = state.height;
    let subnet = super::subnet_mut(state, netuid)?;
    let theirs = subnet.lock(&new, now);
    if theirs.is_some_and(|lock| !lock.mass.is_zero() || !lock.unlocks.is_empty()) {
        return Err(LedgerError::ActiveLockExists);
    }
    if let Some(lock) = subnet.locks.get(&old).cloned() {
        subnet.locks.remove_mut(&old);
        subnet.locks.insert_mut(new, lock);
    }
    if let Some(choice) = subnet.lock_choice.get(&old).copied() {
        subnet.lock_choice.remove_mut(&old);
        subnet.lock_choice.insert_mut(new, choice);
    }
    if subnet.owner == old {
        subnet.owner = new;
    }
    let stakes: Vec<_> = subnet
        .stakes
        .iter()
        .map(|(hotkey, pool)| (*hotkey, pool.stake(&old)))
        .filter(|(_, amount)| !amount.is_zero())
        .collect();
    for (hotkey, amount) in stakes {
        stake::withdraw(state, netuid, hotkey, old, amount)?;
        stake::deposit(state, netuid, hotkey, new, amount)?;
    }
    Ok(())
}

fn owned<'a>(
    entries: impl Iterator<Item = (&'a AccountId, &'a AccountId)>,
    coldkey: &AccountId,
) -> Vec<AccountId> {
    entries
        .filter(|(_, owner)| *owner == coldkey)
        .map(|(key, _)| *key)
        .collect()
}
