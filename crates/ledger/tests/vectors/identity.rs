//! The promise that whoever replays the journal arrives at the same state: locks, swaps, epochs and a whole
//! ledger's run over generated numbers, as one hash. Natively and in wasm it must be the same line.

use covey_ledger::conviction::{Mass, Rates, peak_decaying, roll};
use covey_ledger::fixed::U64F64;
use covey_ledger::pool::{MINIMUM_RESERVE, MINIMUM_WEIGHT, Pool, QUOTE_UNIT, Swap};
use covey_ledger::yuma::{self, Form, LiquidAlpha, Params, Validator, share_out};

use super::Outcome;

/// Hashes of a counter, as numbers.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 += 1;
        let hash = blake3::hash(&self.0.to_le_bytes());
        hash.as_bytes()
            .iter()
            .take(8)
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number of any size up to `bits` bits, so that small ones are as likely as large ones.
    pub(super) fn sized(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits) + 1;
        self.next() >> (64 - bits)
    }
}

/// What the rules computed, to be hashed.
#[derive(Default)]
pub(super) struct Results(blake3::Hasher);

impl Results {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn add(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn fraction(&mut self, fraction: U64F64) {
        self.0.update(&fraction.to_bits().to_le_bytes());
    }

    fn swap<E>(&mut self, swap: Result<Swap, E>) {
        // A refusal is a result as much as a swap is.
        self.add(swap.is_ok().into());
        if let Ok(swap) = swap {
            for number in [swap.fee, swap.output, swap.after.alpha, swap.after.tao] {
                self.add(number);
            }
        }
    }
}

/// Some 600 rolls, 400 swaps with limits and injections, 24 subnets of three epochs each, and a ledger's
/// first sixty epochs with everything in between.
pub fn digest() -> Outcome<String> {
    let mut numbers = Numbers(0);
    let mut results = Results::default();
    locks(&mut numbers, &mut results);
    pools(&mut numbers, &mut results)?;
    for subnet in 0..24 {
        epochs(subnet, &mut numbers, &mut results)?;
    }
    super::identity_run::run(&mut numbers, &mut results)?;
    Ok(results.0.finalize().to_hex().to_string())
}

fn locks(numbers: &mut Numbers, results: &mut Results) {
    for _ in 0..150 {
        let unlock = numbers.sized(24);
        // Equal and nearly equal rates are the delicate ones.
        let maturity = match numbers.below(4) {
            0 => unlock,
            1 => unlock + 1,
            _ => numbers.sized(24),
        };
        let rates = Rates { unlock, maturity };
        results.add(peak_decaying(rates).unwrap_or_default());
        let (perpetual, owner) = (numbers.below(2) == 0, numbers.below(8) == 0);
        let mut at = Mass {
            mass: numbers.sized(64),
            conviction: U64F64::from_num(numbers.sized(64)),
        };
        for _ in 0..4 {
            at = roll(at, numbers.sized(24), rates, perpetual, owner);
            results.add(at.mass);
            results.fraction(at.conviction);
        }
    }
}

fn pools(numbers: &mut Numbers, results: &mut Results) -> Outcome {
    for case in 0..100 {
        let reserve = |numbers: &mut Numbers| MINIMUM_RESERVE + numbers.sized(56);
        let quote = match case % 4 {
            0 => QUOTE_UNIT / 2,
            _ => MINIMUM_WEIGHT + numbers.below(QUOTE_UNIT - 2 * MINIMUM_WEIGHT),
        };
        let (alpha, tao) = (reserve(numbers), reserve(numbers));
        let pool = Pool::new(alpha, tao, quote).map_err(|problem| problem.to_string())?;
        results.fraction(pool.price());
        results.swap(pool.buy(numbers.sized(60)));
        results.swap(pool.sell(numbers.sized(60)));
        let price = pool.price_rao();
        let above = pool.max_buy(price.saturating_add(numbers.sized(60)));
        results.swap(above.and_then(|most| pool.buy(most)));
        let below = pool.max_sell(price - numbers.below(price.max(1)));
        results.swap(below.and_then(|most| pool.sell(most)));
        let mut injected = pool;
        let done = injected.inject(numbers.sized(56), numbers.sized(56));
        results.add(done.is_ok().into());
        results.add(injected.quote);
    }
    Ok(())
}

fn epochs(subnet: u64, numbers: &mut Numbers, results: &mut Results) -> Outcome {
    let form = match subnet % 3 {
        0 => Form::Classic,
        1 => Form::Yuma3 { liquid_alpha: None },
        _ => Form::Yuma3 {
            liquid_alpha: Some(LiquidAlpha::default()),
        },
    };
    let params = Params {
        form,
        ..Params::default()
    };
    let miners = u32::try_from(1 + numbers.below(12)).map_err(|problem| problem.to_string())?;
    let mut validators: Vec<Validator> = (0..1 + numbers.below(9))
        .map(|_| Validator {
            stake: numbers.sized(64),
            permit: numbers.below(8) > 0,
            owner: false,
            miner: (0..miners).find(|_| numbers.below(8) == 0),
            ..Validator::default()
        })
        .collect();
    for _ in 0..3 {
        for validator in &mut validators {
            // The low 16 digits.
            validator.weights = (0..miners)
                .map(|miner| (miner, (numbers.sized(16) & 0xffff) as u16))
                .collect();
        }
        let outcome = yuma::epoch(miners, &validators, &params);
        let stake: Vec<u64> = validators.iter().map(|validator| validator.stake).collect();
        for values in [
            &outcome.consensus,
            &outcome.rank,
            &outcome.incentive,
            &outcome.trust,
            &outcome.dividends,
        ] {
            values.iter().for_each(|value| results.fraction(*value));
        }
        let (to_miners, to_validators, rest) = share_out(
            numbers.sized(64),
            &outcome.incentive,
            &outcome.dividends,
            &stake,
        );
        to_miners
            .iter()
            .chain(&to_validators)
            .for_each(|amount| results.add(*amount));
        results.add(rest);
        for (validator, bonds) in validators.iter_mut().zip(outcome.bonds) {
            for (miner, bond) in &bonds {
                results.add(u64::from(*miner));
                results.fraction(*bond);
            }
            validator.bonds = bonds;
        }
    }
    Ok(())
}
