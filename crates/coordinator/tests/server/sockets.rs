//! The control socket: the handshake, and what happens to frames that should not have been sent.

use crate::common::{Coordinator, Extra, hello};
use covey_protocol::{
    Hash, Identity, PROTOCOL, Round,
    http::ErrorCode,
    limits::{MAX_CLIENT_FRAME, MAX_FRAME},
    socket::{Activity, Backend, ClientFrame, ServerFrame, sign_hello},
};
use futures_util::SinkExt;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Message, client::IntoClientRequest, http::HeaderValue, protocol::frame::coding::CloseCode,
    },
};

fn denial(frame: Option<ServerFrame>) -> ErrorCode {
    match frame {
        Some(ServerFrame::Denied { code, .. }) => code,
        other => panic!("not denied but {other:?}"),
    }
}

async fn error(socket: &mut crate::common::Socket) -> ErrorCode {
    socket
        .until(|frame| match frame {
            ServerFrame::Error { code, .. } => Some(*code),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_volunteer_proves_its_key_and_is_told_the_run_and_the_round() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    assert_eq!(volunteer.run, coordinator.run().await);
    assert_eq!(volunteer.run.spec.id(), volunteer.run.run);
    assert_eq!(volunteer.run.spec.inner.steps, 4);
    let (base, remaining) = volunteer.opened(0).await;
    assert_eq!(base, volunteer.run.base);
    assert_eq!(remaining, None, "nobody has joined");
    volunteer.join(0).await;
    let (_, remaining) = volunteer.opened(0).await;
    assert!(remaining.is_some_and(|ms| ms <= 60_000));
    let id = volunteer.identity.id();
    let activity = volunteer
        .socket
        .until(|frame| match frame {
            ServerFrame::Presence { volunteers, .. } => volunteers
                .iter()
                .find(|presence| presence.volunteer == id)
                .map(|presence| presence.activity)
                .filter(|activity| *activity != Activity::Watching),
            _ => None,
        })
        .await;
    assert_eq!(activity, Activity::Training);
    assert_eq!(coordinator.metric("covey_volunteers").await, 1.0);
}

#[tokio::test]
async fn whoever_cannot_sign_the_challenge_is_sent_away() {
    let coordinator = Coordinator::start();
    let identity = Identity::from_secret([1; 32]);
    let mut recorded = coordinator.socket().await;
    let old_nonce = recorded.challenge().await;
    for signature in [
        sign_hello(&Identity::from_secret([2; 32]), &Hash::of(b"x")),
        sign_hello(&identity, &old_nonce),
    ] {
        let mut socket = coordinator.socket().await;
        socket.challenge().await;
        socket
            .frame(&ClientFrame::Hello {
                protocol: PROTOCOL,
                volunteer: identity.id(),
                signature,
                client: "test".into(),
                backend: Backend::WebGpu,
                partner: None,
            })
            .await;
        let (frame, close) = socket.denied().await;
        assert_eq!(denial(frame), ErrorCode::Signature);
        assert_eq!(close, Some(CloseCode::Policy));
    }
    let counted = coordinator.metric("covey_frames_rejected_total{code=\"signature\"}");
    assert_eq!(counted.await, 2.0);
}

#[tokio::test]
async fn other_protocols_are_named_too_old_or_too_new() {
    let coordinator = Coordinator::start();
    let identity = Identity::from_secret([1; 32]);
    for (version, word) in [(0, "too old"), (PROTOCOL + 1, "too new")] {
        let mut socket = coordinator.socket().await;
        let nonce = socket.challenge().await;
        let ClientFrame::Hello {
            volunteer,
            signature,
            client,
            backend,
            ..
        } = hello(&identity, &nonce)
        else {
            unreachable!("a hello");
        };
        let frame = ClientFrame::Hello {
            protocol: version,
            volunteer,
            signature,
            client,
            backend,
            partner: None,
        };
        socket.frame(&frame).await;
        match socket.denied().await.0 {
            Some(ServerFrame::Denied { code, message }) => {
                assert_eq!(code, ErrorCode::Protocol);
                assert!(message.contains(word), "{message}");
            }
            other => panic!("not denied but {other:?}"),
        }
    }
}

#[tokio::test]
async fn anything_before_the_hello_ends_the_connection() {
    let coordinator = Coordinator::start();
    let join = ClientFrame::Join { round: Round(0) }.to_json();
    for first in [join.as_str(), "not json", "{\"type\":\"hello\"}", ""] {
        let mut socket = coordinator.socket().await;
        socket.challenge().await;
        socket.send(first).await;
        let (frame, _) = socket.denied().await;
        assert_eq!(denial(frame), ErrorCode::Malformed, "{first:?}");
    }
    let counted = coordinator.metric("covey_frames_rejected_total{code=\"malformed\"}");
    assert_eq!(counted.await, 4.0);
}

#[tokio::test]
async fn frames_that_mean_nothing_are_answered_counted_and_change_nothing() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    let socket = &mut volunteer.socket;
    socket.send("{\"type\":\"join\"").await;
    assert_eq!(error(socket).await, ErrorCode::Malformed);
    socket.send("{\"type\":\"join\",\"round\":0,\"x\":1}").await;
    assert_eq!(error(socket).await, ErrorCode::Malformed);
    socket
        .stream
        .send(Message::binary(vec![1, 2, 3]))
        .await
        .expect("sent");
    assert_eq!(error(socket).await, ErrorCode::Malformed);
    socket.send(" ".repeat(MAX_CLIENT_FRAME + 1)).await;
    assert_eq!(error(socket).await, ErrorCode::TooLarge);
    socket
        .send(
            "{\"type\":\"progress\",\"round\":0,\"step\":1,\"loss\":1e99,\"tokens_per_second\":1}",
        )
        .await;
    assert_eq!(error(socket).await, ErrorCode::Malformed);
    volunteer.join(7).await;
    assert_eq!(error(&mut volunteer.socket).await, ErrorCode::FutureRound);
    // Still welcome.
    volunteer.join(0).await;
    let (_, remaining) = volunteer.opened(0).await;
    let remaining = match remaining {
        Some(ms) => ms,
        None => volunteer.opened(0).await.1.expect("the window runs"),
    };
    assert!(remaining > 0);
    for (code, count) in [
        ("malformed", 4.0),
        ("too_large", 1.0),
        ("future_round", 1.0),
    ] {
        let name = format!("covey_frames_rejected_total{{code=\"{code}\"}}");
        assert_eq!(coordinator.metric(&name).await, count, "{code}");
    }
}

#[tokio::test]
async fn whoever_keeps_sending_nonsense_is_sent_away() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    for _ in 0..8 {
        volunteer.socket.send("nonsense").await;
    }
    let (frame, _) = volunteer.socket.denied().await;
    assert_eq!(denial(frame), ErrorCode::Malformed);
}

