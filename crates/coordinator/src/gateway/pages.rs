//! The page's files, and the headers that keep a browser from running anything else.
//!
//! Everything may be framed by our own pages only, but for one file: `embed.html`, which the sites that
//! the operator lists may show, and a partner's frame that partner's sites alone. What a reader would get wrong: the loader and the module are readable
//! from any origin, because a page elsewhere includes them with an integrity hash, and a browser checks
//! that only on an answer it may read. Nothing in them is secret.

use std::{collections::HashMap, path::Path, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use super::fixed;
use crate::config::{Config, Partner, is_origin};

/// Only our own scripts and styles; connections anywhere, since a run may have several coordinators.
/// Who may frame the page follows.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                      img-src 'self' data:; worker-src 'self'; \
                      connect-src 'self' ws: wss: http: https:; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// The one page that other sites may frame, at any version.
const FRAME: &str = "/embed.html";

/// Longest life of a file that never changes, because its version is in its address.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Serves a folder. A file beside its Brotli-compressed form (`name.br`) is sent compressed to whoever
/// accepts that. Files are revalidated on each use, so that page and module never disagree after an
/// update.
pub fn files(folder: &Path, config: &Config) -> Router {
    let frames = Arc::new(Frames::new(config));
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, fixed(value))
    };
    Router::new()
        .fallback_service(ServeDir::new(folder).precompressed_br())
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::CACHE_CONTROL, "no-cache"))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let frames = Arc::clone(&frames);
            async move {
                let path = request.uri().path().to_owned();
                let frame = frames.policy(request.uri().query()).clone();
                let mut response = next.run(request).await;
                by_path(&path, &mut response, frame);
                response
            }
        }))
}

/// Headers that differ from file to file.
fn by_path(path: &str, response: &mut Response, frame: HeaderValue) {
    let headers = response.headers_mut();
    let versioned = version(path);
    let file = versioned.map_or(path, |(_, file)| file);
    if file == FRAME {
        headers.insert(header::CONTENT_SECURITY_POLICY, frame);
    }
    if file == "/embed.js" || file.starts_with("/module/") {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
    }
    // Who may show the frame changes with the operator's settings, so it is asked for each time.
    if versioned.is_some() && file != FRAME && response.status().is_success() {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, fixed(IMMUTABLE));
    }
}

/// `/v1.2.3/embed.js` is `("1.2.3", "/embed.js")`; the API's `/v1/…` is no version of a file.
fn version(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let slash = rest.find('/')?;
    let (version, file) = rest.split_at(slash);
    let numbers = version.split('.').filter(|part| !part.is_empty());
    let plain = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (plain && numbers.count() == 3).then_some((version, file))
}

/// Who may show the embedding frame: a partner's own sites where the address names a partner, and the
/// listed ones otherwise. Nobody is credited in a frame whose address names nobody (`www/embed/frame.js`),
/// so a site cannot earn another's credit.
struct Frames {
    anyone: HeaderValue,
    partners: HashMap<String, HeaderValue>,
}

impl Frames {
    fn new(config: &Config) -> Self {
        let of = |partner: &Partner| (partner.id.to_string(), frame_policy(&partner.origins));
        Self {
            anyone: frame_policy(&config.embed_origins),
            partners: config.partners.iter().map(of).collect(),
        }
    }

    fn policy(&self, query: Option<&str>) -> &HeaderValue {
        let named = query.into_iter().flat_map(|query| query.split('&'));
        let mut named = named.filter_map(|pair| pair.strip_prefix("partner="));
        let known = named.next().and_then(|id| self.partners.get(id));
        known.unwrap_or(&self.anyone)
    }
}

