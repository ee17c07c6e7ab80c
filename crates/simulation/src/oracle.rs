//! What must be true whatever happens, watched from outside the process.

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{Hash, Round, record::RoundRecord};
use covey_rounds::Acceptance;

use crate::{Stop, disk::Disk};

/// Broken if the condition does not hold.
macro_rules! hold {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::Stop::Broken(format!($($words)+)));
        }
    };
}
pub(crate) use hold;

/// What a volunteer's work came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub acknowledged: u64,
    pub merged: u64,
    pub excluded: u64,
}

pub struct Oracle {
    /// Acknowledged and not yet in a record.
    open: BTreeMap<Hash, Acceptance>,
    /// Records seen.
    rounds: u64,
    previous: Option<Hash>,
    base: Hash,
    pub tallies: Vec<Tally>,
    /// Journal entries that somebody was told of: number and hash.
    entries: BTreeMap<u64, Hash>,
    /// When the open round stopped being idle, or the process last started or failed to write.
    busy_since: Option<u64>,
    pub slowest_round_ms: u64,
}

impl Oracle {
    pub fn new(volunteers: usize, base: Hash) -> Self {
        Self {
            open: BTreeMap::new(),
            rounds: 0,
            previous: None,
            base,
            tallies: vec![Tally::default(); volunteers],
            entries: BTreeMap::new(),
            busy_since: None,
            slowest_round_ms: 0,
        }
    }

    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// A receipt leaves: the packet is on disk.
    pub fn acknowledged(&mut self, acceptance: &Acceptance, disk: &Disk) -> Result<(), Stop> {
        let kept = disk.packet(&acceptance.packet).map(|(kept, _)| kept);
        hold!(
            kept == Some(acceptance),
            "a receipt for {} in round {} left before the packet was on disk",
            acceptance.packet,
            acceptance.round
        );
        if acceptance.round.0 >= self.rounds {
            if self.open.insert(acceptance.packet, *acceptance).is_none()
                && let Some(tally) = self.tallies.get_mut(number(acceptance))
            {
                tally.acknowledged += 1;
            }
            return Ok(());
        }
        let record = disk.record(acceptance.round);
        let listed = record.is_some_and(|record| listed(record).any(|l| l == acceptance.packet));
        hold!(
            listed,
            "a receipt for {} was given again, but round {} does not list it",
            acceptance.packet,
            acceptance.round
        );
        Ok(())
    }

    /// New durable records, each checked against everything before it.
    pub fn records(&mut self, disk: &Disk, most: usize) -> Result<(), Stop> {
        while let Some(record) = disk.record(Round(self.rounds)) {
            let round = record.round;
            hold!(
                round.0 == self.rounds,
                "round {round} came in place of {}",
                self.rounds
            );
            hold!(
                record.previous == self.previous,
                "round {round} does not follow the record before"
            );
            hold!(
                record.base == self.base,
                "round {round} starts from other weights"
            );
            let contributions = &record.contributions;
            let ascending = contributions.is_sorted_by(|a, b| a.volunteer < b.volunteer)
                && record
                    .excluded
                    .is_sorted_by(|a, b| a.volunteer < b.volunteer);
            hold!(ascending, "round {round} is out of order");
            hold!(contributions.len() <= most, "round {round} merged too many");
            let empty = contributions.is_empty();
            hold!(
                record.update.is_none() == empty && (record.theta_after == record.base) == empty,
                "round {round} changed weights without contributions, or the other way about"
            );
            let merged = contributions.iter().map(|c| (c.volunteer, c.packet));
            let excluded = record.excluded.iter().map(|e| (e.volunteer, e.packet));
            let mut seen = BTreeSet::new();
            for (volunteer, packet) in merged.clone().chain(excluded.clone()) {
                hold!(
                    seen.insert(volunteer),
                    "{volunteer} has two packets in round {round}"
                );
                let kept = disk.packet(&packet).map(|(acceptance, _)| acceptance);
                let right = kept.is_some_and(|a| a.round == round && a.volunteer == volunteer);
                hold!(
                    right,
                    "round {round} lists {packet}, which nobody sent in it"
                );
                self.open.remove(&packet);
            }
            if let Some(lost) = self
                .open
                .values()
                .find(|acceptance| acceptance.round <= round)
            {
                hold!(
                    false,
                    "{} was acknowledged in round {round} and is not in its record",
                    lost.packet
                );
            }
            for (volunteer, _) in merged {
                if let Some(tally) = self
                    .tallies
                    .get_mut(crate::volunteer::number_of(&volunteer))
                {
                    tally.merged += 1;
                }
            }
            for (volunteer, _) in excluded {
                if let Some(tally) = self
                    .tallies
                    .get_mut(crate::volunteer::number_of(&volunteer))
                {
                    tally.excluded += 1;
                }
            }
            self.previous = Some(record.hash());
            self.base = record.theta_after;
            self.rounds += 1;
        }
        Ok(())
    }

    /// After a crash: what was acknowledged for the open round is what recovery starts from.
    pub fn recovered(&self, packets: &[Acceptance]) -> Result<(), Stop> {
        let there: BTreeSet<Hash> = packets.iter().map(|acceptance| acceptance.packet).collect();
        let lost = self.open.keys().find(|packet| !there.contains(packet));
        hold!(
            lost.is_none(),
            "{lost:?} was acknowledged and did not survive a crash"
        );
        Ok(())
    }

    /// Somebody is told that an action is an entry of the journal.
    pub fn recorded(&mut self, index: u64, hash: Hash, disk: &Disk) -> Result<(), Stop> {
        self.entries.insert(index, hash);
        self.entry(index, hash, disk)
    }

    fn entry(&self, index: u64, hash: Hash, disk: &Disk) -> Result<(), Stop> {
        let rows = disk.ledger.durable();
        let kept = usize::try_from(index).ok().and_then(|at| rows.get(at));
        hold!(
            kept.is_some_and(|row| row.hash == hash),
            "entry {index} was promised and is not in the journal"
        );
        Ok(())
    }

    /// Every entry that anybody was told of is still there.
    pub fn entries(&self, disk: &Disk) -> Result<(), Stop> {
        let mut entries = self.entries.iter();
        entries.try_for_each(|(index, hash)| self.entry(*index, *hash, disk))
    }

    /// A round that is not idle must close within `bound_ms`, counted anew when the world stood in its way.
    pub fn progress(
        &mut self,
        idle: bool,
        round: u64,
        now: u64,
        bound_ms: u64,
    ) -> Result<(), Stop> {
        match self.busy_since {
            _ if idle => self.busy_since = None,
            None => self.busy_since = Some(now),
            Some(since) => {
                let took = now.saturating_sub(since);
                self.slowest_round_ms = self.slowest_round_ms.max(took);
                hold!(
                    took <= bound_ms,
                    "round {round} is open for {took} ms; {bound_ms} are allowed"
                );
            }
        }
        Ok(())
    }

    /// The world stood in the way.
    pub fn hindered(&mut self) {
        self.busy_since = None;
    }
}

fn listed(record: &RoundRecord) -> impl Iterator<Item = Hash> {
    let merged = record.contributions.iter().map(|c| c.packet);
    merged.chain(record.excluded.iter().map(|e| e.packet))
}

fn number(acceptance: &Acceptance) -> usize {
    crate::volunteer::number_of(&acceptance.volunteer)
}
