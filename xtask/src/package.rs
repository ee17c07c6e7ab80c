//! `cargo xtask package`: the npm package in `pkg/dist`, checked as its users will meet it.
//!
//! What is in it: the entries of `pkg/src` with their types, and under `v<version>/` the page's files
//! as they are served, so that one folder is both what a bundler imports and what a web server hands
//! out for ever under one address. `integrity.json` names the SHA-384 of each of those files, and
//! `release.js` carries the hashes of the training program into the package's own code, which checks
//! what it loads against them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha384};

use crate::{
    dirs::{self, Dirs},
    node,
    shell::{self, Steps},
    source_map, wasm,
};

/// The training program, which the package's code checks before it runs.
const PROGRAM: [&str; 2] = ["module/covey.js", "module/covey_bg.wasm"];
/// Files of the page that the package's entries import, copied beside them.
const SHARED: [(&str, &str); 2] = [("embed.js", "embed.js"), ("app/keystore.js", "keystore.js")];
/// What the manifest says in place of the version, which the workspace has.
const UNVERSIONED: &str = "\"version\": \"0.0.0\"";
const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];
/// What a partner's page loads before a visitor consents must stay below this, compressed.
const LOADER_LIMIT: u64 = 10_000;

/// Builds and checks the package; gives the tarball's path.
pub fn package(dirs: &Dirs) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let mut steps = Steps::of(4);
    steps.step("Browser module", || {
        if PROGRAM.iter().all(|name| dirs.www().join(name).is_file()) {
            eprintln!("Using the module that is in www/module; `cargo xtask wasm` builds it anew");
            return Ok(());
        }
        wasm::build(dirs, true).map(drop)
    })?;
    let dist = steps.step("Assemble", || assemble(dirs, version))?;
    let tarball = steps.step("Pack", || pack(dirs, &dist))?;
    steps.step("Check", || check(dirs, &tarball))?;
    println!("{}", tarball.display());
    Ok(tarball)
}

fn assemble(dirs: &Dirs, version: &str) -> Result<PathBuf> {
    let source = dirs.root.join("pkg");
    let dist = source.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    let versioned = dist.join(format!("v{version}"));
    copy(&dirs.www(), &versioned)?;
    copy(&source.join("src"), &dist)?;
    copy(&source.join("types"), &dist)?;
    for (from, to) in SHARED {
        fs::copy(dirs.www().join(from), dist.join(to)).with_context(|| from.to_owned())?;
    }
    for licence in LICENCES {
        fs::copy(dirs.root.join(licence), dist.join(licence))?;
    }
    fs::copy(source.join("README.md"), dist.join("README.md"))?;

    // As text: the order of its keys means something to those who read it.
    let manifest = fs::read_to_string(source.join("package.json"))?;
    if !manifest.contains(UNVERSIONED) {
        bail!("pkg/package.json lacks {UNVERSIONED}, which the version replaces");
    }
    fs::write(
        dist.join("package.json"),
        manifest.replace(UNVERSIONED, &format!("\"version\": {}", json!(version))),
    )?;

    let hashes = integrity(&versioned)?;
    let named = hashes
        .iter()
        .map(|(path, hash)| (format!("v{version}/{path}"), hash))
        .collect::<BTreeMap<_, _>>();
    write_json(
        &dist.join("integrity.json"),
        &json!({ "version": version, "files": named }),
    )?;
    fs::write(dist.join("release.js"), release(version, &hashes)?)?;
    loader_is_small(&versioned)?;
    source_map::beside(&dist, |name| {
        let shared = SHARED.iter().find(|(_, to)| *to == name);
        match shared {
            Some((from, _)) => Some(format!("www/{from}")),
            None => source
                .join("src")
                .join(name)
                .is_file()
                .then(|| format!("pkg/src/{name}")),
        }
    })?;
    Ok(dist)
}

