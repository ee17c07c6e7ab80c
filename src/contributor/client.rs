//! One coordinator over HTTP: blobs by hash, records, and the upload of packets.
//!
//! Nothing that comes back is believed: a blob must have the length and hash it was asked for, a
//! receipt must be signed by the run's coordinator and name the packet that was sent.

use std::{cell::Cell, rc::Rc};

use covey_ledger::{call::SignedAction, journal::MAX_LINE};
use covey_protocol::{
    Hash, Round, VolunteerId,
    http::{self, ErrorBody, ErrorCode, Records, RunInfo},
    ledger::LedgerHead,
    limits::{
        MAX_BLOB, MAX_FRAME, MAX_LINES_BYTES, MAX_RECORD, MAX_RECORDS, MAX_SHEET, MAX_SHEETS,
    },
    record::{Receipt, SignedRecord},
    validation::{SignedSheet, Task, Validations},
    witness::SignedStatement,
};
use futures::{FutureExt, select_biased};
use gloo_net::http::{Request, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use web_sys::{AbortController, RequestCache};

use super::platform::sleep;

/// Milliseconds before a request without an answer is given up; a blob gets more by its size.
const TIMEOUT_MS: f64 = 20_000.0;
/// Slowest transfer that is waited for, in bytes per millisecond.
const SLOWEST: f64 = 16.0;

/// Bytes moved since the tab was opened.
#[derive(Default)]
pub struct Traffic {
    pub up: Cell<u64>,
    pub down: Cell<u64>,
}

impl Traffic {
    pub fn sent(&self, bytes: usize) {
        self.up.set(self.up.get() + bytes as u64);
    }

    pub fn received(&self, bytes: usize) {
        self.down.set(self.down.get() + bytes as u64);
    }
}

/// Why a request gave nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("the coordinator did not answer: {0}")]
    Network(String),
    #[error("the coordinator did not answer in time")]
    Timeout,
    #[error("{}", .0.message)]
    Refused(ErrorBody),
    #[error("the coordinator's answer is not valid: {0}")]
    Invalid(String),
}

impl ClientError {
    /// Whether what was asked for is not served at all.
    pub fn not_found(&self) -> bool {
        matches!(self, Self::Refused(body) if body.code == ErrorCode::NotFound)
    }
}

/// A coordinator's HTTP side.
#[derive(Clone)]
pub struct Client {
    base: String,
    traffic: Rc<Traffic>,
}

