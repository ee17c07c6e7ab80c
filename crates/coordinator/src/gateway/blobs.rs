//! Serving blobs: immutable, so cached for ever, and in ranges, so that a broken download goes on.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use covey_protocol::{Hash, http::ErrorCode};
use futures_util::StreamExt;

use super::{Gateway, NOSNIFF, error::Refusal, fixed};
use crate::{
    actor::Command,
    metrics::OUT,
    storage::{BlobSource, StorageError},
};

/// `GET /v1/blobs/{name}`
pub async fn blob(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name: Hash = name
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::Malformed, "A blob's name is 64 hex digits."))?;
    let failed = |error: StorageError| Refusal::storage(&error);
    let own: &dyn BlobSource = &*gateway.blobs;
    let found = match own.checked_len(&name).await {
        Ok(None) => {
            let corpus: &dyn BlobSource = &*gateway.corpus;
            let len = corpus.checked_len(&name).await;
            len.map(|len| len.map(|len| (corpus, len)))
        }
        own_len => own_len.map(|len| len.map(|len| (own, len))),
    };
    let (source, len) = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            return Err(Refusal::new(
                ErrorCode::NotFound,
                "There is no blob of this name; old checkpoints are deleted.",
            ));
        }
        Err(StorageError::Altered(_)) => return Err(altered(&gateway, name).await),
        Err(error) => return Err(failed(error)),
    };
    let tag = format!("\"{name}\"");
    let mut answer = HeaderMap::from_iter([
        (header::CONTENT_TYPE, fixed("application/octet-stream")),
        (
            header::CACHE_CONTROL,
            fixed("public, max-age=31536000, immutable"),
        ),
        (header::ACCEPT_RANGES, fixed("bytes")),
        NOSNIFF,
    ]);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    if matches(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let range = match wanted(&headers, len) {
        Wanted::All => None,
        Wanted::Part(range) => Some(range),
        Wanted::Nothing => {
            answer.insert(header::CONTENT_RANGE, number(format!("bytes */{len}")));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, answer).into_response());
        }
    };
    let status = match &range {
        None => StatusCode::OK,
        Some(range) => {
            let text = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            answer.insert(header::CONTENT_RANGE, number(text));
            StatusCode::PARTIAL_CONTENT
        }
    };
    let sent = range.as_ref().map_or(len, |range| range.end - range.start);
    answer.insert(header::CONTENT_LENGTH, number(sent.to_string()));
    if method == Method::HEAD {
        return Ok((status, answer).into_response());
    }
    let Some(stream) = source.stream(&name, range).await.map_err(failed)? else {
        return Err(Refusal::new(
            ErrorCode::NotFound,
            "The blob has just been deleted.",
        ));
    };
    gateway.metrics.transferred(&OUT, sent);
    let body = Body::from_stream(stream.bytes.inspect(|part| {
        if let Err(error) = part {
            tracing::error!(%error, "blob broke off");
        }
    }));
    Ok((status, answer, body).into_response())
}

/// Tells the operator of a blob that is not what its name says, and has the rounds make it dispensable.
async fn altered(gateway: &Gateway, name: Hash) -> Refusal {
    gateway.metrics.altered_blobs.inc();
    tracing::error!(error = %StorageError::Altered(name), "blob not served");
    // The rounds may have ended, and then nobody is served anyway.
    let _ = gateway.handle.commands.send(Command::Altered(name)).await;
    Refusal::new(
        ErrorCode::Unavailable,
        "This blob was damaged on the coordinator's disk; ask /v1/run for a newer checkpoint in a moment.",
    )
}

/// The client has it already.
fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let listed = headers.get(header::IF_NONE_MATCH);
    listed
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|item| item.trim() == tag))
}

#[derive(Debug, PartialEq)]
enum Wanted {
    All,
    Part(std::ops::Range<u64>),
    Nothing,
}

/// One range at most: several would need a multipart answer, which nobody here asks for.
fn wanted(headers: &HeaderMap, len: u64) -> Wanted {
    let Some(value) = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
    else {
        return Wanted::All;
    };
    let Ok(parsed) = http_range_header::parse_range_header(value) else {
        return Wanted::All;
    };
    match parsed.validate(len).as_deref() {
        Ok([range]) => Wanted::Part(*range.start()..range.end().saturating_add(1)),
        Ok(_) => Wanted::All,
        Err(_) => Wanted::Nothing,
    }
}

fn number(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(fixed("0"))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn range(text: &str) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, text.parse().expect("a value"))]);
        wanted(&headers, 100)
    }

    #[test]
    fn a_part_of_a_blob_can_be_asked_for() {
        assert_eq!(range("bytes=0-9"), Wanted::Part(0..10));
        assert_eq!(range("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(range("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(range("bytes=50-1000"), Wanted::Part(50..100));
    }

    #[test]
    fn what_cannot_be_had_is_refused_and_nonsense_gets_everything() {
        assert_eq!(range("bytes=100-"), Wanted::Nothing);
        assert_eq!(range("bytes=0-1,5-6"), Wanted::All);
        assert_eq!(range("lines=1-2"), Wanted::All);
        assert_eq!(wanted(&HeaderMap::new(), 100), Wanted::All);
    }

    /// Texts that look like ranges, and others.
    fn header() -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![0u64..300, any::<u64>(), Just(u64::MAX), Just(u64::MAX - 1),]
            .prop_map(|number| number.to_string());
        let part = prop_oneof![number, "[-, =+]{0,3}", Just("-".to_owned())];
        let looks = (
            prop::sample::select(vec!["bytes=", "bytes =", "bytes", ""]),
            vec(part, 0..9),
        );
        prop_oneof![
            looks.prop_map(|(unit, parts)| (unit.to_owned() + &parts.concat()).into_bytes()),
            vec(any::<u8>(), 0..60),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn whatever_is_asked_for_lies_in_the_blob(text in header(), len in 0u64..300, large: bool) {
            let len = if large { u64::MAX - len } else { len };
            if let Ok(value) = HeaderValue::from_bytes(&text) {
                let headers = HeaderMap::from_iter([(header::RANGE, value)]);
                if let Wanted::Part(range) = wanted(&headers, len) {
                    prop_assert!(range.start < range.end && range.end <= len, "{range:?} of {len}");
                }
            }
        }
    }
}
