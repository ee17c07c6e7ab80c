//! Which pages may open a control socket.
//!
//! Browsers apply no cross-origin rules to WebSockets, but they say truthfully which page asks. Origins
//! are compared whole, never by pattern: unescaped dots and missing anchors are how such lists have
//! been bypassed elsewhere. A client that is no browser sends no origin and is let in; it could claim
//! any.

use axum::http::{HeaderMap, header};

use crate::config::Config;

/// The allow-list.
pub struct Origins {
    all: bool,
    listed: Vec<String>,
    localhost: bool,
}

impl Origins {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            all: config.allowed_origins.iter().any(|origin| origin == "*"),
            listed: config.allowed_origins.clone(),
            localhost: config.allow_localhost,
        }
    }

    /// Whether the page that sends these headers may open a socket.
    #[must_use]
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        // A browser sends one. Two could be read differently by a proxy and by us.
        if origins.next().is_some() {
            return false;
        }
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        self.all
            || self.listed.iter().any(|listed| listed == origin)
            || is_own(origin, host)
            || (self.localhost && is_localhost(origin))
    }
}

impl Origins {
    /// Hosts whose pages may ask for something in this service's name: our own as the request names it,
    /// the listed ones, and the page's own where it may connect.
    #[must_use]
    pub fn hosts<'a>(&'a self, headers: &'a HeaderMap) -> Vec<&'a str> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let page = text(header::ORIGIN).filter(|_| self.allow(headers));
        let listed = self.listed.iter().map(String::as_str);
        let mut hosts: Vec<&str> = listed.chain(page).filter_map(authority).collect();
        hosts.extend(text(header::HOST));
        hosts
    }
}

fn authority(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

/// The page came from this very server.
fn is_own(origin: &str, host: Option<&str>) -> bool {
    host.is_some() && authority(origin) == host
}

fn is_localhost(origin: &str) -> bool {
    let Some(authority) = authority(origin) else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        let port = authority.strip_prefix(host);
        port.is_some_and(|port| match port.strip_prefix(':') {
            Some(port) => port.parse::<u16>().is_ok(),
            None => port.is_empty(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(config: &Config, origin: &str) -> bool {
        let headers = HeaderMap::from_iter([
            (header::ORIGIN, origin.parse().expect("a value")),
            (header::HOST, "covey.example:8080".parse().expect("a value")),
        ]);
        Origins::new(config).allow(&headers)
    }

    #[test]
    fn our_own_page_localhost_and_listed_pages_may_connect() {
        let config = Config {
            allowed_origins: vec!["https://partner.example".into()],
            ..Config::default()
        };
        for origin in [
            "http://covey.example:8080",
            "https://covey.example:8080",
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "https://partner.example",
        ] {
            assert!(allows(&config, origin), "{origin}");
        }
    }

    #[test]
    fn lookalikes_may_not() {
        let config = Config {
            allowed_origins: vec!["https://partner.example".into()],
            ..Config::default()
        };
        for origin in [
            "https://evil.example",
            "https://partner.example.evil.example",
            "https://partnerXexample",
            "https://partner.example:444",
            "http://partner.example",
            "http://localhost.evil.example",
            "http://localhost:80@evil.example",
            "http://covey.example",
            // Nothing is trimmed, decoded or put into another case: a browser sends none of these.
            "https://partner.example/",
            "https://partner.example.",
            "https://PARTNER.example",
            "https://partner.example,https://evil.example",
            "https://partner.example https://evil.example",
            "https://partner.example@evil.example",
            "https://partner.example:8080@evil.example",
            "https://sub.partner.example",
            "https://evilpartner.example",
            "wss://partner.example",
            "//partner.example",
            "partner.example",
            "http://covey.example:8080/",
            "http://covey.example:8080.evil.example",
            "http://covey.example:8080@evil.example",
            "ftp://covey.example:8080",
            "http://localhost@evil.example",
            "http://127.0.0.1.evil.example",
            "http://127.1",
            "http://[::1].evil.example",
            "http://[::1]@evil.example",
            "http://localhost%2eevil.example",
            "file://",
            "null",
            "",
        ] {
            assert!(!allows(&config, origin), "{origin}");
        }
    }

    #[test]
    fn two_origins_are_none() {
        let mut headers = HeaderMap::new();
        for origin in ["http://localhost:3000", "https://evil.example"] {
            headers.append(header::ORIGIN, origin.parse().expect("a value"));
        }
        assert!(!Origins::new(&Config::default()).allow(&headers));
    }

    #[test]
    fn localhost_can_be_switched_off_and_everyone_switched_on() {
        let strict = Config {
            allow_localhost: false,
            ..Config::default()
        };
        assert!(!allows(&strict, "http://localhost:3000"));
        let open = Config {
            allowed_origins: vec!["*".into()],
            ..Config::default()
        };
        assert!(allows(&open, "https://anyone.example"));
    }

    #[test]
    fn a_session_may_name_our_host_the_page_and_listed_ones() {
        let config = Config {
            allowed_origins: vec!["https://partner.example".into()],
            ..Config::default()
        };
        let origins = Origins::new(&config);
        let headers = |origin: &str| {
            HeaderMap::from_iter([
                (header::ORIGIN, origin.parse().expect("a value")),
                (header::HOST, "covey.example:8080".parse().expect("a value")),
            ])
        };
        assert_eq!(
            origins.hosts(&headers("http://localhost:3000")),
            ["partner.example", "localhost:3000", "covey.example:8080"]
        );
        assert_eq!(
            origins.hosts(&headers("https://evil.example")),
            ["partner.example", "covey.example:8080"]
        );
    }

    #[test]
    fn clients_that_are_no_browsers_may_connect() {
        assert!(Origins::new(&Config::default()).allow(&HeaderMap::new()));
    }
}
