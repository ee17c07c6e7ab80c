//! A prepared corpus, read whole.

use std::{collections::BTreeMap, path::Path};

use covey_protocol::corpus::{Manifest, Shard, decode_shard};

use crate::Failure;

/// What everyone trains on and is judged by.
pub struct Corpus {
    pub manifest: Manifest,
    pub train: BTreeMap<usize, Vec<u16>>,
    pub held_out: Vec<u16>,
}

impl Corpus {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::from_json(&std::fs::read(folder.join("manifest.json"))?)?;
        let read = |shard: &Shard| -> Result<Vec<u16>, Failure> {
            let bytes = std::fs::read(folder.join("blobs").join(shard.hash.to_string()))?;
            Ok(decode_shard(shard, manifest.vocabulary_size, &bytes)?)
        };
        let train = manifest.train.iter().enumerate();
        Ok(Self {
            train: train
                .map(|(number, shard)| Ok((number, read(shard)?)))
                .collect::<Result<_, Failure>>()?,
            held_out: manifest
                .held_out
                .iter()
                .map(read)
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
            manifest,
        })
    }
}
