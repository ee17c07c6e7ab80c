//! The 2-bit quantiser of SparseLoCo as the Templar code has it: one table of four values per tensor.
//!
//! All kept values of a tensor share a mean (`shift`) and a bin width of 1.5 standard deviations
//! (`step`, six deviations over four bins). A bin is represented by the mean of what fell into it. There
//! is no sign bit: two bins are negative, one straddles the mean, one is positive. What a reader would
//! get wrong: statistics are per tensor, not per chunk, and are taken over the kept values only.
//!
//! Statistics are summed in f64; this is the sender's side, so peers need not agree on its last bit.

/// Bins, and so the values that a code can take.
pub const BINS: usize = 4;

/// Standard deviations that the bins span together.
pub const RANGE_SIGMAS: f64 = 6.0;

/// Smallest magnitude of a step that a decoder accepts (Templar's bound).
pub const MIN_STEP: f32 = 1e-12;

/// Largest magnitude of a step that a decoder accepts (Templar's bound).
pub const MAX_STEP: f32 = 1e4;

/// What is sent of a tensor beside indices and codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiser {
    /// Mean of the kept values.
    pub shift: f32,
    /// Width of a bin; 1 when the values do not spread.
    pub step: f32,
    /// What each code stands for, less `shift`; 0 for an empty bin.
    pub lookup: [f32; BINS],
}

impl Quantiser {
    /// Fits a quantiser to the kept `values` of one tensor and appends a code for each.
    pub fn fit(values: &[f32], codes: &mut Vec<u8>) -> Self {
        let count = values.len() as f64;
        let mean = if values.is_empty() {
            0.0
        } else {
            values.iter().map(|v| f64::from(*v)).sum::<f64>() / count
        };
        let centred = || values.iter().map(|v| f64::from(*v) - mean);
        let variance = centred().map(|c| c * c).sum::<f64>() / (count - 1.0);
        let width = RANGE_SIGMAS * variance.sqrt() / BINS as f64;
        // A single value has no deviation (NaN), equal ones have none (0), and a step below what decoders
        // accept means the same: everything then falls into one bin and the error feedback keeps the rest.
        let spreads = (width as f32).is_finite() && width as f32 >= MIN_STEP;
        let width = if spreads { width } else { 1.0 };

        let mut sums = [0.0f64; BINS];
        let mut counts = [0u32; BINS];
        for c in centred() {
            let bin = (c / width + (BINS / 2) as f64)
                .round_ties_even()
                .clamp(0.0, (BINS - 1) as f64);
            let code = bin as u8 & CODE_MASK;
            codes.push(code);
            if let (Some(sum), Some(n)) = (
                sums.get_mut(usize::from(code)),
                counts.get_mut(usize::from(code)),
            ) {
                *sum += c;
                *n += 1;
            }
        }
        let mut lookup = [0.0f32; BINS];
        for ((entry, sum), n) in lookup.iter_mut().zip(sums).zip(counts) {
            if n > 0 {
                *entry = (sum / f64::from(n)) as f32;
            }
        }
        Self {
            shift: mean as f32,
            step: width as f32,
            lookup,
        }
    }

    /// The dequantised value of each code: one f32 addition, the same on every machine.
    #[must_use]
    pub fn values(&self) -> [f32; BINS] {
        self.lookup.map(|entry| entry + self.shift)
    }
}

/// The bits of a code.
pub const CODE_MASK: u8 = (BINS - 1) as u8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_values_come_back_exactly() {
        let mut codes = Vec::new();
        let quantiser = Quantiser::fit(&[0.1; 6], &mut codes);
        assert_eq!((quantiser.step, codes.as_slice()), (1.0, [2; 6].as_slice()));
        assert_eq!(quantiser.values()[2], 0.1);
    }

    #[test]
    fn a_spread_too_small_to_send_uses_one_bin() {
        let mut codes = Vec::new();
        let quantiser = Quantiser::fit(&[1e-14, -1e-14], &mut codes);
        assert_eq!(quantiser.step, 1.0);
        assert_eq!(codes, [2, 2]);
    }

    proptest! {
        #[test]
        fn the_mean_survives_quantisation(values in prop::collection::vec(-1.0f32..1.0, 2..300)) {
            let mut codes = Vec::new();
            let table = Quantiser::fit(&values, &mut codes).values();
            let sent: f64 = codes.iter().map(|c| f64::from(table[usize::from(*c)])).sum();
            let meant: f64 = values.iter().map(|v| f64::from(*v)).sum();
            prop_assert!((sent - meant).abs() < 1e-4);
        }
    }
}
