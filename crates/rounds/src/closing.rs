//! How a round ends: when it closes, and the steps from closed to the next one open.
//!
//! An assessment may fail or take too long; the round then goes on without it, since a run that moves on
//! with a bad packet can recover and one that stands still cannot.
//!
//! Merging and recording depend on a disk, so either may fail. They are then tried again, later each
//! time, and the round stays closed meanwhile: skipping it would break the promise its receipts made.

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{
    Hash, Round, VolunteerId,
    record::{Exclusion, ExclusionReason, Replica, RoundRecord},
};

use crate::{
    Acceptance, Audience, Effect, Phase, RoundsMachine,
    machine::{Attempt, HISTORY_ROUNDS, RECEIPT_ROUNDS, Storage},
    seed::probe_seed,
};

const FIRST_RETRY_MS: u64 = 1_000;
const LAST_RETRY_MS: u64 = 60_000;

impl Attempt {
    fn fail(&mut self, now_ms: u64) {
        let delay = FIRST_RETRY_MS
            .checked_shl(self.failures)
            .unwrap_or(LAST_RETRY_MS)
            .min(LAST_RETRY_MS);
        self.failures = self.failures.saturating_add(1).min(16);
        self.retry_at_ms = Some(now_ms.saturating_add(delay));
    }

    /// Whether it is time to try again; if so it is under way.
    fn retry(&mut self, now_ms: u64) -> bool {
        let due = self.retry_at_ms.is_some_and(|at| at <= now_ms);
        if due {
            self.retry_at_ms = None;
        }
        due
    }
}

impl RoundsMachine {
    /// Does what time and the round's state call for.
    pub(crate) fn advance(&mut self, effects: &mut Vec<Effect>) {
        let storing = self.storing();
        if let Phase::Collecting { deadline_ms } = self.phase
            && self.should_close(deadline_ms, storing)
        {
            self.phase = Phase::Draining;
        }
        let now_ms = self.now_ms;
        match &mut self.phase {
            Phase::Draining if storing == 0 && self.promises.values().all(|p| p.stored) => {
                self.finish(effects);
            }
            Phase::Assessing { give_up_ms, .. } if *give_up_ms <= now_ms => {
                self.go_on(effects);
            }
            Phase::Merging(attempt) => {
                if attempt.retry(now_ms) {
                    effects.push(self.merge());
                }
            }
            Phase::Recording { record, attempt } => {
                if attempt.retry(now_ms) {
                    effects.push(Effect::Record((**record).clone()));
                }
            }
            Phase::Idle | Phase::Collecting { .. } | Phase::Draining | Phase::Assessing { .. } => {}
        }
    }

    fn should_close(&self, deadline_ms: u64, storing: usize) -> bool {
        let rounds = &self.settings.rounds;
        let stored = self.places.len() - storing;
        let waiting = self.is_waiting();
        let full = stored >= self.capacity();
        let complete = !waiting
            && storing == 0
            && stored >= rounds.min_contributions as usize
            && self.now_ms >= self.hold_until_ms;
        let over = self.now_ms >= deadline_ms
            && (!waiting || self.now_ms >= self.grace_end_ms(deadline_ms));
        full || complete || over
    }

    fn storing(&self) -> usize {
        let storing = |storage: &Storage| matches!(storage, Storage::Storing(_));
        self.places
            .values()
            .filter(|place| storing(&place.state))
            .count()
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        // A commitment is something to judge even where no packet came.
        let nothing = self.places.is_empty() && self.promises.is_empty();
        let Some(assessing) = self.settings.assessing.filter(|_| !nothing) else {
            self.choose(Vec::new(), &[], effects);
            return;
        };
        self.phase = Phase::Assessing {
            give_up_ms: self.now_ms.saturating_add(assessing.bound_ms),
            checked: Vec::new(),
            compared: Vec::new(),
        };
        effects.push(Effect::Assess {
            round: self.round,
            seed: self.seed(),
            probe: probe_seed(&self.settings.seed_key, &self.settings.run, self.round),
            base: self.base,
            packets: self.in_order(),
            missing: self.missing(),
            replicas: self.pairs(),
        });
    }