#[tokio::test]
async fn a_frame_over_every_limit_ends_the_connection() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    volunteer.socket.send("x".repeat(MAX_FRAME + 1)).await;
    let (frame, close) = volunteer.socket.denied().await;
    assert_eq!(denial(frame), ErrorCode::TooLarge);
    assert_eq!(close, Some(CloseCode::Size));
    let counted = coordinator.metric("covey_frames_rejected_total{code=\"too_large\"}");
    assert_eq!(counted.await, 1.0);
}

#[tokio::test]
async fn a_second_hello_ends_the_connection() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    let again = hello(&volunteer.identity, &Hash::of(b"old"));
    volunteer.socket.frame(&again).await;
    let (frame, _) = volunteer.socket.denied().await;
    assert_eq!(denial(frame), ErrorCode::Malformed);
}

#[tokio::test]
async fn a_flood_of_frames_is_cut_off() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nframes_per_second = 1\nframe_burst = 5",
        ..Extra::default()
    });
    let mut volunteer = coordinator.volunteer(1).await;
    let frame = Message::text(ClientFrame::Leave.to_json());
    for _ in 0..50 {
        // The connection may end while we still write.
        if volunteer.socket.stream.send(frame.clone()).await.is_err() {
            break;
        }
    }
    let (frame, _) = volunteer.socket.denied().await;
    assert_eq!(denial(frame), ErrorCode::Busy);
}

#[tokio::test]
async fn a_newer_session_of_an_identity_closes_the_older() {
    let coordinator = Coordinator::start();
    let mut older = coordinator.volunteer(1).await;
    let mut newer = coordinator.volunteer(1).await;
    let (frame, _) = older.socket.denied().await;
    assert_eq!(denial(frame), ErrorCode::Replaced);
    newer.opened(0).await;
    newer.join(0).await;
    assert!(newer.opened(0).await.1.is_some(), "the newer one goes on");
    assert_eq!(coordinator.metric("covey_volunteers").await, 1.0);
}

#[tokio::test]
async fn pages_of_strangers_may_not_open_a_socket() {
    let coordinator = Coordinator::start();
    let connect = async |origin: &str| {
        let url = format!("ws://{}/v1/socket", coordinator.address);
        let mut request = url.into_client_request().expect("a request");
        let origin = HeaderValue::from_str(origin).expect("a value");
        request.headers_mut().insert("origin", origin);
        connect_async(request).await.map(|_| ())
    };
    assert!(connect("http://localhost:3000").await.is_ok());
    let own = format!("http://{}", coordinator.address);
    assert!(connect(&own).await.is_ok());
    let refused = connect("https://evil.example").await.expect_err("refused");
    assert!(refused.to_string().contains("403"), "{refused}");
}

#[tokio::test]
async fn there_is_a_limit_to_open_sockets() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nconnections = 2",
        ..Extra::default()
    });
    let _first = coordinator.volunteer(1).await;
    let _second = coordinator.volunteer(2).await;
    let url = format!("ws://{}/v1/socket", coordinator.address);
    let refused = connect_async(url).await.expect_err("refused");
    assert!(refused.to_string().contains("503"), "{refused}");
}
