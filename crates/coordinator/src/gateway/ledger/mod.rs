//! The ledger's doors. Reading needs nobody's leave and waits for nobody: everything is public, and
//! served from the last durable position. Writing is a signed action or session and nothing else.
//!
//! What a reader would get wrong: nothing served here has to be believed. Lines are hash-chained, the
//! snapshot is vouched for by its entry, and the head is signed.

pub mod act;
pub mod advance;
pub mod feed;
pub mod read;
pub mod socket;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use bytes::Bytes;
use covey_ledger::AccountId;
use covey_protocol::http;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use tokio::sync::{Mutex, Semaphore};

use super::{Gateway, limits::quota};
use crate::ledger::Handle;

/// Actions of one account: a person clicks, and a script may hurry a little.
const ACTIONS_PER_SECOND: u32 = 2;
const ACTION_BURST: u32 = 60;
/// Accounts remembered by their limit before those at full quota are forgotten.
const ACCOUNTS: usize = 10_000;
/// Sockets open at once.
const SOCKETS: usize = 1024;
/// Journal downloads at once.
const DOWNLOADS: usize = 16;

/// What the ledger's handlers share; cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) handle: Handle,
    actions: Arc<DefaultKeyedRateLimiter<AccountId>>,
    sockets: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    /// The last epoch's snapshot, made on demand, by its number of entries.
    snapshot: Arc<Mutex<Option<(u64, Bytes)>>>,
}

impl std::ops::Deref for Ledger {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Ledger {
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self {
            handle,
            actions: Arc::new(RateLimiter::keyed(quota(ACTIONS_PER_SECOND, ACTION_BURST))),
            sockets: Arc::new(Semaphore::new(SOCKETS)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            snapshot: Arc::default(),
        }
    }

    /// Whether an account that signed something may send it now.
    fn allow(&self, account: AccountId) -> bool {
        if self.actions.len() > ACCOUNTS {
            self.actions.retain_recent();
        }
        self.actions.check_key(&account).is_ok()
    }
}

/// Everything with CORS and the addresses' limits.
pub(super) fn api() -> Router<Gateway> {
    Router::new()
        .route(http::LEDGER, get(read::head))
        .route(http::LEDGER_ENTRIES, get(read::entries))
        .route(http::LEDGER_JOURNAL, get(read::journal))
        .route(http::LEDGER_SNAPSHOT, get(read::snapshot))
        .route(http::LEDGER_HISTORY, get(read::history))
        .route(http::LEDGER_NOTICES, get(feed::notices))
        .route(http::LEDGER_ACTIONS, post(act::action))
        .route(http::LEDGER_SESSIONS, post(act::session))
}
