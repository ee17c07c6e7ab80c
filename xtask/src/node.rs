//! Node and the packages the browser tests need.
//!
//! The packages are installed in the cache and not in the repository, and the tests are copied
//! beside them: Node looks for a package upwards from the file that asks for it, so this is the one
//! arrangement that needs no links and no settings.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    dirs::{self, Dirs},
    shell,
};

/// Oldest Node that runs the tests.
const OLDEST: u32 = 20;
const INSTALL: &str =
    "install Node 20 or newer, which comes with npm (on Debian: apt-get install nodejs npm)";
/// Copies of these decide whether the packages are up to date.
const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// `node`, checked to be new enough.
pub fn node() -> Result<PathBuf> {
    let Some(node) = shell::find(&["node"]) else {
        bail!("Node is not installed: {INSTALL}");
    };
    let version = shell::output(Command::new(&node).arg("--version"))?;
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        bail!("Node {version} is too old: {INSTALL}");
    }
    Ok(node)
}

/// npm's wasm-opt, a program for Node, installed when it is missing.
pub fn wasm_opt(dirs: &Dirs) -> Result<PathBuf> {
    const PACKAGE: &str = "binaryen@132.0.0";
    let folder = dirs.node().join("tools");
    let program = folder.join("node_modules/binaryen/bin/wasm-opt");
    if !program.is_file() {
        dirs::create(&folder)?;
        npm_install(&folder, &["install", PACKAGE])?;
    }
    Ok(program)
}

/// `npm`, to be given a subcommand.
pub fn npm() -> Result<Command> {
    let Some(npm) = shell::find(&["npm"]) else {
        bail!("npm is not installed: {INSTALL}");
    };
    Ok(Command::new(npm))
}

/// A folder whose `node_modules` has what checks the package, installed when something is missing.
pub fn package_tools(dirs: &Dirs) -> Result<PathBuf> {
    const PACKAGES: [&str; 5] = [
        "publint@0.3.25",
        "typescript@5.9.3",
        "react@19.3.1",
        "react-dom@19.3.1",
        "@types/react@19.3.0",
    ];
    let folder = dirs.node().join("package-tools");
    let stamp = folder.join("installed");
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        dirs::create(&folder)?;
        npm_install(&folder, &[&["install"], PACKAGES.as_slice()].concat())?;
        fs::write(stamp, wanted)?;
    }
    Ok(folder)
}

/// Installs the packages of `tests/e2e` and copies the tests beside them; gives the copy's folder.
pub fn browser_tests(dirs: &Dirs) -> Result<PathBuf> {
    let source = dirs.root.join("tests/e2e");
    let folder = dirs.node();
    dirs::create(&folder)?;
    let current = |name: &str| fs::read(source.join(name)).ok();
    let installed = |name: &str| fs::read(folder.join(name)).ok();
    let same = MANIFESTS.iter().all(|name| {
        // Without a lock file in the repository npm writes one of its own here.
        current(name).is_none() && *name != "package.json" || current(name) == installed(name)
    });
    if !(same && folder.join("node_modules/.package-lock.json").is_file()) {
        install(&source, &folder)?;
    }
    let copy = folder.join("e2e");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    copy_folder(&source, &copy).context("the browser tests could not be copied")?;
    Ok(copy)
}

fn install(source: &Path, folder: &Path) -> Result<()> {
    for name in MANIFESTS {
        let target = folder.join(name);
        match fs::copy(source.join(name), &target) {
            Err(_) if target.exists() => fs::remove_file(&target)?,
            _ => {}
        }
    }
    let locked = folder.join("package-lock.json").is_file();
    npm_install(folder, &[if locked { "ci" } else { "install" }])
}

fn npm_install(folder: &Path, arguments: &[&str]) -> Result<()> {
    eprintln!("Installing packages with npm into {}", folder.display());
    shell::run(
        npm()?
            .args(arguments)
            .arg("--prefix")
            .arg(folder)
            .args(["--no-audit", "--no-fund"])
            .current_dir(folder),
    )
    .context("npm could not install what is needed")
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "node_modules" {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
