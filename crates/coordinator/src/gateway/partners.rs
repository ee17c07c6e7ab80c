//! Partners: whom the work of a tab is credited to, how much one partner's visitors may ask for, what they
//! did so far, and the operator's switch.
//!
//! A tab names its partner in its hello; from then on its packets are credited to it, also for a while
//! after its socket breaks, so that a round that is being trained is not lost to credit. Who is
//! suspended is the ledger's to say (`covey_ledger::partner`): it is public, and a restart forgets
//! nothing. What a reader would get wrong: nobody can prove that a tab came from a site, and credit
//! proves nothing either. A client of somebody's own can claim any partner, and use up that partner's
//! limits; the limits by address stand behind them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
};
use covey_protocol::{
    PartnerId, VolunteerId,
    http::ErrorCode,
    partner::{NoCredit, PartnerView},
    socket::ServerFrame,
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::broadcast;

use super::{Gateway, error::Refusal, fixed, ledger::act::refusal};
use crate::{
    actor::sessions::SessionId,
    config::{self, Config},
    ledger::Handle,
    storage::{PartnerTotals, StorageError, blocking},
};

/// How long a volunteer's packets are credited after its socket broke.
const LINGER: Duration = Duration::from_secs(600);
/// Volunteers remembered before those who left long ago are forgotten.
const REMEMBERED: usize = 16_384;
/// Changes that may wait for one socket; who misses one asks anew.
const CHANGES: usize = 16;

/// The configured partners and who works for them.
pub struct Partners {
    all: BTreeMap<PartnerId, Entry>,
    visitors: Mutex<HashMap<VolunteerId, Visitor>>,
    changes: broadcast::Sender<()>,
    ledger: Handle,
}

struct Entry {
    settings: config::Partner,
    joins: DefaultDirectRateLimiter,
    uploads: DefaultDirectRateLimiter,
}

struct Visitor {
    partner: PartnerId,
    session: SessionId,
    /// Absent while the socket is open.
    left: Option<Instant>,
}

/// Why a visitor cannot connect now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// Too many new ones in a minute.
    Joins,
    /// Too many at once.
    Volunteers,
}

impl Crowded {
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Joins => "Many people start through this site right now; trying again soon.",
            Self::Volunteers => {
                "This site has all the volunteers the operator lets it bring; trying again soon."
            }
        }
    }
}

/// A connected tab that named a partner; dropping it ends the visit.
pub struct Visit {
    partners: Arc<Partners>,
    partner: PartnerId,
    volunteer: VolunteerId,
    session: SessionId,
    changes: broadcast::Receiver<()>,
    told: Option<NoCredit>,
}

impl Partners {
    #[must_use]
    pub fn new(config: &Config, ledger: Handle) -> Self {
        let limiter = |per_minute| {
            // Zeros were refused with the configuration.
            let per_minute = std::num::NonZeroU32::new(per_minute);
            let quota = Quota::per_minute(per_minute.unwrap_or(std::num::NonZeroU32::MIN));
            RateLimiter::direct(quota)
        };
        let entry = |settings: &config::Partner| {
            let entry = Entry {
                joins: limiter(settings.joins_per_minute),
                uploads: limiter(settings.uploads_per_minute),
                settings: settings.clone(),
            };
            (settings.id, entry)
        };
        Self {
            all: config.partners.iter().map(entry).collect(),
            visitors: Mutex::default(),
            changes: broadcast::channel(CHANGES).0,
            ledger,
        }
    }

    fn visitors(&self) -> MutexGuard<'_, HashMap<VolunteerId, Visitor>> {
        // Nothing panics while it is held.
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_suspended(&self, partner: &PartnerId) -> bool {
        let view = self.ledger.view();
        view.position.ledger.state().partners.is_suspended(partner)
    }

    /// Why work for a partner is credited to nobody; nothing when it is credited.
    #[must_use]
    pub fn refused(&self, partner: &PartnerId) -> Option<NoCredit> {
        if !self.all.contains_key(partner) {
            Some(NoCredit::Unknown)
        } else if self.is_suspended(partner) {
            Some(NoCredit::Suspended)
        } else {
            None
        }
    }

    /// A tab that named a partner connects. An unknown partner's tab is a tab without one.
    ///
    /// # Errors
    /// When the partner has brought as many as it may.
    pub fn join(
        self: &Arc<Self>,
        partner: PartnerId,
        volunteer: VolunteerId,
        session: SessionId,
    ) -> Result<Visit, Crowded> {
        if let Some(entry) = self.all.get(&partner) {
            if entry.joins.check().is_err() {
                return Err(Crowded::Joins);
            }
            let mut visitors = self.visitors();
            let here = |(id, visitor): (&VolunteerId, &Visitor)| {
                visitor.left.is_none() && visitor.partner == partner && *id != volunteer
            };
            let count = visitors.iter().filter(|visitor| here(*visitor)).count();
            if count >= entry.settings.volunteers {
                return Err(Crowded::Volunteers);
            }
            if visitors.len() >= REMEMBERED {
                visitors.retain(|_, visitor| visitor.left.is_none_or(|at| at.elapsed() < LINGER));
            }
            if visitors.len() >= REMEMBERED {
                visitors.retain(|_, visitor| visitor.left.is_none());
            }
            let visitor = Visitor {
                partner,
                session,
                left: None,
            };
            visitors.insert(volunteer, visitor);
        } else {
            self.forget(&volunteer);
        }
        Ok(Visit {
            changes: self.changes.subscribe(),
            told: self.refused(&partner),
            partners: Arc::clone(self),
            partner,
            volunteer,
            session,
        })
    }

