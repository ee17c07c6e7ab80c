//! The ledger's rules: who owns what, who signed what, and what follows from it (economics).
//!
//! Pure: no I/O, no clock, no randomness but what is passed in. The same entries give the same state and
//! the same hashes on a coordinator, in a mirror and in a tab. From the outside in:
//!
//! 1. [`journal`]: append-only entries, hash-chained; [`ledger`] applies them to a [`state`].
//! 2. [`call`]: what an account can ask for and how it is signed ([`signing`]); [`apply`] carries it out.
//! 3. [`epoch`]: what happens by itself: [`emission`] by [`yuma`] consensus, ownership by [`conviction`].
//! 4. [`governance`] and [`notice`]: what several keys may change, and what everybody sees before.
//! 5. The arithmetic below: [`pool`], [`shares`], [`lock`], [`fixed`].
//!
//! What a reader would get wrong: there is no administrator. No call reaches the emission schedule, no
//! single key changes a rule, and an operator that stops the journal stops itself: anyone can continue it.

pub mod account;
pub mod apply;
pub mod call;
pub mod conviction;
pub mod emission;
pub mod epoch;
pub mod error;
pub mod event;
pub mod fixed;
pub mod genesis;
pub mod governance;
pub mod journal;
pub mod ledger;
pub mod lock;
pub mod map;
pub mod notice;
pub mod params;
pub mod partner;
pub mod pool;
pub mod shares;
pub mod signing;
pub mod state;
pub mod supply;
pub mod units;
pub mod wide;
pub mod yuma;

pub use account::{AccountId, KeyType};
pub use error::LedgerError;
pub use ledger::Ledger;
pub use units::{Alpha, Height, NetUid, Rao};
