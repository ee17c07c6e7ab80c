//! The inner loop on the CPU backend: gradients against finite differences, learning, resuming, and
//! the way from packets back to weights.

use std::collections::BTreeMap;

use covey_protocol::{
    Hash, Identity, Round,
    corpus::{MANIFEST_VERSION, Manifest, Shard},
    model::{ModelConfig, Preset},
    packet::PacketHeader,
    record::RoundRecord,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
    update,
};
use covey_training::{
    TrainingError,
    assess::{Assessor, Trial, held_out_sample, sequences_for},
    checkpoint,
    data::{Assignment, Batch},
    device,
    evaluate::Evaluator,
    generate::Sampler,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
    outer::{apply_record, apply_update, codec, pseudo_gradient},
};

fn block<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

/// Two layers, two query heads on one key head, 64 wide: everything the model has, small.
fn little(tied: bool) -> RunSpec {
    RunSpec {
        name: "little".into(),
        seed: Hash([7; 32]),
        model: ModelConfig {
            vocabulary: 64,
            width: 64,
            layers: 2,
            heads: 2,
            kv_heads: 2,
            hidden: 64,
            context: 16,
            tied,
            ..Preset::Tiny.config()
        },
        corpus: Hash([0; 32]),
        inner: InnerSpec {
            steps: 8,
            batch: 4,
            peak_lr: 3e-3,
            warmup: 2,
            ramp: 0,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    }
}

/// Sequences that count upwards from different starts: predictable, so there is something to learn.
fn counting(spec: &RunSpec, step: usize) -> Batch {
    let context = spec.model.context;
    let mut batch = Batch::empty(context);
    for sequence in 0..spec.inner.batch as usize {
        let start = step * 13 + sequence * 5;
        let tokens: Vec<u16> = (0..=context).map(|i| ((start + i) % 64) as u16).collect();
        batch.push(&tokens);
    }
    batch
}

fn run_round(
    spec: &RunSpec,
    theta: &[f32],
    round: u64,
    state: &OptimiserState,
) -> (Vec<f32>, OptimiserState, Vec<f32>) {
    let mut inner = InnerLoop::new(spec, &device::cpu(), state).unwrap();
    inner.begin(Round(round), theta).unwrap();
    for step in 0..spec.inner.steps as usize {
        inner.step(&counting(spec, round as usize * 8 + step));
    }
    let losses = block(inner.read_losses()).unwrap();
    let finished = block(inner.finish()).unwrap();
    (
        finished.theta,
        finished.optimiser,
        losses.iter().map(|l| l.loss).collect(),
    )
}

#[test]
fn gradients_agree_with_finite_differences() {
    for tied in [false, true] {
        let spec = little(tied);
        let theta = initial_weights(&spec.seed, &spec.model);
        let batch = counting(&spec, 3);
        let mut inner = InnerLoop::new(&spec, &device::cpu(), &OptimiserState::default()).unwrap();
        let mut loss_at = |theta: &[f32]| {
            inner.begin(Round(0), theta).unwrap();
            block(inner.probe(&batch)).unwrap()
        };
        let (_, gradient) = loss_at(&theta);
        let mut offset = 0;
        for tensor in spec.tensors() {
            // The entry with the largest gradient of each tensor: the one finite differences in f32
            // can resolve.
            let range = offset..offset + tensor.len();
            offset += tensor.len();
            let index = range
                .max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()))
                .unwrap();
            let h = 1e-2;
            let mut moved = theta.clone();
            moved[index] = theta[index] + h;
            let up = f64::from(loss_at(&moved).0);
            moved[index] = theta[index] - h;
            let down = f64::from(loss_at(&moved).0);
            let numeric = (up - down) / f64::from(2.0 * h);
            let analytic = f64::from(gradient[index]);
            assert!(
                (numeric - analytic).abs() < 2e-3 + 0.05 * analytic.abs(),
                "{} (tied {tied}): {numeric} by differences, {analytic} by the tape",
                tensor.name
            );
        }
    }
}

#[test]
fn an_untrained_model_knows_nothing_and_a_trained_one_predicts() {
    let spec = little(false);
    let mut theta = initial_weights(&spec.seed, &spec.model);
    let mut state = OptimiserState::default();
    let mut all = Vec::new();
    for round in 0..12 {
        let (local, next, losses) = run_round(&spec, &theta, round, &state);
        (theta, state) = (local, next);
        all.extend(losses);
    }
    let uniform = 64f32.ln();
    assert!((all[0] - uniform).abs() < 0.8, "first loss {}", all[0]);
    let last = all.last().unwrap();
    assert!(*last < 0.6 * uniform, "last loss {last}");
}

