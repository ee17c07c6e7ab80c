//! A lock over time: mass, conviction and what is unlocking, as it is and as it would be after a call,
//! each point rolled from the stored lock by the ledger's own function.

use covey_ledger::{AccountId, Height, apply, call::Call, state::State};
use serde::Serialize;

use super::{conviction, ownership::gate_of, units};
use crate::error::WalletError;

/// Points of a curve, less one.
const STEPS: u64 = 100;

/// A lock at one height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionPoint {
    pub height: Height,
    pub mass: String,
    pub conviction: String,
    /// Still bound by unlock requests.
    pub unlocking: String,
}

/// See `Projection` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    pub now: Vec<ProjectionPoint>,
    /// Empty without a call.
    pub draft: Vec<ProjectionPoint>,
    /// Conviction that must be exceeded, at today's eligible alpha.
    pub gate: String,
}

/// The account's lock on the run's subnet from the state's height on, for `span` blocks.
pub(crate) fn of(
    state: &State,
    account: AccountId,
    call: Option<&Call>,
    span: u64,
) -> Result<Projection, WalletError> {
    let draft = match call {
        None => Vec::new(),
        Some(call) => {
            let mut after = state.clone();
            apply::call(&mut after, account, call)?;
            curve(&after, &account, span)
        }
    };
    Ok(Projection {
        now: curve(state, &account, span),
        draft,
        gate: units(super::run(state).map_or(0, gate_of)),
    })
}

fn curve(state: &State, account: &AccountId, span: u64) -> Vec<ProjectionPoint> {
    let steps = STEPS.min(span.max(1));
    (0..=steps)
        .map(|step| {
            let ahead = u128::from(span) * u128::from(step) / u128::from(steps);
            let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
            point(state, account, state.height.saturating_add(ahead))
        })
        .collect()
}

fn point(state: &State, account: &AccountId, height: Height) -> ProjectionPoint {
    let lock = super::run(state).and_then(|place| place.lock(account, height));
    let of = |amount: Option<u64>| units(amount.unwrap_or(0));
    ProjectionPoint {
        height,
        mass: of(lock.as_ref().map(|lock| lock.mass.0)),
        conviction: lock
            .as_ref()
            .map_or_else(|| units(0), |lock| conviction(lock.conviction)),
        unlocking: of(lock.as_ref().map(|lock| lock.unlocking(height).0)),
    }
}
