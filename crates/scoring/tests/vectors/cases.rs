//! The `gauntlet` key of `sparseloco_vectors.json`: every number, constant and expected value comes from
//! the file (some constants from its key names, such as `bma_alpha_0.05`). Compiled natively as tests, and
//! into a wasm module that runs in Node.

use std::collections::BTreeMap;

use covey_scoring::computation::{Computation, GRACE_WINDOWS};
use covey_scoring::loss::loss_score;
use covey_scoring::score::final_score;
use covey_scoring::sync::{steps_behind, sync_score};
use covey_scoring::{Emission, PlackettLuce, Rating, ScoringError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[path = "identity.rs"]
mod identity;

pub use identity::digest;

type Outcome<T = ()> = Result<T, String>;

/// Tolerance that the file states.
const RELATIVE: f64 = 1e-5;
const ABSOLUTE: f64 = 1e-9;

/// A group of keys inside `gauntlet`.
struct Group {
    name: &'static str,
    owns: fn(&str) -> bool,
    check: fn(&str, &Gauntlet) -> Outcome<Vec<String>>,
}

type Gauntlet = BTreeMap<String, Value>;

const GROUPS: &[Group] = &[
    Group {
        name: "loss_score",
        owns: |key| key == "loss_score",
        check: losses,
    },
    Group {
        name: "plackett_luce",
        owns: |key| key == "plackett_luce",
        check: ratings,
    },
    Group {
        name: "bma",
        owns: |key| key.starts_with(AVERAGE),
        check: averages,
    },
    Group {
        name: "bma_windows",
        owns: |key| key.starts_with(WINDOWS),
        check: windows,
    },
    Group {
        name: "steps_behind",
        owns: |key| key == "steps_behind",
        check: behind,
    },
    Group {
        name: "sync_score",
        owns: |key| key == "sync_score",
        check: sync,
    },
    Group {
        name: "final",
        owns: |key| key == "final",
        check: finals,
    },
    Group {
        name: "emission",
        owns: |key| key == "emission",
        check: emission,
    },
];

const AVERAGE: &str = "bma_alpha_";
const WINDOWS: &str = "bma_windows_to_threshold_";

/// Runs every group and names the cases that passed.
#[allow(
    dead_code,
    reason = "the native tests run group by group, the wasm module all at once"
)]
pub fn run(json: &str) -> Outcome<Vec<String>> {
    let mut passed = Vec::new();
    for group in GROUPS {
        passed.extend(run_group(json, group.name)?);
    }
    Ok(passed)
}

/// Runs one group; that the file holds nothing for it is an error.
pub fn run_group(json: &str, name: &str) -> Outcome<Vec<String>> {
    let gauntlet = read(json)?;
    let group = GROUPS
        .iter()
        .find(|group| group.name == name)
        .ok_or_else(|| format!("no group {name}"))?;
    let mut passed = Vec::new();
    for key in gauntlet.keys().filter(|key| (group.owns)(key)) {
        let cases = (group.check)(key, &gauntlet).map_err(|problem| format!("{key}: {problem}"))?;
        passed.extend(cases.into_iter().map(|case| format!("{key}: {case}")));
    }
    if passed.is_empty() {
        Err(format!("the file has no case for {name}"))
    } else {
        Ok(passed)
    }
}

/// Keys inside `gauntlet` that no group checks.
#[allow(dead_code, reason = "used by the native tests only")]
pub fn unclaimed(json: &str) -> Outcome<Vec<String>> {
    let claimed = |key: &String| GROUPS.iter().any(|group| (group.owns)(key));
    Ok(read(json)?
        .into_keys()
        .filter(|key| !claimed(key))
        .collect())
}

fn read(json: &str) -> Outcome<Gauntlet> {
    #[derive(Deserialize)]
    struct File {
        gauntlet: Gauntlet,
    }
    let file: File = serde_json::from_str(json)
        .map_err(|problem| format!("not the expected JSON: {problem}"))?;
    Ok(file.gauntlet)
}

fn get<T: DeserializeOwned>(gauntlet: &Gauntlet, key: &str) -> Outcome<T> {
    let value = gauntlet.get(key).ok_or_else(|| format!("no key {key}"))?;
    T::deserialize(value).map_err(|problem| problem.to_string())
}

/// The number at the end of a key.
fn number_in(key: &str, prefix: &str) -> Outcome<f64> {
    let digits = key
        .strip_prefix(prefix)
        .ok_or_else(|| format!("the key is not {prefix}.."))?;
    digits
        .parse()
        .map_err(|_| format!("{digits:?} is not a number"))
}

fn close(what: &str, ours: f64, theirs: f64) -> Outcome {
    let tolerance = ABSOLUTE + RELATIVE * theirs.abs();
    if (ours - theirs).abs() <= tolerance {
        Ok(())
    } else {
        Err(format!("{what}: got {ours}, expected {theirs}"))
    }
}

fn text(problem: ScoringError) -> String {
    problem.to_string()
}

fn losses(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        before: f64,
        after: f64,
        score: f64,
    }
    let Case {
        before,
        after,
        score,
    } = get(gauntlet, key)?;
    close("score", loss_score(before, after).map_err(text)?, score)?;
    Ok(vec![format!("{before} to {after}")])
}

