//! Whole runs under bad weather. What is checked all the time is in the oracle; here is what must come of it.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use covey_simulation::{Crash, Deed, Options, Report, Sabotage, run};

/// Whatever the weather, honest work pays and hostile work does not.
fn simulated(options: Options) -> Report {
    let report = run(options).unwrap_or_else(|failure| panic!("{failure}"));
    let seed = options.seed;
    assert!(report.rounds >= options.rounds, "seed {seed}");
    let shortcoming = report.shortcoming();
    assert_eq!(shortcoming, None, "seed {seed}, {options:?}");
    report
}

#[test]
fn few_volunteers_are_all_merged_and_paid() {
    for seed in 1..=3 {
        let report = simulated(Options::new(seed, 16, 80));
        assert_eq!(report.honest_merged, report.honest, "seed {seed}");
        assert_eq!(report.honest_paid, report.honest, "seed {seed}");
    }
}

/// Other seeds every day; one that fails is in the message, with the command that shows it again.
#[test]
fn fresh_seeds_hold() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let day = now.map_or(0, |since| since.as_secs() / 86_400);
    for turn in 0..3 {
        simulated(Options::new(day * 1000 + turn, 40, 40));
    }
}

#[test]
fn a_seed_replays_exactly() {
    let options = Options::new(5, 30, 40);
    assert_eq!(run(options).unwrap(), run(options).unwrap());
    let other = run(Options { seed: 6, ..options }).unwrap();
    assert_ne!(run(options).unwrap().digest, other.digest);
}

fn dies_once(options: Options, crash: Crash) {
    let report = run(Options { crash, ..options }).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(report.crashes, 1, "{crash:?}");
}

/// The process dies once, before one deed after the other, from the first on.
fn dies_before_each_of_the_first(most: u64) {
    let short = Options::new(7, 4, 3);
    let crash = Crash::Never;
    let whole = run(Options { crash, ..short }).unwrap();
    assert_eq!(whole.crashes, 0);
    for at in 1..=whole.effects.min(most) {
        dies_once(short, Crash::At(at));
    }
}

#[test]
fn a_crash_at_any_effect_loses_nothing() {
    dies_before_each_of_the_first(150);
}

#[test]
#[ignore = "long"]
fn a_crash_at_any_effect_of_a_whole_run_loses_nothing() {
    dies_before_each_of_the_first(u64::MAX);
}

/// Before the first of each kind, the last, and some between: whatever the process does, it may die there.
#[test]
fn every_kind_of_effect_survives_a_crash() {
    let crash = Crash::Never;
    let run_of_all = Options {
        hostile: 400,
        ..Options::new(7, 16, 24)
    };
    let whole = run(Options {
        crash,
        ..run_of_all
    })
    .unwrap_or_else(|f| panic!("{f}"));
    for deed in Deed::ALL {
        let times = whole.deeds.get(&deed).copied().unwrap_or(0);
        assert!(times > 0, "{deed:?} never happens here: take another seed");
        let places: BTreeSet<u64> = (0..4).map(|part| 1 + part * (times - 1) / 3).collect();
        for at in places {
            dies_once(run_of_all, Crash::AtKind(deed, at));
        }
    }
}

#[test]
fn the_oracle_notices_what_is_promised_too_early() {
    for (sabotage, words) in [
        (Sabotage::ReceiptBeforeDisk, "before the packet was on disk"),
        (Sabotage::EntryBeforeDisk, "is not in the journal"),
    ] {
        let options = Options {
            sabotage: Some(sabotage),
            ..Options::new(8, 20, 40)
        };
        let failure = run(options).expect_err("sabotage goes unnoticed");
        assert!(failure.what.contains(words), "{failure}");
        assert!(failure.to_string().contains("--seed 8"), "{failure}");
    }
}

/// A thousand volunteers through a bad day. Minutes of work: `cargo xtask test --long`.
#[test]
#[ignore = "long"]
fn a_thousand_volunteers_get_through_two_thousand_rounds() {
    let report = simulated(Options::new(9, 1000, 2000));
    // Thirty places a round for a thousand: who is fast fills them, so the slower half comes in only after
    // a crash or a cut.
    assert!(report.honest_merged * 3 >= report.honest, "{report:?}");
    assert!(report.crashes > 0);
}

#[test]
#[ignore = "long"]
fn many_seeds_hold() {
    for seed in 100..160 {
        simulated(Options::new(seed, 60, 100));
    }
}