#[test]
fn optimiser_state_continues_as_if_never_interrupted() {
    let spec = little(false);
    let theta = initial_weights(&spec.seed, &spec.model);
    // Uninterrupted: one loop, two rounds.
    let mut inner = InnerLoop::new(&spec, &device::cpu(), &OptimiserState::default()).unwrap();
    let mut expected = theta.clone();
    for round in 0..2u64 {
        inner.begin(Round(round), &expected).unwrap();
        for step in 0..8 {
            inner.step(&counting(&spec, round as usize * 8 + step));
        }
        expected = block(inner.finish()).unwrap().theta;
    }
    // Interrupted: state goes through the host between the rounds.
    let (middle, state, _) = run_round(&spec, &theta, 0, &OptimiserState::default());
    assert_eq!(state.steps, 8);
    let (actual, ..) = run_round(&spec, &middle, 1, &state);
    assert_eq!(actual, expected);
}

#[test]
fn optimiser_state_of_another_model_is_refused() {
    let spec = little(false);
    let state = OptimiserState {
        moments: vec![0.0; 10],
        steps: 3,
    };
    let result = InnerLoop::new(&spec, &device::cpu(), &state);
    assert!(matches!(result, Err(TrainingError::OptimiserState)));
}

#[test]
fn packets_become_the_same_weights_wherever_they_are_applied() {
    let spec = little(false);
    let codec = codec(&spec).unwrap();
    let theta = initial_weights(&spec.seed, &spec.model);
    let base = Hash::of_weights(&theta);
    let mut sealed: Vec<(covey_protocol::VolunteerId, Vec<u8>)> = (1..4u8)
        .map(|n| {
            let identity = Identity::from_secret([n; 32]);
            let (local, _, losses) =
                run_round(&spec, &theta, u64::from(n), &OptimiserState::default());
            let delta = pseudo_gradient(&theta, &local).unwrap();
            let compressed = codec.compress(&delta, &vec![0.0; theta.len()]).unwrap();
            let header = PacketHeader {
                run: spec.id(),
                volunteer: identity.id(),
                round: Round(0),
                base,
                inner_steps: 8,
                tokens: 512,
                first_loss: losses[0],
                last_loss: losses[7],
            };
            (
                identity.id(),
                header.seal(&compressed.payload, &identity).unwrap(),
            )
        })
        .collect();
    sealed.sort();
    let packets: Vec<&Vec<u8>> = sealed.iter().map(|(_, packet)| packet).collect();
    let bytes = update::encode(&packets);

    let mut there = theta.clone();
    let applied = apply_update(&spec, &codec, &mut there, Round(0), &base, &bytes).unwrap();
    assert_ne!(applied.theta, base);
    assert_eq!(applied.contributions.len(), 3);

    let record = RoundRecord {
        run: spec.id(),
        round: Round(0),
        previous: None,
        seed: Hash([0; 32]),
        base,
        theta_after: applied.theta,
        update: Some(Hash::of(&bytes)),
        update_len: bytes.len() as u64,
        contributions: applied.contributions,
        excluded: Vec::new(),
        commitments: Vec::new(),
        replicas: Vec::new(),
        unproven: Vec::new(),
    };
    let mut here = theta.clone();
    apply_record(&spec, &codec, &mut here, &record, Some(&bytes)).unwrap();
    assert_eq!(Hash::of_weights(&here), record.theta_after);

    // A record that promises other weights, or a packet of another round, is found out.
    let lying = RoundRecord {
        theta_after: Hash([1; 32]),
        ..record.clone()
    };
    let result = apply_record(&spec, &codec, &mut theta.clone(), &lying, Some(&bytes));
    assert!(matches!(result, Err(TrainingError::WrongWeights { .. })));
    let mut untouched = theta.clone();
    let result = apply_update(&spec, &codec, &mut untouched, Round(1), &base, &bytes);
    assert!(matches!(result, Err(TrainingError::ForeignPacket { .. })));
    assert_eq!(untouched, theta);
}

#[test]
fn safetensors_keep_every_bit() {
    let spec = little(true);
    let theta = initial_weights(&spec.seed, &spec.model);
    let file = checkpoint::to_safetensors(&spec.model, &theta, Default::default()).unwrap();
    assert_eq!(
        checkpoint::from_safetensors(&spec.model, &file).unwrap(),
        theta
    );
    assert!(checkpoint::from_safetensors(&little(false).model, &file).is_err());
    assert!(checkpoint::from_safetensors(&spec.model, &file[..100]).is_err());
}

