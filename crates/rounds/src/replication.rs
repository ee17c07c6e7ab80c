//! Adaptive replication (browser guide 4): a part of the volunteers' work is computed a second time, by
//! others, in the very same round, so that neither of the two can see the other's packet.
//!
//! 1. When a round opens, a secret draw among those who committed in the round before says whose work is
//!    computed twice: a newcomer's always, then ever more seldom, but never never.
//! 2. A volunteer on probation starts such rounds from *fresh state* (no optimiser moments, no error
//!    feedback), so that its packet is a function of the weights, the seed and its name. One with a clean
//!    record does so now and then, without being told whether it is looked at.
//! 3. A second volunteer with a clean record, drawn as well, works on the first one's data instead of its
//!    own, from fresh state. The world compares the two packets; the record says what came of it.
//!
//! Nothing waits for any of this: where fewer than [`Replication::clean_needed`] volunteers have a clean
//! record, nobody's work is computed twice and everyone works as ever.
//!
//! What a reader would get wrong: the draw must not be computable from the round's public seed, or a cheat
//! would work honestly just when it is looked at. And whoever appears only after the draw cannot be looked
//! at; its work counts, but not for its clean record, so it stays on probation.

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{
    VolunteerId,
    record::{Agreement, Replica},
    socket::Backend,
};

use crate::{Effect, RoundsMachine, trust::Quota};

/// Odds are counted in 65,536ths.
const ALWAYS: u32 = 1 << 16;
/// Odds that a volunteer with a clean record is asked to start from fresh state.
const FRESH: u32 = ALWAYS / 16;
/// Odds that its work is then computed twice: in every other of those rounds.
const SPOT_CHECK: u32 = FRESH / 2;

/// How much is computed twice, and how much one identity may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Clean rounds after which a volunteer is off probation.
    pub probation: u32,
    /// Volunteers with a clean record that must have been there before anything is computed twice; of
    /// every so many, one computes for another. 0 turns replication off.
    pub clean_needed: u32,
    pub quota: Quota,
}

impl Default for Replication {
    fn default() -> Self {
        Self {
            probation: 8,
            clean_needed: 4,
            quota: Quota {
                rounds: 64,
                packets: 48,
            },
        }
    }
}

/// What one volunteer works on in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Whose data it trains on: its own, unless it computes somebody's work a second time.
    pub data_of: VolunteerId,
    /// Without optimiser state and error feedback.
    pub fresh: bool,
}

/// One volunteer's work that another one computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub of: VolunteerId,
    pub by: VolunteerId,
    /// Where both said they compute, as far as they are still here.
    pub backends: [Option<Backend>; 2],
}

/// A round's tasks: a function of the records before it and the coordinator's secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Draw {
    /// Whether anything can be computed twice in this round.
    pub on: bool,
    /// Who computes whose work again.
    pub replicas: BTreeMap<VolunteerId, VolunteerId>,
}

impl RoundsMachine {
    /// What a volunteer works on in the open round.
    #[must_use]
    pub fn task(&self, volunteer: &VolunteerId) -> Task {
        let rules = &self.settings.replication;
        if let Some(of) = self.draw.replicas.get(volunteer) {
            return Task {
                data_of: *of,
                fresh: true,
            };
        }
        let standing = self.trust.standing(volunteer);
        let watched = standing.clean < rules.probation || !standing.against.is_empty();
        Task {
            data_of: *volunteer,
            fresh: self.draw.on && (watched || self.lot(&[volunteer]) < FRESH),
        }
    }

    /// Draws the open round's tasks.
    pub(crate) fn deal(&mut self) {
        let rules = &self.settings.replication;
        let needed = rules.clean_needed as usize;
        let mut clean: BTreeSet<VolunteerId> = BTreeSet::new();
        let mut wanted: Vec<(u32, VolunteerId)> = Vec::new();
        for volunteer in self.trust.present() {
            let standing = self.trust.standing(volunteer);
            let odds = if !standing.against.is_empty() {
                ALWAYS
            } else if standing.clean >= rules.probation {
                clean.insert(*volunteer);
                SPOT_CHECK
            } else {
                (ALWAYS >> (standing.clean / 2).min(16)).max(FRESH)
            };
            let lot = self.lot(&[volunteer]);
            if lot < odds {
                // The least trusted first: the number of replicas is bounded.
                wanted.push((standing.clean.min(rules.probation), *volunteer));
            }
        }
        let mut draw = Draw {
            on: needed > 0 && clean.len() >= needed && self.settings.assessing.is_some(),
            replicas: BTreeMap::new(),
        };
        if draw.on {
            let most = clean.len() / needed;
            wanted.sort();
            for (_, of) in wanted {
                if draw.replicas.len() >= most {
                    break;
                }
                if draw.replicas.contains_key(&of) {
                    continue;
                }
                let standing = self.trust.standing(&of);
                // Who has disagreed with it already is no second opinion.
                let by = clean
                    .iter()
                    .filter(|by| **by != of && !standing.against.contains(*by))
                    .min_by_key(|by| (self.lot(&[&of, by]), **by))
                    .copied();
                let Some(by) = by else { continue };
                clean.remove(&by);
                clean.remove(&of);
                draw.replicas.insert(by, of);
            }
        }
        self.draw = draw;
    }

