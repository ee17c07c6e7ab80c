//! Every key of `sparseloco_vectors.json` that concerns compression, checked against the file's own
//! numbers: seeds, shapes, settings and expected values all come from the JSON, so that another file
//! with other numbers checks just as much. Natively each group is one test; the same source, compiled
//! into a wasm module, runs in Node.
//!
//! Some settings exist only in the file's key names (`compress_64x64_k64_beta095`,
//! `quantise_4bins_6sigma`, `tiny_10M`) or in a formula (`gen(3100)*2^-7 + ...`); those are parsed.

use std::collections::BTreeMap;

use covey_compression::CodecConfig;
use covey_compression::accounting::{BITS_PER_ENTRY, Coding};
use covey_compression::chunking::{Chunking, effective_k, largest_divisor};
use covey_compression::generator::{SplitMix64, generate};
use covey_compression::packing::{pack_codes, pack_indices, unpack_codes, unpack_indices};
use covey_compression::quantiser::{BINS, Quantiser, RANGE_SIGMAS};
use covey_compression::topk::TopK;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[path = "aggregate_cases.rs"]
mod aggregate_cases;
#[path = "check.rs"]
mod check;
#[path = "codec_cases.rs"]
mod codec_cases;
#[path = "identity.rs"]
mod identity;

use check::{Outcome, all_close, close, exact, hex};
pub use identity::digest;

/// A group of keys: its name, whether a key belongs to it, and its check.
struct Group {
    name: &'static str,
    owns: fn(&str) -> bool,
    check: fn(&str, &Value) -> Outcome<Vec<String>>,
}

const GROUPS: &[Group] = &[
    Group {
        name: "splitmix64",
        owns: |key| key == "splitmix64",
        check: splitmix64,
    },
    Group {
        name: "gen",
        owns: |key| key == "gen",
        check: generator,
    },
    Group {
        name: "pack12",
        owns: |key| key == "pack12",
        check: pack12,
    },
    Group {
        name: "pack2",
        owns: |key| key == "pack2",
        check: pack2,
    },
    Group {
        name: "chunking",
        owns: |key| key == "chunking",
        check: chunking,
    },
    Group {
        name: "topk_ties",
        owns: |key| key == "topk_ties",
        check: topk_ties,
    },
    Group {
        name: "quantise",
        owns: |key| key.starts_with("quantise_"),
        check: quantise,
    },
    Group {
        name: "compress_rounds",
        owns: |key| key.starts_with("compress_") && key.contains("_beta"),
        check: codec_cases::rounds,
    },
    Group {
        name: "compress_multi",
        owns: |key| key == "compress_multi",
        check: codec_cases::multi,
    },
    Group {
        name: "aggregate",
        owns: |key| key.starts_with("aggregate_"),
        check: aggregate_cases::aggregate,
    },
    Group {
        name: "accounting",
        owns: |key| key == "accounting",
        check: accounting,
    },
];

/// Keys of the file that other crates check.
const ELSEWHERE: &[&str] = &[
    "version",
    "about",
    "gauntlet",
    "assignment",
    "adamw",
    "lr_schedule_covenant_like",
];

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
    let file: BTreeMap<String, Value> = read(json)?;
    let group = GROUPS
        .iter()
        .find(|group| group.name == name)
        .ok_or_else(|| format!("no group {name}"))?;
    let mut passed = Vec::new();
    for (key, value) in file.iter().filter(|(key, _)| (group.owns)(key)) {
        let cases = (group.check)(key, value).map_err(|problem| format!("{key}: {problem}"))?;
        passed.extend(cases.into_iter().map(|case| format!("{key}: {case}")));
    }
    if passed.is_empty() {
        Err(format!("the file has no case for {name}"))
    } else {
        Ok(passed)
    }
}

/// Keys of the file that neither this crate nor another is known to check.
#[allow(dead_code, reason = "used by the native tests only")]
pub fn unclaimed(json: &str) -> Outcome<Vec<String>> {
    let file: BTreeMap<String, Value> = read(json)?;
    let claimed =
        |key: &str| ELSEWHERE.contains(&key) || GROUPS.iter().any(|group| (group.owns)(key));
    Ok(file.into_keys().filter(|key| !claimed(key)).collect())
}

fn read<T: DeserializeOwned>(json: &str) -> Outcome<T> {
    serde_json::from_str(json).map_err(|problem| format!("not the expected JSON: {problem}"))
}

