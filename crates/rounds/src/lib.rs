//! The coordinator's rounds as a pure state machine: [`RoundsMachine::step`] takes an event and the
//! time, and returns what the world has to do about it. No I/O, no clock, no randomness.
//!
//! One round is open at a time. It goes through these phases:
//!
//! 1. *Idle.* Nobody works on it. No empty rounds are churned while nobody is there.
//! 2. *Collecting.* The first [`Event::Join`] (or packet) starts the window. Packets are admitted,
//!    stored, and only then acknowledged. The window ends early once everyone who is still awaited has
//!    contributed, else at its deadline; a grace period follows for those who are still missing.
//! 3. *Draining.* Nothing more is admitted; packets that were admitted finish being stored.
//! 4. *Assessing.* The world tries the packets and says which are left out, and why. It gets a bounded
//!    time for that: a round that cannot be assessed goes on with what the fast checks found.
//! 5. *Merging.* The world merges the packets that are left into the next weights.
//! 6. *Recording.* The round's record is made durable. Then the round is announced as closed and the
//!    next one is open. A round with nothing to merge goes here directly and leaves the weights alone.
//!
//! What a reader would get wrong: "accepted" and "acknowledged" are different moments. A packet takes a
//! place in the round when it is admitted, but its receipt leaves only after [`Event::Stored`], so a
//! receipt survives the loss of the process at any later moment. And a receipt promises a place in the
//! record, not in the merge: what the assessment leaves out is named there with its reason. Rounds follow the window protocol of
//! Gauntlet (arXiv 2505.21684) with upload times judged by the receiver's clock.

mod admission;
mod closing;
mod effect;
mod event;
mod machine;
mod presence;
mod recovery;
mod seed;

pub use effect::{Acceptance, Audience, Effect, Ticket};
pub use event::{Event, Submission};
pub use machine::{Assessing, Phase, RoundsMachine, Settings};
pub use recovery::Snapshot;
pub use seed::{probe_seed, round_seed};
