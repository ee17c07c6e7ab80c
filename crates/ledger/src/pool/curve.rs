//! The pool's curve `x^w1 · y^w2`: what an amount buys, and what amount moves the price how far, with no
//! fee and no guard (economics, section 2.1).
//!
//! What a reader would get wrong: for weights of one half the results are exact floors; for others they
//! are the true floor or, where the true value is within 2^-78 above an integer, one less. Never more:
//! an error of a rao in the trader's favour could be repeated for a profit.

use ruint::aliases::{U256, U512};

use super::power::{self, Exponent, FRACTION, ONE};

/// Perquintill's one.
pub const WHOLE: u64 = 1_000_000_000_000_000_000;

/// One side of the pool: what it holds (rao) and its weight (of [`WHOLE`]).
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Rao, not 0.
    pub reserve: u64,
    /// Between a hundredth and 99 hundredths of [`WHOLE`].
    pub weight: u64,
}

/// What `amount` put into `input` takes out of `output`, rounded down:
/// `out·(1 − (in/(in + amount))^(w_in/w_out))`.
pub fn output(input: Side, output: Side, amount: u64) -> u64 {
    if input.weight == output.weight {
        halves_output(input, output, amount)
    } else {
        weighted_output(input, output, amount)
    }
}

fn halves_output(input: Side, output: Side, amount: u64) -> u64 {
    let filled = u128::from(input.reserve) + u128::from(amount);
    let out = (u128::from(output.reserve) * u128::from(amount))
        .checked_div(filled)
        .unwrap_or(0);
    // Less than the output's reserve, so it fits.
    u64::try_from(out).unwrap_or(0)
}

pub(super) fn weighted_output(input: Side, output: Side, amount: u64) -> u64 {
    let held = U256::from(input.reserve);
    let exponent = Exponent {
        numerator: input.weight,
        denominator: output.weight,
    };
    let left = power::shrink_ceil(held, held + U256::from(amount), exponent);
    let out = (U512::from(output.reserve) * (ONE - left)) >> FRACTION;
    out.saturating_to()
}

/// The most that can be put into `input` before the price has grown by `target / spot`, rounded down:
/// `in·((target/spot)^w_out − 1)`. The price is that of the output in the input's token; `target` and
/// `spot` are in the same unit, below 2^192, and `spot` is not 0. 0 when `target` is not above.
pub fn input_to(input: Side, output: Side, target: U256, spot: U256) -> u64 {
    if target <= spot {
        return 0;
    }
    if input.weight == output.weight {
        halves_input_to(input, target, spot)
    } else {
        weighted_input_to(input, output, target, spot)
    }
}

/// `√(in²·target/spot) − in`; the quotient may be cut off, because a floor of a root does not see it.
fn halves_input_to(input: Side, target: U256, spot: U256) -> u64 {
    let held = U512::from(input.reserve);
    let square = held * held * U512::from(target) / U512::from(spot);
    power::root_floor(square)
        .saturating_sub(held)
        .saturating_to()
}

pub(super) fn weighted_input_to(input: Side, output: Side, target: U256, spot: U256) -> u64 {
    let exponent = Exponent {
        numerator: output.weight,
        denominator: WHOLE,
    };
    let growth = power::grow_floor(target, spot, exponent).saturating_sub(ONE);
    // growth is below 2^(192 + 192), the reserve below 2^64.
    let amount = (U512::from(input.reserve) * growth) >> FRACTION;
    amount.saturating_to()
}
