//! Powers with fractional exponents in integers, each as a bound on the true value from a known side,
//! for the pool's curve with weights other than one half (economics, section 2.1).
//!
//! What a reader would get wrong: these are bounds, not roundings to the nearest. [`shrink_ceil`] is
//! never below the true power and [`grow_floor`] never above it, and whoever uses them relies on that
//! side. Both go through `2^(e·log2 r)`.
//!
//! Everything is a [`U512`] in units of 2^-192 (one "unit" below).
//!
//! The logarithm squares its mantissa `m` 152 times; each time `m²` passes 2, the next binary digit is 1.
//! Cutting `m²` and its half off loses less than 2 units of a number not below 1, so less than 2^-190 of
//! the logarithm, which counts `2^-i` in step `i`: less than 2^-190 in all. With the 2^-191 of the first
//! mantissa and the 2^-152 of the digits not computed, the result is at most 2^-151 too small, and never
//! too large ([`LOG_ERROR`]).
//!
//! The exponential sums the Taylor series of `e^(t·ln 2)` for `t` in `[0, 1)`. The exponent is too small
//! by less than 2 units, so the sum by less than 4. Each of its at most 45 terms is too small by less
//! than 3 units: it inherits at most 0.7 of the error before it and adds less than 2. The terms left out,
//! all below one unit, add less than 4. That makes less than 256 units in all, never too large
//! ([`EXP_ERROR`]).
//!
//! A power is off by its exponent's error, at most 99·2^-150, and the exponential's: less than 2^-142,
//! relative to 1 where it shrinks. A u64 amount times it is within 2^-78 of the true value, so the floor
//! of it is the true floor, or one less where the true value is that close to an integer.

use ruint::aliases::{U256, U512};

/// Binary digits after the point.
pub const FRACTION: usize = 192;

/// One, in units of 2^-192.
pub const ONE: U512 = U512::from_limbs([0, 0, 0, 1, 0, 0, 0, 0]);

const TWO: U512 = U512::from_limbs([0, 0, 0, 2, 0, 0, 0, 0]);

/// ln 2, cut off.
const LN_2: U512 = U512::from_limbs([
    0x40f3_4326_7298_b62d,
    0xc9e3_b398_03f2_f6af,
    0xb172_17f7_d1cf_79ab,
    0,
    0,
    0,
    0,
    0,
]);

/// Digits of a logarithm that are computed.
const LOG_DIGITS: usize = 152;

/// A logarithm is at most this much too small: 2^-151.
const LOG_ERROR: U512 = U512::from_limbs([1 << 41, 0, 0, 0, 0, 0, 0, 0]);

/// An exponential is at most this much too small: 2^-184.
const EXP_ERROR: U512 = U512::from_limbs([1 << 8, 0, 0, 0, 0, 0, 0, 0]);

/// A positive exponent `numerator / denominator`, at most 99.
#[derive(Clone, Copy, Debug)]
pub struct Exponent {
    /// Up to 10^18.
    pub numerator: u64,
    /// Up to 10^18, not 0.
    pub denominator: u64,
}

impl Exponent {
    /// `log · self`, cut off. `log` is below 2^8, so the product below 2^(8 + 192 + 60).
    fn times(self, log: U512) -> U512 {
        log * U512::from(self.numerator) / U512::from(self.denominator.max(1))
    }
}

/// At least `(small / large)^exponent`, for `small ≤ large`; at most [`ONE`].
pub fn shrink_ceil(small: U256, large: U256, exponent: Exponent) -> U512 {
    let log = exponent.times(log2_ratio_floor(large, small));
    // 2^-log = 2^(whole - log) / 2^whole, with whole - log in [0, 1).
    let whole = (log + ONE - unit()) >> FRACTION;
    let scaled = exp2_floor((whole << FRACTION) - log) + EXP_ERROR;
    let power = match usize::try_from(whole) {
        Ok(shift) if shift < FRACTION + 2 => (scaled >> shift) + unit(),
        _ => unit(),
    };
    power.min(ONE)
}

/// At most `(large / small)^exponent`, for `large ≥ small` and an exponent of at most 1.
pub fn grow_floor(large: U256, small: U256, exponent: Exponent) -> U512 {
    let log = exponent.times(log2_ratio_floor(large, small));
    // At most 256, for no logarithm of a U256 is more.
    let whole = usize::try_from(log >> FRACTION).unwrap_or(0).min(256);
    exp2_floor(log & (ONE - unit())) << whole
}

/// The integer square root, rounded down.
pub fn root_floor(square: U512) -> U512 {
    if square.is_zero() {
        return square;
    }
    // Newton's method falls from any start that is not below the root.
    let mut root = unit() << square.bit_len().div_ceil(2);
    loop {
        let next = (root + square / root) >> 1;
        if next >= root {
            return root;
        }
        root = next;
    }
}

fn unit() -> U512 {
    U512::from(1)
}

/// At most `log2(large / small)`, and too small by at most twice [`LOG_ERROR`]; 0 where it would be
/// negative. A `small` of 0 counts as 1.
fn log2_ratio_floor(large: U256, small: U256) -> U512 {
    let above = log2_floor(small) + LOG_ERROR;
    log2_floor(large).saturating_sub(above)
}

