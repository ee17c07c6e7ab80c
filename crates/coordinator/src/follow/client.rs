//! A coordinator as a follower sees it: a stranger on the network, every answer bounded.
//!
//! Each request has a largest answer and a longest time, both known before it is sent, so a server that
//! sends without end, or a byte a minute, costs a follower that much and no more. What comes back is
//! parsed here and believed nowhere.
//!
//! Calls block.

use std::time::Duration;

use covey_protocol::{
    Hash, Round,
    http::{self, ErrorBody, ErrorCode, Records, RunInfo},
    ledger::LedgerHead,
    limits::{MAX_FRAME, MAX_LINES_BYTES, MAX_RECORDS},
    record::SignedRecord,
};
use serde::de::DeserializeOwned;
use thiserror::Error;
use ureq::Agent;

/// Time for an answer to begin and a small one to end.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 16 * 1024;
/// Largest record, as tabs take it.
const RECORD: usize = 16 * 1024;
/// Largest refusal that is read.
const REFUSAL: u64 = 16 * 1024;

/// Why a request gave nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("no answer: {0}")]
    Network(String),
    #[error("it answered: {}", .0.message)]
    Refused(ErrorBody),
    #[error("its answer is not valid: {0}")]
    Invalid(String),
}

impl ClientError {
    /// Whether there is no such thing, rather than no answer.
    #[must_use]
    pub fn not_found(&self) -> bool {
        matches!(self, Self::Refused(body) if body.code == ErrorCode::NotFound)
    }
}

/// One address.
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// # Errors
    /// When it is no http or https address.
    pub fn new(url: &str) -> Result<Self, String> {
        let base = url.trim_end_matches('/').to_owned();
        let rest = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"));
        if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
            return Err("an address begins with http:// or https://".into());
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("covey-follow/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self { agent, base })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// # Errors
    /// As any request's.
    pub fn run(&self) -> Result<RunInfo, ClientError> {
        self.json(http::RUN, MAX_FRAME)
    }

    /// Records from a round on, as they come: not one of them is checked.
    ///
    /// # Errors
    /// As any request's, and for more of them than one answer may hold.
    pub fn records(&self, from: Round) -> Result<Vec<SignedRecord>, ClientError> {
        let path = format!("{}?from={from}", http::RECORDS);
        let Records { records } = self.json(&path, MAX_RECORDS * RECORD)?;
        if records.len() > MAX_RECORDS {
            let message = format!("{} records at once", records.len());
            return Err(ClientError::Invalid(message));
        }
        Ok(records)
    }

    /// The bytes served under a name, at most `limit`; whether they are the right ones is the caller's
    /// to see.
    ///
    /// # Errors
    /// As any request's.
    pub fn blob(&self, name: &Hash, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.get(&format!("{}/{name}", http::BLOBS), limit)
    }

    /// # Errors
    /// As any request's.
    pub fn ledger(&self) -> Result<LedgerHead, ClientError> {
        self.json(http::LEDGER, MAX_FRAME)
    }

    /// Journal lines from an entry on.
    ///
    /// # Errors
    /// As any request's.
    pub fn entries(&self, from: u64) -> Result<String, ClientError> {
        let path = format!("{}?from={from}", http::LEDGER_ENTRIES);
        let limit = MAX_LINES_BYTES + covey_ledger::journal::MAX_LINE;
        let bytes = self.get(&path, limit)?;
        String::from_utf8(bytes).map_err(|_| ClientError::Invalid("it is no text".into()))
    }

    /// # Errors
    /// As any request's.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<(), ClientError> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.post(&url).content_type("application/json");
        let sent = request
            .config()
            .timeout_global(Some(TIMEOUT))
            .build()
            .send(body);
        read(sent, MAX_FRAME).map(|_| ())
    }

    fn json<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<T, ClientError> {
        serde_json::from_slice(&self.get(path, limit)?)
            .map_err(|error| ClientError::Invalid(error.to_string()))
    }

    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        let time = TIMEOUT.saturating_add(Duration::from_secs(limit as u64 / SLOWEST));
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.config().timeout_global(Some(time)).build().call();
        read(answer, limit)
    }
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn read(answer: Answer, limit: usize) -> Result<Vec<u8>, ClientError> {
    let network = |error: ureq::Error| ClientError::Network(error.to_string());
    let mut answer = answer.map_err(network)?;
    let status = answer.status();
    if !status.is_success() {
        let body = answer.body_mut().with_config().limit(REFUSAL);
        let refusal = body.read_to_vec().ok();
        let refusal = refusal.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return Err(ClientError::Refused(refusal.unwrap_or_else(|| {
            let code = match status.as_u16() {
                404 => ErrorCode::NotFound,
                _ => ErrorCode::Unavailable,
            };
            ErrorBody::new(code, format!("status {status}"))
        })));
    }
    let body = answer.body_mut().with_config().limit(limit as u64);
    body.read_to_vec().map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            ClientError::Invalid(format!("it is longer than {limit} bytes"))
        }
        other => network(other),
    })
}
