//! Builds the browser module: the root package as WebAssembly, with its JavaScript glue, in
//! `www/module`.
//!
//! Cargo decides what must be compiled again; the glue is made again only when the compiled module
//! changed. The result is checked for what it imports: anything but its own glue would fail only
//! in the visitor's browser.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;
use wasmparser::{Parser, Payload};

use crate::{
    dirs::{self, Dirs},
    node,
    shell::{self, Took},
    toolchain::{TARGET, Toolchain},
};

const PROFILE: &str = "wasm";
/// Name of the glue and of the module beside it.
const NAME: &str = "covey";
/// The one module the browser module may import from.
const GLUE: &str = "./covey_bg.js";
/// Says what the files in `www/module` were made from.
const STAMP: &str = ".stamp";

/// Builds the browser module; gives its folder.
pub fn build(dirs: &Dirs, optimise: bool) -> Result<PathBuf> {
    let compiled = compile(dirs, "covey")?;
    let folder = dirs.module();
    let stamp = stamp(&compiled, optimise)?;
    let found = fs::read_to_string(folder.join(STAMP)).unwrap_or_default();
    // Whoever does not ask for the small form is served well by it, too.
    if found == stamp || found == self::stamp(&compiled, true)? {
        eprintln!("The browser module is up to date");
        return Ok(folder);
    }
    eprintln!("Making the JavaScript glue");
    // Made elsewhere in the repository and moved, so that a page never meets half of it.
    let fresh = dirs.root.join("target").join("module.partial");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    Bindgen::new()
        .input_path(&compiled)
        .out_name(NAME)
        .web(true)?
        .typescript(true)
        // The names of burn's generic functions are three times the size of their code.
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&fresh)
        .context("wasm-bindgen failed")?;
    let module = fresh.join(format!("{NAME}_bg.wasm"));
    if optimise {
        shrink(dirs, &fresh)?;
    }
    check_imports(&module)?;
    fs::write(fresh.join(STAMP), stamp)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(&fresh, &folder)?;
    for ending in ["", ".br"] {
        let path = folder.join(format!("{NAME}_bg.wasm{ending}"));
        if let Ok(metadata) = fs::metadata(&path) {
            let size = metadata.len() as f64 / 1e6;
            eprintln!("{}: {size:.1} MB", path.display());
        }
    }
    Ok(folder)
}

/// Compiles a package of the workspace to WebAssembly; gives the module's path.
pub fn compile(dirs: &Dirs, package: &str) -> Result<PathBuf> {
    let toolchain = Toolchain::find(dirs)?;
    dirs::create(&dirs.wasm())?;
    let library = package.replace('-', "_");
    let module = dirs
        .wasm()
        .join(TARGET)
        .join(PROFILE)
        .join(format!("{library}.wasm"));
    if package == "covey" && !module.exists() {
        eprintln!(
            "The first build for the browser compiles some 300 crates: about twenty minutes on \
             two cores.\nAfter that, only what changed is compiled."
        );
    }
    let begun = Instant::now();
    let mut command = toolchain.build(dirs);
    command.args(["--package", package, "--lib", "--profile", PROFILE]);
    shell::run(&mut command).context("the build for the browser failed")?;
    eprintln!(
        "Compiled {package} for the browser in {}",
        Took(begun.elapsed())
    );
    Ok(module)
}

/// What the files were made from: the compiled module's content, and how.
fn stamp(compiled: &Path, optimise: bool) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(compiled)?.hash(&mut hasher);
    let bindgen = wasm_bindgen_cli_support_version();
    Ok(format!("{:016x} {bindgen} {optimise}\n", hasher.finish()))
}

/// Fixed in this crate's manifest; see there.
fn wasm_bindgen_cli_support_version() -> &'static str {
    "0.2.130"
}

/// Shrinks the module in place with npm's binaryen, and puts Brotli-compressed forms beside the
/// files, which the coordinator sends to browsers that take them.
fn shrink(dirs: &Dirs, folder: &Path) -> Result<()> {
    let program = node::wasm_opt(dirs)?;
    let node = node::node()?;
    let module = folder.join(format!("{NAME}_bg.wasm"));
    let small = folder.join("small");
    eprintln!("Shrinking it with wasm-opt, which takes minutes");
    shell::run(
        Command::new(&node)
            .arg(program)
            .args(["-O2", "--strip-debug", "--strip-producers"])
            .arg(&module)
            .arg("--output")
            .arg(&small),
    )?;
    fs::rename(&small, &module)?;
    eprintln!("Compressing it");
    const COMPRESS: &str = "const { readFileSync, writeFileSync } = require('node:fs');
        const { brotliCompressSync } = require('node:zlib');
        for (const file of process.argv.slice(1))
          writeFileSync(file + '.br', brotliCompressSync(readFileSync(file)));";
    shell::run(
        Command::new(&node)
            .args(["--eval", COMPRESS])
            .arg(&module)
            .arg(folder.join(format!("{NAME}.js"))),
    )
}

/// Fails when the module imports anything that its glue does not give it.
fn check_imports(module: &Path) -> Result<()> {
    let foreign: Vec<String> = imports(&fs::read(module)?)?
        .into_iter()
        .filter(|from| from != GLUE)
        .collect();
    if !foreign.is_empty() {
        bail!(
            "the browser module imports from {}, which no browser has: a crate in it was built \
             for another environment",
            foreign.join(", ")
        );
    }
    Ok(())
}

/// Names of the modules a WebAssembly module imports from.
fn imports(bytes: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                names.insert(import?.module.to_owned());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_modules_are_found() {
        // (module (import "env" "f" (func)))
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend([1, 4, 1, 0x60, 0, 0]);
        bytes.extend([2, 9, 1, 3, b'e', b'n', b'v', 1, b'f', 0, 0]);
        assert_eq!(imports(&bytes).unwrap(), BTreeSet::from(["env".to_owned()]));
        assert!(imports(b"not wasm").is_err());
    }
}
