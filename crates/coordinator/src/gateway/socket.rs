//! One volunteer's control socket.
//!
//! 1. The page's origin, the address's quota and the number of open sockets are checked before the
//!    upgrade.
//! 2. The volunteer answers a fresh challenge within ten seconds, or is sent away.
//! 3. From then on two bounded queues connect socket and actor. Whoever does not read is dropped, and
//!    whoever is silent through three pings is gone.
//!
//! Default buffers of the WebSocket library are sized for file transfers, and its backlog is unbounded;
//! with frames this small both are set to what thousands of idle volunteers can have at once.

use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use axum::{
    extract::{
        ConnectInfo, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use covey_protocol::{
    Hash, PROTOCOL, PROTOCOL_MIN, PartnerId, VolunteerId,
    http::{ErrorBody, ErrorCode},
    limits::MAX_FRAME,
    record::Commitment,
    socket::{Backend, ClientFrame, ServerFrame, verify_hello},
    witness::{SignedStatement, WitnessKind},
};
use governor::{DefaultDirectRateLimiter, RateLimiter};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval_at, timeout},
};

use super::{
    Gateway,
    error::Refusal,
    limits::{limited, quota},
    partners::Visit,
    witnesses::{self, is_a_mirror},
};
use crate::{
    actor::{
        Command,
        sessions::{QUEUE, SessionId, text},
    },
    engine::code_of,
    secret::random,
    storage::blocking,
};

const BUFFER: usize = 8 * 1024;
/// Time for the hello after the challenge.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(15);
/// Silence after which a volunteer is gone: three pings.
const SILENCE: Duration = Duration::from_secs(45);
/// Time for one frame to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Refused frames after which a volunteer is sent away.
const PATIENCE: u32 = 8;

/// `GET /v1/socket`
pub async fn upgrade(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !gateway.origins.allow(&headers) {
        let message = "This page may not connect; the operator can allow its origin.";
        gateway.metrics.bad_frame(ErrorCode::Signature);
        return Refusal::new(ErrorCode::Signature, message).into_response();
    }
    let client = gateway.limits.client(peer, &headers);
    if !gateway.limits.allow_socket(client) {
        return limited(&gateway).into_response();
    }
    let Ok(place) = gateway.sockets.clone().try_acquire_owned() else {
        let message = "The coordinator has all the volunteers it can hold; try again later.";
        return Refusal::new(ErrorCode::Unavailable, message).into_response();
    };
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_FRAME)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .on_upgrade(async move |socket| {
            let limits = &gateway.config.limits;
            let frames = quota(limits.frames_per_second, limits.frame_burst);
            Session {
                frames: RateLimiter::direct(frames),
                gateway,
                socket,
                heard: Instant::now(),
                refused: 0,
            }
            .run()
            .await;
            drop(place);
        })
}

struct Session {
    gateway: Gateway,
    socket: WebSocket,
    frames: DefaultDirectRateLimiter,
    heard: Instant,
    refused: u32,
}

/// Who came, checked.
struct Hello {
    volunteer: VolunteerId,
    backend: Backend,
    partner: Option<PartnerId>,
}

/// Why a session ends; what it is told.
enum End {
    /// The other side is gone, or nothing more can be sent to it.
    Silent,
    /// Say why, then close.
    Denied(ErrorBody),
    /// Everything was said; close.
    Closed,
}

impl End {
    fn denied(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Denied(ErrorBody::new(code, message))
    }
}

impl Session {
    async fn run(mut self) {
        let end = match self.handshake().await {
            Ok(hello) => self.serve(hello).await,
            Err(end) => end,
        };
        let close = match end {
            End::Silent => return,
            End::Closed => CloseFrame {
                code: close_code::NORMAL,
                reason: "".into(),
            },
            End::Denied(ErrorBody { code, message, .. }) => {
                self.gateway.metrics.bad_frame(code);
                let frame = ServerFrame::Denied { code, message };
                if self.send(Message::Text(text(&frame))).await.is_err() {
                    return;
                }
                CloseFrame {
                    code: match code {
                        ErrorCode::TooLarge => close_code::SIZE,
                        ErrorCode::Busy | ErrorCode::Unavailable => close_code::AGAIN,
                        _ => close_code::POLICY,
                    },
                    reason: "".into(),
                }
            }
        };
        // A courtesy; the connection ends either way.
        let _ = self.send(Message::Close(Some(close))).await;
    }

