//! A session: a wallet signs once, and a key that a tab keeps may contribute for its account.
//!
//! 1. The tab draws an ed25519 key (its volunteer identity) and writes the authorisation's text.
//! 2. The wallet shows the text and signs it (`signRaw`): the account accepts the key.
//! 3. The tab's key signs the same text: the key accepts the account. Without this anyone could
//!    authorise somebody else's key and have that volunteer's work counted as their own.
//! 4. Whoever receives the pair calls [`SignedSession::verify`].
//!
//! The text is plain words and one field a line, in the manner of Sign-In with Ethereum (ERC-4361),
//! because a person reads it in the wallet's window. What travels is the fields: the receiver writes
//! the text anew, so that nothing is signed that does not say what it does.
//!
//! A session is no proof of freshness. Whoever saw one can send it again; it still serves only the
//! holder of the session key, and only until it expires. The nonce makes two of them differ.

use std::fmt::Write;

use covey_protocol::{Hash, Identity, SESSION_KEY_DOMAIN, SignatureBytes, VolunteerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::timestamp;
use crate::{AccountId, KeyType, signing};

/// Longest life of a session: 90 days.
pub const MAX_LIFETIME_MS: u64 = 90 * 24 * 3600 * 1000;

/// How far the issuer's clock may be ahead of the checker's: two minutes.
pub const MAX_CLOCK_SKEW_MS: u64 = 2 * 60 * 1000;

/// Longest nonce.
pub const MAX_NONCE: usize = 32;

/// Longest text that [`SessionAuthorisation::parse`] looks at.
pub const MAX_TEXT: usize = covey_protocol::limits::MAX_SESSION_TEXT;

const REQUEST: &str = " wants you to authorise a key to contribute with your account:";

/// Why a session is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SessionError {
    #[error("the authorisation is malformed: {0}")]
    Malformed(&'static str),
    #[error("the authorisation was given to {0}, which is not this service")]
    WrongDomain(String),
    #[error("the authorisation is for run {0}")]
    WrongRun(Hash),
    #[error("the authorisation lasts {0} ms; 90 days are the most")]
    LifetimeTooLong(u64),
    #[error("the authorisation begins in the future; check the clock of this device")]
    NotYetValid,
    #[error("the authorisation has expired; sign in with the wallet again")]
    Expired,
    #[error("the wallet's signature does not belong to this account and text")]
    BadWalletSignature,
    #[error("the session key has not signed this text")]
    BadKeySignature,
}

/// What a session key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Sign training work. Earnings go to the account.
    Contribute,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Contribute => "contribute",
        }
    }

    /// The scope in the words that the wallet shows.
    fn statement(self) -> &'static str {
        match self {
            Self::Contribute => {
                "The key can sign training work whose earnings go to your account. \
                 It cannot move, stake or lock anything."
            }
        }
    }
}

/// An account's word that a key may act for it within a scope, in one run, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAuthorisation {
    /// Where the person gave it: the page's host, with its port if it has one, in lower case.
    pub domain: String,
    pub run: Hash,
    /// The account that authorises.
    pub coldkey: AccountId,
    /// The tab's ed25519 public key, the same bytes as its volunteer id. Not an account.
    pub session_key: AccountId,
    pub scope: Scope,
    /// Unix milliseconds.
    pub issued_at_ms: u64,
    /// Unix milliseconds; the first at which the session no longer holds.
    pub expires_at_ms: u64,
    /// 1 to 32 letters or digits, drawn by the page.
    pub nonce: String,
}

