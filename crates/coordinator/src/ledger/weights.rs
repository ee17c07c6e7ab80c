//! What the coordinator thinks of volunteers' work, as the ledger's validators say it: weights by hotkey.
//!
//! A volunteer's identity is its hotkey. The coordinator's own identity is a validator's hotkey: before an
//! epoch it signs `set_weights` like any other validator, and has no other way to pay anybody. What a
//! reader would get wrong: an epoch without work must be said, too. Old weights would go on paying people
//! who left, and no weights would pay validators instead, the coordinator first. So all weight goes to the
//! subnet's owner, and what an owner earns as a contributor is burned (economics section 2.4).

use std::{collections::BTreeSet, sync::Arc};

use covey_ledger::{
    AccountId, Height, Ledger,
    call::{MAX_WEIGHTS, SignedAction},
    genesis::RUN,
};
use covey_protocol::{Identity, Round, VolunteerId};

use crate::{
    actor::Published,
    storage::{Journal, StorageError},
};

/// Gives every volunteer's weight, given until when (Unix milliseconds) work was paid for already. Called
/// once before an epoch, on a thread that may block.
pub type Weights =
    Box<dyn FnMut(u64) -> Result<Vec<(VolunteerId, u16)>, StorageError> + Send + 'static>;

/// Rounds before the open one whose contributions may still be unpaid.
const ROUNDS: u64 = 1024;

/// What scoring says the work of everyone was worth who did any since the last epoch.
#[must_use]
pub fn scores(published: Arc<Published>, journal: Arc<dyn Journal>) -> Weights {
    Box::new(move |since_ms| {
        let first = Round(published.info.load().round.0.saturating_sub(ROUNDS));
        let worked: BTreeSet<VolunteerId> = journal
            .acceptances(first)?
            .into_iter()
            .filter(|acceptance| acceptance.received_at_ms > since_ms)
            .map(|acceptance| acceptance.volunteer)
            .collect();
        let mut weights = published.incentive();
        weights.retain(|(volunteer, weight)| *weight > 0 && worked.contains(volunteer));
        Ok(weights)
    })
}

/// Volunteers' weights as `set_weights` takes them: the largest, by account, ascending. Where nobody
/// earned anything, all of it goes to the subnet's owner, which burns it.
#[must_use]
pub fn targets(mut weights: Vec<(VolunteerId, u16)>, ledger: &Ledger) -> Vec<(AccountId, u16)> {
    weights.retain(|(_, weight)| *weight > 0);
    weights.sort_by_key(|(volunteer, weight)| (std::cmp::Reverse(*weight), *volunteer));
    weights.truncate(MAX_WEIGHTS);
    let mut targets: Vec<(AccountId, u16)> = weights
        .into_iter()
        .map(|(volunteer, weight)| (AccountId(volunteer.0), weight))
        .collect();
    targets.sort_unstable();
    targets.dedup_by_key(|(account, _)| *account);
    if targets.is_empty()
        && let Some(subnet) = ledger.state().subnets.get(&RUN)
    {
        targets.push((subnet.owner_hotkey, u16::MAX));
    }
    targets
}

/// The signed action that says `targets` at `height`, unless it is what was said and not old.
#[must_use]
pub fn action(
    ledger: &Ledger,
    identity: &Identity,
    targets: Vec<(AccountId, u16)>,
    height: Height,
) -> Option<SignedAction> {
    let state = ledger.state();
    let account = AccountId(identity.id().0);
    if targets.is_empty() {
        return None;
    }
    let said = state.subnets.get(&RUN)?.weights.get(&account);
    let refresh = state.schedule.activity_cutoff / 2;
    if said
        .is_some_and(|said| said.targets == targets && height <= said.set.saturating_add(refresh))
    {
        return None;
    }
    let nonce = state.accounts.get(&account).map_or(0, |known| known.nonce);
    // Fails only for numbers beyond 2^53: no run gets there.
    SignedAction::set_weights(identity, state.chain, nonce, height, RUN, targets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::genesis::Terms;

    fn ledger() -> Ledger {
        let terms = Terms::development(AccountId([9; 32]));
        let genesis = terms.of(covey_protocol::Hash([1; 32]), 5);
        Ledger::new(genesis).expect("founded").0
    }

    #[test]
    fn where_nobody_earned_anything_the_owner_burns_it() {
        let ledger = ledger();
        let targets = targets(vec![(VolunteerId([1; 32]), 0)], &ledger);
        let owner = ledger.state().subnets.get(&RUN).map(|s| s.owner_hotkey);
        assert_eq!(targets, [(owner.expect("a subnet"), u16::MAX)]);
    }

    #[test]
    fn of_too_many_volunteers_the_largest_are_named_in_ascending_order() {
        let many: Vec<_> = (0..=u16::MAX)
            .step_by(30)
            .map(|weight| {
                let mut id = [0; 32];
                id[..2].copy_from_slice(&(u16::MAX - weight).to_be_bytes());
                (VolunteerId(id), weight)
            })
            .collect();
        let targets = targets(many, &ledger());
        assert_eq!(targets.len(), MAX_WEIGHTS);
        assert!(targets.is_sorted_by(|(a, _), (b, _)| a < b));
        let least = targets.iter().map(|(_, weight)| *weight).min();
        assert_eq!(least, Some(u16::MAX / 30 * 30 - 30 * 1023));
    }
}
