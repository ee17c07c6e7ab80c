//! The attack benchmark in small: a few real rounds with hostile volunteers, on a model and a text small
//! enough for every test run. The figures are in BENCHMARKS.md.

#[path = "../examples/attacks/arena.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod arena;
#[path = "../examples/attacks/corpus.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod corpus;
#[path = "../examples/attacks/kinds.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod kinds;
#[path = "../examples/attacks/peers.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod peers;

use std::collections::BTreeMap;

use arena::Arena;
use corpus::Corpus;
use covey_protocol::{
    Hash,
    corpus::{MANIFEST_VERSION, Manifest, Shard},
    model::{ModelConfig, Preset},
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
};
use kinds::Kind;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: u32 = 8;

/// Sentences of a small grammar, so that there is something to learn and something to hold out.
fn text(seed: u64, tokens: usize) -> Vec<u16> {
    const NOUNS: [&str; 8] = [
        "cat", "dog", "moon", "river", "stone", "bird", "king", "ship",
    ];
    const VERBS: [&str; 6] = ["sees", "loves", "fears", "finds", "leaves", "calls"];
    let mut state = seed;
    let mut draw = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let mut out = String::new();
    while out.len() < tokens {
        let (who, does, whom) = (NOUNS[draw(8)], VERBS[draw(6)], NOUNS[draw(8)]);
        out.push_str(&format!("the {who} {does} the {whom}. "));
    }
    out.bytes().take(tokens).map(u16::from).collect()
}

fn corpus() -> Corpus {
    let shard = |tokens: u32| Shard {
        hash: Hash([0; 32]),
        tokens,
    };
    Corpus {
        manifest: Manifest {
            version: MANIFEST_VERSION,
            vocabulary_size: 256,
            vocabulary: Hash([0; 32]),
            tokenizer: None,
            train: vec![shard(20_000); 3],
            held_out: vec![shard(8_000)],
            train_bytes: 60_000,
            held_out_bytes: 8_000,
            unigram_entropy: 2.8,
        },
        train: (0..3).map(|n| (n, text(n as u64 + 1, 20_000))).collect(),
        held_out: text(99, 8_000),
    }
}

fn spec() -> RunSpec {
    RunSpec {
        name: "attacks in small".into(),
        seed: Hash([3; 32]),
        model: ModelConfig {
            width: 64,
            layers: 1,
            heads: 2,
            kv_heads: 2,
            hidden: 128,
            context: 32,
            ..Preset::Tiny.config()
        },
        corpus: Hash([0; 32]),
        inner: InnerSpec {
            steps: 10,
            batch: 4,
            peak_lr: 3e-3,
            warmup: 5,
            ramp: 0,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    }
}

#[test]
fn hostile_volunteers_are_neither_merged_nor_paid_and_honest_ones_are_both() {
    const KINDS: [Kind; 10] = [
        Kind::Honest,
        Kind::Honest,
        Kind::Honest,
        Kind::Honest,
        Kind::Honest,
        Kind::Honest,
        Kind::Flipped,
        Kind::Copied,
        Kind::Zeros,
        Kind::Garbage,
    ];
    let corpus = corpus();
    let mut arena = Arena::new(spec(), &corpus, &KINDS, true, 32).unwrap();
    let before = arena.loss().unwrap();
    for _ in 0..ROUNDS {
        arena.round().unwrap();
    }
    let after = arena.loss().unwrap();
    assert!(after < before - 0.5, "{before} to {after}");
    assert!(arena.paid_rounds > 0);
    let mut earned: BTreeMap<Kind, f64> = BTreeMap::new();
    for peer in &arena.peers {
        *earned.entry(peer.kind).or_default() += peer.earned;
        match peer.kind {
            Kind::Honest => {
                assert!(peer.excluded.is_empty(), "{:?}", peer.excluded);
                assert_eq!((peer.merged, peer.refused), (u64::from(ROUNDS), 0));
            }
            Kind::Garbage => assert_eq!(peer.refused, u64::from(ROUNDS)),
            kind => assert_eq!(peer.merged, 0, "{kind:?}"),
        }
    }
    for (kind, earned) in earned {
        assert_eq!(earned > 0.0, kind == Kind::Honest, "{kind:?}: {earned}");
    }
}
