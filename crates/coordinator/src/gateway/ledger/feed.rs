//! Notices as an Atom feed (RFC 4287), so that nobody has to keep a wallet open to hear of an exit.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use covey_ledger::genesis::RUN;
use covey_protocol::http::LEDGER_NOTICES;

use crate::{
    gateway::{Gateway, NOSNIFF, error::Refusal, fixed},
    ledger::{
        View,
        notices::{insiders, status, title},
        store::Published,
    },
    storage::blocking,
};

/// Entries in the feed.
const ENTRIES: usize = 100;

/// `GET /v1/ledger/notices.atom`
pub async fn notices(State(gateway): State<Gateway>) -> Result<Response, Refusal> {
    let ledger = gateway.ledger.clone();
    let published = blocking(move || ledger.handle.shared.store.notices(ENTRIES))
        .await
        .map_err(|error| Refusal::storage(&error))?;
    let run = gateway.engine.spec().name.clone();
    let feed = feed(&run, &gateway.ledger.view(), &published);
    let headers = [
        (
            header::CONTENT_TYPE,
            fixed("application/atom+xml; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, fixed("no-cache")),
        NOSNIFF,
    ];
    Ok((headers, feed).into_response())
}

/// The feed of a run, newest announcement first.
fn feed(run: &str, view: &View, published: &[Published]) -> String {
    let state = view.position.ledger.state();
    let chain = state.chain;
    let updated = published
        .iter()
        .map(|published| published.updated_ms)
        .max()
        .unwrap_or(state.started_ms);
    let author = state
        .subnets
        .get(&RUN)
        .map_or_else(String::new, |subnet| subnet.owner.to_string());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:covey:{chain}:notices</id>\
         <title>{run}: notices</title><subtitle>{insiders}</subtitle>\
         <link rel=\"self\" href=\"{LEDGER_NOTICES}\"/><updated>{updated}</updated>\
         <author><name>Run {chain}, owned by {author}</name></author>",
        run = escape(run),
        insiders = escape(&insiders(state, view.height()).words()),
        updated = rfc3339(updated),
    );
    for entry in published {
        let notice = &entry.notice;
        let kind = if notice.insider { "insider" } else { "anyone" };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "<entry><id>urn:covey:{chain}:notice:{id}</id><title>{title}</title>\
             <published>{published}</published><updated>{updated}</updated>\
             <category term=\"{kind}\"/><content type=\"text\">{content}</content></entry>",
            id = notice.id,
            title = escape(&title(notice)),
            published = rfc3339(entry.announced_ms),
            updated = rfc3339(entry.updated_ms),
            content = escape(&format!(
                "Announced at height {}. {}",
                notice.announced,
                status(notice)
            )),
        );
    }
    text.push_str("</feed>\n");
    text
}

/// Text as XML; characters that XML cannot hold become spaces.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

/// Milliseconds since 1970 as a date and time of day in UTC.
fn rfc3339(ms: u64) -> String {
    // Later years have five digits, which the format does not have.
    let ms = ms.min(253_402_300_799_000);
    let seconds = ms / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of year 0, in eras of 400 years: leap days come last in such years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_799_999, "2000-02-29T23:59:59Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(ms), wanted);
        }
    }

    #[test]
    fn no_text_can_become_markup() {
        assert_eq!(escape("a<b>&\"\u{1}\u{ffff}é"), "a&lt;b&gt;&amp;&quot;  é");
    }
}
