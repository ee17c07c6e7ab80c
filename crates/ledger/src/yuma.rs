//! Yuma consensus: what an epoch's miners and validators deserve, from what validators with stake said
//! of miners (economics, section 3), in integers.
//!
//! In the order of the spec's steps: [`weights`] turns what was said into rows that sum to 1 (4);
//! [`consensus`] takes the stake-weighted median of each column and clips the rows to it (5 to 8);
//! [`bonds`] remembers who backed whom (9 to 12); [`share_out`] turns both into amounts (13).
//!
//! What a reader would get wrong: a miner's *rank* is bounded by what the majority said, its *incentive*
//! is not quite: it is the rank over the sum of ranks, which falls when a minority wastes its weight
//! elsewhere. And the columns are miners, the rows validators, each with numbers of their own: a
//! validator that also mines says so with [`Validator::miner`].
//!
//! Fractions are [`U64F64`], cut off, so that what should sum to 1 sums to at most 1. Sums are exact and
//! in 256 bits, so the order of validators or miners changes nothing.

mod bonds;
mod consensus;
mod payout;
mod weights;

use serde::{Deserialize, Serialize};

pub use payout::share_out;

use crate::fixed::U64F64;

/// One in the unit of [`Params::kappa`] and [`Params::bonds_penalty`].
pub const U16_UNIT: u16 = u16::MAX;
/// One in the unit of [`Params::bonds_moving_average`].
pub const MILLION: u64 = 1_000_000;

/// The settings of a subnet's consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Share of stake that must have given a weight for it to count, in 65535ths.
    pub kappa: u16,
    /// How much of what was said beyond consensus is left out of bonds, in 65535ths.
    pub bonds_penalty: u16,
    /// How much of the old bonds an epoch keeps, in millionths; more than a million counts as one.
    pub bonds_moving_average: u64,
    /// How bonds are kept and paid.
    pub form: Form,
}

impl Default for Params {
    /// The chain's, with the form that new subnets get.
    fn default() -> Self {
        Self {
            kappa: 32_767,
            bonds_penalty: U16_UNIT,
            bonds_moving_average: 900_000,
            form: Form::Yuma3 { liquid_alpha: None },
        }
    }
}

/// How bonds are kept and paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Form {
    /// Bonds are shares of each miner, with the stake in them.
    Classic,
    /// Bonds are a moving average of the weights; the stake is applied when they are paid.
    Yuma3 {
        /// Lets every bond move at a pace of its own.
        liquid_alpha: Option<LiquidAlpha>,
    },
}

/// The pace of a bond, from `low` to `high`, by a sigmoid of how far it departs from consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiquidAlpha {
    /// Slowest, in 65535ths.
    pub low: u16,
    /// Fastest, in 65535ths; below `low` it counts as `low`.
    pub high: u16,
    /// Of the sigmoid, in hundredths.
    pub steepness: u16,
}

impl Default for LiquidAlpha {
    /// The chain's: 0.7 to 0.9, steepness 10.
    fn default() -> Self {
        Self {
            low: 45_875,
            high: 58_982,
            steepness: 1_000,
        }
    }
}

/// What is known of one validator before an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// Rao; 0 for one below the subnet's threshold or inactive.
    pub stake: u64,
    /// Whether its weights count; without, its bonds are lost, too.
    pub permit: bool,
    /// Whether it is the subnet's owner, who may give itself weight.
    pub owner: bool,
    /// The miner that it is itself, if any.
    pub miner: Option<u32>,
    /// Weights by miner, in any unit. The caller leaves out those that are older than the miner's
    /// registration. Several for one miner add up, one for no miner is ignored.
    pub weights: Vec<(u32, u16)>,
    /// [`Outcome::bonds`] of the epoch before, less those in miners that were replaced.
    pub bonds: Vec<(u32, U64F64)>,
}

/// What an epoch finds. Vectors are indexed by miner or by validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Per miner: the weight that a majority of stake supports.
    pub consensus: Vec<U64F64>,
    /// Per miner: its clipped weights times stake, summed. Never above `consensus`.
    pub rank: Vec<U64F64>,
    /// Per miner: its part of all ranks. The sum is 1 less cut-off, or 0.
    pub incentive: Vec<U64F64>,
    /// Per validator: how much of its weights the consensus left.
    pub trust: Vec<U64F64>,
    /// Per validator: its part of what validators earn. The sum is 1 less cut-off, or 0.
    pub dividends: Vec<U64F64>,
    /// Per validator: its bonds by miner, ascending, without zeros.
    pub bonds: Vec<Vec<(u32, U64F64)>>,
}

/// Judges an epoch of a subnet with `miners` miners.
pub fn epoch(miners: u32, validators: &[Validator], params: &Params) -> Outcome {
    let stakes: Vec<u64> = validators
        .iter()
        .map(|validator| if validator.permit { validator.stake } else { 0 })
        .collect();
    let said = weights::rows(miners, validators);
    let consensus = consensus::medians(miners, &said, &stakes, params.kappa);
    let clipped = consensus::clip(&said, &consensus);
    let (rank, incentive) = consensus::incentive(miners, &clipped, &stakes);
    let trust = clipped.iter().map(weights::Row::sum).collect();
    let epoch = bonds::Epoch {
        stakes: &stakes,
        said: &said,
        clipped: &clipped,
        consensus: &consensus,
        incentive: &incentive,
    };
    let before = weights::old_bonds(miners, validators);
    let (dividends, bonds) = epoch.settle(before, params);
    Outcome {
        consensus,
        rank,
        incentive,
        trust,
        dividends,
        bonds: bonds.into_iter().map(weights::Row::into_vec).collect(),
    }
}

#[cfg(test)]
mod tests;
