//! What the world has to do. Each effect that can fail is answered with an
//! [`Event`](crate::Event) of its own.

use covey_protocol::{
    Hash, PartnerId, Round, VolunteerId,
    http::ErrorCode,
    record::{Commitment, Contribution, RoundRecord},
    socket::Presence,
};

use crate::{Pair, Task};

/// Names one upload that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Everyone,
    One(VolunteerId),
}

/// A commitment with its place in the round's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pledge {
    pub round: Round,
    /// Grows with every commitment that is taken; numbers may be missing.
    pub order: u32,
    pub commitment: Commitment,
}

/// A packet that has its place in a round: what a receipt states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    pub round: Round,
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub inner_steps: u32,
    pub tokens: u32,
    /// The site it is credited to.
    pub partner: Option<PartnerId>,
    /// When it was admitted, milliseconds since 1970.
    pub received_at_ms: u64,
}

impl Acceptance {
    /// As a record lists it.
    #[must_use]
    pub fn contribution(&self) -> Contribution {
        Contribution {
            volunteer: self.volunteer,
            packet: self.packet,
            inner_steps: self.inner_steps,
            tokens: self.tokens,
            partner: self.partner,
        }
    }
}

/// Something the world has to do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make a commitment durable, then report [`Pledged`](crate::Event::Pledged) or
    /// [`PledgeFailed`](crate::Event::PledgeFailed).
    Pledge(Pledge),
    /// Tell a volunteer that its commitment is durable.
    Committed {
        volunteer: VolunteerId,
        round: Round,
        packet: Hash,
    },
    /// Tell a volunteer that its commitment was refused; nothing of it is kept.
    NotCommitted {
        volunteer: VolunteerId,
        round: Round,
        packet: Hash,
        code: ErrorCode,
        message: String,
    },
    /// Make a packet durable, then report [`Stored`](crate::Event::Stored) or
    /// [`StoreFailed`](crate::Event::StoreFailed). `ticket` names the upload that brought its bytes.
    Store {
        ticket: Ticket,
        acceptance: Acceptance,
    },
    /// Acknowledge these uploads of one packet, which is durable.
    Receipt {
        tickets: Vec<Ticket>,
        acceptance: Acceptance,
    },
    /// Refuse an upload; nothing of it is kept.
    Reject {
        ticket: Ticket,
        code: ErrorCode,
        message: String,
    },
    /// Try stored packets, listed in the order in which they were committed to, on the weights `base`;
    /// there may be none. Report
    /// [`Checked`](crate::Event::Checked) as soon as the fast checks are done, then
    /// [`Assessed`](crate::Event::Assessed) or [`AssessFailed`](crate::Event::AssessFailed).
    Assess {
        round: Round,
        /// Seed of the round's assignments.
        seed: Hash,
        /// Seed of what is looked at; see [`probe_seed`](crate::probe_seed).
        probe: Hash,
        base: Hash,
        packets: Vec<Acceptance>,
        /// Volunteers that delivered nothing although they joined and stayed, or had committed to a packet.
        missing: Vec<VolunteerId>,
        /// Whose packet is another one's work, computed again.
        replicas: Vec<Pair>,
    },
    /// Merge stored packets, listed in ascending volunteer order, into the weights `base`; make the
    /// merged update durable; then report [`Merged`](crate::Event::Merged) or
    /// [`MergeFailed`](crate::Event::MergeFailed).
    Merge {
        round: Round,
        base: Hash,
        packets: Vec<Acceptance>,
    },
    /// Sign a record and make it durable, then report [`Recorded`](crate::Event::Recorded) or
    /// [`RecordFailed`](crate::Event::RecordFailed).
    Record(RoundRecord),
    /// Tell everyone that a round is closed; its record is durable.
    Closed { round: Round },
    /// Tell of the open round. Also sent when its window starts and the deadline becomes known.
    Opened {
        to: Audience,
        round: Round,
        seed: Hash,
        base: Hash,
        /// Milliseconds to the deadline; absent until somebody joins.
        remaining_ms: Option<u64>,
    },
    /// Tell a volunteer what it does in a round, before the round itself is told.
    Task {
        volunteer: VolunteerId,
        round: Round,
        task: Task,
    },
    /// Keep the weights `theta`, the base of `round`, as a checkpoint.
    Checkpoint { round: Round, theta: Hash },
    /// Tell a volunteer that its weights are not the run's.
    Resync { volunteer: VolunteerId },
    /// Tell everyone who is here.
    Presence {
        total: u32,
        volunteers: Vec<Presence>,
    },
    /// Tell a volunteer that its frame was refused.
    Refuse {
        volunteer: VolunteerId,
        code: ErrorCode,
        message: String,
    },
}
