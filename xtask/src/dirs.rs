//! Where things are: the repository, and the cache that outlives a clone.
//!
//! The cache holds one target folder for native builds and one for WebAssembly (features and
//! compilers differ, and a shared one would be rebuilt at every turn), npm's packages, and
//! prepared corpora.

use std::{
    fs,
    path::{Path, PathBuf},
};

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

    /// Makes the builds in the cache this checkout's. Cargo takes another checkout's build of a crate for
    /// this one's when it is newer than the sources here, whatever it was built from; so what was built of
    /// our own crates elsewhere is built again. Dependencies are the same everywhere and stay.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn claim(&self) -> Result<()> {
        for target in [self.native(), self.wasm(), self.fuzz()] {
            claim(&target, &self.root).with_context(|| format!("{}", target.display()))?;
        }
        Ok(())
    }

    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// Where the browser module is put.
    pub fn module(&self) -> PathBuf {
        self.www().join("module")
    }
}

fn claim(target: &Path, root: &Path) -> Result<()> {
    let stamp = target.join(".checkout");
    let ours = root.to_string_lossy();
    if !target.is_dir() || fs::read_to_string(&stamp).is_ok_and(|by| by == ours) {
        return Ok(());
    }
    // `<profile>/.fingerprint`, and `<target>/<profile>/.fingerprint`.
    let folders = |of: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(of).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    for profile in folders(target) {
        for place in folders(&profile).into_iter().chain([profile]) {
            for unit in folders(&place.join(".fingerprint")) {
                let name = unit.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with("covey") {
                    fs::remove_dir_all(&unit)?;
                }
            }
        }
    }
    fs::write(stamp, ours.as_bytes())?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_checkouts_builds_of_our_crates_are_not_this_ones() {
        let target = std::env::temp_dir().join(format!("covey-claim-{}", std::process::id()));
        let unit = |path: &str| target.join(path);
        let native = unit("debug/.fingerprint/covey-ledger-1");
        let browser = unit("wasm32-unknown-unknown/wasm/.fingerprint/covey-2");
        let dependency = unit("debug/.fingerprint/burn-3");
        let build = || {
            for folder in [&native, &browser, &dependency] {
                fs::create_dir_all(folder).unwrap();
            }
        };
        let there = || [&native, &browser, &dependency].map(|folder| folder.is_dir());
        let root = |name: &str| target.join(name);
        build();
        claim(&target, &root("one")).unwrap();
        assert_eq!(there(), [false, false, true]);
        build();
        claim(&target, &root("one")).unwrap();
        assert_eq!(there(), [true, true, true]);
        claim(&target, &root("two")).unwrap();
        assert_eq!(there(), [false, false, true]);
        fs::remove_dir_all(&target).unwrap();
        claim(&target, &root("one")).unwrap();
        assert!(!target.exists());
    }
}
