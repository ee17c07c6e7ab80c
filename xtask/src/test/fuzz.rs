//! Fuzzing, in `--long` only: every target of `crates/fuzz` under libFuzzer for a while.
//!
//! The stable compiler is enough: the coverage counters are LLVM's own pass, libFuzzer's runtime is C++
//! that comes with the `libfuzzer-sys` crate, and any C++ compiler builds it. Everything is compiled apart
//! from the other builds, because every crate gets the counters. What a run learns is kept in the cache
//! folder, so the next one begins where this one ended.

use std::{
    fs,
    io::{BufRead, BufReader},
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::{Context, Result, bail};

use super::{report::Report, tally::Tally};
use crate::{dirs, dirs::Dirs, shell};

/// Coverage counters, comparisons and the table that libFuzzer reads them by.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// An input that takes longer is a finding, and so is one that needs more memory, in megabytes.
const TIMEOUT_SECONDS: u32 = 20;
const MEMORY: u32 = 2048;

pub fn run(dirs: &Dirs, seconds: u32, report: &mut Report) {
    const NAME: &str = "fuzz targets";
    if !cfg!(target_os = "linux") {
        report.skip(NAME, "libFuzzer is only set up for Linux here");
    } else if shell::find(&["c++", "g++", "clang++"]).is_none() {
        report.skip(NAME, "libFuzzer needs a C++ compiler (apt install g++)");
    } else {
        report.part(NAME, || every_target(dirs, seconds));
    }
}

/// One target on each core, so that all of them take minutes rather than half an hour.
fn every_target(dirs: &Dirs, seconds: u32) -> Result<Tally> {
    let program = build(dirs)?;
    let waiting = Mutex::new(names(&dirs.root)?.into_iter());
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.next()
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    eprintln!(
        "{:<14} {:>10} {:>8} {:>8} {:>8}",
        "target", "runs", "edges", "new", "kept"
    );
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..cores {
            let (done, next, program) = (done.clone(), &next, &program);
            scope.spawn(move || {
                while let Some(name) = next() {
                    // Nobody listens any more after an error: the targets that wait need not run.
                    if done.send(target(dirs, program, &name, seconds)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut tally = Tally::default();
        for outcome in outcomes {
            show(&outcome?, &program, &mut tally);
        }
        Ok(tally)
    })
}

fn show(outcome: &Outcome, program: &Path, tally: &mut Tally) {
    eprintln!("{outcome}");
    let name = &outcome.name;
    match &outcome.finding {
        None => tally.passed += 1,
        Some(file) => {
            tally.failed += 1;
            eprintln!(
                "  failed on {0}; see it again with: COVEY_FUZZ_TARGET={name} {1} {0}\n  keep it in \
                 crates/fuzz/findings/{name}/",
                file.display(),
                program.display()
            );
        }
    }
}

fn build(dirs: &Dirs) -> Result<PathBuf> {
    let target = shell::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let mut command = shell::cargo(&dirs.root, &dirs.fuzz());
    // The development profile looks at every overflow and debug assertion. With a target named, the
    // flags are kept from build scripts, which have no runtime to link.
    command
        .env("RUSTFLAGS", FLAGS)
        .args(["build", "--package", "covey-fuzz"]);
    command.args(["--bin", "covey-fuzz", "--features", "libfuzzer"]);
    shell::run(command.args(["--target", &target]))?;
    Ok(dirs.fuzz().join(target).join("debug").join("covey-fuzz"))
}

/// Every target has seeds; a test in the crate sees to it.
fn names(root: &Path) -> Result<Vec<String>> {
    let seeds = root.join("crates/fuzz/seeds");
    let folders =
        fs::read_dir(&seeds).with_context(|| format!("{} is missing", seeds.display()))?;
    let mut names = Vec::new();
    for folder in folders {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Where the search begins: what the encoders make, and what earlier runs found.
fn known(root: &Path, name: &str) -> Vec<PathBuf> {
    ["seeds", "corpus", "findings"]
        .map(|kind| root.join("crates/fuzz").join(kind).join(name))
        .into_iter()
        .filter(|folder| folder.is_dir())
        .collect()
}

/// What came of one target.
struct Outcome {
    name: String,
    executions: u64,
    /// Edges of the program reached, and how many inputs were added for new ones.
    coverage: u64,
    added: u64,
    kept: usize,
    finding: Option<PathBuf>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            executions,
            coverage,
            added,
            kept,
            ..
        } = self;
        write!(
            f,
            "{name:<14} {executions:>10} {coverage:>8} {added:>8} {kept:>8}"
        )
    }
}

fn target(dirs: &Dirs, program: &Path, name: &str, seconds: u32) -> Result<Outcome> {
    let corpus = dirs.fuzz().join("corpus").join(name);
    let findings = dirs.fuzz().join("findings").join(name);
    dirs::create(&corpus)?;
    dirs::create(&findings)?;
    let mut command = Command::new(program);
    command
        .env("COVEY_FUZZ_TARGET", name)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args(["-print_final_stats=1", "-verbosity=1"])
        .arg(&corpus)
        .args(known(&dirs.root, name))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("the fuzzer could not be started")?;
    let mut read = Progress::default();
    let mut lines = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            read.line(&line);
            lines.push(line);
        }
    }
    let succeeded = child.wait()?.success();
    if !succeeded {
        let from = lines.len().saturating_sub(40);
        eprintln!("{}", lines.split_off(from).join("\n"));
        if read.finding.is_none() {
            bail!("the fuzzer of {name} ended without a finding");
        }
    }
    Ok(Outcome {
        name: name.to_owned(),
        executions: read.executions,
        coverage: read.coverage,
        added: read.added,
        kept: fs::read_dir(&corpus)?.count(),
        finding: read.finding,
    })
}

/// What libFuzzer says on its way.
#[derive(Debug, Default, PartialEq)]
struct Progress {
    executions: u64,
    coverage: u64,
    added: u64,
    finding: Option<PathBuf>,
}

impl Progress {
    fn line(&mut self, line: &str) {
        let last = || {
            line.split_whitespace()
                .last()
                .and_then(|word| word.parse().ok())
        };
        if line.starts_with("stat::number_of_executed_units:") {
            self.executions = last().unwrap_or(0);
        } else if line.starts_with("stat::new_units_added:") {
            self.added = last().unwrap_or(0);
        } else if let Some((_, file)) = line.split_once("Test unit written to ") {
            self.finding = Some(PathBuf::from(file.trim()));
        } else if let Some((_, rest)) = line.split_once(" cov: ") {
            let count = rest
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            self.coverage = count.unwrap_or(self.coverage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_prints_is_read() {
        let mut read = Progress::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#65536\tpulse  cov: 214 ft: 400 corp: 30/2kb lim: 652 exec/s: 32768 rss: 57Mb",
            "SUMMARY: libFuzzer: deadly signal",
            "artifact_prefix='/x/'; Test unit written to /x/crash-2f57",
            "stat::number_of_executed_units: 81234",
            "stat::average_exec_per_sec:     1353",
            "stat::new_units_added:          29",
        ] {
            read.line(line);
        }
        let expected = Progress {
            executions: 81_234,
            coverage: 214,
            added: 29,
            finding: Some(PathBuf::from("/x/crash-2f57")),
        };
        assert_eq!(read, expected);
    }
}
