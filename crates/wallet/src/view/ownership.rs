//! Who owns the run, who could come to own it, and who may change its rules (economics sections 1.6 and
//! 4.2).
//!
//! A crossing height is a projection: today's locks rolled on by the ledger's own function, with today's
//! eligible alpha. Nobody's next action is in it.

use std::collections::BTreeMap;

use covey_ledger::{
    AccountId, Height,
    conviction::gate,
    fixed::U64F64,
    lock::Lock,
    state::{State, Subnet},
};
use serde::Serialize;

use super::{
    conviction,
    lock::{self, LockView},
    units, whole, words,
};

/// Heights at which a projection looks before it halves.
const SAMPLES: u64 = 64;

/// Time constants after which a lock grows no further that matters.
const MATURE: u64 = 12;

/// One hotkey's conviction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Convicted {
    pub hotkey: String,
    pub coldkey: Option<String>,
    pub conviction: String,
    pub mass: String,
    /// Of the gate; 1 is at it.
    pub share: f64,
    pub owner: bool,
    /// First height from now on above the gate.
    pub crossing: Option<Height>,
}

/// A takeover under notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakeoverView {
    pub king: String,
    pub since: Height,
    pub ready: Height,
}

/// See `ProposalView` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposalView {
    pub id: u64,
    pub title: String,
    pub reason: String,
    pub approvals: usize,
    pub needed: u16,
    pub ready: Option<Height>,
}

/// A role and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    pub role: &'static str,
    pub holders: Vec<String>,
}

/// Who may change rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernanceView {
    pub council: Vec<String>,
    pub threshold: u16,
    pub roles: Vec<RoleView>,
    pub proposals: Vec<ProposalView>,
}

/// See `Ownership` in `types.js`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ownership {
    pub owner: String,
    pub owner_hotkey: String,
    pub eligible: String,
    pub gate: String,
    pub contestable_from: Height,
    pub convictions: Vec<Convicted>,
    pub owner_lock: Option<LockView>,
    pub takeover: Option<TakeoverView>,
    pub governance: GovernanceView,
}

/// At the state's height.
pub(crate) fn of(state: &State) -> Ownership {
    let place = super::run(state);
    let owner = place.map_or_else(String::new, |place| place.owner.to_string());
    let takeover = place.and_then(|place| place.takeover);
    let registered = place.map_or(0, |place| place.registered);
    Ownership {
        owner,
        owner_hotkey: place.map_or_else(String::new, |place| place.owner_hotkey.to_string()),
        eligible: units(place.map_or(0, |place| place.eligible().0)),
        gate: units(place.map_or(0, gate_of)),
        contestable_from: registered.saturating_add(state.schedule.ownership_age),
        convictions: place.map_or_else(Vec::new, |place| convictions(state, place)),
        owner_lock: place.and_then(|place| lock::of(state, &place.owner)),
        takeover: takeover.map(|takeover| TakeoverView {
            king: takeover.king.to_string(),
            since: takeover.since,
            ready: takeover.ready,
        }),
        governance: governance(state),
    }
}

/// The most whole base units of conviction that are not enough, found by asking the rule itself.
pub(crate) fn gate_of(place: &Subnet) -> u64 {
    let eligible = place.eligible().0;
    let (mut fails, mut passes) = (0, eligible);
    while passes.saturating_sub(fails) > 1 {
        let middle = fails + (passes - fails) / 2;
        if gate(U64F64::from_num(middle), eligible) {
            passes = middle;
        } else {
            fails = middle;
        }
    }
    fails
}

fn convictions(state: &State, place: &Subnet) -> Vec<Convicted> {
    let now = state.height;
    let mut locks: BTreeMap<AccountId, Vec<&Lock>> = BTreeMap::new();
    for lock in place.locks.values() {
        locks.entry(lock.hotkey).or_default().push(lock);
    }
    let gate = gate_of(place);
    let mut all: Vec<(U64F64, Convicted)> = locks
        .into_iter()
        .map(|(hotkey, locks)| {
            let owner = hotkey == place.owner_hotkey;
            let (mass, total) = sum(&locks, now, owner);
            let coldkey = state.owner_of(&hotkey);
            let share = match gate {
                0 => 0.0,
                gate => total.to_num::<f64>() / gate as f64,
            };
            let view = Convicted {
                hotkey: hotkey.to_string(),
                coldkey: coldkey.map(|coldkey| coldkey.to_string()),
                conviction: conviction(total),
                mass: units(mass),
                share,
                owner,
                crossing: crossing(&locks, now, owner, place.eligible().0),
            };
            (total, view)
        })
        .filter(|(_, view)| view.mass != "0" || view.conviction != "0")
        .collect();
    // Of equals the greater account is the challenger.
    all.reverse();
    all.sort_by_key(|(total, _)| std::cmp::Reverse(*total));
    all.into_iter().map(|(_, view)| view).collect()
}

/// Mass and conviction of some locks on one hotkey.
fn sum(locks: &[&Lock], at: Height, owner: bool) -> (u64, U64F64) {
    let rolled = locks.iter().map(|lock| lock.at(at, owner));
    rolled.fold((0, U64F64::ZERO), |(mass, conviction), lock| {
        let mass = lock.mass.0.saturating_add(mass);
        (mass, conviction.saturating_add(lock.conviction))
    })
}

/// The first height from `now` on at which the locks' conviction passes the gate.
fn crossing(locks: &[&Lock], now: Height, owner: bool, eligible: u64) -> Option<Height> {
    let above = |height: Height| gate(sum(locks, height, owner).1, eligible);
    if above(now) {
        return Some(now);
    }
    // Conviction never grows past the mass, but where it is above it already.
    let (mass, conviction) = sum(locks, now, owner);
    let most = mass.max(whole(conviction).saturating_add(1));
    if !gate(U64F64::from_num(most), eligible) {
        return None;
    }
    let slowest = locks.iter().map(|lock| lock.rates.maturity).max()?;
    // Locks that begin to decay later have their peak later.
    let mut before = now;
    for sample in 1..=SAMPLES {
        let ahead = slowest.saturating_mul(MATURE * sample) / SAMPLES;
        let height = now.saturating_add(ahead);
        if above(height) {
            let (mut low, mut high) = (before, height);
            while high.saturating_sub(low) > 1 {
                let middle = low + (high - low) / 2;
                if above(middle) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            return Some(high);
        }
        before = height;
    }
    None
}

fn governance(state: &State) -> GovernanceView {
    let governance = &state.governance;
    let proposals = governance.proposals.iter();
    GovernanceView {
        council: governance
            .council
            .iter()
            .map(AccountId::to_string)
            .collect(),
        threshold: governance.threshold,
        roles: governance
            .roles
            .iter()
            .map(|(role, holders)| RoleView {
                role: role.name(),
                holders: holders.iter().map(AccountId::to_string).collect(),
            })
            .collect(),
        proposals: proposals
            .map(|(id, proposal)| ProposalView {
                id: *id,
                title: words::effect(&proposal.effect),
                reason: proposal.reason.to_string(),
                approvals: governance.counted(proposal),
                needed: governance.threshold,
                ready: proposal.ready,
            })
            .collect(),
    }
}