fn parse<T: DeserializeOwned>(value: &Value) -> Outcome<T> {
    T::deserialize(value).map_err(|problem| problem.to_string())
}

fn number<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

fn splitmix64(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        first_u64_hex: Vec<String>,
    }
    let Case {
        seed,
        first_u64_hex,
    } = parse(value)?;
    let mut stream = SplitMix64::new(seed);
    let ours: Vec<String> = first_u64_hex
        .iter()
        .map(|_| format!("{:016x}", stream.next_u64()))
        .collect();
    exact("first outputs", &ours, &first_u64_hex)?;
    Ok(vec![format!("seed {seed}, {} outputs", ours.len())])
}

fn generator(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        scale: f64,
        first8: Vec<f32>,
    }
    let Case {
        seed,
        scale,
        first8,
    } = parse(value)?;
    exact(
        "first values",
        &generate(seed, first8.len(), scale),
        &first8,
    )?;
    Ok(vec![format!("seed {seed}, {} values", first8.len())])
}

fn pack12(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        idx: Vec<u16>,
        hex: String,
    }
    let cases: Vec<Case> = parse(value)?;
    let mut passed = Vec::new();
    for Case { idx, hex: expected } in cases {
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        pack_indices(&idx, &mut packed).map_err(|problem| problem.to_string())?;
        exact("packed", &hex(&packed), &expected)?;
        unpack_indices(&packed, &mut unpacked).map_err(|problem| problem.to_string())?;
        exact("unpacked", &unpacked, &idx)?;
        passed.push(format!("{} indices", idx.len()));
    }
    Ok(passed)
}

fn pack2(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        codes: Vec<u8>,
        hex: String,
    }
    let cases: Vec<Case> = parse(value)?;
    let mut passed = Vec::new();
    for Case {
        codes,
        hex: expected,
    } in cases
    {
        let (mut packed, mut unpacked) = (Vec::new(), Vec::new());
        pack_codes(&codes, &mut packed).map_err(|problem| problem.to_string())?;
        exact("packed", &hex(&packed), &expected)?;
        unpack_codes(&packed, codes.len(), &mut unpacked).map_err(|problem| problem.to_string())?;
        exact("unpacked", &unpacked, &codes)?;
        passed.push(format!("{} codes", codes.len()));
    }
    Ok(passed)
}

fn chunking(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Tiny {
        shape: [usize; 2],
        side: usize,
        chunks: Vec<Vec<f32>>,
    }
    #[derive(Deserialize)]
    struct Divisor {
        n: usize,
        limit: usize,
        side: usize,
    }
    #[derive(Deserialize)]
    struct EffectiveK {
        chunk_len: usize,
        k: usize,
        scale_k: bool,
        result: usize,
    }
    #[derive(Deserialize)]
    struct Case {
        tiny: Tiny,
        divisors: Vec<Divisor>,
        effective_k: Vec<EffectiveK>,
    }
    let Case {
        tiny,
        divisors,
        effective_k: kept,
    } = parse(value)?;
    let [rows, cols] = tiny.shape;
    let tensor: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
    let chunking = Chunking::matrix(rows, cols, tiny.side);
    let gather = |chunk| {
        let mut values = Vec::new();
        chunking.gather(&tensor, chunk, &mut values);
        values
    };
    let chunks: Vec<Vec<f32>> = (0..chunking.chunks()).map(gather).collect();
    exact("chunks", &chunks, &tiny.chunks)?;
    let mut passed = vec![format!("{rows}x{cols} in blocks of {}", tiny.side)];
    for Divisor { n, limit, side } in divisors {
        exact(
            &format!("divisor of {n}"),
            &largest_divisor(n, limit),
            &side,
        )?;
        passed.push(format!("divisor of {n}"));
    }
    for EffectiveK {
        chunk_len,
        k,
        scale_k,
        result,
    } in kept
    {
        let what = format!("k of {chunk_len}, scaled {scale_k}");
        exact(&what, &effective_k(chunk_len, k, scale_k), &result)?;
        passed.push(what);
    }
    Ok(passed)
}

fn topk_ties(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        row: Vec<f32>,
        k: usize,
        idx: Vec<u16>,
    }
    let Case { row, k, idx } = parse(value)?;
    let mut kept = Vec::new();
    TopK::default().select(&row, k, &mut kept);
    exact("kept", &kept, &idx)?;
    Ok(vec![format!("{k} of {}", row.len())])
}

