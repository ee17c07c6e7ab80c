//! How WebAssembly is compiled on this machine.
//!
//! Rust's own way is `rustup target add`. Where rustup's servers cannot be reached, Debian carries
//! a compiler with the standard library's source (`rustc-web`, `rust-web-src`), from which std can
//! be built; it has no linker for WebAssembly, but rustup's toolchain does. Only the WebAssembly
//! build uses that compiler.
//!
//! Changing from one to the other rebuilds everything, so a cache that was made with a std of its
//! own goes on with it for as long as that works.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{dirs::Dirs, shell, system};

pub const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
/// The workspace's `rust-version`.
const OLDEST: (u32, u32) = (1, 95);
/// A target is 30 MB; a server that cannot be reached may leave us waiting.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// A way to compile for the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The target is installed for the compiler in use.
    Installed,
    /// std is built from source by another compiler.
    OwnStd { rustc: PathBuf, linker: PathBuf },
}

impl Toolchain {
    /// Finds a way, or makes one.
    ///
    /// # Errors
    /// When there is none: says what to install.
    pub fn find(dirs: &Dirs) -> Result<Self> {
        if has_own_std(&dirs.wasm())
            && let Some(toolchain) = own_std()
        {
            return Ok(toolchain);
        }
        if is_installed() {
            return Ok(Self::Installed);
        }
        if shell::find(&["rustup"]).is_some() {
            eprintln!("Adding Rust's target {TARGET} with rustup");
            let mut command = Command::new("rustup");
            command
                .args(["target", "add", TARGET])
                .env("RUSTUP_MAX_RETRIES", "1");
            if shell::succeeds_within(&mut command, RUSTUP_LIMIT) && is_installed() {
                return Ok(Self::Installed);
            }
            eprintln!("rustup could not add it");
        }
        if let Some(toolchain) = own_std() {
            return Ok(toolchain);
        }
        if system::can_install() {
            system::install(&DEBIAN_PACKAGES)?;
            return own_std().context(
                "Debian's rustc-web and rust-web-src are installed, but too old or incomplete; \
                 run: rustup target add wasm32-unknown-unknown",
            );
        }
        bail!(
            "Rust cannot compile for the browser yet. Run: rustup target add {TARGET}\n\
             Where that cannot be reached, on Debian as root: apt-get install {}",
            DEBIAN_PACKAGES.join(" ")
        )
    }

    /// `cargo build` for the browser, in the repository.
    pub fn build(&self, dirs: &Dirs) -> Command {
        let mut command = cargo(dirs);
        command.args(["build", "--target", TARGET]);
        if let Self::OwnStd { rustc, linker } = self {
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }
}

/// Cargo in the repository, building into the folder for the browser. Flags from the environment
/// are left out: they would replace those of the repository's own configuration, without which
/// random numbers have no source in a browser.
pub fn cargo(dirs: &Dirs) -> Command {
    let mut command = shell::cargo(&dirs.root, &dirs.wasm());
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Whether the compiler in use has the target's std.
pub fn is_installed() -> bool {
    let folder =
        shell::output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_ok_and(|folder| holds_core(Path::new(&folder)))
}

/// Whether std was built into this target folder.
fn has_own_std(target: &Path) -> bool {
    ["wasm", "release", "debug"]
        .iter()
        .any(|profile| holds_core(&target.join(TARGET).join(profile).join("deps")))
}

fn holds_core(folder: &Path) -> bool {
    let Ok(mut entries) = folder.read_dir() else {
        return false;
    };
    entries.any(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

/// Debian's compiler, if it is new enough and the source and a linker are there.
fn own_std() -> Option<Toolchain> {
    let rustc = PathBuf::from(DEBIAN_RUSTC);
    if !rustc.is_file() {
        return None;
    }
    let ask = |program: &Path, question: &[&str]| {
        shell::output(Command::new(program).args(question)).ok()
    };
    if version(&ask(&rustc, &["--version"])?)? < OLDEST {
        return None;
    }
    let sysroot = PathBuf::from(ask(&rustc, &["--print", "sysroot"])?);
    let source = sysroot.join("lib/rustlib/src/rust/library/Cargo.toml");
    if !source.is_file() {
        return None;
    }
    let ours = Path::new("rustc");
    let host = ask(ours, &["-vV"])?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "))?;
    let lld = PathBuf::from(ask(ours, &["--print", "sysroot"])?)
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    let linker = match lld.is_file() {
        true => lld,
        false => shell::find(&["rust-lld", "wasm-ld"])?,
    };
    Some(Toolchain::OwnStd { rustc, linker })
}

/// `(1, 95)` of `rustc 1.95.0 (59807616e 2026-04-14)`.
fn version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_versions_are_compared_as_numbers() {
        assert_eq!(
            version("rustc 1.95.0 (59807616e 2026-04-14)"),
            Some((1, 95))
        );
        assert_eq!(version("rustc 1.100.0-nightly"), Some((1, 100)));
        assert!(version("rustc 1.100.0").unwrap() > OLDEST);
        assert_eq!(version("not a compiler"), None);
    }
}
