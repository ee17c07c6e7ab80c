//! What a number is: rao, alpha, a block height, a subnet.
//!
//! Amounts are whole base units (1 TAO = 1 alpha = 1 000 000 000 of them; economics section 0) and never
//! floats. In JSON they are decimal strings, because a page's numbers end at 2^53 and a wallet must show
//! the last unit; in snapshots they are plain integers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// Base units of one TAO or one alpha.
pub const UNIT: u64 = 1_000_000_000;

/// Digits after the decimal point.
const DIGITS: usize = 9;

/// A number of blocks since the ledger's genesis.
pub type Height = u64;

/// An amount that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("an amount is digits with at most nine decimals, up to 18446744073.709551615")]
pub struct AmountError;

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The sum, unless it overflows.
            #[must_use]
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, unless it would be negative.
            #[must_use]
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// The difference, or nothing.
            #[must_use]
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// Whether it is nothing.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&decimal(self.0))
            }
        }

        impl FromStr for $name {
            type Err = AmountError;

            /// Reads a decimal number of whole tokens, such as `1.25`.
            fn from_str(text: &str) -> Result<Self, AmountError> {
                from_decimal(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                base_units::serialize(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                base_units::deserialize(deserializer).map(Self)
            }
        }
    };
}

amount! {
    /// TAO in rao.
    Rao
}
amount! {
    /// A subnet's alpha in its own rao.
    Alpha
}

/// A subnet's number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NetUid(pub u16);

impl fmt::Display for NetUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `u64` base units for `#[serde(with)]`: a string of digits in JSON, an integer in snapshots.
pub mod base_units {
    use super::*;

    /// # Errors
    /// The format's own.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(value)
        } else {
            serializer.serialize_u64(*value)
        }
    }

    /// # Errors
    /// Anything but the one spelling of a number of base units.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        // One spelling each: what is signed and what is hashed must not differ in leading zeros.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        match text.parse() {
            Ok(value) if plain => Ok(value),
            _ => Err(D::Error::custom("an amount is a string of digits")),
        }
    }
}

/// `1.5` for 1 500 000 000: exact, without trailing zeros.
#[must_use]
pub fn decimal(base_units: u64) -> String {
    let (whole, rest) = (base_units / UNIT, base_units % UNIT);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = format!("{rest:09}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

fn from_decimal(text: &str) -> Result<u64, AmountError> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || rest.len() > DIGITS || whole.len() + rest.len() == 0 {
        return Err(AmountError);
    }
    let read = |part: &str| part.parse::<u64>().map_err(|_| AmountError);
    let whole = if whole.is_empty() { 0 } else { read(whole)? };
    let rest = read(&format!("{rest:0<9}"))?;
    whole
        .checked_mul(UNIT)
        .and_then(|units| units.checked_add(rest))
        .ok_or(AmountError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_amount_survives_its_decimal_form(units: u64) {
            prop_assert_eq!(decimal(units).parse::<Rao>(), Ok(Rao(units)));
            let json = serde_json::to_string(&Alpha(units)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Alpha>(&json).unwrap(), Alpha(units));
        }
    }

    #[test]
    fn amounts_that_are_not_exact_are_refused() {
        for text in [
            "",
            ".",
            "-1",
            "1e9",
            "1.0000000001",
            "18446744073.709551616",
            "1,5",
            "+1",
        ] {
            assert!(text.parse::<Rao>().is_err(), "{text}");
        }
        for json in [
            "1",
            "\"01\"",
            "\"1.0\"",
            "\"\"",
            "\"-1\"",
            "\"18446744073709551616\"",
        ] {
            assert!(serde_json::from_str::<Rao>(json).is_err(), "{json}");
        }
        assert_eq!("0.5".parse(), Ok(Rao(UNIT / 2)));
        assert_eq!(".5".parse(), Ok(Rao(UNIT / 2)));
    }
}
