//! `run.json`: what the run is. Written once, compared with at every later start.
//!
//! The configuration's `[run]` table is laid over the run's description. At the first start the
//! description is the defaults; later it is the stored one, so settings that are left out never
//! disagree, and those that are given must agree. A run's id is the hash of its description, so changing
//! one in place would orphan every volunteer and every record.

use std::{fs, io, path::Path};

use covey_protocol::{
    Hash,
    corpus::Manifest,
    model::Preset,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
};
use serde_json::{Map, Value};

use crate::{
    CoordinatorError,
    data_dir::write_durably,
    secret::{Access, random},
};

/// A prepared corpus's manifest and its bytes, whose hash names it.
#[derive(Clone, Debug)]
pub struct CorpusManifest {
    pub manifest: Manifest,
    pub json: Vec<u8>,
}

impl CorpusManifest {
    /// Reads `manifest.json` of a corpus folder.
    ///
    /// # Errors
    /// When there is none, or it is not valid.
    pub fn load(folder: &Path) -> Result<Self, CoordinatorError> {
        let fail = |reason: String| CoordinatorError::Corpus {
            path: folder.to_owned(),
            reason,
        };
        let json = fs::read(folder.join("manifest.json"))
            .map_err(|error| fail(format!("manifest.json cannot be read ({error})")))?;
        let manifest = Manifest::from_json(&json).map_err(|error| fail(error.to_string()))?;
        Ok(Self { manifest, json })
    }

    /// The corpus's name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.json)
    }
}

/// The run in a data directory: the stored one if there is one, else a new one that is then stored.
///
/// # Errors
/// When the configuration describes another run or one that cannot be, or the disk fails.
pub fn load_or_create(
    path: &Path,
    settings: &Map<String, Value>,
    corpus: &CorpusManifest,
    corpus_dir: &Path,
) -> Result<RunSpec, CoordinatorError> {
    let spec = match fs::read(path) {
        Ok(bytes) => stored(path, &bytes, settings)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let spec = create(settings, corpus.hash())?;
            check_corpus(&spec, corpus, corpus_dir)?;
            write_durably(path, &spec.to_json(), Access::Everyone)
                .map_err(CoordinatorError::file(path))?;
            return Ok(spec);
        }
        Err(error) => return Err(CoordinatorError::file(path)(error)),
    };
    check_corpus(&spec, corpus, corpus_dir)?;
    Ok(spec)
}

fn stored(
    path: &Path,
    bytes: &[u8],
    settings: &Map<String, Value>,
) -> Result<RunSpec, CoordinatorError> {
    let damaged = |source| CoordinatorError::Damaged {
        path: path.to_owned(),
        source,
    };
    let spec = RunSpec::from_json(bytes).map_err(damaged)?;
    let base = json_of(&spec);
    let wanted = parse(overlay(base.clone(), settings)?)?;
    if wanted == spec {
        return Ok(spec);
    }
    let mut differences = Vec::new();
    compare("", &base, &json_of(&wanted), &mut differences);
    Err(CoordinatorError::OtherRun {
        path: path.to_owned(),
        differences: differences.join("\n"),
    })
}

fn create(settings: &Map<String, Value>, corpus: Hash) -> Result<RunSpec, CoordinatorError> {
    let defaults = RunSpec {
        name: "Covey".into(),
        seed: Hash(random()?),
        model: Preset::Tiny.config(),
        corpus,
        inner: InnerSpec::default(),
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    };
    let spec = parse(overlay(json_of(&defaults), settings)?)?;
    spec.validate()?;
    // A number whose shortest decimal is read back differently would give tabs another id.
    match RunSpec::from_json(&spec.to_json()) {
        Ok(read) if read.id() == spec.id() => Ok(spec),
        _ => Err(CoordinatorError::Config(
            "a number under [run] has too many digits; use at most 15".into(),
        )),
    }
}

fn check_corpus(
    spec: &RunSpec,
    corpus: &CorpusManifest,
    path: &Path,
) -> Result<(), CoordinatorError> {
    if spec.corpus != corpus.hash() {
        return Err(CoordinatorError::OtherCorpus {
            path: path.to_owned(),
            actual: corpus.hash(),
            expected: spec.corpus,
        });
    }
    let (tokens, rows) = (corpus.manifest.vocabulary_size, spec.model.vocabulary);
    if tokens as usize > rows {
        return Err(CoordinatorError::Config(format!(
            "the corpus has {tokens} different tokens, but the model only {rows}: choose a larger \
             --model, or prepare the corpus with a vocabulary of {rows}"
        )));
    }
    Ok(())
}

/// Through text, so that f32 settings appear as they were written.
fn json_of(spec: &RunSpec) -> Value {
    serde_json::from_slice(&spec.to_json()).unwrap_or_default()
}

fn parse(value: Value) -> Result<RunSpec, CoordinatorError> {
    serde_json::from_value(value)
        .map_err(|error| CoordinatorError::Config(format!("under [run]: {error}")))
}

