//! The corpus as one tab holds it: the manifest, and the few shards that were last looked into.

use std::{collections::BTreeMap, rc::Rc};

use covey_protocol::{
    corpus::{Manifest, Shard, decode_shard},
    limits::MAX_FRAME,
    run::RunSpec,
};
use covey_training::TrainingError;

use super::{client::Client, work::WorkError};

/// Shards kept in memory.
const SHARDS: usize = 8;

#[derive(Default)]
pub struct Texts {
    manifest: Option<Rc<Manifest>>,
    /// Tokens of training shards by their number.
    pub shards: BTreeMap<usize, Vec<u16>>,
}

impl Texts {
    pub async fn manifest(
        &mut self,
        client: &Client,
        spec: &RunSpec,
    ) -> Result<Rc<Manifest>, WorkError> {
        if let Some(manifest) = &self.manifest {
            return Ok(manifest.clone());
        }
        let bytes = client.blob(&spec.corpus, 16 * MAX_FRAME).await?;
        let manifest = Rc::new(Manifest::from_json(&bytes).map_err(TrainingError::from)?);
        self.manifest = Some(manifest.clone());
        Ok(manifest)
    }

    /// Fetches the training shards that are missing, making room for them. `before` is called before a
    /// shard is fetched.
    pub async fn fetch(
        &mut self,
        client: &Client,
        manifest: &Manifest,
        numbers: &[usize],
        before: impl Fn(),
    ) -> Result<(), WorkError> {
        while self.shards.len() + numbers.len() > SHARDS {
            if self.shards.pop_first().is_none() {
                break;
            }
        }
        for number in numbers {
            let Some(shard) = manifest.train.get(*number) else {
                continue;
            };
            if !self.shards.contains_key(number) {
                before();
                let tokens = tokens(client, manifest, shard).await?;
                self.shards.insert(*number, tokens);
            }
        }
        Ok(())
    }
}

/// One shard's tokens, checked.
pub async fn tokens(
    client: &Client,
    manifest: &Manifest,
    shard: &Shard,
) -> Result<Vec<u16>, WorkError> {
    let bytes = client.blob(&shard.hash, shard.tokens as usize * 2).await?;
    let tokens = decode_shard(shard, manifest.vocabulary_size, &bytes);
    Ok(tokens.map_err(TrainingError::from)?)
}
