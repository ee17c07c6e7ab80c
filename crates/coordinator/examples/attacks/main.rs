//! What hostile volunteers achieve: `tiny` on a prepared corpus, twenty simulated volunteers of which
//! none, two, five and eight are hostile; and what lying validators achieve who judge the same run.
//!
//! Every run with hostile volunteers is compared with a run of the same honest volunteers alone. What a
//! reader would get wrong: comparing it with twenty honest ones would also measure what fewer packets do
//! to the merge, where an entry is averaged over those who sent it.
//!
//! `--corpus DIR [--rounds N] [--steps H] [--hostile K[,K...]] [--kind NAME] [--unprotected]
//! [--verbose] [--json FILE] [--write FILE]`; the last replaces the section between the attack markers of a Markdown
//! file. Hostile volunteers take the kinds in turn; `--kind` makes all of them one.

mod arena;
mod corpus;
mod kinds;
mod lies;
mod peers;
mod validators;

use std::{collections::BTreeMap, path::Path, time::Instant};

use arena::Arena;
use corpus::Corpus;
use covey_protocol::{
    Hash,
    model::Preset,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
};
use kinds::Kind;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const VOLUNTEERS: usize = 20;
/// Hostile volunteers of the run that lying validators judge.
const JUDGED: usize = 5;
const HELD_OUT_SEQUENCES: usize = 64;

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()
}

fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

