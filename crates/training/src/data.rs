//! From assigned ids to batches of token sequences.
//!
//! In each round a volunteer draws a few shards, then sequences within those shards only: the shard
//! count bounds its download whatever the corpus's size, while over the rounds it sees everything.
//! A sequence is `context + 1` tokens, so that every position but the last has a target.

use std::collections::BTreeMap;

use covey_protocol::{Hash, Round, VolunteerId, corpus::Manifest, run::RunSpec};

use crate::{
    TrainingError,
    sampling::{EVALUATION, SHARD, TRAIN, assign},
};

/// The work of one volunteer in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Numbers of the training shards to fetch.
    pub shards: Vec<usize>,
    /// Where each sequence starts, in the order they are trained on.
    sequences: Vec<(usize, usize)>,
    batch: usize,
    context: usize,
}

/// Sequences of one inner step: tokens and the tokens that follow them, `batch x context` each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub inputs: Vec<i32>,
    pub targets: Vec<i32>,
    pub sequences: usize,
    pub context: usize,
}

impl Assignment {
    /// The assignment of `volunteer` in a round whose seed is `seed`.
    pub fn new(
        spec: &RunSpec,
        manifest: &Manifest,
        seed: &Hash,
        volunteer: &VolunteerId,
        round: Round,
    ) -> Result<Self, TrainingError> {
        let context = spec.model.context;
        // Shards too short for one sequence are never drawn.
        let usable: Vec<(usize, usize)> = manifest
            .train
            .iter()
            .enumerate()
            .map(|(number, shard)| (number, sequences_in(shard.tokens as usize, context)))
            .filter(|(_, sequences)| *sequences > 0)
            .collect();
        let draw = |domain, n: usize, count| {
            assign(domain, &seed.0, &volunteer.0, round.0, n as u64, count)
        };
        let shards: Vec<(usize, usize)> = draw(SHARD, usable.len(), spec.inner.shards as usize)
            .into_iter()
            .filter_map(|i| usable.get(usize::try_from(i).ok()?).copied())
            .collect();
        let starts: Vec<(usize, usize)> = shards
            .iter()
            .flat_map(|(shard, sequences)| (0..*sequences).map(|i| (*shard, i * context)))
            .collect();
        if starts.is_empty() {
            return Err(TrainingError::NoSequences(context + 1));
        }
        let wanted = spec.inner.steps as usize * spec.inner.batch as usize;
        let drawn = draw(TRAIN, starts.len(), wanted);
        Ok(Self {
            shards: shards.into_iter().map(|(shard, _)| shard).collect(),
            // A corpus smaller than a round's work is seen more than once.
            sequences: drawn
                .iter()
                .cycle()
                .take(wanted)
                .filter_map(|i| starts.get(usize::try_from(*i).ok()?).copied())
                .collect(),
            batch: spec.inner.batch as usize,
            context,
        })
    }

    /// Positions with a target in each sequence.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The batch of an inner step.
    ///
    /// # Errors
    /// When a shard is missing from `tokens` or shorter than the manifest says.
    pub fn batch(
        &self,
        step: usize,
        tokens: &BTreeMap<usize, Vec<u16>>,
    ) -> Result<Batch, TrainingError> {
        let first = step * self.batch % self.sequences.len().max(1);
        self.collect(first..first + self.batch, tokens)
    }

    /// At most `count` of the sequences that the first `steps` inner steps train on, drawn with a seed
    /// that the volunteer must not have known while it trained.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    pub fn sample(
        &self,
        steps: usize,
        count: usize,
        seed: &Hash,
        tokens: &BTreeMap<usize, Vec<u16>>,
    ) -> Result<Batch, TrainingError> {
        let trained = (steps * self.batch).clamp(1, self.sequences.len().max(1));
        let drawn = assign(EVALUATION, &seed.0, b"own", 0, trained as u64, count);
        self.collect(drawn.into_iter().map(|number| number as usize), tokens)
    }

    fn collect(
        &self,
        numbers: impl Iterator<Item = usize>,
        tokens: &BTreeMap<usize, Vec<u16>>,
    ) -> Result<Batch, TrainingError> {
        let mut batch = Batch::empty(self.context);
        for number in numbers {
            let sequence = self
                .sequences
                .get(number % self.sequences.len().max(1))
                .and_then(|(shard, start)| {
                    tokens.get(shard)?.get(*start..*start + self.context + 1)
                })
                .ok_or(TrainingError::NoSequences(self.context + 1))?;
            batch.push(sequence);
        }
        Ok(batch)
    }
}