    /// The packets in the order in which they were committed to.
    fn in_order(&self) -> Vec<Acceptance> {
        let order = |acceptance: &Acceptance| {
            let promise = self.promises.get(&acceptance.volunteer);
            (
                promise.map_or(u32::MAX, |promise| promise.pledge.order),
                acceptance.volunteer,
            )
        };
        let mut packets: Vec<Acceptance> =
            self.places.values().map(|place| place.acceptance).collect();
        packets.sort_by_key(order);
        packets
    }

    /// Who has not delivered, ascending: of those who stayed to the end and those who had committed. In a
    /// full round nobody: there was no place left for them.
    fn missing(&self) -> Vec<VolunteerId> {
        if self.places.len() >= self.capacity() {
            return Vec::new();
        }
        let mut missing: BTreeSet<VolunteerId> = self.awaited().collect();
        missing.extend(self.promises.keys());
        missing.retain(|volunteer| !self.places.contains_key(volunteer));
        missing.into_iter().collect()
    }

    /// Fixes what is left out and goes on with the rest.
    fn choose(&mut self, excluded: Vec<Exclusion>, found: &[Replica], effects: &mut Vec<Effect>) {
        self.replicas = self.replicas(found);
        // The same work would count twice, whatever else was found or was not.
        let twice: Vec<Exclusion> = self.replicas.iter().filter_map(|r| self.twice(r)).collect();
        let mut out: BTreeMap<VolunteerId, Exclusion> = excluded
            .into_iter()
            .chain(twice)
            .filter(|exclusion| {
                let place = self.places.get(&exclusion.volunteer);
                place.is_some_and(|place| place.acceptance.packet == exclusion.packet)
            })
            .map(|exclusion| (exclusion.volunteer, exclusion))
            .collect();
        // Unassessed rounds may hold more than may be merged: first come, first served.
        let mut rest = self.in_order();
        rest.retain(|acceptance| !out.contains_key(&acceptance.volunteer));
        let most = self.settings.rounds.max_contributions as usize;
        out.extend(rest.iter().skip(most).map(|acceptance| {
            let exclusion = Exclusion {
                volunteer: acceptance.volunteer,
                packet: acceptance.packet,
                reason: ExclusionReason::NotNeeded,
            };
            (acceptance.volunteer, exclusion)
        }));
        self.excluded = out.into_values().collect();
        if rest.is_empty() {
            self.record(self.base, None, 0, effects);
        } else {
            self.phase = Phase::Merging(Attempt::default());
            effects.push(self.merge());
        }
    }

    /// A replica beside the packet it is of.
    fn twice(&self, replica: &Replica) -> Option<Exclusion> {
        self.places.get(&replica.of)?;
        let packet = self.places.get(&replica.by)?.acceptance.packet;
        Some(Exclusion {
            volunteer: replica.by,
            packet,
            reason: ExclusionReason::Replica,
        })
    }

    /// Without an assessment, with what the fast checks found.
    fn go_on(&mut self, effects: &mut Vec<Effect>) {
        if let Phase::Assessing {
            checked, compared, ..
        } = &mut self.phase
        {
            let (checked, compared) = (std::mem::take(checked), std::mem::take(compared));
            self.choose(checked, &compared, effects);
        }
    }

    /// [`Event::Checked`](crate::Event::Checked)
    pub(crate) fn checked(
        &mut self,
        round: Round,
        excluded: Vec<Exclusion>,
        replicas: Vec<Replica>,
    ) {
        if let Phase::Assessing {
            checked, compared, ..
        } = &mut self.phase
            && round == self.round
        {
            (*checked, *compared) = (excluded, replicas);
        }
    }

    /// [`Event::Assessed`](crate::Event::Assessed)
    pub(crate) fn assessed(
        &mut self,
        round: Round,
        excluded: Vec<Exclusion>,
        replicas: Vec<Replica>,
        effects: &mut Vec<Effect>,
    ) {
        if round == self.round && matches!(self.phase, Phase::Assessing { .. }) {
            self.choose(excluded, &replicas, effects);
        }
    }

