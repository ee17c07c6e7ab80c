//! Gauntlet (arXiv 2505.21684): what a volunteer's work is worth, and which of it is merged.
//!
//! [`checks`] looks at a round's packets without evaluating anything; [`book`] keeps what is known of
//! every volunteer, takes a round's evidence and says what is merged and who earns what. The formulas
//! they use follow the paper. A score is made of three judgements, in the order in which evidence
//! arrives:
//!
//! 1. [`loss`]: did the update lower the loss on data that nobody was assigned? Peers are ranked by that,
//!    and [`rating`] turns rankings into a skill estimate.
//! 2. [`computation`]: did it help more on the peer's *own* data than elsewhere? A moving average of that
//!    yes or no is the proof that it trained on what it was given.
//! 3. [`sync`]: how many outer steps is the peer's model behind?
//!
//! [`score`] multiplies the three, [`penalty`] lists what lowers the product, and [`emission`] divides a
//! reward among the ranked peers.
//!
//! What a reader would get wrong: scores rank peers and pay them, but never weigh them in the aggregate,
//! where every accepted peer counts the same and only its norm is clipped.
//!
//! Everything here is IEEE arithmetic in a fixed order, with `exp` from the portable `libm` crate rather
//! than the platform's, so an auditor in a browser gets the coordinator's bits.

pub mod book;
pub mod checks;
pub mod computation;
pub mod emission;
pub mod error;
pub mod loss;
pub mod peer;
pub mod penalty;
pub mod rating;
pub mod replica;
pub mod rules;
pub mod score;
mod stored;
pub mod sync;
pub mod validation;
mod window;

pub use book::{Book, Standing, Verdicts};
pub use checks::{Checks, Finding};
pub use emission::{Emission, Payout};
pub use error::ScoringError;
pub use peer::{Delivered, Evaluation, Evidence, Work};
pub use rating::{PlackettLuce, Rating};
pub use replica::Tolerance;
pub use rules::Rules;
