//! How far honest devices disagree: the same inner steps natively, in WebAssembly and on WebGPU, packets
//! compared. `cargo xtask bench adapters` runs the three parts.
//!
//! `prepare --corpus DIR --out DIR [--steps H,H,...] [--batch N] [--context N]` draws one volunteer's work, does
//! it natively twice, and does what a cheat would do: other text, a tenth of the steps. `bench_adapters.mjs`
//! adds what a browser makes of the same work. `compare --corpus DIR --out DIR [--json FILE] [--write FILE]`
//! tells how alike the packets are; `--write` replaces the section between the adapters markers of a Markdown
//! file.

mod common;
#[path = "common/corpus.rs"]
mod corpus;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Failure, Row, argument, report};
use corpus::{Corpus, write_section};
use covey_compression::Similarity;
use covey_protocol::{
    Hash, Round, VolunteerId,
    model::{ModelConfig, Preset},
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
};
use covey_training::{
    assess::{Assessor, SEQUENCES, Trial, held_out_sample},
    data::{Assignment, Batch},
    device,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
    outer::codec,
    repeat::{Repeated, Work, packets},
};

/// Where the work starts from: fresh weights, and weights after some training.
const BASES: [&str; 2] = ["initial", "trained"];
/// Inner steps of eight sequences that make the trained weights.
const TRAINING: u32 = 60;
/// Pairs of places whose packets are compared; those of the second kind are no honest repetition.
const HONEST: [(&str, &str); 6] = [
    ("native flex", "native flex again"),
    ("wasm flex", "wasm flex again"),
    ("wasm webgpu", "wasm webgpu again"),
    ("native flex", "wasm flex"),
    ("native flex", "wasm webgpu"),
    ("wasm flex", "wasm webgpu"),
];
const DISHONEST: [(&str, &str); 2] = [
    ("native flex", "other text"),
    ("native flex", "a tenth of the steps"),
];

fn number(name: &str, otherwise: u32) -> Result<u32, Failure> {
    Ok(argument(name).map_or(Ok(otherwise), |n| n.parse())?)
}

fn spec(corpus: &Corpus) -> Result<RunSpec, Failure> {
    let default = Preset::Tiny.config();
    Ok(RunSpec {
        name: "adapters".into(),
        seed: Hash([0x33; 32]),
        model: ModelConfig {
            context: number("--context", default.context as u32)? as usize,
            ..default
        },
        corpus: Hash::of(&corpus.manifest.to_json()),
        inner: InnerSpec {
            batch: number("--batch", 1)?,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    })
}

/// A volunteer's sequences of the first round, in the order they are trained on.
fn sequences(spec: &RunSpec, corpus: &Corpus, volunteer: u8) -> Result<Vec<Vec<u16>>, Failure> {
    let assignment = Assignment::new(
        spec,
        &corpus.manifest,
        &Hash([0x44; 32]),
        &VolunteerId([volunteer; 32]),
        Round(0),
    )?;
    let (width, mut all) = (spec.model.context, Vec::new());
    for step in 0..spec.inner.steps as usize {
        let batch = assignment.batch(step, &corpus.train)?;
        for row in 0..batch.sequences {
            let row = row * width..(row + 1) * width;
            let last = batch.targets[row.end - 1];
            let tokens = batch.inputs[row].iter().copied().chain([last]);
            all.push(tokens.map(|token| token as u16).collect());
        }
    }
    Ok(all)
}

/// Weights after some plain training.
fn trained(spec: &RunSpec, corpus: &Corpus) -> Result<Vec<f32>, Failure> {
    let spec = RunSpec {
        inner: InnerSpec {
            batch: 8,
            steps: TRAINING,
            ..spec.inner.clone()
        },
        ..spec.clone()
    };
    let mut inner = InnerLoop::new(&spec, &device::cpu(), &OptimiserState::default())?;
    inner.begin(Round(0), &initial_weights(&spec.seed, &spec.model))?;
    let assignment = Assignment::new(
        &spec,
        &corpus.manifest,
        &Hash([0x55; 32]),
        &VolunteerId([9; 32]),
        Round(0),
    )?;
    for step in 0..TRAINING as usize {
        inner.step(&assignment.batch(step, &corpus.train)?);
    }
    pollster::block_on(inner.read_losses())?;
    Ok(pollster::block_on(inner.finish())?.theta)
}

fn prepare(corpus: &Corpus, out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out)?;
    let spec = spec(corpus)?;
    let steps = argument("--steps").unwrap_or_else(|| "1,5,20".into());
    let steps: Vec<u32> = steps.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let work = Work {
        sequences: sequences(&spec, corpus, 1)?,
        steps,
        spec,
    };
    let elsewhere = Work {
        sequences: sequences(&work.spec, corpus, 2)?,
        ..work.clone()
    };
    let lazy = Work {
        steps: work.steps.iter().map(|h| (h / 10).max(1)).collect(),
        ..work.clone()
    };
    fs::write(out.join("work.json"), serde_json::to_vec(&work)?)?;
    for base in BASES {
        let theta = match base {
            "initial" => initial_weights(&work.spec.seed, &work.spec.model),
            _ => trained(&work.spec, corpus)?,
        };
        let bytes: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(out.join(format!("{base}.theta")), bytes)?;
        for (place, work) in [
            ("native flex", &work),
            ("native flex again", &work),
            ("other text", &elsewhere),
            ("a tenth of the steps", &lazy),
        ] {
            let made = pollster::block_on(packets(work, &theta, &device::cpu()))?;
            fs::write(
                out.join(format!("{place}, {base}.json")),
                serde_json::to_vec(&made)?,
            )?;
        }
    }
    Ok(())
}