fn ratings(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct After {
        mu: f64,
        sigma: f64,
        ordinal: f64,
    }
    #[derive(Deserialize)]
    struct Match {
        scores: BTreeMap<String, f64>,
        ratings: BTreeMap<String, After>,
    }
    #[derive(Deserialize)]
    struct Case {
        beta: f64,
        tau: f64,
        mu0: f64,
        sigma0: f64,
        kappa: f64,
        matches: Vec<Match>,
    }
    let Case {
        beta,
        tau,
        mu0,
        sigma0,
        kappa,
        matches,
    } = get(gauntlet, key)?;
    let rules = PlackettLuce {
        beta,
        tau,
        kappa,
        initial: Rating {
            mu: mu0,
            sigma: sigma0,
        },
    };
    let mut known: BTreeMap<String, Rating> = BTreeMap::new();
    let mut passed = Vec::new();
    for (number, Match { scores, ratings }) in matches.into_iter().enumerate() {
        let rating = |peer: &String| known.get(peer).copied().unwrap_or(rules.initial);
        let peers: Vec<(Rating, f64)> = scores
            .iter()
            .map(|(peer, score)| (rating(peer), *score))
            .collect();
        let rated = rules.rate(&peers).map_err(text)?;
        known.extend(scores.into_keys().zip(rated));
        for (peer, expected) in ratings {
            let what = |field| format!("match {number}, {peer}'s {field}");
            let ours = known.get(&peer).ok_or_else(|| what("rating"))?;
            close(&what("mean"), ours.mu, expected.mu)?;
            close(&what("deviation"), ours.sigma, expected.sigma)?;
            close(&what("ordinal"), ours.ordinal(), expected.ordinal)?;
        }
        passed.push(format!("match {number}"));
    }
    Ok(passed)
}

#[derive(Deserialize)]
struct Evaluation {
    own: f64,
    random: f64,
    bma: f64,
}

fn averages(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    let alpha = number_in(key, AVERAGE)?;
    let evaluations: Vec<Evaluation> = get(gauntlet, key)?;
    let mut computation = Computation::default();
    let mut passed = Vec::new();
    for (number, Evaluation { own, random, bma }) in evaluations.into_iter().enumerate() {
        computation = computation.observe(own, random, alpha).map_err(text)?;
        close(&format!("evaluation {number}"), computation.average, bma)?;
        passed.push(format!("evaluation {number}"));
    }
    Ok(passed)
}

/// Wins in a row until a new peer's average reaches the threshold, with the file's own alpha.
fn windows(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    let threshold = number_in(key, WINDOWS)?;
    let average_key = gauntlet
        .keys()
        .find(|key| key.starts_with(AVERAGE))
        .ok_or("the file names no alpha")?;
    let alpha = number_in(average_key, AVERAGE)?;
    let expected: u32 = get(gauntlet, key)?;
    let mut computation = Computation::default();
    while computation.average < threshold && computation.windows <= expected {
        computation = computation.observe(1.0, 0.0, alpha).map_err(text)?;
    }
    close("wins", computation.windows.into(), expected.into())?;
    Ok(vec![format!("{expected} wins")])
}

fn behind(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        mine: Vec<f64>,
        theirs: Vec<f64>,
        avg_change: Vec<f64>,
        iqm: f64,
        sync_score: f64,
    }
    let case: Case = get(gauntlet, key)?;
    let steps = steps_behind(&case.mine, &case.theirs, &case.avg_change).map_err(text)?;
    close("steps", steps, case.iqm)?;
    close("score", sync_score(steps).map_err(text)?, case.sync_score)?;
    Ok(vec![format!("{} samples", case.mine.len())])
}

fn sync(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        x: f64,
        score: f64,
    }
    let cases: Vec<Case> = get(gauntlet, key)?;
    let check = |Case { x, score }| {
        close(&format!("{x} steps"), sync_score(x).map_err(text)?, score)?;
        Ok(format!("{x} steps"))
    };
    cases.into_iter().map(check).collect()
}

/// The file's final scores are those of peers whom the threshold already concerns.
fn finals(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        mu: f64,
        sigma: f64,
        bma: f64,
        sync: f64,
        score: f64,
    }
    let threshold_key = gauntlet
        .keys()
        .find(|key| key.starts_with(WINDOWS))
        .ok_or("the file names no threshold")?;
    let threshold = number_in(threshold_key, WINDOWS)?;
    let cases: Vec<Case> = get(gauntlet, key)?;
    let check = |Case {
                     mu,
                     sigma,
                     bma,
                     sync,
                     score,
                 }| {
        let computation = Computation {
            average: bma,
            windows: GRACE_WINDOWS,
        };
        let ours =
            final_score(&Rating { mu, sigma }, &computation, threshold, sync).map_err(text)?;
        close(&format!("average {bma}"), ours, score)?;
        Ok(format!("average {bma}"))
    };
    cases.into_iter().map(check).collect()
}

fn emission(key: &str, gauntlet: &Gauntlet) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        scores: BTreeMap<String, f64>,
        params: Emission,
        weights: BTreeMap<String, f64>,
    }
    let Case {
        scores,
        params,
        mut weights,
    } = get(gauntlet, key)?;
    let burn = weights.remove("burn").ok_or("no burned share")?;
    let payout = params
        .divide(&scores.values().copied().collect::<Vec<_>>())
        .map_err(text)?;
    close("burned", payout.burn, burn)?;
    for (peer, ours) in scores.keys().zip(&payout.peers) {
        close(
            &format!("peer {peer}"),
            *ours,
            weights.remove(peer).unwrap_or(0.0),
        )?;
    }
    if !weights.is_empty() {
        return Err(format!("weights of unknown peers {:?}", weights.keys()));
    }
    Ok(vec![format!("{} peers", scores.len())])
}
