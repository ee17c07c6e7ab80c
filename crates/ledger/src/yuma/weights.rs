//! Sparse rows of fractions, and how a validator's raw weights become one (economics, section 3,
//! step 4).
//!
//! What a reader would get wrong: a fraction is cut off to 64 binary digits, and equal fractions stay
//! equal whatever their terms were, 1/3 as much as 2/6. The median depends on it.

use ruint::aliases::U256;

use super::Validator;
use crate::fixed::U64F64;

/// One validator's fractions by miner, ascending, without zeros; what is missing is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(Vec<(u32, U64F64)>);

impl Row {
    /// A row from entries in any order; several for one miner add up.
    fn collect(entries: impl Iterator<Item = (u32, U64F64)>) -> Self {
        let mut sorted: Vec<_> = entries.collect();
        sorted.sort_by_key(|(miner, _)| *miner);
        sorted.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self(sorted).without_zeros()
    }

    fn without_zeros(mut self) -> Self {
        self.0.retain(|(_, fraction)| *fraction > U64F64::ZERO);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, U64F64)> + '_ {
        self.0.iter().copied()
    }

    /// The fraction for a miner.
    pub fn get(&self, miner: u32) -> U64F64 {
        self.0
            .binary_search_by_key(&miner, |(at, _)| *at)
            .ok()
            .and_then(|position| self.0.get(position))
            .map_or(U64F64::ZERO, |(_, fraction)| *fraction)
    }

    /// The row with each fraction replaced.
    pub fn map(&self, mut by: impl FnMut(u32, U64F64) -> U64F64) -> Self {
        Self(
            self.iter()
                .map(|(miner, old)| (miner, by(miner, old)))
                .collect(),
        )
        .without_zeros()
    }

    /// A row over the miners of either, from the fractions of both.
    pub fn zip(&self, other: &Self, by: impl Fn(u32, U64F64, U64F64) -> U64F64) -> Self {
        let mut miners: Vec<u32> = self
            .iter()
            .chain(other.iter())
            .map(|(miner, _)| miner)
            .collect();
        miners.sort_unstable();
        miners.dedup();
        let both = |miner| (miner, by(miner, self.get(miner), other.get(miner)));
        Self(miners.into_iter().map(both).collect()).without_zeros()
    }

    pub fn sum(&self) -> U64F64 {
        self.iter().fold(U64F64::ZERO, |sum, (_, fraction)| {
            sum.saturating_add(fraction)
        })
    }

    pub fn into_vec(self) -> Vec<(u32, U64F64)> {
        self.0
    }
}

/// Each validator's weights as fractions of their sum. Empty without a permit; a validator's weight for
/// itself is dropped, unless it is the owner.
pub fn rows(miners: u32, validators: &[Validator]) -> Vec<Row> {
    validators
        .iter()
        .map(|validator| row(miners, validator))
        .collect()
}

fn row(miners: u32, validator: &Validator) -> Row {
    if !validator.permit {
        return Row::default();
    }
    let counts = |miner: u32| miner < miners && (validator.owner || validator.miner != Some(miner));
    let said = || validator.weights.iter().filter(|(miner, _)| counts(*miner));
    let sum: u128 = said().map(|(_, weight)| u128::from(*weight)).sum();
    // Added up before they are divided, or a weight in two parts would be a digit short.
    let whole = Row::collect(said().map(|(miner, weight)| (*miner, U64F64::from_num(*weight))));
    whole.map(|_, weight| fraction(U256::from(weight.to_num::<u64>()), U256::from(sum)))
}

/// The bonds that validators with a permit brought, none above 1.
pub fn old_bonds(miners: u32, validators: &[Validator]) -> Vec<Row> {
    let bonds = |validator: &Validator| {
        if !validator.permit {
            return Row::default();
        }
        let held = validator.bonds.iter().filter(|(miner, _)| *miner < miners);
        Row::collect(held.copied()).map(|_, bond| bond.min(U64F64::ONE))
    };
    validators.iter().map(bonds).collect()
}

/// `part / whole`, cut off; 0 of nothing. `part` is below 2^192 and not above `whole`.
pub fn fraction(part: U256, whole: U256) -> U64F64 {
    let bits = (part << 64usize).checked_div(whole).unwrap_or_default();
    U64F64::from_bits(bits.saturating_to())
}

/// The bits of a fraction as a wide integer, to multiply and sum exactly.
pub fn wide(fraction: U64F64) -> U256 {
    U256::from(fraction.to_bits())
}
