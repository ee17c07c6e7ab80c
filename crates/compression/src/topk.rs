//! Which values of a chunk are kept: the k largest magnitudes.
//!
//! A finite f32's bits without the sign order like its magnitude, so the k-th largest is found by
//! selection on integers, and one ordered scan then collects the indices already ascending. Equal
//! magnitudes keep the lower index: without that rule one set of values would have several encodings.

/// Buffers reused from chunk to chunk.
#[derive(Debug, Default)]
pub struct TopK {
    magnitudes: Vec<u32>,
}

const MAGNITUDE: u32 = 0x7FFF_FFFF;

impl TopK {
    /// Appends the ascending indices of the `k` largest magnitudes of `values`, which are finite and at
    /// most 4096. With `k >= values.len()` all are kept.
    pub fn select(&mut self, values: &[f32], k: usize, indices: &mut Vec<u16>) {
        let magnitude = |value: &f32| value.to_bits() & MAGNITUDE;
        if k == 0 || values.is_empty() {
            return;
        }
        let k = k.min(values.len());
        self.magnitudes.clear();
        self.magnitudes.extend(values.iter().map(magnitude));
        let (larger, threshold, _) = self
            .magnitudes
            .select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        let threshold = *threshold;
        let above = larger.iter().filter(|m| **m > threshold).count();
        let mut ties = k - above;
        for (index, value) in (0u16..).zip(values) {
            let m = magnitude(value);
            if m > threshold {
                indices.push(index);
            } else if m == threshold && ties > 0 {
                ties -= 1;
                indices.push(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn selection_agrees_with_a_full_sort(
            values in prop::collection::vec(prop_oneof![Just(0.5f32), Just(-0.5), Just(-0.0), -1.0f32..1.0], 1..300),
            k in 1usize..300,
        ) {
            let mut order: Vec<u16> = (0..values.len() as u16).collect();
            order.sort_by(|a, b| {
                let (x, y) = (values[*a as usize].abs(), values[*b as usize].abs());
                y.total_cmp(&x).then(a.cmp(b))
            });
            order.truncate(k);
            order.sort_unstable();
            let mut kept = Vec::new();
            TopK::default().select(&values, k, &mut kept);
            prop_assert_eq!(kept, order);
        }
    }
}