fn quantise(key: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        values: Vec<f32>,
        shift: f32,
        step: f32,
        codes: Vec<u8>,
        lookup: [f32; BINS],
        dequantised: Vec<f32>,
    }
    let settings = key
        .strip_prefix("quantise_")
        .and_then(|rest| rest.strip_suffix("sigma"));
    let (bins, sigmas) = settings
        .and_then(|s| s.split_once("bins_"))
        .ok_or("the key names no bins and range")?;
    exact("bins", &BINS, &number(bins)?)?;
    exact("range", &RANGE_SIGMAS, &number(sigmas)?)?;
    let cases: Vec<Case> = parse(value)?;
    let mut passed = Vec::new();
    for case in cases {
        let name = &case.name;
        let mut codes = Vec::new();
        let quantiser = Quantiser::fit(&case.values, &mut codes);
        exact(&format!("{name}, codes"), &codes, &case.codes)?;
        close(
            &format!("{name}, shift"),
            quantiser.shift.into(),
            case.shift.into(),
        )?;
        close(
            &format!("{name}, step"),
            quantiser.step.into(),
            case.step.into(),
        )?;
        all_close(&format!("{name}, lookup"), &quantiser.lookup, &case.lookup)?;
        let table = quantiser.values();
        let dequantised: Vec<f32> = codes
            .iter()
            .filter_map(|code| table.get(usize::from(*code)))
            .copied()
            .collect();
        all_close(
            &format!("{name}, dequantised"),
            &dequantised,
            &case.dequantised,
        )?;
        passed.push(case.name);
    }
    Ok(passed)
}

/// The file gives rates and bytes but not always the parameter count. Where the key names it (`tiny_10M`)
/// that is taken; elsewhere it is recovered from the bytes, and all such entries must agree on it.
fn accounting(_: &str, value: &Value) -> Outcome<Vec<String>> {
    #[derive(Deserialize)]
    struct Rates {
        bits_per_entry: u32,
        bits_per_param: f64,
        ratio_fp32: f64,
        ratio_bf16: f64,
        payload_bytes: f64,
    }
    let full = Chunking::vector(
        covey_compression::chunking::MAX_CHUNK_LEN,
        covey_compression::chunking::MAX_CHUNK_LEN,
    );
    let coding = |bits_per_entry| Coding {
        k: u32::from(CodecConfig::default().k),
        chunk_len: full.chunk_len() as u32,
        bits_per_entry,
    };
    let entries: BTreeMap<String, Value> = parse(value)?;
    let mut recovered: Option<f64> = None;
    let mut own_coding = 0;
    let mut passed = Vec::new();
    for (key, value) in entries {
        if key.starts_with("entropy_bound") {
            close(&key, coding(0).index_entropy_bound(), parse(&value)?)?;
            passed.push(key);
            continue;
        }
        let rates: Rates = parse(&value)?;
        let coding = coding(rates.bits_per_entry);
        own_coding += usize::from(rates.bits_per_entry == BITS_PER_ENTRY);
        close(
            &format!("{key}, bits per parameter"),
            coding.bits_per_parameter(),
            rates.bits_per_param,
        )?;
        close(
            &format!("{key}, against f32"),
            coding.ratio(32),
            rates.ratio_fp32,
        )?;
        close(
            &format!("{key}, against bf16"),
            coding.ratio(16),
            rates.ratio_bf16,
        )?;
        let parameters = match size_in(&key) {
            Some(parameters) => parameters,
            None => {
                let parameters = rates.payload_bytes * 8.0 / rates.bits_per_param;
                close(
                    &format!("{key}, parameters"),
                    parameters,
                    *recovered.get_or_insert(parameters),
                )?;
                parameters.round()
            }
        };
        close(
            &format!("{key}, bytes"),
            coding.payload_bytes(parameters),
            rates.payload_bytes,
        )?;
        passed.push(key);
    }
    if own_coding == 0 {
        return Err(format!(
            "no entry has the frame's own {BITS_PER_ENTRY} bits"
        ));
    }
    Ok(passed)
}

/// The model size at the end of a key such as `small_125M`.
fn size_in(key: &str) -> Option<f64> {
    let (digits, unit) = key
        .rsplit('_')
        .next()?
        .split_at_checked(key.rsplit('_').next()?.len().checked_sub(1)?)?;
    let unit = match unit {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * unit)
}