/// At most `log2(number)`, and too small by at most [`LOG_ERROR`]; 0 for 0.
fn log2_floor(number: U256) -> U512 {
    let whole = number.bit_len().saturating_sub(1);
    let mut mantissa = (U512::from(number) << FRACTION) >> whole;
    let mut log = U512::from(whole) << FRACTION;
    for digit in 1..=LOG_DIGITS {
        mantissa = (mantissa * mantissa) >> FRACTION;
        if mantissa >= TWO {
            mantissa >>= 1;
            log |= unit() << (FRACTION - digit);
        }
    }
    log
}

/// At most `2^t`, and too small by at most [`EXP_ERROR`], for `t` in `[0, 1)`.
fn exp2_floor(t: U512) -> U512 {
    let exponent = (t * LN_2) >> FRACTION;
    let mut sum = ONE;
    let mut term = ONE;
    for i in 1u64..64 {
        term = ((term * exponent) >> FRACTION) / U512::from(i);
        if term.is_zero() {
            break;
        }
        sum += term;
    }
    sum
}

/// Bounds on `w1·log2(x) + w2·log2(y)` of a pool, for its tests.
#[cfg(test)]
pub fn invariant_log(pool: &super::Pool) -> (U512, U512) {
    let whole = super::QUOTE_UNIT;
    let of = |weight: u64, reserve: u64| U512::from(weight) * log2_floor(U256::from(reserve));
    let low = of(whole - pool.quote, pool.alpha) + of(pool.quote, pool.tao);
    (low, low + U512::from(whole) * LOG_ERROR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(exponent: u64) -> Exponent {
        Exponent {
            numerator: exponent,
            denominator: 1,
        }
    }

    /// In units, each a bound on `2^t` from its side.
    fn exp2_bounds(t: U512) -> (U512, U512) {
        (exp2_floor(t), exp2_floor(t) + EXP_ERROR)
    }

    #[test]
    fn ln_2_is_the_limit_of_its_series() {
        let mut sum = U512::ZERO;
        for k in 1u64..250 {
            let wide = U512::from(1) << (FRACTION + 56);
            sum += (wide >> k) / U512::from(k);
        }
        assert_eq!(sum >> 56, LN_2);
    }

    #[test]
    fn logarithms_of_powers_of_two_are_exact() {
        for whole in [0usize, 1, 63, 192, 255] {
            let log = log2_floor(U256::from(1) << whole);
            assert_eq!(log, U512::from(whole) << FRACTION);
        }
    }

    #[test]
    fn the_logarithm_of_three_brackets_its_published_digits() {
        // log2 3 = 1.584962500721156181453738943947816508759814407692481…
        let digits =
            U512::from_str_radix("1584962500721156181453738943947816508759814", 10).unwrap();
        let scale = U512::from(10).pow(U512::from(42));
        let log = log2_floor(U256::from(3));
        assert!(log * scale <= (digits + unit()) << FRACTION);
        assert!((log + LOG_ERROR) * scale >= digits << FRACTION);
    }

    #[test]
    fn a_huge_exponent_leaves_next_to_nothing() {
        let power = shrink_ceil(U256::from(1), U256::from(u64::MAX), whole(99));
        assert_eq!(power, unit());
        assert!(shrink_ceil(U256::ZERO, U256::from(5), whole(1)) < ONE);
        assert_eq!(shrink_ceil(U256::from(5), U256::from(5), whole(99)), ONE);
    }

    proptest! {
        #[test]
        fn a_whole_power_is_bracketed(small: u32, more: u32, exponent in 1..5u64) {
            let (small, large) = (u64::from(small).max(1), u64::from(small).max(1) + u64::from(more));
            let power = |base: u64| U512::from(base).pow(U512::from(exponent));
            let bound = shrink_ceil(U256::from(small), U256::from(large), whole(exponent));
            let exact = power(small) << FRACTION;
            prop_assert!(bound * power(large) >= exact);
            let slack = unit() << (FRACTION - 142);
            prop_assert!(bound.saturating_sub(slack) * power(large) <= exact);
        }

        #[test]
        fn a_root_is_bracketed(small: u32, more: u32, degree in 1..5u64) {
            let (small, large) = (u64::from(small).max(1), u64::from(small).max(1) + u64::from(more));
            let exponent = Exponent { numerator: 1, denominator: degree };
            let bound = grow_floor(U256::from(large), U256::from(small), exponent);
            // bound^degree ≤ large/small, in numbers of fewer digits so that they fit.
            let power = |base: U512| base.pow(U512::from(degree));
            let (low, high) = (bound >> 130, (bound >> 130) + U512::from(1));
            let scale = power(ONE >> 130);
            prop_assert!(power(low) * U512::from(small) <= scale * U512::from(large));
            prop_assert!(power(high + U512::from(1)) * U512::from(small) >= scale * U512::from(large));
        }

        #[test]
        fn the_exponential_of_the_logarithm_is_the_number(number in 1..u64::MAX) {
            let log = log2_floor(U256::from(number));
            let shift = usize::try_from(log >> FRACTION).unwrap();
            let (low, high) = exp2_bounds(log & (ONE - unit()));
            let exact = U512::from(number) << FRACTION;
            prop_assert!(low << shift <= exact);
            // The logarithm is too small by 2^-151 at most, so the number by as much of itself.
            let slack = (exact >> 150) + (EXP_ERROR << shift);
            prop_assert!((high << shift) + slack >= exact);
        }

        #[test]
        fn square_roots_are_exact(high: u128, low: u128) {
            let square = (U512::from(high) << 128) | U512::from(low);
            let root = root_floor(square);
            prop_assert!(root * root <= square);
            prop_assert!((root + unit()) * (root + unit()) > square);
        }
    }
}