fn overlay(mut base: Value, settings: &Map<String, Value>) -> Result<Value, CoordinatorError> {
    let mut settings = settings.clone();
    if settings.contains_key("corpus") {
        return Err(CoordinatorError::Config(
            "run.corpus cannot be set; name the corpus folder with --corpus".into(),
        ));
    }
    if let Some(Value::String(name)) = settings.get("model") {
        settings.insert("model".into(), preset(name)?);
    }
    lay(&mut base, Value::Object(settings));
    Ok(base)
}

fn preset(name: &str) -> Result<Value, CoordinatorError> {
    let preset: Option<Preset> = serde_json::from_value(Value::String(name.into())).ok();
    match preset {
        Some(preset) if preset != Preset::Covenant72b => serde_json::to_string(&preset.config())
            .and_then(|json| serde_json::from_str(&json))
            .map_err(|error| CoordinatorError::Config(error.to_string())),
        _ => Err(CoordinatorError::Config(format!(
            "there is no model {name:?}; choose tiny, small or base"
        ))),
    }
}

fn lay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                lay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn compare(path: &str, run: &Value, wanted: &Value, differences: &mut Vec<String>) {
    match (run, wanted) {
        (Value::Object(run), Value::Object(wanted)) => {
            for (key, value) in run {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                compare(
                    &path,
                    value,
                    wanted.get(key).unwrap_or(&Value::Null),
                    differences,
                );
            }
        }
        (run, wanted) if run != wanted => {
            differences.push(format!(
                "  {path}: the run has {run}, the configuration says {wanted}"
            ));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use covey_protocol::corpus::Shard;
    use serde_json::json;

    use super::*;

    fn corpus() -> CorpusManifest {
        let shard = Shard {
            hash: Hash::of(b"shard"),
            tokens: 10,
        };
        let manifest = Manifest {
            version: 1,
            vocabulary_size: 256,
            vocabulary: Hash::of(b"vocabulary"),
            tokenizer: None,
            train: vec![shard],
            held_out: vec![shard],
            train_bytes: 10,
            held_out_bytes: 10,
            unigram_entropy: 3.0,
        };
        CorpusManifest {
            json: manifest.to_json(),
            manifest,
        }
    }

    fn load(path: &Path, settings: Value) -> Result<RunSpec, CoordinatorError> {
        let Value::Object(settings) = settings else {
            panic!("settings are an object");
        };
        load_or_create(path, &settings, &corpus(), Path::new("corpus"))
    }

    #[test]
    fn a_run_is_created_once_and_then_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        let settings = json!({"name": "plays", "inner": {"steps": 7, "beta2": 0.97}});
        let created = load(&path, settings.clone()).expect("created");
        assert_eq!(created.inner.steps, 7);
        assert_eq!(created.inner.batch, InnerSpec::default().batch);
        assert_eq!(load(&path, settings).expect("agrees"), created);
        assert_eq!(load(&path, json!({})).expect("says nothing"), created);
        assert_eq!(
            load(&path, json!({"model": "tiny"})).expect("agrees"),
            created
        );
    }

    #[test]
    fn contradicting_a_run_is_refused_with_the_differences() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        let created = load(&path, json!({})).expect("created");
        let error = load(&path, json!({"inner": {"steps": 99}, "model": "small"}))
            .expect_err("another run")
            .to_string();
        assert!(error.contains("inner.steps: the run has 20, the configuration says 99"));
        assert!(error.contains("model.width: the run has 128, the configuration says 320"));
        assert!(error.contains("--data-dir"));
        assert_eq!(load(&path, json!({})).expect("untouched"), created);
    }

    #[test]
    fn what_cannot_be_a_run_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        for settings in [
            json!({"inner": {"stepz": 3}}),
            json!({"inner": {"steps": 0}}),
            json!({"model": "huge"}),
            json!({"model": "covenant-72b"}),
            json!({"corpus": "00"}),
            json!({"name": ""}),
            json!({"rounds": 3}),
        ] {
            assert!(load(&path, settings.clone()).is_err(), "{settings}");
            assert!(!path.exists(), "{settings}");
        }
    }

    #[test]
    fn a_corpus_must_be_the_runs_and_fit_its_model() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        load(&path, json!({})).expect("created");
        let mut other = corpus();
        other.manifest.vocabulary_size = 4096;
        other.json = other.manifest.to_json();
        let result = load_or_create(&path, &Map::new(), &other, Path::new("corpus"));
        assert!(matches!(result, Err(CoordinatorError::OtherCorpus { .. })));
        let fresh = folder.path().join("other.json");
        let result = load_or_create(&fresh, &Map::new(), &other, Path::new("corpus"));
        assert!(matches!(result, Err(CoordinatorError::Config(_))));
        assert!(!fresh.exists());
    }
}
