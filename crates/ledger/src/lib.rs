//! The ledger's rules: who owns what, who signed what, and what follows from it.
//!
//! Pure: no I/O, no clock, no randomness but what is passed in. The same bytes give the same state
//! on a coordinator and in a tab.

pub mod account;
pub mod signing;

pub use account::{AccountId, KeyType};
