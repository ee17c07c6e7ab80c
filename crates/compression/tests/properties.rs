//! What must hold for any model, any delta and any bytes: nothing is lost between what is sent and what
//! stays behind, a payload has one form, and no input makes the decoder panic.

use covey_compression::generator::generate;
use covey_compression::{
    AggregateMode, CodecConfig, CompressionError, FrameFault, ModelCodec, OneDRule, SparseUpdate,
    TensorShape, outer_step,
};
use proptest::prelude::*;

/// Two matrices and a vector with chunks of different lengths.
fn model() -> ModelCodec {
    with(&[&[64, 128], &[24, 10], &[192]], &CodecConfig::default())
}

fn with(shapes: &[&[usize]], config: &CodecConfig) -> ModelCodec {
    ModelCodec::new(&named(shapes), config).unwrap()
}

fn named(shapes: &[&[usize]]) -> Vec<TensorShape> {
    shapes
        .iter()
        .map(|shape| TensorShape::new(format!("{shape:?}"), *shape))
        .collect()
}

fn update(codec: &ModelCodec, seed: u64, scale: f64) -> SparseUpdate {
    codec.decode(&payload(codec, seed, scale)).unwrap()
}

fn payload(codec: &ModelCodec, seed: u64, scale: f64) -> Vec<u8> {
    let delta = generate(seed, codec.parameters(), scale);
    codec
        .compress(&delta, &vec![0.0; delta.len()])
        .unwrap()
        .payload
}

fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(2usize..300, 1),
        prop::collection::vec(1usize..100, 2).prop_filter("chunks of one value", |s| {
            let side = |n| covey_compression::chunking::largest_divisor(n, 64);
            side(s[0]) * side(s[1]) > 1
        }),
    ]
}