    /// A number below 65,536 that only the coordinator can know.
    fn lot(&self, volunteers: &[&VolunteerId]) -> u32 {
        let mut hasher = blake3::Hasher::new_keyed(&self.settings.seed_key);
        hasher.update(b"replication");
        hasher.update(&self.settings.run.0);
        hasher.update(&self.round.0.to_le_bytes());
        for volunteer in volunteers {
            hasher.update(&volunteer.0);
        }
        let [low, high, ..] = *hasher.finalize().as_bytes();
        u32::from(u16::from_le_bytes([low, high]))
    }

    /// Tells those whose task is not the usual one; a task is told before the round is.
    pub(crate) fn tell_task(&self, volunteer: VolunteerId, effects: &mut Vec<Effect>) {
        let task = self.task(&volunteer);
        if task.fresh || task.data_of != volunteer {
            effects.push(Effect::Task {
                volunteer,
                round: self.round,
                task,
            });
        }
    }

    /// The replicas that were delivered.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let delivered = self.draw.replicas.iter();
        delivered
            .filter(|(by, _)| self.places.contains_key(*by))
            .map(|(by, of)| Pair {
                of: *of,
                by: *by,
                backends: [self.members.backend(of), self.members.backend(by)],
            })
            .collect()
    }

    /// What the record says of the replicas, given what the world found.
    pub(crate) fn replicas(&self, found: &[Replica]) -> Vec<Replica> {
        let pairs = self.pairs().into_iter();
        pairs
            .map(|Pair { of, by, .. }| {
                let both = self.places.contains_key(&of);
                let known = found.iter().find(|r| (r.of, r.by) == (of, by));
                Replica {
                    of,
                    by,
                    agreement: known
                        .filter(|_| both)
                        .map_or(Agreement::Open, |replica| replica.agreement),
                }
            })
            .collect()
    }

    /// Whose packet does not count for a clean record: who is on probation and was not there to be drawn, or
    /// was drawn and has nobody who agrees.
    pub(crate) fn unproven(&self) -> Vec<VolunteerId> {
        if !self.draw.on {
            return Vec::new();
        }
        let rules = &self.settings.replication;
        let agreed = |volunteer: &VolunteerId| {
            let mut replicas = self.replicas.iter();
            replicas.any(|r| r.of == *volunteer && r.agreement == Agreement::Agreed)
        };
        let drawn: BTreeSet<&VolunteerId> = self.draw.replicas.values().collect();
        let counts = |volunteer: &VolunteerId| {
            if drawn.contains(volunteer) {
                agreed(volunteer)
            } else {
                self.trust.was_present(volunteer)
                    || self.trust.standing(volunteer).clean >= rules.probation
            }
        };
        let merged = self.selected().map(|acceptance| acceptance.volunteer);
        merged.filter(|volunteer| !counts(volunteer)).collect()
    }

    /// Why a volunteer may not contribute now: its quota.
    pub(crate) fn over_quota(&self, volunteer: &VolunteerId) -> Option<String> {
        let quota = &self.settings.replication.quota;
        let (until, allowed) = self.trust.barred_until(quota, self.round, volunteer)?;
        let count = |number: u64, what: &str| match number {
            1 => format!("1 {what}"),
            _ => format!("{number} {what}s"),
        };
        let (packets, rounds) = (
            count(allowed.into(), "packet"),
            count(quota.rounds, "round"),
        );
        Some(format!(
            "This identity has used up its quota of {packets} in {rounds}; it may contribute again from round {until}."
        ))
    }
}
