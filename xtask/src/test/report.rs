//! Runs the parts one after the other and keeps what came of each.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::tally::Tally;
use crate::shell::Took;

enum Outcome {
    Ran { tally: Tally, took: Duration },
    Skipped { why: String },
}

/// What ran so far.
#[derive(Default)]
pub struct Report {
    parts: Vec<(String, Outcome)>,
}

impl Report {
    /// Runs a part. An error is shown and counts as one failure.
    pub fn part(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let tally = work().unwrap_or_else(|error| {
            eprintln!("\nerror: {error:#}");
            Tally::failed(1)
        });
        let took = begun.elapsed();
        eprintln!("== {name}: {} in {}", words(&tally), Took(took));
        self.parts
            .push((name.to_owned(), Outcome::Ran { tally, took }));
    }

    /// Notes, loudly, that a part was not run.
    pub fn skip(&mut self, name: &str, why: &str) {
        eprintln!("\n== {name}: SKIPPED, because {why}");
        let why = why.to_owned();
        self.parts.push((name.to_owned(), Outcome::Skipped { why }));
    }

    /// Prints the table and the sum; the exit code says whether anything failed.
    pub fn print(&self) -> ExitCode {
        let mut sum = Tally::default();
        println!(
            "\n{:<30} {:>8} {:>8} {:>8}  time",
            "part", "passed", "failed", "skipped"
        );
        for (name, outcome) in &self.parts {
            match outcome {
                Outcome::Ran { tally, took } => {
                    sum += *tally;
                    println!(
                        "{name:<30} {:>8} {:>8} {:>8}  {}",
                        tally.passed,
                        tally.failed,
                        tally.skipped,
                        Took(*took)
                    );
                }
                Outcome::Skipped { why } => println!("{name:<30} SKIPPED: {why}"),
            }
        }
        println!("\n{} passed, {} failed", sum.passed, sum.failed);
        match sum.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

fn words(tally: &Tally) -> String {
    match tally.failed {
        0 => "passed".to_owned(),
        failed => format!("{failed} FAILED"),
    }
}
