//! The ways of being hostile, and what each of them sends.

use covey_compression::{ModelCodec, SparseUpdate};

use crate::Failure;

/// What a volunteer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Honest,
    /// Nothing but zeros.
    Zeros,
    /// Random values of an honest packet's size.
    Noise,
    /// Honest work with the sign turned.
    Flipped,
    /// Honest work times 10^6, or as much as the decoder lets through.
    Scaled,
    /// An honest peer's packet of this round, signed anew.
    Copied,
    /// The same, disturbed by noise.
    CopiedWithNoise,
    /// An honest peer's packet of the last round, disturbed by noise.
    LateCopy,
    /// Its own first packet, again and again.
    Stale,
    /// Bytes that are no frames.
    Garbage,
    /// All of this kind push in one wrong direction, each a little differently.
    Colluding,
    /// A tenth of the steps, claiming all of them.
    Lazy,
    /// Trains honestly, but on one fixed piece of the corpus instead of what it was assigned.
    WrongShard,
}

impl Kind {
    pub const HOSTILE: [Self; 12] = [
        Self::Flipped,
        Self::Noise,
        Self::Copied,
        Self::Lazy,
        Self::Scaled,
        Self::Stale,
        Self::Colluding,
        Self::CopiedWithNoise,
        Self::Zeros,
        Self::Garbage,
        Self::LateCopy,
        Self::WrongShard,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Zeros => "zeros",
            Self::Noise => "noise",
            Self::Flipped => "sign-flipped",
            Self::Scaled => "scaled",
            Self::Copied => "copied",
            Self::CopiedWithNoise => "copied with noise",
            Self::LateCopy => "late copy with noise",
            Self::Stale => "stale",
            Self::Garbage => "garbage",
            Self::Colluding => "colluding",
            Self::Lazy => "lazy",
            Self::WrongShard => "wrong shard",
        }
    }

    /// Whether it takes inner steps at all.
    pub fn trains(self) -> bool {
        matches!(
            self,
            Self::Honest
                | Self::Flipped
                | Self::Scaled
                | Self::Lazy
                | Self::Stale
                | Self::WrongShard
        )
    }
}

/// Bits of a seed, spread.
struct Noise(u64);

impl Noise {
    /// Roughly normal, variance 1.
    fn next(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            sum += ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
        }
        sum * 1.732
    }
}

fn size(values: &[f32]) -> f32 {
    values.iter().map(|v| v * v).sum::<f32>().sqrt()
}

/// What a volunteer that trains makes of its pseudo-gradient. `limit` is the largest value that decodes.
pub fn distort(kind: Kind, delta: &[f32], limit: f32) -> Vec<f32> {
    let scaled = |factor: f32| delta.iter().map(|v| v * factor).collect();
    match kind {
        Kind::Flipped => scaled(-1.0),
        Kind::Scaled => {
            let most = delta.iter().fold(0f32, |most, v| most.max(v.abs()));
            scaled((0.2 * limit / most).min(1e6))
        }
        _ => delta.to_vec(),
    }
}

/// What there is to forge a packet from.
pub struct Sources<'a> {
    pub codec: &'a ModelCodec,
    /// An honest pseudo-gradient of this round.
    pub typical: &'a [f32],
    /// An honest payload of this round.
    pub victim: &'a [u8],
    /// A packet merged in the last round.
    pub late: Option<&'a SparseUpdate>,
}

impl Sources<'_> {
    /// The payload of a kind that does not train.
    pub fn forge(&self, kind: Kind, seed: u64) -> Result<Option<Vec<u8>>, Failure> {
        let mut noise = Noise(seed);
        let spread = size(self.typical) / (self.typical.len() as f32).sqrt();
        let zeros = vec![0.0; self.typical.len()];
        let mut disturbed = |values: &[f32], by: f32| -> Vec<f32> {
            let by = by * spread;
            values.iter().map(|v| v + by * noise.next()).collect()
        };
        let delta = match kind {
            Kind::Zeros => zeros.clone(),
            Kind::Noise => disturbed(&zeros, 1.0),
            Kind::Copied => return Ok(Some(self.victim.to_vec())),
            Kind::CopiedWithNoise => disturbed(&self.codec.decode(self.victim)?.decompress(), 0.2),
            Kind::LateCopy => match self.late {
                Some(merged) => disturbed(&merged.decompress(), 0.2),
                None => disturbed(&zeros, 1.0),
            },
            Kind::Colluding => {
                let wrong: Vec<f32> = self.typical.iter().map(|v| -v).collect();
                disturbed(&wrong, 0.5)
            }
            Kind::Garbage => {
                let mut byte = || (noise.next().to_bits() >> 8) as u8;
                return Ok(Some(
                    (0..self.codec.payload_len()).map(|_| byte()).collect(),
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(self.codec.compress(&delta, &zeros)?.payload))
    }
}
