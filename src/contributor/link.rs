//! The control socket: connect, prove the key, listen; and when it breaks, try the next coordinator.
//!
//! Waits double from half a second to half a minute with jitter, and end when the page says that the network
//! is back; a coordinator that restarts on purpose names its own delay. What the frames say is put into [`LinkState`](super::shared::LinkState)
//! and the session is woken.

use std::rc::Rc;

use covey_protocol::{
    Identity, PROTOCOL, PROTOCOL_MIN, PartnerId,
    http::{ErrorBody, ErrorCode},
    record::RoundRecord,
    socket::{Backend, ClientFrame, ServerFrame, sign_hello},
};
use futures::{
    FutureExt, SinkExt, StreamExt,
    channel::mpsc::{self, UnboundedReceiver},
    select_biased,
};
use gloo_net::websocket::{Message as Wire, futures::WebSocket};

use super::{
    client::Client,
    intents::Message,
    lineage::{self, Refusal},
    pacing::reconnect_ms,
    platform::{jitter, now_ms, sleep},
    shared::{OpenRound, Shared, Task},
    view::{CreditView, RunView},
};

/// Milliseconds for the handshake to finish.
const HANDSHAKE_MS: f64 = 15_000.0;

/// How a connection ended.
enum End {
    /// Try again after the usual wait.
    Lost(String),
    /// The coordinator asked for a wait of its own, in milliseconds.
    Restarting(f64),
    /// Trying again is useless.
    Refused {
        code: &'static str,
        message: String,
        remedy: &'static str,
    },
}

/// Keeps a connection until the tab stops.
pub async fn keep(
    shared: Rc<Shared>,
    identity: Identity,
    partner: Option<PartnerId>,
    coordinators: Vec<String>,
) {
    let mut attempt = 0u32;
    for base in coordinators.iter().cycle() {
        if shared.stopping.get() {
            return;
        }
        shared.show(|view| {
            view.connection.url = Some(base.clone());
            view.connection.retry_at_ms = None;
            view.connection.attempt = attempt;
        });
        let client = Client::new(base, shared.traffic.clone());
        let end = connect(
            &shared,
            &identity,
            partner,
            &client,
            &coordinators,
            &mut attempt,
        )
        .await;
        shared.link.borrow_mut().sender = None;
        shared.changed.set();
        if shared.stopping.get() {
            return;
        }
        attempt = attempt.saturating_add(1);
        let (wait, words) = match end {
            End::Lost(words) => (reconnect_ms(attempt, jitter()), words),
            End::Restarting(wait) => (wait, "The coordinator is restarting.".to_owned()),
            End::Refused {
                code,
                message,
                remedy,
            } => {
                shared.tell(&Message::Fatal {
                    code,
                    message,
                    remedy,
                });
                // Without a coordinator there is nothing to work for.
                shared.stopping.set(true);
                shared.changed.set();
                return;
            }
        };
        shared.show(|view| {
            view.connection.connected = false;
            view.connection.attempt = attempt;
            view.connection.error = Some(words);
            view.connection.retry_at_ms = Some(now_ms() + wait);
        });
        let mut waited = Box::pin(sleep(wait).fuse());
        let mut online = Box::pin(shared.online.wait().fuse());
        select_biased! {
            () = waited => {}
            () = online => {}
        }
    }
}