impl Batch {
    pub fn empty(context: usize) -> Self {
        Self {
            inputs: Vec::new(),
            targets: Vec::new(),
            sequences: 0,
            context,
        }
    }

    /// Appends a sequence of `context + 1` tokens.
    pub fn push(&mut self, sequence: &[u16]) {
        let wide = |tokens: &[u16]| tokens.iter().map(|t| i32::from(*t)).collect::<Vec<_>>();
        if let (Some((_, targets)), Some((_, inputs))) =
            (sequence.split_first(), sequence.split_last())
        {
            self.inputs.extend(wide(inputs));
            self.targets.extend(wide(targets));
            self.sequences += 1;
        }
    }

    /// Positions that have a target.
    pub fn tokens(&self) -> usize {
        self.targets.len()
    }
}

/// Whole sequences in a shard.
pub fn sequences_in(tokens: usize, context: usize) -> usize {
    tokens.saturating_sub(1) / context.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use covey_protocol::{
        corpus::{MANIFEST_VERSION, Shard},
        model::Preset,
        run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec},
    };

    fn spec() -> RunSpec {
        RunSpec {
            name: "test".into(),
            seed: Hash([0; 32]),
            model: Preset::Tiny.config(),
            corpus: Hash([0; 32]),
            inner: InnerSpec::default(),
            compression: CompressionSpec::default(),
            outer: OuterSpec::default(),
            rounds: RoundSpec::default(),
        }
    }

    fn manifest(train: &[u32]) -> Manifest {
        let shard = |tokens: &u32| Shard {
            hash: Hash([0; 32]),
            tokens: *tokens,
        };
        Manifest {
            version: MANIFEST_VERSION,
            vocabulary_size: 256,
            vocabulary: Hash([0; 32]),
            tokenizer: None,
            train: train.iter().map(shard).collect(),
            held_out: vec![shard(&1000)],
            train_bytes: 0,
            held_out_bytes: 0,
            unigram_entropy: 3.0,
        }
    }

    #[test]
    fn volunteers_and_rounds_get_different_work_and_the_same_work_twice() {
        let (spec, manifest) = (spec(), manifest(&[100_000, 200_000, 50, 100_000]));
        let of = |volunteer: u8, round| {
            Assignment::new(
                &spec,
                &manifest,
                &Hash([9; 32]),
                &VolunteerId([volunteer; 32]),
                Round(round),
            )
            .unwrap()
        };
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 0), of(1, 1));
        for round in 0..50 {
            assert!(!of(1, round).shards.contains(&2), "shard 2 is too short");
        }
    }

    #[test]
    fn targets_are_the_tokens_that_follow() {
        let (spec, manifest) = (spec(), manifest(&[1290]));
        let assignment = Assignment::new(
            &spec,
            &manifest,
            &Hash([9; 32]),
            &VolunteerId([1; 32]),
            Round(3),
        )
        .unwrap();
        let tokens = BTreeMap::from([(0, (0..1290u16).map(|i| i % 256).collect::<Vec<_>>())]);
        // Ten sequences serve 160: the work wraps around.
        for step in [0, 1, 19] {
            let batch = assignment.batch(step, &tokens).unwrap();
            assert_eq!(batch.tokens(), 8 * 128);
            for (input, target) in batch.inputs.iter().zip(&batch.targets) {
                assert_eq!((input + 1) % 256, *target);
            }
        }
    }

    #[test]
    fn a_corpus_without_a_whole_sequence_is_an_error() {
        let result = Assignment::new(
            &spec(),
            &manifest(&[100]),
            &Hash([9; 32]),
            &VolunteerId([1; 32]),
            Round(0),
        );
        assert!(matches!(result, Err(TrainingError::NoSequences(129))));
    }
}
