//! What the coordinator thinks of volunteers' work, as the ledger's validators say it: weights by hotkey.
//!
//! A volunteer's identity is its hotkey. The coordinator's own identity is a validator's hotkey: before an
//! epoch it signs `set_weights` like any other validator, and has no other way to pay anybody. What a
//! reader would get wrong: when nobody did anything, nothing is said. The last weights stand, as a
//! validator's do, until the ledger finds them too old; saying "nobody" would pay validators instead,
//! the coordinator first.

use std::sync::Arc;

use covey_ledger::{
    AccountId, Height, Ledger,
    call::{APP, Action, Call, MAX_WEIGHTS, SignedAction},
    genesis::RUN,
    signing::keys::Keypair,
};
use covey_protocol::{Round, VolunteerId};

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

/// Accepted tokens since the last epoch, the most being 65535. Stands in for scores.
#[must_use]
pub fn accepted_tokens(published: Arc<Published>, journal: Arc<dyn Journal>) -> Weights {
    Box::new(move |since_ms| {
        let open = published.info.load().round;
        let first = Round(open.0.saturating_sub(ROUNDS));
        let mut tokens = std::collections::BTreeMap::<VolunteerId, u64>::new();
        for acceptance in journal.acceptances(first)? {
            if acceptance.received_at_ms > since_ms {
                let sum = tokens.entry(acceptance.volunteer).or_default();
                *sum = sum.saturating_add(u64::from(acceptance.tokens));
            }
        }
        Ok(normalised(tokens.into_iter().collect()))
    })
}

/// Amounts as shares of the largest, which becomes 65535; nobody's becomes nothing.
fn normalised(amounts: Vec<(VolunteerId, u64)>) -> Vec<(VolunteerId, u16)> {
    let most = amounts.iter().map(|(_, amount)| *amount).max().unwrap_or(0);
    if most == 0 {
        return Vec::new();
    }
    amounts
        .into_iter()
        .filter(|(_, amount)| *amount > 0)
        .map(|(volunteer, amount)| {
            let share = u128::from(amount) * u128::from(u16::MAX) / u128::from(most);
            (volunteer, u16::try_from(share).unwrap_or(u16::MAX).max(1))
        })
        .collect()
}

/// Volunteers' weights as `set_weights` takes them: the largest, by account, ascending.
#[must_use]
pub fn targets(mut weights: Vec<(VolunteerId, u16)>) -> Vec<(AccountId, u16)> {
    weights.retain(|(_, weight)| *weight > 0);
    weights.sort_by_key(|(volunteer, weight)| (std::cmp::Reverse(*weight), *volunteer));
    weights.truncate(MAX_WEIGHTS);
    let mut targets: Vec<(AccountId, u16)> = weights
        .into_iter()
        .map(|(volunteer, weight)| (AccountId(volunteer.0), weight))
        .collect();
    targets.sort_unstable();
    targets.dedup_by_key(|(account, _)| *account);
    targets
}

/// The signed action that says `targets` at `height`, unless it is what was said and not old.
#[must_use]
pub fn action(
    ledger: &Ledger,
    key: &Keypair,
    targets: Vec<(AccountId, u16)>,
    height: Height,
) -> Option<SignedAction> {
    let state = ledger.state();
    let account = key.account();
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
    let action = Action {
        app: APP.to_owned(),
        chain: state.chain,
        account,
        nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
        expires: height,
        call: Call::SetWeights {
            netuid: RUN,
            weights: targets,
        },
    };
    // Fails only for numbers beyond 2^53: no run gets there.
    let message = action.message().ok()?;
    Some(SignedAction {
        key: key.kind(),
        signature: key.sign_raw(&message),
        action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volunteer(n: u8) -> VolunteerId {
        VolunteerId([n; 32])
    }

    #[test]
    fn the_most_tokens_weigh_most_and_a_little_weighs_something() {
        let amounts = vec![
            (volunteer(1), 1),
            (volunteer(2), 1 << 40),
            (volunteer(3), 0),
        ];
        assert_eq!(
            normalised(amounts),
            [(volunteer(1), 1), (volunteer(2), u16::MAX)]
        );
        assert_eq!(normalised(vec![(volunteer(1), 0)]), []);
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
        let targets = targets(many);
        assert_eq!(targets.len(), MAX_WEIGHTS);
        assert!(targets.is_sorted_by(|(a, _), (b, _)| a < b));
        let least = targets.iter().map(|(_, weight)| *weight).min();
        assert_eq!(least, Some(u16::MAX / 30 * 30 - 30 * 1023));
    }
}
