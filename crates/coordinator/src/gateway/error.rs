//! Refusals over HTTP: a status for caches and tools, a code for the program, a sentence for a person.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use covey_protocol::http::{ErrorBody, ErrorCode};

use crate::storage::StorageError;

/// A refusal on its way out.
#[derive(Debug)]
pub struct Refusal(pub ErrorBody);

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ErrorBody::new(code, message))
    }

    /// A rule of the ledger, by its name.
    pub fn ledger(name: String, message: String) -> Self {
        Self(ErrorBody {
            code: ErrorCode::Ledger,
            name: Some(name),
            message,
        })
    }

    /// The coordinator is going down, or its disk fails.
    pub fn unavailable() -> Self {
        Self::new(
            ErrorCode::Unavailable,
            "The coordinator cannot answer right now; try again in a moment.",
        )
    }

    /// Logs a storage failure, which is none of the sender's business, and answers for it.
    pub fn storage(error: &StorageError) -> Self {
        tracing::error!(%error, "request failed");
        Self::unavailable()
    }
}

/// The status that goes with a code.
#[must_use]
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Malformed | ErrorCode::Protocol => StatusCode::BAD_REQUEST,
        ErrorCode::Signature | ErrorCode::NotValidator => StatusCode::FORBIDDEN,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::WrongRun
        | ErrorCode::StaleRound
        | ErrorCode::FutureRound
        | ErrorCode::WrongBase
        | ErrorCode::Duplicate
        | ErrorCode::NotAssigned
        | ErrorCode::NotCommitted
        | ErrorCode::RoundFull
        | ErrorCode::Ledger
        | ErrorCode::Replaced => StatusCode::CONFLICT,
        ErrorCode::Mirror => StatusCode::MISDIRECTED_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Busy | ErrorCode::Quota => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (status(self.0.code), Json(self.0)).into_response()
    }
}

/// For paths that lead nowhere.
pub async fn not_found() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "There is nothing at this address.")
}
