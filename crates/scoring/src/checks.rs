//! Fast checks (spec 2.3 and 2.4): what can be said about a round's packets without running the model.
//!
//! Bounds, NaN, signatures, base hash and round were checked at admission, by the decoder and the state
//! machine. What is left needs the packets side by side: copies of each other or of the last round,
//! copies with noise, zeros, and sizes that are out of all proportion.
//!
//! What a reader would get wrong: honest packets resemble each other, too. Peers that descend from the
//! same weights pick many of the same entries, the more so in a young run and in a small model, so the
//! published ladder (0.4, 0.5, 0.6) starts only at outer step 20 and is calibrated in [`Checks`]; before
//! that only near-identity counts. Measured on `tiny` with twenty honest peers: at most 0.2 of the entries
//! in the first round, 0.1 after six, and where they share an entry they agree on its sign. Packets of a
//! single first AdamW step share 0.99 (all changes are equally large, so ties decide), but their values
//! do not agree; hence the cosine. The later commitment is the offender, since nobody can copy what has
//! not been committed to.

use covey_compression::{Similarity, SparseUpdate, aggregate::lower_median};
use covey_protocol::record::ExclusionReason;
use serde::{Deserialize, Serialize};

use crate::penalty::{Verdict, overlap_verdict};

/// Where the checks draw their lines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// A packet whose norm is more than this many lower medians is left out. The merge would clip it
    /// anyway, but an honest packet is never that large.
    pub norm_factor: f64,
    /// Added to the ladder's thresholds of shared entries.
    pub overlap_margin: f64,
    /// Shared entries count only if their values agree at least this much.
    pub cosine: f64,
    /// Share of entries from which a packet is a copy at any step of the run.
    pub identical: f64,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            norm_factor: 10.0,
            overlap_margin: 0.0,
            cosine: 0.8,
            identical: 0.9,
        }
    }
}

/// What the checks found about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Why the packet cannot be merged.
    pub fault: Option<ExclusionReason>,
    /// What becomes of its sender for resembling an earlier packet.
    pub overlap: OverlapVerdict,
    /// Norm over the round's lower median.
    pub norm: f64,
}

/// [`Verdict`] of the overlap ladder, to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum OverlapVerdict {
    #[default]
    Clear,
    /// The score is halved; the packet counts.
    Suspect,
    /// A copy: rating and averages start over.
    Reset,
    /// A copy: they start over and the sender is barred.
    Ban,
}

impl Finding {
    /// Of a packet that is not looked at.
    pub const CLEAR: Self = Self {
        fault: None,
        overlap: OverlapVerdict::Clear,
        norm: 1.0,
    };
}

impl Checks {
    /// Judges a round's packets, listed in the order in which they were committed to; one finding for
    /// each, in the same order. `last_round` holds what was
    /// merged the round before: anyone can fetch that, so it is what a copier has at hand. A sender's
    /// own packet of the last round may resemble its new one no more than anyone else's.
    #[must_use]
    pub fn judge(
        &self,
        outer_step: u64,
        packets: &[&SparseUpdate],
        last_round: &[SparseUpdate],
    ) -> Vec<Finding> {
        let norms: Vec<f64> = packets.iter().map(|packet| norm(packet)).collect();
        let sizes: Vec<f64> = norms.iter().copied().filter(|norm| *norm > 0.0).collect();
        let median = lower_median(&sizes).unwrap_or(0.0);
        packets
            .iter()
            .zip(norms)
            .enumerate()
            .map(|(place, (packet, norm))| {
                let relative = if median > 0.0 { norm / median } else { 0.0 };
                let earlier = packets.iter().take(place).copied().chain(last_round);
                let overlap = self.copied(outer_step, packet, earlier);
                let copied = matches!(overlap, OverlapVerdict::Reset | OverlapVerdict::Ban);
                // NaN compares false with everything, so it is asked for by name.
                let fault = if norm <= 0.0 || norm.is_nan() {
                    Some(ExclusionReason::Empty)
                } else if relative > self.norm_factor {
                    Some(ExclusionReason::Norm)
                } else if copied {
                    Some(ExclusionReason::Copied)
                } else {
                    None
                };
                Finding {
                    fault,
                    overlap,
                    norm: relative,
                }
            })
            .collect()
    }

    /// The worst resemblance to anything that was there before.
    fn copied<'a>(
        &self,
        outer_step: u64,
        packet: &SparseUpdate,
        earlier: impl Iterator<Item = &'a SparseUpdate>,
    ) -> OverlapVerdict {
        earlier
            .map(|other| self.resemblance(outer_step, packet.similarity(other)))
            .fold(OverlapVerdict::Clear, OverlapVerdict::worse)
    }

    fn resemblance(&self, outer_step: u64, found: Similarity) -> OverlapVerdict {
        if found.cosine.abs() < self.cosine {
            return OverlapVerdict::Clear;
        }
        if found.overlap >= self.identical {
            return OverlapVerdict::Ban;
        }
        match overlap_verdict(found.overlap - self.overlap_margin, outer_step) {
            Verdict::Scale(factor) if factor < 1.0 => OverlapVerdict::Suspect,
            Verdict::Scale(_) => OverlapVerdict::Clear,
            Verdict::Reset => OverlapVerdict::Reset,
            Verdict::ResetAndBan(_) => OverlapVerdict::Ban,
        }
    }
}

impl OverlapVerdict {
    fn worse(self, other: Self) -> Self {
        let severity = |verdict| match verdict {
            Self::Clear => 0,
            Self::Suspect => 1,
            Self::Reset => 2,
            Self::Ban => 3,
        };
        if severity(other) > severity(self) {
            other
        } else {
            self
        }
    }
}

/// Euclidean norm of a whole update.
fn norm(update: &SparseUpdate) -> f64 {
    let squares = update.norms().into_iter().map(|norm| norm * norm);
    squares.sum::<f64>().sqrt()
}
