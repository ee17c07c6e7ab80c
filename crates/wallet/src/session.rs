//! One signature that lets a tab's key contribute for an account (economics section 5.1): the text that the
//! wallet shows and signs, and what is sent once both keys have signed it.

use covey_ledger::{
    AccountId, KeyType,
    signing::{
        self, SignatureError,
        session::{MAX_LIFETIME_MS, Scope, SessionAuthorisation, SignedSession},
    },
};
use covey_protocol::Hash;
use serde::Deserialize;

use crate::{amount, error::WalletError};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// What a page asks a session for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The page's host.
    pub domain: String,
    /// Hex.
    pub run: String,
    pub account: String,
    /// The tab's ed25519 public key: hex, with or without `0x`, or an address.
    pub session_key: String,
    /// The page's clock, Unix milliseconds.
    pub now_ms: u64,
    /// 1 to 90.
    pub days: u32,
}

/// An authorisation that is being signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session(SessionAuthorisation);

impl Session {
    /// The authorisation for these terms; `random` makes two of them differ.
    ///
    /// # Errors
    /// What in the terms cannot be.
    pub fn new(terms: &Terms, random: [u8; 16]) -> Result<Self, WalletError> {
        let lifetime = u64::from(terms.days).saturating_mul(DAY_MS);
        if !(1..=MAX_LIFETIME_MS).contains(&lifetime) {
            return Err(WalletError::Unreadable(
                "a session lasts 1 to 90 days".to_owned(),
            ));
        }
        let run: Hash = terms.run.parse().map_err(|_| WalletError::Chain)?;
        let key = &terms.session_key;
        let session_key = match key.parse::<Hash>() {
            Ok(key) => AccountId(key.0),
            Err(_) => amount::account(key)?,
        };
        let [a, b, c, d, e, f, g, h, ..] = random;
        let authorisation = SessionAuthorisation {
            domain: terms.domain.clone(),
            run,
            coldkey: amount::account(&terms.account)?,
            session_key,
            scope: Scope::Contribute,
            issued_at_ms: terms.now_ms,
            expires_at_ms: terms.now_ms.saturating_add(lifetime),
            nonce: format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        };
        authorisation.check_form()?;
        Ok(Self(authorisation))
    }

    /// The readable text that both keys sign.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.message()
    }

    /// The body to post, once both signatures are right. The tab's signature is hex.
    ///
    /// # Errors
    /// A signature that is none, or not this text's.
    pub fn seal(
        &self,
        key: KeyType,
        wallet_signature: &str,
        key_signature: &str,
    ) -> Result<String, WalletError> {
        let (wallet, wallet_signature) = wallet_signature_of(key, wallet_signature)?;
        let (kind, key_signature) = signing::parse_wallet_signature(key_signature)?;
        if kind.is_some() {
            return Err(SignatureError::Length(130).into());
        }
        let signed = SignedSession {
            authorisation: self.0.clone(),
            wallet,
            wallet_signature,
            key_signature,
        };
        signed.verify_signatures(&self.0.run)?;
        Ok(serde_json::to_string(&signed)?)
    }
}

/// What a wallet answered, with the kind of key that it says or, if it does not, that the account has.
pub(crate) fn wallet_signature_of(
    key: KeyType,
    signature: &str,
) -> Result<(KeyType, signing::SignatureBytes), WalletError> {
    let (kind, signature) = signing::parse_wallet_signature(signature)?;
    Ok((kind.unwrap_or(key), signature))
}
