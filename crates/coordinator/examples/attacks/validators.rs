//! Lying validators: ten of them judge the volunteers of a run that was just simulated, some of them lie
//! ([`Lie`]), and the ledger's own Yuma consensus says who is paid.
//!
//! Honest validators say what the coordinator's book said in each round, each a little differently, since
//! each would try other packets on other text. One round is one epoch; the last one is repeated until the
//! bonds have settled.
//!
//! What a reader would get wrong: all stakes are equal here, so k of ten liars *are* k tenths of the stake,
//! and the ledger's kappa lets exactly half of it decide: the table goes past that point on purpose.

use covey_ledger::yuma::{Params, Validator, epoch};

use crate::lies::Lie;

/// Validators of the subnet, each with the same stake.
const VALIDATORS: usize = 10;
/// Epochs after the run's last round: bonds keep nine tenths of themselves, so this is far into settled.
const SETTLING: usize = 60;
/// Largest relative difference between two honest validators' weights.
const SPREAD: f64 = 0.1;

/// What lying came to once bonds had settled.
pub struct Fate {
    pub lie: Lie,
    pub liars: usize,
    /// Share of the incentive that hostile volunteers get.
    pub leaked: f64,
    /// What a liar gets of the dividends over what an honest validator of the same stake gets; infinite
    /// when honest ones get nothing.
    pub dividends: f64,
}

/// Runs every lie with 0 to 6 liars of ten. `said` holds the honest weights of each epoch by volunteer;
/// epochs in which nobody earned anything are passed over.
pub fn judge(said: &[Vec<u16>], hostile: &[bool]) -> Vec<Fate> {
    let mut fates = Vec::new();
    for lie in Lie::ALL {
        for liars in [0, 1, 2, 3, 4, 5, 6] {
            let (leaked, dividends) = one(said, hostile, lie, liars);
            fates.push(Fate {
                lie,
                liars,
                leaked,
                dividends,
            });
        }
    }
    fates
}

fn one(said: &[Vec<u16>], hostile: &[bool], lie: Lie, liars: usize) -> (f64, f64) {
    let mut validators = vec![
        Validator {
            stake: 1_000_000_000,
            permit: true,
            ..Validator::default()
        };
        VALIDATORS
    ];
    let spoken = || said.iter().filter(|row| row.iter().any(|w| *w > 0));
    let epochs = spoken().chain(spoken().next_back().into_iter().cycle().take(SETTLING));
    // A friend that does no work of its own.
    let friend = hostile.iter().position(|hostile| *hostile).unwrap_or(0) as u32;
    let mut last = (0.0, f64::NAN);
    let mut before: Vec<(u32, u16)> = Vec::new();
    for (time, honest) in epochs.enumerate() {
        let honest: Vec<(u32, u16)> = (0u32..).zip(honest.iter().copied()).collect();
        for (number, validator) in validators.iter_mut().enumerate() {
            validator.weights = if number < liars {
                lie.weights(&honest, &before, friend)
            } else {
                disturbed(&honest, time * VALIDATORS + number)
            };
        }
        before = honest;
        let outcome = epoch(hostile.len() as u32, &validators, &Params::default());
        for (validator, bonds) in validators.iter_mut().zip(outcome.bonds) {
            validator.bonds = bonds;
        }
        let leaked = outcome.incentive.iter().zip(hostile);
        let leaked = leaked.filter(|(_, hostile)| **hostile);
        let each = |dividends: &[covey_ledger::fixed::U64F64]| -> f64 {
            let sum: f64 = dividends.iter().map(|d| d.to_num::<f64>()).sum();
            sum / dividends.len() as f64
        };
        let (lying, honest) = outcome.dividends.split_at(liars);
        last = (
            leaked.fold(0.0, |sum, (share, _)| sum + share.to_num::<f64>()),
            each(lying) / each(honest),
        );
    }
    last
}

/// An honest validator's own view: every weight off by at most half the spread either way.
fn disturbed(honest: &[(u32, u16)], seed: usize) -> Vec<(u32, u16)> {
    honest
        .iter()
        .map(|(volunteer, weight)| {
            let mut z = (seed as u64) << 32 | u64::from(*volunteer);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let luck = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            let told = f64::from(*weight) * (1.0 + SPREAD * luck);
            (*volunteer, told as u16)
        })
        .collect()
}

/// A table of what became of them.
pub fn table(fates: &[Fate], volunteers: usize, hostile: usize) -> String {
    let mut lines = vec![
        format!(
            "Ten validators of equal stake judge the run with {hostile} hostile of {volunteers}; settled bonds."
        ),
        String::new(),
        "| lying of 10 | how | incentive to hostile | a liar's dividends against an honest validator's |"
            .into(),
        "|---|---|---|---|".into(),
    ];
    for fate in fates {
        if fate.liars == 0 && fate.lie != Lie::ALL[0] {
            continue;
        }
        let (how, against) = match fate.liars {
            0 => ("nobody", String::new()),
            _ if fate.dividends.is_infinite() => (fate.lie.name(), "everything".into()),
            _ => (fate.lie.name(), format!("{:.1} %", 100.0 * fate.dividends)),
        };
        lines.push(format!(
            "| {} | {how} | {:.2} % | {against} |",
            fate.liars,
            100.0 * fate.leaked
        ));
    }
    lines.join("\n")
}
