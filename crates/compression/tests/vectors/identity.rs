//! The promise that every tab arrives at the same weights: decode, aggregate and outer step over
//! generated data, as one hash. Natively and in wasm it must be the same line.

use covey_compression::generator::generate;
use covey_compression::{
    AggregateMode, CodecConfig, ModelCodec, SparseUpdate, TensorShape, outer_step,
};
use sha2::{Digest, Sha256};

use super::check::{Outcome, hex, raw};

/// Three rounds of five peers on a small model of awkward shapes, in both modes of averaging; the hash
/// covers payloads, merged deltas, clip factors and weights.
pub fn digest() -> Outcome<String> {
    let shapes = [
        ("embedding", vec![192, 128]),
        ("gain", vec![192]),
        ("projection", vec![100, 48]),
    ];
    let tensors = shapes.map(|(name, shape)| TensorShape::new(name, shape));
    let text = |problem: covey_compression::CompressionError| problem.to_string();
    let codec = ModelCodec::new(&tensors, &CodecConfig::default()).map_err(text)?;
    let mut hasher = Sha256::new();
    for mode in [AggregateMode::MeanR, AggregateMode::MeanPresent] {
        let mut theta = generate(1, codec.parameters(), 0.125);
        let mut feedback = vec![vec![0.0; codec.parameters()]; 5];
        for round in 0..3u64 {
            let mut updates: Vec<SparseUpdate> = Vec::new();
            for (peer, feedback) in (0u64..).zip(&mut feedback) {
                // One peer sends far too much, so that the clip is part of what is compared.
                let scale = if peer == 3 { 0.7 } else { 0.0113 };
                let delta = generate(100 * round + peer, codec.parameters(), scale);
                let sent = codec.compress(&delta, feedback).map_err(text)?;
                hasher.update(&sent.payload);
                updates.push(codec.decode(&sent.payload).map_err(text)?);
                *feedback = sent.sent_feedback;
            }
            let merged = codec
                .aggregate(&updates.iter().collect::<Vec<_>>(), mode)
                .map_err(text)?;
            outer_step(&mut theta, &merged.delta, 0.65).map_err(text)?;
            merged
                .clip
                .concat()
                .iter()
                .for_each(|factor| hasher.update(factor.to_le_bytes()));
            hasher.update(raw(&merged.delta));
            hasher.update(raw(&theta));
        }
    }
    Ok(hex(&hasher.finalize()))
}
