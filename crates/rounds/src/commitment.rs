//! Commit, then reveal (spec 2.7): which packet a volunteer has given its word for, in which order.
//!
//! One commitment for each volunteer and round, taken until the deadline. It is acknowledged once it is on
//! disk; a packet is admitted only if its hash is the one its volunteer committed to. What a reader
//! would get wrong: the order is that of taking, not of storing, and it is what decides who copied whom;
//! which packet arrives first says nothing.

use covey_protocol::{
    Hash, Round, VolunteerId, http::ErrorCode, limits::MAX_COMMITMENTS, record::Commitment,
};

use crate::{
    Effect, Phase, Pledge, RoundsMachine,
    machine::{Promise, closed},
};

impl RoundsMachine {
    /// Whether the open round still takes commitments.
    #[must_use]
    pub fn takes_commitments(&self) -> bool {
        match &self.phase {
            Phase::Idle => true,
            Phase::Collecting { deadline_ms } => self.now_ms < *deadline_ms,
            Phase::Draining
            | Phase::Assessing { .. }
            | Phase::Merging(_)
            | Phase::Recording { .. } => false,
        }
    }

    /// [`Event::Commit`](crate::Event::Commit)
    pub(crate) fn commit(
        &mut self,
        round: Round,
        commitment: Commitment,
        effects: &mut Vec<Effect>,
    ) {
        let Commitment {
            volunteer, packet, ..
        } = commitment;
        if let Some(promise) = self.promises.get(&volunteer)
            && round == self.round
            && promise.pledge.commitment.packet == packet
        {
            // Being written: the answer is on its way.
            if promise.stored {
                effects.push(committed(&promise.pledge));
            }
        } else if let Err((code, message)) = self.may_commit(round, &volunteer) {
            effects.push(Effect::NotCommitted {
                volunteer,
                round,
                packet,
                code,
                message,
            });
        } else {
            let pledge = Pledge {
                round,
                order: self.next_order,
                commitment,
            };
            self.next_order = self.next_order.saturating_add(1);
            let stored = false;
            self.promises.insert(volunteer, Promise { pledge, stored });
            // A commitment says as much as a join: after a restart it may be the first sign of life.
            self.start_window(effects);
            effects.push(Effect::Pledge(pledge));
        }
    }

    fn may_commit(&self, round: Round, volunteer: &VolunteerId) -> Result<(), (ErrorCode, String)> {
        if round != self.round {
            Err(self.wrong_round(round))
        } else if self.promises.contains_key(volunteer) || self.places.contains_key(volunteer) {
            let message = "You have committed to another packet in this round.";
            Err((ErrorCode::Duplicate, message.into()))
        } else if !self.takes_commitments() {
            Err(closed(round))
        } else if let Some(message) = self.over_quota(volunteer) {
            Err((ErrorCode::Quota, message))
        } else if self.promises.len() >= MAX_COMMITMENTS {
            let message = "The round has all the commitments it may take; wait for the next one.";
            Err((ErrorCode::RoundFull, message.into()))
        } else {
            Ok(())
        }
    }

    /// [`Event::Pledged`](crate::Event::Pledged)
    pub(crate) fn pledged(
        &mut self,
        volunteer: &VolunteerId,
        packet: Hash,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(promise) = self.promises.get_mut(volunteer)
            && promise.pledge.commitment.packet == packet
            && !promise.stored
        {
            promise.stored = true;
            effects.push(committed(&promise.pledge));
        }
    }

    /// [`Event::PledgeFailed`](crate::Event::PledgeFailed)
    pub(crate) fn pledge_failed(
        &mut self,
        volunteer: &VolunteerId,
        packet: Hash,
        effects: &mut Vec<Effect>,
    ) {
        let failed = self
            .promises
            .get(volunteer)
            .is_some_and(|promise| promise.pledge.commitment.packet == packet && !promise.stored);
        if failed && let Some(promise) = self.promises.remove(volunteer) {
            effects.push(Effect::NotCommitted {
                volunteer: *volunteer,
                round: promise.pledge.round,
                packet,
                code: ErrorCode::Unavailable,
                message: "The coordinator could not store the commitment; send it again.".into(),
            });
        }
    }

    /// The commitments on disk, in their order, as a record lists them.
    pub(crate) fn commitments(&self) -> Vec<Commitment> {
        let mut pledges: Vec<&Pledge> = self
            .promises
            .values()
            .filter(|promise| promise.stored)
            .map(|promise| &promise.pledge)
            .collect();
        pledges.sort_by_key(|pledge| pledge.order);
        pledges.iter().map(|pledge| pledge.commitment).collect()
    }
}

fn committed(pledge: &Pledge) -> Effect {
    let Commitment {
        volunteer, packet, ..
    } = pledge.commitment;
    Effect::Committed {
        volunteer,
        round: pledge.round,
        packet,
    }
}
