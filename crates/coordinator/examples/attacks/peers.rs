//! Simulated volunteers and what they send in a round.

use std::{collections::BTreeMap, thread};

use covey_compression::SparseUpdate;
use covey_coordinator::engine::Engine;
use covey_protocol::{Hash, Identity, Round, record::ExclusionReason, run::RunSpec};
use covey_training::{
    Device,
    data::Assignment,
    inner::{InnerLoop, OptimiserState},
    outer::pseudo_gradient,
};

use crate::{
    Failure,
    corpus::Corpus,
    kinds::{Kind, Sources, distort},
};

/// One simulated volunteer and what became of its packets.
pub struct Peer {
    pub kind: Kind,
    pub identity: Identity,
    inner: InnerLoop,
    feedback: Vec<f32>,
    /// The last packet it made by training.
    kept: Option<Vec<u8>>,
    /// Packets that never got a receipt.
    pub refused: u64,
    pub merged: u64,
    pub excluded: BTreeMap<ExclusionReason, u64>,
    /// Sum of its incentive weights, each a share of its round's total.
    pub earned: f64,
}

/// Where everyone stands when a round opens.
pub struct Scene<'a> {
    pub engine: &'a Engine,
    pub corpus: &'a Corpus,
    pub theta: &'a [f32],
    pub round: Round,
    pub seed: Hash,
    /// What was merged the round before.
    pub merged: &'a [SparseUpdate],
}

/// What everyone sends.
pub fn payloads(peers: &mut [Peer], scene: &Scene<'_>) -> Result<Vec<Vec<u8>>, Failure> {
    let deltas = train(peers, scene)?;
    let codec = scene.engine.codec();
    let limit = codec.config().value_limit;
    let honest: Vec<usize> = (0..peers.len())
        .filter(|i| peers[*i].kind == Kind::Honest)
        .collect();
    let model = honest.first().copied().ok_or("somebody must be honest")?;
    let typical = deltas[model].clone().ok_or("honest peers train")?;

    // Whoever trains comes first, so that copiers have something to copy.
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for (peer, delta) in peers.iter_mut().zip(&deltas) {
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
    for (number, peer) in peers.iter().enumerate() {
        let victim = honest[number % honest.len()];
        let sources = Sources {
            codec,
            typical: &typical,
            victim: &payloads[victim],
            late: scene.merged.get(number % scene.merged.len().max(1)),
        };
        let seed = (scene.round.0 << 16) | number as u64;
        if let Some(forged) = sources.forge(peer.kind, seed)? {
            payloads[number] = forged;
        }
    }
    Ok(payloads)
}

/// Pseudo-gradients of those who train, on as many threads as there are processors.
fn train(peers: &mut [Peer], scene: &Scene<'_>) -> Result<Vec<Option<Vec<f32>>>, Failure> {
    let count = peers.len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut shares: Vec<Vec<(usize, &mut Peer)>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        shares[number % threads].push((number, peer));
    }
    let mut deltas: Vec<Option<Vec<f32>>> = thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| {
                scope.spawn(move || {
                    share
                        .into_iter()
                        .map(|(number, peer)| Ok((number, peer.train(scene)?)))
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
    deltas.resize(count, None);
    Ok(deltas)
}

impl Peer {
    pub fn new(number: u8, kind: Kind, spec: &RunSpec, device: &Device) -> Result<Self, Failure> {
        let parameters = usize::try_from(spec.model.parameters())?;
        Ok(Self {
            kind,
            identity: Identity::from_secret([number; 32]),
            inner: InnerLoop::new(spec, device, &OptimiserState::default())?,
            feedback: vec![0.0; parameters],
            kept: None,
            refused: 0,
            merged: 0,
            excluded: BTreeMap::new(),
            earned: 0.0,
        })
    }

    fn train(&mut self, scene: &Scene<'_>) -> Result<Option<Vec<f32>>, Failure> {
        if !self.kind.trains() || (self.kind == Kind::Stale && self.kept.is_some()) {
            return Ok(None);
        }
        let spec = scene.engine.spec();
        let (seed, asked) = match self.kind {
            Kind::WrongShard => (Hash::of(b"mine"), Round(0)),
            _ => (scene.seed, scene.round),
        };
        let work = Assignment::new(
            spec,
            &scene.corpus.manifest,
            &seed,
            &self.identity.id(),
            asked,
        )?;
        let steps = match self.kind {
            Kind::Lazy => spec.inner.steps.div_ceil(10),
            _ => spec.inner.steps,
        };
        self.inner.begin(scene.round, scene.theta)?;
        for step in 0..steps as usize {
            self.inner.step(&work.batch(step, &scene.corpus.train)?);
        }
        let finished = pollster::block_on(self.inner.finish())?;
        Ok(Some(pseudo_gradient(scene.theta, &finished.theta)?))
    }
}
