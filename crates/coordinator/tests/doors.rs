//! HTTP: blobs, exports, operator pages, static files, and the limits around them.

mod common;

use common::{Coordinator, Extra};
use covey_protocol::{Hash, http::ErrorBody};
use covey_training::checkpoint;
use reqwest::{Client, Method, StatusCode, header};

#[tokio::test]
async fn blobs_are_immutable_cacheable_and_come_in_ranges() {
    let coordinator = Coordinator::start();
    let run = coordinator.run().await;
    let path = format!("/v1/blobs/{}", run.checkpoint.theta);
    let whole = coordinator.get(&path).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let headers = whole.headers().clone();
    assert_eq!(
        headers[header::CONTENT_LENGTH],
        run.checkpoint.len.to_string()
    );
    assert!(
        headers[header::CACHE_CONTROL]
            .to_str()
            .expect("text")
            .contains("immutable")
    );
    assert_eq!(
        headers[header::ETAG],
        format!("\"{}\"", run.checkpoint.theta)
    );
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let whole = whole.bytes().await.expect("bytes");
    assert_eq!(Hash::of(&whole), run.checkpoint.theta);

    let client = Client::new();
    let ask = |name: header::HeaderName, value: String| {
        client
            .get(coordinator.url(&path))
            .header(name, value)
            .send()
    };
    let part = ask(header::RANGE, "bytes=100-299".into())
        .await
        .expect("an answer");
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let expected = format!("bytes 100-299/{}", whole.len());
    assert_eq!(part.headers()[header::CONTENT_RANGE], expected);
    assert_eq!(part.bytes().await.expect("bytes"), whole[100..300]);
    let tail = ask(header::RANGE, "bytes=-5".into())
        .await
        .expect("an answer");
    assert_eq!(tail.bytes().await.expect("bytes"), whole[whole.len() - 5..]);
    let beyond = ask(header::RANGE, format!("bytes={}-", whole.len()))
        .await
        .expect("an answer");
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let known = ask(
        header::IF_NONE_MATCH,
        format!("\"{}\"", run.checkpoint.theta),
    );
    assert_eq!(
        known.await.expect("an answer").status(),
        StatusCode::NOT_MODIFIED
    );
    let head = client
        .head(coordinator.url(&path))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        head.headers()[header::CONTENT_LENGTH],
        run.checkpoint.len.to_string()
    );
    assert!(head.bytes().await.expect("nothing").is_empty());
}

