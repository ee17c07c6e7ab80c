//! The ledger's numbers for the operator.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Label of a refusal: the rule's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Name {
    name: String,
}

/// What the ledger did since the start.
#[derive(Default)]
pub struct LedgerMetrics {
    pub entries: Gauge,
    pub height: Gauge,
    pub epochs: Counter,
    pub accepted: Counter,
    pub refused: Family<Name, Counter>,
    pub sockets: Gauge,
    pub slow_sockets: Counter,
}

impl LedgerMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("ledger");
        registry.register("entries", "Entries in the journal", self.entries.clone());
        registry.register("height", "Height of the last entry", self.height.clone());
        registry.register("epochs", "Epochs recorded", self.epochs.clone());
        registry.register(
            "actions_accepted",
            "Signed actions and sessions recorded",
            self.accepted.clone(),
        );
        registry.register(
            "actions_refused",
            "Signed actions and sessions refused, by rule",
            self.refused.clone(),
        );
        registry.register("sockets", "Open ledger sockets", self.sockets.clone());
        registry.register(
            "slow_sockets",
            "Ledger sockets dropped because they read too slowly",
            self.slow_sockets.clone(),
        );
    }

    pub fn refuse(&self, name: &str) {
        let name = name.to_owned();
        self.refused.get_or_create(&Name { name }).inc();
    }
}
