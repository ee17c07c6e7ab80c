//! HTTP: blobs, exports, operator pages, static files, and the limits around them.

use std::{fs, path::Path, process::Command};

use crate::common::{Coordinator, Extra};
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

/// What only the operator may see.
const OPERATORS: [&str; 3] = ["/metrics", "/status", "/status.css"];

#[tokio::test]
async fn the_operator_sees_health_numbers_and_a_page() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    volunteer.join(0).await;
    volunteer.opened(0).await;
    let metrics = coordinator.operator("/metrics").await;
    let metrics = metrics.text().await.expect("text");
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
    let status = coordinator.operator("/status").await;
    let headers = status.headers();
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str();
    assert!(policy.expect("text").contains("default-src 'none'"));
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let page = status.text().await.expect("text");
    for words in ["test run", "Volunteers", "GB free", "http-equiv=refresh"] {
        assert!(page.contains(words), "{words} in {page}");
    }
    let style = coordinator.operator("/status.css").await;
    let kind = style.headers()[header::CONTENT_TYPE].to_str();
    assert!(kind.expect("text").starts_with("text/css"));
}

#[tokio::test]
async fn strangers_learn_on_both_listeners_whether_it_is_healthy_and_nothing_else() {
    let coordinator = Coordinator::start();
    let operator = |path: &str| format!("http://{}{path}", coordinator.operator);
    for url in [coordinator.url("/healthz"), operator("/healthz")] {
        let answer = reqwest::get(url).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.text().await.expect("text"), "ok\n");
    }
    let client = Client::new();
    for path in OPERATORS {
        let public = client.get(coordinator.url(path));
        let public = public.bearer_auth(coordinator.token()).send().await;
        let public = public.expect("an answer").status();
        assert_eq!(
            public,
            StatusCode::NOT_FOUND,
            "{path}: not even with the token"
        );
        for request in [
            client.get(operator(path)),
            client.get(operator(path)).bearer_auth("wrong"),
            client
                .get(operator(path))
                .basic_auth("operator", Some("wrong")),
        ] {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
            let ask = answer.headers()[header::WWW_AUTHENTICATE].to_str();
            assert!(
                ask.expect("text").starts_with("Basic realm="),
                "a browser asks"
            );
            let body = answer.text().await.expect("text");
            assert!(
                body.contains("admin.token") && !body.contains("covey_"),
                "{body}"
            );
        }
        let basic = client.get(operator(path));
        let basic = basic.basic_auth("anyone", Some(coordinator.token()));
        let status = basic.send().await.expect("an answer").status();
        assert_eq!(status, StatusCode::OK, "{path}");
    }
    assert_eq!(coordinator.operator("/nothing").await.status(), 404);
    let unknown = reqwest::get(operator("/nothing")).await.expect("an answer");
    assert_eq!(unknown.status(), 401, "not even what there is");
}

#[tokio::test]
async fn a_browsers_password_moves_no_clock() {
    let coordinator = Coordinator::start();
    let path = "/ledger/advance?blocks=30";
    let post = |url: String| Client::new().post(url);
    let operator = format!("http://{}{path}", coordinator.operator);
    let public = post(coordinator.url(path)).bearer_auth(coordinator.token());
    let basic = post(operator.clone()).basic_auth("operator", Some(coordinator.token()));
    let bearer = post(operator).bearer_auth(coordinator.token());
    for (request, wanted) in [
        (public, [404, 405]),
        (basic, [403, 403]),
        (bearer, [200, 200]),
    ] {
        let status = request.send().await.expect("an answer").status().as_u16();
        assert!(wanted.contains(&status), "{status} for {wanted:?}");
    }
}

#[tokio::test]
async fn without_an_address_for_it_there_is_no_operators_interface() {
    let mut coordinator = Coordinator::prepare(&Extra::default());
    let mut command = Command::new(env!("CARGO_BIN_EXE_covey-coordinator"));
    command.env_clear().args(coordinator.arguments());
    coordinator.launch(command);
    assert_eq!(coordinator.get("/healthz").await.status(), StatusCode::OK);
    for path in OPERATORS {
        assert_eq!(coordinator.get(path).await.status(), StatusCode::NOT_FOUND);
    }
}

/// Where a page's markup could run or style something that is not a file of ours.
fn inline(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        // To the tag's end, which may not be inside an attribute's quotes.
        let mut quote = None;
        let end = rest.find(|c| match (quote, c) {
            (Some(open), c) => {
                if c == open {
                    quote = None;
                }
                false
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                false
            }
            (None, c) => c == '>',
        });
        let (tag, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        let tag = tag.to_ascii_lowercase();
        let name = tag.split_whitespace().next().unwrap_or_default();
        let attributes = || tag.split_whitespace().skip(1);
        let unsourced = name == "script" && !tag.contains(" src=");
        let handler = |word: &str| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=') && (name == "style" || name.starts_with("on"))
        };
        let elsewhere = |word: &str| {
            ["src=", "href=", "action="].iter().any(|attribute| {
                word.strip_prefix(attribute).is_some_and(|value| {
                    let value = value.trim_start_matches(['"', '\'']);
                    let link = name == "a" && value.starts_with("https://");
                    !link && (value.contains("//") || value.contains("javascript:"))
                })
            })
        };
        if name == "style" || unsourced || attributes().any(|word| handler(word) || elsewhere(word))
        {
            found.push(tag);
        }
    }
    found
}

#[test]
fn what_a_policy_forbids_is_found_in_markup() {
    for bad in [
        "<script>1</script>",
        "<style>a{}</style>",
        "<p style=\"color:red\">",
        "<p title='>' onclick=go()>",
        "<a href=\"javascript:go()\">",
        "<script src=\"https://cdn.example/x.js\"></script>",
        "<img src=//cdn.example/x.png>",
    ] {
        assert_eq!(inline(bad).len(), 1, "{bad}");
    }
    let good = "<!-- <script> --><script type=module src=\"main.js\"></script><p class=style>\
                <a href=\"https://example.org\">x</a>";
    assert!(inline(good).is_empty(), "{:?}", inline(good));
}

fn pages(folder: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            pages(&entry.path(), &name, found);
        } else if name.ends_with(".html") {
            found.push(name);
        }
    }
}

#[tokio::test]
async fn every_page_is_locked_down_and_keeps_to_its_policy() {
    let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../www");
    let mut coordinator = Coordinator::prepare(&Extra::default());
    let mut command = coordinator.command();
    command.arg("--www").arg(&www);
    coordinator.launch(command);
    let mut all = Vec::new();
    pages(&www, "", &mut all);
    assert!(all.len() >= 4, "{all:?}");
    for path in all {
        let answer = coordinator.get(&path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let headers = answer.headers().clone();
        let header = |name: header::HeaderName| headers[name].to_str().expect("text").to_owned();
        let policy = header(header::CONTENT_SECURITY_POLICY);
        for part in [
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "style-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {part} in {policy}");
        }
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"),
            "{path}"
        );
        assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(header(header::REFERRER_POLICY), "no-referrer", "{path}");
        let html = answer.text().await.expect("text");
        assert_eq!(inline(&html), Vec::<String>::new(), "{path}");
        // The page says it itself, too, for whoever serves it with another server.
        assert!(
            html.contains("http-equiv=\"Content-Security-Policy\""),
            "{path}"
        );
    }
}