fn config() -> impl Strategy<Value = CodecConfig> {
    (2u16..200, any::<bool>(), any::<bool>(), 0.0f32..=1.0).prop_map(|(k, paper, scale_k, beta)| {
        CodecConfig {
            k,
            one_d: if paper {
                OneDRule::Paper
            } else {
                OneDRule::Templar
            },
            scale_k,
            beta,
            ..CodecConfig::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_and_what_stays_add_up(shapes in prop::collection::vec(shape(), 1..4), config in config(), seed in any::<u64>()) {
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        // A prime length has no even chunk that fits a single value pair; such models are refused.
        let Ok(codec) = ModelCodec::new(&named(&shapes), &config) else { return Ok(()) };
        let delta = generate(seed, codec.parameters(), 0.01);
        let feedback = generate(!seed, codec.parameters(), 0.02);
        let sent = codec.compress(&delta, &feedback).unwrap();
        prop_assert_eq!(sent.payload.len(), codec.payload_len());

        let update = codec.decode(&sent.payload).unwrap();
        prop_assert_eq!(update.encode().unwrap(), sent.payload);
        let decoded = update.decompress();
        for (i, accumulated) in sent.unsent_feedback.iter().enumerate() {
            prop_assert_eq!(*accumulated, config.beta * feedback[i] + delta[i]);
            let sum = decoded[i] + sent.sent_feedback[i];
            let tolerance = f32::EPSILON * (accumulated.abs() + decoded[i].abs());
            prop_assert!((sum - accumulated).abs() <= tolerance, "{sum} is not {accumulated}");
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(model().decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_of_the_right_length_are_refused_without_panic(seed in any::<u64>()) {
        let codec = model();
        let mut stream = covey_compression::generator::SplitMix64::new(seed);
        let bytes: Vec<u8> = (0..codec.payload_len()).map(|_| stream.next_u64() as u8).collect();
        prop_assert!(codec.decode(&bytes).is_err());
    }

    #[test]
    fn a_flipped_bit_is_refused_or_is_another_canonical_payload(seed in any::<u64>(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let codec = model();
        let mut bytes = payload(&codec, seed, 0.01);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(update) = codec.decode(&bytes) {
            prop_assert_eq!(update.encode().unwrap(), bytes);
            prop_assert!(update.decompress().iter().all(|v| v.abs() <= codec.config().value_limit));
        }
    }

    #[test]
    fn truncated_and_extended_payloads_are_refused(cut in any::<prop::sample::Index>(), extra in 1usize..100) {
        let codec = model();
        let mut bytes = payload(&codec, 1, 0.01);
        let short = codec.decode(&bytes[..cut.index(bytes.len())]).unwrap_err();
        prop_assert!(matches!(short, CompressionError::Length { what: "payload", .. }), "{short}");
        bytes.extend(std::iter::repeat_n(0, extra));
        prop_assert!(codec.decode(&bytes).is_err());
    }

    #[test]
    fn equal_peers_merge_into_themselves_but_for_the_clip(seed in any::<u64>(), peers in 1usize..8) {
        let codec = model();
        let one = update(&codec, seed, 0.01);
        let dense = one.decompress();
        for mode in [AggregateMode::MeanR, AggregateMode::MeanPresent] {
            let merged = codec.aggregate(&vec![&one; peers], mode).unwrap();
            for ((_, share), clip) in codec.tensors().zip(&merged.clip) {
                for (merged, sent) in merged.delta[share.clone()].iter().zip(&dense[share]) {
                    let expected = f64::from(*sent) * clip[0];
                    prop_assert!((f64::from(*merged) - expected).abs() <= 1e-6 * expected.abs());
                }
            }
        }
    }

    #[test]
    fn a_loud_peer_counts_no_more_than_the_median(seed in any::<u64>(), gain in 2.0f64..1000.0) {
        let codec = model();
        let peers = [update(&codec, seed, 0.01), update(&codec, seed ^ 1, 0.01), update(&codec, seed ^ 2, 0.01 * gain)];
        let merged = codec.aggregate(&peers.each_ref(), AggregateMode::MeanR).unwrap();
        for (norms, clip) in merged.norms.iter().zip(&merged.clip) {
            let median = covey_compression::aggregate::lower_median(norms).unwrap();
            for (norm, factor) in norms.iter().zip(clip) {
                prop_assert!(*factor <= 1.0 && norm * factor <= median);
            }
        }
    }
}

#[test]
fn both_means_agree_for_one_peer_and_differ_by_the_number_of_senders() {
    let codec = model();
    let (left, right) = (update(&codec, 1, 0.01), update(&codec, 2, 0.01));
    let mean = |peers: &[&SparseUpdate], mode| codec.aggregate(peers, mode).unwrap().delta;
    let alone = [&left];
    assert_eq!(
        mean(&alone, AggregateMode::MeanR),
        mean(&alone, AggregateMode::MeanPresent)
    );

    let both = [&left, &right];
    let (all, present) = (
        mean(&both, AggregateMode::MeanR),
        mean(&both, AggregateMode::MeanPresent),
    );
    let (in_left, in_right) = (left.decompress(), right.decompress());
    for i in 0..codec.parameters() {
        let senders = u8::from(in_left[i] != 0.0) + u8::from(in_right[i] != 0.0);
        let expected = if senders == 1 { 2.0 * all[i] } else { all[i] };
        assert!(
            (present[i] - expected).abs() <= 1e-6 * expected.abs(),
            "{i}"
        );
    }
}

#[test]
fn adding_an_update_is_adding_its_dense_form() {
    let codec = model();
    let one = update(&codec, 3, 0.01);
    let start = generate(4, codec.parameters(), 1.0);
    let mut target = start.clone();
    one.add_into(&mut target, -0.2).unwrap();
    for ((after, before), change) in target.iter().zip(&start).zip(one.decompress()) {
        assert_eq!(*after, before + -0.2 * change);
    }
    assert!(one.add_into(&mut target[1..], 1.0).is_err());
}

#[test]
fn each_fault_of_a_frame_is_named() {
    let codec = with(&[&[64, 64]], &CodecConfig::default());
    let good = payload(&codec, 5, 0.01);
    let fault = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = good.clone();
        change(&mut bytes);
        match codec.decode(&bytes) {
            Err(CompressionError::Frame { fault, .. }) => fault,
            other => panic!("expected a faulty frame, got {other:?}"),
        }
    };
    let put = |at: usize, value: f32| {
        move |bytes: &mut [u8]| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    assert_eq!(fault(&|b| b[3] = b'2'), FrameFault::Magic);
    assert_eq!(fault(&|b| b[4] = 2), FrameFault::Geometry("chunks"));
    assert_eq!(fault(&|b| b[8] = 1), FrameFault::Geometry("chunk length"));
    assert_eq!(fault(&|b| b[10] = 62), FrameFault::Geometry("k"));
    assert_eq!(fault(&|b| b[12] = 8), FrameFault::Geometry("value bits"));
    assert_eq!(fault(&|b| b[13] = 1), FrameFault::Geometry("vector rule"));
    assert_eq!(
        fault(&|b| b[15] = 1),
        FrameFault::Geometry("reserved bytes")
    );
    assert_eq!(fault(&put(16, f32::NAN)), FrameFault::NonFinite);
    assert_eq!(fault(&put(24, f32::INFINITY)), FrameFault::NonFinite);
    assert_eq!(fault(&put(20, 0.0)), FrameFault::Step);
    assert_eq!(fault(&put(20, 2e4)), FrameFault::Step);
    assert_eq!(fault(&put(16, 1e3)), FrameFault::Value);
    assert_eq!(fault(&put(36, -1e3)), FrameFault::Value);
    assert_eq!(
        fault(&|b| b[40] = 0),
        FrameFault::Geometry("bytes of indices")
    );
    assert_eq!(
        fault(&|b| b[44] = 0),
        FrameFault::Geometry("bytes of codes")
    );
    assert_eq!(fault(&|b| b.copy_within(48..51, 51)), FrameFault::Indices);
}

#[test]
fn an_index_beyond_its_chunk_is_refused() {
    let codec = with(&[&[192]], &CodecConfig::default());
    let mut bytes = payload(&codec, 6, 0.01);
    let last = bytes.len() - 2;
    bytes[last] = 0xFF;
    assert!(matches!(
        codec.decode(&bytes),
        Err(CompressionError::Frame {
            fault: FrameFault::Indices,
            ..
        })
    ));
}

#[test]
fn set_padding_bits_are_refused() {
    let codec = with(&[&[192]], &CodecConfig::default());
    let mut bytes = payload(&codec, 7, 0.01);
    *bytes.last_mut().unwrap() |= 0x80;
    assert!(matches!(
        codec.decode(&bytes),
        Err(CompressionError::Frame {
            fault: FrameFault::Padding,
            ..
        })
    ));
}

#[test]
fn models_that_cannot_be_cut_are_refused() {
    let refused =
        |shapes: &[&[usize]]| ModelCodec::new(&named(shapes), &CodecConfig::default()).unwrap_err();
    assert!(matches!(
        refused(&[]),
        CompressionError::TensorCount { count: 0, .. }
    ));
    for shape in [
        &[][..],
        &[0],
        &[64, 0],
        &[1],
        &[97, 97],
        &[4, 4, 4],
        &[usize::MAX, 2],
        &[1 << 20, 1 << 20],
    ] {
        assert!(
            matches!(refused(&[shape]), CompressionError::Shape { .. }),
            "{shape:?}"
        );
    }
    let half: &[usize] = &[1 << 15, 1 << 14];
    assert!(ModelCodec::new(&named(&[half, half]), &CodecConfig::default()).is_ok());
    assert!(matches!(
        refused(&[half, half, &[64]]),
        CompressionError::Shape { .. }
    ));
}

#[test]
fn settings_out_of_range_are_refused() {
    let base = CodecConfig::default;
    let wrong = [
        CodecConfig { k: 0, ..base() },
        CodecConfig { k: 5000, ..base() },
        CodecConfig {
            beta: f32::NAN,
            ..base()
        },
        CodecConfig {
            beta: 1.5,
            ..base()
        },
        CodecConfig {
            value_limit: f32::INFINITY,
            ..base()
        },
        CodecConfig {
            value_limit: 0.0,
            ..base()
        },
    ];
    for config in wrong {
        let refused = ModelCodec::new(&named(&[&[64, 64]]), &config);
        assert!(
            matches!(refused, Err(CompressionError::Config(_))),
            "{config:?}"
        );
    }
}

#[test]
fn bad_deltas_are_refused_by_position() {
    let codec = model();
    let zeros = vec![0.0; codec.parameters()];
    let mut delta = zeros.clone();
    delta[17] = f32::NAN;
    let expected = CompressionError::NonFinite {
        what: "delta",
        position: 17,
    };
    assert_eq!(codec.compress(&delta, &zeros), Err(expected));
    assert!(matches!(
        codec.compress(&zeros, &delta),
        Err(CompressionError::NonFinite {
            what: "error feedback",
            ..
        })
    ));
    assert!(matches!(
        codec.compress(&zeros[1..], &zeros),
        Err(CompressionError::Length { what: "delta", .. })
    ));
    assert!(matches!(
        codec.compress(&zeros, &zeros[1..]),
        Err(CompressionError::Length { .. })
    ));
}

#[test]
fn a_diverged_delta_is_refused_by_the_sender_not_by_its_peers() {
    let codec = model();
    let zeros = vec![0.0; codec.parameters()];
    for scale in [1e4, 1e30] {
        let delta = generate(8, codec.parameters(), scale);
        assert!(
            matches!(
                codec.compress(&delta, &zeros),
                Err(CompressionError::TooLarge { .. })
            ),
            "{scale}"
        );
    }
}

#[test]
fn a_tensor_that_did_not_move_is_sent_as_zeros() {
    let codec = model();
    let zeros = vec![0.0; codec.parameters()];
    for tiny in [0.0, 1e-20, 1e-38] {
        let delta = generate(9, codec.parameters(), tiny);
        let sent = codec.compress(&delta, &zeros).unwrap();
        let decoded = codec.decode(&sent.payload).unwrap().decompress();
        assert!(decoded.iter().all(|value| f64::from(value.abs()) <= tiny));
    }
}

#[test]
fn updates_of_another_model_are_refused() {
    let (codec, other) = (model(), with(&[&[64, 64]], &CodecConfig::default()));
    let (own, foreign) = (update(&codec, 1, 0.01), update(&other, 1, 0.01));
    let merged = codec.aggregate(&[&own, &foreign], AggregateMode::MeanR);
    assert_eq!(
        merged,
        Err(CompressionError::GeometryMismatch { position: 1 })
    );
    assert_eq!(
        codec.aggregate(&[], AggregateMode::MeanR),
        Err(CompressionError::NoUpdates)
    );
    assert_eq!(own.index_overlap(&foreign), 0.0);
    assert_eq!(own.index_overlap(&own), 1.0);
    // The same model built twice is the same model.
    assert!(model().aggregate(&[&own], AggregateMode::MeanR).is_ok());
}

#[test]
fn a_refused_outer_step_leaves_the_weights_alone() {
    let mut theta = vec![1.0, 2.0];
    assert!(outer_step(&mut theta, &[1.0], 1.0).is_err());
    assert!(outer_step(&mut theta, &[1.0, f32::NAN], 1.0).is_err());
    assert!(outer_step(&mut theta, &[1.0, 1.0], f32::INFINITY).is_err());
    assert_eq!(theta, [1.0, 2.0]);
    outer_step(&mut theta, &[1.0, -1.0], 0.5).unwrap();
    assert_eq!(theta, [0.5, 2.5]);
}
