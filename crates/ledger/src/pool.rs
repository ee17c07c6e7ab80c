//! A subnet's pool of alpha and TAO, the chain's "balancer": swaps along `x^w1 · y^w2`, price limits,
//! and injections that leave the price alone (economics, section 2.1).
//!
//! What a reader would get wrong: two things. The fee never enters the pool; it is taken off the input
//! before the curve sees it, and belongs to whoever the caller pays it to. And no result is ever
//! rounded in the trader's favour, so buying and selling back cannot profit.

mod curve;
mod power;

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fixed::U64F64;
use curve::{Side, WHOLE};

/// One in the unit of [`Pool::quote`] (the chain's Perquintill).
pub const QUOTE_UNIT: u64 = WHOLE;
/// The weights of a new pool.
pub const DEFAULT_QUOTE: u64 = QUOTE_UNIT / 2;
/// No weight may be below a hundredth.
pub const MINIMUM_WEIGHT: u64 = QUOTE_UNIT / 100;
/// Rao that must stay in the reserve that a swap pays from.
pub const MINIMUM_RESERVE: u64 = 1_000_000;
/// A swap's input may be this many times the reserve it goes to, and no more.
pub const MAXIMUM_INPUT_RATIO: u64 = 1_000;
/// The fee is this many in [`FEE_UNIT`] of the input: about 0.05 %.
pub const FEE: u64 = 33;
/// The whole of which [`FEE`] is a part.
pub const FEE_UNIT: u64 = 65_535;
/// Prices are in rao for this many rao of alpha.
pub const PRICE_UNIT: u64 = 1_000_000_000;

/// Why a pool refuses. The names are the chain's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    /// The price is already at the limit or beyond it.
    #[error("the price is already at the limit or beyond it")]
    PriceLimitExceeded,
    /// The swap would take more than the pool can give, or bring absurdly much.
    #[error("the pool is too small for this amount")]
    InsufficientLiquidity,
    /// The reserve to pay from is below [`MINIMUM_RESERVE`].
    #[error("the pool's reserves are too low to swap")]
    ReservesTooLow,
    /// The input is too little to buy anything.
    #[error("the amount is too small to buy anything")]
    InsufficientInputAmount,
    /// A weight is, or would come to be, outside 0.01 to 0.99.
    #[error("a weight of the pool would be outside 0.01 to 0.99")]
    ReservesOutOfBalance,
    /// A reserve would not fit its number.
    #[error("a reserve would overflow")]
    ReserveOverflow,
}

/// The reserves and weights of one subnet's pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Alpha held, in rao: x.
    pub alpha: u64,
    /// TAO held, in rao: y.
    pub tao: u64,
    /// The weight of TAO, w2, in [`QUOTE_UNIT`]; the weight of alpha is the rest.
    pub quote: u64,
}

/// A swap that was computed. It happened when `after` became the pool's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swap {
    /// What the trader pays, fee included.
    pub input: u64,
    /// The part of it that goes to whoever fees go to, in the input's token.
    pub fee: u64,
    /// What the trader gets.
    pub output: u64,
    /// The pool afterwards.
    pub after: Pool,
}

impl Pool {
    /// A pool that holds `alpha` and `tao` rao, with the weight `quote` of TAO.
    ///
    /// # Errors
    /// [`PoolError::ReservesTooLow`] for an empty reserve, [`PoolError::ReservesOutOfBalance`] for a
    /// weight outside 0.01 to 0.99.
    pub fn new(alpha: u64, tao: u64, quote: u64) -> Result<Self, PoolError> {
        let pool = Self { alpha, tao, quote };
        pool.sides().map(|_| pool)
    }

    /// The spot price `(w1/w2)·(y/x)` in rao per alpha, rounded down and saturating; 0 for a pool that
    /// [`Pool::new`] would refuse.
    pub fn price_rao(&self) -> u64 {
        self.sides().map_or(0, |(alpha, tao)| {
            let (above, below) = price_parts(alpha, tao);
            (above * U256::from(PRICE_UNIT) / below).saturating_to()
        })
    }