    async fn handshake(&mut self) -> Result<Hello, End> {
        if let Some(mirror) = &self.gateway.mirror {
            return Err(End::Denied(is_a_mirror(mirror)));
        }
        let nonce = random().map_err(|error| {
            tracing::error!(%error, "no challenge");
            End::denied(ErrorCode::Unavailable, "The coordinator has no entropy.")
        })?;
        let nonce = Hash(nonce);
        let challenge = ServerFrame::Challenge {
            nonce,
            protocol_min: PROTOCOL_MIN,
            protocol: PROTOCOL,
        };
        self.send(Message::Text(text(&challenge))).await?;
        let first = timeout(HELLO_TIMEOUT, self.receive())
            .await
            .map_err(|_| End::denied(ErrorCode::Malformed, "No hello within ten seconds."))??;
        let ClientFrame::Hello {
            protocol,
            volunteer,
            signature,
            client,
            backend,
            partner,
        } = first?
        else {
            let message = "The first frame must be a hello.";
            return Err(End::denied(ErrorCode::Malformed, message));
        };
        if !(PROTOCOL_MIN..=PROTOCOL).contains(&protocol) {
            let message = if protocol < PROTOCOL_MIN {
                format!("Protocol {protocol} is too old; this coordinator speaks {PROTOCOL}.")
            } else {
                format!("Protocol {protocol} is too new; this coordinator speaks {PROTOCOL}.")
            };
            return Err(End::denied(ErrorCode::Protocol, message));
        }
        verify_hello(&volunteer, &nonce, &signature)
            .map_err(|error| End::denied(code_of(&error), error.to_string()))?;
        tracing::debug!(%volunteer, client, ?backend, "volunteer connected");
        Ok(Hello {
            volunteer,
            backend,
            partner,
        })
    }

