//! What one account has: TAO, stake by manager, what of it is locked, unlocking and available, and what
//! it earned.

use covey_ledger::{
    AccountId, Height, genesis::RUN, governance::Role, lock::LockMode, state::State, wide::mul_div,
};
use covey_protocol::VolunteerId;
use serde::Serialize;

use super::{
    lock::{self, LockView},
    positions, units,
};

/// Stake on one manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    pub hotkey: String,
    pub stake: String,
}

/// What an account earned in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EarningView {
    pub height: Height,
    pub incentive: String,
    pub dividends: String,
    pub owner_cut: String,
}

/// A key that may contribute for the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// The tab's public key, hex.
    pub session_key: String,
    pub expires_at_ms: u64,
}

/// The part of its earnings that the account signed away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareView {
    pub partner: String,
    /// Of 65535.
    pub share: u16,
}

/// An announced move to another coldkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapView {
    pub new_coldkey_hash: String,
    pub ready: Height,
}

/// See `Overview` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub known: bool,
    pub balance: String,
    pub nonce: u64,
    pub accepts_locked: bool,
    pub insider: bool,
    pub roles: Vec<String>,
    pub total: String,
    pub locked: String,
    pub unlocking: String,
    pub available: String,
    pub price: String,
    pub value: String,
    pub proceeds: String,
    pub positions: Vec<Position>,
    pub lock: Option<LockView>,
    pub new_locks_perpetual: bool,
    pub earnings: Vec<EarningView>,
    pub sessions: Vec<SessionView>,
    pub revenue_share: Option<ShareView>,
    pub coldkey_swap: Option<SwapView>,
}

/// An account at the state's height. One that the ledger does not know has nothing.
pub(crate) fn of(state: &State, id: &AccountId) -> Overview {
    let now = state.height;
    let place = super::run(state);
    let known = state.accounts.get(id);
    let account = known.cloned().unwrap_or_default();
    let lock = place.and_then(|place| lock::current(place, id, now));
    let total = place.map_or(0, |place| place.total_stake(id).0);
    let available = place.map_or(0, |place| place.available(id, now).0);
    let pool = place.map(|place| place.pool);
    let value = pool.map_or(0, |pool| {
        let value = mul_div(total.into(), pool.price().to_bits(), 1 << 64);
        u64::try_from(value).unwrap_or(u64::MAX)
    });
    let proceeds = pool.and_then(|pool| pool.sell(available).ok());
    let earnings = account.earnings.iter().filter(|e| e.netuid == RUN);
    let sessions = state.sessions.iter().filter(|(_, s)| s.coldkey == *id);
    let mode = place.map(|place| state.default_lock_mode(place, id));
    Overview {
        known: known.is_some(),
        balance: units(account.balance.0),
        nonce: account.nonce,
        accepts_locked: account.accepts_locked,
        insider: state.is_insider(id),
        roles: roles(state, id),
        total: units(total),
        locked: units(lock.as_ref().map_or(0, |lock| lock.mass.0)),
        unlocking: units(lock.as_ref().map_or(0, |lock| lock.unlocking(now).0)),
        available: units(available),
        price: units(pool.map_or(0, |pool| pool.price_rao())),
        value: units(value),
        proceeds: units(proceeds.map_or(0, |swap| swap.output)),
        positions: place.map_or_else(Vec::new, |place| {
            let positions = positions(place, id).into_iter();
            let view = positions.map(|(hotkey, stake)| Position {
                hotkey: hotkey.to_string(),
                stake: units(stake.0),
            });
            view.collect()
        }),
        lock: lock::of(state, id),
        new_locks_perpetual: mode.is_none_or(|mode| mode == LockMode::Perpetual),
        earnings: earnings
            .map(|earning| EarningView {
                height: earning.height,
                incentive: units(earning.incentive.0),
                dividends: units(earning.dividends.0),
                owner_cut: units(earning.owner_cut.0),
            })
            .collect(),
        sessions: sessions
            .map(|(key, session)| SessionView {
                session_key: VolunteerId(key.0).to_string(),
                expires_at_ms: session.expires_at_ms,
            })
            .collect(),
        revenue_share: state.partners.share(RUN, id).map(|share| ShareView {
            partner: share.partner.to_string(),
            share: share.share,
        }),
        coldkey_swap: account.swap.map(|swap| SwapView {
            new_coldkey_hash: swap.new_coldkey_hash.to_string(),
            ready: swap.ready,
        }),
    }
}

/// What the account may do beyond its own things, in words.
pub(crate) fn roles(state: &State, id: &AccountId) -> Vec<String> {
    let mut roles = Vec::new();
    if super::run(state).is_some_and(|place| place.owner == *id) {
        roles.push("owner".to_owned());
    }
    if state.governance.council.contains(id) {
        roles.push("council".to_owned());
    }
    let held = |role: &Role| {
        let holders = state.governance.roles.get(role);
        holders.is_some_and(|holders| holders.contains(id))
    };
    let all = [Role::Operator, Role::Moderator, Role::ParameterSetter];
    roles.extend(
        all.into_iter()
            .filter(held)
            .map(|role| role.name().to_owned()),
    );
    roles
}
