//! Peers that stall: half-open sockets by the thousand, requests that never end, readers that never read.
//! Memory stays bounded, they are cut off, and everybody else is served.

use std::{fs, net::Ipv4Addr, time::Duration};

use covey_protocol::{
    Hash, Identity, Round,
    http::ErrorCode,
    socket::{ClientFrame, ServerFrame},
};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{MaybeTlsStream, client_async, tungstenite::Message};

use super::{
    common::{Coordinator, Extra, hello, packet},
    until,
};

const HALF_OPEN: usize = 2_000;
/// Memory for one half-open connection: its task, its buffer and a little of the allocator's.
const MEMORY_EACH: u64 = 32 * 1024;

/// This process and the coordinator, which inherits it, may have as many files open as the system allows.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("raised");
    let enough = limit.maximum.is_none_or(|most| most > 2 * HALF_OPEN as u64);
    assert!(enough, "this test needs {} open files", 2 * HALF_OPEN);
}

/// Resident memory of a process, in bytes.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * kilobytes
        .and_then(|text| text.parse::<u64>().ok())
        .expect("a number")
}

/// Somebody who behaves is answered, admitted and given a receipt.
async fn served(coordinator: &Coordinator, secret: u8) {
    coordinator.volunteer(secret).await;
    until("a receipt", async || {
        let run = coordinator.run().await;
        let identity = Identity::from_secret([secret; 32]);
        let sealed = packet(&run.spec, &identity, run.round.0, run.base);
        let answer = coordinator.upload(sealed).await;
        if let Err((_, body)) = &answer {
            // The packet before may just have closed its round.
            assert_eq!(body.code, ErrorCode::StaleRound, "{body:?}");
        }
        answer.ok()
    })
    .await;
}