/// The hashes that the package's own code holds what it loads to.
fn release(version: &str, hashes: &BTreeMap<String, String>) -> Result<String> {
    let mut program = BTreeMap::new();
    for name in PROGRAM {
        let hash = hashes
            .get(name)
            .with_context(|| format!("{name} is missing"))?;
        program.insert(name, hash);
    }
    Ok(format!(
        "// @ts-check\n// Made by `cargo xtask package`: the version, and the program's files by their SHA-384.\n\
         export const VERSION = {};\nexport const INTEGRITY = Object.freeze({});\n",
        json!(version),
        serde_json::to_string_pretty(&program)?
    ))
}

/// SHA-384 of every file below a folder, by its path with slashes.
fn integrity(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(folder)?
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect::<Vec<_>>()
                .join("/");
            hashes.insert(name, sri(&fs::read(&path)?));
        }
    }
    Ok(hashes)
}

/// As the `integrity` attribute wants it.
fn sri(bytes: &[u8]) -> String {
    format!("sha384-{}", BASE64.encode(&Sha384::digest(bytes)))
}

fn loader_is_small(versioned: &Path) -> Result<()> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &fs::read(versioned.join("embed.js"))?)?;
    let size = encoder.finish()?.len() as u64;
    eprintln!("embed.js: {size} bytes compressed");
    if size >= LOADER_LIMIT {
        bail!("embed.js is {size} bytes compressed; the limit is {LOADER_LIMIT}");
    }
    Ok(())
}

fn pack(dirs: &Dirs, dist: &Path) -> Result<PathBuf> {
    shell::run(node::npm()?.args(["pack", "--dry-run"]).current_dir(dist))
        .context("npm would not pack it")?;
    let out = dirs.root.join("pkg").join("dist-tarball");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    dirs::create(&out)?;
    shell::run(
        node::npm()?
            .args(["pack", "--silent", "--pack-destination"])
            .arg(&out)
            .current_dir(dist),
    )?;
    fs::read_dir(&out)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension() == Some(OsStr::new("tgz")))
        .context("npm packed nothing")
}

/// Installs the tarball in a project that uses it, and lets publint, the type checker and Node look.
fn check(dirs: &Dirs, tarball: &Path) -> Result<()> {
    let tools = node::package_tools(dirs)?;
    let node = node::node()?;
    let bin = |path: &str| tools.join("node_modules").join(path);
    eprintln!("publint");
    shell::run(
        Command::new(&node)
            .arg(bin("publint/src/cli.js"))
            .arg(tarball)
            .arg("--strict"),
    )
    .context("publint found something")?;

    // The package lies where Node and the type checker look for it: in the project's node_modules.
    let installed = tools.join("node_modules").join("covey");
    if installed.exists() {
        fs::remove_dir_all(&installed)?;
    }
    let unpacked = tools.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    let bytes = fs::File::open(tarball)?;
    tar::Archive::new(flate2::read::GzDecoder::new(bytes)).unpack(&unpacked)?;
    fs::rename(unpacked.join("package"), &installed)?;
    let project = tools.join("consumer");
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    copy(&dirs.root.join("pkg/check"), &project)?;
    eprintln!("Types");
    shell::run(
        Command::new(&node)
            .arg(bin("typescript/bin/tsc"))
            .arg("--project")
            .arg(&project),
    )
    .context("the consumer project does not pass the type check")?;
    eprintln!("Entries on a server");
    shell::run(Command::new(&node).arg("server.mjs").current_dir(&project))
        .context("the package's entries do not load in Node")
}

/// Copies a folder, leaving out what begins with a dot.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{} is missing", from.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, serde_json::to_string_pretty(value)? + "\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_what_a_browser_computes() {
        // From the specification of Subresource Integrity.
        assert_eq!(
            sri(b"alert('Hello, world.');"),
            "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO"
        );
    }

    #[test]
    fn release_names_the_program_and_refuses_to_lack_it() {
        let hashes = PROGRAM
            .iter()
            .chain(&["index.html"])
            .map(|name| ((*name).to_owned(), "sha384-x".to_owned()))
            .collect::<BTreeMap<_, _>>();
        let code = release("1.2.3", &hashes).unwrap();
        assert!(code.contains("VERSION = \"1.2.3\""));
        assert!(code.contains("module/covey_bg.wasm") && !code.contains("index.html"));
        assert!(release("1.2.3", &BTreeMap::new()).is_err());
    }
}
