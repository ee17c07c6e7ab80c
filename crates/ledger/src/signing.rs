//! What a wallet signs for Covey, and how it is checked (economics spec, section 5.1).
//!
//! A wallet extension's `signRaw` never signs the bytes it is given: it signs `<Bytes>` ‖ bytes ‖
//! `</Bytes>`, so that no page can have it sign a transfer on a chain by calling it a message. Every
//! check here is therefore over the [`wrapped`] message, and a signature over the bare message fails.
//! Only [`verify_exact`] takes bytes as they are; chain extrinsics need it, the ledger never does.
//!
//! Two kinds of key: sr25519 (Schnorr over Ristretto, context `substrate`) and ed25519, checked
//! strictly. The account does not say which one it is; see [`KeyType`].

pub mod canonical;
pub mod keys;
pub mod session;
mod timestamp;

pub use covey_protocol::SignatureBytes;

use schnorrkel::signing_context;
use thiserror::Error;

use crate::{AccountId, KeyType};

/// The context of every sr25519 signature that a Substrate wallet makes.
const SR25519_CONTEXT: &[u8] = b"substrate";

const WRAP_OPEN: &[u8] = b"<Bytes>";
const WRAP_CLOSE: &[u8] = b"</Bytes>";

/// Hex digits of a signature without and with the byte that names its kind.
const BARE_DIGITS: usize = 128;
const TAGGED_DIGITS: usize = 130;

/// Why a signature is not accepted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    #[error("the account is not a valid {0} key")]
    Key(KeyType),
    #[error("the {0} signature does not belong to this account and message")]
    Mismatch(KeyType),
    #[error("the signature is {0} characters of hex; 128 are needed, or 130 with its kind")]
    Length(usize),
    #[error("the signature holds a character that is not hex")]
    NotHex,
    #[error("the wallet signed with kind {0}; use an sr25519 or ed25519 account")]
    UnsupportedKind(u8),
}

/// What a wallet signs when a page asks for `message`: `<Bytes>` ‖ `message` ‖ `</Bytes>`.
///
/// Wallets leave a message alone that is wrapped already. This always wraps, so two messages never
/// share a signature; a message that begins with `<Bytes>` cannot be signed by such a wallet, and
/// none of ours does.
pub fn wrapped(message: &[u8]) -> Vec<u8> {
    [WRAP_OPEN, message, WRAP_CLOSE].concat()
}

/// Checks a wallet's signature of `message`, given unwrapped.
pub fn verify(
    key: &AccountId,
    kind: KeyType,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), SignatureError> {
    verify_exact(key, kind, &wrapped(message), signature)
}

/// Checks a signature over exactly `bytes`, as a chain does for an extrinsic's payload. Not for
/// messages: nothing would tell the two apart.
///
/// Keys for which anyone can sign are refused: ed25519 points of small order, and the all-zero
/// sr25519 key (the group's identity).
pub fn verify_exact(
    key: &AccountId,
    kind: KeyType,
    bytes: &[u8],
    signature: &[u8; 64],
) -> Result<(), SignatureError> {
    let mismatch = SignatureError::Mismatch(kind);
    match kind {
        KeyType::Sr25519 => {
            if key.0 == [0; 32] {
                return Err(SignatureError::Key(kind));
            }
            let public =
                schnorrkel::PublicKey::from_bytes(&key.0).map_err(|_| SignatureError::Key(kind))?;
            schnorrkel::Signature::from_bytes(signature)
                .and_then(|signature| {
                    public.verify(signing_context(SR25519_CONTEXT).bytes(bytes), &signature)
                })
                .map_err(|_| mismatch)
        }
        KeyType::Ed25519 => {
            let public = ed25519_dalek::VerifyingKey::from_bytes(&key.0)
                .ok()
                .filter(|public| !public.is_weak())
                .ok_or(SignatureError::Key(kind))?;
            public
                .verify_strict(bytes, &ed25519_dalek::Signature::from_bytes(signature))
                .map_err(|_| mismatch)
        }
    }
}

/// Reads what a wallet answered: hex in either case, `0x` or not, 64 bytes or the 65 of a
/// `MultiSignature`, whose first byte names the kind (00 ed25519, 01 sr25519).
pub fn parse_wallet_signature(
    hex: &str,
) -> Result<(Option<KeyType>, SignatureBytes), SignatureError> {
    let digits = hex.strip_prefix("0x").unwrap_or(hex);
    if digits.len() != BARE_DIGITS && digits.len() != TAGGED_DIGITS {
        return Err(SignatureError::Length(digits.len()));
    }
    let tag_digits = digits.len().saturating_sub(BARE_DIGITS);
    let (tag, rest) = digits
        .split_at_checked(tag_digits)
        .ok_or(SignatureError::NotHex)?;
    let signature = rest
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| SignatureError::NotHex)?;
    let kind = match tag {
        "" => None,
        "00" => Some(KeyType::Ed25519),
        "01" => Some(KeyType::Sr25519),
        // `from_str_radix` alone would read "+2".
        other if other.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            let number = u8::from_str_radix(other, 16).map_err(|_| SignatureError::NotHex)?;
            return Err(SignatureError::UnsupportedKind(number));
        }
        _ => return Err(SignatureError::NotHex),
    };
    Ok((kind, signature))
}

