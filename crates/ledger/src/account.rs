//! Accounts: a 32-byte public key, shown as an SS58 address with prefix 42 ("5…"), as Bittensor's
//! wallets show it (economics spec, section 5.1).
//!
//! An address does not say which curve its key is on: the same 32 bytes could be an sr25519 or an
//! ed25519 key. Whoever checks a signature must be told the [`KeyType`].

use std::{borrow::Cow, fmt, str::FromStr};

use blake2::{Blake2b512, Digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// The network number in every address: 42, "any Substrate chain", which Bittensor uses.
pub const SS58_PREFIX: u8 = 42;

/// Longest text that is looked at: base58 of 35 bytes never needs more.
const MAX_TEXT: usize = 48;
/// Prefix, key, two bytes of checksum.
const DECODED: usize = 1 + 32 + CHECKSUM;
const CHECKSUM: usize = 2;

/// Why a text is not an address of this network.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AccountError {
    #[error("the address is {0} characters long; at most 48 are possible")]
    TooLong(usize),
    #[error("the address holds a character that base58 does not have")]
    Alphabet,
    #[error("the address is of another network: its first byte is {0}, not 42")]
    Prefix(u8),
    #[error("the address holds {0} bytes instead of 35")]
    Length(usize),
    #[error("the address does not match its checksum; was it copied whole?")]
    Checksum,
}

/// A public key that owns things in the ledger. Ordered by its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 32]);

/// Which signature scheme a key belongs to. Other kinds of wallet (ecdsa, ethereum) are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    Sr25519,
    Ed25519,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sr25519 => "sr25519",
            Self::Ed25519 => "ed25519",
        })
    }
}

fn checksum(prefix_and_key: &[u8]) -> [u8; CHECKSUM] {
    let digest = Blake2b512::new()
        .chain_update(b"SS58PRE")
        .chain_update(prefix_and_key)
        .finalize();
    let mut out = [0; CHECKSUM];
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    out
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(DECODED);
        bytes.push(SS58_PREFIX);
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&checksum(&bytes));
        f.pad(&bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AccountId {
    /// Reads an address of any network of Substrate's: the key is the same, only the prefix differs.
    /// For what a person pastes or a wallet answers; everything else is read strictly, by `parse`.
    ///
    /// # Errors
    /// As `parse`, but for the prefix.
    pub fn from_any_network(text: &str) -> Result<Self, AccountError> {
        if text.len() > MAX_TEXT + 2 {
            return Err(AccountError::TooLong(text.len()));
        }
        let bytes = bs58::decode(text)
            .into_vec()
            .map_err(|_| AccountError::Alphabet)?;
        // Prefixes from 64 on take two bytes.
        let prefix = match bytes.first() {
            Some(64..=127) => 2,
            _ => 1,
        };
        if bytes.len() != prefix + 32 + CHECKSUM {
            return Err(AccountError::Length(bytes.len()));
        }
        let Some((body, sum)) = bytes.split_last_chunk::<CHECKSUM>() else {
            return Err(AccountError::Length(bytes.len()));
        };
        if *sum != checksum(body) {
            return Err(AccountError::Checksum);
        }
        match body.split_last_chunk::<32>() {
            Some((_, key)) => Ok(Self(*key)),
            None => Err(AccountError::Length(bytes.len())),
        }
    }
}

impl FromStr for AccountId {
    type Err = AccountError;

    /// Reads an address. Strict: no spaces, no other network, no other length.
    fn from_str(text: &str) -> Result<Self, AccountError> {
        if text.len() > MAX_TEXT {
            return Err(AccountError::TooLong(text.len()));
        }
        let bytes = bs58::decode(text)
            .into_vec()
            .map_err(|_| AccountError::Alphabet)?;
        match bytes.first() {
            None => return Err(AccountError::Length(0)),
            Some(&SS58_PREFIX) => {}
            Some(&other) => return Err(AccountError::Prefix(other)),
        }
        let whole: &[u8; DECODED] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| AccountError::Length(bytes.len()))?;
        let Some((body, sum)) = whole.split_last_chunk::<CHECKSUM>() else {
            return Err(AccountError::Length(bytes.len()));
        };
        if *sum != checksum(body) {
            return Err(AccountError::Checksum);
        }
        match body.split_last_chunk::<32>() {
            Some((_, key)) => Ok(Self(*key)),
            None => Err(AccountError::Length(bytes.len())),
        }
    }
}

impl Serialize for AccountId {
    /// The address in JSON; the 32 bytes, without a length, in binary formats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Published accounts of the development phrase (subkey's documentation).
    const KNOWN: [(&str, [u8; 4]); 3] = [
        (
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
            [0xd4, 0x35, 0x93, 0xc7],
        ),
        (
            "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
            [0x8e, 0xaf, 0x04, 0x15],
        ),
        (
            "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y",
            [0x90, 0xb5, 0xab, 0x20],
        ),
    ];