async fn connect(
    shared: &Shared,
    identity: &Identity,
    partner: Option<PartnerId>,
    client: &Client,
    coordinators: &[String],
    attempt: &mut u32,
) -> End {
    let socket = match WebSocket::open(&client.socket_url()) {
        Ok(socket) => socket,
        Err(error) => return End::Lost(error.to_string()),
    };
    let (mut outgoing, mut incoming) = socket.split();
    let mut welcomed = false;
    let mut frames: Option<UnboundedReceiver<ClientFrame>> = None;
    let mut late = Box::pin(sleep(HANDSHAKE_MS).fuse());
    loop {
        let next_frame = async {
            match &mut frames {
                Some(frames) => frames.next().await,
                None => futures::future::pending().await,
            }
        };
        let received = select_biased! {
            received = incoming.next().fuse() => received,
            frame = next_frame.fuse() => {
                let Some(frame) = frame else {
                    return End::Lost("The connection was closed here.".into());
                };
                let text = frame.to_json();
                shared.traffic.sent(text.len());
                if let Err(error) = outgoing.send(Wire::Text(text)).await {
                    return End::Lost(error.to_string());
                }
                continue;
            }
            () = late => {
                if welcomed {
                    continue;
                }
                return End::Lost("The coordinator did not finish the handshake in time.".into());
            }
        };
        let text = match received {
            Some(Ok(Wire::Text(text))) => text,
            Some(Ok(Wire::Bytes(_))) => continue,
            Some(Err(error)) => return End::Lost(words(&error)),
            None => return End::Lost("The coordinator closed the connection.".into()),
        };
        shared.traffic.received(text.len());
        let frame = match ServerFrame::parse(&text) {
            Ok(frame) => frame,
            Err(error) => {
                log::warn!("a frame of the coordinator was ignored: {error}");
                continue;
            }
        };
        match frame {
            ServerFrame::Challenge {
                nonce,
                protocol_min,
                protocol,
            } => {
                if let Some(end) = incompatible(protocol_min, protocol) {
                    return end;
                }
                let hello = ClientFrame::Hello {
                    protocol: PROTOCOL,
                    volunteer: identity.id(),
                    signature: sign_hello(identity, &nonce),
                    client: concat!("covey-tab/", env!("CARGO_PKG_VERSION")).to_owned(),
                    backend: shared.backend.get().unwrap_or(Backend::Flex),
                    partner,
                };
                if let Err(error) = outgoing.send(Wire::Text(hello.to_json())).await {
                    return End::Lost(error.to_string());
                }
            }
            ServerFrame::Welcome { run } => {
                let known = shared.link.borrow().info.as_ref().map(|info| info.run);
                if known.is_some_and(|known| known != run.run) || run.spec.id() != run.run {
                    return End::Refused {
                        code: "wrong_run",
                        message:
                            "This coordinator serves another run than the one this tab works for."
                                .into(),
                        remedy: "Reload the page to join the other run.",
                    };
                }
                welcomed = true;
                match lineage::admit(shared, client, coordinators, &run).await {
                    Ok(()) => {}
                    Err(Refusal::Strange(words)) => return End::Lost(words),
                    Err(Refusal::Two(message)) => {
                        return End::Refused {
                            code: "two_coordinators",
                            message,
                            remedy: "Open the page of the one you trust.",
                        };
                    }
                }
                *attempt = 0;
                let (sender, receiver) = mpsc::unbounded();
                frames = Some(receiver);
                shared.show(|view| {
                    view.connection.connected = true;
                    view.connection.attempt = 0;
                    view.connection.error = None;
                    view.connection.retry_at_ms = None;
                    view.run = Some(RunView::of(&run));
                    view.held_out = run.held_out.clone();
                    view.unigram_entropy = Some(run.unigram_entropy);
                });
                let mut link = shared.link.borrow_mut();
                // Another coordinator counts for itself; the same one says it again.
                link.barred = None;
                link.info = Some(Rc::new(*run));
                link.client = Some(client.clone());
                link.sender = Some(sender);
                drop(link);
                shared.changed.set();
            }
            ServerFrame::Denied { code, message } => {
                return match code {
                    ErrorCode::Protocol => End::Refused {
                        code: "protocol_old",
                        message,
                        remedy: "Reload the page to get the current version.",
                    },
                    // Coming back would only push the newer session out in turn.
                    ErrorCode::Replaced => End::Refused {
                        code: "replaced",
                        message,
                        remedy: "Go on in the newer tab, or close it and reload this page.",
                    },
                    _ => End::Lost(message),
                };
            }
            ServerFrame::Restarting {
                reconnect_in_ms, ..
            } => {
                return End::Restarting(reconnect_in_ms as f64);
            }
            other => absorb(shared, other),
        }
    }
}