#[cfg(test)]
mod tests {
    use super::{keys::Keypair, *};
    use proptest::prelude::*;

    #[test]
    fn keys_anyone_can_sign_for_are_refused() {
        // R = 0, s = 0 satisfies the Schnorr equation for the identity key, whatever the message.
        let mut forged = [0; 64];
        forged[63] = 128;
        let nobody = AccountId([0; 32]);
        assert_eq!(
            verify(&nobody, KeyType::Sr25519, b"mine", &forged),
            Err(SignatureError::Key(KeyType::Sr25519))
        );
        // The ed25519 identity point.
        let mut weak = AccountId([0; 32]);
        weak.0[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(
            verify(&weak, KeyType::Ed25519, b"mine", &forged),
            Err(SignatureError::Key(KeyType::Ed25519))
        );
    }

    #[test]
    fn bytes_that_are_no_key_are_refused_not_panicked_on() {
        // An encoding beyond the field, and a y coordinate that the curve does not have.
        let mut off_curve = [0; 32];
        off_curve[0] = 2;
        for (kind, key) in [
            (KeyType::Sr25519, [0xff; 32]),
            (KeyType::Ed25519, off_curve),
        ] {
            assert_eq!(
                verify(&AccountId(key), kind, b"", &[0; 64]),
                Err(SignatureError::Key(kind))
            );
        }
    }

    #[test]
    fn wallet_answers_are_read_in_every_form_and_nothing_else() {
        let bare = "aB".repeat(64);
        let bytes = SignatureBytes([0xab; 64]);
        for (text, kind) in [
            (bare.clone(), None),
            (format!("0x{bare}"), None),
            (format!("0x00{bare}"), Some(KeyType::Ed25519)),
            (format!("01{bare}"), Some(KeyType::Sr25519)),
        ] {
            assert_eq!(parse_wallet_signature(&text), Ok((kind, bytes)), "{text}");
        }
        for (text, error) in [
            (String::new(), SignatureError::Length(0)),
            (format!("0x02{bare}"), SignatureError::UnsupportedKind(2)),
            (format!("0x+2{bare}"), SignatureError::NotHex),
            (format!("0X{bare}"), SignatureError::NotHex),
            (format!("{bare}a"), SignatureError::Length(129)),
            (format!("é{bare}"), SignatureError::NotHex),
            (bare.replacen('a', "g", 1), SignatureError::NotHex),
        ] {
            assert_eq!(parse_wallet_signature(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn only_the_signed_message_the_signer_and_the_kind_verify(
            seed: [u8; 32], other: [u8; 32], message: Vec<u8>, extra: u8, randomness: [u8; 32],
        ) {
            for kind in [KeyType::Sr25519, KeyType::Ed25519] {
                let pair = Keypair::from_seed(kind, seed);
                let SignatureBytes(signature) = pair.sign_raw_with(&message, &randomness);
                let account = pair.account();
                prop_assert_eq!(verify(&account, kind, &message, &signature), Ok(()));
                prop_assert!(verify_exact(&account, kind, &message, &signature).is_err());

                let longer = [message.as_slice(), &[extra]].concat();
                prop_assert!(verify(&account, kind, &longer, &signature).is_err());
                let stranger = Keypair::from_seed(kind, other).account();
                prop_assert_eq!(
                    verify(&stranger, kind, &message, &signature).is_ok(),
                    stranger == account
                );
                let wrong = match kind {
                    KeyType::Sr25519 => KeyType::Ed25519,
                    KeyType::Ed25519 => KeyType::Sr25519,
                };
                prop_assert!(verify(&account, wrong, &message, &signature).is_err());
            }
        }

        #[test]
        fn one_flipped_bit_breaks_a_signature(seed: [u8; 32], bit in 0usize..512) {
            for kind in [KeyType::Sr25519, KeyType::Ed25519] {
                let pair = Keypair::from_seed(kind, seed);
                let SignatureBytes(mut signature) = pair.sign_raw(b"message");
                signature[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(verify(&pair.account(), kind, b"message", &signature).is_err());
            }
        }

        #[test]
        fn no_wallet_answer_panics(text in "(0x)?.{0,140}") {
            let _ = parse_wallet_signature(&text);
        }
    }
}
