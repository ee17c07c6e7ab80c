//! Numbers for the operator, in Prometheus' text format. Names and meanings are an interface: dashboards
//! depend on them.

use std::{sync::atomic::AtomicU64, time::Duration};

use covey_protocol::{http::ErrorCode, record::ExclusionReason};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::ledger::metrics::LedgerMetrics;

/// Label of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Code {
    code: String,
}

impl From<ErrorCode> for Code {
    /// As the code is written on the wire.
    fn from(code: ErrorCode) -> Self {
        let name = serde_json::to_value(code);
        Self {
            code: name
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default(),
        }
    }
}

/// Label of a packet left out of the merge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Reason {
    reason: &'static str,
}

impl From<ExclusionReason> for Reason {
    /// As the reason is written in a record.
    fn from(reason: ExclusionReason) -> Self {
        Self {
            reason: reason.name(),
        }
    }
}

/// Label of a direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Direction {
    direction: &'static str,
}

pub const IN: Direction = Direction { direction: "in" };
pub const OUT: Direction = Direction { direction: "out" };

type Float = Gauge<f64, AtomicU64>;

/// All metrics; cheap to share.
pub struct Metrics {
    registry: Registry,
    /// Packets acknowledged.
    pub accepted: Counter,
    /// Uploads refused, by code.
    pub rejected: Family<Code, Counter>,
    /// Control frames refused, by code.
    pub bad_frames: Family<Code, Counter>,
    /// Sockets dropped because they read too slowly.
    pub slow_sockets: Counter,
    /// Requests refused by a rate limit.
    pub limited: Counter,
    /// Open TCP connections.
    pub connections: Gauge,
    /// Open control sockets that completed the handshake.
    pub sockets: Gauge,
    pub round: Gauge,
    pub contributions: Gauge,
    /// Rounds recorded, with and without contributions.
    pub rounds: Counter,
    pub empty_rounds: Counter,
    pub round_seconds: Histogram,
    pub merge_seconds: Histogram,
    pub assess_seconds: Histogram,
    /// Rounds that went on without their assessment.
    pub unassessed: Counter,
    /// Packets left out of the merge, by reason.
    pub excluded: Family<Reason, Counter>,
    /// Time to make one packet durable.
    pub store_seconds: Histogram,
    /// Bytes of packets and blobs.
    pub bytes: Family<Direction, Counter>,
    pub held_out_loss: Float,
    pub storage_errors: Counter,
    /// Requests for a blob that was altered on disk.
    pub altered_blobs: Counter,
    pub ledger: LedgerMetrics,
}

