//! Whole tensors through the codec: rounds of error feedback, and tensors of every kind of shape.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use covey_compression::generator::generate;
use covey_compression::quantiser::{BINS, RANGE_SIGMAS};
use covey_compression::update::TensorUpdate;
use covey_compression::{CodecConfig, Compressed, ModelCodec, OneDRule, SparseUpdate, TensorShape};
use serde::Deserialize;
use serde_json::Value;

use super::check::{
    Outcome, all_close, close, exact, hex, l2, nonzero, raw, sha256, starts_close, sum_abs,
};
use super::{number, parse};

/// What the file says of one frame.
#[derive(Deserialize)]
pub struct Payload {
    n_chunks: u32,
    k: u16,
    chunk_len: u16,
    shift: f32,
    step: f32,
    lookup: [f32; BINS],
    idx_packed_hex: String,
    codes_packed_hex: String,
    frame_sha256: String,
    frame_len: usize,
    idx: Option<Vec<Vec<u16>>>,
    codes: Option<Vec<Vec<u8>>>,
}

/// A payload of one tensor, as sent and as decoded.
pub struct Sent {
    pub compressed: Compressed,
    pub update: SparseUpdate,
}

pub fn single(shape: &[usize], config: &CodecConfig) -> Outcome<ModelCodec> {
    ModelCodec::new(&[TensorShape::new("tensor", shape)], config)
        .map_err(|problem| problem.to_string())
}

/// Compresses one tensor, decodes it again, and compares every number of the frame.
pub fn send(
    codec: &ModelCodec,
    delta: &[f32],
    feedback: &[f32],
    expected: &Payload,
) -> Outcome<Sent> {
    let compressed = codec
        .compress(delta, feedback)
        .map_err(|problem| problem.to_string())?;
    let frame = &compressed.payload;
    let update = codec.decode(frame).map_err(|problem| problem.to_string())?;
    let tensor = update.tensor(0).ok_or("no tensor")?;
    let geometry = tensor.codec.geometry();
    exact("chunks", &geometry.chunks, &expected.n_chunks)?;
    exact("chunk length", &geometry.chunk_len, &expected.chunk_len)?;
    exact("k", &geometry.k, &expected.k)?;
    exact(
        "predicted length",
        &codec.payload_len(),
        &expected.frame_len,
    )?;
    exact("length", &frame.len(), &expected.frame_len)?;
    let packed = format!("{}{}", expected.idx_packed_hex, expected.codes_packed_hex);
    let header = frame
        .len()
        .checked_sub(packed.len() / 2)
        .ok_or("the frame is shorter than its contents")?;
    exact(
        "packed indices and codes",
        &hex(frame.get(header..).unwrap_or_default()),
        &packed,
    )?;
    close(
        "shift",
        tensor.quantiser.shift.into(),
        expected.shift.into(),
    )?;
    close("step", tensor.quantiser.step.into(), expected.step.into())?;
    all_close("lookup", &tensor.quantiser.lookup, &expected.lookup)?;
    if let Some(indices) = &expected.idx {
        exact("indices", &by_chunk(tensor, tensor.indices), indices)?;
    }
    if let Some(codes) = &expected.codes {
        exact("codes", &by_chunk(tensor, tensor.codes), codes)?;
    }
    exact("frame's hash", &sha256(frame), &expected.frame_sha256)?;
    exact(
        "what is kept unsent",
        &compressed.unsent_feedback.len(),
        &delta.len(),
    )?;
    Ok(Sent { compressed, update })
}

/// How near any kept value comes to the edge between two bins, in bins: the file keeps clear of edges, so
/// that codes do not hang on the last bit of a sum.
fn code_margin(sent: &Sent) -> Outcome<f64> {
    let tensor = sent.update.tensor(0).ok_or("no tensor")?;
    let chunking = tensor.codec.chunking();
    let accumulated = &sent.compressed.unsent_feedback;
    let mut kept: Vec<f64> = Vec::new();
    for (chunk, indices) in by_chunk(tensor, tensor.indices).iter().enumerate() {
        let position = |index: &u16| chunking.origin(chunk) + chunking.offset(usize::from(*index));
        let values = indices
            .iter()
            .filter_map(|index| accumulated.get(position(index)));
        kept.extend(values.map(|value| f64::from(*value)));
    }
    let count = kept.len() as f64;
    let mean = kept.iter().sum::<f64>() / count;
    let squares = kept.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let width = RANGE_SIGMAS * (squares / (count - 1.0)).sqrt() / BINS as f64;
    let edges = (1..BINS).map(|edge| edge as f64 - 0.5);
    let bins = kept
        .iter()
        .map(|value| (value - mean) / width + (BINS / 2) as f64);
    let distances = bins.flat_map(|bin| edges.clone().map(move |edge| (bin - edge).abs()));
    Ok(distances.fold(f64::INFINITY, f64::min))
}

fn by_chunk<T: Clone>(tensor: TensorUpdate<'_>, entries: &[T]) -> Vec<Vec<T>> {
    entries
        .chunks(usize::from(tensor.codec.geometry().k))
        .map(<[T]>::to_vec)
        .collect()
}

#[derive(Deserialize)]
struct Decompressed {
    nonzero_flat_index: Vec<usize>,
    values: Vec<f32>,
    sum_abs: f64,
}

