//! Which of a round's packets are worth merging: from sealed bytes to the book's verdicts.
//!
//! 1. [`Assessment::screen`]: the fast checks, the bans and the replays. Milliseconds.
//! 2. [`Assessment::measure`]: each packet that is left is tried on the weights, alone. Seconds; it may
//!    be cut short, and whoever was not measured is judged without it.
//! 3. [`Assessment::conclude`]: the book takes the evidence in and decides.
//!
//! What a reader would get wrong: none of this is part of what others must repeat bit for bit. The
//! record names what was merged and what was left out; anyone can repeat the merge, and can question an
//! exclusion by measuring the packet, but the coordinator's floats are its own.
//!
//! Formulas and thresholds are in `covey-scoring`, the measurement in `covey-training`.

use std::collections::{BTreeMap, BTreeSet};

use covey_compression::SparseUpdate;
use covey_protocol::{
    Hash, Round, VolunteerId,
    corpus::Manifest,
    packet::Packet,
    record::{Agreement, Exclusion, ExclusionReason, Replica},
};
use covey_rounds::{Acceptance, Pair};
use covey_scoring::{
    Book, Checks, Delivered, Evaluation, Evidence, Finding, Rules, Tolerance, Verdicts, Work,
    loss::{EVALUATION_SHARE, loss_score},
};
use covey_training::{
    TrainingError,
    assess::{Assessor, Losses, Measured, Trial, held_out_sample, sequences_for},
    data::Assignment,
    device,
};

use crate::engine::Engine;

/// An acknowledged packet, decoded.
#[derive(Clone, Debug)]
pub struct Received {
    pub acceptance: Acceptance,
    pub update: SparseUpdate,
    /// Hash of the payload without its envelope.
    pub payload: Hash,
}

impl Received {
    /// Opens a packet that [`Engine::inspect`] has let in.
    ///
    /// # Errors
    /// When the bytes are no longer what was let in.
    pub fn open(
        engine: &Engine,
        acceptance: Acceptance,
        sealed: &[u8],
    ) -> Result<Self, TrainingError> {
        let packet = Packet::open(sealed)?;
        Ok(Self {
            acceptance,
            update: engine.codec().decode(packet.payload)?,
            payload: Hash::of(packet.payload),
        })
    }
}

/// A closed round, waiting for its verdicts.
#[derive(Clone, Debug)]
pub struct Closed<'a> {
    pub round: Round,
    /// Seed of the round's assignments.
    pub seed: Hash,
    /// Seed of what is looked at; nobody knew it while the round was open.
    pub probe: Hash,
    /// The round's base weights.
    pub theta: &'a [f32],
    /// In the order in which they were committed to.
    pub packets: &'a [Received],
    /// Volunteers that stayed to the end, or committed, and delivered nothing.
    pub missing: &'a [VolunteerId],
    /// What was merged in the round before.
    pub last_round: &'a [SparseUpdate],
    /// Whose packet is another one's work, computed again.
    pub replicas: &'a [Pair],
}

impl Closed<'_> {
    fn packet(&self, volunteer: &VolunteerId) -> Option<&Received> {
        let mut packets = self.packets.iter();
        packets.find(|received| received.acceptance.volunteer == *volunteer)
    }

    /// Whose data a volunteer worked on.
    fn data_of(&self, volunteer: &VolunteerId) -> VolunteerId {
        let pair = self.replicas.iter().find(|pair| pair.by == *volunteer);
        pair.map_or(*volunteer, |pair| pair.of)
    }

    /// Whether a packet is there twice, this being the one that was computed again.
    fn is_second(&self, volunteer: &VolunteerId) -> bool {
        let of = self.data_of(volunteer);
        of != *volunteer && self.packet(&of).is_some()
    }

    /// What comparing the replicas with their originals shows. Unequal numbers of steps show nothing.
    #[must_use]
    pub fn compare(&self) -> Vec<Replica> {
        let compared = |pair: &Pair| {
            let (one, other) = (self.packet(&pair.of)?, self.packet(&pair.by)?);
            let agreement = if one.acceptance.inner_steps == other.acceptance.inner_steps {
                Tolerance::between(pair.backends).compare(&one.update, &other.update)
            } else {
                Agreement::Open
            };
            Some(Replica {
                of: pair.of,
                by: pair.by,
                agreement,
            })
        };
        self.replicas.iter().filter_map(compared).collect()
    }
}