fn histogram(bounds: &'static [f64]) -> Histogram {
    Histogram::new(bounds.iter().copied())
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("covey"),
            accepted: Counter::default(),
            rejected: Family::default(),
            bad_frames: Family::default(),
            slow_sockets: Counter::default(),
            limited: Counter::default(),
            connections: Gauge::default(),
            sockets: Gauge::default(),
            round: Gauge::default(),
            contributions: Gauge::default(),
            rounds: Counter::default(),
            empty_rounds: Counter::default(),
            round_seconds: histogram(&[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0]),
            merge_seconds: histogram(&[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0]),
            assess_seconds: histogram(&[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0]),
            unassessed: Counter::default(),
            excluded: Family::default(),
            store_seconds: histogram(&[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
            bytes: Family::default(),
            held_out_loss: Float::default(),
            storage_errors: Counter::default(),
            altered_blobs: Counter::default(),
            ledger: LedgerMetrics::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "packets_accepted",
            "Packets acknowledged",
            self.accepted.clone(),
        );
        registry.register(
            "packets_rejected",
            "Uploads refused, by code",
            self.rejected.clone(),
        );
        registry.register(
            "frames_rejected",
            "Control frames refused, by code",
            self.bad_frames.clone(),
        );
        registry.register(
            "slow_sockets",
            "Sockets dropped because they read too slowly",
            self.slow_sockets.clone(),
        );
        registry.register(
            "requests_limited",
            "Requests refused by a rate limit",
            self.limited.clone(),
        );
        registry.register(
            "connections",
            "Open TCP connections",
            self.connections.clone(),
        );
        registry.register("volunteers", "Open control sockets", self.sockets.clone());
        registry.register("round", "The open round", self.round.clone());
        registry.register(
            "round_contributions",
            "Packets accepted in the open round",
            self.contributions.clone(),
        );
        registry.register("rounds", "Rounds recorded", self.rounds.clone());
        registry.register(
            "rounds_empty",
            "Rounds recorded without contributions",
            self.empty_rounds.clone(),
        );
        registry.register_with_unit(
            "round_duration",
            "Time from a round's first volunteer to its record",
            Unit::Seconds,
            self.round_seconds.clone(),
        );
        registry.register_with_unit(
            "merge_duration",
            "Time to merge a round's packets",
            Unit::Seconds,
            self.merge_seconds.clone(),
        );
        registry.register_with_unit(
            "assess_duration",
            "Time to try a round's packets",
            Unit::Seconds,
            self.assess_seconds.clone(),
        );
        registry.register(
            "rounds_unassessed",
            "Rounds that went on with the fast checks only",
            self.unassessed.clone(),
        );
        registry.register(
            "packets_excluded",
            "Packets left out of the merge, by reason",
            self.excluded.clone(),
        );
        registry.register_with_unit(
            "store_duration",
            "Time to make one packet durable",
            Unit::Seconds,
            self.store_seconds.clone(),
        );
        registry.register_with_unit(
            "transferred",
            "Packets in, blobs out",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "held_out_loss",
            "Newest held-out loss in nats per token",
            self.held_out_loss.clone(),
        );
        registry.register(
            "storage_errors",
            "Failed reads and writes",
            self.storage_errors.clone(),
        );
        registry.register(
            "blobs_altered",
            "Requests for a blob that was altered on disk",
            self.altered_blobs.clone(),
        );
        self.ledger.register(registry);
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Refusals so far by code, those that happened, in the order of their names.
    #[must_use]
    pub fn refusals(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(String, u64)> = ALL_CODES
            .into_iter()
            .map(|code| {
                let label = Code::from(code);
                let count = self.rejected.get_or_create(&label).get();
                (label.code, count)
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        all.sort();
        all
    }

    pub fn reject(&self, code: ErrorCode) {
        self.rejected.get_or_create(&code.into()).inc();
    }

    pub fn bad_frame(&self, code: ErrorCode) {
        self.bad_frames.get_or_create(&code.into()).inc();
    }

    pub fn transferred(&self, direction: &Direction, bytes: u64) {
        self.bytes.get_or_create(direction).inc_by(bytes);
    }
}

const ALL_CODES: [ErrorCode; 16] = [
    ErrorCode::Malformed,
    ErrorCode::TooLarge,
    ErrorCode::Protocol,
    ErrorCode::Signature,
    ErrorCode::WrongRun,
    ErrorCode::StaleRound,
    ErrorCode::FutureRound,
    ErrorCode::WrongBase,
    ErrorCode::Duplicate,
    ErrorCode::NotCommitted,
    ErrorCode::Quota,
    ErrorCode::RoundFull,
    ErrorCode::Replaced,
    ErrorCode::NotFound,
    ErrorCode::Busy,
    ErrorCode::Unavailable,
    ErrorCode::Mirror,
];

/// Seconds of a duration, for histograms.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_the_code_on_the_wire() {
        let metrics = Metrics::default();
        metrics.reject(ErrorCode::StaleRound);
        metrics.reject(ErrorCode::StaleRound);
        metrics.bad_frame(ErrorCode::Malformed);
        let text = metrics.encode();
        assert!(text.contains("covey_packets_rejected_total{code=\"stale_round\"} 2"));
        assert!(text.contains("covey_frames_rejected_total{code=\"malformed\"} 1"));
        assert_eq!(metrics.refusals(), [("stale_round".to_owned(), 2)]);
    }
}
