//! A run in one process: real inner loops, real packets, the real assessment and merge; only the network
//! and the clock are left out. Some of the volunteers are hostile ([`Kind`]).
//!
//! What a reader would get wrong: hostile peers here know more than they could in reality. Copiers see
//! the packets of the very round, which a coordinator shows nobody, and everyone may sign anything with
//! the current base hash.

use std::{collections::BTreeMap, path::Path, thread};

use covey_compression::SparseUpdate;
use covey_coordinator::{
    assessment::{Assessment, Closed, Received},
    engine::Engine,
};
use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    corpus::{Manifest, Shard, decode_shard},
    packet::PacketHeader,
    record::ExclusionReason,
    run::RunSpec,
    update,
};
use covey_rounds::Acceptance;
use covey_scoring::Book;
use covey_training::{
    data::Assignment,
    device,
    evaluate::Evaluator,
    inner::{InnerLoop, OptimiserState},
    outer::pseudo_gradient,
};

#[path = "kinds.rs"]
mod kinds;

pub use kinds::Kind;
use kinds::{Sources, distort};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A corpus, read whole.
pub struct Corpus {
    pub manifest: Manifest,
    pub train: BTreeMap<usize, Vec<u16>>,
    pub held_out: Vec<u16>,
}

impl Corpus {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::from_json(&std::fs::read(folder.join("manifest.json"))?)?;
        let read = |shard: &Shard| -> Result<Vec<u16>, Failure> {
            let bytes = std::fs::read(folder.join("blobs").join(shard.hash.to_string()))?;
            Ok(decode_shard(shard, manifest.vocabulary_size, &bytes)?)
        };
        let train = manifest.train.iter().enumerate();
        Ok(Self {
            train: train
                .map(|(number, shard)| Ok((number, read(shard)?)))
                .collect::<Result<_, Failure>>()?,
            held_out: manifest
                .held_out
                .iter()
                .map(read)
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
            manifest,
        })
    }
}

/// One simulated volunteer and what became of its packets.
pub struct Peer {
    pub kind: Kind,
    pub identity: Identity,
    inner: InnerLoop,
    feedback: Vec<f32>,
    kept: Option<Vec<u8>>,
    /// Packets that never got a receipt.
    pub refused: u64,
    pub merged: u64,
    pub excluded: BTreeMap<ExclusionReason, u64>,
    /// Sum of its incentive weights, each a share of its round's total.
    pub earned: f64,
}

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
            .map(|(number, kind)| {
                Ok(Peer {
                    kind: *kind,
                    identity: Identity::from_secret([number; 32]),
                    inner: InnerLoop::new(spec, &device, &OptimiserState::default())?,
                    feedback: vec![0.0; theta.len()],
                    kept: None,
                    refused: 0,
                    merged: 0,
                    excluded: BTreeMap::new(),
                    earned: 0.0,
                })
            })
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
        let payloads = self.payloads(&seed)?;

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

    /// What everyone sends.
    fn payloads(&mut self, seed: &Hash) -> Result<Vec<Vec<u8>>, Failure> {
        let deltas = self.train(seed)?;
        let codec = self.engine.codec().clone();
        let limit = codec.config().value_limit;
        let honest: Vec<usize> = (0..self.peers.len())
            .filter(|i| self.peers[*i].kind == Kind::Honest)
            .collect();
        let model = honest.first().copied().ok_or("somebody must be honest")?;
        let typical = deltas[model].clone().ok_or("honest peers train")?;

        // Whoever trains comes first, so that copiers have something to copy.
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        for (peer, delta) in self.peers.iter_mut().zip(&deltas) {
            payloads.push(match delta {
                Some(delta) => {
                    let sent = distort(peer.kind, delta, limit);
                    let kept = match peer.kind {
                        Kind::Scaled => vec![0.0; delta.len()],
                        _ => peer.feedback.clone(),
                    };
                    let compressed = codec.compress(&sent, &kept)?;
                    peer.feedback = compressed.sent_feedback;
                    peer.kept = Some(compressed.payload.clone());
                    compressed.payload
                }
                // The stale one has nothing new; copiers and inventors get theirs below.
                None => peer.kept.clone().unwrap_or_default(),
            });
        }
        for (number, peer) in self.peers.iter().enumerate() {
            let victim = honest[number % honest.len()];
            let sources = Sources {
                codec: &codec,
                typical: &typical,
                victim: &payloads[victim],
                late: self.merged.get(number % self.merged.len().max(1)),
            };
            let seed = (self.round.0 << 16) | number as u64;
            if let Some(forged) = sources.forge(peer.kind, seed)? {
                payloads[number] = forged;
            }
        }
        Ok(payloads)
    }

    /// Pseudo-gradients of those who train, on as many threads as there are processors.
    fn train(&mut self, seed: &Hash) -> Result<Vec<Option<Vec<f32>>>, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (engine, corpus, theta, round) = (&self.engine, self.corpus, &self.theta, self.round);
        let mut shares: Vec<Vec<(usize, &mut Peer)>> = (0..threads).map(|_| Vec::new()).collect();
        for (number, peer) in self.peers.iter_mut().enumerate() {
            shares[number % threads].push((number, peer));
        }
        let mut deltas: Vec<Option<Vec<f32>>> = thread::scope(|scope| {
            let workers: Vec<_> = shares
                .into_iter()
                .map(|share| {
                    scope.spawn(move || {
                        share
                            .into_iter()
                            .map(|(number, peer)| {
                                Ok((number, peer.train(engine, corpus, theta, round, seed)?))
                            })
                            .collect::<Result<Vec<_>, Failure>>()
                    })
                })
                .collect();
            let mut all = Vec::new();
            for worker in workers {
                all.extend(worker.join().map_err(|_| "a training thread panicked")??);
            }
            all.sort_by_key(|(number, _)| *number);
            Ok::<_, Failure>(all.into_iter().map(|(_, delta)| delta).collect())
        })?;
        deltas.resize(self.peers.len(), None);
        Ok(deltas)
    }
}

impl Peer {
    fn train(
        &mut self,
        engine: &Engine,
        corpus: &Corpus,
        theta: &[f32],
        round: Round,
        seed: &Hash,
    ) -> Result<Option<Vec<f32>>, Failure> {
        if !self.kind.trains() || (self.kind == Kind::Stale && self.kept.is_some()) {
            return Ok(None);
        }
        let spec = engine.spec();
        let (seed, asked) = match self.kind {
            Kind::WrongShard => (Hash::of(b"mine"), Round(0)),
            _ => (*seed, round),
        };
        let work = Assignment::new(spec, &corpus.manifest, &seed, &self.identity.id(), asked)?;
        let steps = match self.kind {
            Kind::Lazy => spec.inner.steps.div_ceil(10),
            _ => spec.inner.steps,
        };
        self.inner.begin(round, theta)?;
        for step in 0..steps as usize {
            self.inner.step(&work.batch(step, &corpus.train)?);
        }
        let finished = pollster::block_on(self.inner.finish())?;
        Ok(Some(pseudo_gradient(theta, &finished.theta)?))
    }
}
