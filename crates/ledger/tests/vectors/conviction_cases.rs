//! `conviction.txt`, line by line: `dt,tau,bits,f64` for a decay, `m,c0,dt,unlock,maturity,owner,perp ->
//! m',bits,f64` for a roll; `#` begins a comment. Bits must be equal; the decimals beside them only have
//! to be close, for they are printed short.

use covey_ledger::conviction::{self, Mass, Rates, roll};
use covey_ledger::fixed::{U64F64, decay};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcome, close, exact, read};

/// Checks all lines; gives a line for each. A file without a line of either kind is an error.
pub fn lines(text: &str) -> Outcome<Vec<String>> {
    let (mut decays, mut rolls) = (0usize, 0usize);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let checked = match line.split_once("->") {
            Some((given, expected)) => {
                rolls += 1;
                check_roll(&fields(given), &fields(expected))
            }
            None => {
                decays += 1;
                check_decay(&fields(line))
            }
        };
        checked.map_err(|problem| format!("line {number}, {line}: {problem}"))?;
    }
    if decays == 0 || rolls == 0 {
        return Err(format!("the file has {decays} decays and {rolls} rolls"));
    }
    let named = |what: &'static str, count| (1..=count).map(move |i| format!("{what} {i}"));
    Ok(named("decay", decays).chain(named("roll", rolls)).collect())
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).collect()
}

fn check_decay(fields: &[&str]) -> Outcome {
    let [dt, tau, bits, decimal] = fields else {
        return Err("a decay has 4 fields".to_owned());
    };
    let ours = decay(integer(dt)?, integer(tau)?);
    exact("bits", ours.to_bits(), hex(bits)?)?;
    check_decimal(ours, decimal, 1e-14)
}

fn check_roll(given: &[&str], expected: &[&str]) -> Outcome {
    let [mass, conviction, dt, unlock, maturity, owner, perpetual] = given else {
        return Err("a roll begins with 7 fields".to_owned());
    };
    let [mass_after, bits, decimal] = expected else {
        return Err("a roll ends with 3 fields".to_owned());
    };
    let at = Mass {
        mass: integer(mass)?,
        conviction: U64F64::from_num(integer(conviction)?),
    };
    let rates = Rates {
        unlock: integer(unlock)?,
        maturity: integer(maturity)?,
    };
    let rolled = roll(at, integer(dt)?, rates, flag(perpetual)?, flag(owner)?);
    exact("mass", rolled.mass, integer(mass_after)?)?;
    exact("bits", rolled.conviction.to_bits(), hex(bits)?)?;
    check_decimal(rolled.conviction, decimal, 1e-6)
}

fn check_decimal(ours: U64F64, decimal: &str, step: f64) -> Outcome {
    let theirs: f64 = decimal.parse().map_err(|_| wrong(decimal))?;
    close(
        "decimal",
        ours.to_num(),
        theirs,
        step + 1e-14 * theirs.abs(),
    )
}

fn integer(text: &str) -> Outcome<u64> {
    text.parse().map_err(|_| wrong(text))
}

fn flag(text: &str) -> Outcome<bool> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        other => Err(wrong(other)),
    }
}

fn hex(text: &str) -> Outcome<u128> {
    let digits = text.strip_prefix("0x").ok_or_else(|| wrong(text))?;
    u128::from_str_radix(digits, 16).map_err(|_| wrong(text))
}

fn wrong(text: &str) -> String {
    format!("cannot read {text:?}")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gate {
    conviction: u64,
    eligible: u64,
    passes: bool,
}

pub fn gate(case: Value) -> Outcome {
    let case: Gate = read(case)?;
    let passes = conviction::gate(U64F64::from_num(case.conviction), case.eligible);
    exact("passes", passes, case.passes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peak {
    unlock: u64,
    maturity: u64,
    block: u64,
}

pub fn peak(case: Value) -> Outcome {
    let Peak {
        unlock,
        maturity,
        block,
    } = read(case)?;
    let found = conviction::peak_decaying(Rates { unlock, maturity });
    exact("block", found, Some(block))
}
