//! Moving a development run's clock: for trying out in minutes what takes months.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use covey_ledger::Height;
use covey_protocol::{http::ErrorCode, limits::MAX_ADVANCE};
use serde::{Deserialize, Serialize};

use super::act::refusal;
use crate::gateway::{Gateway, error::Refusal};

#[derive(Deserialize)]
pub struct By {
    blocks: u64,
}

/// Where the clock is now.
#[derive(Serialize)]
pub struct Advanced {
    height: Height,
}

/// `POST /ledger/advance?blocks=N`, on the operator's listener.
pub async fn advance(
    State(gateway): State<Gateway>,
    query: Result<Query<By>, QueryRejection>,
) -> Result<Json<Advanced>, Refusal> {
    let blocks = query.ok().map(|Query(By { blocks })| blocks);
    let Some(blocks) = blocks.filter(|blocks| (1..=MAX_ADVANCE).contains(blocks)) else {
        let message = format!("blocks is 1 to {MAX_ADVANCE}.");
        return Err(Refusal::new(ErrorCode::Malformed, message));
    };
    let height = gateway.ledger.advance(blocks).await;
    let height = height.map_err(|refused| refusal(&refused))?;
    tracing::info!(blocks, height, "the clock was moved");
    Ok(Json(Advanced { height }))
}
