//! The ledger's rules against published numbers: every line of `conviction.txt`, whose numbers all come
//! from the file, and every key of `economics.json`, which holds those that the spec states in its text.
//! Natively each group is one test; the same source, compiled into a wasm module, runs in Node.

use std::collections::BTreeMap;

use serde_json::Value;

#[path = "conviction_cases.rs"]
mod conviction_cases;
#[path = "identity.rs"]
mod identity;
#[path = "identity_run.rs"]
mod identity_run;
#[path = "pool_cases.rs"]
mod pool_cases;
#[path = "yuma_cases.rs"]
mod yuma_cases;

pub use conviction_cases::lines as conviction;
pub use identity::digest;

type Outcome<T = ()> = Result<T, String>;

/// Checks one case of a group.
type Check = fn(Value) -> Outcome;

const GROUPS: &[(&str, Check)] = &[
    ("gate", conviction_cases::gate),
    ("peak", conviction_cases::peak),
    ("pool_swaps", pool_cases::swap),
    ("pool_curve", pool_cases::curve),
    ("pool_limits", pool_cases::limit),
    ("yuma", yuma_cases::epoch),
];

/// Runs everything; gives a line for each case that passed. A key of no group is an error.
pub fn run(conviction_txt: &str, economics_json: &str) -> Outcome<Vec<String>> {
    let unclaimed = unclaimed(economics_json)?;
    if !unclaimed.is_empty() {
        return Err(format!("nothing checks {}", unclaimed.join(", ")));
    }
    let mut passed = conviction(conviction_txt)?;
    for (group, _) in GROUPS {
        passed.extend(run_group(economics_json, group)?);
    }
    Ok(passed)
}

/// Runs one group; that the file holds nothing for it is an error.
pub fn run_group(economics_json: &str, name: &str) -> Outcome<Vec<String>> {
    let (_, check) = GROUPS
        .iter()
        .find(|(group, _)| *group == name)
        .ok_or_else(|| format!("no group {name}"))?;
    let cases = file(economics_json)?.remove(name).unwrap_or_default();
    if cases.is_empty() {
        return Err(format!("the file has no case for {name}"));
    }
    let numbered = (1..).zip(cases).map(|(number, case)| {
        check(case).map_err(|problem| format!("{name} {number}: {problem}"))?;
        Ok(format!("{name} {number}"))
    });
    numbered.collect()
}

/// Keys that belong to no group.
fn unclaimed(economics_json: &str) -> Outcome<Vec<String>> {
    let claimed = |key: &String| GROUPS.iter().any(|(group, _)| group == key);
    let keys = file(economics_json)?.into_keys();
    Ok(keys.filter(|key| !claimed(key)).collect())
}

fn file(json: &str) -> Outcome<BTreeMap<String, Vec<Value>>> {
    serde_json::from_str(json).map_err(|problem| problem.to_string())
}

fn read<T: serde::de::DeserializeOwned>(case: Value) -> Outcome<T> {
    serde_json::from_value(case).map_err(|problem| problem.to_string())
}

fn exact<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, theirs: T) -> Outcome {
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{what}: got {ours:?}, expected {theirs:?}"))
    }
}

fn close(what: &str, ours: f64, theirs: f64, tolerance: f64) -> Outcome {
    if (ours - theirs).abs() <= tolerance {
        Ok(())
    } else {
        Err(format!("{what}: got {ours}, expected {theirs}"))
    }
}
