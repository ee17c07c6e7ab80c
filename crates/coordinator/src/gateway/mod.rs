//! The doors: HTTP for everything large, one WebSocket per volunteer for everything small.
//!
//! Nothing here decides anything about a round. A gateway bounds what comes in before it reads it,
//! checks what can be checked without knowing the round, and passes it to the actor.

pub mod admin;
pub mod api;
pub mod blobs;
pub mod error;
pub mod ledger;
pub mod limits;
pub mod operator;
pub mod origin;
pub mod packets;
pub mod pages;
pub mod partners;
pub mod socket;
pub mod validation;
pub mod witnesses;

use std::sync::{Arc, atomic::AtomicU64};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
    routing::{any, get, post},
};
use covey_protocol::http::{self, Mirror};
use tokio::sync::{Mutex, Semaphore};
use tower_http::cors::{Any, CorsLayer};

use self::{
    api::Export,
    ledger::Ledger,
    limits::{RateLimits, Uploads},
    origin::Origins,
    partners::Partners,
};
use crate::{
    actor::Handle,
    config::Config,
    engine::Engine,
    metrics::Metrics,
    storage::{BlobSource, Blobs, Journal},
    validations::Sheets,
    witnesses::Board,
};

/// What every handler may use; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) handle: Handle,
    pub(crate) engine: Engine,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) corpus: Arc<dyn BlobSource>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) config: Arc<Config>,
    pub(crate) ledger: Ledger,
    pub(crate) sheets: Arc<Sheets>,
    pub(crate) witnesses: Arc<Board>,
    /// Present where this is a mirror: everything can be read, and nothing is taken.
    pub(crate) mirror: Option<Arc<Mirror>>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) limits: Arc<RateLimits>,
    pub(crate) partners: Arc<Partners>,
    /// Packets being read and checked at once.
    pub(crate) uploads: Arc<Uploads>,
    /// Control sockets open at once.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) next_session: Arc<AtomicU64>,
    /// The newest export, made on demand.
    pub(crate) export: Arc<Mutex<Option<Export>>>,
}

/// The parts a [`Gateway`] is made of.
pub struct Parts {
    pub handle: Handle,
    pub engine: Engine,
    pub journal: Arc<dyn Journal>,
    pub blobs: Arc<dyn Blobs>,
    pub corpus: Arc<dyn BlobSource>,
    pub metrics: Arc<Metrics>,
    pub config: Arc<Config>,
    pub ledger: crate::ledger::Handle,
    pub sheets: Sheets,
    pub witnesses: Arc<Board>,
    pub mirror: Option<Mirror>,
}

impl Gateway {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            handle,
            engine,
            journal,
            blobs,
            corpus,
            metrics,
            config,
            ledger,
            sheets,
            witnesses,
            mirror,
        } = parts;
        Self {
            partners: Arc::new(Partners::new(&config, ledger.clone())),
            ledger: Ledger::new(ledger),
            sheets: Arc::new(sheets),
            witnesses,
            mirror: mirror.map(Arc::new),
            origins: Arc::new(Origins::new(&config)),
            limits: Arc::new(RateLimits::new(&config)),
            uploads: Arc::new(Uploads::new(&config)),
            sockets: Arc::new(Semaphore::new(places(&config))),
            next_session: Arc::new(AtomicU64::new(0)),
            export: Arc::new(Mutex::new(None)),
            handle,
            engine,
            journal,
            blobs,
            corpus,
            metrics,
            config,
        }
    }

    #[must_use]
    pub fn limits(&self) -> Arc<RateLimits> {
        Arc::clone(&self.limits)
    }

    /// Waits until every control socket has sent what it had to say and is closed.
    pub async fn sockets_closed(&self) {
        let all = u32::try_from(places(&self.config)).unwrap_or(u32::MAX);
        // Never closed, so acquiring cannot fail.
        let _ = self.sockets.acquire_many(all).await;
    }

    /// What volunteers reach: the API, the page's files, and whether all is well.
    pub fn public(&self) -> Router {
        let limited = || middleware::from_fn_with_state(self.clone(), limits::requests);
        let api = Router::new()
            .route(http::RUN, get(api::run))
            .route(http::RECORDS, get(api::records))
            .route(&format!("{}/{{name}}", http::BLOBS), get(blobs::blob))
            .route(http::SCORES, get(api::scores))
            .route(http::MODEL, get(api::model))
            .route(http::PARTNERS, get(partners::list))
            .route(&format!("{}/{{id}}", http::PARTNERS), get(partners::one))
            .route(http::PACKETS, post(packets::submit))
            .route(
                &format!("{}/{{id}}", http::VALIDATORS),
                get(validation::task),
            )
            .route(
                http::VALIDATIONS,
                get(validation::list).post(validation::submit),
            )
            .route(http::WITNESSES, get(witnesses::list).post(witnesses::state))
            .merge(ledger::api())
            .layer(limited())
            .layer(middleware::from_fn_with_state(
                self.clone(),
                witnesses::refuse_writes,
            ))
            // Outermost, so that pages elsewhere can read refusals, too.
            .layer(cors())
            .with_state(self.clone());
        let mut rest = Router::new()
            // Sockets know no CORS: the upgrade checks the page's origin itself.
            .route(http::SOCKET, any(socket::upgrade))
            .route(http::LEDGER_SOCKET, any(ledger::socket::upgrade))
            .route("/healthz", get(operator::health))
            .with_state(self.clone());
        rest = match &self.config.www {
            Some(www) => rest.fallback_service(pages::files(www, &self.config)),
            None => rest.fallback(error::not_found),
        };
        api.merge(rest.layer(limited()))
    }

    /// What the operator reaches on an address of its own: all of it but health with the token only.
    pub fn operator(&self) -> Router {
        let token = middleware::from_fn_with_state(self.clone(), admin::authorised);
        Router::new()
            .route("/metrics", get(operator::metrics))
            .route("/status", get(operator::status))
            .route("/status.css", get(operator::style))
            .route("/ledger/advance", post(ledger::advance::advance))
            .route("/partners/{id}/suspend", post(partners::suspend))
            .route("/partners/{id}/restore", post(partners::restore))
            .fallback(error::not_found)
            .layer(token)
            .route("/healthz", get(operator::health))
            .layer(middleware::map_response(operator::locked_down))
            .with_state(self.clone())
    }
}

/// Most control sockets open at once.
fn places(config: &Config) -> usize {
    config.limits.connections.min(Semaphore::MAX_PERMITS)
}

/// Anyone may read and post from any page: nothing is granted by cookies or by where a request comes
/// from, and packets are signed.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::RANGE, header::IF_NONE_MATCH])
        .expose_headers([
            header::ETAG,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
        ])
        .max_age(std::time::Duration::from_secs(3600))
}

/// A response header that never changes.
pub(crate) const fn fixed(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

pub(crate) const NOSNIFF: (HeaderName, HeaderValue) =
    (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
