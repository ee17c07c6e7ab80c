//! Names of things: content hashes, volunteers, rounds; and the key that signs for a volunteer.
//!
//! All three byte strings are lower-case hex in JSON, so a log line, a URL and a frame show the
//! same text.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::ProtocolError;

/// Number of a round, counted from 0 at the run's creation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Round(pub u64);

impl Round {
    /// The round after this one; saturates, since no run reaches the end.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .filter_map(|n| DIGITS.get(usize::from(n)).map(|d| char::from(*d)))
        .collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

macro_rules! bytes_as_hex {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ProtocolError;

            fn from_str(text: &str) -> Result<Self, ProtocolError> {
                unhex(text)
                    .map(Self)
                    .ok_or_else(|| ProtocolError::malformed($what, concat!("not ", $len, " bytes of lower-case hex")))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

bytes_as_hex!(
    /// BLAKE3 of some bytes: names a blob, a set of weights, a round record.
    Hash, 32, "a hash"
);
bytes_as_hex!(
    /// A volunteer's or coordinator's ed25519 public key. Order of ids is the order of merging.
    VolunteerId, 32, "an identity"
);
bytes_as_hex!(
    /// An ed25519 signature.
    SignatureBytes, 64, "a signature"
);

impl Hash {
    /// BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Hash of a set of weights: BLAKE3 over their f32 values, little endian, in canonical order.
    /// Equals the hash of the checkpoint blob that holds them.
    pub fn of_weights(theta: &[f32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = [0u8; 4096];
        for values in theta.chunks(buffer.len() / 4) {
            for (slot, value) in buffer.chunks_exact_mut(4).zip(values) {
                slot.copy_from_slice(&value.to_le_bytes());
            }
            hasher.update(buffer.get(..values.len() * 4).unwrap_or_default());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// Domain of a session key's agreement to work for a wallet (economics section 5.1).
pub const SESSION_KEY_DOMAIN: &str = "covey 2026-11 session key signature";

/// A signing key and its public name. Signatures are domain-separated: a signature for one purpose
/// never verifies for another.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

impl fmt::Debug for Identity {
    /// Shows the public name only: secrets must not reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.id())
    }
}

impl Identity {
    /// The identity of a 32-byte secret. The caller draws it from the platform's entropy.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(&secret),
        }
    }

    /// The secret, for storage only.
    pub fn secret(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    pub fn id(&self) -> VolunteerId {
        VolunteerId(self.key.verifying_key().to_bytes())
    }

    /// Signs BLAKE3-derive-key(`domain`, `message`).
    pub fn sign(&self, domain: &'static str, message: &[u8]) -> SignatureBytes {
        let digest = blake3::derive_key(domain, message);
        SignatureBytes(self.key.sign(&digest).to_bytes())
    }
}

impl VolunteerId {
    /// Checks a signature made by [`Identity::sign`] with the same domain. Strict: rejects weak
    /// keys and malleable signatures.
    pub fn verify(
        &self,
        domain: &'static str,
        message: &[u8],
        signature: &SignatureBytes,
    ) -> Result<(), ProtocolError> {
        let digest = blake3::derive_key(domain, message);
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(&digest, &Signature::from_bytes(&signature.0)))
            .map_err(|_| ProtocolError::Signature(domain))
    }
}
