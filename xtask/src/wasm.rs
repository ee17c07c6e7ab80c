//! Builds the browser modules with their JavaScript glue, in `www/module`: the training module (the root
//! package) and the wallet module (`crates/wallet`), each by itself, so that a page loads only its own.
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

/// One module for browsers.
#[derive(Clone, Copy, Debug)]
struct Module {
    /// What messages call it.
    what: &'static str,
    package: &'static str,
    /// Cargo's profile.
    profile: &'static str,
    /// Name of the glue and of the module beside it.
    name: &'static str,
}

const TRAINING: Module = Module {
    what: "browser module",
    package: "covey",
    profile: PROFILE,
    name: "covey",
};

const WALLET: Module = Module {
    what: "wallet module",
    package: "covey-wallet",
    profile: "wallet",
    name: "wallet",
};

/// The profile of everything but the wallet.
const PROFILE: &str = "wasm";

/// Builds both modules; gives their folder.
pub fn build(dirs: &Dirs, optimise: bool) -> Result<PathBuf> {
    TRAINING.build(dirs, optimise)?;
    build_wallet(dirs, optimise)
}

/// Builds the wallet module alone, which takes a minute and not twenty; gives its folder.
pub fn build_wallet(dirs: &Dirs, optimise: bool) -> Result<PathBuf> {
    WALLET.build(dirs, optimise)?;
    Ok(dirs.module())
}

impl Module {
    fn build(self, dirs: &Dirs, optimise: bool) -> Result<()> {
        let compiled = compile_as(dirs, self.package, self.profile)?;
        let folder = dirs.module();
        let stamp = stamp(&compiled, optimise)?;
        let found = fs::read_to_string(folder.join(self.stamp_file())).unwrap_or_default();
        // Whoever does not ask for the small form is served well by it, too.
        if found == stamp || found == self::stamp(&compiled, true)? {
            eprintln!("The {} is up to date", self.what);
            return Ok(());
        }
        eprintln!("Making the JavaScript glue of the {}", self.what);
        // Made elsewhere in the repository and moved, so that a page never meets half of it.
        let fresh = dirs.root.join("target").join("module.partial");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        Bindgen::new()
            .input_path(&compiled)
            .out_name(self.name)
            .web(true)?
            .typescript(true)
            // The names of burn's generic functions are three times the size of their code.
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(&fresh)
            .context("wasm-bindgen failed")?;
        if optimise {
            self.shrink(dirs, &fresh)?;
        }
        self.check_imports(&fresh)?;
        self.install(&fresh, &folder)?;
        fs::write(folder.join(self.stamp_file()), stamp)?;
        self.print_sizes(&folder);
        Ok(())
    }

    /// Says what the module's files were made from.
    fn stamp_file(self) -> String {
        format!(".stamp-{}", self.name)
    }

    fn wasm(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}_bg.wasm", self.name))
    }

    fn glue(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.js", self.name))
    }

    /// Moves the files to their place, where the other module's may be, and removes old ones of this.
    fn install(self, fresh: &Path, folder: &Path) -> Result<()> {
        dirs::create(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.strip_prefix(self.name);
            let left_over = name == ".stamp" || name == self.stamp_file();
            if left_over || ours.is_some_and(|rest| rest.starts_with(['.', '_'])) {
                fs::remove_file(entry.path())?;
            }
        }
        for entry in fs::read_dir(fresh)? {
            let entry = entry?;
            fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        fs::remove_dir(fresh)?;
        Ok(())
    }

    fn print_sizes(self, folder: &Path) {
        for ending in ["", ".br"] {
            let mut path = self.wasm(folder).into_os_string();
            path.push(ending);
            let path = PathBuf::from(path);
            if let Ok(metadata) = fs::metadata(&path) {
                let size = metadata.len() as f64 / 1e6;
                eprintln!("{}: {size:.2} MB", path.display());
            }
        }
    }

    /// Shrinks the module in place with npm's binaryen, and puts Brotli-compressed forms beside the
    /// files, which the coordinator sends to browsers that take them.
    fn shrink(self, dirs: &Dirs, folder: &Path) -> Result<()> {
        let program = node::wasm_opt(dirs)?;
        let node = node::node()?;
        let module = self.wasm(folder);
        let small = folder.join("small");
        // As the profile: the wallet is to be small, training is to be fast.
        let level = if self.profile == PROFILE {
            "-O2"
        } else {
            "-Os"
        };
        eprintln!(
            "Shrinking the {} with wasm-opt, which may take minutes",
            self.what
        );
        shell::run(
            Command::new(&node)
                .arg(program)
                .args([level, "--strip-debug", "--strip-producers"])
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
                .arg(self.glue(folder)),
        )
    }

    /// Fails when the module imports anything that its glue does not give it.
    fn check_imports(self, folder: &Path) -> Result<()> {
        let glue = format!("./{}_bg.js", self.name);
        let foreign: Vec<String> = imports(&fs::read(self.wasm(folder))?)?
            .into_iter()
            .filter(|from| *from != glue)
            .collect();
        if !foreign.is_empty() {
            bail!(
                "the {} imports from {}, which no browser has: a crate in it was built for another \
                 environment",
                self.what,
                foreign.join(", ")
            );
        }
        Ok(())
    }
}

/// Compiles a package of the workspace to WebAssembly; gives the module's path.
pub fn compile(dirs: &Dirs, package: &str) -> Result<PathBuf> {
    compile_as(dirs, package, PROFILE)
}

fn compile_as(dirs: &Dirs, package: &str, profile: &str) -> Result<PathBuf> {
    let toolchain = Toolchain::find(dirs)?;
    dirs::create(&dirs.wasm())?;
    let library = package.replace('-', "_");
    let module = dirs
        .wasm()
        .join(TARGET)
        .join(profile)
        .join(format!("{library}.wasm"));
    if package == "covey" && !module.exists() {
        eprintln!(
            "The first build for the browser compiles some 300 crates: about twenty minutes on \
             two cores.\nAfter that, only what changed is compiled."
        );
    }
    let begun = Instant::now();
    let mut command = toolchain.build(dirs);
    command.args(["--package", package, "--lib", "--profile", profile]);
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
