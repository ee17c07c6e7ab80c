//! A volunteer's payload: `SLC1` frames for a small model with every kind of tensor.

use std::sync::LazyLock;

use covey_compression::{
    ModelCodec,
    aggregate::AggregateMode,
    config::{CodecConfig, TensorShape},
    generator::generate,
};

pub mod payload {
    use super::*;

    fn codec() -> &'static ModelCodec {
        static CODEC: LazyLock<ModelCodec> = LazyLock::new(|| {
            let tensors = [
                TensorShape::new("square", [64, 64]),
                TensorShape::new("wide", [8, 96]),
                TensorShape::new("gain", [64]),
            ];
            ModelCodec::new(&tensors, &CodecConfig::default()).expect("a small model")
        });
        &CODEC
    }

    pub fn run(data: &[u8]) {
        let codec = codec();
        if data.len() != codec.payload_len() {
            assert!(codec.decode(data).is_err());
        }
        // Lengths are fixed by the model; the search should not have to find them.
        let mut payload = data.to_vec();
        payload.resize(codec.payload_len(), 0);
        let Ok(update) = codec.decode(&payload) else {
            return;
        };
        assert_eq!(
            update.encode().expect("what was read can be written"),
            payload
        );
        let limit = codec.config().value_limit;
        let dense = update.decompress();
        assert!(dense.iter().all(|value| value.abs() <= limit));
        // Every entry has a place of its own: one beyond its tensor, or two in one place, would be missed here.
        let norms: f64 = update.norms().iter().map(|norm| norm * norm).sum();
        let squares: f64 = dense.iter().map(|value| f64::from(*value).powi(2)).sum();
        assert!(
            (squares - norms).abs() <= 1e-9 * norms,
            "{squares} of {norms}"
        );
        assert!((update.index_overlap(&update) - 1.0).abs() < 1e-12);
        let honest = codec
            .decode(&seeds().swap_remove(0))
            .expect("an honest payload");
        assert!(update.similarity(&honest).cosine.is_finite());
        for mode in [AggregateMode::MeanR, AggregateMode::MeanPresent] {
            let merged = codec
                .aggregate(&[&update, &honest], mode)
                .expect("one model");
            assert!(merged.delta.iter().all(|value| value.abs() <= limit));
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let count = codec().parameters();
        let feedback = vec![0.0; count];
        let mut seeds: Vec<Vec<u8>> = [(1, 0.01), (2, 10.0)]
            .map(|(seed, scale)| {
                let delta = generate(seed, count, scale);
                codec()
                    .compress(&delta, &feedback)
                    .expect("finite values")
                    .payload
            })
            .to_vec();
        let zeros = codec()
            .compress(&feedback, &feedback)
            .expect("finite values");
        seeds.push(zeros.payload);
        seeds
    }
}
