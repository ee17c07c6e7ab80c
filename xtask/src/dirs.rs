//! Where things are: the repository, and the cache that outlives a clone.
//!
//! The cache holds one target folder for native builds and one for WebAssembly (features and
//! compilers differ, and a shared one would be rebuilt at every turn), npm's packages, and
//! prepared corpora.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

/// The places a task works in. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// The repository.
    pub root: PathBuf,
    cache: PathBuf,
}

impl Dirs {
    /// Finds the repository by where this program's own manifest lies, so that the current folder
    /// does not matter.
    pub fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file())
            .ok_or_else(|| anyhow!("{} is not in Covey's repository", manifest.display()))?
            .to_path_buf();
        let cache = match std::env::var_os("COVEY_CACHE").filter(|path| !path.is_empty()) {
            Some(path) => std::path::absolute(path)?,
            None => std::env::home_dir()
                .filter(|home| home.is_dir())
                .map(|home| home.join(".cache").join("covey"))
                .context("there is no home folder: set COVEY_CACHE to a folder for builds")?,
        };
        Ok(Self { root, cache })
    }

    /// Target folder of native builds.
    pub fn native(&self) -> PathBuf {
        self.cache.join("native")
    }

    /// Target folder of WebAssembly builds.
    pub fn wasm(&self) -> PathBuf {
        self.cache.join("wasm")
    }

    /// Target folder of the fuzz targets, what they learnt and what they failed on.
    pub fn fuzz(&self) -> PathBuf {
        self.cache.join("fuzz")
    }

    /// npm's packages, and a copy of the browser tests beside them.
    pub fn node(&self) -> PathBuf {
        self.cache.join("node")
    }

    /// Prepared corpora and what they were made from.
    pub fn corpus(&self) -> PathBuf {
        self.cache.join("corpus")
    }

    /// What tests leave behind to look at: screenshots and logs.
    pub fn test_output(&self) -> PathBuf {
        self.cache.join("test-output")
    }

    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// Where the browser module is put.
    pub fn module(&self) -> PathBuf {
        self.www().join("module")
    }
}

/// Makes a folder and those above it.
pub fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| {
        format!(
            "{} cannot be made; set COVEY_CACHE to a folder that can",
            folder.display()
        )
    })
}
