//! Bonds: who backed which miner, for how long, and what that earns a validator (economics, section 3,
//! steps 9 to 12).
//!
//! What a reader would get wrong: the two forms keep different things under the name of bonds. Classic
//! bonds are shares of a miner's column, stake included, and sum to 1 over validators. Yuma3's are each
//! validator's own average of its weights; they become shares, and meet the stake, only when paid.

use ruint::aliases::U256;

use super::consensus::sum;
use super::weights::{Row, fraction, wide};
use super::{Form, LiquidAlpha, MILLION, Params, U16_UNIT};
use crate::fixed::{I64F64, U64F64, exp, quotient};

/// What the epoch has found so far.
pub struct Epoch<'a> {
    /// Per validator; 0 without a permit.
    pub stakes: &'a [u64],
    pub said: &'a [Row],
    pub clipped: &'a [Row],
    /// Per miner.
    pub consensus: &'a [U64F64],
    /// Per miner.
    pub incentive: &'a [U64F64],
}

impl Epoch<'_> {
    /// Dividends and the bonds to keep, from the bonds before.
    pub fn settle(&self, before: Vec<Row>, params: &Params) -> (Vec<U64F64>, Vec<Row>) {
        let backed = self.backed(params.bonds_penalty);
        let kept = params.bonds_moving_average.min(MILLION);
        let pace = fraction(U256::from(MILLION - kept), U256::from(MILLION));
        match params.form {
            Form::Classic => {
                let before = by_column(&before, &self.ones());
                let fresh = by_column(&backed, self.stakes);
                let moved = average(&before, &fresh, |_, _, _| pace);
                let bonds = by_column(&moved, &self.ones());
                (self.dividends(&bonds, &self.ones()), bonds)
            }
            Form::Yuma3 { liquid_alpha } => {
                let bonds = average(&before, &backed, |miner, weight, bond| {
                    liquid_alpha.map_or(pace, |liquid| {
                        own_pace(liquid, self.consensus_of(miner), weight, bond)
                    })
                });
                let shares = by_column(&bonds, &self.ones());
                (self.dividends(&shares, self.stakes), bonds)
            }
        }
    }

    /// `(1 − β)·W + β·Wc`: the weights with the penalty for what is above consensus.
    fn backed(&self, penalty: u16) -> Vec<Row> {
        let mix = |_: u32, said: U64F64, clipped: U64F64| {
            let said = wide(said) * U256::from(U16_UNIT - penalty);
            let mixed = said + wide(clipped) * U256::from(penalty);
            U64F64::from_bits((mixed / U256::from(U16_UNIT)).saturating_to())
        };
        let pairs = self.said.iter().zip(self.clipped);
        pairs
            .map(|(said, clipped)| said.zip(clipped, mix))
            .collect()
    }

    /// Each validator's part of `Σ_j bond·incentive`, weighed by `factors`.
    fn dividends(&self, bonds: &[Row], factors: &[u64]) -> Vec<U64F64> {
        let earned: Vec<U256> = bonds
            .iter()
            .zip(factors)
            .map(|(row, factor)| {
                // At most 2^128 a row, for its bonds and the sum of incentives are at most 1.
                let incentives = row.iter().map(|(miner, bond)| {
                    let incentive = self.incentive.get(miner as usize).copied();
                    wide(bond) * wide(incentive.unwrap_or_default())
                });
                // With the factor 2^192; the division that follows needs room.
                (sum(incentives) * U256::from(*factor)) >> 32usize
            })
            .collect();
        let all = sum(earned.iter().copied());
        earned.iter().map(|part| fraction(*part, all)).collect()
    }

    fn consensus_of(&self, miner: u32) -> U64F64 {
        self.consensus
            .get(miner as usize)
            .copied()
            .unwrap_or_default()
    }

    fn ones(&self) -> Vec<u64> {
        vec![1; self.stakes.len()]
    }
}

/// `pace·fresh + (1 − pace)·old`, each bond at the pace given for its miner, new weight and old bond.
fn average(
    before: &[Row],
    fresh: &[Row],
    pace: impl Fn(u32, U64F64, U64F64) -> U64F64,
) -> Vec<Row> {
    let moved = |miner: u32, old: U64F64, new: U64F64| {
        let pace = pace(miner, new, old).min(U64F64::ONE);
        let sum = wide(pace) * wide(new) + wide(U64F64::ONE - pace) * wide(old);
        U64F64::from_bits((sum >> 64usize).saturating_to())
    };
    let pairs = before.iter().zip(fresh);
    pairs.map(|(old, new)| old.zip(new, moved)).collect()
}

/// Every fraction times its row's factor, as a part of its column.
fn by_column(rows: &[Row], factors: &[u64]) -> Vec<Row> {
    let miners = rows
        .iter()
        .flat_map(Row::iter)
        .map(|(miner, _)| miner as usize + 1);
    let mut columns = vec![U256::ZERO; miners.max().unwrap_or(0)];
    let scaled = |value: U64F64, factor: u64| wide(value) * U256::from(factor);
    for (row, factor) in rows.iter().zip(factors) {
        for (miner, value) in row.iter() {
            if let Some(column) = columns.get_mut(miner as usize) {
                *column += scaled(value, *factor);
            }
        }
    }
    let share = |miner: u32, value: U64F64, factor: u64| {
        let column = columns.get(miner as usize).copied().unwrap_or_default();
        fraction(scaled(value, factor), column)
    };
    let pairs = rows.iter().zip(factors);
    pairs
        .map(|(row, factor)| row.map(|miner, value| share(miner, value, *factor)))
        .collect()
}

/// The pace of one bond: slow where it follows consensus, fast where a validator bought above it or
/// sold what it had. `low + (high − low)/(1 + e^(−steepness·(difference − ½)))`.
fn own_pace(liquid: LiquidAlpha, consensus: U64F64, weight: U64F64, bond: U64F64) -> U64F64 {
    let difference = if weight >= bond {
        weight.saturating_sub(consensus)
    } else {
        bond.saturating_sub(weight)
    };
    let from_half = I64F64::saturating_from_num(difference.min(U64F64::ONE)) - I64F64::lit("0.5");
    let steepness = I64F64::from_num(liquid.steepness) / I64F64::from_num(100);
    // e^±40 is as far as the exponential goes; beyond it the sigmoid is flat.
    let limit = I64F64::from_num(40);
    let exponent = steepness.saturating_mul(from_half).saturating_neg();
    let power = exp(exponent.clamp(-limit, limit));
    let sigmoid = quotient(I64F64::ONE, I64F64::ONE.saturating_add(power));
    let part = |value: u16| fraction(U256::from(value), U256::from(U16_UNIT));
    let (low, high) = (part(liquid.low), part(liquid.high.max(liquid.low)));
    let sigmoid = U64F64::saturating_from_num(sigmoid);
    low.saturating_add(sigmoid.saturating_mul(high - low))
        .min(high)
}
