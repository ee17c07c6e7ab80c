//! Every kept input through its target, without a fuzzer: the seeds, what fuzzing reached new code with, and
//! whatever was ever found.

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

#[test]
fn what_fuzzing_kept_passes() {
    for target in TARGETS {
        for input in inputs("corpus", target.name) {
            (target.run)(&input);
        }
    }
}

/// Strangers download it.
#[test]
fn what_fuzzing_kept_is_small() {
    let inputs = TARGETS.iter().map(|target| inputs("corpus", target.name));
    let bytes: usize = inputs.flatten().map(|input| input.len()).sum();
    assert!(bytes < 1 << 20, "{bytes} bytes: merge it (docs/fuzzing.md)");
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
fn kept_inputs_belong_to_targets() {
    for kind in ["corpus", "findings"] {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(kind);
        for folder in fs::read_dir(root).into_iter().flatten() {
            let name = folder.unwrap().file_name();
            let known = name.to_str().and_then(covey_fuzz::target).is_some();
            assert!(known, "{kind} for {name:?}, which is no target");
        }
    }
}
