//! A mirror's folder: a coordinator's data directory (see [`data_dir`](crate::data_dir)) with a note of
//! what it follows, so that nothing has to be converted when it takes the run over.
//!
//! 1. The first contact decides which run it is: its description and its coordinator's key are written
//!    down, and everything later is compared with them.
//! 2. The corpus is copied, shard by shard, each checked against its name.
//!
//! What a reader would get wrong: the first contact is trusted for the name of the run and the key, as any
//! newcomer trusts it, unless the operator names them (`--run`, `--coordinator`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use covey_protocol::{
    Hash, VolunteerId,
    corpus::Manifest,
    handover::SignedHandover,
    http::RunInfo,
    ledger::LedgerHead,
    limits::{MAX_SHARD_TOKENS, MAX_TOKEN_BYTES, MAX_VOCABULARY},
    run::RunSpec,
    witness::SignedStatement,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

use super::{
    FollowArgs,
    client::{Client, ClientError},
    halt::Halt,
};
use crate::{
    CoordinatorError,
    data_dir::{DataDir, write_durably},
    secret::Access,
    storage::{BlobSource, Blobs, LocalBlobs},
};

/// Largest manifest: a line for each of the shards it may list.
const MANIFEST: usize = 16 * 1024 * 1024;
/// Largest vocabulary or tokenizer.
const VOCABULARY: usize = MAX_VOCABULARY * (MAX_TOKEN_BYTES + 16);
/// Times a blob with other bytes than its name says is asked for: lines fail.
pub const TRIES: usize = 3;

/// `mirror.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub url: String,
    pub run: Hash,
    /// Signs what comes next.
    pub coordinator: VolunteerId,
    #[serde(default)]
    pub handovers: Vec<SignedHandover>,
    /// The end of the ledger as the coordinator last signed it.
    #[serde(default)]
    pub ledger: Option<LedgerHead>,
}

/// The folder of one mirror.
pub struct Folder {
    pub data: DataDir,
    pub source: Source,
    pub spec: RunSpec,
}

/// Reads a small JSON file, if it is there.
///
/// # Errors
/// When the disk fails or it holds something else.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CoordinatorError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CoordinatorError::file(path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let kind = std::io::ErrorKind::InvalidData;
        CoordinatorError::file(path)(std::io::Error::new(kind, error))
    })
}

fn write_json(path: PathBuf, value: &impl Serialize) -> Result<(), CoordinatorError> {
    let json = serde_json::to_vec_pretty(value).unwrap_or_default();
    write_durably(&path, &json, Access::Everyone).map_err(CoordinatorError::file(path))
}

impl Folder {
    /// A mirror's folder: the one that is there, or a new one after a first look at the run.
    ///
    /// # Errors
    /// When the coordinator does not answer, or serves another run than the folder or the operator says.
    pub fn open(data: DataDir, client: &Client, args: &FollowArgs) -> Result<Self, Halt> {
        let wrong = |reason: String| {
            Halt::Broken(CoordinatorError::Follow {
                url: client.url().to_owned(),
                reason,
            })
        };
        if let Some(mut source) = read_json::<Source>(&data.mirror())? {
            let path = data.run();
            let bytes = fs::read(&path).map_err(CoordinatorError::file(&path))?;
            let spec = RunSpec::from_json(&bytes)
                .map_err(|source| CoordinatorError::Damaged { path, source })?;
            if args.run.is_some_and(|run| run != source.run) {
                let (run, folder) = (source.run, data.root().display());
                return Err(wrong(format!(
                    "{folder} mirrors run {run}; choose another --data-dir for another run"
                )));
            }
            if source.url != client.url() {
                source.url = client.url().to_owned();
                write_json(data.mirror(), &source)?;
            }
            return Ok(Self { data, source, spec });
        }
        if data.journal().exists() {
            let folder = data.root().display();
            return Err(wrong(format!(
                "{folder} is a coordinator's folder; choose another --data-dir for the mirror"
            )));
        }
        let info = client.run()?;
        info.spec
            .validate()
            .map_err(|error| ClientError::Invalid(error.to_string()))?;
        if info.spec.id() != info.run {
            return Err(wrong("the run is not the one its name says".into()));
        }
        info.check_handovers()
            .map_err(|error| ClientError::Invalid(error.to_string()))?;
        if let Some(run) = args.run.filter(|run| *run != info.run) {
            return Err(wrong(format!("it serves run {}, not {run}", info.run)));
        }
        if let Some(key) = args.coordinator.filter(|key| !info.descends_from(key)) {
            return Err(wrong(format!(
                "its coordinator is {}, not {key}",
                info.coordinator
            )));
        }
        let source = Source {
            url: client.url().to_owned(),
            run: info.run,
            coordinator: info.coordinator,
            handovers: info.handovers,
            ledger: None,
        };
        // The note is written last: without it the folder is begun again.
        write_durably(&data.run(), &info.spec.to_json(), Access::Everyone)
            .map_err(CoordinatorError::file(data.run()))?;
        write_json(data.mirror(), &source)?;
        Ok(Self {
            data,
            source,
            spec: info.spec,
        })
    }

