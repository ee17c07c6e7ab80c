//! Signing with a key held here: a page's own key, the development wallet, and tests. People's keys
//! stay in their wallets and never come near this file.
//!
//! Nothing here draws randomness. An sr25519 nonce is a function of the key's secret half, the
//! message and 32 bytes from the caller (merlin's transcript generator), so a signature is safe even
//! when those bytes are all zero: then it is deterministic, as ed25519's is. Fresh bytes only add
//! protection against hardware faults.

use std::fmt;

use blake2::{Blake2b256, Digest};
use covey_protocol::SignatureBytes;
use ed25519_dalek::Signer;
use rand_core::{CryptoRng, RngCore};
use schnorrkel::{
    ExpansionMode, MiniSecretKey, context::attach_rng, derive::ChainCode, signing_context,
};
use thiserror::Error;

use super::{SR25519_CONTEXT, wrapped};
use crate::{AccountId, KeyType};

/// Seed of Substrate's published development phrase ("bottom drive obey lake …"). Everybody knows
/// it: its accounts are for trying things out.
const DEVELOPMENT_SEED: [u8; 32] = [
    0xfa, 0xc7, 0x95, 0x9d, 0xbf, 0xe7, 0x2f, 0x05, 0x2e, 0x5a, 0x0c, 0x3c, 0x8d, 0x65, 0x30, 0xf2,
    0x02, 0xb0, 0x2f, 0xd8, 0xf9, 0xf5, 0xca, 0x35, 0x80, 0xec, 0x8d, 0xeb, 0x77, 0x97, 0x47, 0x9e,
];

/// The names that [`Keypair::from_suri`] knows.
pub const DEVELOPMENT_NAMES: [&str; 6] = [
    "//Alice",
    "//Bob",
    "//Charlie",
    "//Dave",
    "//Eve",
    "//Ferdie",
];

/// The name is not one of the development accounts.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a development account; known are //Alice, //Bob, //Charlie, //Dave, //Eve, //Ferdie")]
pub struct UnknownName;

/// A secret key and its account. Wiped from memory when dropped.
pub struct Keypair(Inner);

enum Inner {
    Sr25519(Box<schnorrkel::Keypair>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl fmt::Debug for Keypair {
    /// Shows the account only: secrets must not reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({} {})", self.kind(), self.account())
    }
}

impl Keypair {
    /// The key of a 32-byte seed, expanded as Substrate does. The caller draws the seed from the
    /// platform's entropy.
    pub fn from_seed(kind: KeyType, seed: [u8; 32]) -> Self {
        Self(match kind {
            KeyType::Sr25519 => Inner::Sr25519(Box::new(
                mini_secret(seed).expand_to_keypair(ExpansionMode::Ed25519),
            )),
            KeyType::Ed25519 => {
                Inner::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
        })
    }

    /// A published development account, by its name: `//Alice` to `//Ferdie`.
    pub fn from_suri(kind: KeyType, name: &str) -> Result<Self, UnknownName> {
        let known = DEVELOPMENT_NAMES.contains(&name);
        let junction = name.strip_prefix("//").filter(|_| known);
        let code = junction.and_then(chain_code).ok_or(UnknownName)?;
        Ok(Self::from_seed(kind, hard_derived(kind, code)))
    }

    pub fn account(&self) -> AccountId {
        AccountId(match &self.0 {
            Inner::Sr25519(pair) => pair.public.to_bytes(),
            Inner::Ed25519(key) => key.verifying_key().to_bytes(),
        })
    }

    pub fn kind(&self) -> KeyType {
        match &self.0 {
            Inner::Sr25519(_) => KeyType::Sr25519,
            Inner::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// Signs as a wallet's `signRaw` does: over the [`wrapped`] message. The same message always
    /// gives the same signature.
    pub fn sign_raw(&self, message: &[u8]) -> SignatureBytes {
        self.sign_raw_with(message, &[0; 32])
    }

    /// The same with 32 bytes of the platform's entropy in the nonce; ed25519 ignores them.
    pub fn sign_raw_with(&self, message: &[u8], randomness: &[u8; 32]) -> SignatureBytes {
        let message = wrapped(message);
        SignatureBytes(match &self.0 {
            Inner::Sr25519(pair) => {
                let transcript = signing_context(SR25519_CONTEXT).bytes(&message);
                pair.sign(attach_rng(transcript, Stretched::new(randomness)))
                    .to_bytes()
            }
            Inner::Ed25519(key) => key.sign(&message).to_bytes(),
        })
    }
}

/// Schnorrkel's constructor fails on a wrong length only, which an array cannot have.
fn mini_secret(seed: [u8; 32]) -> MiniSecretKey {
    MiniSecretKey::from_bytes(&seed).unwrap_or_else(|_| unreachable!("a seed is 32 bytes"))
}

/// A junction's chain code: the SCALE encoding of its name, filled up with zeros. Names over 31
/// bytes would be hashed instead; the development names are shorter.
fn chain_code(junction: &str) -> Option<[u8; 32]> {
    let mut code = [0; 32];
    let (length, name) = code.split_first_mut()?;
    *length = u8::try_from(junction.len()).ok()?.checked_mul(4)?;
    name.get_mut(..junction.len())?
        .copy_from_slice(junction.as_bytes());
    Some(code)
}

/// Substrate's hard derivation from the development seed.
fn hard_derived(kind: KeyType, code: [u8; 32]) -> [u8; 32] {
    match kind {
        KeyType::Sr25519 => mini_secret(DEVELOPMENT_SEED)
            .hard_derive_mini_secret_key(Some(ChainCode(code)), b"", ExpansionMode::Ed25519)
            .0
            .to_bytes(),
        KeyType::Ed25519 => Blake2b256::new()
            .chain_update([11 * 4])
            .chain_update(b"Ed25519HDKD")
            .chain_update(DEVELOPMENT_SEED)
            .chain_update(code)
            .finalize()
            .into(),
    }
}

/// The caller's 32 bytes as the endless stream that schnorrkel asks for.
struct Stretched(blake3::OutputReader);

impl Stretched {
    fn new(seed: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("covey 2026-11 sr25519 nonce stream");
        hasher.update(seed);
        Self(hasher.finalize_xof())
    }
}

impl RngCore for Stretched {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, to: &mut [u8]) {
        self.0.fill(to);
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl CryptoRng for Stretched {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::verify;

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "",
            "Alice",
            "//alice",
            "//Alice//stash",
            "//Mallory",
            "/Alice",
        ] {
            for kind in [KeyType::Sr25519, KeyType::Ed25519] {
                assert_eq!(
                    Keypair::from_suri(kind, name).map(|pair| pair.account()),
                    Err(UnknownName)
                );
            }
        }
    }

    #[test]
    fn randomness_changes_an_sr25519_signature_but_not_its_validity() {
        let alice = Keypair::from_suri(KeyType::Sr25519, "//Alice").unwrap();
        let plain = alice.sign_raw(b"hello");
        assert_eq!(plain, alice.sign_raw(b"hello"));
        let hedged = alice.sign_raw_with(b"hello", &[7; 32]);
        assert_ne!(plain, hedged);
        // Two messages never share a nonce, which would give the key away.
        assert_ne!(plain.0[..32], alice.sign_raw(b"hallo").0[..32]);
        for signature in [plain, hedged] {
            assert_eq!(
                verify(&alice.account(), alice.kind(), b"hello", &signature.0),
                Ok(())
            );
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let pair = Keypair::from_seed(KeyType::Ed25519, [9; 32]);
        assert_eq!(
            format!("{pair:?}"),
            format!("Keypair(ed25519 {})", pair.account())
        );
    }
}
