//! An epoch's emission in whole rao (economics, section 3, step 13).
//!
//! What a reader would get wrong: fractions are of the sum of all incentives *and* dividends, so miners
//! and validators get half each only because both sums are 1 less cut-off. Whatever the floors leave is
//! handed back as the remainder, and nothing is lost.

use ruint::aliases::U256;

use super::consensus::sum;
use super::weights::wide;
use crate::fixed::U64F64;

/// Shares `total` rao out by incentive and dividends; by `stake` among validators where nobody has
/// either. `dividends` and `stake` are by validator; where one is shorter, the rest of it is 0.
///
/// Gives the amounts per miner, those per validator, and what nobody gets: the floors' leftovers, or
/// everything if nobody deserves anything. All of it together is `total`.
pub fn share_out(
    total: u64,
    incentive: &[U64F64],
    dividends: &[U64F64],
    stake: &[u64],
) -> (Vec<u64>, Vec<u64>, u64) {
    let validators = dividends.len().max(stake.len());
    let part = |fractions: &[U64F64], i: usize| wide(fractions.get(i).copied().unwrap_or_default());
    let mut to_miners: Vec<U256> = (0..incentive.len()).map(|i| part(incentive, i)).collect();
    let mut to_validators: Vec<U256> = (0..validators).map(|i| part(dividends, i)).collect();
    let is_nothing = |parts: &[U256]| parts.iter().all(U256::is_zero);
    if is_nothing(&to_miners) && is_nothing(&to_validators) {
        let stake = |i: usize| U256::from(stake.get(i).copied().unwrap_or_default());
        to_validators = (0..validators).map(stake).collect();
        to_miners = vec![U256::ZERO; incentive.len()];
    }
    let all = sum(to_miners.iter().chain(&to_validators).copied());
    let amount = |part: &U256| -> u64 {
        let share = (U256::from(total) * *part).checked_div(all);
        share.unwrap_or_default().saturating_to()
    };
    let miners: Vec<u64> = to_miners.iter().map(amount).collect();
    let validators: Vec<u64> = to_validators.iter().map(amount).collect();
    // Floors of parts of the total: their sum cannot pass it.
    let remainder = miners
        .iter()
        .chain(&validators)
        .fold(total, |left, amount| left.saturating_sub(*amount));
    (miners, validators, remainder)
}