/// The policy of the embedding frame. An entry that could say more than an origin is left out.
fn frame_policy(embedders: &[String]) -> HeaderValue {
    let mut policy = POLICY.to_owned();
    for origin in embedders {
        if origin == "*" || is_origin(origin.trim_end_matches('/')) {
            policy.push(' ');
            policy.push_str(origin);
        } else {
            tracing::warn!(
                origin,
                "embed_origins: not an origin such as https://blog.example; left out"
            );
        }
    }
    HeaderValue::from_str(&policy).unwrap_or(fixed(POLICY))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn only_origins_get_into_the_frames_policy() {
        let listed = [
            "https://blog.example",
            "https://x.example; script-src *",
            "data:",
            "http://[::1]:9",
        ]
        .map(String::from);
        let policy = frame_policy(&listed);
        let policy = policy.to_str().expect("text");
        assert!(policy.ends_with("frame-ancestors 'self' https://blog.example http://[::1]:9"));
        assert!(frame_policy(&[]) == fixed(POLICY));
    }

    #[test]
    fn a_file_below_a_version_is_told_from_the_api() {
        assert_eq!(version("/v0.1.0/embed.js"), Some(("0.1.0", "/embed.js")));
        for path in ["/v1/run", "/v1.2/x", "/vx.y.z/x", "/embed.js", "/v0.1.0"] {
            assert_eq!(version(path), None, "{path}");
        }
    }

    #[tokio::test]
    async fn the_frame_may_be_shown_by_listed_sites_and_nothing_else_may() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("v0.1.0")).expect("a folder");
        for file in [
            "index.html",
            "wallet.html",
            "embed.html",
            "embed.js",
            "v0.1.0/embed.js",
        ] {
            std::fs::write(folder.path().join(file), "x").expect("written");
        }
        let partner = |id: &str, origins: &[&str]| {
            serde_json::from_value(serde_json::json!({
                "id": id, "name": id, "url": "https://news.example", "origins": origins,
            }))
            .expect("a partner")
        };
        let config = Config {
            embed_origins: vec!["https://blog.example".to_owned()],
            partners: vec![
                partner("news", &["https://news.example", "https://m.news.example"]),
                partner("nowhere", &[]),
            ],
            ..Config::default()
        };
        let router = files(folder.path(), &config);
        let header = async |path: &str, name: HeaderName| {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("an answer");
            let value = response.headers().get(name);
            value.map_or(String::new(), |value| {
                value.to_str().expect("text").to_owned()
            })
        };
        let policy = header::CONTENT_SECURITY_POLICY;
        assert!(
            header("/embed.html", policy.clone())
                .await
                .ends_with("'self' https://blog.example")
        );
        for (query, ancestors) in [
            (
                "partner=news",
                "'self' https://news.example https://m.news.example",
            ),
            ("x=1&partner=news", "https://m.news.example"),
            // The first one counts, here as in the frame.
            ("partner=nowhere&partner=news", "frame-ancestors 'self'"),
            ("partner=nobody", "'self' https://blog.example"),
            ("partner=", "'self' https://blog.example"),
        ] {
            let path = format!("/embed.html?{query}");
            let said = header(&path, policy.clone()).await;
            assert!(said.ends_with(ancestors), "{query}: {said}");
        }
        for page in [
            "/",
            "/index.html",
            "/wallet.html",
            "/wallet.html?partner=news",
        ] {
            assert!(
                header(page, policy.clone())
                    .await
                    .ends_with("frame-ancestors 'self'"),
                "{page}"
            );
        }
        let open = header::ACCESS_CONTROL_ALLOW_ORIGIN;
        assert_eq!(header("/embed.js", open.clone()).await, "*");
        assert_eq!(header("/v0.1.0/embed.js", open.clone()).await, "*");
        assert_eq!(header("/wallet.html", open).await, "");
        assert_eq!(
            header("/v0.1.0/embed.js", header::CACHE_CONTROL).await,
            IMMUTABLE
        );
        assert_eq!(header("/embed.js", header::CACHE_CONTROL).await, "no-cache");
        assert_eq!(
            header("/v0.1.0/none.js", header::CACHE_CONTROL).await,
            "no-cache"
        );
    }
}
