//! The control socket: small JSON frames, one object a frame, told in the order they happen.
//!
//! 1. The coordinator sends [`ServerFrame::Challenge`] with a fresh nonce.
//! 2. The volunteer answers [`ClientFrame::Hello`]: its key and a signature over the nonce, so a
//!    connection belongs to one key and a recorded hello is worthless.
//! 3. [`ServerFrame::Welcome`] carries the run. The volunteer catches up over HTTP.
//! 4. [`ClientFrame::Join`] says it works on the open round; [`ServerFrame::RoundOpened`] and
//!    [`ServerFrame::RoundClosed`] mark the rounds; after each the volunteer reports the hash it
//!    reached in [`ClientFrame::Applied`] and is told to [`ServerFrame::Resync`] if it differs.
//! 5. With its packet ready, but not sent, the volunteer says its hash in [`ClientFrame::Commit`], before
//!    the round's deadline. Only after [`ServerFrame::Committed`] does it upload the packet itself
//!    (over HTTP), until the end of the grace period. Nobody can read a packet before the round's record
//!    is out, so whoever wants to copy one comes too late to commit to the copy.
//!
//! Browsers cannot export TLS keying material, hence the challenge over the socket itself.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Identity, PROTOCOL, ProtocolError, Round, SignatureBytes, VolunteerId,
    http::{ErrorCode, HeldOut, RunInfo},
    limits::{MAX_CLIENT_FRAME, MAX_FRAME, MAX_NAME},
    partner::{NoCredit, PartnerId},
    record::{Checkpoint, SignedRecord},
    witness::SignedStatement,
};

const HELLO_DOMAIN: &str = "covey 2026-11 hello signature";

/// Where a volunteer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    WebGpu,
    /// burn's CPU backend, on SIMD.
    Flex,
}

/// From a volunteer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    Hello {
        protocol: u16,
        volunteer: VolunteerId,
        /// Over the challenge's nonce; see [`sign_hello`].
        signature: SignatureBytes,
        /// Program and version, for the operator.
        client: String,
        backend: Backend,
        /// The site whose frame this tab works in; answered with [`ServerFrame::Credit`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partner: Option<PartnerId>,
    },
    /// Takes part in a round: the round will wait for this volunteer until its deadline.
    Join { round: Round },
    /// Stops taking part (paused or stopped); the round no longer waits.
    Leave,
    /// Shown to others; sent every few seconds at most.
    Progress {
        round: Round,
        step: u32,
        loss: Option<f32>,
        tokens_per_second: f32,
    },
    /// The hash reached after a round.
    Applied { round: Round, theta: Hash },
    /// What this volunteer's key says as a witness: sent after each round that it recomputed.
    Witness { statement: Box<SignedStatement> },
    /// This packet and no other is this volunteer's work in the round. Saying the same again is answered
    /// the same.
    Commit {
        round: Round,
        /// Hash of the sealed packet.
        packet: Hash,
        /// [`Commitment::sign`](crate::record::Commitment::sign).
        signature: SignatureBytes,
    },
}

/// From the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    Challenge {
        nonce: Hash,
        protocol_min: u16,
        protocol: u16,
    },
    Welcome {
        run: Box<RunInfo>,
    },
    /// The connection ends after this.
    Denied {
        code: ErrorCode,
        message: String,
    },
    RoundOpened {
        round: Round,
        seed: Hash,
        base: Hash,
        inner_steps: u32,
        /// Milliseconds to the deadline; absent until somebody joins.
        remaining_ms: Option<u64>,
    },
    /// What this volunteer does in the round that is told next, if that is not the usual.
    Task {
        round: Round,
        /// Whose data it trains on; its own, unless it computes somebody's work again.
        data_of: VolunteerId,
        /// Without optimiser state and error feedback, and without changing them.
        fresh: bool,
    },
    RoundClosed {
        record: Box<SignedRecord>,
    },
    /// The commitment is durable: upload the packet.
    Committed {
        round: Round,
        packet: Hash,
    },
    /// The commitment was refused.
    NotCommitted {
        round: Round,
        packet: Hash,
        code: ErrorCode,
        message: String,
    },
    HeldOut {
        held_out: HeldOut,
    },
    Presence {
        /// All connected volunteers, of whom the first hundred are listed.
        total: u32,
        volunteers: Vec<Presence>,
    },
    /// Whether receipts name the partner of the hello. Sent after the welcome to tabs that named one,
    /// and again when the operator suspends or restores the partner.
    Credit {
        partner: PartnerId,
        /// Why they do not; absent when they do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<NoCredit>,
    },
    /// The volunteer's weights are not the run's: start again from this checkpoint.
    Resync {
        checkpoint: Checkpoint,
    },
    /// The coordinator stops on purpose: come back after `reconnect_in_ms`, and keep trying for
    /// `try_for_ms`. Each volunteer is given another delay.
    Restarting {
        reconnect_in_ms: u64,
        try_for_ms: u64,
    },
    Error {
        code: ErrorCode,
        message: String,
    },
}

/// One connected volunteer, as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    pub volunteer: VolunteerId,
    pub backend: Backend,
    pub activity: Activity,
    pub tokens_per_second: f32,
    /// Contributions accepted since the run began.
    pub accepted: u64,
}

/// What a connected volunteer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Connected, not in the round.
    Watching,
    Training,
    /// Contributed to the open round.
    Contributed,
}

/// Signature of a hello: binds key, coordinator's nonce and protocol.
pub fn sign_hello(identity: &Identity, nonce: &Hash) -> SignatureBytes {
    identity.sign(HELLO_DOMAIN, &hello_bytes(nonce))
}

/// Checks [`sign_hello`].
pub fn verify_hello(
    volunteer: &VolunteerId,
    nonce: &Hash,
    signature: &SignatureBytes,
) -> Result<(), ProtocolError> {
    volunteer.verify(HELLO_DOMAIN, &hello_bytes(nonce), signature)
}

fn hello_bytes(nonce: &Hash) -> Vec<u8> {
    let mut bytes = nonce.0.to_vec();
    bytes.extend(PROTOCOL.to_le_bytes());
    bytes
}

impl ClientFrame {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses a frame from a volunteer; bounded, and no field may be out of range.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a control frame";
        bounded(text, MAX_CLIENT_FRAME)?;
        let frame: Self =
            serde_json::from_str(text).map_err(|error| ProtocolError::malformed(WHAT, error))?;
        match &frame {
            Self::Hello { client, .. } if client.len() > MAX_NAME => Err(ProtocolError::TooLarge {
                what: "a client's name",
                actual: client.len(),
                limit: MAX_NAME,
            }),
            Self::Progress {
                loss,
                tokens_per_second,
                ..
            } if !loss.unwrap_or(0.0).is_finite() || !tokens_per_second.is_finite() => {
                Err(ProtocolError::NotFinite("a progress report"))
            }
            _ => Ok(frame),
        }
    }
}

impl ServerFrame {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses a frame from a coordinator.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        bounded(text, MAX_FRAME)?;
        serde_json::from_str(text)
            .map_err(|error| ProtocolError::malformed("a control frame", error))
    }
}

fn bounded(text: &str, limit: usize) -> Result<(), ProtocolError> {
    if text.len() > limit {
        return Err(ProtocolError::TooLarge {
            what: "a control frame",
            actual: text.len(),
            limit,
        });
    }
    Ok(())
}