#[derive(Deserialize)]
struct Round {
    seed: u64,
    scale: f64,
    delta_sha256: String,
    code_margin: f64,
    payload: Payload,
    frame_hex: Option<String>,
    decompressed: Option<Decompressed>,
    ef_after_first8: Vec<f32>,
    ef_after_l2: f64,
    ef_after_sha256: String,
    delta_b64: Option<String>,
    ef_after_b64: Option<String>,
}

/// `compress_64x64_k64_beta095`: several rounds that hand the error feedback on.
pub fn rounds(key: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        shape: Vec<usize>,
        rounds: Vec<Round>,
    }
    let Case { shape, rounds } = parse(value)?;
    let (k, beta) = settings_in(key)?;
    let codec = single(
        &shape,
        &CodecConfig {
            k,
            beta,
            ..CodecConfig::default()
        },
    )?;
    let mut feedback = vec![0.0; codec.parameters()];
    let mut passed = Vec::new();
    for (number, round) in rounds.iter().enumerate() {
        feedback = one_round(&codec, round, &feedback)
            .map_err(|problem| format!("round {number}: {problem}"))?;
        passed.push(format!("round {number}"));
    }
    Ok(passed)
}

fn one_round(codec: &ModelCodec, round: &Round, feedback: &[f32]) -> Outcome<Vec<f32>> {
    let delta = generate(round.seed, codec.parameters(), round.scale);
    exact("delta's hash", &sha256(&raw(&delta)), &round.delta_sha256)?;
    let base64 = |text: &String| {
        BASE64_STANDARD
            .decode(text)
            .map_err(|problem| problem.to_string())
    };
    if let Some(text) = &round.delta_b64 {
        exact("delta", &raw(&delta), &base64(text)?)?;
    }
    let sent = send(codec, &delta, feedback, &round.payload)?;
    close(
        "distance to a bin's edge",
        code_margin(&sent)?,
        round.code_margin,
    )?;
    let Sent { compressed, update } = sent;
    if let Some(frame) = &round.frame_hex {
        exact("frame", &hex(&compressed.payload), frame)?;
    }
    let dense = update.decompress();
    if let Some(expected) = &round.decompressed {
        let (positions, values) = nonzero(&dense);
        exact(
            "where it is not zero",
            &positions,
            &expected.nonzero_flat_index,
        )?;
        all_close("decompressed", &values, &expected.values)?;
        close("sum of magnitudes", sum_abs(&dense), expected.sum_abs)?;
    }
    let after = compressed.sent_feedback;
    starts_close("feedback", &after, &round.ef_after_first8)?;
    close("feedback's norm", l2(&after), round.ef_after_l2)?;
    exact(
        "feedback's hash",
        &sha256(&raw(&after)),
        &round.ef_after_sha256,
    )?;
    if let Some(text) = &round.ef_after_b64 {
        exact("whole feedback", &raw(&after), &base64(text)?)?;
    }
    Ok(after)
}

/// `..._k64_beta095`: k, and beta with its decimal point left out.
fn settings_in(key: &str) -> Outcome<(u16, f32)> {
    let (rest, beta) = key.rsplit_once("_beta").ok_or("the key names no beta")?;
    let (_, k) = rest.rsplit_once("_k").ok_or("the key names no k")?;
    let (whole, decimals) = beta.split_at_checked(1).ok_or("the key names no beta")?;
    Ok((number(k)?, number(&format!("{whole}.{decimals}"))?))
}

/// `compress_multi`: one round over matrices and vectors of several shapes and rules.
pub fn multi(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        shape: Vec<usize>,
        seed: u64,
        scale: f64,
        one_d: String,
        scale_k: bool,
        delta_sha256: String,
        code_margin: f64,
        payload: Payload,
        first_chunk_idx: Vec<u16>,
        first_chunk_codes: Vec<u8>,
        ef_after_l2: f64,
        ef_after_first4: Vec<f32>,
    }
    let cases: Vec<Case> = parse(value)?;
    let mut passed = Vec::new();
    for case in cases {
        let one_d = match case.one_d.as_str() {
            "templar" => OneDRule::Templar,
            "c4096" => OneDRule::Paper,
            other => return Err(format!("{}: no rule {other}", case.name)),
        };
        let config = CodecConfig {
            one_d,
            scale_k: case.scale_k,
            ..CodecConfig::default()
        };
        let check = || -> Outcome {
            let codec = single(&case.shape, &config)?;
            let delta = generate(case.seed, codec.parameters(), case.scale);
            exact("delta's hash", &sha256(&raw(&delta)), &case.delta_sha256)?;
            let sent = send(&codec, &delta, &vec![0.0; delta.len()], &case.payload)?;
            close(
                "distance to a bin's edge",
                code_margin(&sent)?,
                case.code_margin,
            )?;
            let Sent { compressed, update } = sent;
            let tensor = update.tensor(0).ok_or("no tensor")?;
            let k = usize::from(tensor.codec.geometry().k);
            exact(
                "first chunk's indices",
                tensor.indices.get(..k).unwrap_or_default(),
                &case.first_chunk_idx,
            )?;
            exact(
                "first chunk's codes",
                tensor.codes.get(..k).unwrap_or_default(),
                &case.first_chunk_codes,
            )?;
            close(
                "feedback's norm",
                l2(&compressed.sent_feedback),
                case.ef_after_l2,
            )?;
            starts_close("feedback", &compressed.sent_feedback, &case.ef_after_first4)
        };
        check().map_err(|problem| format!("{}: {problem}", case.name))?;
        passed.push(case.name);
    }
    Ok(passed)
}