/// One pair of packets of the same number of steps.
struct Compared {
    base: &'static str,
    steps: u32,
    pair: String,
    honest: bool,
    similarity: Similarity,
    /// |left - right| / |left| of the decoded packets.
    apart: f64,
    same_bytes: bool,
    /// What each alone takes off the held-out loss, in nats per token.
    gains: (f64, f64),
}

fn compare(corpus: &Corpus, out: &Path) -> Result<Vec<Compared>, Failure> {
    let work: Work = serde_json::from_slice(&fs::read(out.join("work.json"))?)?;
    let codec = codec(&work.spec)?;
    let assessor = Assessor::new(&work.spec.model, &codec, &device::cpu());
    let context = work.spec.model.context;
    let random = held_out_sample(&corpus.held_out, context, SEQUENCES, &Hash([0x66; 32]))?;
    let mut own = Batch::empty(context);
    work.sequences
        .iter()
        .take(SEQUENCES)
        .for_each(|s| own.push(s));
    let mut all = Vec::new();
    for base in BASES {
        let theta: Vec<f32> = fs::read(out.join(format!("{base}.theta")))?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        let read = |place: &str| -> Option<Vec<Repeated>> {
            let bytes = fs::read(out.join(format!("{place}, {base}.json"))).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let pairs = HONEST.iter().map(|pair| (pair, true));
        for ((left, right), honest) in pairs.chain(DISHONEST.iter().map(|pair| (pair, false))) {
            // A part that was not run is left out of the table.
            let (Some(lefts), Some(rights)) = (read(left), read(right)) else {
                continue;
            };
            // A cheat took fewer steps than the packet beside it claims, so the order counts.
            for (one, other) in lefts.iter().zip(&rights) {
                if honest && one.steps != other.steps {
                    return Err(format!("{left} and {right} took different steps").into());
                }
                let updates = [codec.decode(&one.payload)?, codec.decode(&other.payload)?];
                let trials = updates.each_ref().map(|update| Trial { update, own: &own });
                let measured = pollster::block_on(assessor.measure(
                    &theta,
                    1.0,
                    &trials,
                    &random,
                    async || true,
                ))?;
                let gain = |i: usize| match measured.get(i) {
                    Some(Some(found)) => found.random.before - found.random.after,
                    _ => f64::NAN,
                };
                let [a, b] = updates.each_ref().map(|update| update.decompress());
                let squares = |values: &mut dyn Iterator<Item = f32>| -> f64 {
                    values.map(|v| f64::from(v) * f64::from(v)).sum()
                };
                let difference = squares(&mut a.iter().zip(&b).map(|(a, b)| a - b));
                all.push(Compared {
                    base,
                    steps: one.steps,
                    pair: format!("{left} / {right}"),
                    honest,
                    similarity: updates[0].similarity(&updates[1]),
                    apart: (difference / squares(&mut a.iter().copied())).sqrt(),
                    same_bytes: one.payload == other.payload,
                    gains: (gain(0), gain(1)),
                });
            }
        }
    }
    Ok(all)
}

fn table(all: &[Compared], work: &Work) -> String {
    let (spec, mut lines) = (&work.spec, Vec::new());
    lines.push(format!(
        "`tiny`, batch {}, context {}; \"trained\" is after {TRAINING} inner steps of 8 sequences.",
        spec.inner.batch, spec.model.context
    ));
    lines.push(String::new());
    lines.push("| pair | weights | H | shared entries | 1 - cosine | relative L2 | held-out gain | same bytes |".into());
    lines.push("|---|---|---|---|---|---|---|---|".into());
    for row in all {
        lines.push(format!(
            "| {} | {} | {} | {:.3} % | {:.1e} | {:.1e} | {:.5} / {:.5} | {} |",
            row.pair,
            row.base,
            row.steps,
            100.0 * row.similarity.overlap,
            1.0 - row.similarity.cosine,
            row.apart,
            row.gains.0,
            row.gains.1,
            if row.same_bytes { "yes" } else { "no" },
        ));
    }
    lines.join("\n")
}

fn rows(all: &[Compared]) -> Vec<Row> {
    let row = |name: String, value: f64, unit| Row {
        name,
        value,
        unit,
        against: None,
        ratio: None,
    };
    all.iter()
        .flat_map(|found| {
            let kind = if found.honest { "honest" } else { "dishonest" };
            let name = format!(
                "{kind}: {}, {} weights, H {}",
                found.pair, found.base, found.steps
            );
            [
                row(
                    format!("{name}: overlap"),
                    found.similarity.overlap,
                    "share",
                ),
                row(format!("{name}: cosine"), found.similarity.cosine, ""),
            ]
        })
        .collect()
}

fn main() -> Result<(), Failure> {
    let folder = argument("--corpus").ok_or("--corpus DIR is needed: a prepared corpus")?;
    let out = PathBuf::from(argument("--out").ok_or("--out DIR is needed")?);
    let corpus = Corpus::open(Path::new(&folder))?;
    match std::env::args().nth(1).as_deref() {
        Some("prepare") => prepare(&corpus, &out),
        Some("compare") => {
            let all = compare(&corpus, &out)?;
            let work: Work = serde_json::from_slice(&fs::read(out.join("work.json"))?)?;
            let table = table(&all, &work);
            println!("{table}");
            if let Some(path) = argument("--write") {
                write_section(Path::new(&path), "adapters", &table)?;
            }
            report(
                &rows(&all),
                argument("--json").map(PathBuf::from).as_deref(),
            )
        }
        _ => Err("say prepare or compare".into()),
    }
}
