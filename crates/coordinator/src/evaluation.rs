//! Held-out loss of the newest weights, on a thread of its own.
//!
//! It never delays a round: the thread takes the newest weights when it is free and skips the ones in
//! between. A large model on a slow machine is measured rarely, but always honestly.

use std::thread;

use covey_protocol::{
    Round,
    corpus::{Manifest, decode_shard},
    http::HeldOut,
    run::RunSpec,
};
use covey_training::{TrainingError, device, evaluate::Evaluator};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use crate::{engine::Weights, storage::BlobSource};

/// Held-out tokens that are loaded at most; the sample is spread over them.
const MAX_TOKENS: usize = 8 * 1024 * 1024;

/// Newest weights and the round they are the base of.
pub type Newest = watch::Sender<Option<(Round, Weights)>>;

/// Reads the corpus's held-out tokens.
///
/// # Errors
/// A sentence about the shard that is missing or damaged.
pub async fn held_out_tokens(
    manifest: &Manifest,
    corpus: &dyn BlobSource,
) -> Result<Vec<u16>, String> {
    let mut tokens = Vec::new();
    for shard in &manifest.held_out {
        let bytes = corpus
            .get(&shard.hash)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("the held-out shard {} is missing or damaged", shard.hash))?;
        tokens.extend(
            decode_shard(shard, manifest.vocabulary_size, &bytes)
                .map_err(|error| error.to_string())?,
        );
        if tokens.len() >= MAX_TOKENS {
            break;
        }
    }
    Ok(tokens)
}

/// Starts the thread. It ends when the sender is dropped; a measurement under way is then abandoned
/// with the process. `sequences` bounds the sample.
///
/// # Errors
/// When the operating system refuses a thread.
pub fn start(
    spec: &RunSpec,
    tokens: Vec<u16>,
    sequences: usize,
    results: mpsc::Sender<HeldOut>,
) -> std::io::Result<Newest> {
    let (newest, mut weights) = watch::channel::<Option<(Round, Weights)>>(None);
    let model = spec.model.clone();
    let runtime = Handle::current();
    thread::Builder::new()
        .name("held-out".into())
        .spawn(move || {
            runtime.block_on(async {
                let evaluator = match Evaluator::new(&model, &tokens, sequences, &device::cpu()) {
                    Ok(evaluator) => evaluator,
                    Err(error) => {
                        tracing::warn!(%error, "held-out loss is not measured");
                        return;
                    }
                };
                drop(tokens);
                while weights.changed().await.is_ok() {
                    let newest = weights.borrow_and_update().clone();
                    let Some((round, theta)) = newest else {
                        continue;
                    };
                    match evaluator.loss(&theta).await {
                        Ok(loss) => {
                            if results.send(HeldOut { round, loss }).await.is_err() {
                                return;
                            }
                        }
                        Err(error @ TrainingError::NotFinite(_)) => {
                            tracing::error!(%round, %error, "the shared weights are spoilt");
                        }
                        Err(error) => tracing::warn!(%round, %error, "held-out loss failed"),
                    }
                }
            });
        })?;
    Ok(newest)
}
