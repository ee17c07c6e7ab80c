//! For the operator: is it healthy, what does it do, and a page that shows both.
//!
//! The page is plain HTML that asks the browser to load it again every few seconds: it works with
//! scripts switched off, in a terminal browser, and while everything else is broken.

use std::{fmt::Write as _, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use covey_protocol::{
    http::Scores,
    socket::{Activity, Backend},
    witness::Witnesses,
};
use tokio::{sync::oneshot, time::timeout};

use super::{Gateway, NOSNIFF, fixed};
use crate::{
    actor::{Command, Inspection},
    storage::blocking,
};

/// Whatever takes longer than this is not healthy.
const PATIENCE: Duration = Duration::from_secs(5);
const STYLE: &str = include_str!("status.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";

/// `GET /healthz`: 200 only if a write reached the disk and the actor answers.
pub async fn health(State(gateway): State<Gateway>) -> Response {
    let journal = std::sync::Arc::clone(&gateway.journal);
    let disk = timeout(PATIENCE, blocking(move || journal.probe())).await;
    let problem = match disk {
        Ok(Ok(())) if inspect(&gateway).await.is_some() => None,
        Ok(Ok(())) => Some("the rounds do not answer".to_owned()),
        Ok(Err(error)) => Some(format!("the disk fails: {error}")),
        Err(_) => Some("the disk does not answer".to_owned()),
    };
    let cache = [(header::CACHE_CONTROL, fixed("no-store"))];
    match problem {
        None => (cache, "ok\n").into_response(),
        Some(problem) => {
            tracing::error!(problem, "unhealthy");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, cache, format!("{problem}\n")).into_response()
        }
    }
}

/// `GET /metrics`
pub async fn metrics(State(gateway): State<Gateway>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, fixed(kind))],
        gateway.metrics.encode(),
    )
}

/// `GET /status.css`
pub async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, fixed("text/css; charset=utf-8"))],
        STYLE,
    )
}

/// `GET /status`
pub async fn status(State(gateway): State<Gateway>) -> Response {
    let Some(inspection) = inspect(&gateway).await else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return (status, "The coordinator is stopping.\n").into_response();
    };
    Html(page(&gateway, &inspection)).into_response()
}