fn spec(corpus: &Corpus, steps: u32) -> RunSpec {
    RunSpec {
        name: "attacks".into(),
        seed: Hash([0x22; 32]),
        model: Preset::Tiny.config(),
        corpus: Hash::of(&corpus.manifest.to_json()),
        inner: InnerSpec {
            steps,
            batch: 2,
            peak_lr: 2e-3,
            warmup: 20,
            ramp: 10,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec {
            max_contributions: VOLUNTEERS as u32,
            ..RoundSpec::default()
        },
    }
}

/// What one run came to.
struct Outcome {
    hostile: usize,
    loss: f32,
    /// Share of all incentive that hostile peers got.
    leaked: f64,
    /// Honest volunteers with an incentive weight at the end, of all.
    honest_paid: (usize, usize),
    honest_excluded: u64,
    honest_packets: u64,
    kinds: BTreeMap<Kind, Fate>,
    /// The honest volunteers' loss when they are alone.
    alone: f32,
    /// Incentive weights after each round, by volunteer.
    said: Vec<Vec<u16>>,
}

/// What became of one kind's packets.
#[derive(Default)]
struct Fate {
    peers: u64,
    refused: u64,
    excluded: u64,
    merged: u64,
    earned: f64,
}

fn run(
    corpus: &Corpus,
    kinds: &[Kind],
    rounds: u64,
    steps: u32,
    assessed: bool,
) -> Result<Outcome, Failure> {
    let spec = spec(corpus, steps);
    let mut arena = Arena::new(spec, corpus, kinds, assessed, HELD_OUT_SEQUENCES)?;
    arena.verbose = flag("--verbose");
    let hostile = kinds.iter().filter(|kind| **kind != Kind::Honest).count();
    let started = Instant::now();
    for round in 0..rounds {
        arena.round()?;
        if (round + 1) % 5 == 0 || arena.verbose {
            let (loss, seconds) = (arena.loss()?, started.elapsed().as_secs());
            eprintln!(
                "{hostile} hostile, round {}: loss {loss:.4} ({seconds} s)",
                round + 1
            );
        }
    }
    let paid = f64::from(arena.paid_rounds.max(1));
    let mut kinds: BTreeMap<Kind, Fate> = BTreeMap::new();
    for peer in &arena.peers {
        let fate = kinds.entry(peer.kind).or_default();
        fate.peers += 1;
        fate.refused += peer.refused;
        fate.excluded += peer.excluded.values().sum::<u64>();
        fate.merged += peer.merged;
        fate.earned += peer.earned / paid;
        if peer.kind == Kind::Honest && !peer.excluded.is_empty() {
            eprintln!(
                "honest {} left out: {:?}",
                peer.identity.id(),
                peer.excluded
            );
        }
    }
    let weights: BTreeMap<_, _> = arena.weights()?.into_iter().collect();
    let honest: Vec<bool> = arena
        .peers
        .iter()
        .filter(|peer| peer.kind == Kind::Honest)
        .map(|peer| {
            weights
                .get(&peer.identity.id())
                .is_some_and(|weight| *weight > 0)
        })
        .collect();
    let honest_paid = (honest.iter().filter(|paid| **paid).count(), honest.len());
    let honest = kinds.get(&Kind::Honest).ok_or("nobody was honest")?;
    Ok(Outcome {
        hostile,
        loss: arena.loss()?,
        leaked: kinds
            .iter()
            .filter(|(kind, _)| **kind != Kind::Honest)
            .map(|(_, fate)| fate.earned)
            // The sum of nothing is a negative zero.
            .fold(0.0, |sum, earned| sum + earned),
        honest_paid,
        honest_excluded: honest.excluded + honest.refused,
        honest_packets: honest.excluded + honest.refused + honest.merged,
        alone: f32::NAN,
        said: arena.said,
        kinds,
    })
}

/// Honest volunteers first, then hostile ones: a mixture that together with the other sizes' has every
/// kind in it, or all of one kind.
fn crowd(hostile: usize, only: Option<Kind>) -> Vec<Kind> {
    let mixture: &[Kind] = match hostile {
        0..=2 => &[Kind::Flipped, Kind::Noise],
        3..=5 => &[
            Kind::Colluding,
            Kind::Lazy,
            Kind::Copied,
            Kind::Scaled,
            Kind::Colluding,
        ],
        _ => &[
            Kind::Stale,
            Kind::CopiedWithNoise,
            Kind::Zeros,
            Kind::Garbage,
            Kind::LateCopy,
            Kind::WrongShard,
            Kind::Lazy,
            Kind::Flipped,
        ],
    };
    let kinds = mixture.iter().copied().cycle();
    let hostile = kinds.map(|kind| only.unwrap_or(kind)).take(hostile);
    let honest = VOLUNTEERS - hostile.clone().count();
    let honest = std::iter::repeat_n(Kind::Honest, honest);
    honest.chain(hostile).collect()
}

fn table(outcomes: &[Outcome], rounds: u64) -> String {
    let clean = outcomes.first().map_or(f32::NAN, |outcome| outcome.loss);
    let mut lines = vec![
        format!("After {rounds} rounds; loss in nats per token on held-out text."),
        String::new(),
        "| hostile of 20 | held-out loss | the honest ones alone | against them | against twenty honest | incentive to hostile | honest packets left out | honest volunteers paid at the end |".into(),
        "|---|---|---|---|---|---|---|---|".into(),
    ];
    for outcome in outcomes {
        lines.push(format!(
            "| {} | {:.4} | {:.4} | {:+.2} % | {:+.2} % | {:.2} % | {} of {} | {} of {} |",
            outcome.hostile,
            outcome.loss,
            outcome.alone,
            100.0 * (outcome.loss / outcome.alone - 1.0),
            100.0 * (outcome.loss / clean - 1.0),
            100.0 * outcome.leaked,
            outcome.honest_excluded,
            outcome.honest_packets,
            outcome.honest_paid.0,
            outcome.honest_paid.1,
        ));
    }
    lines.push(String::new());
    lines.push(
        "| kind | hostile | refused at the door | left out | merged | share of incentive |".into(),
    );
    lines.push("|---|---|---|---|---|---|".into());
    for outcome in outcomes {
        for (kind, fate) in &outcome.kinds {
            lines.push(format!(
                "| {} ({}) | {} | {} | {} | {} | {:.2} % |",
                kind.name(),
                fate.peers,
                outcome.hostile,
                fate.refused,
                fate.excluded,
                fate.merged,
                100.0 * fate.earned,
            ));
        }
    }
    lines.join("\n")
}

/// Replaces what stands between the markers in a Markdown file.
fn write_section(path: &Path, text: &str) -> Result<(), Failure> {
    const OPEN: &str = "<!-- attacks -->\n";
    const CLOSE: &str = "\n<!-- /attacks -->";
    let page = std::fs::read_to_string(path)?;
    let (before, rest) = page
        .split_once(OPEN)
        .ok_or("the opening marker is missing")?;
    let (_, after) = rest
        .split_once(CLOSE)
        .ok_or("the closing marker is missing")?;
    std::fs::write(path, format!("{before}{OPEN}{text}{CLOSE}{after}"))?;
    Ok(())
}

/// The headline numbers, as `cargo xtask bench --json` gathers them.
fn rows(outcomes: &[Outcome]) -> Vec<serde_json::Value> {
    let row = |name: String, value: f64, unit: &str| serde_json::json!({ "name": name, "value": value, "unit": unit });
    let of = |outcome: &Outcome| {
        let hostile = outcome.hostile;
        [
            row(
                format!("{hostile} of 20 hostile: held-out loss"),
                f64::from(outcome.loss),
                "nats/token",
            ),
            row(
                format!("{hostile} of 20 hostile: held-out loss of the honest ones alone"),
                f64::from(outcome.alone),
                "nats/token",
            ),
            row(
                format!("{hostile} of 20 hostile: incentive to hostile"),
                100.0 * outcome.leaked,
                "%",
            ),
            row(
                format!("{hostile} of 20 hostile: honest packets left out"),
                outcome.honest_excluded as f64,
                "packets",
            ),
        ]
    };
    outcomes.iter().flat_map(of).collect()
}

fn main() -> Result<(), Failure> {
    let folder = argument("--corpus").ok_or("--corpus DIR is needed: a prepared corpus")?;
    let corpus = Corpus::open(Path::new(&folder))?;
    let rounds = argument("--rounds").map_or(Ok(12), |n| n.parse())?;
    let steps = argument("--steps").map_or(Ok(10), |n| n.parse())?;
    let only = match argument("--kind") {
        None => None,
        Some(name) => {
            let known = Kind::HOSTILE.into_iter().find(|kind| kind.name() == name);
            Some(known.ok_or("no such kind")?)
        }
    };
    let hostile = argument("--hostile").unwrap_or_else(|| "0,2,5,8".into());
    let outcomes = hostile
        .split(',')
        .map(|k| {
            let crowd = crowd(k.parse::<usize>()?.min(VOLUNTEERS - 1), only);
            let mut outcome = run(&corpus, &crowd, rounds, steps, !flag("--unprotected"))?;
            outcome.alone = if outcome.hostile == 0 {
                outcome.loss
            } else {
                let honest: Vec<Kind> = crowd.into_iter().filter(|k| *k == Kind::Honest).collect();
                run(&corpus, &honest, rounds, steps, true)?.loss
            };
            Ok(outcome)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut table = table(&outcomes, rounds);
    if let Some(judged) = outcomes.iter().find(|outcome| outcome.hostile == JUDGED) {
        // The crowd begins with those who are honest.
        let hostile: Vec<bool> = (0..VOLUNTEERS).map(|n| n >= VOLUNTEERS - JUDGED).collect();
        let fates = validators::judge(&judged.said, &hostile);
        table.push_str("\n\n");
        table.push_str(&validators::table(&fates, VOLUNTEERS, JUDGED));
    }
    println!("{table}");
    if let Some(path) = argument("--json") {
        std::fs::write(path, serde_json::to_vec_pretty(&rows(&outcomes))?)?;
    }
    if let Some(path) = argument("--write") {
        write_section(Path::new(&path), &table)?;
    }
    Ok(())
}