    async fn serve(&mut self, hello: Hello) -> End {
        let Hello {
            volunteer,
            backend,
            partner,
        } = hello;
        let journal = self.gateway.journal.clone();
        let accepted = match blocking(move || journal.accepted_from(volunteer)).await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "volunteer not admitted");
                return End::denied(ErrorCode::Unavailable, "The coordinator's disk fails.");
            }
        };
        let session = SessionId(self.gateway.next_session.fetch_add(1, Ordering::Relaxed));
        let (outbox, mut frames) = mpsc::channel(QUEUE);
        let commands = self.gateway.handle.commands.clone();
        let mut visit = None;
        if let Some(partner) = partner {
            match self.gateway.partners.join(partner, volunteer, session) {
                Ok(joined) => {
                    if let Err(end) = self.send(Message::Text(text(&joined.credit()))).await {
                        return end;
                    }
                    visit = Some(joined);
                }
                Err(refused) => return End::denied(ErrorCode::Busy, refused.message()),
            }
        } else {
            self.gateway.partners.forget(&volunteer);
        }
        let connect = Command::Connect {
            volunteer,
            session,
            backend,
            accepted,
            outbox,
        };
        if commands.send(connect).await.is_err() {
            return End::denied(ErrorCode::Unavailable, "The coordinator is stopping.");
        }
        let start = tokio::time::Instant::now() + PING_EVERY;
        let mut pings = interval_at(start, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                frame = frames.recv() => {
                    let Some(frame) = frame else { break End::Closed };
                    if let Err(end) = self.send(Message::Text(frame)).await {
                        break end;
                    }
                }
                () = changed(&mut visit) => {
                    let credit = visit.as_ref().map(|visit| text(&visit.credit()));
                    if let Some(credit) = credit
                        && let Err(end) = self.send(Message::Text(credit)).await
                    {
                        break end;
                    }
                }
                received = self.receive() => {
                    let frame = match received {
                        Ok(Ok(frame)) => frame,
                        Ok(Err(refusal)) => match self.refuse(refusal).await {
                            Ok(()) => continue,
                            Err(end) => break end,
                        },
                        Err(end) => break end,
                    };
                    if matches!(frame, ClientFrame::Hello { .. }) {
                        break End::denied(ErrorCode::Malformed, "There was a hello already.");
                    }
                    if let ClientFrame::Witness { statement } = frame {
                        if let Err(refusal) = self.witness(volunteer, *statement).await
                            && let Err(end) = self.refuse(refusal).await
                        {
                            break end;
                        }
                        continue;
                    }
                    if let ClientFrame::Commit { round, packet, signature } = frame {
                        let commitment = Commitment { volunteer, packet, signature };
                        let run = self.gateway.engine.run();
                        if let Err(error) = commitment.verify(&run, round) {
                            let refusal = ErrorBody::new(code_of(&error), error.to_string());
                            match self.refuse(refusal).await {
                                Ok(()) => continue,
                                Err(end) => break end,
                            }
                        }
                    }
                    let command = Command::Frame { volunteer, session, frame };
                    if commands.send(command).await.is_err() {
                        break End::Closed;
                    }
                }
                _ = pings.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        break End::Silent;
                    }
                    if let Err(end) = self.send(Message::Ping(Bytes::new())).await {
                        break end;
                    }
                }
            }
        };
        // The actor may be gone already, which is as good as being told.
        let _ = commands
            .send(Command::Disconnect { volunteer, session })
            .await;
        end
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(WRITE_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Silent),
            Err(_) => {
                self.gateway.metrics.slow_sockets.inc();
                Err(End::Silent)
            }
        }
    }

    /// The next frame, or why it is refused. Cancelling it loses nothing: a message is either still in
    /// the socket or returned.
    async fn receive(&mut self) -> Result<Result<ClientFrame, ErrorBody>, End> {
        loop {
            let message = match self.socket.recv().await {
                None => return Err(End::Silent),
                Some(Ok(message)) => message,
                Some(Err(error)) if too_long(&error) => {
                    let message = format!("A frame may have {MAX_FRAME} bytes.");
                    return Err(End::denied(ErrorCode::TooLarge, message));
                }
                Some(Err(_)) => return Err(End::Silent),
            };
            self.heard = Instant::now();
            let refused = |code, message: &str| ErrorBody::new(code, message);
            if self.frames.check().is_err() {
                return Ok(Err(refused(
                    ErrorCode::Busy,
                    "Too many frames; send fewer.",
                )));
            }
            match message {
                Message::Text(text) => {
                    return Ok(ClientFrame::parse(&text)
                        .map_err(|error| refused(code_of(&error), &error.to_string())));
                }
                Message::Binary(_) => {
                    let message = "Binary frames have no meaning here; packets go over HTTP.";
                    return Ok(Err(refused(ErrorCode::Malformed, message)));
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return Err(End::Silent),
            }
        }
    }

    /// A tab speaks for itself only, and as a tab.
    async fn witness(
        &mut self,
        volunteer: VolunteerId,
        signed: SignedStatement,
    ) -> Result<(), ErrorBody> {
        if signed.witness != volunteer || signed.statement.kind != WitnessKind::Tab {
            let message = "A tab's statement is signed with the tab's own key.";
            return Err(ErrorBody::new(ErrorCode::Malformed, message));
        }
        witnesses::take(&self.gateway, signed).await
    }

    /// Tells the volunteer why a frame was refused, and ends when that happens too often.
    async fn refuse(&mut self, refusal: ErrorBody) -> Result<(), End> {
        self.refused += 1;
        if self.refused >= PATIENCE {
            return Err(End::Denied(refusal));
        }
        let ErrorBody { code, message, .. } = refusal;
        self.gateway.metrics.bad_frame(code);
        let frame = ServerFrame::Error { code, message };
        self.send(Message::Text(text(&frame))).await
    }
}

/// Waits until the standing of a visit's partner may have changed.
async fn changed(visit: &mut Option<Visit>) {
    match visit {
        Some(visit) => visit.changed().await,
        None => std::future::pending().await,
    }
}

impl From<ErrorBody> for End {
    fn from(body: ErrorBody) -> Self {
        Self::Denied(body)
    }
}

fn too_long(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("too long") {
            return true;
        }
        source = error.source();
    }
    false
}
