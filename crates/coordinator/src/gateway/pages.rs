//! The page's files, and the headers that keep a browser from running anything else.

use std::path::Path;

use axum::{
    Router,
    http::{HeaderName, header},
};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use super::fixed;

/// Only our own scripts and styles; connections anywhere, since a run may have several coordinators.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                      img-src 'self' data:; worker-src 'self'; \
                      connect-src 'self' ws: wss: http: https:; object-src 'none'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Serves a folder. A file beside its Brotli-compressed form (`name.br`) is sent compressed to whoever
/// accepts that. Files are revalidated on each use, so that page and module never disagree after an
/// update.
pub fn files(folder: &Path) -> Router {
    let header = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, fixed(value))
    };
    Router::new()
        .fallback_service(ServeDir::new(folder).precompressed_br())
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::CACHE_CONTROL, "no-cache"))
}