    #[test]
    fn reads_and_writes_the_published_addresses() {
        for (address, start) in KNOWN {
            let account: AccountId = address.parse().expect(address);
            assert!(account.0.starts_with(&start));
            assert_eq!(account.to_string(), address);
            assert_eq!(format!("{account:?}"), address);
        }
    }

    #[test]
    fn address_of_another_network_is_refused_and_says_so() {
        // Alice on Polkadot (prefix 0) and Kusama (prefix 2).
        for (address, prefix) in [
            ("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", 0),
            ("HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F", 2),
        ] {
            assert_eq!(
                address.parse::<AccountId>(),
                Err(AccountError::Prefix(prefix))
            );
        }
    }

    #[test]
    fn one_key_is_read_from_the_addresses_of_all_networks() {
        for address in [
            KNOWN[0].0,
            "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
            "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
        ] {
            let account = AccountId::from_any_network(address).map(|account| account.to_string());
            assert_eq!(account.as_deref(), Ok(KNOWN[0].0), "{address}");
            let typo = format!("{}2", &address[..address.len() - 1]);
            assert_eq!(
                AccountId::from_any_network(&typo),
                Err(AccountError::Checksum)
            );
        }
        let mut long = vec![0x50, 0x01];
        long.extend([7; 32]);
        long.extend(checksum(&long));
        let text = bs58::encode(&long).into_string();
        assert_eq!(
            AccountId::from_any_network(&text),
            Ok(AccountId([7; 32])),
            "two bytes of prefix"
        );
    }

    #[test]
    fn wrong_length_alphabet_and_checksum_are_told_apart() {
        let (good, _) = KNOWN[0];
        assert_eq!("".parse::<AccountId>(), Err(AccountError::Length(0)));
        assert_eq!(
            good.repeat(2).parse::<AccountId>(),
            Err(AccountError::TooLong(96))
        );
        assert_eq!(
            good.replace('G', "0").parse::<AccountId>(),
            Err(AccountError::Alphabet)
        );
        assert_eq!(
            format!(" {}", &good[..47]).parse::<AccountId>(),
            Err(AccountError::Alphabet)
        );
        assert_eq!(
            good.replace("QY", "QZ").parse::<AccountId>(),
            Err(AccountError::Checksum)
        );
        let mut short = vec![SS58_PREFIX];
        short.extend([7; 31]);
        short.extend(checksum(&short));
        assert_eq!(
            bs58::encode(short).into_string().parse::<AccountId>(),
            Err(AccountError::Length(34))
        );
    }

    #[test]
    fn every_single_mistyped_character_is_noticed() {
        let (good, _) = KNOWN[0];
        let base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
        for at in 0..good.len() {
            for typo in base58.chars().filter(|c| !good[at..].starts_with(*c)) {
                let mut text = good.to_owned();
                text.replace_range(at..=at, &typo.to_string());
                assert!(text.parse::<AccountId>().is_err(), "{text}");
            }
        }
    }

    #[test]
    fn json_shows_the_address_and_postcard_holds_32_bytes() {
        let account: AccountId = KNOWN[0].0.parse().unwrap();
        assert_eq!(
            serde_json::to_string(&account).unwrap(),
            format!("\"{account}\"")
        );
        assert_eq!(postcard::to_allocvec(&account).unwrap(), account.0);
        assert_eq!(
            serde_json::to_string(&KeyType::Sr25519).unwrap(),
            "\"sr25519\""
        );
    }

    #[test]
    fn accounts_can_be_keys_of_a_json_object() {
        let account: AccountId = KNOWN[1].0.parse().unwrap();
        let map = std::collections::BTreeMap::from([(account, 3)]);
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(text, format!("{{\"{account}\":3}}"));
        assert_eq!(
            serde_json::from_str::<std::collections::BTreeMap<AccountId, i32>>(&text).unwrap(),
            map
        );
    }

    proptest! {
        #[test]
        fn every_key_survives_its_address_and_both_encodings(key: [u8; 32]) {
            let account = AccountId(key);
            prop_assert_eq!(account.to_string().parse(), Ok(account));
            let json = serde_json::to_string(&account).unwrap();
            prop_assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), account);
            let binary = postcard::to_allocvec(&account).unwrap();
            prop_assert_eq!(postcard::from_bytes::<AccountId>(&binary).unwrap(), account);
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            if let Ok(account) = text.parse::<AccountId>() {
                prop_assert_eq!(account.to_string(), text);
            }
        }
    }
}
