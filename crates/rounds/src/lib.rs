//! The coordinator's rounds as a pure state machine: [`RoundsMachine::step`] takes an event and the
//! time, and returns what the world has to do about it. No I/O, no clock, no randomness.
//!
//! One round is open at a time. It goes through these phases:
//!
//! 1. *Idle.* Nobody works on it. No empty rounds are churned while nobody is there.
//! 2. *Collecting.* The first [`Event::Join`] (or commitment) starts the window. A volunteer commits to its
//!    packet's hash before the deadline and may then upload exactly that packet; both are stored, and only
//!    then acknowledged. The window ends early once everyone who is still awaited has contributed, else
//!    at its deadline; a grace period follows for the packets that were committed to.
//! 3. *Draining.* Nothing more is admitted; packets that were admitted finish being stored.
//! 4. *Assessing.* The world tries the packets and says which are left out, and why. It gets a bounded
//!    time for that: a round that cannot be assessed goes on with what the fast checks found.
//! 5. *Merging.* The world merges the packets that are left into the next weights.
//! 6. *Recording.* The round's record is made durable. Then the round is announced as closed and the
//!    next one is open. A round with nothing to merge goes here directly and leaves the weights alone.
//!
//! Nothing of a round can be read before its record is out, so a copier has nothing to copy in time, and
//! of two packets that resemble each other the one committed to first is the original (spec 2.7).
//!
//! What a reader would get wrong: "accepted" and "acknowledged" are different moments. A packet takes a
//! place in the round when it is admitted, but its receipt leaves only after [`Event::Stored`], so a
//! receipt survives the loss of the process at any later moment. And a receipt promises a place in the
//! record, not in the merge: what the assessment leaves out is named there with its reason. Rounds follow the window protocol of
//! Gauntlet (arXiv 2505.21684) with times judged by the receiver's clock.

mod admission;
mod closing;
mod commitment;
mod effect;
mod event;
mod machine;
mod presence;
mod recovery;
mod replication;
mod seed;
mod trust;

pub use effect::{Acceptance, Audience, Effect, Pledge, Ticket};
pub use event::{Event, Submission};
pub use machine::{Assessing, Phase, RoundsMachine, Settings};
pub use recovery::Snapshot;
pub use replication::{Pair, Replication, Task};
pub use seed::{probe_seed, round_seed};
pub use trust::{Quota, Standing, Trust};
