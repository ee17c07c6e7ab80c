//! What is minted and who gets it (economics section 2.4).
//!
//! A pure function of height and state: the curve halves with what was issued, subnets share TAO by their
//! average price, alpha follows each subnet's own curve. Nothing here reads governance. What a reader
//! would get wrong: amounts are per block, but they are minted and paid at epochs, block by block where a
//! halving falls inside one.
//!
//! Differences from the chain, each because this ledger has no root subnet: injection is not scaled by
//! root's proportion, and no part of validators' alpha goes to root stakers.

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    apply::trade,
    fixed::U64F64,
    state::State,
    units::{Alpha, Height, NetUid, Rao},
    wide::{mul_div, share_of},
};

/// How one epoch's alpha of a subnet was divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochReport {
    pub height: Height,
    /// TAO that went into the pool.
    pub tao: Rao,
    pub owner_cut: Alpha,
    /// By contributor.
    pub incentive: Vec<(AccountId, Alpha)>,
    /// By validator, before its take.
    pub dividends: Vec<(AccountId, Alpha)>,
    /// Left for the next epoch.
    pub pending: Alpha,
}

/// How often a curve has halved: `floor(log2(1 / (1 - issued / limit)))`.
#[must_use]
pub fn halvings(issued: u64, limit: u64) -> u32 {
    let left = limit.saturating_sub(issued);
    // The k-th halving is where 1/2^k of the limit is left.
    (1..=63).take_while(|k| left <= limit >> k).count() as u32
}

/// What `blocks` blocks mint on a curve that starts at `per_block`.
#[must_use]
pub fn minted(issued: u64, limit: u64, per_block: u64, blocks: u64) -> u64 {
    let (mut issued, mut blocks, mut sum) = (issued, blocks, 0_u64);
    while blocks > 0 {
        let halvings = halvings(issued, limit);
        let rate = per_block.checked_shr(halvings).unwrap_or(0);
        if rate == 0 || halvings >= 63 {
            break;
        }
        // Blocks until the next halving's threshold is reached.
        let threshold = limit - (limit >> (halvings + 1));
        let until = threshold.saturating_sub(issued).div_ceil(rate).max(1);
        let run = until.min(blocks);
        let amount = rate.saturating_mul(run).min(limit.saturating_sub(issued));
        sum = sum.saturating_add(amount);
        issued = issued.saturating_add(amount);
        blocks -= run;
    }
    sum
}

/// Each subnet's share of `tao`, by average price; equal where no subnet has a price.
#[must_use]
pub fn divide(state: &State, tao: Rao) -> Vec<(NetUid, Rao)> {
    // Averages are below one (section 2.4), so their upper 64 fractional bits are what tells them apart.
    let weight = |average: U64F64| (average.to_bits() >> 32).min(u128::from(u64::MAX >> 8));
    let subnets: Vec<(NetUid, u128)> = state
        .subnets
        .iter()
        .map(|(netuid, subnet)| (*netuid, weight(subnet.price_average)))
        .collect();
    let sum: u128 = subnets.iter().map(|(_, weight)| weight).sum();
    let count = subnets.len() as u64;
    let part = |weight: u128| match sum {
        0 => share_of(tao.0, 1, count),
        _ => u64::try_from(mul_div(u128::from(tao.0), weight, sum)).unwrap_or(0),
    };
    subnets
        .into_iter()
        .map(|(netuid, weight)| (netuid, Rao(part(weight))))
        .collect()
}

/// Puts an epoch's TAO into a pool at its price, with as much alpha as the subnet's curve allows; what
/// remains buys alpha for the protocol. Gives the TAO that went in; nothing is minted that did not.
pub fn inject(state: &mut State, netuid: NetUid, tao: Rao, alpha_limit: Alpha) -> Rao {
    let Some(subnet) = state.subnets.get(&netuid) else {
        return Rao::ZERO;
    };
    let price = subnet.pool.price().to_bits();
    let wanted = mul_div(u128::from(tao.0), 1 << 64, price);
    let alpha = u64::try_from(wanted).unwrap_or(u64::MAX).min(alpha_limit.0);
    let beside = if u128::from(alpha) == wanted {
        tao.0
    } else {
        let beside = mul_div(u128::from(alpha), price, 1 << 64);
        u64::try_from(beside).unwrap_or(u64::MAX).min(tao.0)
    };
    let mut used = Rao::ZERO;
    if let Some(subnet) = state.subnets.get_mut(&netuid)
        && subnet.pool.inject(beside, alpha).is_ok()
    {
        used = Rao(beside);
        state.issuance = Rao(state.issuance.0.saturating_add(beside));
    }
    let rest = tao.saturating_sub(Rao(beside));
    let mut next = state.clone();
    next.issuance = Rao(next.issuance.0.saturating_add(rest.0));
    if !rest.is_zero()
        && let Ok(swap) = trade::buy_free(&mut next, netuid, rest)
    {
        if let Some(subnet) = next.subnets.get_mut(&netuid) {
            let held = subnet.protocol_alpha.0.saturating_add(swap.output);
            subnet.protocol_alpha = Alpha(held);
        }
        *state = next;
        used = Rao(used.0.saturating_add(rest.0));
    }
    used
}

/// `EMA <- a * min(p, 1) + (1 - a) * EMA` with `a = 3e-6 * b / (b + 201600)` for each of an epoch's blocks
/// at once; `b` is the subnet's age.
#[must_use]
pub fn price_average(average: U64F64, price: U64F64, age: u64, blocks: u64) -> U64F64 {
    let age = u128::from(age);
    let per_million = 3 * u128::from(blocks);
    let a = mul_div(per_million << 64, age, (age + 201_600) * 1_000_000).min(1 << 64);
    let price = price.min(U64F64::ONE).to_bits();
    let new = mul_div(price, a, 1 << 64);
    let old = mul_div(average.to_bits(), (1 << 64) - a, 1 << 64);
    U64F64::from_bits(new.saturating_add(old))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::UNIT;

    const LIMIT: u64 = 21_000_000 * UNIT;

    #[test]
    fn the_curve_halves_where_the_chain_halves() {
        let million = |m: u64| m * UNIT / 2 * 1_000_000;
        assert_eq!(halvings(0, LIMIT), 0);
        assert_eq!(halvings(million(21) - 1, LIMIT), 0);
        assert_eq!(halvings(million(21), LIMIT), 1);
        assert_eq!(halvings(million(42) / 4 * 3, LIMIT), 2);
        assert_eq!(halvings(LIMIT, LIMIT), 63);
    }

    proptest! {
        #[test]
        fn minting_in_parts_mints_the_same(
            issued in 0..=LIMIT, blocks in 0..5_000_000_u64, cut in 0..5_000_000_u64,
        ) {
            let cut = cut.min(blocks);
            let first = minted(issued, LIMIT, UNIT, cut);
            let second = minted(issued + first, LIMIT, UNIT, blocks - cut);
            prop_assert_eq!(first + second, minted(issued, LIMIT, UNIT, blocks));
            prop_assert!(issued + first + second <= LIMIT);
        }
    }
}
