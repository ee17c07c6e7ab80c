//! The run's arithmetic, as the coordinator needs it: strict decoding at admission, the merge, the
//! replay, the export. Everything is a thin call into `covey-training`, which tabs use as well, so both
//! reach the same bits.
//!
//! Calls block for as long as a model is large; run them on the blocking pool.

use std::{collections::HashMap, sync::Arc};

use covey_compression::ModelCodec;
use covey_protocol::{
    Hash, ProtocolError, Round,
    http::ErrorCode,
    packet::{HEADER_LEN, Packet},
    record::RoundRecord,
    run::RunSpec,
    weights,
};
use covey_training::{TrainingError, checkpoint, init, outer};

/// A run's weights, shared between whoever reads them; never changed, only replaced.
pub type Weights = Arc<Vec<f32>>;

/// The run's description with everything derived from it once.
#[derive(Clone)]
pub struct Engine {
    spec: Arc<RunSpec>,
    run: Hash,
    codec: ModelCodec,
}

impl Engine {
    /// # Errors
    /// When the description's model cannot be compressed.
    pub fn new(spec: RunSpec) -> Result<Self, TrainingError> {
        let codec = outer::codec(&spec)?;
        Ok(Self {
            run: spec.id(),
            spec: Arc::new(spec),
            codec,
        })
    }

    #[must_use]
    pub fn spec(&self) -> &Arc<RunSpec> {
        &self.spec
    }

    /// The codec of the run's model.
    #[must_use]
    pub fn codec(&self) -> &ModelCodec {
        &self.codec
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> Hash {
        self.run
    }

    /// Exact length of every valid packet in bytes.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        HEADER_LEN + self.codec.payload_len()
    }

    /// The weights before round 0.
    #[must_use]
    pub fn initial_weights(&self) -> Vec<f32> {
        init::initial_weights(&self.spec.seed, &self.spec.model)
    }

    /// Everything about a packet that does not depend on the round: signature, bounds, and that its
    /// payload decodes to finite values inside the run's limits.
    ///
    /// # Errors
    /// A code and a sentence for the sender.
    pub fn inspect<'a>(&self, sealed: &'a [u8]) -> Result<Packet<'a>, (ErrorCode, String)> {
        let packet = Packet::open(sealed).map_err(|error| (code_of(&error), error.to_string()))?;
        let header = &packet.header;
        if header.run != self.run {
            return Err((
                ErrorCode::WrongRun,
                "The packet is for another run; reload to join this one.".into(),
            ));
        }
        let inner = &self.spec.inner;
        let per_step = u64::from(inner.batch) * self.spec.model.context as u64;
        if header.inner_steps > inner.steps
            || u64::from(header.tokens) > u64::from(header.inner_steps) * per_step
        {
            return Err((
                ErrorCode::Malformed,
                format!(
                    "{} inner steps over {} tokens are more than this run's {} steps of {per_step} \
                     tokens.",
                    header.inner_steps, header.tokens, inner.steps
                ),
            ));
        }
        self.codec
            .decode(packet.payload)
            .map_err(|error| (ErrorCode::Malformed, error.to_string()))?;
        Ok(packet)
    }

    /// Merges an update's packets into `theta` and returns the hash of the weights after it. On an
    /// error `theta` is unchanged.
    ///
    /// # Errors
    /// When a packet is not of this run, round and base.
    pub fn merge(
        &self,
        theta: &mut [f32],
        round: Round,
        base: &Hash,
        update: &[u8],
    ) -> Result<Hash, TrainingError> {
        outer::apply_update(&self.spec, &self.codec, theta, round, base, update)
            .map(|applied| applied.theta)
    }

    /// Applies a record as a newcomer would, checking everything it promises.
    ///
    /// # Errors
    /// On any mismatch.
    pub fn replay(
        &self,
        theta: &mut [f32],
        record: &RoundRecord,
        update: Option<&[u8]>,
    ) -> Result<(), TrainingError> {
        outer::apply_record(&self.spec, &self.codec, theta, record, update)
    }

    /// Reads a checkpoint blob.
    ///
    /// # Errors
    /// When it is not of this model or does not match its hash.
    pub fn from_checkpoint(&self, theta: &Hash, bytes: &[u8]) -> Result<Vec<f32>, TrainingError> {
        Ok(weights::from_bytes(&self.spec.model, theta, bytes)?)
    }

    /// The weights as a SafeTensors file.
    ///
    /// # Errors
    /// Weights of another model.
    pub fn export(&self, round: Round, theta: &[f32]) -> Result<Vec<u8>, TrainingError> {
        let metadata = HashMap::from([
            ("format".to_owned(), "pt".to_owned()),
            ("run".to_owned(), self.run.to_string()),
            ("name".to_owned(), self.spec.name.clone()),
            ("round".to_owned(), round.to_string()),
            ("theta".to_owned(), Hash::of_weights(theta).to_string()),
        ]);
        checkpoint::to_safetensors(&self.spec.model, theta, metadata)
    }
}

/// What a protocol error is called on the wire.
#[must_use]
pub fn code_of(error: &ProtocolError) -> ErrorCode {
    match error {
        ProtocolError::TooLarge { .. } => ErrorCode::TooLarge,
        ProtocolError::Version { .. } => ErrorCode::Protocol,
        ProtocolError::Signature(_) => ErrorCode::Signature,
        ProtocolError::Truncated { .. }
        | ProtocolError::Magic(_)
        | ProtocolError::HashMismatch { .. }
        | ProtocolError::NotFinite(_)
        | ProtocolError::Order(_)
        | ProtocolError::Malformed { .. } => ErrorCode::Malformed,
    }
}
