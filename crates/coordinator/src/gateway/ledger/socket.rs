//! The ledger's socket: it tells, and listens to nothing.
//!
//! 1. On connecting and every fifteen seconds: the head.
//! 2. Every new entry, then every notice that it announced or changed.
//!
//! Whoever reads too slowly is dropped and goes on with `entries?from=`. What a reader would get wrong:
//! frames are a convenience. A gap is no loss, because the journal has everything.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    extract::{
        ConnectInfo, State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use covey_protocol::http::ErrorCode;
use serde::Serialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    gateway::{Gateway, error::Refusal, limits::limited},
    shutdown::requested,
};

const HEAD_EVERY: Duration = Duration::from_secs(15);
/// Silence after which a reader is gone: three pings.
const SILENCE: Duration = Duration::from_secs(45);
/// Time for one frame to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER: usize = 4 * 1024;
/// Room for the longest line and its frame.
const MAX_OUT: usize = 1024 * 1024;
/// Readers have nothing to say but close and pong.
const MAX_IN: usize = 1024;

/// `GET /v1/ledger/socket`
pub async fn upgrade(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Any page may listen, as any page may read: what is told here is public.
    let client = gateway.limits.client(peer, &headers);
    if !gateway.limits.allow_socket(client) {
        return limited(&gateway).into_response();
    }
    let Ok(place) = gateway.ledger.sockets.clone().try_acquire_owned() else {
        let message = "The ledger has all the listeners it can hold; ask for its entries instead.";
        return Refusal::new(ErrorCode::Unavailable, message).into_response();
    };
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_OUT)
        .max_message_size(MAX_IN)
        .max_frame_size(MAX_IN)
        .on_upgrade(async move |socket| {
            gateway.metrics.ledger.sockets.inc();
            let listener = Listener {
                frames: gateway.ledger.subscribe(),
                socket,
                heard: Instant::now(),
                gateway: gateway.clone(),
            };
            listener.run().await;
            gateway.metrics.ledger.sockets.dec();
            drop(place);
        })
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "head")]
struct HeadFrame {
    #[serde(flatten)]
    head: covey_protocol::ledger::LedgerHead,
}

struct Listener {
    gateway: Gateway,
    socket: WebSocket,
    frames: Receiver<Utf8Bytes>,
    heard: Instant,
}

/// Why a listener is sent away.
enum End {
    Gone,
    Slow,
    Stopping,
}

impl Listener {
    async fn run(mut self) {
        let close = match self.serve().await {
            End::Gone => return,
            End::Slow => {
                self.gateway.metrics.ledger.slow_sockets.inc();
                (
                    close_code::AGAIN,
                    "too slow: ask for entries, then connect again",
                )
            }
            End::Stopping => (close_code::AWAY, "the coordinator is stopping"),
        };
        let (code, reason) = close;
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // A courtesy; the connection ends either way.
        let _ = timeout(WRITE_TIMEOUT, self.socket.send(Message::Close(Some(frame)))).await;
    }

    async fn serve(&mut self) -> End {
        let stopped = self.gateway.ledger.stopped.clone();
        let mut heads = interval(HEAD_EVERY);
        heads.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                () = requested(stopped.clone()) => return End::Stopping,
                frame = self.frames.recv() => match frame {
                    Ok(frame) => self.send(Message::Text(frame)).await,
                    Err(RecvError::Lagged(_)) => return End::Slow,
                    Err(RecvError::Closed) => return End::Stopping,
                },
                received = self.socket.recv() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                    Some(Ok(_)) => {
                        self.heard = Instant::now();
                        Ok(())
                    }
                },
                // The first tick is at once.
                _ = heads.tick() => self.head().await,
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }

    async fn head(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > SILENCE {
            return Err(End::Gone);
        }
        let head = self.gateway.ledger.head();
        let text = serde_json::to_string(&HeadFrame { head }).unwrap_or_default();
        self.send(Message::Text(text.into())).await?;
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(WRITE_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }
}
