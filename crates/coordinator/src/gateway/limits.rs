//! How often one address may ask. An IPv6 customer has a whole /64, so that is what counts as one.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
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
        match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 => v4,
        }
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
    pub fn forget_regularly(this: &std::sync::Arc<Self>) {
        let limits = std::sync::Arc::downgrade(this);
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