/// Headers of everything that the operator's listener answers: none of it is kept, framed or told on.
pub async fn locked_down(mut response: Response) -> Response {
    response.headers_mut().extend([
        (header::CACHE_CONTROL, fixed("no-store")),
        (header::CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        NOSNIFF,
    ]);
    response
}

async fn inspect(gateway: &Gateway) -> Option<Inspection> {
    let ask = async {
        let (answer, answered) = oneshot::channel();
        let command = Command::Inspect(answer);
        gateway.handle.commands.send(command).await.ok()?;
        answered.await.ok()
    };
    timeout(PATIENCE, ask).await.ok().flatten()
}

fn page(gateway: &Gateway, inspection: &Inspection) -> String {
    let info = gateway.handle.published.info.load();
    let metrics = &gateway.metrics;
    let loss = info.held_out.last().map_or_else(
        || "not measured yet".to_owned(),
        |point| {
            let entropy = info.unigram_entropy;
            format!(
                "{:.4} nats per token at the start of round {} (frequencies alone: {entropy:.4})",
                point.loss, point.round
            )
        },
    );
    let remaining = inspection
        .remaining_ms
        .map_or_else(String::new, |ms| format!(", {} s left", ms.div_ceil(1000)));
    let facts = [
        ("Run", info.run.to_string()),
        (
            "Model",
            format!("{} parameters", info.spec.model.parameters()),
        ),
        ("Round", format!("{}", inspection.round)),
        ("Phase", format!("{}{remaining}", inspection.phase)),
        (
            "Volunteers",
            format!(
                "{} connected, {} joined, {} contributed",
                inspection.volunteers, inspection.joined, inspection.contributions
            ),
        ),
        (
            "Rounds in the last hour",
            inspection.rounds_last_hour.to_string(),
        ),
        ("Held-out loss", loss),
        ("Packets accepted", metrics.accepted.get().to_string()),
        ("Packets refused", refusals(metrics.refusals())),
        ("Ledger", gateway.ledger.view().words()),
        ("Partners", gateway.partners.words()),
        ("Witnesses", witnesses(&gateway.witnesses.list(info.round))),
        ("Storage errors", metrics.storage_errors.get().to_string()),
        (
            "Newest checkpoint",
            format!("round {}", info.checkpoint.round),
        ),
        ("Weights", info.base.to_string()),
        ("Disk", disk(&gateway.config.data_dir)),
        ("Running for", span(inspection.uptime)),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut rows = String::new();
    for (name, value) in facts {
        let _ = write!(rows, "<tr><th scope=row>{name}<td>{}", escape(&value));
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\">\
         <meta http-equiv=refresh content=5><title>{name}: round {round}</title>\
         <link rel=stylesheet href=/status.css>\
         <main><h1>{name}</h1><table>{rows}</table>{people}{book}\
         <p><a href=/metrics>Metrics</a> <a href=/healthz>Health</a></main>",
        name = escape(&info.spec.name),
        round = inspection.round,
        people = people(inspection),
        book = book(&gateway.handle.published.scores.load()),
    )
}

/// Who recomputed the run, in one line.
fn witnesses(list: &Witnesses) -> String {
    let furthest = list.servers.first();
    let furthest = furthest.map_or_else(String::new, |signed| {
        format!(", the furthest before round {}", signed.statement.round)
    });
    let mut words = format!(
        "{} servers agree{furthest}; {} tabs agree",
        list.servers.len(),
        list.tabs.agree
    );
    for signed in &list.disagreements {
        let verdict = crate::follow::words(&signed.statement.verdict);
        let _ = write!(words, "; DISAGREES: {verdict}");
    }
    words
}

fn people(inspection: &Inspection) -> String {
    if inspection.presence.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for volunteer in &inspection.presence {
        let name = volunteer.volunteer.to_string();
        let backend = match volunteer.backend {
            Backend::WebGpu => "WebGPU",
            Backend::Flex => "CPU",
        };
        let activity = match volunteer.activity {
            Activity::Watching => "watching",
            Activity::Training => "training",
            Activity::Contributed => "contributed",
        };
        let _ = write!(
            rows,
            "<tr><td><code>{}</code><td>{backend}<td>{activity}<td>{:.0}<td>{}",
            name.get(..12).unwrap_or_default(),
            volunteer.tokens_per_second,
            volunteer.accepted
        );
    }
    format!(
        "<h2>Volunteers</h2><table class=people><tr><th scope=col>Identity<th scope=col>Backend\
         <th scope=col>Activity<th scope=col>Tokens/s<th scope=col>Accepted{rows}</table>"
    )
}

/// Most rows of scores on the page; the API has all.
const SCORES_SHOWN: usize = 50;

fn book(scores: &Scores) -> String {
    if scores.volunteers.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for score in scores.volunteers.iter().take(SCORES_SHOWN) {
        let name = score.volunteer.to_string();
        let last = match (score.banned_until, score.last) {
            (Some(until), _) if until > scores.round => format!("barred before round {until}"),
            (_, Some(reason)) => format!("left out: {}", reason.name().replace('_', " ")),
            (_, None) => "merged".to_owned(),
        };
        let _ = write!(
            rows,
            "<tr><td><code>{}</code><td>{:.2} \u{b1} {:.2}<td>{:.2}<td>{:.3}<td>{:.1} %<td>{}\
             <td>{}<td>{last}",
            name.get(..12).unwrap_or_default(),
            score.mu,
            score.sigma,
            score.computation,
            score.score,
            100.0 * f64::from(score.weight) / f64::from(u16::MAX),
            score.merged,
            score.excluded,
        );
    }
    format!(
        "<h2>Scores</h2><table class=people><tr><th scope=col>Identity<th scope=col>Rating\
         <th scope=col>Own data<th scope=col>Score<th scope=col>Incentive, of the best\
         <th scope=col>Merged<th scope=col>Left out<th scope=col>Newest packet{rows}</table>"
    )
}

fn refusals(counts: Vec<(String, u64)>) -> String {
    if counts.is_empty() {
        return "0".into();
    }
    let words: Vec<String> = counts
        .into_iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    words.join(", ")
}

fn disk(folder: &std::path::Path) -> String {
    const GIGABYTE: f64 = 1e9;
    match fs4::statvfs(folder) {
        Ok(disk) => format!(
            "{:.1} GB free of {:.1} GB",
            disk.available_space() as f64 / GIGABYTE,
            disk.total_space() as f64 / GIGABYTE
        ),
        Err(error) => format!("unknown ({error})"),
    }
}

fn span(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Text as HTML; the run's name is the operator's own, but may hold anything.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        assert_eq!(escape("<b>\"&"), "&lt;b&gt;&quot;&amp;");
    }

    #[test]
    fn spans_are_said_in_the_units_a_person_would_use() {
        assert_eq!(span(Duration::from_secs(59)), "0 min");
        assert_eq!(span(Duration::from_secs(3 * 3600 + 120)), "3 h 2 min");
        assert_eq!(span(Duration::from_secs(50 * 3600)), "2 d 2 h");
    }
}
