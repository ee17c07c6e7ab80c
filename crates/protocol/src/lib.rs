//! Everything that crosses Covey's network: messages, their version, and their limits.
//!
//! Two channels, on purpose. Small JSON frames travel on a WebSocket ([`socket`]): who is here,
//! which round is open, what was accepted. Everything large is an immutable blob fetched or posted
//! over HTTP ([`http`]) and named by its BLAKE3 hash, so any cache or mirror can serve it and every
//! receiver can check it.
//!
//! The crate does no I/O. It only knows what valid bytes look like: decoders check lengths against
//! [`limits`] before they allocate, and return a [`ProtocolError`] for anything else.

pub mod corpus;
pub mod handover;
pub mod http;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod model;
pub mod packet;
pub mod partner;
pub mod record;
pub mod run;
pub mod socket;
pub mod update;
pub mod validation;
pub mod weights;
pub mod witness;

pub use ids::{Hash, Identity, Round, SESSION_KEY_DOMAIN, SignatureBytes, VolunteerId};
pub use partner::PartnerId;

use thiserror::Error;

/// The protocol spoken by this build. Raised when an older peer would misread a message.
///
/// 2: round records name what was left out of the merge, and why.
/// 3: packets are committed to before they are uploaded; tabs sign what they recomputed, and a run may
/// change its coordinator.
pub const PROTOCOL: u16 = 3;

/// The oldest protocol this build still understands.
pub const PROTOCOL_MIN: u16 = 3;

/// Why bytes or frames from the network were refused. Nothing changes when one is returned.
#[derive(Debug, Error, PartialEq)]
pub enum ProtocolError {
    #[error("{what} is {actual} bytes, more than the limit of {limit}")]
    TooLarge {
        what: &'static str,
        actual: usize,
        limit: usize,
    },
    #[error("{what} ends too early: {actual} bytes where {expected} are needed")]
    Truncated {
        what: &'static str,
        actual: usize,
        expected: usize,
    },
    #[error("{0} does not start with its magic bytes")]
    Magic(&'static str),
    #[error("{what} has version {actual}; this build speaks {supported}")]
    Version {
        what: &'static str,
        actual: u16,
        supported: u16,
    },
    #[error("{what} does not match its hash")]
    HashMismatch { what: &'static str },
    #[error("the signature of {0} is not valid")]
    Signature(&'static str),
    #[error("{0} holds a value that is not finite")]
    NotFinite(&'static str),
    #[error("{0} is not in canonical order")]
    Order(&'static str),
    #[error("{what} is not valid: {detail}")]
    Malformed { what: &'static str, detail: String },
}

impl ProtocolError {
    pub(crate) fn malformed(what: &'static str, detail: impl ToString) -> Self {
        Self::Malformed {
            what,
            detail: detail.to_string(),
        }
    }
}
