//! The doors to the list of witnesses, and what a mirror says instead of taking anything.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use covey_protocol::{
    http::{ErrorBody, ErrorCode, Mirror},
    limits::MAX_STATEMENT,
    witness::SignedStatement,
};
use tokio::time::{Duration, timeout};

use super::{Gateway, error::Refusal, fixed, limits::limited};
use crate::storage::blocking;

/// Time for a statement to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// `GET /v1/witnesses`
pub async fn list(State(gateway): State<Gateway>) -> impl IntoResponse {
    let open = gateway.handle.published.info.load().round;
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    (cache, Json(gateway.witnesses.list(open)))
}

/// `POST /v1/witnesses`
pub async fn state(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<()>, Refusal> {
    let client = gateway.limits.client(peer, &headers);
    // A statement costs what an upload costs: a signature, and a write.
    if !gateway.limits.allow_upload(client) {
        return Err(limited(&gateway));
    }
    let malformed = |message: &str| Refusal::new(ErrorCode::Malformed, message);
    let read = timeout(READ_TIMEOUT, to_bytes(body, MAX_STATEMENT)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("A statement has at most {MAX_STATEMENT} bytes.");
            return Err(Refusal::new(ErrorCode::TooLarge, message));
        }
        Err(_) => return Err(malformed("The statement took too long to arrive.")),
    };
    let signed: SignedStatement = serde_json::from_slice(&bytes)
        .map_err(|error| malformed(&format!("This is no signed statement: {error}.")))?;
    take(&gateway, signed).await.map_err(Refusal)?;
    Ok(Json(()))
}

/// Takes a statement, by either door.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn take(gateway: &Gateway, signed: SignedStatement) -> Result<(), ErrorBody> {
    let open = gateway.handle.published.info.load().round;
    let (board, journal) = (gateway.witnesses.clone(), gateway.journal.clone());
    let shared = Arc::clone(&gateway.ledger.handle.shared);
    let taken = blocking(move || Ok(board.take(signed, &journal, &shared.store, open))).await;
    taken.unwrap_or_else(|error| {
        tracing::error!(%error, "a statement is lost");
        Err(Refusal::unavailable().0)
    })
}

/// Middleware over a mirror's doors: whatever would change something belongs to the coordinator.
pub async fn refuse_writes(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Response {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
    match &gateway.mirror {
        Some(mirror) if !reads.contains(request.method()) => {
            Refusal(is_a_mirror(mirror)).into_response()
        }
        _ => next.run(request).await,
    }
}

/// What a mirror answers to whoever wants more than to read.
pub(super) fn is_a_mirror(mirror: &Mirror) -> ErrorBody {
    let of = &mirror.of;
    let message = format!("This is a mirror, which only shows the run; its coordinator is {of}.");
    ErrorBody::new(ErrorCode::Mirror, message)
}
