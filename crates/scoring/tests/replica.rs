//! When two packets of the same work count as the same, and when nobody can tell.

use covey_compression::{CodecConfig, ModelCodec, Similarity, SparseUpdate, TensorShape};
use covey_protocol::{record::Agreement, socket::Backend};
use covey_scoring::Tolerance;
use proptest::prelude::*;

fn codec() -> ModelCodec {
    let tensor = TensorShape {
        name: "w".into(),
        shape: vec![128, 192],
    };
    ModelCodec::new(&[tensor], &CodecConfig::default()).expect("a codec")
}

fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn update(delta: &[f32]) -> SparseUpdate {
    let codec = codec();
    let zeros = vec![0.0; delta.len()];
    let payload = codec.compress(delta, &zeros).expect("compressed").payload;
    codec.decode(&payload).expect("decoded")
}

fn mixed(seed: u64, other: u64, share: f32) -> SparseUpdate {
    let count = codec().parameters();
    let (own, theirs) = (noise(seed, count), noise(other, count));
    let delta: Vec<f32> = own
        .iter()
        .zip(theirs)
        .map(|(own, theirs)| 0.01 * ((1.0 - share) * own + share * theirs))
        .collect();
    update(&delta)
}

const PAIRS: [[Option<Backend>; 2]; 4] = [
    [Some(Backend::Flex), Some(Backend::Flex)],
    [Some(Backend::Flex), Some(Backend::WebGpu)],
    [Some(Backend::WebGpu), Some(Backend::WebGpu)],
    [None, Some(Backend::Flex)],
];

#[test]
fn the_same_work_with_a_little_rounding_agrees_and_other_work_does_not() {
    let (original, rounded) = (mixed(1, 2, 0.0), mixed(1, 2, 0.02));
    let other = mixed(2, 1, 0.0);
    for backends in PAIRS {
        let tolerance = Tolerance::between(backends);
        assert_eq!(tolerance.compare(&original, &original), Agreement::Agreed);
        assert_eq!(tolerance.compare(&original, &rounded), Agreement::Agreed);
        assert_eq!(tolerance.compare(&original, &other), Agreement::Disputed);
        let turned: Vec<f32> = original.decompress().iter().map(|v| -v).collect();
        assert_eq!(
            tolerance.compare(&original, &update(&turned)),
            Agreement::Disputed
        );
    }
}

#[test]
fn two_unlike_adapters_are_given_more_room_than_two_alike() {
    let (alike, unlike) = (Tolerance::between(PAIRS[0]), Tolerance::between(PAIRS[1]));
    assert_eq!(unlike, Tolerance::between(PAIRS[3]), "unknown is unlike");
    assert!(unlike.far_overlap < alike.far_overlap && unlike.far_cosine < alike.far_cosine);
    assert!(unlike.overlap < alike.overlap && unlike.cosine < alike.cosine);
}

proptest! {
    #[test]
    fn more_alike_never_judges_worse(
        overlap in 0.0..1.0f64, cosine in -1.0..1.0f64,
        more in 0.0..0.5f64, straighter in 0.0..0.5f64, pair in 0usize..4,
    ) {
        let rank = |agreement| match agreement {
            Agreement::Disputed => 0,
            Agreement::Open => 1,
            Agreement::Agreed => 2,
        };
        let tolerance = Tolerance::between(PAIRS[pair]);
        let judged = tolerance.judge(Similarity { overlap, cosine });
        let better = tolerance.judge(Similarity {
            overlap: (overlap + more).min(1.0),
            cosine: (cosine + straighter).min(1.0),
        });
        prop_assert!(rank(better) >= rank(judged));
    }

    #[test]
    fn comparing_is_the_same_either_way(seed in 1u64..1000, share in 0.0f32..1.0, pair in 0usize..4) {
        let (one, other) = (mixed(seed, seed + 7, 0.0), mixed(seed, seed + 7, share));
        let tolerance = Tolerance::between(PAIRS[pair]);
        prop_assert_eq!(tolerance.compare(&one, &other), tolerance.compare(&other, &one));
    }
}
