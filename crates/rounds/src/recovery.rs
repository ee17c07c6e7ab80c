//! Starting, at first and after a restart, from what is on disk.
//!
//! Joins and deadlines are not on disk: volunteers reconnect and join again within seconds. So that the
//! first of them to return does not close the round over the heads of the others, a recovered round does
//! not close early for a while. One that holds acknowledged commitments runs its window anew, since it
//! must close even if nobody returns. That also takes new commitments once more, which is harmless:
//! nothing of the round was readable before the crash.

use std::collections::BTreeMap;

use covey_protocol::{Hash, Round};

use crate::{
    Acceptance, Effect, Phase, Pledge, RoundsMachine, Settings, Trust,
    machine::{HISTORY_ROUNDS, Place, Promise, Storage},
    presence::Members,
    replication::Draw,
};

/// How long a recovered round waits for volunteers to return before it may close early.
const HOLD_MS: u64 = 20_000;

/// What survives a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The open round: one after the last record.
    pub round: Round,
    /// Hash of its base weights.
    pub base: Hash,
    /// Hash of the last record.
    pub previous: Option<Hash>,
    /// Acknowledged commitments of the open round, in any order.
    pub pledges: Vec<Pledge>,
    /// Acknowledged packets of the open round, in any order.
    pub packets: Vec<Acceptance>,
    /// Acceptances of the last closed rounds, oldest first.
    pub receipts: Vec<Acceptance>,
    /// Weights after the last rounds, oldest first.
    pub history: Vec<(Round, Hash)>,
    /// Everyone's standing after all records.
    pub trust: Trust,
}

impl Snapshot {
    /// A run that has just been created.
    #[must_use]
    pub fn genesis(base: Hash) -> Self {
        Self {
            round: Round(0),
            base,
            previous: None,
            pledges: Vec::new(),
            packets: Vec::new(),
            receipts: Vec::new(),
            history: Vec::new(),
            trust: Trust::default(),
        }
    }
}

impl RoundsMachine {
    /// A machine that goes on from a snapshot, and what is to be done at once.
    #[must_use]
    pub fn recover(settings: Settings, snapshot: Snapshot, now_ms: u64) -> (Self, Vec<Effect>) {
        let Snapshot {
            round,
            base,
            previous,
            pledges,
            packets,
            receipts,
            history,
            trust,
        } = snapshot;
        let resumed = previous.is_some() || !pledges.is_empty();
        let promises: BTreeMap<_, _> = pledges
            .into_iter()
            .filter(|pledge| pledge.round == round)
            .map(|pledge| {
                let stored = true;
                (pledge.commitment.volunteer, Promise { pledge, stored })
            })
            .collect();
        let last = promises.values().map(|promise| promise.pledge.order).max();
        let places: BTreeMap<_, _> = packets
            .into_iter()
            .filter(|acceptance| acceptance.round == round)
            .map(|acceptance| {
                let place = Place {
                    acceptance,
                    state: Storage::Stored,
                };
                (acceptance.volunteer, place)
            })
            .collect();
        let skip = history.len().saturating_sub(HISTORY_ROUNDS);
        let mut machine = Self {
            now_ms,
            round,
            base,
            previous,
            phase: Phase::Idle,
            joined: BTreeMap::new(),
            hold_until_ms: if resumed {
                now_ms.saturating_add(HOLD_MS.min(settings.rounds.window_ms))
            } else {
                0
            },
            members: Members::new(settings.max_members),
            history: history.into_iter().skip(skip).collect(),
            receipts: receipts.into(),
            settings,
            next_order: last.map_or(0, |last| last.saturating_add(1)),
            promises,
            places,
            excluded: Vec::new(),
            replicas: Vec::new(),
            trust,
            draw: Draw::default(),
        };
        machine.deal();
        machine.forget_receipts();
        let mut effects = Vec::new();
        if !machine.promises.is_empty() || !machine.places.is_empty() {
            machine.start_window(&mut effects);
        }
        machine.advance(&mut effects);
        (machine, effects)
    }
}
