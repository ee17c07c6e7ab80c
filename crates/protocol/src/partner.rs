//! Partners: sites that show the embedding frame, and what is credited to them.
//!
//! A partner is known to a coordinator by a short id. A tab says in its hello for which partner it
//! works; the coordinator names it on every receipt and record if it knows the partner and has not
//! suspended it. What a reader would get wrong: credit is a name, not money. Money follows only from a
//! revenue share that the volunteer signed (`covey-ledger`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{ProtocolError, limits::MAX_PARTNER};

/// A partner's id: `a` to `z`, `0` to `9` and `-`, 1 to [`MAX_PARTNER`] of them, first and last not `-`.
/// It can stand in an address, a log line or a page as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartnerId {
    /// ASCII, filled up with zeros.
    bytes: [u8; MAX_PARTNER],
}

impl PartnerId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|byte| *byte == 0);
        let text = self.bytes.get(..end.unwrap_or(MAX_PARTNER));
        // ASCII by construction.
        std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for PartnerId {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a partner's id";
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut bytes = [0; MAX_PARTNER];
        let Some(slots) = bytes.get_mut(..text.len()) else {
            return Err(ProtocolError::TooLarge {
                what: WHAT,
                actual: text.len(),
                limit: MAX_PARTNER,
            });
        };
        if text.is_empty()
            || !text.bytes().all(plain)
            || text.starts_with('-')
            || text.ends_with('-')
        {
            let rule = "it is made of a to z, 0 to 9 and -, and begins and ends with neither -";
            return Err(ProtocolError::malformed(WHAT, rule));
        }
        slots.copy_from_slice(text.as_bytes());
        Ok(Self { bytes })
    }
}

impl fmt::Display for PartnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PartnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartnerId({self})")
    }
}

impl Serialize for PartnerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PartnerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Why a tab's work is credited to nobody. The work itself counts as it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoCredit {
    /// The operator has no such partner.
    Unknown,
    /// The operator suspended the partner; the ledger has a public notice of it.
    Suspended,
}

impl NoCredit {
    /// For the volunteer and for the partner's page.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Unknown => {
                "The operator knows no partner of this name, so nobody is credited. The work counts."
            }
            Self::Suspended => {
                "The operator suspended this site's partnership, so nobody is credited. The work \
                 counts."
            }
        }
    }
}

/// What a partner's visitors contributed: the public page's data, made of durable records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerView {
    pub id: PartnerId,
    pub name: String,
    /// The partner's own page.
    pub url: String,
    pub suspended: bool,
    /// Rounds with at least one of its visitors' packets in the merge.
    pub rounds: u64,
    /// Merged packets, and the tokens they say they were trained on.
    pub packets: u64,
    pub tokens: u64,
    /// Keys that these packets are from; a person may have several.
    pub volunteers: u64,
    /// When the newest of these packets came, milliseconds since 1970.
    pub last_activity_ms: Option<u64>,
    /// Where volunteers who signed a revenue share can send it (SS58).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Alpha that shares signed by volunteers have brought that account, in base units.
    pub received: String,
}

/// Answer to [`PARTNERS`](crate::http::PARTNERS).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partners {
    /// By id.
    pub partners: Vec<PartnerView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_nothing_but_a_name() {
        for good in ["a", "0", "example-blog", "a--b", &"x".repeat(MAX_PARTNER)] {
            let id: PartnerId = good.parse().unwrap();
            assert_eq!(id.as_str(), good);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{good}\""));
            assert_eq!(serde_json::from_str::<PartnerId>(&json).unwrap(), id);
        }
        let long = "x".repeat(MAX_PARTNER + 1);
        for bad in [
            "", "-", "-a", "a-", "A", "a b", "a.b", "a_b", "é", "a\0", "<b>", &long,
        ] {
            assert!(bad.parse::<PartnerId>().is_err(), "{bad:?}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<PartnerId>(&json).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_ordered_as_their_text() {
        let texts = ["a", "a-b", "ab", "b", "b1"];
        let ids: Vec<PartnerId> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(ids.is_sorted());
    }
}
