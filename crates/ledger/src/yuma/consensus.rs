//! The weighted median of what validators said of each miner, and what is left of their weights when
//! nothing above it counts (economics, section 3, steps 5 to 7).
//!
//! What a reader would get wrong: a validator that said nothing of a miner said 0, and its stake is on
//! the side of 0. So a miner whom less than `κ` of the stake mentions gets nothing.

use ruint::aliases::U256;

use super::U16_UNIT;
use super::weights::{Row, fraction, wide};
use crate::fixed::U64F64;

/// Per miner the value `w` with `stake{W < w} ≤ 1 − κ < stake{W ≤ w}`. With `κ` 0 no value satisfies the
/// second half; the greatest is meant then.
pub fn medians(miners: u32, said: &[Row], stakes: &[u64], kappa: u16) -> Vec<U64F64> {
    let mut columns: Vec<Vec<(U64F64, u128)>> = vec![Vec::new(); miners as usize];
    for (row, stake) in said.iter().zip(stakes) {
        for (miner, weight) in row.iter() {
            if let Some(column) = columns.get_mut(miner as usize) {
                column.push((weight, u128::from(*stake)));
            }
        }
    }
    let total: u128 = stakes.iter().map(|stake| u128::from(*stake)).sum();
    // The stake up to which the median lies, exactly: both sides times 65535.
    let reach = U256::from(total) * U256::from(U16_UNIT - kappa);
    columns
        .into_iter()
        .map(|column| median(column, total, reach))
        .collect()
}

fn median(mut column: Vec<(U64F64, u128)>, total: u128, reach: U256) -> U64F64 {
    column.retain(|(_, stake)| *stake > 0);
    column.sort_unstable();
    let mentioned: u128 = column.iter().map(|(_, stake)| stake).sum();
    let mut below = total - mentioned;
    let beyond = |below: u128| U256::from(below) * U256::from(U16_UNIT) > reach;
    let mut last = U64F64::ZERO;
    for (weight, stake) in column {
        if beyond(below) {
            break;
        }
        last = weight;
        below += stake;
    }
    last
}

/// The rows with nothing above the consensus.
pub fn clip(said: &[Row], consensus: &[U64F64]) -> Vec<Row> {
    let limit = |miner: u32| consensus.get(miner as usize).copied().unwrap_or_default();
    said.iter()
        .map(|row| row.map(|miner, weight| weight.min(limit(miner))))
        .collect()
}

/// Ranks and incentives.
pub fn incentive(miners: u32, clipped: &[Row], stakes: &[u64]) -> (Vec<U64F64>, Vec<U64F64>) {
    let mut sums = vec![U256::ZERO; miners as usize];
    for (row, stake) in clipped.iter().zip(stakes) {
        for (miner, weight) in row.iter() {
            if let Some(sum) = sums.get_mut(miner as usize) {
                *sum += wide(weight) * U256::from(*stake);
            }
        }
    }
    let stake: U256 = sum(stakes.iter().map(|stake| U256::from(*stake)));
    let all = sum(sums.iter().copied());
    let rank = |sum: &U256| {
        let bits = sum.checked_div(stake).unwrap_or_default();
        U64F64::from_bits(bits.saturating_to())
    };
    (
        sums.iter().map(rank).collect(),
        sums.iter().map(|sum| fraction(*sum, all)).collect(),
    )
}

/// A sum of numbers far too small to overflow it.
pub fn sum(numbers: impl Iterator<Item = U256>) -> U256 {
    numbers.fold(U256::ZERO, U256::saturating_add)
}
