//! The pool's published numbers. Where a case names no weight, it is one half.

use covey_ledger::pool::{DEFAULT_QUOTE, Pool, PoolError};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcome, close, exact, read};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Buy,
    Sell,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Swap {
    side: Side,
    alpha: u64,
    tao: u64,
    input: u64,
    fee: u64,
    output: u64,
}

pub fn swap(case: Value) -> Outcome {
    let case: Swap = read(case)?;
    let pool = pool(case.alpha, case.tao, DEFAULT_QUOTE)?;
    let swap = match case.side {
        Side::Buy => pool.buy(case.input),
        Side::Sell => pool.sell(case.input),
    }
    .map_err(text)?;
    exact("fee", swap.fee, case.fee)?;
    exact("output", swap.output, case.output)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    side: Side,
    alpha: u64,
    tao: u64,
    quote: u64,
    input: u64,
    output: u64,
}

pub fn curve(case: Value) -> Outcome {
    let case: Curve = read(case)?;
    let pool = pool(case.alpha, case.tao, case.quote)?;
    let output = match case.side {
        Side::Buy => pool.curve_buy(case.input),
        Side::Sell => pool.curve_sell(case.input),
    };
    exact("output", output.map_err(text)?, case.output)
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Limit {
    /// What of the input reaches the pool, and what it buys; nothing about the fee but that it is on top.
    Exact {
        alpha: u64,
        tao: u64,
        limit: u64,
        net: u64,
        output: u64,
    },
    /// Input and fee, to a relative tolerance.
    Near {
        alpha: u64,
        tao: u64,
        limit: u64,
        gross: u64,
        relative: f64,
    },
    Refused {
        alpha: u64,
        tao: u64,
        limit: u64,
        refused: String,
    },
}

pub fn limit(case: Value) -> Outcome {
    match read(case)? {
        Limit::Exact {
            alpha,
            tao,
            limit,
            net,
            output,
        } => {
            let pool = pool(alpha, tao, DEFAULT_QUOTE)?;
            let swap = pool.max_buy(limit).and_then(|most| pool.buy(most));
            let swap = swap.map_err(text)?;
            exact("net", swap.input - swap.fee, net)?;
            exact("output", swap.output, output)?;
            exact("price", swap.after.price_rao(), limit)
        }
        Limit::Near {
            alpha,
            tao,
            limit,
            gross,
            relative,
        } => {
            let most = pool(alpha, tao, DEFAULT_QUOTE)?.max_buy(limit);
            let gross = gross as f64;
            close("gross", most.map_err(text)? as f64, gross, relative * gross)
        }
        Limit::Refused {
            alpha,
            tao,
            limit,
            refused,
        } => match pool(alpha, tao, DEFAULT_QUOTE)?.max_buy(limit) {
            Ok(most) => Err(format!("not refused, but {most}")),
            Err(problem) => exact("refused", format!("{problem:?}"), refused),
        },
    }
}

fn pool(alpha: u64, tao: u64, quote: u64) -> Outcome<Pool> {
    Pool::new(alpha, tao, quote).map_err(text)
}

fn text(problem: PoolError) -> String {
    problem.to_string()
}
