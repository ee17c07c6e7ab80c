//! Epochs worked out by hand. What is expected is given as fractions, `[numerator, denominator]`, and
//! must be met to 2^-56, which is cut-off and no more.

use covey_ledger::fixed::U64F64;
use covey_ledger::yuma::{self, Form, Params, Validator};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcome, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    name: String,
    form: Form,
    stake: Vec<u64>,
    /// Per validator, per miner.
    weights: Vec<Vec<u16>>,
    consensus: Vec<(u64, u64)>,
    trust: Vec<(u64, u64)>,
    rank: Vec<(u64, u64)>,
    incentive: Vec<(u64, u64)>,
    dividends: Vec<(u64, u64)>,
}

pub fn epoch(case: Value) -> Outcome {
    let case: Epoch = read(case)?;
    let validator = |(stake, weights): (&u64, &Vec<u16>)| Validator {
        stake: *stake,
        permit: true,
        weights: (0..).zip(weights.iter().copied()).collect(),
        ..Validator::default()
    };
    let validators: Vec<_> = case
        .stake
        .iter()
        .zip(&case.weights)
        .map(validator)
        .collect();
    let miners = u32::try_from(case.consensus.len()).map_err(|problem| problem.to_string())?;
    let params = Params {
        form: case.form,
        ..Params::default()
    };
    let outcome = yuma::epoch(miners, &validators, &params);
    let checks = [
        ("consensus", &outcome.consensus, &case.consensus),
        ("trust", &outcome.trust, &case.trust),
        ("rank", &outcome.rank, &case.rank),
        ("incentive", &outcome.incentive, &case.incentive),
        ("dividends", &outcome.dividends, &case.dividends),
    ];
    for (what, ours, theirs) in checks {
        same(ours, theirs).map_err(|problem| format!("{}, {what}: {problem}", case.name))?;
    }
    Ok(())
}

fn same(ours: &[U64F64], theirs: &[(u64, u64)]) -> Outcome {
    let slack = U64F64::from_bits(1 << 8);
    let mut expected = Vec::new();
    for (numerator, denominator) in theirs {
        let fraction = U64F64::from_num(*numerator).checked_div(U64F64::from_num(*denominator));
        expected.push(fraction.ok_or("a fraction of nothing")?);
    }
    let near = |(ours, theirs): (&U64F64, &U64F64)| ours.abs_diff(*theirs) <= slack;
    if ours.len() == expected.len() && ours.iter().zip(&expected).all(near) {
        Ok(())
    } else {
        Err(format!("got {ours:?}, expected {expected:?}"))
    }
}