    /// A tab connects that names nobody: what it did for a partner before is over.
    pub fn forget(&self, volunteer: &VolunteerId) {
        self.visitors().remove(volunteer);
    }

    /// Whom a volunteer's packet is credited to now.
    #[must_use]
    pub fn credited(&self, volunteer: &VolunteerId) -> Option<PartnerId> {
        let visitors = self.visitors();
        let visitor = visitors.get(volunteer)?;
        let recent = visitor.left.is_none_or(|at| at.elapsed() < LINGER);
        let partner = visitor.partner;
        drop(visitors);
        (recent && self.refused(&partner).is_none()).then_some(partner)
    }

    /// Whether a partner's visitors may upload another packet now.
    #[must_use]
    pub fn allow_upload(&self, partner: &PartnerId) -> bool {
        let entry = self.all.get(partner);
        entry.is_none_or(|entry| entry.uploads.check().is_ok())
    }

    /// One line for the operator.
    #[must_use]
    pub fn words(&self) -> String {
        let suspended = self.all.keys().filter(|id| self.is_suspended(id)).count();
        let here = |visitor: &&Visitor| visitor.left.is_none();
        let visitors = self.visitors().values().filter(here).count();
        format!(
            "{}, {suspended} suspended, {visitors} of their visitors connected",
            self.all.len()
        )
    }
}

impl Visit {
    /// What the tab is told.
    #[must_use]
    pub fn credit(&self) -> ServerFrame {
        ServerFrame::Credit {
            partner: self.partner,
            refused: self.told,
        }
    }

    /// Waits until there is something else to tell. Cancelling it loses nothing.
    pub async fn changed(&mut self) {
        loop {
            // A receiver that fell behind has missed nothing but how often; the sender lives as long as
            // the partners do.
            let _ = self.changes.recv().await;
            let refused = self.partners.refused(&self.partner);
            if refused != self.told {
                self.told = refused;
                return;
            }
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut visitors = self.partners.visitors();
        if let Some(visitor) = visitors.get_mut(&self.volunteer)
            && visitor.session == self.session
        {
            visitor.left = Some(Instant::now());
        }
    }
}

/// `GET /v1/partners`
pub async fn list(State(gateway): State<Gateway>) -> Result<impl IntoResponse, Refusal> {
    let partners = views(&gateway, gateway.partners.all.keys().copied().collect()).await?;
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    Ok((cache, Json(covey_protocol::partner::Partners { partners })))
}

/// `GET /v1/partners/{id}`
pub async fn one(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let id = known(&gateway, &id)?;
    let view = views(&gateway, vec![id]).await?.pop();
    let view = view.ok_or_else(Refusal::unavailable)?;
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    Ok((cache, Json(view)))
}

/// `POST /partners/{id}/suspend`, on the operator's listener.
pub async fn suspend(
    gateway: State<Gateway>,
    id: Path<String>,
) -> Result<Json<PartnerView>, Refusal> {
    switch(gateway, id, true).await
}

/// `POST /partners/{id}/restore`, on the operator's listener.
pub async fn restore(
    gateway: State<Gateway>,
    id: Path<String>,
) -> Result<Json<PartnerView>, Refusal> {
    switch(gateway, id, false).await
}

async fn switch(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    suspended: bool,
) -> Result<Json<PartnerView>, Refusal> {
    let id = known(&gateway, &id)?;
    let recorded = gateway.ledger.partnership(id, suspended).await;
    recorded.map_err(|refused| refusal(&refused))?;
    tracing::warn!(partner = %id, suspended, "a partner's standing was changed");
    // Fails when nobody is connected.
    let _ = gateway.partners.changes.send(());
    let view = views(&gateway, vec![id]).await?.pop();
    view.map(Json).ok_or_else(Refusal::unavailable)
}

fn known(gateway: &Gateway, id: &str) -> Result<PartnerId, Refusal> {
    let id = id.parse().ok();
    id.filter(|id| gateway.partners.all.contains_key(id))
        .ok_or_else(|| {
            Refusal::new(
                ErrorCode::NotFound,
                "This operator has no partner of that name.",
            )
        })
}

async fn views(gateway: &Gateway, ids: Vec<PartnerId>) -> Result<Vec<PartnerView>, Refusal> {
    let (journal, partners) = (Arc::clone(&gateway.journal), Arc::clone(&gateway.partners));
    blocking(move || {
        let totals = journal.partners()?;
        let views = ids.iter().filter_map(|id| {
            let settings = &partners.all.get(id)?.settings;
            let totals = totals.get(id).copied().unwrap_or_default();
            Some(partners.view(settings, totals))
        });
        views.collect::<Result<_, StorageError>>()
    })
    .await
    .map_err(|error| Refusal::storage(&error))
}

impl Partners {
    fn view(
        &self,
        settings: &config::Partner,
        totals: PartnerTotals,
    ) -> Result<PartnerView, StorageError> {
        let received = match &settings.account {
            Some(account) => self.ledger.shared.store.shared(account)?.0,
            None => 0,
        };
        let PartnerTotals {
            rounds,
            packets,
            tokens,
            volunteers,
            last_ms,
        } = totals;
        Ok(PartnerView {
            id: settings.id,
            name: settings.name.clone(),
            url: settings.url.clone(),
            suspended: self.is_suspended(&settings.id),
            rounds,
            packets,
            tokens,
            volunteers,
            last_activity_ms: last_ms,
            account: settings.account.map(|account| account.to_string()),
            received: received.to_string(),
        })
    }
}
