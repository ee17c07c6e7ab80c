//! The wallet's actions as Bittensor extrinsics (economics spec, sections 1.4, 2.3 and 5.2).
//!
//! In the order in which data meets it: a [`Call`] says what to do; [`Unsigned`] adds who, on which
//! chain and for how long, and gives a wallet its [`SignerPayload`]; the wallet's signature turns it
//! into the bytes that a node takes. Nothing here talks to a node or a wallet.
//!
//! The one thing to get wrong: call numbers and signed extensions are those of runtime
//! [`SPEC_VERSION`], written by hand instead of read from the chain's metadata. They are stable in
//! practice, but a chain may renumber in any upgrade: compare the node's version with
//! [`SPEC_VERSION`] before offering anything to sign, and say so when they differ.

mod call;
mod extrinsic;
mod scale;
mod signer_payload;

pub use call::Call;
pub use extrinsic::{Mortality, Period, Runtime, Unsigned, extrinsic_hash, signing_input};
pub use signer_payload::{SIGNED_EXTENSIONS, SignerPayload};

use thiserror::Error;

/// The runtime whose call numbers and extensions this crate writes. Checked against its metadata by
/// the vectors.
pub const SPEC_VERSION: u32 = 461;

/// Genesis hash of Bittensor's main network, "Finney".
pub const FINNEY_GENESIS: [u8; 32] = [
    0x2f, 0x05, 0x55, 0xcc, 0x76, 0xfc, 0x28, 0x40, 0xa2, 0x5a, 0x6e, 0xa3, 0xb9, 0x63, 0x71, 0x46,
    0x80, 0x6f, 0x1f, 0x44, 0xb0, 0x90, 0xc1, 0x75, 0xff, 0xde, 0x2a, 0x7e, 0x5a, 0xb3, 0x6c, 0x03,
];

/// Why an extrinsic cannot be written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SubtensorError {
    #[error("an extrinsic cannot live for {0} blocks; take a power of two from 4 to 4096")]
    Period(u32),
}
