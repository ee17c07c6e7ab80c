//! Every kept input through its target, without a fuzzer: the seeds, and whatever was ever found.

use std::{fs, path::PathBuf};

use covey_fuzz::TARGETS;

fn folder(kind: &str, target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), kind, target].iter().collect()
}

fn inputs(kind: &str, target: &str) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(folder(kind, target)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn seeds_are_what_the_encoders_make() {
    for target in TARGETS {
        let kept = inputs("seeds", target.name);
        assert!(!kept.is_empty(), "{} has no seeds", target.name);
        assert!(
            kept == (target.seeds)(),
            "the seeds of {} are old; run: cargo run -p covey-fuzz --bin seeds",
            target.name
        );
    }
}

#[test]
fn every_input_that_once_failed_passes() {
    for target in TARGETS {
        for input in inputs("findings", target.name) {
            (target.run)(&input);
        }
    }
}

/// The seeds themselves, and each cut short or with one bit changed at a few places.
#[test]
fn seeds_pass_whole_and_damaged() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            (target.run)(&seed);
            for part in 1..8 {
                let at = seed.len() * part / 8;
                (target.run)(&seed[..at]);
                let mut damaged = seed.clone();
                if let Some(byte) = damaged.get_mut(at) {
                    *byte ^= 1 << (part % 8);
                    (target.run)(&damaged);
                }
            }
        }
    }
}

#[test]
fn findings_belong_to_targets() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("findings");
    for folder in fs::read_dir(root).into_iter().flatten() {
        let name = folder.unwrap().file_name();
        let known = name.to_str().and_then(covey_fuzz::target).is_some();
        assert!(known, "findings for {name:?}, which is no target");
    }
}