    /// The spot price in TAO per alpha, cut off and saturating; 0 for a pool that [`Pool::new`] would
    /// refuse.
    pub fn price(&self) -> U64F64 {
        self.sides().map_or(U64F64::ZERO, |(alpha, tao)| {
            let (above, below) = price_parts(alpha, tao);
            U64F64::from_bits(((above << 64usize) / below).saturating_to::<u128>())
        })
    }

    /// Buys alpha with `tao_in` rao of TAO, the fee included.
    ///
    /// # Errors
    /// Any of [`PoolError`] but `PriceLimitExceeded`.
    pub fn buy(&self, tao_in: u64) -> Result<Swap, PoolError> {
        let (alpha, tao) = self.sides()?;
        let (fee, output) = swap(tao, alpha, tao_in)?;
        let after = Self {
            alpha: alpha.reserve - output,
            tao: grow(tao.reserve, tao_in - fee)?,
            quote: self.quote,
        };
        Ok(Swap {
            input: tao_in,
            fee,
            output,
            after,
        })
    }

    /// Sells `alpha_in` rao of alpha, the fee included.
    ///
    /// # Errors
    /// Any of [`PoolError`] but `PriceLimitExceeded`.
    pub fn sell(&self, alpha_in: u64) -> Result<Swap, PoolError> {
        let (alpha, tao) = self.sides()?;
        let (fee, output) = swap(alpha, tao, alpha_in)?;
        let after = Self {
            alpha: grow(alpha.reserve, alpha_in - fee)?,
            tao: tao.reserve - output,
            quote: self.quote,
        };
        Ok(Swap {
            input: alpha_in,
            fee,
            output,
            after,
        })
    }

    /// Alpha that the curve alone gives for `tao` rao, with no fee and no guard.
    ///
    /// # Errors
    /// For a pool that [`Pool::new`] would refuse.
    pub fn curve_buy(&self, tao: u64) -> Result<u64, PoolError> {
        let (alpha, side) = self.sides()?;
        Ok(curve::output(side, alpha, tao))
    }

    /// TAO that the curve alone gives for `alpha` rao, with no fee and no guard.
    ///
    /// # Errors
    /// For a pool that [`Pool::new`] would refuse.
    pub fn curve_sell(&self, alpha: u64) -> Result<u64, PoolError> {
        let (side, tao) = self.sides()?;
        Ok(curve::output(side, tao, alpha))
    }

    /// The most TAO, fee included, that buys alpha without the price passing `limit_price` (rao per
    /// alpha). The amount saturates; [`Pool::buy`] may still find it too large for the pool.
    ///
    /// # Errors
    /// [`PoolError::PriceLimitExceeded`] when the price is there already, and as [`Pool::new`] and
    /// [`PoolError::ReservesTooLow`].
    pub fn max_buy(&self, limit_price: u64) -> Result<u64, PoolError> {
        let (alpha, tao) = self.sides()?;
        check_output(alpha)?;
        let (limit, spot) = limit_and_spot(alpha, tao, limit_price);
        if limit <= spot {
            return Err(PoolError::PriceLimitExceeded);
        }
        Ok(gross(curve::input_to(tao, alpha, limit, spot)))
    }

    /// The most alpha, fee included, that can be sold without the price falling below `limit_price`
    /// (rao per alpha). The amount saturates, as it does for a limit of 0.
    ///
    /// # Errors
    /// [`PoolError::PriceLimitExceeded`] when the price is there already, and as [`Pool::new`] and
    /// [`PoolError::ReservesTooLow`].
    pub fn max_sell(&self, limit_price: u64) -> Result<u64, PoolError> {
        let (alpha, tao) = self.sides()?;
        check_output(tao)?;
        let (limit, spot) = limit_and_spot(alpha, tao, limit_price);
        if limit >= spot {
            return Err(PoolError::PriceLimitExceeded);
        }
        if limit.is_zero() {
            return Ok(u64::MAX);
        }
        // Selling moves the price of TAO in alpha up, from 1/spot to 1/limit.
        Ok(gross(curve::input_to(alpha, tao, spot, limit)))
    }

