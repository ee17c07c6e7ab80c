//! The coordinator: the server that keeps a run going while volunteers come and go.
//!
//! What happens to a packet, in the order in which modules meet it:
//!
//! 1. [`gateway`] receives it over HTTP, bounds it before reading, checks its signature and payload.
//! 2. [`actor`] owns the rounds' state machine (`covey-rounds`) and is the only one who does. It hands
//!    out the machine's effects as jobs and feeds their outcomes back as events.
//! 3. [`storage`] makes it durable; only then the sender gets its receipt.
//! 4. When the round closes, [`assessment`] tries each of its packets and decides which count.
//! 5. [`engine`] merges those into the next weights, [`storage`] keeps the merged update, the signed
//!    record and the book of scores, and everyone connected is told.
//! 6. [`ledger`] pays for it at the next epoch, and keeps who owns what.
//! 7. [`evaluation`] measures the new weights on held-out text, on a thread of its own.
//!
//! Nobody has to believe any of it: [`follow`] mirrors a run, recomputes it and says so ([`witnesses`]).
//!
//! What a reader would get wrong: nothing in memory is precious. [`startup`] rebuilds all of it from the
//! data directory, and the process may be killed between any two instructions without losing anything
//! that was acknowledged.
//!
//! Wire formats are in `covey-protocol`, arithmetic in `covey-training`; this crate holds neither.

pub mod actor;
pub mod assessment;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod engine;
pub mod error;
pub mod evaluation;
pub mod follow;
pub mod gateway;
pub mod handovers;
pub mod history;
pub mod ledger;
pub mod metrics;
pub mod patient;
pub mod run_file;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod startup;
pub mod storage;
pub mod validations;
pub mod witnesses;

pub use error::CoordinatorError;
