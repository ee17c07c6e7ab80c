//! The machine's state and its one public move, [`RoundsMachine::step`]. What is promised is decided in
//! `commitment`, what is admitted in `admission`, how a round ends in `closing`.

use std::collections::{BTreeMap, VecDeque};

use covey_protocol::{
    Hash, Round, VolunteerId,
    http::ErrorCode,
    record::{Exclusion, Replica, RoundRecord},
    run::RoundSpec,
    socket::{Activity, Presence},
};

use crate::{
    Acceptance, Audience, Effect, Event, Pledge, Replication, Ticket, Trust, presence::Members,
    replication::Draw, seed::round_seed,
};

/// Rounds whose resulting weights are remembered, to compare with what volunteers report.
pub(crate) const HISTORY_ROUNDS: usize = 256;
/// Rounds whose receipts are given again when a packet is posted again.
pub(crate) const RECEIPT_ROUNDS: usize = 16;
/// Volunteers that may join one round. More than that can only be throw-away identities.
const MAX_JOINED: usize = 4096;

/// What is fixed for the whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub run: Hash,
    pub rounds: RoundSpec,
    /// Secret behind the rounds' seeds; see [`round_seed`].
    pub seed_key: [u8; 32],
    /// Most connected volunteers that are listed and waited for.
    pub max_members: usize,
    pub replication: Replication,
    /// Absent where every packet is merged that was admitted.
    pub assessing: Option<Assessing>,
}

/// How packets are chosen for the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assessing {
    /// Milliseconds after which a round goes on without waiting any longer.
    pub bound_ms: u64,
    /// Packets admitted beyond what may be merged, so that there is something to choose from.
    pub reserve: u32,
}

/// Where the open round stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Nobody has joined.
    Idle,
    /// Commitments are taken until the deadline, their packets until the end of the grace period.
    Collecting { deadline_ms: u64 },
    /// Closed to packets; admitted ones are still being stored.
    Draining,
    /// The world tries the packets.
    Assessing {
        /// When the round goes on regardless.
        give_up_ms: u64,
        /// What the fast checks have left out so far.
        checked: Vec<Exclusion>,
        /// What comparing the replicas has shown so far.
        compared: Vec<Replica>,
    },
    /// The world merges.
    Merging(Attempt),
    /// The world makes the record durable.
    Recording {
        record: Box<RoundRecord>,
        attempt: Attempt,
    },
}

/// A step of closing that the world may fail at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    pub failures: u32,
    /// When it is tried again; absent while it is under way.
    pub retry_at_ms: Option<u64>,
}

/// A commitment of the open round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Promise {
    pub pledge: Pledge,
    /// On disk, and told so.
    pub stored: bool,
}

/// A packet's place in the open round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub acceptance: Acceptance,
    pub state: Storage,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Storage {
    /// Being stored; these uploads wait for the receipt.
    Storing(Vec<Ticket>),
    Stored,
}

/// The rounds of one run. See the crate's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundsMachine {
    pub(crate) settings: Settings,
    pub(crate) now_ms: u64,
    pub(crate) round: Round,
    pub(crate) base: Hash,
    /// Hash of the last record.
    pub(crate) previous: Option<Hash>,
    pub(crate) phase: Phase,
    /// Who joined the open round, and whether it is still waited for.
    pub(crate) joined: BTreeMap<VolunteerId, bool>,
    pub(crate) promises: BTreeMap<VolunteerId, Promise>,
    /// The next commitment's place in the order.
    pub(crate) next_order: u32,
    pub(crate) places: BTreeMap<VolunteerId, Place>,
    /// What is left out of the merge, ascending; decided when the assessment ends.
    pub(crate) excluded: Vec<Exclusion>,
    /// What became of the replicas; decided with it.
    pub(crate) replicas: Vec<Replica>,
    /// Everyone's standing after the last record.
    pub(crate) trust: Trust,
    /// The open round's tasks.
    pub(crate) draw: Draw,
    /// Before this the round does not close early; see [`recover`](Self::recover).
    pub(crate) hold_until_ms: u64,
    pub(crate) members: Members,
    /// Weights after the last rounds, oldest first.
    pub(crate) history: VecDeque<(Round, Hash)>,
    /// Acceptances of the last closed rounds, oldest first.
    pub(crate) receipts: VecDeque<Acceptance>,
}

impl RoundsMachine {
    /// The open round.
    #[must_use]
    pub fn round(&self) -> Round {
        self.round
    }

