//! What a trade would bring now, and the limit to sign for it (economics section 2.1).
//!
//! Every rounding is against the person who asks: nothing is promised that the pool might not give. The
//! limit is a bound on the price that the trade leaves behind, so every rao of it is traded at the limit
//! or better; `worst` follows from that alone, whatever happens to the pool before.

use covey_ledger::{
    LedgerError,
    pool::{MAXIMUM_INPUT_RATIO, Pool, Swap},
    state::State,
    units::UNIT,
    wide::mul_div,
};
use serde::{Deserialize, Serialize};

use super::units;
use crate::{amount::at_price, error::WalletError};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// TAO in, alpha out.
    Buy,
    /// Alpha in, TAO out.
    Sell,
}

/// See `Quote` in `types.js`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    pub input: String,
    pub fee: String,
    pub output: String,
    pub spot: String,
    pub average: String,
    pub after: String,
    pub slippage: f64,
    pub limit_price: String,
    pub worst: String,
    pub max_input: String,
}

/// A quote on the run's subnet; `tolerance` is the part of the spot price that may be lost, 0 to 1.
pub(crate) fn of(
    state: &State,
    side: Side,
    amount: u64,
    tolerance: f64,
) -> Result<Quote, WalletError> {
    let place =
        super::run(state).ok_or(LedgerError::SubnetNotExists(covey_ledger::genesis::RUN))?;
    if amount == 0 {
        return Err(LedgerError::AmountTooLow.into());
    }
    let pool = place.pool;
    let swap = match side {
        Side::Buy => pool.buy(amount)?,
        Side::Sell => pool.sell(amount)?,
    };
    let limit = limit_price(&pool, side, tolerance);
    Ok(Quote {
        input: units(swap.input),
        fee: units(swap.fee),
        output: units(swap.output),
        spot: units(pool.price_rao()),
        average: units(average(side, &swap)),
        after: units(swap.after.price_rao()),
        slippage: slippage(&pool, side, &swap),
        limit_price: units(limit),
        worst: units(worst(side, &swap, limit)),
        max_input: units(max_input(&pool, side, limit)),
    })
}

/// The price within the tolerance: a buyer's rounded down, a seller's up.
fn limit_price(pool: &Pool, side: Side, tolerance: f64) -> u64 {
    // A float only chooses the tolerance; a billionth is as fine as it gets.
    let billionths = (tolerance.clamp(0.0, 1.0) * 1e9).round() as u64;
    // TAO per alpha times billionths is rao per alpha.
    let price = pool.price().to_bits();
    let scaled = |factor: u64| mul_div(price, u128::from(factor), 1 << 64);
    let limit = match side {
        Side::Buy => scaled(UNIT.saturating_add(billionths)),
        Side::Sell => {
            let factor = UNIT.saturating_sub(billionths);
            // The pool's price is cut off at 2^-64, and the product again.
            let up = u128::from(factor > 0);
            scaled(factor).saturating_add(up)
        }
    };
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Rao per alpha of this trade, fee included, rounded against the trader.
fn average(side: Side, swap: &Swap) -> u64 {
    let (input, output) = (u128::from(swap.input), u128::from(swap.output));
    let unit = u128::from(UNIT);
    let price = match side {
        Side::Buy => (input * unit).div_ceil(output.max(1)),
        Side::Sell => output * unit / input.max(1),
    };
    u64::try_from(price).unwrap_or(u64::MAX)
}

/// How much worse the average is than the spot price, 0 to 1.
fn slippage(pool: &Pool, side: Side, swap: &Swap) -> f64 {
    let spot: f64 = pool.price().to_num();
    let (input, output) = (swap.input as f64, swap.output as f64);
    // Both as what one unit of input brings, so that the answer stays below 1.
    let (fair, got) = match side {
        Side::Buy => (1.0 / spot, output / input),
        Side::Sell => (spot, output / input),
    };
    (1.0 - got / fair).clamp(0.0, 1.0)
}

/// The least that comes out of a trade that the limit allows.
fn worst(side: Side, swap: &Swap, limit: u64) -> u64 {
    let net = swap.input.saturating_sub(swap.fee);
    let least = match side {
        Side::Buy => {
            let alpha = mul_div(net.into(), UNIT.into(), limit.max(1).into());
            u64::try_from(alpha).unwrap_or(u64::MAX)
        }
        Side::Sell => at_price(net, limit),
    };
    // Of unequal weights the curve may give one rao less than its true floor.
    least.saturating_sub(1)
}

/// The most that the limit and the pool's guards allow now.
fn max_input(pool: &Pool, side: Side, limit: u64) -> u64 {
    let (most, reserve) = match side {
        Side::Buy => (pool.max_buy(limit), pool.tao),
        Side::Sell => (pool.max_sell(limit), pool.alpha),
    };
    // A refusal is a price at the limit already, or a pool that trades nothing.
    most.map_or(0, |most| {
        most.min(reserve.saturating_mul(MAXIMUM_INPUT_RATIO))
    })
}
