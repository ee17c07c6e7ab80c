//! One lock, as it is at the state's height.

use covey_ledger::{
    AccountId, Height,
    lock::{Lock, LockMode},
    state::{State, Subnet},
};
use serde::Serialize;

use super::{conviction, units};

/// Whether mass decays, and whether that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Perpetual,
    DecayAnnounced,
    Decaying,
}

/// A requested unlock. See `UnlockView` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlockView {
    pub amount: String,
    /// Of it, not liquid yet.
    pub bound: String,
    pub requested: Height,
    /// First height at which something is liquid.
    pub cliff: Height,
    pub end: Height,
}

/// See `LockView` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockView {
    pub hotkey: String,
    pub mass: String,
    pub conviction: String,
    pub mode: Mode,
    /// When an announced decay begins.
    pub decays_from: Option<Height>,
    pub unlocks: Vec<UnlockView>,
    /// Time constants of this lock, blocks.
    pub unlock_rate: u64,
    pub maturity_rate: u64,
}

/// An account's lock on a subnet; none if nothing of it is left.
pub(crate) fn current(place: &Subnet, account: &AccountId, now: Height) -> Option<Lock> {
    place.lock(account, now).filter(|lock| !lock.is_over())
}

/// An account's lock on the run's subnet.
pub(crate) fn of(state: &State, account: &AccountId) -> Option<LockView> {
    let now = state.height;
    let lock = current(super::run(state)?, account, now)?;
    let (mode, decays_from) = mode(&lock);
    let unlocks = lock.unlocks.iter().map(|unlock| UnlockView {
        amount: units(unlock.amount.0),
        bound: units(unlock.bound(now).0),
        requested: unlock.requested,
        cliff: unlock.cliff,
        end: unlock.end,
    });
    Some(LockView {
        hotkey: lock.hotkey.to_string(),
        mass: units(lock.mass.0),
        conviction: conviction(lock.conviction),
        mode,
        decays_from,
        unlocks: unlocks.collect(),
        unlock_rate: lock.rates.unlock,
        maturity_rate: lock.rates.maturity,
    })
}

fn mode(lock: &Lock) -> (Mode, Option<Height>) {
    match lock.mode {
        LockMode::Perpetual => (Mode::Perpetual, None),
        LockMode::PerpetualUntil(height) => (Mode::DecayAnnounced, Some(height)),
        LockMode::Decaying => (Mode::Decaying, None),
    }
}
