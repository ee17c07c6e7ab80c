//! Who may see and steer what is the operator's: whoever sends the token of the data directory.
//!
//! Programs send `Authorization: Bearer TOKEN`. A browser cannot, so what is only read also takes the
//! token as the password of HTTP Basic authentication, with any name. What a reader would get wrong: Basic
//! is not accepted for what changes something, because a browser adds it to requests that another site
//! made it send.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use covey_protocol::http::ErrorCode;
use data_encoding::BASE64;

use super::{Gateway, error::Refusal, fixed};
use crate::ledger::admin::AdminToken;

const ASK: HeaderValue = fixed("Basic realm=\"covey operator\", charset=\"UTF-8\"");

/// Middleware over everything of the operator's but health.
pub async fn authorised(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if given.is_some_and(|given| proves(&gateway.ledger.shared.token, given, reads)) {
        return next.run(request).await;
    }
    gateway.metrics.limited.inc();
    let message =
        "Send the token in the data directory's admin.token: Authorization: Bearer TOKEN.";
    let mut response = Refusal::new(ErrorCode::Signature, message).into_response();
    if reads {
        // So that a browser asks for it.
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(header::WWW_AUTHENTICATE, ASK);
    }
    response
}

/// Whether an `Authorization` header holds the token, in a form that counts.
fn proves(token: &AdminToken, given: &str, reads: bool) -> bool {
    if let Some(bearer) = given.strip_prefix("Bearer ") {
        return token.is(bearer.trim());
    }
    let basic = given.strip_prefix("Basic ").filter(|_| reads);
    let decoded = basic.and_then(|text| BASE64.decode(text.trim().as_bytes()).ok());
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    pair.is_some_and(|pair| {
        pair.split_once(':')
            .is_some_and(|(_, password)| token.is(password))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_is_good_enough_to_look_but_not_to_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        let token = AdminToken::load_or_create(&path).expect("made");
        let text = std::fs::read_to_string(&path).expect("there");
        let text = text.trim();
        let basic = |pair: String| format!("Basic {}", BASE64.encode(pair.as_bytes()));
        for reads in [true, false] {
            assert!(proves(&token, &format!("Bearer {text}"), reads));
            assert_eq!(
                proves(&token, &basic(format!("anyone:{text}")), reads),
                reads
            );
            for wrong in [
                String::new(),
                text.to_owned(),
                "Bearer ".to_owned(),
                format!("Bearer {}", &text[1..]),
                format!("Digest {text}"),
                basic(text.to_owned()),
                basic(format!("{text}:")),
                basic(format!("a:{text}x")),
                format!("Basic {text}"),
            ] {
                assert!(!proves(&token, &wrong, reads), "{wrong}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_header_proves_anything_but_the_token(
            scheme in prop::sample::select(vec!["Bearer ", "Basic ", "Digest ", "bearer", ""]),
            text in ".{0,80}",
            encoded: bool,
            reads: bool,
        ) {
            static TOKEN: LazyLock<AdminToken> = LazyLock::new(|| {
                let folder = tempfile::tempdir().expect("a folder");
                AdminToken::load_or_create(&folder.path().join("admin.token")).expect("made")
            });
            let text = if encoded { BASE64.encode(text.as_bytes()) } else { text };
            let given = format!("{scheme}{text}");
            prop_assert!(!proves(&TOKEN, &given, reads));
        }
    }
}
