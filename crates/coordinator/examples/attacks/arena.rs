//! A run in one process: real inner loops, real packets, the real assessment and merge; only the network
//! and the clock are left out. Some of the volunteers are hostile ([`Kind`]).
//!
//! What a reader would get wrong: hostile peers here know more than they could in reality. Copiers see
//! the packets of the very round, which a coordinator shows nobody, and everyone may sign anything with
//! the current base hash.

use std::collections::BTreeMap;

use covey_compression::SparseUpdate;
use covey_coordinator::{
    assessment::{Assessment, Closed, Received},
    engine::Engine,
};
use covey_protocol::{
    Hash, Round, VolunteerId, packet::PacketHeader, record::ExclusionReason, run::RunSpec, update,
};
use covey_rounds::Acceptance;
use covey_scoring::Book;
use covey_training::{device, evaluate::Evaluator};

use crate::{
    Failure,
    corpus::Corpus,
    kinds::Kind,
    peers::{self, Peer, Scene},
};

/// One run with its volunteers.
pub struct Arena<'a> {
    engine: Engine,
    corpus: &'a Corpus,
    /// Without it everything that decodes is merged.
    assessment: Option<Assessment>,
    evaluator: Evaluator,
    pub peers: Vec<Peer>,
    pub book: Book,
    theta: Vec<f32>,
    round: Round,
    merged: Vec<SparseUpdate>,
    /// Rounds in which anyone earned anything.
    pub paid_rounds: u32,
    /// Incentive weights after each round, by volunteer.
    pub said: Vec<Vec<u16>>,
    pub verbose: bool,
}