#[tokio::test]
async fn the_corpus_is_served_beside_the_runs_own_blobs() {
    let coordinator = Coordinator::start();
    let run = coordinator.run().await;
    let manifest = coordinator.blob(&run.spec.corpus).await;
    let manifest = covey_protocol::corpus::Manifest::from_json(&manifest).expect("a manifest");
    coordinator.blob(&manifest.vocabulary).await;
    for shard in manifest.train.iter().chain(&manifest.held_out) {
        assert_eq!(
            coordinator.blob(&shard.hash).await.len(),
            shard.tokens as usize * 2
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_protocols_words() {
    let coordinator = Coordinator::start();
    for (path, status, code) in [
        (
            format!("/v1/blobs/{}", Hash::of(b"nothing")),
            404,
            "not_found",
        ),
        ("/v1/blobs/../../coordinator.key".to_owned(), 404, ""),
        (
            "/v1/blobs/..%2Fcoordinator.key".to_owned(),
            400,
            "malformed",
        ),
        ("/v1/blobs/XYZ".to_owned(), 400, "malformed"),
        ("/v1/records?from=first".to_owned(), 400, "malformed"),
        ("/v1/records?from=-1".to_owned(), 400, "malformed"),
    ] {
        let answer = coordinator.get(&path).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        if !code.is_empty() {
            let body: ErrorBody = answer.json().await.expect("an error body");
            assert_eq!(
                serde_json::to_value(body.code).expect("text"),
                code,
                "{path}"
            );
        }
    }
    let posted = Client::new()
        .post(coordinator.url("/v1/run"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn pages_of_other_origins_may_read_and_post() {
    let coordinator = Coordinator::start();
    let preflight = Client::new()
        .request(Method::OPTIONS, coordinator.url("/v1/packets"))
        .header(header::ORIGIN, "https://page.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type")
        .send()
        .await
        .expect("an answer");
    assert!(preflight.status().is_success());
    let headers = preflight.headers();
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let methods = headers[header::ACCESS_CONTROL_ALLOW_METHODS]
        .to_str()
        .expect("text");
    assert!(methods.contains("POST"));
}

#[tokio::test]
async fn the_weights_can_be_taken_home() {
    let coordinator = Coordinator::start();
    let run = coordinator.run().await;
    let answer = coordinator.get("/v1/model.safetensors").await;
    let name = answer.headers()[header::CONTENT_DISPOSITION]
        .to_str()
        .expect("text");
    assert!(name.contains(".safetensors"), "{name}");
    let file = answer.bytes().await.expect("bytes");
    let theta = checkpoint::from_safetensors(&run.spec.model, &file).expect("weights");
    assert_eq!(Hash::of_weights(&theta), run.base);
}

#[tokio::test]
async fn the_operator_sees_health_numbers_and_a_page() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    volunteer.join(0).await;
    volunteer.opened(0).await;
    let health = coordinator.get("/healthz").await;
    assert_eq!(health.status(), StatusCode::OK);
    let metrics = coordinator.text("/metrics").await;
    for name in [
        "covey_packets_accepted_total",
        "covey_connections",
        "covey_volunteers",
        "covey_round",
        "covey_round_duration_seconds_count",
        "covey_merge_duration_seconds_count",
        "covey_held_out_loss",
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
    let status = coordinator.get("/status").await;
    let policy = status.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(policy.contains("default-src 'none'"));
    let page = status.text().await.expect("text");
    for words in ["test run", "Volunteers", "GB free", "http-equiv=refresh"] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let style = coordinator.get("/status.css").await;
    let kind = style.headers()[header::CONTENT_TYPE]
        .to_str()
        .expect("text");
    assert!(kind.starts_with("text/css"));
}

#[tokio::test]
async fn operator_pages_can_have_an_address_of_their_own() {
    let coordinator = Coordinator::start_with(&Extra {
        top: "admin_listen = \"127.0.0.1:0\"",
        ..Extra::default()
    });
    assert_eq!(
        coordinator.get("/metrics").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(coordinator.get("/v1/run").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_pages_files_are_served_compressed_typed_and_locked_down() {
    let coordinator = Coordinator::start();
    let index = coordinator.get("/").await;
    assert_eq!(index.status(), StatusCode::OK);
    let headers = index.headers();
    assert!(
        headers[header::CONTENT_TYPE]
            .to_str()
            .expect("text")
            .starts_with("text/html")
    );
    let policy = headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval'"));
    assert!(!policy.contains("unsafe-inline"));
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");

    let client = Client::new();
    let wasm = |encoding: &'static str| {
        let url = coordinator.url("/covey_bg.wasm");
        client
            .get(url)
            .header(header::ACCEPT_ENCODING, encoding)
            .send()
    };
    let compressed = wasm("gzip, br").await.expect("an answer");
    assert_eq!(compressed.headers()[header::CONTENT_ENCODING], "br");
    assert_eq!(
        compressed.headers()[header::CONTENT_TYPE],
        "application/wasm"
    );
    assert_eq!(compressed.bytes().await.expect("bytes"), "compressed");
    let plain = wasm("identity").await.expect("an answer");
    assert_eq!(plain.headers()[header::CONTENT_TYPE], "application/wasm");
    assert_eq!(plain.bytes().await.expect("bytes"), "\0asm plain");

    for path in [
        "/missing.js",
        "/..%2fdata%2fcoordinator.key",
        "/%2e%2e/data/run.json",
    ] {
        assert_eq!(
            coordinator.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_to_wait() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nrequests_per_second = 1\nrequest_burst = 5\nuploads_per_second = 1\nupload_burst = 2",
        ..Extra::default()
    });
    let codes = [
        coordinator.upload(vec![1]).await,
        coordinator.upload(vec![2]).await,
        coordinator.upload(vec![3]).await,
    ]
    .map(|answer| answer.expect_err("refused").0);
    assert_eq!(codes, [400, 400, 429]);
    let mut refused = None;
    for _ in 0..10 {
        let answer = coordinator.get("/v1/run").await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = answer.json::<ErrorBody>().await.ok();
            break;
        }
    }
    assert!(refused.expect("limited").message.contains("wait"));
}
