//! The published numbers of `sparseloco_vectors.json`, one test per group of keys. The file is read from
//! `$COVEY_VECTORS_DIR` when that is set, else the copy beside this test is used.

#[path = "vectors/cases.rs"]
mod cases;

use std::path::{Path, PathBuf};

const FILE: &str = "sparseloco_vectors.json";

fn own_copy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(FILE)
}

fn vectors() -> String {
    let path = std::env::var_os("COVEY_VECTORS_DIR")
        .map_or_else(own_copy, |dir| PathBuf::from(dir).join(FILE));
    std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn check(group: &str) {
    match cases::run_group(&vectors(), group) {
        Ok(passed) => passed.iter().for_each(|case| println!("{case}")),
        Err(problem) => panic!("{problem}"),
    }
}

#[test]
fn splitmix64_yields_the_published_stream() {
    check("splitmix64");
}

#[test]
fn the_generator_yields_the_published_values() {
    check("gen");
}

#[test]
fn indices_pack_into_12_bits() {
    check("pack12");
}

#[test]
fn codes_pack_into_2_bits() {
    check("pack2");
}

#[test]
fn tensors_are_cut_into_the_published_chunks() {
    check("chunking");
}

#[test]
fn ties_in_magnitude_keep_the_lower_index() {
    check("topk_ties");
}

#[test]
fn the_quantiser_yields_the_published_codes() {
    check("quantise");
}

#[test]
fn rounds_of_error_feedback_yield_the_published_frames() {
    check("compress_rounds");
}

#[test]
fn tensors_of_every_shape_yield_the_published_frames() {
    check("compress_multi");
}

#[test]
fn peers_merge_into_the_published_weights() {
    check("aggregate");
}

#[test]
fn payload_sizes_add_up_as_published() {
    check("accounting");
}

#[test]
fn no_key_of_the_repository_s_own_copy_goes_unchecked() {
    let json = std::fs::read_to_string(own_copy()).expect("the copy is part of the repository");
    assert_eq!(cases::unclaimed(&json), Ok(Vec::new()));
}

#[test]
fn a_changed_expectation_fails() {
    let json = std::fs::read_to_string(own_copy()).expect("the copy is part of the repository");
    let changed = json.replacen("0.9999", "0.9989", 1);
    assert_ne!(changed, json);
    assert!(cases::run_group(&changed, "aggregate").is_err());
}

/// Printed for comparison with the same line of the wasm run; equal within one machine at least.
#[test]
fn decoding_merging_and_stepping_give_the_same_bits_each_time() {
    let digest = cases::digest().expect("generated data compresses");
    println!("bit identity compression {digest}");
    assert_eq!(cases::digest(), Ok(digest));
}
