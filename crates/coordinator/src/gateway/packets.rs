//! Receiving a packet.
//!
//! The cheapest checks come first: the address's quota, the announced length, the length while reading,
//! and only then signature and payload. Every valid packet of a run has the same length, so a body
//! longer than that is refused without reading it.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json,
    body::{Body, HttpBody, to_bytes},
    extract::{ConnectInfo, State},
    http::HeaderMap,
};
use bytes::Bytes;
use covey_protocol::{http::ErrorCode, record::Receipt};
use covey_rounds::{Submission, Ticket};
use futures_util::StreamExt;
use tokio::{
    sync::oneshot,
    time::{Duration, timeout},
};

use super::{Gateway, error::Refusal, limits::limited};
use crate::actor::Command;

/// An upload must be complete within this time: 3.4 MB at half a megabit a second.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a refused upload that are read and dropped.
const DISCARDED: usize = 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// `POST /v1/packets`
pub async fn submit(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Receipt>, Refusal> {
    let client = gateway.limits.client(peer, &headers);
    if !gateway.limits.allow_upload(client) {
        return Err(limited(&gateway));
    }
    let result = receive(&gateway, client, body).await;
    // The actor counts its own refusals.
    if let Err(Failure::Here(Refusal(body))) = &result {
        gateway.metrics.reject(body.code);
    }
    match result {
        Ok(receipt) => Ok(Json(receipt)),
        Err(Failure::Here(refusal) | Failure::Actor(refusal)) => Err(refusal),
    }
}

enum Failure {
    Here(Refusal),
    Actor(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Here(refusal)
    }
}

async fn receive(gateway: &Gateway, client: IpAddr, body: Body) -> Result<Receipt, Failure> {
    let limit = gateway.engine.packet_len();
    let too_large = || {
        let message = format!("The packet is longer than this run's {limit} bytes.");
        Refusal::new(ErrorCode::TooLarge, message)
    };
    if body.size_hint().lower() > limit as u64 {
        discard(body).await;
        return Err(too_large().into());
    }
    let Some(_place) = gateway.uploads.enter(client) else {
        return Err(Refusal::new(
            ErrorCode::Busy,
            "Too many uploads at once; send the packet again in a moment.",
        )
        .into());
    };
    let sealed = match timeout(READ_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(sealed)) => sealed,
        Ok(Err(error)) => return Err(unread(&error, too_large).into()),
        Err(_) => {
            return Err(
                Refusal::new(ErrorCode::Malformed, "The upload took more than a minute.").into(),
            );
        }
    };
    let mut submission = inspect(gateway, sealed.clone()).await?;
    submission.partner = gateway.partners.credited(&submission.volunteer);
    if let Some(partner) = submission.partner
        && !gateway.partners.allow_upload(&partner)
    {
        gateway.metrics.limited.inc();
        return Err(Refusal::new(
            ErrorCode::Busy,
            "Too many packets through this site at once; send the packet again in a moment.",
        )
        .into());
    }
    let (answer, answered) = oneshot::channel();
    let command = Command::Submit {
        submission,
        sealed,
        answer,
    };
    let gone = |_| Failure::Here(Refusal::unavailable());
    gateway
        .handle
        .commands
        .send(command)
        .await
        .map_err(|_| Failure::Here(Refusal::unavailable()))?;
    answered
        .await
        .map_err(gone)?
        .map_err(|body| Failure::Actor(Refusal(body)))
}

/// Reads a little of a body that is refused by its length: closing a connection with unread bytes would
/// reset it, and the sender would see a broken network instead of the answer.
pub(super) async fn discard(body: Body) {
    let mut parts = body.into_data_stream();
    let read = async {
        let mut rest = DISCARDED;
        while let Some(Ok(part)) = parts.next().await {
            match rest.checked_sub(part.len()) {
                Some(left) => rest = left,
                None => return,
            }
        }
    };
    // Whoever is slower than that has to live with the reset.
    let _ = timeout(DISCARD_TIMEOUT, read).await;
}

/// Whether reading failed by length or by the connection.
pub(super) fn unread(error: &axum::Error, too_large: impl Fn() -> Refusal) -> Refusal {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return too_large();
        }
        source = error.source();
    }
    Refusal::new(ErrorCode::Malformed, "The upload ended too early.")
}

/// Signatures and payloads take milliseconds of processor time: not on the runtime's threads.
async fn inspect(gateway: &Gateway, sealed: Bytes) -> Result<Submission, Refusal> {
    let engine = gateway.engine.clone();
    let work = move || {
        let packet = engine.inspect(&sealed)?;
        Ok(Submission {
            ticket: Ticket(0),
            run: packet.header.run,
            volunteer: packet.header.volunteer,
            round: packet.header.round,
            base: packet.header.base,
            packet: packet.hash(),
            inner_steps: packet.header.inner_steps,
            tokens: packet.header.tokens,
            partner: None,
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|(code, message)| Refusal::new(code, message)),
        Err(_) => Err(Refusal::unavailable()),
    }
}
