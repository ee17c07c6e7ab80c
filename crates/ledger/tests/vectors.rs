//! The published numbers of the rules: those of `conviction.txt`, read from `$COVEY_VECTORS_DIR` when
//! that is set, else from the copy beside this test, those of the spec itself in `economics.json`, and keys, signatures and
//! sessions in `signatures.json`.

#[path = "vectors/cases.rs"]
mod cases;
#[path = "vectors/signature_cases.rs"]
mod signature_cases;

use std::path::{Path, PathBuf};

const CONVICTION: &str = "conviction.txt";
const ECONOMICS: &str = "economics.json";

fn own_copy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn conviction() -> String {
    let path = std::env::var_os("COVEY_VECTORS_DIR").map_or_else(
        || own_copy(CONVICTION),
        |dir| PathBuf::from(dir).join(CONVICTION),
    );
    read(&path)
}

fn economics() -> String {
    read(&own_copy(ECONOMICS))
}

fn check(outcome: Result<Vec<String>, String>) {
    match outcome {
        Ok(passed) => passed.iter().for_each(|case| println!("{case}")),
        Err(problem) => panic!("{problem}"),
    }
}

#[test]
fn decays_and_rolls_equal_the_chain_s_bit_for_bit() {
    check(cases::conviction(&conviction()));
}

#[test]
fn the_takeover_gate_opens_where_published() {
    check(cases::run_group(&economics(), "gate"));
}

#[test]
fn decaying_locks_peak_where_published() {
    check(cases::run_group(&economics(), "peak"));
}

#[test]
fn swaps_pay_what_the_chain_pays() {
    check(cases::run_group(&economics(), "pool_swaps"));
}

#[test]
fn uneven_weights_pay_what_the_chain_pays() {
    check(cases::run_group(&economics(), "pool_curve"));
}

#[test]
fn price_limits_allow_what_the_chain_allows() {
    check(cases::run_group(&economics(), "pool_limits"));
}

#[test]
fn the_hand_made_epoch_yields_its_fractions() {
    check(cases::run_group(&economics(), "yuma"));
}

#[test]
fn everything_runs_as_it_does_in_wasm() {
    check(cases::run(&conviction(), &economics()));
}

#[test]
fn a_key_that_nothing_checks_fails() {
    let more = economics().replacen('{', "{ \"rumours\": [1],", 1);
    let problem = cases::run(&conviction(), &more).unwrap_err();
    assert!(problem.contains("rumours"));
}

#[test]
fn a_file_without_decays_or_without_rolls_fails() {
    let text = read(&own_copy(CONVICTION));
    let only = |rolls: bool| -> String {
        let kept = text.lines().filter(|line| line.contains("->") == rolls);
        kept.flat_map(|line| [line, "\n"]).collect()
    };
    assert!(cases::conviction(&text).is_ok());
    assert!(cases::conviction(&only(true)).is_err());
    assert!(cases::conviction(&only(false)).is_err());
    assert!(cases::conviction("").is_err());
}

#[test]
fn a_changed_expectation_fails() {
    let text = read(&own_copy(CONVICTION));
    for (from, to) in [
        ("bcdf1b,", "bcdf1c,"),
        ("a153e000,", "a153e001,"),
        ("-> 9512,", "-> 9513,"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(cases::conviction(&changed).is_err(), "{from}");
    }
    let json = economics();
    for (group, from, to) in [
        ("pool_swaps", "493515", "493514"),
        ("pool_curve", "202", "203"),
        ("pool_limits", "75000000000", "75000000001"),
        ("yuma", "[5, 9]", "[6, 9]"),
        ("gate", "true", "false"),
        ("peak", "513528", "513529"),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json);
        assert!(cases::run_group(&changed, group).is_err(), "{group}");
    }
}

#[test]
fn keys_signatures_and_sessions_are_reproduced() {
    let vectors = read(&own_copy("signatures.json"));
    let passed = signature_cases::run(&vectors);
    assert!(passed.as_ref().is_ok_and(|passed| passed.len() > 40));
    check(passed);
    for (from, to) in [
        ("c88ccb6b", "c88ccb6c"),
        ("b48df9b2", "b48df9b3"),
        ("d43593c7", "d43593c8"),
        ("\"expired\"", "\"accepted\""),
    ] {
        let changed = vectors.replace(from, to);
        assert_ne!(changed, vectors);
        assert!(signature_cases::run(&changed).is_err(), "{from}");
    }
}

/// Printed for comparison with the same line of the wasm run; equal within one machine at least.
#[test]
fn locks_pools_and_epochs_give_the_same_bits_each_time() {
    let digest = cases::digest().expect("generated data is within the rules");
    println!("bit identity ledger {digest}");
    assert_eq!(cases::digest(), Ok(digest));
}