/// Frames that only change what is known.
fn absorb(shared: &Shared, frame: ServerFrame) {
    match frame {
        ServerFrame::RoundOpened {
            round,
            seed,
            base,
            inner_steps,
            remaining_ms,
        } => {
            let deadline_ms = remaining_ms.map(|ms| now_ms() + ms as f64);
            shared.link.borrow_mut().open = Some(OpenRound {
                round,
                seed,
                base,
                inner_steps,
                deadline_ms,
            });
            shared.show(|view| {
                view.round = Some(round);
                view.steps = inner_steps;
                view.deadline_ms = deadline_ms;
            });
            shared.changed.set();
        }
        ServerFrame::RoundClosed { record } => {
            tell_if_left_out(shared, &record.record);
            let mut link = shared.link.borrow_mut();
            link.closed.insert(record.record.round, *record);
            while link.closed.len() > 16 {
                link.closed.pop_first();
            }
            drop(link);
            shared.changed.set();
        }
        ServerFrame::Committed { packet, .. } => {
            shared.link.borrow_mut().commitment = Some((packet, Ok(())));
            shared.changed.set();
        }
        ServerFrame::NotCommitted {
            packet,
            code,
            message,
            ..
        } => {
            let refusal = ErrorBody::new(code, message);
            shared.link.borrow_mut().commitment = Some((packet, Err(refusal)));
            shared.changed.set();
        }
        ServerFrame::HeldOut { held_out } => {
            shared.show(|view| {
                view.held_out.retain(|known| known.round != held_out.round);
                view.held_out.push(held_out);
                let excess = view
                    .held_out
                    .len()
                    .saturating_sub(covey_protocol::limits::MAX_HISTORY);
                view.held_out.drain(..excess);
            });
            shared.tell(&Message::HeldOut(held_out));
        }
        ServerFrame::Presence { total, volunteers } => shared.show(|view| {
            view.peers.total = total;
            view.peers.volunteers = volunteers;
        }),
        ServerFrame::Credit { partner, refused } => shared.show(|view| {
            view.credit = Some(CreditView::of(partner.to_string(), refused));
        }),
        ServerFrame::Resync { checkpoint } => {
            log::warn!("resynchronising from round {}", checkpoint.round);
            shared.link.borrow_mut().resync = true;
            shared.changed.set();
        }
        ServerFrame::Task {
            round,
            data_of,
            fresh,
        } => {
            let task = Task {
                round,
                data_of,
                fresh,
            };
            shared.link.borrow_mut().task = Some(task);
        }
        ServerFrame::Error {
            code: ErrorCode::Quota,
            message,
        } => {
            let mut link = shared.link.borrow_mut();
            link.barred = link.open.map(|open| (open.round, message));
            drop(link);
            shared.changed.set();
        }
        ServerFrame::Error { code, message } => {
            log::warn!("the coordinator reports {code:?}: {message}");
        }
        ServerFrame::Challenge { .. }
        | ServerFrame::Welcome { .. }
        | ServerFrame::Denied { .. }
        | ServerFrame::Restarting { .. } => {}
    }
}

/// The receipt of a contribution that was left out stands, and so does the error feedback: what it held
/// counts as sent (spec 1.1, "accepted"). Putting it back would send again what was just judged.
fn tell_if_left_out(shared: &Shared, record: &RoundRecord) {
    let me = shared.view.borrow().volunteer;
    let mut excluded = record.excluded.iter();
    if let Some(exclusion) = excluded.find(|exclusion| Some(exclusion.volunteer) == me) {
        shared.tell(&Message::LeftOut {
            round: record.round,
            packet: exclusion.packet,
            reason: exclusion.reason,
            message: exclusion.reason.explanation(),
        });
    }
}

fn incompatible(protocol_min: u16, protocol: u16) -> Option<End> {
    if PROTOCOL < protocol_min {
        return Some(End::Refused {
            code: "protocol_old",
            message: format!(
                "This page speaks protocol {PROTOCOL}; the coordinator needs {protocol_min}."
            ),
            remedy: "Reload the page to get the current version.",
        });
    }
    (protocol < PROTOCOL_MIN).then(|| End::Refused {
        code: "protocol_new",
        message: format!(
            "The coordinator speaks protocol {protocol}; this page needs {PROTOCOL_MIN}."
        ),
        remedy: "Ask the operator to update the coordinator, or choose another one.",
    })
}

fn words(error: &gloo_net::websocket::WebSocketError) -> String {
    match error {
        gloo_net::websocket::WebSocketError::ConnectionClose(event) => {
            format!("The connection closed (code {}).", event.code)
        }
        _ => "No coordinator answers at this address.".into(),
    }
}
