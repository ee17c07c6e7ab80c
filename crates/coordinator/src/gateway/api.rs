//! Reading the run: its description, its records, its weights.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use covey_protocol::{
    Round,
    http::{ErrorCode, Records, RunInfo, Scores},
    limits::MAX_RECORDS,
};
use serde::Deserialize;

use super::{Gateway, NOSNIFF, error::Refusal, fixed};
use crate::{metrics::OUT, storage::blocking};

/// `GET /v1/run`
pub async fn run(State(gateway): State<Gateway>) -> impl IntoResponse {
    let info: RunInfo = (**gateway.handle.published.info.load()).clone();
    ([(header::CACHE_CONTROL, fixed("no-store"))], Json(info))
}

/// `GET /v1/scores`
pub async fn scores(State(gateway): State<Gateway>) -> impl IntoResponse {
    let scores: Scores = (**gateway.handle.published.scores.load()).clone();
    ([(header::CACHE_CONTROL, fixed("no-store"))], Json(scores))
}

#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    from: u64,
}

/// `GET /v1/records?from=N`
pub async fn records(
    State(gateway): State<Gateway>,
    query: Result<Query<From>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(From { from }) =
        query.map_err(|_| Refusal::new(ErrorCode::Malformed, "from is the number of a round."))?;
    let journal = std::sync::Arc::clone(&gateway.journal);
    let records = blocking(move || journal.records(Round(from), MAX_RECORDS))
        .await
        .map_err(|error| Refusal::storage(&error))?;
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    Ok((cache, Json(Records { records })).into_response())
}

/// A SafeTensors file of one round's weights.
pub struct Export {
    round: Round,
    file: Bytes,
}

/// `GET /v1/model.safetensors`: the weights the open round starts from.
pub async fn model(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let current = gateway.handle.published.weights.load_full();
    let (round, weights) = (current.0, std::sync::Arc::clone(&current.1));
    let tag = format!("\"round-{round}\"");
    if headers
        .get(header::IF_NONE_MATCH)
        .map(|value| value.as_bytes())
        == Some(tag.as_bytes())
    {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    // Held while the file is made, so that a large model is exported once however many ask.
    let mut export = gateway.export.lock().await;
    let file = match &*export {
        Some(known) if known.round == round => known.file.clone(),
        _ => {
            let engine = gateway.engine.clone();
            let work = tokio::task::spawn_blocking(move || engine.export(round, &weights));
            let file = match work.await {
                Ok(Ok(file)) => Bytes::from(file),
                Ok(Err(error)) => {
                    tracing::error!(%error, "export failed");
                    return Err(Refusal::unavailable());
                }
                Err(_) => return Err(Refusal::unavailable()),
            };
            *export = Some(Export {
                round,
                file: file.clone(),
            });
            file
        }
    };
    drop(export);
    gateway.metrics.transferred(&OUT, file.len() as u64);
    let name = format!("attachment; filename=\"covey-round-{round}.safetensors\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    Ok((headers, [NOSNIFF], file).into_response())
}
