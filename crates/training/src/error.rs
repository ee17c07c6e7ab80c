//! What can go wrong between bytes, weights and a device.

use covey_compression::CompressionError;
use covey_protocol::{Hash, ProtocolError, Round, VolunteerId, model::ModelError};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum TrainingError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Compression(#[from] CompressionError),
    #[error("{actual} weights where the model has {expected}")]
    WeightCount { actual: usize, expected: usize },
    #[error("the device failed: {0}")]
    Device(String),
    #[error("a value that is not finite appeared in {0}")]
    NotFinite(&'static str),
    #[error("the corpus holds no sequence of {0} tokens to train on")]
    NoSequences(usize),
    #[error("a packet of {volunteer} in the update of round {round} does not belong there")]
    ForeignPacket {
        volunteer: VolunteerId,
        round: Round,
    },
    #[error("the weights after the round hash to {actual}, but the record says {expected}")]
    WrongWeights { actual: Hash, expected: Hash },
    #[error("the checkpoint is not valid: {0}")]
    Checkpoint(String),
    #[error("saved optimiser state does not fit this model")]
    OptimiserState,
}
