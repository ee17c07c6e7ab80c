//! Recording a signed action or a session.
//!
//! The cheapest checks come first: the address's quota, the length, the form, then the signature, and
//! only a signature that holds counts against its account's quota; otherwise a stranger could use up
//! somebody else's. What a reader would get wrong: an answer says that the entry is durable. Without one,
//! the same bytes can be sent again, and are recorded once.

use std::net::SocketAddr;

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::{ConnectInfo, State},
    http::HeaderMap,
    response::Response,
};
use bytes::Bytes;
use covey_ledger::{AccountId, LedgerError, call::SignedAction, signing::session::SignedSession};
use covey_protocol::{Hash, http::ErrorCode, limits::MAX_ACTION};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Duration, timeout};

use super::read::json;
use crate::{
    gateway::{Gateway, error::Refusal, limits::limited, packets},
    ledger::{Refused, Request, draft::request_id, store::Recorded},
    storage::blocking,
};

/// Time for the body to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for an entry to become durable; longer only while epochs are caught up.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);

/// `POST /v1/ledger/actions`
pub async fn action(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let body = receive(&gateway, peer, &headers, body, MAX_ACTION).await?;
    let signed: SignedAction = parse(&body, "a signed action")?;
    let (id, known) = known(&gateway, &signed).await?;
    if let Some(known) = known {
        return Ok(json(known.json()));
    }
    let check = {
        let signed = signed.clone();
        move || Ok(signed.verify())
    };
    checked(&gateway, check).await?;
    let account = signed.action.account;
    let request = Request::Action(Box::new(signed));
    record(&gateway, account, id, request).await
}

/// `POST /v1/ledger/sessions`
pub async fn session(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let body = receive(&gateway, peer, &headers, body, MAX_ACTION).await?;
    let signed: SignedSession = parse(&body, "a signed session")?;
    let (id, known) = known(&gateway, &signed).await?;
    if let Some(known) = known {
        return Ok(json(known.json()));
    }
    let check = {
        let signed = signed.clone();
        let chain = gateway.engine.run();
        let now = gateway.ledger.view().clock.now_ms();
        let hosts: Vec<String> = gateway
            .origins
            .hosts(&headers)
            .into_iter()
            .map(str::to_owned)
            .collect();
        move || {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let verified = signed.verify(&chain, now, &hosts);
            Ok(verified.map_err(|error| LedgerError::BadSession(error.to_string())))
        }
    };
    checked(&gateway, check).await?;
    let account = signed.authorisation.coldkey;
    let request = Request::Session(Box::new(signed));
    record(&gateway, account, id, request).await
}

/// A signed request of at most `limit` bytes.
pub(in crate::gateway) async fn receive(
    gateway: &Gateway,
    peer: SocketAddr,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let client = gateway.limits.client(peer, headers);
    if !gateway.limits.allow_upload(client) {
        return Err(limited(gateway));
    }
    let too_large = || {
        let message = format!("A signed request of this kind has at most {limit} bytes.");
        Refusal::new(ErrorCode::TooLarge, message)
    };
    if body.size_hint().lower() > limit as u64 {
        packets::discard(body).await;
        return Err(too_large());
    }
    let Some(_place) = gateway.uploads.enter(client) else {
        let message = "Too many requests at once; send it again in a moment.";
        return Err(Refusal::new(ErrorCode::Busy, message));
    };
    match timeout(READ_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(packets::unread(&error, too_large)),
        Err(_) => {
            let message = "The request took more than twenty seconds.";
            Err(Refusal::new(ErrorCode::Malformed, message))
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("This is not {what}: {error}.");
        Refusal::new(ErrorCode::Malformed, message)
    })
}

/// The request's name, and its entry if it was recorded before.
async fn known(
    gateway: &Gateway,
    request: &impl Serialize,
) -> Result<(Hash, Option<Recorded>), Refusal> {
    let id = request_id(request);
    let ledger = gateway.ledger.clone();
    let known = blocking(move || ledger.handle.shared.store.request(&id))
        .await
        .map_err(|error| Refusal::storage(&error))?;
    Ok((id, known))
}

/// Curve arithmetic takes a while: not on the runtime's threads.
async fn checked(
    gateway: &Gateway,
    check: impl FnOnce() -> Result<Result<(), LedgerError>, crate::storage::StorageError>
    + Send
    + 'static,
) -> Result<(), Refusal> {
    let verdict = blocking(check)
        .await
        .map_err(|error| Refusal::storage(&error))?;
    verdict.map_err(|error| {
        gateway.metrics.ledger.refuse(&error.name());
        rule(&error)
    })
}

async fn record(
    gateway: &Gateway,
    account: AccountId,
    id: Hash,
    request: Request,
) -> Result<Response, Refusal> {
    if !gateway.ledger.allow(account) {
        gateway.metrics.limited.inc();
        let message = "Too many actions of this account; wait a moment and send it again.";
        return Err(Refusal::new(ErrorCode::Busy, message));
    }
    let recorded = timeout(RECORD_TIMEOUT, gateway.ledger.record(id, request)).await;
    match recorded.unwrap_or(Err(Refused::Unavailable)) {
        Ok(recorded) => Ok(json(recorded.json())),
        Err(refused) => Err(refusal(&refused)),
    }
}

/// A refusal of the keeper, as it crosses the network.
pub(in crate::gateway) fn refusal(refused: &Refused) -> Refusal {
    match refused {
        Refused::Rule(error) => rule(error),
        Refused::Unavailable => Refusal::new(
            ErrorCode::Unavailable,
            "The ledger cannot record that right now; send the same again in a moment.",
        ),
        Refused::Busy => Refusal::new(
            ErrorCode::Busy,
            "Many actions are waiting; send the same again in a moment.",
        ),
    }
}

fn rule(error: &LedgerError) -> Refusal {
    Refusal::ledger(error.name(), format!("{error}."))
}
