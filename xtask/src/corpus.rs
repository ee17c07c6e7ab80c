//! Finds or prepares the corpus for a model, through `covey-corpus`.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    cli::{Corpus, Model},
    default_corpus,
    dirs::{self, Dirs},
    shell,
};

/// A folder with a corpus.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub folder: PathBuf,
    /// Names the content: the start of the manifest's hash where it is known.
    pub name: String,
}

/// The corpus for `model`: made of `input` (a corpus, a text file or a folder), or the default one.
pub fn prepare(dirs: &Dirs, input: Option<&Path>, model: Model) -> Result<Prepared> {
    let vocabulary = match model.vocabulary() {
        256 => "bytes".to_owned(),
        size => size.to_string(),
    };
    let (text, name) = match input {
        Some(path) => {
            let path = std::path::absolute(path)?;
            if path.join("manifest.json").is_file() && path.join("blobs").is_dir() {
                return ready_made(&path, model);
            }
            let name = name_of(&path);
            (path, name)
        }
        None => (default_corpus::fetch(dirs)?, "default".to_owned()),
    };
    dirs::create(&dirs.corpus())?;
    let folder = dirs.corpus().join(format!("{name}-{vocabulary}"));
    let mut command = Command::new(shell::program(dirs, "covey-corpus")?);
    command
        .arg(&text)
        .arg("--out")
        .arg(&folder)
        .args(["--vocabulary", &vocabulary]);
    shell::run(&mut command).context("the corpus could not be made")?;
    named(folder)
}

/// `cargo xtask corpus`.
pub fn delegate(dirs: &Dirs, arguments: &Corpus) -> Result<ExitCode> {
    let input = match &arguments.input {
        Some(path) => std::path::absolute(path)?,
        None => default_corpus::fetch(dirs)?,
    };
    let mut command = Command::new(shell::program(dirs, "covey-corpus")?);
    command
        .arg(input)
        .arg("--out")
        .arg(std::path::absolute(&arguments.out)?)
        .args(["--vocabulary", &arguments.vocabulary])
        .args(["--held-out", &arguments.held_out]);
    // It says itself what was wrong.
    let status = command.status()?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn ready_made(folder: &Path, model: Model) -> Result<Prepared> {
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json"))?)
        .with_context(|| format!("{} is not a corpus manifest", folder.display()))?;
    let size = manifest.get("vocabulary_size").and_then(Value::as_u64);
    if size != Some(u64::from(model.vocabulary())) {
        bail!(
            "{} has a vocabulary of {} tokens and the {} model needs {}; make the corpus with \
             --vocabulary {3}, or give the text instead",
            folder.display(),
            size.unwrap_or_default(),
            model.name(),
            model.vocabulary(),
        );
    }
    named(folder.to_path_buf())
}

/// Names a corpus by its manifest's hash, from the stamp beside it; by its folder if there is none.
fn named(folder: PathBuf) -> Result<Prepared> {
    let stamp = fs::read(folder.join("source.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let hash = stamp
        .as_ref()
        .and_then(|stamp| stamp.get("manifest")?.as_str());
    let name = match hash.and_then(|hash| hash.get(..8)) {
        Some(hash) => hash.to_owned(),
        None => name_of(&folder),
    };
    Ok(Prepared { folder, name })
}

/// A name for a path that no other path has: its last part and a hash of the whole.
fn name_of(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    let stem: String = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .take(40)
        .collect();
    format!("{stem}-{:08x}", hasher.finish() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_the_same_last_part_get_different_names() {
        let (one, two) = (
            name_of(Path::new("/a/my text.txt")),
            name_of(Path::new("/b/my text.txt")),
        );
        assert!(one.starts_with("mytext-") && two.starts_with("mytext-"));
        assert_ne!(one, two);
    }
}
