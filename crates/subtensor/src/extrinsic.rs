//! From a call to the bytes a node takes: extrinsic format 4 (economics spec, section 5.2).
//!
//! ```text
//! extra      = era ‖ compact(nonce) ‖ compact(tip) ‖ mode
//! additional = spec u32 ‖ transaction version u32 ‖ genesis ‖ era block ‖ (00 | 01 ‖ digest)
//! signed     = call ‖ extra ‖ additional, or its BLAKE2b-256 if that is over 256 bytes
//! extrinsic  = compact(length) ‖ 84 ‖ 00 ‖ key ‖ kind ‖ signature ‖ extra ‖ call
//! ```
//!
//! `additional` is signed and never sent: both sides know it. So a signature made for another chain,
//! fork or runtime simply fails.

use blake2::{Blake2b256, Digest};
use covey_ledger::{AccountId, KeyType, signing::SignatureBytes};

use crate::{Call, SubtensorError, scale::compact};

/// Format 4, signed.
const VERSION_SIGNED: u8 = 0x84;
/// `MultiAddress::Id`.
const ADDRESS_ID: u8 = 0;
/// Longest payload that is signed as it is.
const MAX_SIGNED: usize = 256;

/// Which chain, at which upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    pub genesis: [u8; 32],
    pub spec_version: u32,
    pub transaction_version: u32,
}

/// For how many blocks an extrinsic may be included: a power of two from 4 to 4096.
///
/// The chain knows longer ones, but rounds the block they begin at, and forgets block hashes after a
/// few thousand blocks anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u32);

impl Period {
    pub fn blocks(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Period {
    type Error = SubtensorError;

    fn try_from(blocks: u32) -> Result<Self, SubtensorError> {
        if (4..=4096).contains(&blocks) && blocks.is_power_of_two() {
            Ok(Self(blocks))
        } else {
            Err(SubtensorError::Period(blocks))
        }
    }
}

/// Until when an extrinsic may be included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mortality {
    /// For ever, as long as the nonce is unused.
    Immortal,
    /// From `block`, a recent one with that hash, for `period` blocks.
    Mortal {
        period: Period,
        block: u32,
        block_hash: [u8; 32],
    },
}

impl Mortality {
    /// The era's SCALE bytes: `00`, or two bytes with the period's logarithm in the low four bits
    /// and the place of `block` within the period above them.
    pub fn era(&self) -> Vec<u8> {
        match self {
            Self::Immortal => vec![0],
            Self::Mortal { period, block, .. } => {
                // At most 11 | 4095 << 4, which fits.
                let phase = block & (period.0 - 1);
                let encoded = (period.0.trailing_zeros() - 1) | phase << 4;
                encoded.to_le_bytes().into_iter().take(2).collect()
            }
        }
    }
}

/// An extrinsic that waits for its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    pub signer: AccountId,
    pub call: Call,
    pub runtime: Runtime,
    pub mortality: Mortality,
    /// The signer's next account nonce.
    pub nonce: u32,
    /// In rao; the chain's usual tip is 0.
    pub tip: u128,
    /// Digest of the metadata (RFC-0078), for wallets that check what they show against it.
    pub metadata_digest: Option<[u8; 32]>,
}

impl Unsigned {
    /// 1 when the metadata digest is part of what is signed.
    pub fn mode(&self) -> u8 {
        u8::from(self.metadata_digest.is_some())
    }

    /// Hash of the block the era begins at; the genesis for an immortal extrinsic.
    pub fn era_block_hash(&self) -> [u8; 32] {
        match self.mortality {
            Mortality::Immortal => self.runtime.genesis,
            Mortality::Mortal { block_hash, .. } => block_hash,
        }
    }

    fn extra(&self) -> Vec<u8> {
        let mut out = self.mortality.era();
        compact(self.nonce.into(), &mut out);
        compact(self.tip, &mut out);
        out.push(self.mode());
        out
    }

    fn additional(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(105);
        out.extend_from_slice(&self.runtime.spec_version.to_le_bytes());
        out.extend_from_slice(&self.runtime.transaction_version.to_le_bytes());
        out.extend_from_slice(&self.runtime.genesis);
        out.extend_from_slice(&self.era_block_hash());
        // An Option: its first byte happens to equal the mode.
        out.push(self.mode());
        out.extend_from_slice(self.metadata_digest.as_ref().map_or(&[], |digest| digest));
        out
    }