    /// Adds to the reserves and moves the weights so that the price stays (within the weights'
    /// precision, 10^-16 of it). A refusal changes nothing.
    ///
    /// # Errors
    /// [`PoolError::ReservesOutOfBalance`] when a weight would leave 0.01 to 0.99,
    /// [`PoolError::ReserveOverflow`], and as [`Pool::new`].
    pub fn inject(&mut self, tao: u64, alpha: u64) -> Result<(), PoolError> {
        let (old_alpha, old_tao) = self.sides()?;
        let new_alpha = grow(old_alpha.reserve, alpha)?;
        let new_tao = grow(old_tao.reserve, tao)?;
        let product =
            |weight: u64, a: u64, b: u64| U256::from(weight) * U256::from(a) * U256::from(b);
        let of_alpha = product(old_alpha.weight, old_tao.reserve, new_alpha);
        let of_tao = product(old_tao.weight, old_alpha.reserve, new_tao);
        let quote = of_tao * U256::from(QUOTE_UNIT) / (of_alpha + of_tao);
        *self = Self::new(new_alpha, new_tao, quote.saturating_to())?;
        Ok(())
    }

    /// Alpha's side and TAO's, both fit for the curve.
    fn sides(&self) -> Result<(Side, Side), PoolError> {
        if self.alpha == 0 || self.tao == 0 {
            return Err(PoolError::ReservesTooLow);
        }
        if !(MINIMUM_WEIGHT..=QUOTE_UNIT - MINIMUM_WEIGHT).contains(&self.quote) {
            return Err(PoolError::ReservesOutOfBalance);
        }
        let side = |reserve, weight| Side { reserve, weight };
        Ok((
            side(self.alpha, QUOTE_UNIT - self.quote),
            side(self.tao, self.quote),
        ))
    }
}

/// The fee on a gross input, rounded down.
pub fn fee_on(input: u64) -> u64 {
    let fee = u128::from(input) * u128::from(FEE) / u128::from(FEE_UNIT);
    // Less than the input.
    u64::try_from(fee).unwrap_or(input)
}

/// The gross input of which `net` is left: [`fee_on`] it is exactly what was added.
fn gross(net: u64) -> u64 {
    let fee = u128::from(net) * u128::from(FEE) / u128::from(FEE_UNIT - FEE);
    net.saturating_add(u64::try_from(fee).unwrap_or(u64::MAX))
}

/// Fee and output of a swap, behind the guards.
fn swap(input: Side, output: Side, amount: u64) -> Result<(u64, u64), PoolError> {
    check_output(output)?;
    if amount > input.reserve.saturating_mul(MAXIMUM_INPUT_RATIO) {
        return Err(PoolError::InsufficientLiquidity);
    }
    let fee = fee_on(amount);
    let taken = curve::output(input, output, amount - fee);
    if taken == 0 {
        return Err(PoolError::InsufficientInputAmount);
    }
    match output.reserve.checked_sub(taken) {
        Some(left) if left >= MINIMUM_RESERVE => Ok((fee, taken)),
        _ => Err(PoolError::InsufficientLiquidity),
    }
}

fn check_output(side: Side) -> Result<(), PoolError> {
    if side.reserve < MINIMUM_RESERVE {
        return Err(PoolError::ReservesTooLow);
    }
    Ok(())
}

fn grow(reserve: u64, amount: u64) -> Result<u64, PoolError> {
    reserve
        .checked_add(amount)
        .ok_or(PoolError::ReserveOverflow)
}

/// `w1·y` and `w2·x`, whose quotient is the price; neither is 0, both are below 2^124.
fn price_parts(alpha: Side, tao: Side) -> (U256, U256) {
    (
        U256::from(alpha.weight) * U256::from(tao.reserve),
        U256::from(tao.weight) * U256::from(alpha.reserve),
    )
}

/// The limit and the spot price in one unit in which both are integers below 2^188.
fn limit_and_spot(alpha: Side, tao: Side, limit_price: u64) -> (U256, U256) {
    let (above, below) = price_parts(alpha, tao);
    (
        U256::from(limit_price) * below,
        U256::from(PRICE_UNIT) * above,
    )
}

#[cfg(test)]
mod tests;