impl<'a> Arena<'a> {
    pub fn new(
        spec: RunSpec,
        corpus: &'a Corpus,
        kinds: &[Kind],
        assessed: bool,
        sequences: usize,
    ) -> Result<Self, Failure> {
        spec.validate()?;
        let engine = Engine::new(spec)?;
        let spec = engine.spec();
        let device = device::cpu();
        let theta = engine.initial_weights();
        let peers = (1u8..)
            .zip(kinds)
            .map(|(number, kind)| Peer::new(number, *kind, spec, &device))
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            assessment: assessed.then(|| {
                let (manifest, held_out) = (corpus.manifest.clone(), corpus.held_out.clone());
                Assessment::new(&engine, manifest, held_out, 8)
            }),
            evaluator: Evaluator::new(&spec.model, &corpus.held_out, sequences, &device)?,
            engine,
            corpus,
            peers,
            book: Book::default(),
            theta,
            round: Round(0),
            merged: Vec::new(),
            paid_rounds: 0,
            said: Vec::new(),
            verbose: false,
        })
    }

    pub fn loss(&self) -> Result<f32, Failure> {
        Ok(pollster::block_on(self.evaluator.loss(&self.theta))?)
    }

    /// Incentive weights as they stand.
    pub fn weights(&self) -> Result<Vec<(VolunteerId, u16)>, Failure> {
        match &self.assessment {
            Some(assessment) => Ok(self.book.weights(assessment.rules())?),
            None => Ok(Vec::new()),
        }
    }

    /// One round from training to the merge.
    pub fn round(&mut self) -> Result<(), Failure> {
        let seed = Hash::of(&self.round.0.to_le_bytes());
        let probe = Hash::of(&[&b"probe"[..], &self.round.0.to_le_bytes()].concat());
        let base = Hash::of_weights(&self.theta);
        let scene = Scene {
            engine: &self.engine,
            corpus: self.corpus,
            theta: &self.theta,
            round: self.round,
            seed,
            merged: &self.merged,
        };
        let payloads = peers::payloads(&mut self.peers, &scene)?;

        let mut packets: Vec<(Received, Vec<u8>)> = Vec::new();
        for (number, (peer, payload)) in self.peers.iter_mut().zip(payloads).enumerate() {
            let header = PacketHeader {
                run: self.engine.run(),
                volunteer: peer.identity.id(),
                round: self.round,
                base,
                inner_steps: self.engine.spec().inner.steps,
                tokens: 1,
                first_loss: 1.0,
                last_loss: 1.0,
            };
            let sealed = header.seal(&payload, &peer.identity)?;
            let Ok(packet) = self.engine.inspect(&sealed) else {
                peer.refused += 1;
                continue;
            };
            let acceptance = Acceptance {
                round: self.round,
                volunteer: packet.header.volunteer,
                packet: packet.hash(),
                inner_steps: packet.header.inner_steps,
                tokens: packet.header.tokens,
                partner: None,
                // Copies need what they copy.
                received_at_ms: 1000 * u64::from(!peer.kind.trains()) + number as u64,
            };
            packets.push((Received::open(&self.engine, acceptance, &sealed)?, sealed));
        }
        packets.sort_by_key(|(received, _)| received.acceptance.received_at_ms);
        let (received, sealed): (Vec<Received>, Vec<Vec<u8>>) = packets.into_iter().unzip();
        let out = self.judge(&received, seed, probe)?;
        let mut chosen: Vec<(&Received, &Vec<u8>)> = received
            .iter()
            .zip(&sealed)
            .filter(|(received, _)| !out.contains_key(&received.acceptance.volunteer))
            .collect();
        chosen.sort_by_key(|(received, _)| received.acceptance.volunteer);
        if !chosen.is_empty() {
            let sealed: Vec<&Vec<u8>> = chosen.iter().map(|(_, sealed)| *sealed).collect();
            self.engine
                .merge(&mut self.theta, self.round, &base, &update::encode(&sealed))?;
        }
        self.merged = chosen
            .iter()
            .map(|(received, _)| received.update.clone())
            .collect();
        self.tally(&received, &out)?;
        self.round = self.round.next();
        Ok(())
    }

    fn judge(
        &mut self,
        received: &[Received],
        seed: Hash,
        probe: Hash,
    ) -> Result<BTreeMap<VolunteerId, ExclusionReason>, Failure> {
        let Some(assessment) = &self.assessment else {
            return Ok(BTreeMap::new());
        };
        let here: Vec<VolunteerId> = received.iter().map(|r| r.acceptance.volunteer).collect();
        let missing: Vec<VolunteerId> = self
            .peers
            .iter()
            .map(|peer| peer.identity.id())
            .filter(|name| !here.contains(name))
            .collect();
        let closed = Closed {
            round: self.round,
            seed,
            probe,
            theta: &self.theta,
            packets: received,
            missing: &missing,
            last_round: &self.merged,
            replicas: &[],
        };
        let screened = assessment.screen(&self.book, &closed);
        let measured =
            assessment.measure(&self.book, &closed, &screened, &self.corpus.train, || true);
        let evaluations = pollster::block_on(measured)?;
        if self.verbose {
            self.explain(received, &evaluations);
        }
        let verdicts = assessment.conclude(&mut self.book, &closed, &screened, &evaluations);
        Ok(verdicts.excluded.into_iter().collect())
    }

    fn explain(
        &self,
        received: &[Received],
        evaluations: &BTreeMap<VolunteerId, covey_scoring::Evaluation>,
    ) {
        let mut lines = Vec::new();
        for one in received {
            let name = one.acceptance.volunteer;
            let Some(peer) = self.peers.iter().find(|p| p.identity.id() == name) else {
                continue;
            };
            let earlier = received
                .iter()
                .filter(|other| other.acceptance.received_at_ms < one.acceptance.received_at_ms);
            let (overlap, cosine) = earlier
                .map(|other| other.update.similarity(&one.update))
                .chain(
                    self.merged
                        .iter()
                        .map(|other| other.similarity(&one.update)),
                )
                .fold((0f64, 0f64), |(o, c), s| {
                    (o.max(s.overlap), c.max(s.cosine))
                });
            let gain = evaluations.get(&name);
            let (own, random) = gain.map_or((f64::NAN, f64::NAN), |e| (e.own, e.random));
            let page = self.book.peer(&name);
            let (mu, sigma, b) = page.map_or((0.0, 0.0, 0.0), |p| {
                (p.rating.mu, p.rating.sigma, p.computation.average)
            });
            lines.push(format!(
                "  {:20} own {own:9.5} random {random:9.5} overlap {overlap:.3} cosine {cosine:.3} \
                 mu {mu:6.2} sigma {sigma:5.2} b {b:6.3}",
                peer.kind.name()
            ));
        }
        lines.sort();
        eprintln!("round {}\n{}", self.round, lines.join("\n"));
    }

    fn tally(
        &mut self,
        received: &[Received],
        out: &BTreeMap<VolunteerId, ExclusionReason>,
    ) -> Result<(), Failure> {
        let weights: BTreeMap<VolunteerId, u16> = self.weights()?.into_iter().collect();
        let total: f64 = weights.values().map(|w| f64::from(*w)).sum();
        self.paid_rounds += u32::from(total > 0.0);
        let by_volunteer = self.peers.iter().map(|peer| peer.identity.id());
        self.said.push(
            by_volunteer
                .map(|name| weights.get(&name).copied().unwrap_or(0))
                .collect(),
        );
        for peer in &mut self.peers {
            let name = peer.identity.id();
            if let Some(reason) = out.get(&name) {
                *peer.excluded.entry(*reason).or_default() += 1;
            } else if received.iter().any(|r| r.acceptance.volunteer == name) {
                peer.merged += 1;
            }
            if total > 0.0 {
                let weight = weights.get(&name).copied().unwrap_or(0);
                peer.earned += f64::from(weight) / total;
            }
        }
        Ok(())
    }
}
