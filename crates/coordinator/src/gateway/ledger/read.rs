//! Reading the ledger: where it stands, its entries, its state, and an account's own.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use covey_ledger::AccountId;
use covey_protocol::{
    http::ErrorCode,
    limits::{MAX_ITEMS, MAX_LINES, MAX_LINES_BYTES},
};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Ledger;
use crate::{
    gateway::{Gateway, NOSNIFF, error::Refusal, fixed},
    ledger::store::Recorded,
    metrics::OUT,
    storage::{StorageError, blocking},
};

const NDJSON: &str = "application/x-ndjson";

/// `GET /v1/ledger`
pub async fn head(State(gateway): State<Gateway>) -> impl IntoResponse {
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    (cache, Json(gateway.ledger.head()))
}

#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    from: u64,
}

/// `GET /v1/ledger/entries?from=N`
pub async fn entries(
    State(gateway): State<Gateway>,
    query: Result<Query<From>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(From { from }) =
        query.map_err(|_| Refusal::new(ErrorCode::Malformed, "from is the number of an entry."))?;
    let text = lines(gateway.ledger.clone(), from)
        .await
        .map_err(|error| Refusal::storage(&error))?
        .map_or_else(String::new, |(text, _)| text);
    gateway.metrics.transferred(&OUT, text.len() as u64);
    let headers = [
        (header::CONTENT_TYPE, fixed(NDJSON)),
        (header::CACHE_CONTROL, fixed("no-store")),
        NOSNIFF,
    ];
    Ok((headers, text).into_response())
}

/// Lines from an entry on, each with its end, and the entry after them; none at the end.
async fn lines(ledger: Ledger, from: u64) -> Result<Option<(String, u64)>, StorageError> {
    blocking(move || {
        let store = &ledger.handle.shared.store;
        let lines = store.lines(from, MAX_LINES, MAX_LINES_BYTES)?;
        if lines.is_empty() {
            return Ok(None);
        }
        let next = from.saturating_add(lines.len() as u64);
        let mut text = lines.join("\n");
        text.push('\n');
        Ok(Some((text, next)))
    })
    .await
}

/// `GET /v1/ledger/journal`: all of it, as a file.
pub async fn journal(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    let Ok(place) = Arc::clone(&gateway.ledger.downloads).try_acquire_owned() else {
        let message = "Too many downloads of the journal at once; try again in a moment.";
        return Err(Refusal::new(ErrorCode::Busy, message));
    };
    struct Rest {
        gateway: Gateway,
        next: u64,
        end: u64,
        _place: OwnedSemaphorePermit,
    }
    let end = gateway.ledger.view().position.ledger.len();
    let rest = Rest {
        gateway,
        next: 0,
        end,
        _place: place,
    };
    let parts = futures_util::stream::try_unfold(rest, async move |mut rest: Rest| {
        // Entries that come meanwhile are for the next time.
        if rest.next >= rest.end {
            return Ok(None);
        }
        let part = lines(rest.gateway.ledger.clone(), rest.next).await;
        let Some((text, next)) = part.inspect_err(|error| {
            tracing::error!(%error, "a download of the journal breaks off");
        })?
        else {
            return Ok(None);
        };
        rest.next = next;
        rest.gateway.metrics.transferred(&OUT, text.len() as u64);
        Ok::<_, StorageError>(Some((Bytes::from(text), rest)))
    });
    let name = fixed("attachment; filename=covey-ledger.ndjson");
    let headers = [
        (header::CONTENT_TYPE, fixed(NDJSON)),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, fixed("no-store")),
        NOSNIFF,
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// `GET /v1/ledger/snapshot`: the last epoch's line, and the state it vouches for.
pub async fn snapshot(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    let ledger = &gateway.ledger;
    // Held while it is made, so that a large state is written once however many ask.
    let mut known = ledger.snapshot.lock().await;
    let anchor = ledger.view().position.anchor.clone();
    let entries = anchor.ledger.len();
    let bytes = match &*known {
        Some((of, bytes)) if *of == entries => bytes.clone(),
        _ => {
            let made = blocking(move || {
                let mut bytes = anchor.line.into_bytes();
                bytes.push(b'\n');
                // A genesis vouches for its own state.
                if anchor.ledger.len() > 1 {
                    bytes.extend(anchor.ledger.snapshot());
                }
                Ok(Bytes::from(bytes))
            });
            let bytes = made.await.map_err(|error| Refusal::storage(&error))?;
            *known = Some((entries, bytes.clone()));
            bytes
        }
    };
    drop(known);
    gateway.metrics.transferred(&OUT, bytes.len() as u64);
    let headers = [
        (header::CONTENT_TYPE, fixed("application/octet-stream")),
        (header::CACHE_CONTROL, fixed("no-store")),
        NOSNIFF,
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Deserialize)]
pub struct Whose {
    account: String,
    before: Option<u64>,
}

/// `GET /v1/ledger/history?account=A&before=N`
pub async fn history(
    State(gateway): State<Gateway>,
    query: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let malformed = |message: String| Refusal::new(ErrorCode::Malformed, message);
    let Query(Whose { account, before }) = query.map_err(|_| {
        malformed("account is an address, and before the number of an entry.".to_owned())
    })?;
    let account: AccountId = account
        .parse()
        .map_err(|error| malformed(format!("account: {error}.")))?;
    let before = before.unwrap_or(u64::MAX);
    let ledger = gateway.ledger.clone();
    let items = blocking(move || {
        let store = &ledger.handle.shared.store;
        store.history(&account, before, MAX_ITEMS)
    })
    .await
    .map_err(|error| Refusal::storage(&error))?;
    let items: Vec<String> = items.iter().map(Recorded::json).collect();
    Ok(json(format!("{{\"items\":[{}]}}", items.join(","))))
}

/// Text that is JSON already.
pub(super) fn json(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, fixed("application/json")),
        (header::CACHE_CONTROL, fixed("no-store")),
        NOSNIFF,
    ];
    (headers, text).into_response()
}
