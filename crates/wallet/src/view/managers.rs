//! Everybody who can be staked on, with what a person should know before: take, who else stakes there,
//! and how the manager's own lock can leave.

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, epoch,
    state::{State, Subnet},
    wide::share_of,
    yuma::U16_UNIT,
};
use serde::Serialize;

use super::{
    conviction,
    lock::{self, LockView},
    units,
};

/// See `Manager` in `types.js`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    pub hotkey: String,
    pub coldkey: String,
    pub owner: bool,
    pub validator: bool,
    /// 0 to 1.
    pub take: f64,
    pub staked: String,
    pub stakers: usize,
    pub conviction: String,
    pub own_lock: Option<LockView>,
    pub last_dividends: String,
}

/// Registered hotkeys and those that are locked to; most stake first. Tabs' keys are neither.
pub(crate) fn of(state: &State) -> Vec<Manager> {
    let Some(place) = super::run(state) else {
        return Vec::new();
    };
    let validators = epoch::validators(place, state.height, &state.schedule);
    let convictions = place.convictions(state.height);
    let mut hotkeys: BTreeSet<AccountId> = place.neurons.iter().copied().collect();
    hotkeys.insert(place.owner_hotkey);
    hotkeys.extend(convictions.keys());
    let staked = |hotkey: &AccountId| place.stakes.get(hotkey).map_or(0, |pool| pool.value().0);
    let mut hotkeys: Vec<AccountId> = hotkeys.into_iter().collect();
    hotkeys.sort_by_key(|hotkey| std::cmp::Reverse(staked(hotkey)));
    hotkeys
        .into_iter()
        .filter_map(|id| {
            let hotkey = state.hotkeys.get(&id)?;
            let stakers = place.stakes.get(&id).map(|pool| pool.stakes().count());
            Some(Manager {
                hotkey: id.to_string(),
                coldkey: hotkey.coldkey.to_string(),
                owner: id == place.owner_hotkey,
                validator: validators.binary_search(&id).is_ok(),
                take: f64::from(hotkey.take) / f64::from(U16_UNIT),
                staked: units(staked(&id)),
                stakers: stakers.unwrap_or(0),
                conviction: conviction(convictions.get(&id).copied().unwrap_or_default()),
                own_lock: lock::of(state, &hotkey.coldkey),
                last_dividends: units(dividends(place, &id, hotkey.take)),
            })
        })
        .collect()
}

/// What its stakers got at the last epoch, at today's take.
fn dividends(place: &Subnet, hotkey: &AccountId, take: u16) -> u64 {
    let paid = place.report.iter().flat_map(|report| &report.dividends);
    let whole: u64 = paid
        .filter(|(to, _)| to == hotkey)
        .map(|(_, amount)| amount.0)
        .sum();
    whole.saturating_sub(share_of(whole, take.into(), U16_UNIT.into()))
}
