//! Accepting connections, with the limits that a public port needs and a framework's default does not
//! have: a cap on open connections, in all and of one address; deadlines for a request's head and for
//! every piece of an answer (slow senders and readers would otherwise hold a connection for ever); small
//! buffers; and a graceful end that waits for answers under way.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    CoordinatorError,
    gateway::limits::{Share, Shares, customer},
    metrics::Metrics,
    patient::Patient,
    shutdown::{Stop, requested},
};

/// A request's head must arrive within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Memory for a request's head and for what waits to be written. Longer heads are refused.
const BUFFER: usize = 32 * 1024;
/// Time in which some of an answer must be taken.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// What an address is told that has its share of connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// Answers under way at the end get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the operating system refused a connection, which it does when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds an address such as `127.0.0.1:8080` or `localhost:0`.
///
/// # Errors
/// When the address cannot be used.
pub async fn bind(address: &str) -> Result<TcpListener, CoordinatorError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| CoordinatorError::Listen {
            address: address.to_owned(),
            source,
        })
}

/// How many connections may be open at once.
pub struct Connections {
    pub all: usize,
    /// Of one address; `None` where every connection comes from the same proxy.
    pub per_address: Option<usize>,
}

/// Serves a router until it is time to stop, then lets answers under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Connections,
    metrics: Arc<Metrics>,
    stop: Stop,
) {
    let shares = connections.per_address.map(Shares::new);
    let connections = connections.all.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(connections));
    loop {
        // Waiting for a place leaves newcomers in the system's queue, which is short.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = requested(stop.clone()) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = requested(stop.clone()) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let share = match &shares {
                    None => None,
                    Some(shares) => match shares.enter(customer(peer.ip())) {
                        Some(share) => Some(share),
                        None => {
                            metrics.limited.inc();
                            // A courtesy: it ends either way.
                            let _ = stream.try_write(TOO_MANY);
                            continue;
                        }
                    },
                };
                let connection = Connection {
                    router: router.clone(),
                    metrics: Arc::clone(&metrics),
                    stop: stop.clone(),
                    _place: place,
                    _share: share,
                };
                tokio::spawn(connection.serve(stream, peer));
            }
            Err(error) => {
                tracing::warn!(%error, "connection refused by the system");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    if timeout(DRAIN_TIMEOUT, places.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!("connections still open at the end");
    }
}

struct Connection {
    router: Router,
    metrics: Arc<Metrics>,
    stop: Stop,
    _place: OwnedSemaphorePermit,
    _share: Option<Share>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        self.metrics.connections.inc();
        // Control frames are small and must not wait for more. Not having it only costs time.
        let _ = stream.set_nodelay(true);
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(answer(router, request, peer).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .max_buf_size(BUFFER)
            .header_read_timeout(HEAD_TIMEOUT);
        let connection = http
            .serve_connection(TokioIo::new(Patient::new(stream, STALL_TIMEOUT)), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = requested(self.stop.clone()) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "connection ended");
        }
        self.metrics.connections.dec();
    }
}

async fn answer(router: Router, request: hyper::Request<Incoming>, peer: SocketAddr) -> Response {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
