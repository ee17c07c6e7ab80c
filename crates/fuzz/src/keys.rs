//! Signatures by keys of somebody's choice: what a page, a tab or a coordinator says it was signed with.

use covey_ledger::{
    AccountId, KeyType,
    signing::{keys::Keypair, parse_wallet_signature, verify, verify_exact},
};
use covey_protocol::{Identity, SignatureBytes, VolunteerId};

const DOMAIN: &str = "covey fuzz";

/// 32 bytes of key, 64 of signature, then the message.
///
/// What a reader would get wrong: nobody finds a signature by chance, but keys of small order accept nearly
/// any. So whatever is accepted must not be accepted for another message, too.
pub mod signature {
    use super::*;

    const KINDS: [KeyType; 2] = [KeyType::Ed25519, KeyType::Sr25519];

    pub fn run(data: &[u8]) {
        let Some((key, rest)) = data.split_first_chunk::<32>() else {
            return;
        };
        let Some((signature, message)) = rest.split_first_chunk::<64>() else {
            return;
        };
        let other = [message, b"."].concat();
        let signed = SignatureBytes(*signature);
        for kind in KINDS {
            let accepts = |message: &[u8]| {
                let wrapped = verify(&AccountId(*key), kind, message, signature).is_ok();
                let exact = verify_exact(&AccountId(*key), kind, message, signature).is_ok();
                assert!(!(wrapped && exact));
                wrapped || exact
            };
            assert!(!(accepts(message) && accepts(&other)), "{kind} for two");
        }
        let id = VolunteerId(*key);
        let accepts = |message: &[u8]| id.verify(DOMAIN, message, &signed).is_ok();
        assert!(
            !(accepts(message) && accepts(&other)),
            "an identity for two"
        );
        round_trip(key, signature, message);
    }

    /// The key as a seed: its own signature holds, also as a wallet writes it, and no other does.
    fn round_trip(seed: &[u8; 32], change: &[u8; 64], message: &[u8]) {
        for kind in KINDS {
            let pair = Keypair::from_seed(kind, *seed);
            let good = pair.sign_raw(message);
            let account = pair.account();
            assert_eq!(verify(&account, kind, message, &good.0), Ok(()));
            let tag = if kind == KeyType::Ed25519 { "00" } else { "01" };
            let text = format!("0x{tag}{good}")
                .to_uppercase()
                .replacen('X', "x", 1);
            assert_eq!(parse_wallet_signature(&text), Ok((Some(kind), good)));
            let changed = changed(&good, change);
            let refused = verify(&account, kind, message, &changed.0).is_err();
            assert_eq!(refused, changed != good);
        }
        let identity = Identity::from_secret(*seed);
        let good = identity.sign(DOMAIN, message);
        assert_eq!(identity.id().verify(DOMAIN, message, &good), Ok(()));
        let changed = changed(&good, change);
        let refused = identity.id().verify(DOMAIN, message, &changed).is_err();
        assert_eq!(refused, changed != good);
    }

    fn changed(good: &SignatureBytes, change: &[u8; 64]) -> SignatureBytes {
        let mut bytes = good.0;
        for (byte, change) in bytes.iter_mut().zip(change) {
            *byte ^= change;
        }
        SignatureBytes(bytes)
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let message = b"message";
        let input = |key: &[u8], signature: &[u8]| [key, signature, message].concat();
        let mut seeds: Vec<Vec<u8>> = KINDS
            .map(|kind| {
                let pair = Keypair::from_seed(kind, [1; 32]);
                input(&pair.account().0, &pair.sign_raw(message).0)
            })
            .to_vec();
        let me = Identity::from_secret([7; 32]);
        seeds.push(input(&me.id().0, &me.sign(DOMAIN, message).0));
        // The identity of either group as a key, with the signature that it would accept for anything.
        let mut one = [0; 32];
        one[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        seeds.push(input(&one, &signature));
        let mut signature = [0; 64];
        signature[63] = 128;
        seeds.push(input(&[0; 32], &signature));
        seeds
    }
}
