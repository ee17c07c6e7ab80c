//! Several peers merged: norms, clip, both means, the outer step and who resembles whom.

use std::collections::BTreeMap;

use covey_compression::aggregate::{clip_factors, lower_median};
use covey_compression::generator::generate;
use covey_compression::{AggregateMode, CodecConfig, ModelCodec, SparseUpdate, outer_step};
use serde::Deserialize;
use serde_json::Value;

use super::check::{Outcome, all_close, close, exact, l2, nonzero, raw, sha256, sum_abs};
use super::codec_cases::{Payload, send, single};
use super::{number, parse};

#[derive(Deserialize)]
struct Peer {
    delta: String,
    seed: u64,
    gain: f32,
    delta_sha256: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct MedianExample {
    x: Vec<f64>,
    lower_median: f64,
}

#[derive(Deserialize)]
struct MeanR {
    nonzero_flat_index: Vec<usize>,
    values: Vec<f32>,
    sum_abs: f64,
}

#[derive(Deserialize)]
struct MeanPresent {
    sum_abs: f64,
    first_nonzero: Vec<(usize, f32)>,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the file's names")]
struct Norms {
    mean_R: f64,
    mean_present: f64,
    mean_R_without_clip: f64,
}

#[derive(Deserialize)]
struct Theta {
    seed: u64,
    scale: f64,
    sha256: String,
}

#[derive(Deserialize)]
struct Outer {
    mode: String,
    lr: f32,
    theta_l2: f64,
    theta_at: BTreeMap<String, f32>,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the file's names")]
struct Case {
    shape: Vec<usize>,
    peers: Vec<Peer>,
    norms: Vec<f64>,
    lower_median: f64,
    clip_factors: Vec<f64>,
    even_count_median_example: MedianExample,
    mean_R: MeanR,
    mean_present: MeanPresent,
    l2: Norms,
    theta: Theta,
    outer: Vec<Outer>,
    index_overlap: BTreeMap<String, f64>,
}

/// `aggregate_5_peers`.
pub fn aggregate(_: &str, value: &Value) -> Outcome<Vec<String>> {
    let case: Case = parse(value)?;
    let codec = single(&case.shape, &CodecConfig::default())?;
    let updates: Vec<SparseUpdate> = case
        .peers
        .iter()
        .map(|peer| receive(&codec, peer))
        .collect::<Outcome<_>>()?;
    let mut passed = vec![format!("{} peers' frames", updates.len())];
    let peers: Vec<&SparseUpdate> = updates.iter().collect();

    clip(&case, &peers)?;
    passed.push("norms, lower median and clip".to_owned());
    let merged = means(&case, &codec, &peers)?;
    passed.push("both means".to_owned());
    for outer in &case.outer {
        let what = format!("outer step, {} at {}", outer.mode, outer.lr);
        step(&case.theta, outer, &merged).map_err(|problem| format!("{what}: {problem}"))?;
        passed.push(what);
    }
    overlap(&case.index_overlap, &peers)?;
    passed.push(format!("overlap of {} pairs", case.index_overlap.len()));
    Ok(passed)
}

fn receive(codec: &ModelCodec, peer: &Peer) -> Outcome<SparseUpdate> {
    let check = || {
        let delta = delta_of(peer, codec.parameters())?;
        exact("delta's hash", &sha256(&raw(&delta)), &peer.delta_sha256)?;
        let sent = send(codec, &delta, &vec![0.0; delta.len()], &peer.payload)?;
        Ok(sent.update)
    };
    check().map_err(|problem: String| format!("peer with seed {}: {problem}", peer.seed))
}

/// Evaluates the file's formula, such as `gen(3100)*2^-7 + gen(seed)*2^-7 in f32, then * gain`.
fn delta_of(peer: &Peer, count: usize) -> Outcome<Vec<f32>> {
    let unknown = || format!("unknown formula {:?}", peer.delta);
    let sum = peer
        .delta
        .strip_suffix(" in f32, then * gain")
        .ok_or_else(unknown)?;
    let mut delta = vec![0.0f32; count];
    for term in sum.split(" + ") {
        let (seed, exponent) = term
            .strip_prefix("gen(")
            .and_then(|t| t.split_once(")*2^"))
            .ok_or_else(unknown)?;
        let seed = if seed == "seed" {
            peer.seed
        } else {
            number(seed)?
        };
        let scale = 2.0f64.powi(number(exponent)?);
        delta
            .iter_mut()
            .zip(generate(seed, count, scale))
            .for_each(|(sum, value)| *sum += value);
    }
    delta.iter_mut().for_each(|value| *value *= peer.gain);
    Ok(delta)
}

fn clip(case: &Case, peers: &[&SparseUpdate]) -> Outcome {
    let norms: Vec<f64> = peers.iter().flat_map(|update| update.norms()).collect();
    all_close("norms", &norms, &case.norms)?;
    let median = |values: &[f64]| lower_median(values).ok_or("no median".to_owned());
    close("lower median", median(&norms)?, case.lower_median)?;
    let example = &case.even_count_median_example;
    close(
        "lower median of an even count",
        median(&example.x)?,
        example.lower_median,
    )?;
    all_close("clip factors", &clip_factors(&norms), &case.clip_factors)
}

struct Merged {
    mean_r: Vec<f32>,
    mean_present: Vec<f32>,
}

fn means(case: &Case, codec: &ModelCodec, peers: &[&SparseUpdate]) -> Outcome<Merged> {
    let merge = |mode| {
        codec
            .aggregate(peers, mode)
            .map_err(|problem| problem.to_string())
    };
    let mean_r = merge(AggregateMode::MeanR)?;
    all_close(
        "clip factors used",
        mean_r.clip.concat().as_slice(),
        &case.clip_factors,
    )?;
    let mean_r = mean_r.delta;
    let (positions, values) = nonzero(&mean_r);
    exact(
        "mean_R, where it is not zero",
        &positions,
        &case.mean_R.nonzero_flat_index,
    )?;
    all_close("mean_R", &values, &case.mean_R.values)?;
    close(
        "mean_R, sum of magnitudes",
        sum_abs(&mean_r),
        case.mean_R.sum_abs,
    )?;
    close("mean_R, norm", l2(&mean_r), case.l2.mean_R)?;

    let mean_present = merge(AggregateMode::MeanPresent)?.delta;
    let (positions, values) = nonzero(&mean_present);
    let (first_positions, first_values): (Vec<usize>, Vec<f32>) =
        case.mean_present.first_nonzero.iter().copied().unzip();
    let first = positions.get(..first_positions.len()).unwrap_or_default();
    exact(
        "mean_present, where it is not zero",
        first,
        &first_positions,
    )?;
    all_close(
        "mean_present",
        values.get(..first.len()).unwrap_or_default(),
        &first_values,
    )?;
    close(
        "mean_present, sum of magnitudes",
        sum_abs(&mean_present),
        case.mean_present.sum_abs,
    )?;
    close(
        "mean_present, norm",
        l2(&mean_present),
        case.l2.mean_present,
    )?;

    let unclipped = codec
        .weighted_mean(peers, &[vec![1.0; peers.len()]], AggregateMode::MeanR)
        .map_err(|problem| problem.to_string())?;
    close(
        "mean_R without clip, norm",
        l2(&unclipped),
        case.l2.mean_R_without_clip,
    )?;
    Ok(Merged {
        mean_r,
        mean_present,
    })
}

fn step(start: &Theta, outer: &Outer, merged: &Merged) -> Outcome {
    let delta = match outer.mode.as_str() {
        "mean_R" => &merged.mean_r,
        "mean_present" => &merged.mean_present,
        other => return Err(format!("no mode {other}")),
    };
    let mut theta = generate(start.seed, delta.len(), start.scale);
    exact("theta's hash", &sha256(&raw(&theta)), &start.sha256)?;
    outer_step(&mut theta, delta, outer.lr).map_err(|problem| problem.to_string())?;
    close("theta's norm", l2(&theta), outer.theta_l2)?;
    for (position, expected) in &outer.theta_at {
        let weight = theta
            .get(number::<usize>(position)?)
            .ok_or("position beyond theta")?;
        close(
            &format!("theta[{position}]"),
            f64::from(*weight),
            f64::from(*expected),
        )?;
    }
    Ok(())
}

fn overlap(expected: &BTreeMap<String, f64>, peers: &[&SparseUpdate]) -> Outcome {
    for (pair, expected) in expected {
        let (left, right) = pair
            .split_once('-')
            .ok_or_else(|| format!("{pair:?} is no pair"))?;
        let peer = |text: &str| {
            peers
                .get(number::<usize>(text)?)
                .copied()
                .ok_or("no such peer".to_owned())
        };
        close(
            &format!("overlap {pair}"),
            peer(left)?.index_overlap(peer(right)?),
            *expected,
        )?;
        close(
            &format!("overlap {pair}, reversed"),
            peer(right)?.index_overlap(peer(left)?),
            *expected,
        )?;
    }
    Ok(())
}