    /// [`Event::AssessFailed`](crate::Event::AssessFailed)
    pub(crate) fn assess_failed(&mut self, round: Round, effects: &mut Vec<Effect>) {
        if round == self.round {
            self.go_on(effects);
        }
    }

    fn merge(&self) -> Effect {
        Effect::Merge {
            round: self.round,
            base: self.base,
            packets: self.selected().collect(),
        }
    }

    /// What is merged, in ascending volunteer order.
    pub(crate) fn selected(&self) -> impl Iterator<Item = Acceptance> {
        let out: BTreeSet<VolunteerId> = self
            .excluded
            .iter()
            .map(|exclusion| exclusion.volunteer)
            .collect();
        self.places
            .values()
            .map(|place| place.acceptance)
            .filter(move |acceptance| !out.contains(&acceptance.volunteer))
    }

    fn record(
        &mut self,
        theta_after: Hash,
        update: Option<Hash>,
        update_len: u64,
        effects: &mut Vec<Effect>,
    ) {
        let record = RoundRecord {
            run: self.settings.run,
            round: self.round,
            previous: self.previous,
            seed: self.seed(),
            base: self.base,
            theta_after,
            update,
            update_len,
            contributions: self.selected().map(|a| a.contribution()).collect(),
            excluded: self.excluded.clone(),
            commitments: self.commitments(),
            replicas: self.replicas.clone(),
            unproven: self.unproven(),
        };
        self.phase = Phase::Recording {
            record: Box::new(record.clone()),
            attempt: Attempt::default(),
        };
        effects.push(Effect::Record(record));
    }

    /// [`Event::Merged`](crate::Event::Merged)
    pub(crate) fn merged(
        &mut self,
        round: Round,
        theta_after: Hash,
        update: Hash,
        update_len: u64,
        effects: &mut Vec<Effect>,
    ) {
        if round == self.round && matches!(self.phase, Phase::Merging(_)) {
            self.record(theta_after, Some(update), update_len, effects);
        }
    }

    /// [`Event::MergeFailed`](crate::Event::MergeFailed)
    pub(crate) fn merge_failed(&mut self, round: Round) {
        if let Phase::Merging(attempt) = &mut self.phase
            && round == self.round
        {
            attempt.fail(self.now_ms);
        }
    }

    /// [`Event::RecordFailed`](crate::Event::RecordFailed)
    pub(crate) fn record_failed(&mut self, round: Round) {
        if let Phase::Recording { attempt, .. } = &mut self.phase
            && round == self.round
        {
            attempt.fail(self.now_ms);
        }
    }

    /// [`Event::Recorded`](crate::Event::Recorded): the round is history, the next one is open.
    pub(crate) fn recorded(&mut self, round: Round, effects: &mut Vec<Effect>) {
        let record = match &self.phase {
            Phase::Recording { record, .. } if round == self.round => record,
            _ => return,
        };
        let theta = record.theta_after;
        self.trust.observe(&self.settings.replication.quota, record);
        self.previous = Some(record.hash());
        self.history.push_back((round, theta));
        while self.history.len() > HISTORY_ROUNDS {
            self.history.pop_front();
        }
        self.receipts.extend(
            std::mem::take(&mut self.places)
                .into_values()
                .map(|place| place.acceptance),
        );
        self.excluded.clear();
        self.replicas.clear();
        self.promises.clear();
        self.next_order = 0;
        self.round = round.next();
        self.forget_receipts();
        self.base = theta;
        self.phase = Phase::Idle;
        self.joined.clear();
        self.members.touch();
        effects.push(Effect::Closed { round });
        if self
            .round
            .0
            .is_multiple_of(self.settings.rounds.checkpoint_every)
        {
            effects.push(Effect::Checkpoint {
                round: self.round,
                theta,
            });
        }
        self.deal();
        let members: Vec<VolunteerId> = self.members.ids().copied().collect();
        for volunteer in members {
            self.tell_task(volunteer, effects);
        }
        effects.push(self.opened(Audience::Everyone));
    }

    pub(crate) fn forget_receipts(&mut self) {
        let oldest = self.round.0.saturating_sub(RECEIPT_ROUNDS as u64);
        self.receipts
            .retain(|acceptance| acceptance.round.0 >= oldest);
    }
}