impl SessionAuthorisation {
    /// The text that both keys sign. Meaningful only for an authorisation that
    /// [`Self::check_form`] accepts.
    pub fn message(&self) -> String {
        let time = |ms: u64| timestamp::format(ms).unwrap_or_else(|| format!("{ms} ms"));
        let mut text = String::with_capacity(MAX_TEXT);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}{REQUEST}\n{}\n\n{}\n\n\
             Version: 1\nRun: {}\nSession Key: {}\nScope: {}\n\
             Issued At: {}\nExpires At: {}\nNonce: {}",
            self.domain,
            self.coldkey,
            self.scope.statement(),
            self.run,
            VolunteerId(self.session_key.0),
            self.scope.name(),
            time(self.issued_at_ms),
            time(self.expires_at_ms),
            self.nonce,
        );
        text
    }

    /// Reads exactly the texts that [`Self::message`] writes.
    pub fn parse(text: &str) -> Result<Self, SessionError> {
        use SessionError::Malformed;

        if text.len() > MAX_TEXT {
            return Err(Malformed("the text is too long"));
        }
        let lines: Vec<&str> = text.split('\n').collect();
        let [
            request,
            coldkey,
            "",
            _statement,
            "",
            "Version: 1",
            run,
            key,
            scope,
            issued,
            expires,
            nonce,
        ] = lines.as_slice()
        else {
            return Err(Malformed("the text has other lines than an authorisation"));
        };
        let field = |line: &str, name: &str| -> Result<String, SessionError> {
            line.strip_prefix(name)
                .map(str::to_owned)
                .ok_or(Malformed("a field has another name"))
        };
        let time = |line: &str, name: &str| {
            timestamp::parse(&field(line, name)?).ok_or(Malformed("a time is not RFC 3339"))
        };
        if field(scope, "Scope: ")? != Scope::Contribute.name() {
            return Err(Malformed("the scope is unknown"));
        }
        let key: VolunteerId = field(key, "Session Key: ")?
            .parse()
            .map_err(|_| Malformed("the session key is not 32 bytes of hex"))?;
        let authorisation = Self {
            domain: request
                .strip_suffix(REQUEST)
                .ok_or(Malformed("the first line is not a request"))?
                .to_owned(),
            run: field(run, "Run: ")?
                .parse()
                .map_err(|_| Malformed("the run is not 32 bytes of hex"))?,
            coldkey: coldkey
                .parse()
                .map_err(|_| Malformed("the second line is not an account"))?,
            session_key: AccountId(key.0),
            scope: Scope::Contribute,
            issued_at_ms: time(issued, "Issued At: ")?,
            expires_at_ms: time(expires, "Expires At: ")?,
            nonce: field(nonce, "Nonce: ")?,
        };
        authorisation.check_form()?;
        // Catches a changed statement, the one part that no field holds.
        if authorisation.message() == text {
            Ok(authorisation)
        } else {
            Err(Malformed("the text does not say what its fields do"))
        }
    }

    /// Checks that the fields have one text and one meaning.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] only.
    pub fn check_form(&self) -> Result<(), SessionError> {
        use SessionError::Malformed;

        if !is_authority(&self.domain) {
            return Err(Malformed("the domain is not a lower-case host and port"));
        }
        let alphanumeric = self.nonce.bytes().all(|c| c.is_ascii_alphanumeric());
        if !(1..=MAX_NONCE).contains(&self.nonce.len()) || !alphanumeric {
            return Err(Malformed("the nonce is not 1 to 32 letters or digits"));
        }
        if self.expires_at_ms > timestamp::MAX_MS || self.issued_at_ms >= self.expires_at_ms {
            return Err(Malformed("the session ends before it begins"));
        }
        Ok(())
    }

    /// The session key's signature. `key` must be the one named in `session_key`, or nothing will
    /// accept the result.
    pub fn sign_with_key(&self, key: &Identity) -> SignatureBytes {
        key.sign(SESSION_KEY_DOMAIN, self.message().as_bytes())
    }
}

/// A host name or IPv4 address with an optional port, as `location.host` gives it.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    host.len() <= 253
        && host.split('.').all(label)
        && port.is_none_or(|port| {
            port.parse::<u16>()
                .is_ok_and(|number| number.to_string() == port)
        })
}

/// An authorisation with both signatures: what a tab sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSession {
    pub authorisation: SessionAuthorisation,
    /// Which kind of key the account is.
    pub wallet: KeyType,
    /// The account's, over the wrapped text.
    pub wallet_signature: SignatureBytes,
    /// The session key's, domain-separated, over the same text.
    pub key_signature: SignatureBytes,
}

impl SignedSession {
    /// Checks everything: form, place, run, time, and both signatures.
    ///
    /// `domains` are the hosts whose pages may ask for a session of this service, compared exactly.
    /// Cheap checks come first, so that a flood of bad sessions costs no curve arithmetic.
    pub fn verify(&self, run: &Hash, now_ms: u64, domains: &[&str]) -> Result<(), SessionError> {
        let terms = &self.authorisation;
        terms.check_form()?;
        if !domains.contains(&terms.domain.as_str()) {
            return Err(SessionError::WrongDomain(terms.domain.clone()));
        }
        let lifetime = terms.expires_at_ms.saturating_sub(terms.issued_at_ms);
        if lifetime > MAX_LIFETIME_MS {
            return Err(SessionError::LifetimeTooLong(lifetime));
        }
        if terms.issued_at_ms > now_ms.saturating_add(MAX_CLOCK_SKEW_MS) {
            return Err(SessionError::NotYetValid);
        }
        if now_ms >= terms.expires_at_ms {
            return Err(SessionError::Expired);
        }
        self.verify_signatures(run)
    }

    /// Checks what does not depend on where and when: form, run, and both signatures. A replay of a
    /// journal has neither a clock nor a list of hosts; the gateway that let it in had both.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn verify_signatures(&self, run: &Hash) -> Result<(), SessionError> {
        let terms = &self.authorisation;
        terms.check_form()?;
        if terms.run != *run {
            return Err(SessionError::WrongRun(terms.run));
        }
        let text = terms.message();
        signing::verify(
            &terms.coldkey,
            self.wallet,
            text.as_bytes(),
            &self.wallet_signature.0,
        )
        .map_err(|_| SessionError::BadWalletSignature)?;
        VolunteerId(terms.session_key.0)
            .verify(SESSION_KEY_DOMAIN, text.as_bytes(), &self.key_signature)
            .map_err(|_| SessionError::BadKeySignature)
    }
}