    /// `call ‖ extra ‖ additional`, before [`signing_input`].
    pub fn payload(&self) -> Vec<u8> {
        [self.call.encode(), self.extra(), self.additional()].concat()
    }

    /// The bytes that the key signs, as they are: no `<Bytes>` around them.
    pub fn signed_bytes(&self) -> Vec<u8> {
        signing_input(self.payload())
    }

    /// The finished extrinsic. Does not check the signature; the node will, and
    /// [`covey_ledger::signing::verify_exact`] over [`Self::signed_bytes`] can before.
    pub fn extrinsic(&self, kind: KeyType, signature: &SignatureBytes) -> Vec<u8> {
        let mut body = vec![VERSION_SIGNED, ADDRESS_ID];
        body.extend_from_slice(&self.signer.0);
        body.push(match kind {
            KeyType::Ed25519 => 0,
            KeyType::Sr25519 => 1,
        });
        body.extend_from_slice(&signature.0);
        body.extend(self.extra());
        body.extend(self.call.encode());
        let mut out = Vec::with_capacity(body.len().saturating_add(4));
        compact(body.len() as u128, &mut out);
        out.extend(body);
        out
    }
}

/// What is signed of a payload: itself up to 256 bytes, its BLAKE2b-256 beyond.
pub fn signing_input(payload: Vec<u8>) -> Vec<u8> {
    if payload.len() > MAX_SIGNED {
        Blake2b256::digest(payload).to_vec()
    } else {
        payload
    }
}

/// The name under which explorers and nodes know a finished extrinsic.
pub fn extrinsic_hash(extrinsic: &[u8]) -> [u8; 32] {
    Blake2b256::digest(extrinsic).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mortal(period: u32, block: u32) -> Vec<u8> {
        Mortality::Mortal {
            period: period.try_into().unwrap(),
            block,
            block_hash: [0; 32],
        }
        .era()
    }

    #[test]
    fn payloads_over_256_bytes_are_hashed() {
        assert_eq!(signing_input(vec![7; 256]), vec![7; 256]);
        let hashed = signing_input(vec![7; 257]);
        assert_eq!(hashed, Blake2b256::digest([7; 257]).to_vec());
        assert_eq!(hashed.len(), 32);
    }

    #[test]
    fn eras_have_the_chains_two_bytes() {
        // The first is an example of the chain's own tests.
        assert_eq!(mortal(64, 42), [5 + 42 % 16 * 16, 42 / 16]);
        assert_eq!(mortal(64, 42 + 64), mortal(64, 42));
        assert_eq!(mortal(4, 0), [1, 0]);
        assert_eq!(mortal(4, 3), [0x31, 0]);
        assert_eq!(mortal(4096, 4095), [0xfb, 0xff]);
        assert_eq!(Mortality::Immortal.era(), [0]);
    }

    #[test]
    fn periods_are_powers_of_two_within_bounds() {
        for blocks in [0, 1, 2, 3, 5, 63, 65, 8192, u32::MAX] {
            assert_eq!(
                Period::try_from(blocks),
                Err(SubtensorError::Period(blocks))
            );
        }
        for power in 2..=12 {
            assert_eq!(
                Period::try_from(1 << power).map(Period::blocks),
                Ok(1 << power)
            );
        }
    }

    proptest! {
        #[test]
        fn an_era_tells_the_block_it_begins_at(power in 2u32..=12, block: u32, later: u32) {
            let period = 1u64 << power;
            let bytes = mortal(1 << power, block);
            // As the chain decodes it.
            let encoded = u64::from(bytes[0]) | u64::from(bytes[1]) << 8;
            prop_assert_eq!(2u64 << (encoded & 15), period);
            let phase = encoded >> 4;
            let now = u64::from(block) + u64::from(later) % period;
            let birth = (now.max(phase) - phase) / period * period + phase;
            prop_assert_eq!(birth, u64::from(block));
        }
    }
}
