//! `cargo run -p covey-simulation -- --seed N`: simulates a run and says what happened.

use std::{process::ExitCode, time::Instant};

use covey_simulation::{Crash, Deed, Options, Report, run};

const USAGE: &str = "\
Simulates whole runs on a virtual clock, network and disk. All of these take a number:
  --seed        decides everything [1]
  --seeds       how many seeds, from that one on [1]
  --volunteers  [1000]
  --rounds      how many to record [2000]
  --hostile     hostile volunteers of a thousand [150]
  --crash-at    crash at exactly this effect, and never else";

/// The options and the number of seeds, from the command line.
fn arguments() -> Result<(Options, u64), String> {
    let (mut options, mut seeds) = (Options::new(1, 1000, 2000), 1);
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().and_then(|word| word.parse::<u64>().ok());
        let value = value.ok_or_else(|| format!("{name} needs a number"))?;
        match name.as_str() {
            "--seed" => options.seed = value,
            "--seeds" => seeds = value,
            "--volunteers" => options.volunteers = value as usize,
            "--rounds" => options.rounds = value,
            "--hostile" => options.hostile = value,
            "--crash-at" => options.crash = Crash::At(value),
            _ => return Err(format!("{name} is unknown")),
        }
    }
    Ok((options, seeds))
}

fn main() -> ExitCode {
    let (first, seeds) = match arguments() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    for seed in first.seed..first.seed.saturating_add(seeds) {
        let begun = Instant::now();
        match run(Options { seed, ..first }) {
            Ok(report) => {
                print(seed, &report, begun.elapsed().as_secs_f64());
                if let Some(shortcoming) = report.shortcoming() {
                    eprintln!("seed {seed}: {shortcoming}");
                    failed += 1;
                }
            }
            Err(failure) => {
                eprintln!("{failure}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        eprintln!("{failed} of {seeds} seeds failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print(seed: u64, report: &Report, seconds: f64) {
    let Report {
        digest,
        rounds,
        virtual_ms,
        events,
        effects,
        deeds,
        crashes,
        ..
    } = report;
    println!(
        "seed {seed}: {rounds} rounds, {} virtual minutes, {seconds:.1} s",
        virtual_ms / 60_000
    );
    println!("  digest      {digest}");
    println!("  happened    {events} events, {effects} effects, {crashes} crashes");
    let never = Deed::ALL.iter().filter(|deed| !deeds.contains_key(deed));
    println!("  never       {:?}", never.collect::<Vec<_>>());
    println!(
        "  packets     {} acknowledged: {} merged, {} left out",
        report.acknowledged, report.merged, report.excluded
    );
    println!(
        "  rounds      the slowest took {} ms",
        report.slowest_round_ms
    );
    println!(
        "  loss        {:.4}; {:.4} untrained",
        report.loss, report.untrained_loss
    );
    println!(
        "  honest      {}: {} merged, {} paid, {} barred at the end",
        report.honest, report.honest_merged, report.honest_paid, report.honest_barred
    );
    println!(
        "  incentive   {} base units, {:.3} % of it to the hostile",
        report.incentive,
        report.hostile_incentive as f64 * 100.0 / report.incentive.max(1) as f64
    );
    println!(
        "  ledger      {} entries; people's actions: {} recorded, {} declined",
        report.entries, report.recorded, report.declined
    );
}