impl Client {
    pub fn new(base: &str, traffic: Rc<Traffic>) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            traffic,
        }
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Bytes that came since the tab was opened.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.traffic.down.get()
    }

    /// Address of the control socket.
    pub fn socket_url(&self) -> String {
        let base = match self.base.strip_prefix("http") {
            Some(rest) => format!("ws{rest}"),
            None => self.base.clone(),
        };
        format!("{base}{}", http::SOCKET)
    }

    pub async fn run(&self) -> Result<RunInfo, ClientError> {
        self.json(http::RUN, MAX_FRAME).await
    }

    /// Records from a round on, as they are served: not one of them is checked.
    pub async fn served_records(&self, from: Round) -> Result<Vec<SignedRecord>, ClientError> {
        let path = format!("{}?from={from}", http::RECORDS);
        let Records { records } = self.json(&path, MAX_RECORDS * MAX_RECORD).await?;
        Ok(records)
    }

    /// Records from a round on, consecutive, each signed by whoever coordinated then.
    pub async fn records(
        &self,
        from: Round,
        run: &RunInfo,
    ) -> Result<Vec<SignedRecord>, ClientError> {
        let records = self.served_records(from).await?;
        let mut expected = from;
        for record in &records {
            let record = record
                .verify(&run.signer(expected))
                .map_err(|error| ClientError::Invalid(error.to_string()))?;
            if record.round != expected {
                return Err(ClientError::Invalid(format!(
                    "record of round {} where {expected} was asked for",
                    record.round
                )));
            }
            expected = expected.next();
        }
        Ok(records)
    }

    /// What is served under a name, at most `limit` bytes; whether they are the right ones is the
    /// caller's to see.
    ///
    /// Blobs never change, so browsers keep them, also one that was damaged on its way: it would come back
    /// for good if it were not asked for once more, past the cache.
    pub async fn served_blob(&self, name: &Hash, limit: usize) -> Result<Vec<u8>, ClientError> {
        let url = format!("{}{}/{name}", self.base, http::BLOBS);
        let limit = limit.min(MAX_BLOB);
        let bytes = self.fetch(Request::get(&url), None, limit).await?;
        if Hash::of(&bytes) == *name {
            return Ok(bytes);
        }
        let anew = Request::get(&url).cache(RequestCache::Reload);
        self.fetch(anew, None, limit).await
    }

    /// A blob of at most `limit` bytes, checked against its name.
    pub async fn blob(&self, name: &Hash, limit: usize) -> Result<Vec<u8>, ClientError> {
        let bytes = self.served_blob(name, limit).await?;
        if Hash::of(&bytes) != *name {
            return Err(ClientError::Invalid(format!(
                "the blob {name} has another hash"
            )));
        }
        Ok(bytes)
    }

    /// Uploads a sealed packet; the receipt is checked.
    pub async fn upload(
        &self,
        packet: &[u8],
        coordinator: &VolunteerId,
    ) -> Result<Receipt, ClientError> {
        let request = Request::post(&format!("{}{}", self.base, http::PACKETS))
            .header("content-type", "application/octet-stream");
        let bytes = self.fetch(request, Some(packet), MAX_FRAME).await?;
        let receipt: Receipt = parse(&bytes)?;
        receipt
            .verify(coordinator)
            .map_err(|error| ClientError::Invalid(error.to_string()))?;
        if receipt.packet != Hash::of(packet) {
            return Err(ClientError::Invalid(
                "the receipt is for another packet".into(),
            ));
        }
        Ok(receipt)
    }

    /// How a key stands as a validator, and what it is to score.
    pub async fn task(&self, validator: &VolunteerId) -> Result<Task, ClientError> {
        let path = format!("{}/{validator}", http::VALIDATORS);
        self.json(&path, MAX_FRAME).await
    }

    /// Hands a sheet of scores in.
    pub async fn validation(&self, sheet: &SignedSheet) -> Result<(), ClientError> {
        self.post(http::VALIDATIONS, sheet).await
    }

    /// A validator's public sheets from a round on.
    pub async fn validations(
        &self,
        from: Round,
        validator: &VolunteerId,
    ) -> Result<Validations, ClientError> {
        let path = format!("{}?from={from}&validator={validator}", http::VALIDATIONS);
        // A request gives at most the sheets of one round more than the limit.
        self.json(&path, 2 * MAX_SHEETS * MAX_SHEET).await
    }

    /// Where the ledger stands.
    pub async fn ledger(&self) -> Result<LedgerHead, ClientError> {
        self.json(http::LEDGER, MAX_FRAME).await
    }

    /// Journal lines from an entry on, as they are served.
    pub async fn entries(&self, from: u64) -> Result<String, ClientError> {
        let path = format!("{}{}?from={from}", self.base, http::LEDGER_ENTRIES);
        let limit = MAX_LINES_BYTES + MAX_LINE;
        let bytes = self.fetch(Request::get(&path), None, limit).await?;
        String::from_utf8(bytes).map_err(|_| ClientError::Invalid("it is no text".into()))
    }

    /// Says what this tab recomputed.
    pub async fn state(&self, statement: &SignedStatement) -> Result<(), ClientError> {
        self.post(http::WITNESSES, statement).await
    }

    /// Puts a signed action on the ledger.
    pub async fn act(&self, action: &SignedAction) -> Result<(), ClientError> {
        self.post(http::LEDGER_ACTIONS, action).await
    }

    /// Sends JSON; what a good answer says is known already.
    async fn post(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ClientError::Invalid(error.to_string()))?;
        let request = Request::post(&format!("{}{path}", self.base))
            .header("content-type", "application/json");
        let answer = self.fetch(request, Some(&body), MAX_LINES_BYTES).await;
        answer.map(drop)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<T, ClientError> {
        let request = Request::get(&format!("{}{path}", self.base));
        parse(&self.fetch(request, None, limit).await?)
    }

    /// Sends a request and reads at most `limit` bytes of a good answer.
    async fn fetch(
        &self,
        request: RequestBuilder,
        body: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let network = |error: gloo_net::Error| ClientError::Network(error.to_string());
        let abort = AbortController::new().ok();
        let signal = abort.as_ref().map(AbortController::signal);
        let request = request.abort_signal(signal.as_ref());
        let request = match body {
            Some(body) => request.body(js_sys::Uint8Array::from(body)),
            None => request.build(),
        }
        .map_err(network)?;
        let size = body.map_or(limit, <[u8]>::len).min(64 << 20) as f64;
        let exchange = async {
            let response = request.send().await.map_err(network)?;
            self.traffic.sent(body.map_or(0, <[u8]>::len));
            if !response.ok() {
                return Err(refusal(&response).await);
            }
            let announced = response
                .headers()
                .get("content-length")
                .and_then(|length| length.parse::<usize>().ok());
            if announced.is_some_and(|length| length > limit) {
                return Err(ClientError::Invalid("an answer that is too long".into()));
            }
            let bytes = response.binary().await.map_err(network)?;
            self.traffic.received(bytes.len());
            if bytes.len() > limit {
                return Err(ClientError::Invalid("an answer that is too long".into()));
            }
            Ok(bytes)
        };
        let (mut exchange, mut late) = (
            Box::pin(exchange.fuse()),
            Box::pin(sleep(TIMEOUT_MS + size / SLOWEST).fuse()),
        );
        select_biased! {
            result = exchange => result,
            () = late => {
                if let Some(abort) = abort {
                    abort.abort();
                }
                Err(ClientError::Timeout)
            }
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::Invalid(error.to_string()))
}

async fn refusal(response: &Response) -> ClientError {
    let status = response.status();
    match response
        .binary()
        .await
        .ok()
        .and_then(|body| parse(&body).ok())
    {
        Some(body) => ClientError::Refused(body),
        None => ClientError::Refused(ErrorBody::new(
            if status == 404 {
                ErrorCode::NotFound
            } else {
                ErrorCode::Unavailable
            },
            format!("the coordinator answered with status {status}"),
        )),
    }
}
