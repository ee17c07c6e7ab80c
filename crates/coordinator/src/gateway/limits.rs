//! How often one address may ask, and how much of what is shared it may hold. An IPv6 customer has a whole /64, so that is what counts as one.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use covey_protocol::http::ErrorCode;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Gateway, error::Refusal};
use crate::config::Config;

/// Addresses that have not asked for a while are forgotten this often.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// One limiter per thing that costs something.
pub struct RateLimits {
    requests: DefaultKeyedRateLimiter<IpAddr>,
    uploads: DefaultKeyedRateLimiter<IpAddr>,
    sockets: DefaultKeyedRateLimiter<IpAddr>,
    trust_forwarded_for: bool,
}

/// What is under way by address, so that one address cannot occupy every place.
pub struct Shares {
    each: usize,
    under_way: Mutex<HashMap<IpAddr, usize>>,
}

/// One thing under way; dropping it ends it.
pub struct Share {
    shares: Arc<Shares>,
    client: IpAddr,
}

impl Shares {
    #[must_use]
    pub fn new(each: usize) -> Arc<Self> {
        Arc::new(Self {
            each,
            under_way: Mutex::default(),
        })
    }

    /// One more for an address, unless it has its share.
    #[must_use]
    pub fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Share> {
        let mut under_way = self.lock();
        let count = under_way.entry(client).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        drop(under_way);
        Some(Share {
            shares: Arc::clone(self),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing panics while it is held.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut under_way = self.shares.lock();
        if let Entry::Occupied(mut count) = under_way.entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Uploads under way, in all and by address.
pub struct Uploads {
    places: Semaphore,
    shares: Arc<Shares>,
}

/// A place for one upload; dropping it frees the place.
pub struct Place<'a> {
    _share: Share,
    _place: SemaphorePermit<'a>,
}

impl Uploads {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let places = config.limits.uploads_at_once.min(Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(places),
            shares: Shares::new(config.limits.uploads_at_once_per_address),
        }
    }

    /// A place, unless all are taken or this address has its share.
    #[must_use]
    pub fn enter(&self, client: IpAddr) -> Option<Place<'_>> {
        let place = self.places.try_acquire().ok()?;
        Some(Place {
            _share: self.shares.enter(client)?,
            _place: place,
        })
    }
}

/// Addresses of one customer are one.
#[must_use]
pub fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A quota of so many a second after a burst. Zeros were refused with the configuration.
pub(super) fn quota(per_second: u32, burst: u32) -> Quota {
    let nonzero = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(nonzero(per_second)).allow_burst(nonzero(burst))
}

impl RateLimits {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let keyed = |per_second, burst| RateLimiter::keyed(quota(per_second, burst));
        Self {
            requests: keyed(limits.requests_per_second, limits.request_burst),
            uploads: keyed(limits.uploads_per_second, limits.upload_burst),
            sockets: keyed(limits.sockets_per_second, limits.socket_burst),
            trust_forwarded_for: config.trust_forwarded_for,
        }
    }

    /// Who asks. Behind a trusted proxy that is the address the proxy saw, which is the last one it
    /// added; any before that may be invented.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = || {
            let last = headers.get_all("x-forwarded-for").iter().next_back()?;
            last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
        };
        let address = if self.trust_forwarded_for {
            forwarded().unwrap_or(peer.ip())
        } else {
            peer.ip()
        };
        customer(address)
    }

    #[must_use]
    pub fn allow_request(&self, client: IpAddr) -> bool {
        self.requests.check_key(&client).is_ok()
    }

    #[must_use]
    pub fn allow_upload(&self, client: IpAddr) -> bool {
        self.uploads.check_key(&client).is_ok()
    }

    #[must_use]
    pub fn allow_socket(&self, client: IpAddr) -> bool {
        self.sockets.check_key(&client).is_ok()
    }

    /// Forgets addresses that are back at full quota, for as long as the limits exist.
    pub fn forget_regularly(this: &Arc<Self>) {
        let limits = Arc::downgrade(this);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FORGET_EVERY).await;
                let Some(limits) = limits.upgrade() else {
                    return;
                };
                for limiter in [&limits.requests, &limits.uploads, &limits.sockets] {
                    limiter.retain_recent();
                }
            }
        });
    }
}

/// Middleware over everything public.
pub async fn requests(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let client = gateway.limits.client(peer, request.headers());
    if gateway.limits.allow_request(client) {
        next.run(request).await
    } else {
        limited(&gateway).into_response()
    }
}

/// Counts a refusal by a limit and answers for it.
pub(super) fn limited(gateway: &Gateway) -> Refusal {
    gateway.metrics.limited.inc();
    Refusal::new(
        ErrorCode::Busy,
        "Too many requests from this address; wait a moment and try again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(trust_forwarded_for: bool) -> RateLimits {
        let mut config = Config {
            trust_forwarded_for,
            ..Config::default()
        };
        config.limits.request_burst = 3;
        config.limits.requests_per_second = 1;
        RateLimits::new(&config)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_cannot_use_up_what_others_may_ask() {
        let limits = limits(false);
        let (greedy, other) = (address("10.0.0.1:1").ip(), address("10.0.0.2:1").ip());
        assert_eq!((0..10).filter(|_| limits.allow_request(greedy)).count(), 3);
        assert!(limits.allow_request(other));
    }

    #[test]
    fn one_address_cannot_hold_every_upload() {
        let mut config = Config::default();
        config.limits.uploads_at_once = 3;
        config.limits.uploads_at_once_per_address = 2;
        let uploads = Uploads::new(&config);
        let (greedy, other) = (address("10.0.0.1:1").ip(), address("10.0.0.2:1").ip());
        let held = [uploads.enter(greedy), uploads.enter(greedy)];
        assert!(held.iter().all(Option::is_some));
        assert!(uploads.enter(greedy).is_none(), "its share is taken");
        let place = uploads.enter(other);
        assert!(place.is_some());
        assert!(uploads.enter(other).is_none(), "all are taken");
        drop(held);
        assert!(uploads.enter(greedy).is_some());
        drop(place);
        assert!(
            uploads.shares.lock().is_empty(),
            "nothing is remembered for ever"
        );
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let headers = HeaderMap::from_iter([(
            "x-forwarded-for".parse().expect("a name"),
            "1.1.1.1, 2.2.2.2".parse().expect("a value"),
        )]);
        let peer = address("10.0.0.1:1");
        let client = |trust| limits(trust).client(peer, &headers).to_string();
        assert_eq!(client(false), "10.0.0.1");
        assert_eq!(client(true), "2.2.2.2");
        assert_eq!(limits(true).client(peer, &HeaderMap::new()), peer.ip());
    }

    #[test]
    fn a_whole_ipv6_customer_is_one_address() {
        let limits = limits(false);
        let client = |text| limits.client(address(text), &HeaderMap::new());
        assert_eq!(
            client("[2001:db8:1:2::1]:1"),
            client("[2001:db8:1:2:3:4:5:6]:1")
        );
        assert_ne!(client("[2001:db8:1:2::1]:1"), client("[2001:db8:1:3::1]:1"));
        assert_eq!(client("[::ffff:10.0.0.1]:1"), client("10.0.0.1:1"));
    }
}