#[tokio::test]
async fn two_thousand_half_open_sockets_are_cut_and_everyone_else_is_served() {
    raise_file_limit();
    let coordinator = Coordinator::start_with(&Extra {
        rounds: "window_ms = 3600000",
        tables: "[limits]\nconnections_per_address = 4096\nsocket_burst = 4096\nrequest_burst = 8192",
        ..Extra::default()
    });
    served(&coordinator, 1).await;
    let before = memory(coordinator.id());
    let host = &coordinator.address;
    // Silent; in the middle of a head; upgraded, and then no hello.
    let beginnings = [
        String::new(),
        format!("GET /v1/run HTTP/1.1\r\nHost: {host}\r\nX-Slow: "),
        format!(
            "GET /v1/socket HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
    ];
    let mut open = Vec::with_capacity(HALF_OPEN);
    for number in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(host).await.expect("connected");
        let beginning = &beginnings[number % beginnings.len()];
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        open.push(stream);
    }
    let connections = async || coordinator.metric("covey_connections").await;
    served(&coordinator, 2).await;
    let grown = memory(coordinator.id()).saturating_sub(before);
    assert!(
        grown < HALF_OPEN as u64 * MEMORY_EACH,
        "{grown} bytes for {} connections",
        connections().await
    );
    until("every one of them is cut", async || {
        (connections().await < 20.0).then_some(())
    })
    .await;
    // Those that were upgraded were told why.
    let mut told = Vec::new();
    open[2].read_to_end(&mut told).await.expect("closed");
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.contains("101 Switching") && told.contains("No hello within ten seconds."),
        "{told}"
    );
    served(&coordinator, 3).await;
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nconnections = 24\nconnections_per_address = 8",
        ..Extra::default()
    });
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(
            TcpStream::connect(&coordinator.address)
                .await
                .expect("connected"),
        );
    }
    until("its share is taken", async || {
        (coordinator.metric("covey_connections").await >= 8.0).then_some(())
    })
    .await;
    let mut refused = TcpStream::connect(&coordinator.address)
        .await
        .expect("connected");
    let mut told = String::new();
    refused.read_to_string(&mut told).await.expect("told");
    assert!(told.starts_with("HTTP/1.1 429 "), "{told}");
    let other = Client::builder().local_address(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    let other = other.build().expect("a client");
    let answer = other
        .get(coordinator.url("/v1/run"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    drop(held);
    until("its share is free", async || {
        let answer = reqwest::get(coordinator.url("/v1/run")).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_head_longer_than_its_buffer_is_refused() {
    let coordinator = Coordinator::start();
    let mut stream = TcpStream::connect(&coordinator.address)
        .await
        .expect("connected");
    let long = format!(
        "GET /v1/run HTTP/1.1\r\nHost: x\r\nX-Long: {}",
        "x".repeat(40 * 1024)
    );
    // It may be cut before all of it is sent.
    let _ = stream.write_all(long.as_bytes()).await;
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told).await;
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.is_empty() || told.starts_with("HTTP/1.1 431 "),
        "{told}"
    );
    assert_eq!(coordinator.get("/v1/run").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn slow_uploads_of_one_address_hold_up_nobody_elses() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nuploads_at_once = 6\nuploads_at_once_per_address = 4\nupload_burst = 1000",
        ..Extra::default()
    });
    // Somebody who has not contributed yet keeps the round open.
    let mut awaited = coordinator.volunteer(9).await;
    awaited.join(0).await;
    awaited.opened(0).await;
    let run = &awaited.run;
    let sealed = packet(&run.spec, &Identity::from_secret([1; 32]), 0, run.base);
    let head = format!(
        "POST /v1/packets HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        coordinator.address,
        sealed.len()
    );
    let mut slow = Vec::new();
    until("its share is taken", async || {
        let mut stream = TcpStream::connect(&coordinator.address).await.ok()?;
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&sealed[..100]).await.ok()?;
        slow.push(stream);
        let (status, body) = coordinator.upload(vec![1]).await.expect_err("refused");
        let busy = body.message.contains("Too many uploads at once");
        assert!(!busy || (status, body.code) == (429, ErrorCode::Busy));
        busy.then_some(())
    })
    .await;
    let other = Client::builder().local_address(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    let other = other
        .build()
        .expect("a client")
        .post(coordinator.url("/v1/packets"));
    let sealed_by_other = packet(&run.spec, &Identity::from_secret([2; 32]), 0, run.base);
    let answer = other.body(sealed_by_other).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    // A slow one that ends after all is not lost.
    let mut answers = Vec::new();
    for mut stream in slow {
        // Those that were refused may have been closed.
        let _ = stream.write_all(&sealed[100..]).await;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        answers.push(String::from_utf8(answer).expect("text"));
    }
    assert!(
        answers.iter().any(|answer| answer == "HTTP/1.1 200"),
        "{answers:?}"
    );
    let known = |answer: &String| ["HTTP/1.1 200", "HTTP/1.1 429"].contains(&answer.as_str());
    assert!(answers.iter().all(known), "{answers:?}");
}

#[tokio::test]
async fn a_socket_that_never_reads_is_cut_and_others_are_served() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nframes_per_second = 1000000\nframe_burst = 1000000",
        ..Extra::default()
    });
    let raw = TcpSocket::new_v4().expect("a socket");
    raw.set_recv_buffer_size(4096).expect("set");
    let address = coordinator.address.parse().expect("an address");
    let stream = MaybeTlsStream::Plain(raw.connect(address).await.expect("connected"));
    let url = format!("ws://{}/v1/socket", coordinator.address);
    let (mut stream, _) = client_async(url, stream).await.expect("a socket");
    let Some(Ok(Message::Text(text))) = stream.next().await else {
        panic!("no challenge");
    };
    let Ok(ServerFrame::Challenge { nonce, .. }) = ServerFrame::parse(&text) else {
        panic!("no challenge but {text}");
    };
    let identity = Identity::from_secret([9; 32]);
    let send = |frame: ClientFrame| Message::text(frame.to_json());
    stream
        .send(send(hello(&identity, &nonce)))
        .await
        .expect("sent");
    let before = memory(coordinator.id());
    // Each is answered with a frame, none of which is read; megabytes fit between the two at most.
    let (mut sink, _unread) = stream.split();
    let sending = tokio::spawn(async move {
        let round = Round(5);
        let theta = Hash::of(b"other weights");
        let wrong = send(ClientFrame::Applied { round, theta });
        let join = send(ClientFrame::Join { round });
        for _ in 0..1_000_000 {
            if sink.feed(wrong.clone()).await.is_err() || sink.send(join.clone()).await.is_err() {
                return;
            }
        }
    });
    until("it is cut", async || {
        (coordinator.metric("covey_slow_sockets_total").await >= 1.0).then_some(())
    })
    .await;
    served(&coordinator, 1).await;
    until("it is gone", async || {
        (coordinator.metric("covey_volunteers").await < 1.5).then_some(())
    })
    .await;
    let grown = memory(coordinator.id()).saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    let ended = tokio::time::timeout(Duration::from_secs(60), sending);
    ended
        .await
        .expect("its connection ended")
        .expect("no panic");
}
