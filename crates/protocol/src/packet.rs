//! A packet: one volunteer's pseudo-gradient for one round, signed.
//!
//! The signature covers the header, and the header holds the payload's hash, so a packet can be
//! checked, stored, relayed and re-checked by anyone without knowing the model. What the payload
//! means (SLC1 frames, one per tensor) is the business of `covey-compression`.
//!
//! Layout, little endian, [`HEADER_LEN`] + payload bytes:
//!
//! | offset | field | | offset | field |
//! |---|---|---|---|---|
//! | 0 | `CVP1` | | 120 | f32 first loss |
//! | 4 | u16 version | | 124 | f32 last loss |
//! | 6 | u16 zero | | 128 | u32 payload length |
//! | 8 | run, 32 | | 132 | u32 zero |
//! | 40 | volunteer, 32 | | 136 | payload hash, 32 |
//! | 72 | u64 round | | 168 | signature, 64 |
//! | 80 | base weights, 32 | | 232 | payload |
//! | 112 | u32 inner steps | | | |
//! | 116 | u32 tokens | | | |

use crate::{
    Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId,
    limits::{MAX_INNER_STEPS, MAX_PAYLOAD},
};

/// Bytes before the payload.
pub const HEADER_LEN: usize = 232;
/// Bytes the signature covers.
const SIGNED_LEN: usize = HEADER_LEN - 64;
/// Version of this layout.
pub const PACKET_VERSION: u16 = 1;
const MAGIC: &[u8; 4] = b"CVP1";
const DOMAIN: &str = "covey 2026-11 packet signature";

/// What a volunteer says about its work.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketHeader {
    pub run: Hash,
    pub volunteer: VolunteerId,
    pub round: Round,
    /// Hash of the weights the inner steps started from.
    pub base: Hash,
    /// Inner steps done: H, or fewer when the deadline came first.
    pub inner_steps: u32,
    /// Tokens trained on.
    pub tokens: u32,
    /// Training loss of the first and last inner step that was read, in nats per token.
    pub first_loss: f32,
    pub last_loss: f32,
}

/// A checked packet, borrowing its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet<'a> {
    pub header: PacketHeader,
    pub payload: &'a [u8],
    /// The whole packet as it was sent.
    pub sealed: &'a [u8],
}

impl PacketHeader {
    /// Signs and encodes a packet.
    ///
    /// # Errors
    /// When the payload is longer than [`MAX_PAYLOAD`].
    pub fn seal(&self, payload: &[u8], identity: &Identity) -> Result<Vec<u8>, ProtocolError> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|_| payload.len() <= MAX_PAYLOAD)
            .ok_or(ProtocolError::TooLarge {
                what: "a payload",
                actual: payload.len(),
                limit: MAX_PAYLOAD,
            })?;
        let mut out = Vec::with_capacity(HEADER_LEN + payload.len());
        out.extend(MAGIC);
        out.extend(PACKET_VERSION.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.run.0);
        out.extend(self.volunteer.0);
        out.extend(self.round.0.to_le_bytes());
        out.extend(self.base.0);
        out.extend(self.inner_steps.to_le_bytes());
        out.extend(self.tokens.to_le_bytes());
        out.extend(self.first_loss.to_le_bytes());
        out.extend(self.last_loss.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend([0; 4]);
        out.extend(Hash::of(payload).0);
        let signature = identity.sign(DOMAIN, &out);
        out.extend(signature.0);
        out.extend(payload);
        Ok(out)
    }
}

impl<'a> Packet<'a> {
    /// Decodes a packet and checks its bounds, payload hash and signature.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a packet";
        let (head, payload) =
            bytes
                .split_at_checked(HEADER_LEN)
                .ok_or(ProtocolError::Truncated {
                    what: WHAT,
                    actual: bytes.len(),
                    expected: HEADER_LEN,
                })?;
        let mut reader = Reader { rest: head };
        if reader.take::<4>() != *MAGIC {
            return Err(ProtocolError::Magic(WHAT));
        }
        let version = u16::from_le_bytes(reader.take());
        if version != PACKET_VERSION {
            return Err(ProtocolError::Version {
                what: WHAT,
                actual: version,
                supported: PACKET_VERSION,
            });
        }
        let zero16: [u8; 2] = reader.take();
        let run = Hash(reader.take());
        let volunteer = VolunteerId(reader.take());
        let round = Round(u64::from_le_bytes(reader.take()));
        let base = Hash(reader.take());
        let inner_steps = u32::from_le_bytes(reader.take());
        let tokens = u32::from_le_bytes(reader.take());
        let first_loss = f32::from_le_bytes(reader.take());
        let last_loss = f32::from_le_bytes(reader.take());
        let length = u32::from_le_bytes(reader.take()) as usize;
        let zero32: [u8; 4] = reader.take();
        let payload_hash = Hash(reader.take());
        let signature = SignatureBytes(reader.take());

        if length > MAX_PAYLOAD {
            return Err(ProtocolError::TooLarge {
                what: "a payload",
                actual: length,
                limit: MAX_PAYLOAD,
            });
        }
        if length != payload.len() {
            return Err(ProtocolError::Truncated {
                what: "a payload",
                actual: payload.len(),
                expected: length,
            });
        }
        if zero16 != [0; 2] || zero32 != [0; 4] {
            return Err(ProtocolError::malformed(WHAT, "reserved bytes are not 0"));
        }
        if !first_loss.is_finite() || !last_loss.is_finite() {
            return Err(ProtocolError::NotFinite("a packet's loss"));
        }
        if inner_steps == 0 || inner_steps > MAX_INNER_STEPS {
            return Err(ProtocolError::malformed(
                WHAT,
                format!("{inner_steps} inner steps"),
            ));
        }
        if Hash::of(payload) != payload_hash {
            return Err(ProtocolError::HashMismatch { what: "a payload" });
        }
        volunteer.verify(
            DOMAIN,
            head.get(..SIGNED_LEN).unwrap_or_default(),
            &signature,
        )?;
        Ok(Self {
            header: PacketHeader {
                run,
                volunteer,
                round,
                base,
                inner_steps,
                tokens,
                first_loss,
                last_loss,
            },
            payload,
            sealed: bytes,
        })
    }

    /// The packet's name: hash of its sealed bytes.
    pub fn hash(&self) -> Hash {
        Hash::of(self.sealed)
    }
}

/// Reads fixed fields; the caller has checked the total length.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.rest = rest;
                *field
            }
            None => [0; N],
        }
    }
}
