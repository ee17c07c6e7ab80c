//! Reproducible test data: SplitMix64 and a bell-shaped value built from it.
//!
//! The vectors name inputs by seed, so that any language can make them: four 24-bit uniforms are summed
//! exactly in integers, and there is a single rounding to f32 at the end. It is not for secrets.

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Steele, Lea and Flood's SplitMix64.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A stream that is a pure function of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// `count` values with mean 0 and standard deviation about `0.58 * scale`, each the sum of four uniforms
/// on `[-scale/2, scale/2)`, rounded once to f32.
#[must_use]
pub fn generate(seed: u64, count: usize, scale: f64) -> Vec<f32> {
    const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
    let mut stream = SplitMix64::new(seed);
    (0..count)
        .map(|_| {
            let mut sum = 0i64;
            for _ in 0..4 {
                sum += (stream.next_u64() >> 40) as i64 - (1 << 23);
            }
            (sum as f64 * UNIT * scale) as f32
        })
        .collect()
}
