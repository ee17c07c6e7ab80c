//! How far honest peers may disagree: whoever repeats the same work with rounding of its own stays within
//! tolerance, whoever did other work or less of it does not.

use covey_compression::generator::{SplitMix64, generate};
use covey_compression::{CodecConfig, ModelCodec, OneDRule, Similarity, SparseUpdate, TensorShape};
use covey_protocol::{record::Agreement, socket::Backend};
use covey_scoring::Tolerance;
use proptest::prelude::*;

const SHAPES: [(&str, &[usize]); 3] = [("a", &[128, 128]), ("b", &[64, 192]), ("norm", &[128])];
const STEPS: usize = 20;

fn codec() -> ModelCodec {
    let tensors: Vec<TensorShape> = SHAPES
        .iter()
        .map(|(name, shape)| TensorShape {
            name: (*name).into(),
            shape: shape.to_vec(),
        })
        .collect();
    let config = CodecConfig {
        k: 64,
        one_d: OneDRule::Paper,
        scale_k: true,
        beta: 0.95,
        value_limit: 10.0,
    };
    ModelCodec::new(&tensors, &config).expect("a codec")
}

fn parameters() -> usize {
    SHAPES
        .iter()
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

fn packet(codec: &ModelCodec, delta: &[f32]) -> SparseUpdate {
    let none = vec![0.0; delta.len()];
    let payload = codec.compress(delta, &none).expect("compressed").payload;
    codec.decode(&payload).expect("decoded")
}

/// The pseudo-gradient of `steps` inner steps: a direction that everyone shares, smaller than what each
/// step's own text adds.
fn work(seed: u64, text: u64, steps: usize) -> Vec<f32> {
    let mut delta = vec![0f32; parameters()];
    let shared = generate(seed, delta.len(), 0.15);
    for step in 0..steps as u64 {
        let own = generate(
            text ^ (step + 1).wrapping_mul(0x9E37_79B9),
            delta.len(),
            1.0,
        );
        for ((delta, shared), own) in delta.iter_mut().zip(&shared).zip(own) {
            *delta += 1e-3 * (shared + own);
        }
    }
    delta
}

/// The same values as another device has them: each off by at most `relative` of the typical size.
fn rounded(delta: &[f32], relative: f64, seed: u64) -> Vec<f32> {
    let squares: f64 = delta.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let typical = (squares / delta.len() as f64).sqrt();
    let mut stream = SplitMix64::new(seed);
    delta
        .iter()
        .map(|value| {
            let luck = (stream.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
            (f64::from(*value) + relative * typical * luck) as f32
        })
        .collect()
}

fn classes() -> impl Strategy<Value = [Option<Backend>; 2]> {
    let class = || {
        prop_oneof![
            Just(Some(Backend::Flex)),
            Just(Some(Backend::WebGpu)),
            Just(None)
        ]
    };
    (class(), class()).prop_map(|(left, right)| [left, right])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn repeated_work_with_bounded_rounding_always_agrees(
        seed: u64, text: u64, luck: u64, relative in 0.0..=0.05f64, classes in classes(),
    ) {
        let codec = codec();
        let delta = work(seed, text, STEPS);
        let (mine, theirs) = (packet(&codec, &delta), packet(&codec, &rounded(&delta, relative, luck)));
        let found = Tolerance::between(classes).compare(&mine, &theirs);
        prop_assert_eq!(found, Agreement::Agreed, "{}: {:?}", relative, mine.similarity(&theirs));
    }

    #[test]
    fn other_text_is_always_disputed(seed: u64, text: u64, other: u64, classes in classes()) {
        prop_assume!(text != other);
        let codec = codec();
        let (mine, theirs) = (packet(&codec, &work(seed, text, STEPS)), packet(&codec, &work(seed, other, STEPS)));
        let found = Tolerance::between(classes).compare(&mine, &theirs);
        prop_assert_eq!(found, Agreement::Disputed, "{:?}", mine.similarity(&theirs));
    }

    #[test]
    fn a_tenth_of_the_steps_is_never_taken_for_all_of_them(seed: u64, text: u64, classes in classes()) {
        let codec = codec();
        let (mine, theirs) = (packet(&codec, &work(seed, text, STEPS)), packet(&codec, &work(seed, text, STEPS / 10)));
        let found = Tolerance::between(classes).compare(&mine, &theirs);
        prop_assert_ne!(found, Agreement::Agreed, "{:?}", mine.similarity(&theirs));
    }

    #[test]
    fn agreement_has_no_sides(seed: u64, text: u64, relative in 0.0..2.0f64, classes in classes()) {
        let codec = codec();
        let delta = work(seed, text, STEPS);
        let (mine, theirs) = (packet(&codec, &delta), packet(&codec, &rounded(&delta, relative, seed)));
        let [left, right] = classes;
        prop_assert_eq!(
            Tolerance::between([left, right]).compare(&mine, &theirs),
            Tolerance::between([right, left]).compare(&theirs, &mine)
        );
        prop_assert_eq!(Tolerance::CPUS.compare(&mine, &mine), Agreement::Agreed);
    }
}

#[test]
fn what_was_measured_lies_well_inside_and_what_is_no_number_is_open() {
    let of = |overlap, cosine| Similarity { overlap, cosine };
    for tolerance in [Tolerance::CPUS, Tolerance::OTHERS] {
        assert_eq!(tolerance.judge(of(0.9999, 0.9999)), Agreement::Agreed);
        assert_eq!(tolerance.judge(of(0.32, 0.95)), Agreement::Disputed);
        assert_eq!(tolerance.judge(of(0.05, 0.95)), Agreement::Disputed);
        assert_eq!(tolerance.judge(of(0.995, 0.17)), Agreement::Disputed);
        assert_eq!(tolerance.judge(of(f64::NAN, f64::NAN)), Agreement::Open);
    }
}
