//! The two settings of a corpus: its vocabulary and the share of text kept for evaluation.

use std::{fmt, str::FromStr};

use covey_protocol::limits::MAX_VOCABULARY;
use serde::Serialize;

use crate::CorpusError;

/// Parts per million that make a whole.
const WHOLE: u64 = 1_000_000;

/// What a corpus is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Options {
    pub vocabulary: VocabularyChoice,
    pub held_out: HeldOut,
}

/// The tokens a corpus is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VocabularyChoice {
    /// The 256 byte values.
    #[default]
    Bytes,
    /// Byte-level byte-pair encoding trained on the corpus, padded to exactly this many tokens.
    Bpe(u32),
}

impl VocabularyChoice {
    /// Fewest tokens of a byte-pair vocabulary: the 256 bytes and one block of 64 merges, since
    /// every dimension of a model is a multiple of 64.
    pub const SMALLEST_BPE: u32 = 320;

    /// Tokens are below this.
    pub fn size(self) -> u32 {
        match self {
            Self::Bytes => 256,
            Self::Bpe(size) => size,
        }
    }
}

impl FromStr for VocabularyChoice {
    type Err = CorpusError;

    /// `bytes`, `256` (the same), or the size of a byte-pair vocabulary.
    fn from_str(text: &str) -> Result<Self, CorpusError> {
        match text.parse::<u32>() {
            _ if text == "bytes" => Ok(Self::Bytes),
            Ok(256) => Ok(Self::Bytes),
            Ok(size)
                if size >= Self::SMALLEST_BPE
                    && size as usize <= MAX_VOCABULARY
                    && size.is_multiple_of(64) =>
            {
                Ok(Self::Bpe(size))
            }
            _ => Err(CorpusError::Vocabulary(text.to_owned())),
        }
    }
}

impl fmt::Display for VocabularyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Bpe(size) => size.fmt(f),
        }
    }
}

/// Share of the text that is kept out of training, in parts per million: an integer, so that the
/// split is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeldOut(u32);

impl HeldOut {
    /// `bytes` times this share, rounded down.
    pub fn of(self, bytes: u64) -> u64 {
        let share = u128::from(bytes) * u128::from(self.0) / u128::from(WHOLE);
        u64::try_from(share).unwrap_or(bytes)
    }
}

impl Default for HeldOut {
    /// 5 %.
    fn default() -> Self {
        Self(50_000)
    }
}

impl FromStr for HeldOut {
    type Err = CorpusError;

    /// `5%` or `0.05`.
    fn from_str(text: &str) -> Result<Self, CorpusError> {
        let (number, unit) = match text.strip_suffix('%') {
            Some(number) => (number, 10_000.0),
            None => (text, WHOLE as f64),
        };
        number
            .trim()
            .parse::<f64>()
            .ok()
            .map(|share| (share * unit).round())
            .filter(|ppm| (1_000.0..=500_000.0).contains(ppm))
            .map(|ppm| Self(ppm as u32))
            .ok_or_else(|| CorpusError::HeldOut(text.to_owned()))
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vocabulary_sizes_are_multiples_of_64_in_range() {
        assert_eq!("bytes".parse::<VocabularyChoice>().unwrap().size(), 256);
        assert_eq!("256".parse::<VocabularyChoice>().unwrap().size(), 256);
        assert_eq!("320".parse::<VocabularyChoice>().unwrap().size(), 320);
        assert_eq!("65536".parse::<VocabularyChoice>().unwrap().size(), 65_536);
        for wrong in ["", "0", "255", "300", "4095", "65600", "-64", "many"] {
            assert!(wrong.parse::<VocabularyChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn held_out_share_reads_percentages_and_fractions() {
        assert_eq!("5%".parse::<HeldOut>().unwrap(), HeldOut::default());
        assert_eq!("0.05".parse::<HeldOut>().unwrap(), HeldOut::default());
        assert_eq!("12.5%".parse::<HeldOut>().unwrap().of(8000), 1000);
        assert_eq!("12.5 %".parse::<HeldOut>().unwrap().to_string(), "12.5%");
        for wrong in ["", "0", "0%", "60%", "1", "NaN", "-5%", "5%%", "inf"] {
            assert!(wrong.parse::<HeldOut>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn any_setting_is_refused_or_reads_the_same_when_shown(
            text in prop_oneof![".{0,12}", "[0-9.eE+-]{1,8} ?%?", "[0-9]{1,6}"],
        ) {
            if let Ok(choice) = text.parse::<VocabularyChoice>() {
                prop_assert_eq!(choice.to_string().parse::<VocabularyChoice>().unwrap(), choice);
                prop_assert!((256..=MAX_VOCABULARY as u32).contains(&choice.size()));
            }
            if let Ok(share) = text.parse::<HeldOut>() {
                prop_assert_eq!(share.to_string().parse::<HeldOut>().unwrap(), share);
            }
        }
    }
}
