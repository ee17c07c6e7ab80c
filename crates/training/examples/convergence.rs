//! Held-out loss against tokens and bytes for four ways of spending the same tokens.
//!
//! `tiny` on a prepared corpus, four simulated volunteers, everything real but the network: one
//! worker with AdamW; DiLoCo with dense averaging (Nesterov 0.9, outer rate 0.7); SparseLoCo as
//! specified; SparseLoCo with one volunteer lost each round. Bytes are what one volunteer uploads.
//!
//! `--corpus DIR [--tokens N] [--json FILE] [--write FILE]`; the last replaces the section between the
//! convergence markers of a Markdown file.

mod common;
#[path = "common/corpus.rs"]
mod corpus;

use std::path::{Path, PathBuf};

use common::{Failure, Row, argument, report};
use corpus::{Corpus, write_section};
use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    model::Preset,
    packet::PacketHeader,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
    update,
};
use covey_training::{
    data::Assignment,
    device,
    evaluate::Evaluator,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
    outer::{apply_update, codec, pseudo_gradient},
};

const VOLUNTEERS: u8 = 4;
const HELD_OUT_SEQUENCES: usize = 128;
const NESTEROV: f32 = 0.9;
const DENSE_OUTER_LR: f32 = 0.7;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    OneWorker,
    DenseDiloco,
    SparseLoco,
    OneLost,
}

impl Way {
    const ALL: [Self; 4] = [
        Self::OneWorker,
        Self::DenseDiloco,
        Self::SparseLoco,
        Self::OneLost,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::OneWorker => "one worker, dense AdamW",
            Self::DenseDiloco => "DiLoCo, dense",
            Self::SparseLoco => "SparseLoCo",
            Self::OneLost => "SparseLoCo, one of four lost each round",
        }
    }

    fn volunteers(self) -> u8 {
        if self == Self::OneWorker {
            1
        } else {
            VOLUNTEERS
        }
    }
}

/// A point of a curve.
struct Point {
    tokens: u64,
    bytes: u64,
    loss: f32,
}

