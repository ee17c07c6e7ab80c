//! A server between a follower and a coordinator that alters what it passes on.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};

/// Given a path with its query and the true answer, what is said instead; `None` passes it on.
pub type Tamper = Arc<dyn Fn(&str, &[u8]) -> Option<Said> + Send + Sync>;

/// What is said instead.
pub enum Said {
    Bytes(Vec<u8>),
    NotFound,
    /// Zeros without end.
    Endless,
}

#[derive(Clone)]
struct Upstream {
    url: String,
    client: reqwest::Client,
    tamper: Tamper,
}

/// Starts one; gives its address.
pub async fn start(
    url: String,
    tamper: impl Fn(&str, &[u8]) -> Option<Said> + Send + Sync + 'static,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let upstream = Upstream {
        url,
        client: reqwest::Client::new(),
        tamper: Arc::new(tamper),
    };
    let router = Router::new().fallback(pass).with_state(upstream);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn pass(State(upstream): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().expect("a path").to_string();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let answer = upstream
        .client
        .request(parts.method, format!("{}{path}", upstream.url))
        .body(body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let bytes = answer.bytes().await.expect("bytes");
    let respond = |status: u16, body| {
        let response = Response::builder().status(status).body(body);
        response.expect("a response")
    };
    match (upstream.tamper)(&path, &bytes) {
        None => respond(status.as_u16(), Body::from(bytes)),
        Some(Said::Bytes(bytes)) => respond(200, Body::from(bytes)),
        Some(Said::NotFound) => respond(404, Body::empty()),
        Some(Said::Endless) => {
            let zeros = futures_util::stream::repeat_with(|| {
                Ok::<_, std::convert::Infallible>(vec![b' '; 1 << 16])
            });
            respond(200, Body::from_stream(zeros))
        }
    }
}
