//! Everything that can happen to the rounds, from volunteers and from the world that carries out
//! [`Effect`](crate::Effect)s.

use covey_protocol::{
    Hash, PartnerId, Round, VolunteerId,
    record::{Commitment, Exclusion, Replica},
    socket::Backend,
};

use crate::effect::Ticket;

/// Something that happened. Events about a round or packet that is no longer current are ignored, so
/// the world may deliver them late or twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A volunteer's session began (or was taken over by a newer one).
    Connected {
        volunteer: VolunteerId,
        backend: Backend,
        /// Contributions accepted from it before, over the whole run.
        accepted: u64,
    },
    /// Its last session ended, for whatever reason.
    Disconnected { volunteer: VolunteerId },
    /// It works on a round: the round waits for it.
    Join {
        volunteer: VolunteerId,
        round: Round,
    },
    /// It paused or stopped: the round no longer waits for it.
    Leave { volunteer: VolunteerId },
    /// It reported its speed.
    Progress {
        volunteer: VolunteerId,
        round: Round,
        tokens_per_second: f32,
    },
    /// It reported the weights it reached after a round.
    Applied {
        volunteer: VolunteerId,
        round: Round,
        theta: Hash,
    },
    /// It committed to a packet; the signature has been checked for this run and round.
    Commit {
        round: Round,
        commitment: Commitment,
    },
    /// A commitment is on disk.
    Pledged {
        volunteer: VolunteerId,
        packet: Hash,
    },
    /// A commitment could not be written.
    PledgeFailed {
        volunteer: VolunteerId,
        packet: Hash,
    },
    /// It uploaded a packet whose bytes are valid.
    Submitted(Submission),
    /// A packet is on disk.
    Stored {
        volunteer: VolunteerId,
        packet: Hash,
    },
    /// A packet could not be stored; nothing of it remains.
    StoreFailed {
        volunteer: VolunteerId,
        packet: Hash,
    },
    /// The fast checks of the round's packets are done. Counts only if nothing better comes in time.
    Checked {
        round: Round,
        excluded: Vec<Exclusion>,
        replicas: Vec<Replica>,
    },
    /// The round's packets were assessed: everything not listed is merged.
    Assessed {
        round: Round,
        excluded: Vec<Exclusion>,
        replicas: Vec<Replica>,
    },
    /// The assessment did not come about. The round goes on with what the fast checks found.
    AssessFailed { round: Round },
    /// The round's packets were merged, and the merged update is on disk.
    Merged {
        round: Round,
        /// Hash of the weights after the outer step.
        theta_after: Hash,
        /// The update's blob and its length in bytes.
        update: Hash,
        update_len: u64,
    },
    /// The merge did not come about (disk, memory); it is tried again.
    MergeFailed { round: Round },
    /// The round's record is on disk.
    Recorded { round: Round },
    /// The record could not be written; it is tried again.
    RecordFailed { round: Round },
    /// Time passed; see [`RoundsMachine::next_wake_ms`](crate::RoundsMachine::next_wake_ms).
    Tick,
}

/// A packet whose signature, bounds and payload have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Names the upload that waits for an answer.
    pub ticket: Ticket,
    pub run: Hash,
    pub volunteer: VolunteerId,
    pub round: Round,
    /// Hash of the weights its inner steps started from.
    pub base: Hash,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub inner_steps: u32,
    pub tokens: u32,
    /// The site it is credited to, if the operator knows that site.
    pub partner: Option<PartnerId>,
}
