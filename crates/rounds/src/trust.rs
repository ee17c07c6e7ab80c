//! Who has worked cleanly so far: what adaptive replication and quotas go by (browser guide 4, BOINC's
//! `consecutive_valid` and daily quota).
//!
//! Everything here is a fold over the signed records, so a restart, a witness and a successor arrive at
//! the same standings, and nothing is stored beside the records. A merged packet is a clean round, unless
//! the record says that it proved nothing ([`RoundRecord::unproven`]); a copy, or a disagreement with two
//! different replicas, and the clean record is gone.
//!
//! What a reader would get wrong: one disagreement convicts nobody. It says that one of two is wrong (or
//! that two adapters round differently), so both are computed again by others, and whoever disagrees with
//! a second one as well is the one.

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{
    Round, VolunteerId,
    record::{Agreement, ExclusionReason, RoundRecord},
};

/// Volunteers remembered; identities are free, so those with the least to lose are forgotten first.
const REMEMBERED: usize = 16_384;
/// Disagreements with different volunteers that convict.
const CONVICTING: usize = 2;
/// Convictions beyond this lower the quota no further.
const MAX_CONVICTIONS: u32 = 8;

/// How much a volunteer may contribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Length of a period in rounds.
    pub rounds: u64,
    /// Packets that a newcomer may contribute in a period; 0 sets no quota. Two more for each clean
    /// round, so whoever works cleanly never meets it; half as many after each conviction.
    pub packets: u32,
}

/// What the records say of one volunteer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Clean rounds since the last conviction.
    pub clean: u32,
    /// Convictions since it last came off probation.
    pub convictions: u32,
    /// Whom it disagreed with since it last agreed with anyone.
    pub against: BTreeSet<VolunteerId>,
    /// Packets received in the period of `last`.
    used: u32,
    /// The round of its newest packet.
    last: Round,
}

/// All standings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    all: BTreeMap<VolunteerId, Standing>,
    /// Who committed in the newest round: those among whom replicas are drawn.
    present: BTreeSet<VolunteerId>,
}

impl Trust {
    #[must_use]
    pub fn standing(&self, volunteer: &VolunteerId) -> Standing {
        self.all.get(volunteer).cloned().unwrap_or_default()
    }

    /// Who committed in the newest round, ascending.
    pub fn present(&self) -> impl Iterator<Item = &VolunteerId> {
        self.present.iter()
    }

    #[must_use]
    pub fn was_present(&self, volunteer: &VolunteerId) -> bool {
        self.present.contains(volunteer)
    }

    /// The round in which a volunteer that has used up its quota may contribute again, and that quota.
    #[must_use]
    pub fn barred_until(
        &self,
        quota: &Quota,
        round: Round,
        volunteer: &VolunteerId,
    ) -> Option<(Round, u32)> {
        let standing = self.all.get(volunteer)?;
        let period = round.0.checked_div(quota.rounds)?;
        let used = if standing.last.0 / quota.rounds == period {
            standing.used
        } else {
            0
        };
        let allowed = standing.allowance(quota);
        let next = period.saturating_add(1).saturating_mul(quota.rounds);
        (quota.packets > 0 && used >= allowed).then_some((Round(next), allowed))
    }

    /// Takes in the next record.
    pub fn observe(&mut self, quota: &Quota, record: &RoundRecord) {
        self.present = record.commitments.iter().map(|c| c.volunteer).collect();
        let unproven: BTreeSet<VolunteerId> = record.unproven.iter().copied().collect();
        for contribution in &record.contributions {
            let volunteer = contribution.volunteer;
            let standing = self.used(quota, record.round, volunteer);
            if !unproven.contains(&volunteer) {
                standing.worked_cleanly();
            }
        }
        for exclusion in &record.excluded {
            let standing = self.used(quota, record.round, exclusion.volunteer);
            match exclusion.reason {
                ExclusionReason::NotNeeded => standing.worked_cleanly(),
                ExclusionReason::Copied | ExclusionReason::Replayed => standing.convict(),
                _ => {}
            }
        }
        for replica in &record.replicas {
            let (of, by) = (replica.of, replica.by);
            match replica.agreement {
                Agreement::Agreed => {
                    self.used_by(of).against.clear();
                    let by = self.used_by(by);
                    by.against.clear();
                    by.worked_cleanly();
                }
                Agreement::Disputed => {
                    self.used_by(of).disagreed_with(by);
                    self.used_by(by).disagreed_with(of);
                }
                Agreement::Open => {}
            }
        }
        self.forget();
    }

    fn used_by(&mut self, volunteer: VolunteerId) -> &mut Standing {
        self.all.entry(volunteer).or_default()
    }

    /// Counts a packet of a round.
    fn used(&mut self, quota: &Quota, round: Round, volunteer: VolunteerId) -> &mut Standing {
        let standing = self.used_by(volunteer);
        let length = quota.rounds.max(1);
        if standing.last.0 / length != round.0 / length {
            standing.used = 0;
        }
        standing.used = standing.used.saturating_add(1);
        standing.last = round;
        standing
    }

    fn forget(&mut self) {
        let excess = self.all.len().saturating_sub(REMEMBERED);
        if excess == 0 {
            return;
        }
        let mut order: Vec<(u32, Round, VolunteerId)> = self
            .all
            .iter()
            .map(|(volunteer, standing)| (standing.clean, standing.last, *volunteer))
            .collect();
        order.sort();
        for (.., volunteer) in order.into_iter().take(excess) {
            self.all.remove(&volunteer);
        }
    }
}

impl Standing {
    /// Packets it may contribute in a period.
    #[must_use]
    pub fn allowance(&self, quota: &Quota) -> u32 {
        let earned = quota.packets.saturating_add(self.clean.saturating_mul(2));
        (earned >> self.convictions.min(MAX_CONVICTIONS)).max(1)
    }

    fn worked_cleanly(&mut self) {
        self.clean = self.clean.saturating_add(1);
    }

    fn disagreed_with(&mut self, other: VolunteerId) {
        self.against.insert(other);
        if self.against.len() >= CONVICTING {
            self.convict();
        }
    }

    fn convict(&mut self) {
        self.against.clear();
        self.clean = 0;
        self.convictions = self.convictions.saturating_add(1);
    }
}