/// Outcome of the fast checks for one packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Screened {
    pub finding: Finding,
    /// Why it is out already.
    pub out: Option<ExclusionReason>,
}

/// Everything an assessment needs that does not change from round to round.
pub struct Assessment {
    engine: Engine,
    manifest: Manifest,
    held_out: Vec<u16>,
    rules: Rules,
    checks: Checks,
    assessor: Assessor,
    sequences: usize,
}

impl Assessment {
    /// `held_out` are tokens nobody trains on; `sequences` bounds how many of each kind a packet is
    /// measured on.
    #[must_use]
    pub fn new(engine: &Engine, manifest: Manifest, held_out: Vec<u16>, sequences: usize) -> Self {
        let model = &engine.spec().model;
        Self {
            assessor: Assessor::new(model, engine.codec(), &device::cpu()),
            sequences: sequences.min(sequences_for(model)).max(1),
            rules: rules(engine),
            checks: Checks::default(),
            engine: engine.clone(),
            manifest,
            held_out,
        }
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The fast checks, one outcome per packet in the same order.
    #[must_use]
    pub fn screen(&self, book: &Book, closed: &Closed<'_>) -> Vec<Screened> {
        // A replica resembles its original, as it should.
        let second = |received: &Received| closed.is_second(&received.acceptance.volunteer);
        let packets: Vec<&SparseUpdate> = closed
            .packets
            .iter()
            .filter(|received| !second(received))
            .map(|received| &received.update)
            .collect();
        let findings = self
            .checks
            .judge(closed.round.0, &packets, closed.last_round);
        let disputed: BTreeSet<VolunteerId> = closed
            .compare()
            .iter()
            .filter(|replica| replica.agreement == Agreement::Disputed)
            .map(|replica| replica.of)
            .collect();
        let mut findings = findings.into_iter();
        closed
            .packets
            .iter()
            .map(|received| {
                let volunteer = &received.acceptance.volunteer;
                let found = if second(received) {
                    None
                } else {
                    findings.next()
                };
                let Some(mut finding) = found else {
                    return Screened {
                        finding: Finding::CLEAR,
                        out: Some(ExclusionReason::Replica),
                    };
                };
                if disputed.contains(volunteer) {
                    finding.fault = finding.fault.or(Some(ExclusionReason::Disputed));
                }
                let out = book.screen(closed.round, volunteer, &received.payload, &finding);
                Screened { finding, out }
            })
            .collect()
    }

    /// Numbers of the training shards that [`measure`](Self::measure) looks into.
    ///
    /// # Errors
    /// When the corpus has no shard that is long enough.
    pub fn shards(
        &self,
        closed: &Closed<'_>,
        screened: &[Screened],
    ) -> Result<BTreeSet<usize>, TrainingError> {
        let mut shards = BTreeSet::new();
        for (received, _) in passed(closed, screened) {
            shards.extend(self.assignment(closed, received)?.shards);
        }
        Ok(shards)
    }

    fn assignment(
        &self,
        closed: &Closed<'_>,
        received: &Received,
    ) -> Result<Assignment, TrainingError> {
        Assignment::new(
            self.engine.spec(),
            &self.manifest,
            &closed.seed,
            &closed.data_of(&received.acceptance.volunteer),
            closed.round,
        )
    }

    /// Tries the packets that passed, in the book's order, until `go_on` says no. One outcome per
    /// packet in their own order.
    ///
    /// # Errors
    /// When a shard is missing from `tokens` or the device fails.
    pub async fn measure(
        &self,
        book: &Book,
        closed: &Closed<'_>,
        screened: &[Screened],
        tokens: &BTreeMap<usize, Vec<u16>>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<BTreeMap<VolunteerId, Evaluation>, TrainingError> {
        let context = self.engine.spec().model.context;
        let random = held_out_sample(&self.held_out, context, self.sequences, &closed.probe)?;
        let by_name: BTreeMap<VolunteerId, &Received> = passed(closed, screened)
            .map(|(received, _)| (received.acceptance.volunteer, received))
            .collect();
        let names: Vec<VolunteerId> = by_name.keys().copied().collect();
        let mut field = Vec::with_capacity(names.len());
        for name in book.turns(&names) {
            if let Some(received) = by_name.get(&name) {
                let own = self.assignment(closed, received)?.sample(
                    received.acceptance.inner_steps as usize,
                    self.sequences,
                    &closed.probe,
                    tokens,
                )?;
                field.push((name, *received, own));
            }
        }
        let trials: Vec<Trial<'_>> = field
            .iter()
            .map(|(_, received, own)| Trial {
                update: &received.update,
                own,
            })
            .collect();
        let rate = EVALUATION_SHARE as f32 * self.engine.spec().outer.lr;
        let measured = self
            .assessor
            .measure(closed.theta, rate, &trials, &random, async || go_on())
            .await?;
        Ok(field
            .iter()
            .zip(measured)
            .filter_map(|((name, ..), measured)| Some((*name, evaluation(&measured?))))
            .collect())
    }

    /// What the round's evidence comes to; the book has taken it in.
    pub fn conclude(
        &self,
        book: &mut Book,
        closed: &Closed<'_>,
        screened: &[Screened],
        evaluations: &BTreeMap<VolunteerId, Evaluation>,
    ) -> Verdicts {
        let steps = f64::from(self.engine.spec().inner.steps.max(1));
        let delivered = closed
            .packets
            .iter()
            .zip(screened)
            .map(|(received, screened)| {
                let Acceptance {
                    volunteer,
                    inner_steps,
                    ..
                } = received.acceptance;
                let work = if screened.out == Some(ExclusionReason::Replica) {
                    Work::Recomputed
                } else {
                    Work::Delivered(Delivered {
                        payload: received.payload,
                        claimed: f64::from(inner_steps) / steps,
                        finding: screened.finding,
                        evaluation: evaluations.get(&volunteer).copied(),
                    })
                };
                Evidence { volunteer, work }
            });
        let missing = closed.missing.iter().map(|volunteer| Evidence {
            volunteer: *volunteer,
            work: Work::Missing,
        });
        // Delivered last: whoever is on both lists did deliver.
        let evidence: Vec<Evidence> = missing.chain(delivered).collect();
        book.observe(&self.rules, closed.round, &evidence)
    }
}

/// The rules of a run: Gauntlet's, with the run's own limit of packets in a merge.
#[must_use]
pub fn rules(engine: &Engine) -> Rules {
    Rules {
        gather: engine.spec().rounds.max_contributions as usize,
        ..Rules::default()
    }
}

/// The fast checks' exclusions alone.
#[must_use]
pub fn screened_out(closed: &Closed<'_>, screened: &[Screened]) -> Vec<Exclusion> {
    let out = closed.packets.iter().zip(screened);
    out.filter_map(|(received, screened)| Some(exclusion(received, screened.out?)))
        .collect()
}

/// The verdicts' exclusions, as a record lists them.
#[must_use]
pub fn exclusions(closed: &Closed<'_>, verdicts: &Verdicts) -> Vec<Exclusion> {
    let reasons: BTreeMap<_, _> = verdicts.excluded.iter().copied().collect();
    let packets = closed.packets.iter();
    packets
        .filter_map(|received| {
            let reason = reasons.get(&received.acceptance.volunteer)?;
            Some(exclusion(received, *reason))
        })
        .collect()
}

fn exclusion(received: &Received, reason: ExclusionReason) -> Exclusion {
    Exclusion {
        volunteer: received.acceptance.volunteer,
        packet: received.acceptance.packet,
        reason,
    }
}

fn passed<'a>(
    closed: &Closed<'a>,
    screened: &'a [Screened],
) -> impl Iterator<Item = (&'a Received, &'a Screened)> {
    let packets: &'a [Received] = closed.packets;
    packets
        .iter()
        .zip(screened)
        .filter(|(_, screened)| screened.out.is_none())
}

fn evaluation(measured: &Measured) -> Evaluation {
    // A loss that is no number is what a destroyed model has.
    let score =
        |losses: &Losses| loss_score(losses.before, losses.after).unwrap_or(f64::NEG_INFINITY);
    Evaluation {
        own: score(&measured.own),
        random: score(&measured.random),
    }
}
