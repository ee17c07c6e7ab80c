//! `cargo xtask test`: everything that is checked before a change is proposed, or one part of it.
//!
//! A part that fails does not keep the others from running. The last lines are a table of what ran
//! and the sum of all tests, alone on a line.

mod browser;
mod dependencies;
mod fuzz;
mod lint;
mod report;
mod tally;
mod vectors;
mod wallet;

use std::{
    num::NonZero,
    process::{Command, ExitCode},
    thread::available_parallelism,
};

use anyhow::Result;

pub use browser::Setting;
use report::Report;
use tally::Tally;

use crate::{
    cli::{Part, Test},
    dirs::Dirs,
    shell, wasm,
};

/// How many tests `cargo test` runs at once.
const THREADS: &str = "RUST_TEST_THREADS";

pub fn test(dirs: &Dirs, arguments: &Test) -> Result<ExitCode> {
    let mut report = Report::default();
    let long = arguments.long;
    match arguments.part {
        Some(Part::Lint) => lint::run(dirs, &mut report),
        Some(Part::Unit) => unit(dirs, long, &mut report),
        Some(Part::Fuzz) => fuzz::run(dirs, arguments.long_seconds, &mut report),
        Some(Part::Vectors) => {
            let digests = vectors::native(dirs, &mut report);
            vectors::browser(dirs, &digests, &mut report);
        }
        Some(Part::Wasm) => {
            let digests = vectors::native(dirs, &mut report);
            browser_module(dirs, &digests, &mut report);
        }
        Some(Part::Wallet) => wallet::run(dirs, &mut report),
        Some(Part::E2e) => browser::run(dirs, long, &mut report),
        None => {
            lint::run(dirs, &mut report);
            // The unit tests include the vectors; run again for a moment to see their digests.
            unit(dirs, long, &mut report);
            let digests = vectors::digests(dirs);
            browser_module(dirs, &digests, &mut report);
            browser::run(dirs, long, &mut report);
            if long {
                fuzz::run(dirs, arguments.long_seconds, &mut report);
            }
        }
    }
    Ok(report.print())
}

/// Every crate's own tests. Many of them wait for a round to close or a limit to pass, so there are four times
/// as many at once as there are cores.
fn unit(dirs: &Dirs, long: bool, report: &mut Report) {
    report.part("unit tests", || {
        let mut command = shell::native(dirs, "test");
        command.arg("--no-fail-fast");
        if std::env::var_os(THREADS).is_none() {
            let cores = available_parallelism().map_or(1, NonZero::get);
            command.env(THREADS, (4 * cores).to_string());
        }
        if long {
            command.args(["--", "--include-ignored"]);
        }
        cargo_test(&mut command)
    });
    report.part("unit tests of xtask", || {
        let mut command = shell::cargo(&dirs.root, &dirs.native());
        command.args(["test", "--package", "xtask", "--profile", "xtask"]);
        cargo_test(&mut command)
    });
}

/// The vectors in WebAssembly, and the browser modules.
fn browser_module(dirs: &Dirs, digests: &[String], report: &mut Report) {
    vectors::browser(dirs, digests, report);
    report.part("browser modules", || {
        wasm::build(dirs, false)?;
        Ok(Tally::passed(2))
    });
    wallet::run(dirs, report);
}

/// Runs `cargo test` and counts.
fn cargo_test(command: &mut Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let succeeded = shell::tee(command, |line| tally.read_libtest(line))?;
    Ok(tally.ended(succeeded))
}
