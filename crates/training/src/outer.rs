//! From a round's packets to the next weights: the one computation every machine must repeat bit for
//! bit (spec 1.5 and 1.11). It runs on the host in scalar code, never on a device.

use covey_compression::{
    AggregateMode, CodecConfig, ModelCodec, OneDRule, TensorShape, outer_step,
};
use covey_protocol::{
    Hash, Round,
    packet::Packet,
    record::{Contribution, RoundRecord},
    run::{Averaging, RunSpec},
    update,
};

use crate::TrainingError;

/// The codec a run prescribes.
pub fn codec(spec: &RunSpec) -> Result<ModelCodec, TrainingError> {
    let tensors: Vec<TensorShape> = spec
        .tensors()
        .into_iter()
        .map(|tensor| TensorShape {
            name: tensor.name,
            shape: tensor.shape,
        })
        .collect();
    let config = CodecConfig {
        k: spec.compression.top_k,
        one_d: OneDRule::Paper,
        scale_k: true,
        beta: spec.compression.feedback_decay,
        value_limit: spec.compression.value_limit,
    };
    Ok(ModelCodec::new(&tensors, &config)?)
}

/// What an update did.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedUpdate {
    /// Hash of the weights after it.
    pub theta: Hash,
    pub contributions: Vec<Contribution>,
}

/// Decodes an update's packets, merges them, and takes the outer step on `theta`.
///
/// # Errors
/// When a packet is not of this run, round and base, or does not decode. `theta` is then unchanged.
pub fn apply_update(
    spec: &RunSpec,
    codec: &ModelCodec,
    theta: &mut [f32],
    round: Round,
    base: &Hash,
    bytes: &[u8],
) -> Result<AppliedUpdate, TrainingError> {
    let packets = update::decode(bytes)?;
    let run = spec.id();
    let foreign = |packet: &&Packet<'_>| {
        let header = &packet.header;
        header.run != run || header.round != round || header.base != *base
    };
    if let Some(packet) = packets.iter().find(foreign) {
        return Err(TrainingError::ForeignPacket {
            volunteer: packet.header.volunteer,
            round,
        });
    }
    let decoded = packets
        .iter()
        .map(|packet| codec.decode(packet.payload))
        .collect::<Result<Vec<_>, _>>()?;
    if !decoded.is_empty() {
        let mode = match spec.outer.averaging {
            Averaging::MeanR => AggregateMode::MeanR,
            Averaging::MeanPresent => AggregateMode::MeanPresent,
        };
        let aggregate = codec.aggregate(&decoded.iter().collect::<Vec<_>>(), mode)?;
        outer_step(theta, &aggregate.delta, spec.outer.lr)?;
    }
    Ok(AppliedUpdate {
        theta: Hash::of_weights(theta),
        contributions: packets
            .iter()
            .map(|packet| Contribution {
                volunteer: packet.header.volunteer,
                packet: packet.hash(),
                inner_steps: packet.header.inner_steps,
                tokens: packet.header.tokens,
                partner: None,
            })
            .collect(),
    })
}

/// Applies a signed record's update and insists on the hash it promises.
///
/// `theta` must be the record's base. Nothing of the coordinator is believed: its signature, the
/// update's name, the packets' signatures, the list of contributions and the resulting weights are
/// all checked.
///
/// # Errors
/// On any mismatch. `theta` may then hold weights of no round: resynchronise from a checkpoint.
pub fn apply_record(
    spec: &RunSpec,
    codec: &ModelCodec,
    theta: &mut [f32],
    record: &RoundRecord,
    bytes: Option<&[u8]>,
) -> Result<(), TrainingError> {
    let mismatch =
        |what| TrainingError::Protocol(covey_protocol::ProtocolError::HashMismatch { what });
    if record.run != spec.id() {
        return Err(mismatch("the record's run"));
    }
    let reached = match (record.update, bytes) {
        (None, None) if record.contributions.is_empty() => record.base,
        (Some(name), Some(bytes)) => {
            if Hash::of(bytes) != name {
                return Err(mismatch("an update"));
            }
            let applied = apply_update(spec, codec, theta, record.round, &record.base, bytes)?;
            // Packets do not say whom the coordinator credits; everything else of the list follows from them.
            let listed = record.contributions.iter().map(|listed| Contribution {
                partner: None,
                ..listed.clone()
            });
            if !listed.eq(applied.contributions) {
                return Err(mismatch("the list of contributions"));
            }
            applied.theta
        }
        _ => return Err(mismatch("an update")),
    };
    if reached != record.theta_after {
        return Err(TrainingError::WrongWeights {
            actual: reached,
            expected: record.theta_after,
        });
    }
    Ok(())
}

/// The pseudo-gradient of a volunteer: shared weights minus local weights.
pub fn pseudo_gradient(shared: &[f32], local: &[f32]) -> Result<Vec<f32>, TrainingError> {
    if shared.len() != local.len() {
        return Err(TrainingError::WeightCount {
            actual: local.len(),
            expected: shared.len(),
        });
    }
    Ok(shared.iter().zip(local).map(|(a, b)| a - b).collect())
}
