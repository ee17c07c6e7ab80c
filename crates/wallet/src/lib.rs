//! The wallet module: the ledger's own rules in a page, for people who stake, lock and audit (issue 3,
//! "Wallet view"; economics sections 1, 2 and 5.1).
//!
//! In the order in which data meets it:
//! 1. [`wallet`] opens a checked snapshot and applies entries to it; [`audit`] replays a whole journal.
//! 2. [`view`] says what the ledger means for a person, as plain data; amounts are strings.
//! 3. [`view::draft`] runs a call on a copy and says what it would do, before anybody signs.
//! 4. [`wallet`] puts the signature to it; [`session`] writes the one text a wallet signs for a tab's key.
//! 5. `bindings` is the thin surface that JavaScript sees (`www/wallet/types.js`).
//!
//! What a reader would get wrong: nothing here is a rule. Every number comes from `covey-ledger`, run on
//! the state or on a copy of it, so what is shown is what will happen.

pub mod amount;
pub mod audit;
mod bindings;
pub mod error;
pub mod session;
pub mod view;
pub mod wallet;

pub use audit::Audit;
pub use error::WalletError;
pub use wallet::Wallet;
