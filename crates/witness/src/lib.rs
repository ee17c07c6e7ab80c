//! What a witness recomputes, without asking anybody and without keeping anything: a server that follows a
//! run (`covey-coordinator follow`) and a tab (`src/witness`) fetch the same things and hold them against
//! the same rules.
//!
//! 1. [`Chain`] says whether a record follows from those before it, and moves on with it.
//! 2. [`recomputed`] names what a replay of its packets found.
//! 3. [`books`] does the same for the ledger: its first entry, its signed end, and whom the coordinator's
//!    own weights pay.
//! 4. [`kept`] is what a tab stores, so that the next visit goes on where this one ended.
//!
//! What a reader would get wrong: nothing here repairs or chooses. The first thing that is not so is a
//! [`Finding`], and it is final. `docs/witnesses.md` says what can be recomputed and what cannot.

pub mod books;
mod chain;
mod finding;
pub mod kept;

pub use chain::{Chain, recomputed, update_limit};
pub use finding::Finding;