#[test]
fn evaluation_starts_near_the_uniform_loss_and_sampling_stays_in_the_vocabulary() {
    let spec = little(false);
    let theta = initial_weights(&spec.seed, &spec.model);
    let tokens: Vec<u16> = (0..1000u32).map(|i| (i * 7 % 64) as u16).collect();
    let evaluator = Evaluator::new(&spec.model, &tokens, 20, &device::cpu()).unwrap();
    let loss = block(evaluator.loss(&theta)).unwrap();
    assert!((loss - 64f32.ln()).abs() < 0.8, "{loss}");
    assert!(Evaluator::new(&spec.model, &tokens[..10], 20, &device::cpu()).is_err());

    let sample = |seed| {
        let mut sampler = Sampler::new(
            &spec.model,
            &theta,
            vec![1, 2, 3],
            1.0,
            seed,
            &device::cpu(),
        )
        .unwrap();
        for _ in 0..40 {
            assert!(block(sampler.next()).unwrap() < 64);
        }
        sampler.tokens().to_vec()
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert_eq!(sample(1)[..3], [1, 2, 3]);
}

#[test]
fn a_packet_is_tried_alone_and_only_its_own_harm_shows() {
    let spec = little(false);
    let codec = codec(&spec).unwrap();
    let theta = initial_weights(&spec.seed, &spec.model);
    let (local, ..) = run_round(&spec, &theta, 0, &OptimiserState::default());
    let delta = pseudo_gradient(&theta, &local).unwrap();
    let update = |scale: f32| {
        let scaled: Vec<f32> = delta.iter().map(|v| v * scale).collect();
        let payload = codec.compress(&scaled, &vec![0.0; theta.len()]).unwrap();
        codec.decode(&payload.payload).unwrap()
    };
    let (good, bad, loud) = (update(1.0), update(-1.0), update(50.0));
    let (own, random) = (counting(&spec, 0), counting(&spec, 40));
    let assessor = Assessor::new(&spec.model, &codec, &device::cpu());
    let trial = |update| Trial { update, own: &own };
    let trials = [trial(&good), trial(&bad), trial(&loud), trial(&good)];
    let measure = |trials: &[Trial<'_>], most: usize| {
        let mut left = most;
        let go_on = async || {
            left = left.saturating_sub(1);
            left > 0
        };
        block(assessor.measure(&theta, 0.2, trials, &random, go_on)).unwrap()
    };
    let measured: Vec<_> = measure(&trials, 99).into_iter().flatten().collect();
    assert_eq!(measured.len(), 4);
    assert!(measured[0].own.after < measured[0].own.before);
    assert!(measured[0].random.after < measured[0].random.before);
    assert!(measured[1].own.after > measured[1].own.before);
    // Shouting does not pay: it is clipped to the median before it is tried.
    let gain = |i: usize| measured[i].own.before - measured[i].own.after;
    assert!((gain(2) - gain(0)).abs() < 0.02 * gain(0), "{measured:?}");
    // The same packet gives the same numbers, whatever was tried between: the weights are untouched.
    assert_eq!(measured[0], measured[3]);
    assert_eq!(measure(&trials, 99)[1], Some(measured[1]));
    // Cut short after two, the rest is unknown.
    let cut: Vec<bool> = measure(&trials, 3).iter().map(Option::is_some).collect();
    assert_eq!(cut, [true, true, false, false]);
}

#[test]
fn samples_of_own_data_are_what_was_trained_on_and_depend_on_a_secret() {
    let spec = little(false);
    let shard = |tokens: u32| Shard {
        hash: Hash([0; 32]),
        tokens,
    };
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        vocabulary_size: 64,
        vocabulary: Hash([0; 32]),
        tokenizer: None,
        train: vec![shard(5000), shard(5000)],
        held_out: vec![shard(500)],
        train_bytes: 0,
        held_out_bytes: 0,
        unigram_entropy: 3.0,
    };
    let text = |shift: usize| -> Vec<u16> {
        (0..5000)
            .map(|i| ((i * i / 7 + i + shift) % 64) as u16)
            .collect()
    };
    let tokens = BTreeMap::from([(0, text(0)), (1, text(9))]);
    let me = Identity::from_secret([1; 32]).id();
    let work = Assignment::new(&spec, &manifest, &Hash([9; 32]), &me, Round(3)).unwrap();
    let rows = |batch: &Batch| -> Vec<Vec<i32>> {
        batch
            .inputs
            .chunks(batch.context)
            .map(<[i32]>::to_vec)
            .collect()
    };
    let trained: Vec<Vec<i32>> = (0..3)
        .flat_map(|step| rows(&work.batch(step, &tokens).unwrap()))
        .collect();
    let sample = |seed: u8| rows(&work.sample(3, 8, &Hash([seed; 32]), &tokens).unwrap());
    assert_eq!(sample(1).len(), 8);
    assert!(sample(1).iter().all(|row| trained.contains(row)));
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    let held_out = text(3);
    let random = |seed: u8| held_out_sample(&held_out, 16, 8, &Hash([seed; 32])).unwrap();
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));
    assert!(held_out_sample(&held_out[..10], 16, 8, &Hash([0; 32])).is_err());
    assert_eq!(sequences_for(&Preset::Tiny.config()), 8);
    assert_eq!(sequences_for(&Preset::Base.config()), 1);
}
