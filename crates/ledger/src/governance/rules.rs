//! Which values a rule can take (economics section 4.2): within the bounds the run was founded with, so
//! that no majority can make notices meaningless or hold what people own for ever.

use super::RuleChange;
use crate::{
    conviction::ONE_YEAR,
    error::LedgerError,
    params::{EIGHTEEN_PERCENT, Rules},
    pool::MINIMUM_RESERVE,
    units::UNIT,
};

/// Longest notice, cliff, delay or release, in blocks.
const LONGEST_WAIT: u64 = ONE_YEAR;

/// Longest time constant of a lock, in blocks.
const SLOWEST: u64 = 10 * ONE_YEAR;

impl RuleChange {
    /// Nothing may be set below the least notice the run was founded with, or beyond reason.
    pub(super) fn check(&self, least_notice: u64) -> Result<(), LedgerError> {
        let within = |low: u64, high: u64, value: u64| (low..=high).contains(&value);
        let fits = match self {
            Self::UnlockCliff(blocks)
            | Self::TakeoverNotice(blocks)
            | Self::GovernanceNotice(blocks)
            | Self::ColdkeySwapDelay(blocks) => {
                within(least_notice, LONGEST_WAIT.max(least_notice), *blocks)
            }
            Self::UnlockRelease(blocks) => within(0, LONGEST_WAIT, *blocks),
            Self::MaxTake(take) => *take <= EIGHTEEN_PERCENT,
            Self::LockRates(rates) => {
                within(1, SLOWEST, rates.unlock) && within(1, SLOWEST, rates.maturity)
            }
            Self::RegistrationBurn { min, max } => within(min.0, 1000 * UNIT, max.0),
            // Above this nobody with little could leave any more.
            Self::MinStake(least) => least.0 <= UNIT,
            // Below this a pool does not trade, and above nobody could found a subnet.
            Self::SubnetCost(least) => within(MINIMUM_RESERVE, 1_000_000 * UNIT, least.0),
            Self::NewLocksDecay(_) => true,
        };
        if fits {
            Ok(())
        } else {
            Err(LedgerError::UnfitChange("the value is out of bounds"))
        }
    }

    pub(super) fn set(&self, rules: &mut Rules) {
        match self {
            Self::LockRates(rates) => rules.lock_rates = *rates,
            Self::NewLocksDecay(decay) => rules.new_locks_decay = *decay,
            Self::UnlockCliff(blocks) => rules.unlock_cliff = *blocks,
            Self::UnlockRelease(blocks) => rules.unlock_release = *blocks,
            Self::TakeoverNotice(blocks) => rules.takeover_notice = *blocks,
            Self::GovernanceNotice(blocks) => rules.governance_notice = *blocks,
            Self::MinStake(least) => rules.min_stake = *least,
            Self::MaxTake(take) => rules.max_take = *take,
            Self::ColdkeySwapDelay(blocks) => rules.coldkey_swap_delay = *blocks,
            Self::RegistrationBurn { min, max } => rules.registration_burn = (*min, *max),
            Self::SubnetCost(least) => rules.subnet_cost = *least,
        }
    }
}
