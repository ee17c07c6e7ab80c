//! Which packets get a place in the open round, and when their receipts leave.
//!
//! Everything is refused with a code the sender can act on. Posting the same packet again is not an
//! error: a sender that never saw the answer must be able to ask once more, and gets the same receipt,
//! also some rounds later.

use covey_protocol::{Hash, VolunteerId, http::ErrorCode};

use crate::{
    Acceptance, Effect, Phase, RoundsMachine, Submission, Ticket,
    machine::{Place, Storage, closed},
};

/// Uploads of one packet that may wait for its receipt at once.
const MAX_WAITING_UPLOADS: usize = 8;

enum Verdict {
    Admit,
    /// The packet is already on disk.
    Again(Acceptance),
    /// The packet is being stored.
    Wait,
    Refuse(ErrorCode, String),
}

impl RoundsMachine {
    pub(crate) fn submit(&mut self, submission: Submission, effects: &mut Vec<Effect>) {
        let ticket = submission.ticket;
        match self.judge(&submission) {
            Verdict::Admit => self.admit(&submission, effects),
            Verdict::Again(acceptance) => effects.push(Effect::Receipt {
                tickets: vec![ticket],
                acceptance,
            }),
            Verdict::Wait => self.wait(&submission, effects),
            Verdict::Refuse(code, message) => effects.push(Effect::Reject {
                ticket,
                code,
                message,
            }),
        }
    }

    fn judge(&self, submission: &Submission) -> Verdict {
        let refuse = |(code, message)| Verdict::Refuse(code, message);
        if submission.run != self.settings.run {
            return refuse((
                ErrorCode::WrongRun,
                "The packet is for another run; reload to join this one.".into(),
            ));
        }
        let known = self.receipts.iter().find(|acceptance| {
            acceptance.packet == submission.packet && acceptance.volunteer == submission.volunteer
        });
        if let Some(acceptance) = known {
            return Verdict::Again(*acceptance);
        }
        if submission.round != self.round {
            return refuse(self.wrong_round(submission.round));
        }
        match self.places.get(&submission.volunteer) {
            Some(place) if place.acceptance.packet == submission.packet => {
                return match place.state {
                    Storage::Stored => Verdict::Again(place.acceptance),
                    Storage::Storing(_) => Verdict::Wait,
                };
            }
            Some(_) => {
                return refuse((
                    ErrorCode::Duplicate,
                    "Another packet of yours was already accepted in this round.".into(),
                ));
            }
            None => {}
        }
        let open = match &self.phase {
            Phase::Idle => true,
            Phase::Collecting { deadline_ms } => self.now_ms < self.grace_end_ms(*deadline_ms),
            Phase::Draining
            | Phase::Assessing { .. }
            | Phase::Merging(_)
            | Phase::Recording { .. } => false,
        };
        if !open {
            return refuse(closed(submission.round));
        }
        if submission.base != self.base {
            return refuse((
                ErrorCode::WrongBase,
                "The packet was computed from other weights than this round's; resynchronise."
                    .into(),
            ));
        }
        let promise = self.promises.get(&submission.volunteer);
        if promise.is_none_or(|promise| {
            !promise.stored || promise.pledge.commitment.packet != submission.packet
        }) {
            return refuse((
                ErrorCode::NotCommitted,
                "This is not a packet you committed to in this round; commit to its hash first."
                    .into(),
            ));
        }
        if self.places.len() >= self.capacity() {
            return refuse((
                ErrorCode::RoundFull,
                "The round has all the contributions it may take; wait for the next one.".into(),
            ));
        }
        Verdict::Admit
    }

    fn admit(&mut self, submission: &Submission, effects: &mut Vec<Effect>) {
        let acceptance = Acceptance {
            round: self.round,
            volunteer: submission.volunteer,
            packet: submission.packet,
            inner_steps: submission.inner_steps,
            tokens: submission.tokens,
            partner: submission.partner,
            received_at_ms: self.now_ms,
        };
        let place = Place {
            acceptance,
            state: Storage::Storing(vec![submission.ticket]),
        };
        self.places.insert(submission.volunteer, place);
        self.members.touch();
        effects.push(Effect::Store {
            ticket: submission.ticket,
            acceptance,
        });
    }

    fn wait(&mut self, submission: &Submission, effects: &mut Vec<Effect>) {
        let place = self.places.get_mut(&submission.volunteer);
        if let Some(Storage::Storing(tickets)) = place.map(|place| &mut place.state)
            && tickets.len() < MAX_WAITING_UPLOADS
        {
            tickets.push(submission.ticket);
        } else {
            effects.push(Effect::Reject {
                ticket: submission.ticket,
                code: ErrorCode::Busy,
                message: "This packet is already being stored; ask again in a moment.".into(),
            });
        }
    }

    /// [`Event::Stored`]
    pub(crate) fn stored(
        &mut self,
        volunteer: &VolunteerId,
        packet: Hash,
        effects: &mut Vec<Effect>,
    ) {
        let Some(place) = self.places.get_mut(volunteer) else {
            return;
        };
        if place.acceptance.packet != packet {
            return;
        }
        if let Storage::Storing(tickets) = std::mem::replace(&mut place.state, Storage::Stored) {
            let acceptance = place.acceptance;
            self.members.accepted(volunteer);
            effects.push(Effect::Receipt {
                tickets,
                acceptance,
            });
        }
    }

    /// [`Event::StoreFailed`]
    pub(crate) fn store_failed(
        &mut self,
        volunteer: &VolunteerId,
        packet: Hash,
        effects: &mut Vec<Effect>,
    ) {
        let failed = self.places.get(volunteer).is_some_and(|place| {
            place.acceptance.packet == packet && matches!(place.state, Storage::Storing(_))
        });
        if !failed {
            return;
        }
        if let Some(Place {
            state: Storage::Storing(tickets),
            ..
        }) = self.places.remove(volunteer)
        {
            let reject = |ticket: Ticket| Effect::Reject {
                ticket,
                code: ErrorCode::Unavailable,
                message: "The coordinator could not store the packet; send it again.".into(),
            };
            effects.extend(tickets.into_iter().map(reject));
            self.members.touch();
        }
    }
}