fn spec(corpus: &Corpus) -> RunSpec {
    RunSpec {
        name: "convergence".into(),
        seed: Hash([0x11; 32]),
        model: Preset::Tiny.config(),
        corpus: Hash::of(&corpus.manifest.to_json()),
        inner: InnerSpec {
            steps: 15,
            batch: 4,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    }
}

fn run(way: Way, corpus: &Corpus, budget: u64) -> Result<Vec<Point>, Failure> {
    let mut spec = spec(corpus);
    // The same tokens per round for everyone: one worker takes four volunteers' steps.
    spec.inner.steps *= u32::from(VOLUNTEERS / way.volunteers());
    let codec = codec(&spec)?;
    let device = device::cpu();
    let evaluator = Evaluator::new(&spec.model, &corpus.held_out, HELD_OUT_SEQUENCES, &device)?;
    let identities: Vec<Identity> = (1..=way.volunteers())
        .map(|n| Identity::from_secret([n; 32]))
        .collect();
    let mut loops = identities
        .iter()
        .map(|_| InnerLoop::new(&spec, &device, &OptimiserState::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut theta = initial_weights(&spec.seed, &spec.model);
    let mut feedback = vec![vec![0f32; theta.len()]; identities.len()];
    let mut momentum = vec![0f32; theta.len()];
    let step_tokens = u64::from(spec.inner.batch) * spec.model.context as u64;
    let (mut tokens, mut bytes, mut round) = (0u64, 0u64, Round(0));
    let loss = pollster::block_on(evaluator.loss(&theta))?;
    let mut curve = vec![Point {
        tokens,
        bytes,
        loss,
    }];
    while tokens < budget {
        let seed = Hash::of(&round.0.to_le_bytes());
        let base = Hash::of_weights(&theta);
        let mut dense: Vec<Vec<f32>> = Vec::new();
        let mut packets: Vec<(VolunteerId, Vec<u8>)> = Vec::new();
        for (number, (identity, inner)) in identities.iter().zip(&mut loops).enumerate() {
            let assignment =
                Assignment::new(&spec, &corpus.manifest, &seed, &identity.id(), round)?;
            inner.begin(round, &theta)?;
            for step in 0..spec.inner.steps as usize {
                inner.step(&assignment.batch(step, &corpus.train)?);
            }
            let losses = pollster::block_on(inner.read_losses())?;
            let finished = pollster::block_on(inner.finish())?;
            tokens += u64::from(spec.inner.steps) * step_tokens;
            let delta = pseudo_gradient(&theta, &finished.theta)?;
            match way {
                Way::OneWorker => theta = finished.theta,
                Way::DenseDiloco => dense.push(delta),
                Way::SparseLoco | Way::OneLost => {
                    let lost =
                        way == Way::OneLost && round.0 % u64::from(VOLUNTEERS) == number as u64;
                    let compressed = codec.compress(&delta, &feedback[number])?;
                    if lost {
                        feedback[number] = compressed.unsent_feedback;
                        continue;
                    }
                    feedback[number] = compressed.sent_feedback;
                    let header = PacketHeader {
                        run: spec.id(),
                        volunteer: identity.id(),
                        round,
                        base,
                        inner_steps: spec.inner.steps,
                        tokens: 1,
                        first_loss: losses.first().map_or(0.0, |l| l.loss),
                        last_loss: losses.last().map_or(0.0, |l| l.loss),
                    };
                    packets.push((identity.id(), header.seal(&compressed.payload, identity)?));
                }
            }
        }
        if way == Way::DenseDiloco {
            for i in 0..theta.len() {
                let mean = dense.iter().map(|d| d[i]).sum::<f32>() / dense.len() as f32;
                momentum[i] = NESTEROV * momentum[i] + mean;
                theta[i] -= DENSE_OUTER_LR * (mean + NESTEROV * momentum[i]);
            }
            bytes += 4 * theta.len() as u64;
        }
        if !packets.is_empty() {
            packets.sort();
            bytes += packets[0].1.len() as u64;
            let sealed: Vec<&Vec<u8>> = packets.iter().map(|(_, packet)| packet).collect();
            apply_update(
                &spec,
                &codec,
                &mut theta,
                round,
                &base,
                &update::encode(&sealed),
            )?;
        }
        round = round.next();
        let loss = pollster::block_on(evaluator.loss(&theta))?;
        eprintln!("{}: {tokens} tokens, held-out loss {loss:.4}", way.name());
        curve.push(Point {
            tokens,
            bytes,
            loss,
        });
    }
    Ok(curve)
}

/// Loss against tokens and, in brackets, against what one volunteer has uploaded by then.
fn table(curves: &[(Way, Vec<Point>)], entropy: f64) -> String {
    let names: Vec<&str> = curves.iter().map(|(way, _)| way.name()).collect();
    let mut lines = vec![
        format!(
            "Held-out loss in nats per token, and MB uploaded by one volunteer; unigram entropy {entropy:.3}."
        ),
        String::new(),
        format!("| tokens | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(names.len())),
    ];
    let longest = curves.iter().map(|(_, curve)| curve.len()).max();
    let longest = longest.unwrap_or(0);
    let every = (longest / 10).max(1);
    for i in (0..longest).filter(|i| i % every == 0 || i + 1 == longest) {
        let points = curves.iter().map(|(_, curve)| curve.get(i));
        let cells: Vec<String> = points
            .clone()
            .map(|point| match point {
                Some(Point { loss, bytes: 0, .. }) => format!("{loss:.3}"),
                Some(Point { loss, bytes, .. }) => {
                    format!("{loss:.3} ({:.2} MB)", *bytes as f64 / 1e6)
                }
                None => String::new(),
            })
            .collect();
        let tokens = points.flatten().map(|point| point.tokens).next();
        lines.push(format!(
            "| {} | {} |",
            tokens.unwrap_or(0),
            cells.join(" | ")
        ));
    }
    lines.join("\n")
}

fn main() -> Result<(), Failure> {
    let folder = argument("--corpus").ok_or("--corpus DIR is needed: a prepared corpus")?;
    let corpus = Corpus::open(&PathBuf::from(folder))?;
    let budget = argument("--tokens").map_or(Ok(1_000_000), |n| n.parse())?;
    println!(
        "Held-out unigram entropy: {:.4} nats per token",
        corpus.manifest.unigram_entropy
    );
    let curves = Way::ALL
        .into_iter()
        .map(|way| Ok((way, run(way, &corpus, budget)?)))
        .collect::<Result<Vec<_>, Failure>>()?;

    let table = table(&curves, corpus.manifest.unigram_entropy);
    println!("\n{table}");
    if let Some(path) = argument("--write") {
        write_section(Path::new(&path), "convergence", &table)?;
    }

    let mut rows = Vec::new();
    let last = |curve: &[Point]| curve.last().map_or(f64::NAN, |p| f64::from(p.loss));
    let reference = last(&curves[0].1);
    for (way, curve) in &curves {
        rows.push(Row {
            name: format!("{}: held-out loss", way.name()),
            value: last(curve),
            unit: "nats/token",
            against: (*way != Way::OneWorker).then(|| Way::OneWorker.name().into()),
            ratio: (*way != Way::OneWorker).then(|| last(curve) / reference),
        });
        rows.push(Row {
            name: format!("{}: uploaded by one volunteer", way.name()),
            value: curve.last().map_or(0.0, |p| p.bytes as f64 / 1e6),
            unit: "MB",
            against: None,
            ratio: None,
        });
    }
    report(&rows, argument("--json").map(PathBuf::from).as_deref())
}