    /// Writes down who coordinates and what it signed, once its records and its ledger have held.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn note(
        &mut self,
        info: &RunInfo,
        head: Option<&LedgerHead>,
    ) -> Result<(), CoordinatorError> {
        let next = Source {
            coordinator: info.coordinator,
            handovers: info.handovers.clone(),
            ledger: head.cloned(),
            ..self.source.clone()
        };
        if next != self.source {
            write_json(self.data.mirror(), &next)?;
            self.source = next;
        }
        Ok(())
    }

    /// Keeps the newest statement.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn state(&self, signed: &SignedStatement) -> Result<(), CoordinatorError> {
        write_json(self.data.witness(), signed)
    }

    /// Keeps a proof where its name says what it is, and says where that is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn proof(&self, round: u64, proof: &impl Serialize) -> Result<PathBuf, CoordinatorError> {
        let path = self.data.root().join(format!("equivocation-{round}.json"));
        write_json(path.clone(), proof)?;
        Ok(path)
    }
}

/// Copies what is missing of the run's corpus. Names are hashes, so what is there is not asked for again.
///
/// # Errors
/// When a part is not to be had, or the disk fails.
pub fn copy_corpus(
    folder: &Folder,
    client: &Client,
    own: &dyn Blobs,
    runtime: &Handle,
    go_on: impl Fn() -> bool,
) -> Result<(), Halt> {
    let root = folder.data.root().join("corpus");
    let path = root.join("manifest.json");
    let blobs = root.join("blobs");
    fs::create_dir_all(&blobs).map_err(CoordinatorError::file(&blobs))?;
    let blobs = LocalBlobs::open(&blobs)?;
    let manifest = match fs::read(&path) {
        Ok(bytes) if Hash::of(&bytes) == folder.spec.corpus => bytes,
        _ => whole(client, &folder.spec.corpus, MANIFEST)?,
    };
    let parsed = Manifest::from_json(&manifest)
        .map_err(|error| ClientError::Invalid(format!("the corpus manifest: {error}")))?;
    let mut wanted: Vec<(Hash, usize)> = vec![(parsed.vocabulary, VOCABULARY)];
    wanted.extend(parsed.tokenizer.iter().map(|name| (*name, VOCABULARY)));
    let shards = parsed.train.iter().chain(&parsed.held_out);
    wanted.extend(shards.map(|shard| {
        let tokens = (shard.tokens as usize).min(MAX_SHARD_TOKENS);
        (shard.hash, tokens.saturating_mul(2))
    }));
    let all = wanted.len();
    for (number, (name, limit)) in wanted.into_iter().enumerate() {
        if !go_on() {
            return Err(Halt::Stopped);
        }
        if runtime.block_on(blobs.len(&name))?.is_some() {
            continue;
        }
        let bytes = whole(client, &name, limit)?;
        runtime.block_on(blobs.put(Bytes::from(bytes)))?;
        if number % 64 == 0 {
            tracing::info!(part = number, of = all, "copying the corpus");
        }
    }
    if !path.exists() {
        runtime.block_on(own.put(Bytes::from(manifest.clone())))?;
        // Last: a corpus with a manifest is whole.
        write_durably(&path, &manifest, Access::Everyone).map_err(CoordinatorError::file(&path))?;
        tracing::info!(parts = all, "corpus copied");
    }
    Ok(())
}

/// A blob that is what its name says.
fn whole(client: &Client, name: &Hash, limit: usize) -> Result<Vec<u8>, ClientError> {
    for _ in 0..TRIES {
        let bytes = client.blob(name, limit)?;
        if Hash::of(&bytes) == *name {
            return Ok(bytes);
        }
    }
    Err(ClientError::Invalid(format!(
        "the blob {name} has another hash"
    )))
}
