//! The published Gauntlet numbers of `sparseloco_vectors.json`, one test per group of keys. The file is
//! read from `$COVEY_VECTORS_DIR` when that is set, else the copy beside this test is used.

#[path = "vectors/cases.rs"]
mod cases;

use std::path::{Path, PathBuf};

const FILE: &str = "sparseloco_vectors.json";

fn own_copy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(FILE)
}

fn check(group: &str) {
    let path = std::env::var_os("COVEY_VECTORS_DIR")
        .map_or_else(own_copy, |dir| PathBuf::from(dir).join(FILE));
    let json = std::fs::read_to_string(&path)
        .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    match cases::run_group(&json, group) {
        Ok(passed) => passed.iter().for_each(|case| println!("{case}")),
        Err(problem) => panic!("{problem}"),
    }
}

#[test]
fn an_update_scores_what_it_lowers_the_loss_by() {
    check("loss_score");
}

#[test]
fn matches_yield_the_published_ratings() {
    check("plackett_luce");
}

#[test]
fn wins_on_own_data_average_as_published() {
    check("bma");
}

#[test]
fn wins_in_a_row_reach_the_threshold_as_published() {
    check("bma_windows");
}

#[test]
fn steps_behind_follow_from_sampled_weights() {
    check("steps_behind");
}

#[test]
fn being_behind_costs_the_published_score() {
    check("sync_score");
}

#[test]
fn the_three_judgements_multiply_into_the_final_score() {
    check("final");
}

#[test]
fn a_reward_divides_as_published() {
    check("emission");
}

#[test]
fn no_gauntlet_key_of_the_repository_s_own_copy_goes_unchecked() {
    let json = std::fs::read_to_string(own_copy()).expect("the copy is part of the repository");
    assert_eq!(cases::unclaimed(&json), Ok(Vec::new()));
}

#[test]
fn a_changed_expectation_fails() {
    let json = std::fs::read_to_string(own_copy()).expect("the copy is part of the repository");
    let changed = json.replacen("27.39", "27.38", 1);
    assert_ne!(changed, json);
    assert!(cases::run_group(&changed, "plackett_luce").is_err());
}

/// Printed for comparison with the same line of the wasm run; equal within one machine at least.
#[test]
fn ratings_and_payouts_give_the_same_bits_each_time() {
    let digest = cases::digest().expect("generated scores are fine");
    println!("bit identity scoring {digest}");
    assert_eq!(cases::digest(), Ok(digest));
}