    /// Hash of the weights the open round starts from.
    #[must_use]
    pub fn base(&self) -> Hash {
        self.base
    }

    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The open round's seed.
    #[must_use]
    pub fn seed(&self) -> Hash {
        round_seed(&self.settings.seed_key, &self.settings.run, self.round)
    }

    /// Packets that have a place in the open round, stored or not.
    #[must_use]
    pub fn contributions(&self) -> usize {
        self.places.len()
    }

    /// Volunteers connected and listed.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Everyone's standing after the last record.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Volunteers that joined the open round.
    #[must_use]
    pub fn joined(&self) -> usize {
        self.joined.len()
    }

    /// The connected volunteers, the first hundred.
    #[must_use]
    pub fn presence(&self) -> Vec<Presence> {
        self.members.list(|volunteer| self.activity(volunteer))
    }

    /// When the machine next wants an [`Event::Tick`]; nothing happens by time alone before that.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let closing = match &self.phase {
            Phase::Idle | Phase::Draining => None,
            Phase::Collecting { deadline_ms } if self.now_ms < *deadline_ms => {
                let held = self.now_ms < self.hold_until_ms;
                Some(if held {
                    self.hold_until_ms.min(*deadline_ms)
                } else {
                    *deadline_ms
                })
            }
            Phase::Collecting { deadline_ms } => Some(self.grace_end_ms(*deadline_ms)),
            Phase::Assessing { give_up_ms, .. } => Some(*give_up_ms),
            Phase::Merging(attempt) | Phase::Recording { attempt, .. } => attempt.retry_at_ms,
        };
        closing.into_iter().chain(self.members.due_ms()).min()
    }

    /// Moves the machine. Effects are to be carried out in order. A clock that runs backwards is taken
    /// to stand still.
    #[must_use = "effects have to be carried out"]
    pub fn step(&mut self, event: Event, now_ms: u64) -> Vec<Effect> {
        self.now_ms = self.now_ms.max(now_ms);
        let mut effects = Vec::new();
        // Time first: what arrives after a deadline must not be judged as if it came before.
        self.advance(&mut effects);
        match event {
            Event::Connected {
                volunteer,
                backend,
                accepted,
            } => {
                self.members.connect(volunteer, backend, accepted);
                self.tell_task(volunteer, &mut effects);
                effects.push(self.opened(Audience::One(volunteer)));
            }
            Event::Disconnected { volunteer } => {
                self.members.disconnect(&volunteer);
                self.stop_waiting(&volunteer);
            }
            Event::Join { volunteer, round } => self.join(volunteer, round, &mut effects),
            Event::Leave { volunteer } => self.stop_waiting(&volunteer),
            Event::Progress {
                volunteer,
                tokens_per_second,
                ..
            } => self.members.speed(&volunteer, tokens_per_second),
            Event::Applied {
                volunteer,
                round,
                theta,
            } => self.applied(volunteer, round, theta, &mut effects),
            Event::Commit { round, commitment } => self.commit(round, commitment, &mut effects),
            Event::Pledged { volunteer, packet } => self.pledged(&volunteer, packet, &mut effects),
            Event::PledgeFailed { volunteer, packet } => {
                self.pledge_failed(&volunteer, packet, &mut effects);
            }
            Event::Submitted(submission) => self.submit(submission, &mut effects),
            Event::Stored { volunteer, packet } => self.stored(&volunteer, packet, &mut effects),
            Event::StoreFailed { volunteer, packet } => {
                self.store_failed(&volunteer, packet, &mut effects);
            }
            Event::Merged {
                round,
                theta_after,
                update,
                update_len,
            } => self.merged(round, theta_after, update, update_len, &mut effects),
            Event::MergeFailed { round } => self.merge_failed(round),
            Event::Checked {
                round,
                excluded,
                replicas,
            } => self.checked(round, excluded, replicas),
            Event::Assessed {
                round,
                excluded,
                replicas,
            } => self.assessed(round, excluded, replicas, &mut effects),
            Event::AssessFailed { round } => self.assess_failed(round, &mut effects),
            Event::Recorded { round } => self.recorded(round, &mut effects),
            Event::RecordFailed { round } => self.record_failed(round),
            Event::Tick => {}
        }
        self.advance(&mut effects);
        let (joined, places) = (&self.joined, &self.places);
        let total = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        if let Some(volunteers) = self
            .members
            .announce(self.now_ms, |volunteer| activity(joined, places, volunteer))
        {
            effects.push(Effect::Presence { total, volunteers });
        }
        effects
    }

    pub(crate) fn grace_end_ms(&self, deadline_ms: u64) -> u64 {
        deadline_ms.saturating_add(self.settings.rounds.grace_ms)
    }

    /// Starts the window if nobody had joined yet.
    pub(crate) fn start_window(&mut self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Idle {
            let deadline_ms = self.now_ms.saturating_add(self.settings.rounds.window_ms);
            self.phase = Phase::Collecting { deadline_ms };
            effects.push(self.opened(Audience::Everyone));
        }
    }

    pub(crate) fn opened(&self, to: Audience) -> Effect {
        let remaining_ms = match &self.phase {
            Phase::Idle => None,
            Phase::Collecting { deadline_ms } => Some(deadline_ms.saturating_sub(self.now_ms)),
            Phase::Draining
            | Phase::Assessing { .. }
            | Phase::Merging(_)
            | Phase::Recording { .. } => Some(0),
        };
        Effect::Opened {
            to,
            round: self.round,
            seed: self.seed(),
            base: self.base,
            remaining_ms,
        }
    }

    /// Packets that are admitted to one round.
    pub(crate) fn capacity(&self) -> usize {
        let reserve = self
            .settings
            .assessing
            .map_or(0, |assessing| assessing.reserve);
        let most = self
            .settings
            .rounds
            .max_contributions
            .saturating_add(reserve);
        most as usize
    }

    /// Whether somebody has yet to contribute: a packet that was committed to is waited for even when its
    /// volunteer is cut off; before the deadline so is whoever joined and is still here.
    pub(crate) fn is_waiting(&self) -> bool {
        let absent = |volunteer: &VolunteerId| !self.places.contains_key(volunteer);
        self.promises.keys().any(absent)
            || self.takes_commitments() && self.awaited().any(|volunteer| absent(&volunteer))
    }

    /// Who joined and is still here.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = VolunteerId> {
        let awaited = self.joined.iter().filter(|(_, awaited)| **awaited);
        awaited.map(|(volunteer, _)| *volunteer)
    }

    fn join(&mut self, volunteer: VolunteerId, round: Round, effects: &mut Vec<Effect>) {
        let refusal = if !self.members.contains(&volunteer) {
            // Beyond the listed crowd: its packets are welcome, but nobody waits for it.
            None
        } else if round != self.round {
            Some(self.wrong_round(round))
        } else if !matches!(self.phase, Phase::Idle | Phase::Collecting { .. }) {
            Some(closed(round))
        } else if let Some(message) = self.over_quota(&volunteer) {
            Some((ErrorCode::Quota, message))
        } else if self.joined.len() >= MAX_JOINED && !self.joined.contains_key(&volunteer) {
            Some((
                ErrorCode::RoundFull,
                format!("Round {round} has all the volunteers it may have; wait for the next one."),
            ))
        } else {
            self.joined.insert(volunteer, true);
            self.members.touch();
            self.start_window(effects);
            None
        };
        if let Some((code, message)) = refusal {
            effects.push(Effect::Refuse {
                volunteer,
                code,
                message,
            });
        }
    }

    fn stop_waiting(&mut self, volunteer: &VolunteerId) {
        if let Some(awaited) = self.joined.get_mut(volunteer) {
            *awaited = false;
            self.members.touch();
        }
    }

    fn applied(
        &self,
        volunteer: VolunteerId,
        round: Round,
        theta: Hash,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.history.iter().find(|(number, _)| *number == round);
        let wrong = match known {
            Some((_, ours)) => *ours != theta,
            // Weights of a round that has not happened here can only be another run's.
            None => round >= self.round,
        };
        if wrong {
            effects.push(Effect::Resync { volunteer });
        }
    }

    pub(crate) fn wrong_round(&self, round: Round) -> (ErrorCode, String) {
        if round < self.round {
            closed(round)
        } else {
            let open = self.round;
            (
                ErrorCode::FutureRound,
                format!("Round {round} is not open yet; round {open} is."),
            )
        }
    }

    fn activity(&self, volunteer: &VolunteerId) -> Activity {
        activity(&self.joined, &self.places, volunteer)
    }
}

pub(crate) fn closed(round: Round) -> (ErrorCode, String) {
    (
        ErrorCode::StaleRound,
        format!("Round {round} is closed; fetch the records and go on with the open round."),
    )
}

fn activity(
    joined: &BTreeMap<VolunteerId, bool>,
    places: &BTreeMap<VolunteerId, Place>,
    volunteer: &VolunteerId,
) -> Activity {
    if places.contains_key(volunteer) {
        Activity::Contributed
    } else if joined.get(volunteer).copied().unwrap_or(false) {
        Activity::Training
    } else {
        Activity::Watching
    }
}
