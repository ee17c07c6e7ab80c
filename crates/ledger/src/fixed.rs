//! The chain's 64.64 fixed point: the two number types, `exp`, the decay `D(dt, τ)`, and how such
//! numbers are written down (economics, section 1.3).
//!
//! What a reader would get wrong: the results must equal the chain's bit for bit, so nothing here
//! may be made more precise. The Taylor sum of [`exp`] stops at its 63rd term even where that is
//! too early, every product and quotient is cut off (not rounded), and everything saturates. The
//! crate `fixed` floors a negative product where the chain's crate does too; no formula of the
//! rules has one that is inexact.

pub use ::fixed::types::{I64F64, U64F64};

/// `e^x` with the chain's Taylor sum: `1/e^|x|` for a negative `x`.
pub fn exp(x: I64F64) -> I64F64 {
    if x == I64F64::ZERO {
        return I64F64::ONE;
    }
    let power = x.saturating_abs();
    let mut sum = I64F64::ONE.saturating_add(power);
    let mut term = power;
    for i in 2..64 {
        term = quotient(term.saturating_mul(power), I64F64::from_num(i));
        sum = sum.saturating_add(term);
    }
    if x < I64F64::ZERO {
        quotient(I64F64::ONE, sum)
    } else {
        sum
    }
}

/// `D(dt, τ)`: what is left of 1 after `dt` blocks of decay with time constant `tau` blocks.
///
/// The exponent is never below -40, so what decays never quite reaches 0; with `tau` 0 it is gone
/// after one block.
pub fn decay(dt: u64, tau: u64) -> U64F64 {
    U64F64::saturating_from_num(signed_decay(dt, tau))
}

/// [`decay`] as the signed number that the rules subtract.
pub(crate) fn signed_decay(dt: u64, tau: u64) -> I64F64 {
    const FLOOR: I64F64 = I64F64::lit("-40");
    if dt == 0 {
        return I64F64::ONE;
    }
    if tau == 0 {
        return I64F64::ZERO;
    }
    exp(ratio(dt, tau).saturating_neg().max(FLOOR))
}

/// `a / b` in 64.64, cut off; 0 where `b` is 0.
pub(crate) fn ratio(a: u64, b: u64) -> I64F64 {
    quotient(
        I64F64::saturating_from_num(a),
        I64F64::saturating_from_num(b),
    )
}

/// `a / b`, cut off and saturating; 0 where `b` is 0, as on the chain.
pub(crate) fn quotient(a: I64F64, b: I64F64) -> I64F64 {
    if b == I64F64::ZERO {
        I64F64::ZERO
    } else {
        a.saturating_div(b)
    }
}

/// Writes a [`U64F64`] as its raw bits, for `#[serde(with = "crate::fixed::bits")]`: text formats get
/// `"0x…"` in lower case without leading zeros, binary ones a `u128`.
pub mod bits {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    use super::U64F64;

    /// Writes the bits.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &U64F64, serializer: S) -> Result<S::Ok, S::Error> {
        let bits = value.to_bits();
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{bits:#x}"))
        } else {
            bits.serialize(serializer)
        }
    }

    /// Reads the bits; text must be exactly what [`serialize`] writes.
    ///
    /// # Errors
    /// For anything else, and those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U64F64, D::Error> {
        let bits = if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            parse(&text).ok_or_else(|| D::Error::custom("not the bits of a 64.64 number"))?
        } else {
            u128::deserialize(deserializer)?
        };
        Ok(U64F64::from_bits(bits))
    }

    /// One number has one spelling, or signed text could be changed without changing its meaning.
    fn parse(text: &str) -> Option<u128> {
        let bits = u128::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
        (format!("{bits:#x}") == text).then_some(bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Written(#[serde(with = "bits")] U64F64);

    #[test]
    fn decay_has_the_chain_s_edges() {
        assert_eq!(decay(0, 216_000), U64F64::ONE);
        assert_eq!(decay(0, 0), U64F64::ONE);
        assert_eq!(decay(1_000, 0), U64F64::ZERO);
        assert_eq!(decay(216_000, 216_000).to_bits(), 0x5e2d_58d8_b3bc_df1b);
    }

    #[test]
    fn decay_stops_at_forty_time_constants() {
        assert_eq!(decay(100 * 216_000, 216_000), decay(40 * 216_000, 216_000));
        assert!(decay(100 * 216_000, 216_000) > U64F64::ZERO);
    }

    #[test]
    fn exp_saturates() {
        assert_eq!(exp(I64F64::MAX), I64F64::MAX);
        assert_eq!(exp(I64F64::MIN), I64F64::from_bits(2));
    }

    #[test]
    fn only_the_one_spelling_is_read() {
        let read = |text: &str| serde_json::from_str::<Written>(text).map(|written| written.0);
        assert_eq!(read(r#""0x1f""#).unwrap(), U64F64::from_bits(31));
        for other in [
            r#""0x01f""#,
            r#""0x1F""#,
            r#""1f""#,
            r#""0x""#,
            r#""0x+1""#,
            "31",
        ] {
            assert!(read(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn exp_is_close_to_the_exponential(x in -20.0..20.0f64) {
            let ours: f64 = exp(I64F64::from_num(x)).to_num();
            let absolute = 2f64.powi(-62);
            prop_assert!((ours - x.exp()).abs() <= absolute + 1e-9 * x.exp());
        }

        #[test]
        fn decay_never_grows(dt: u64, more: u64, tau: u64) {
            prop_assert!(decay(dt.saturating_add(more), tau) <= decay(dt, tau));
        }

        #[test]
        fn bits_survive_text_and_bytes(bits: u128) {
            let written = Written(U64F64::from_bits(bits));
            let text = serde_json::to_string(&written).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Written>(&text).unwrap(), &written);
            let bytes = postcard::to_allocvec(&written).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Written>(&bytes).unwrap(), &written);
        }
    }
}
