//! Formatting, clippy, and what the dependencies may be.
//!
//! The browser module is checked twice where that is possible: natively, with all the rest, without
//! its default feature, which is wgpu and would cost minutes to show nothing; and for the browser
//! itself where the compiler that has clippy has the target. The other crates have no default
//! feature that anything depends on, so one pass sees all code.

use std::process::Command;

use anyhow::Result;

use super::{dependencies, report::Report, tally::Tally};
use crate::{
    dirs::Dirs,
    shell,
    toolchain::{self, TARGET},
};

const DENY: [&str; 3] = ["--", "-D", "warnings"];

pub fn run(dirs: &Dirs, report: &mut Report) {
    report.part("formatting", || {
        checked(shell::cargo(&dirs.root, &dirs.native()).args(["fmt", "--all", "--check"]))
    });
    report.part("clippy", || {
        checked(
            shell::cargo(&dirs.root, &dirs.native())
                .args([
                    "clippy",
                    "--workspace",
                    "--no-default-features",
                    "--all-targets",
                ])
                .args(DENY),
        )
    });
    dependencies::run(dirs, report);
    const FOR_THE_BROWSER: &str = "clippy, for the browser";
    if toolchain::is_installed() {
        report.part(FOR_THE_BROWSER, || {
            checked(
                toolchain::cargo(dirs)
                    .args(["clippy", "--package", "covey", "--lib", "--target", TARGET])
                    .args(DENY),
            )
        });
    } else {
        report.skip(
            FOR_THE_BROWSER,
            "the compiler that has clippy lacks the target (rustup target add \
             wasm32-unknown-unknown)",
        );
    }
}

/// One check: a command that succeeds or not.
fn checked(command: &mut Command) -> Result<Tally> {
    shell::run(command)?;
    Ok(Tally::passed(1))
}
