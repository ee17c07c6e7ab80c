//! What the benchmarks on real text share: a prepared corpus, and a section of a Markdown file.

use std::{collections::BTreeMap, path::Path};

use covey_protocol::corpus::{Manifest, Shard, decode_shard};

use super::common::Failure;

/// A corpus directory, read whole.
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
        let train = manifest
            .train
            .iter()
            .enumerate()
            .map(|(number, shard)| Ok((number, read(shard)?)))
            .collect::<Result<_, Failure>>()?;
        let held_out = manifest
            .held_out
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        Ok(Self {
            manifest,
            train,
            held_out,
        })
    }
}

/// Replaces what stands between a section's markers in a Markdown file.
pub fn write_section(path: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let open = format!("<!-- {name} -->\n");
    let close = format!("\n<!-- /{name} -->");
    let page = std::fs::read_to_string(path)?;
    let (before, rest) = page
        .split_once(&open)
        .ok_or("the opening marker is missing")?;
    let (_, after) = rest
        .split_once(&close)
        .ok_or("the closing marker is missing")?;
    std::fs::write(path, format!("{before}{open}{text}{close}{after}"))?;
    Ok(())
}
