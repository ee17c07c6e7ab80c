//! The hand-made epoch of the spec is checked in `tests/vectors`; here is what must hold for all epochs.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MINERS: u32 = 6;

fn plain(stake: u64, weights: &[u16]) -> Validator {
    Validator {
        stake,
        permit: true,
        weights: (0u32..).zip(weights.iter().copied()).collect(),
        ..Validator::default()
    }
}

fn forms() -> impl Strategy<Value = Form> {
    let liquid = (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(low, high, steepness)| {
        Some(LiquidAlpha {
            low,
            high,
            steepness,
        })
    });
    prop_oneof![
        Just(Form::Classic),
        Just(Form::Yuma3 { liquid_alpha: None }),
        Just(Form::Yuma3 {
            liquid_alpha: Some(LiquidAlpha::default())
        }),
        liquid.prop_map(|liquid_alpha| Form::Yuma3 { liquid_alpha }),
    ]
}

fn any_params() -> impl Strategy<Value = Params> {
    (any::<u16>(), any::<u16>(), 0..1_100_000u64, forms()).prop_map(
        |(kappa, bonds_penalty, bonds_moving_average, form)| Params {
            kappa,
            bonds_penalty,
            bonds_moving_average,
            form,
        },
    )
}

prop_compose! {
    /// Anything at all, miners that do not exist included.
    fn any_validator()(
        stake in prop_oneof![Just(0), 0..1_000u64, any::<u64>()],
        permit in prop::bool::weighted(0.8),
        owner: bool,
        miner in prop::option::of(0..MINERS + 2),
        weights in vec((0..MINERS + 2, prop_oneof![0..4u16, any::<u16>()]), 0..8),
        bonds in vec((0..MINERS + 2, any::<u128>().prop_map(U64F64::from_bits)), 0..8),
    ) -> Validator {
        Validator { stake, permit, owner, miner, weights, bonds }
    }
}

fn row(width: usize) -> impl Strategy<Value = Vec<u16>> {
    vec(0..1_000u16, width).prop_filter("says something", |row| row.iter().any(|w| *w > 0))
}

fn at(values: &[U64F64], index: u32) -> f64 {
    values[index as usize].to_num()
}

fn total(values: &[U64F64]) -> U64F64 {
    values.iter().copied().sum()
}

/// The bonds of one epoch become the old bonds of the next.
fn run(validators: &mut [Validator], params: &Params, epochs: usize) -> Outcome {
    let mut outcome = epoch(MINERS, validators, params);
    for _ in 1..epochs {
        for (validator, bonds) in validators.iter_mut().zip(&outcome.bonds) {
            validator.bonds.clone_from(bonds);
        }
        outcome = epoch(MINERS, validators, params);
    }
    outcome
}

#[test]
fn nobody_and_nothing_are_no_problem() {
    let nobody = epoch(0, &[], &Params::default());
    assert!(nobody.consensus.is_empty() && nobody.dividends.is_empty());
    let silent = epoch(2, &[plain(5, &[])], &Params::default());
    assert_eq!(silent.incentive, [U64F64::ZERO; 2]);
    assert_eq!(silent.dividends, [U64F64::ZERO]);
    let poor = epoch(2, &[plain(0, &[1, 1])], &Params::default());
    assert_eq!(poor.incentive, [U64F64::ZERO; 2]);
}

#[test]
fn a_weight_for_oneself_counts_only_for_the_owner() {
    let mut validator = plain(10, &[1, 1]);
    validator.miner = Some(0);
    let others = [plain(10, &[0, 1])];
    let judge = |validator: &Validator| {
        let all = [std::slice::from_ref(validator), &others].concat();
        epoch(2, &all, &Params::default())
    };
    assert_eq!(judge(&validator).rank[0], U64F64::ZERO);
    validator.owner = true;
    // Half the stake says a half of miner 0, and the other half is not more than 1 − κ.
    assert_eq!(judge(&validator).consensus[0], U64F64::lit("0.5"));
}

#[test]
fn without_a_permit_neither_weights_nor_bonds_count() {
    let mut barred = plain(1_000, &[1, 0]);
    barred.permit = false;
    barred.bonds = vec![(1, U64F64::ONE)];
    for form in [Form::Classic, Form::Yuma3 { liquid_alpha: None }] {
        let params = Params {
            form,
            ..Params::default()
        };
        let outcome = epoch(2, &[barred.clone(), plain(1, &[0, 1])], &params);
        assert_eq!(outcome.incentive, [U64F64::ZERO, U64F64::ONE]);
        assert_eq!(outcome.dividends, [U64F64::ZERO, U64F64::ONE]);
        assert!(outcome.bonds[0].is_empty());
    }
}

#[test]
fn bonds_move_by_a_tenth_an_epoch() {
    let mut changed = plain(1, &[0, 1]);
    changed.bonds = vec![(0, U64F64::ONE)];
    let mut steady = plain(1, &[0, 1]);
    steady.bonds = vec![(1, U64F64::ONE)];
    let params = Params {
        form: Form::Yuma3 { liquid_alpha: None },
        ..Params::default()
    };
    let outcome = epoch(2, &[changed, steady], &params);
    let close = |bond: (u32, U64F64), miner: u32, value: f64| {
        bond.0 == miner && (bond.1.to_num::<f64>() - value).abs() < 1e-12
    };
    assert!(close(outcome.bonds[0][0], 0, 0.9));
    assert!(close(outcome.bonds[0][1], 1, 0.1));
    assert!(close(outcome.bonds[1][0], 1, 1.0));
    // Of miner 1, who earns everything, the first holds 0.1 of 1.1.
    assert!((at(&outcome.dividends, 0) - 1.0 / 11.0).abs() < 1e-12);
}

#[test]
fn liquid_bonds_move_at_a_pace_between_low_and_high() {
    let params = Params {
        form: Form::Yuma3 {
            liquid_alpha: Some(LiquidAlpha::default()),
        },
        ..Params::default()
    };
    // Bought at consensus: the sigmoid of 10·(0 − ½) above low.
    let bought = epoch(1, &[plain(1, &[1])], &params);
    let sigmoid = 1.0 / (1.0 + f64::exp(5.0));
    let (low, high) = (45_875.0 / 65_535.0, 58_982.0 / 65_535.0);
    let pace = low + sigmoid * (high - low);
    assert!((bought.bonds[0][0].1.to_num::<f64>() - pace).abs() < 1e-9);
    // Sold in full: the sigmoid of 10·(1 − ½), of which the rest is left.
    let mut seller = plain(1, &[0, 1]);
    seller.bonds = vec![(0, U64F64::ONE)];
    let sold = epoch(2, &[seller], &params);
    let pace = low + (1.0 - sigmoid) * (high - low);
    assert!((sold.bonds[0][0].1.to_num::<f64>() - (1.0 - pace)).abs() < 1e-9);
}

#[test]
fn emission_goes_to_whoever_deserves_it() {
    let one = U64F64::ONE;
    let half = U64F64::lit("0.5");
    let none = U64F64::ZERO;
    assert_eq!(
        share_out(101, &[half, half], &[one, none], &[1, 9]),
        (vec![25, 25], vec![50, 0], 1)
    );
    // No miner earns: validators have all of it.
    assert_eq!(
        share_out(100, &[none], &[half, half], &[1, 9]),
        (vec![0], vec![50, 50], 0)
    );
    // Nobody earns: by stake.
    assert_eq!(
        share_out(100, &[none], &[none, none], &[1, 9]),
        (vec![0], vec![10, 90], 0)
    );
    assert_eq!(share_out(100, &[none], &[], &[0]), (vec![0], vec![0], 100));
    assert_eq!(share_out(100, &[], &[], &[]), (vec![], vec![], 100));
}

proptest! {
    #[test]
    fn no_epoch_panics_and_no_sum_passes_one(
        validators in vec(any_validator(), 0..8), miners in 0..MINERS + 1, params in any_params(),
    ) {
        let outcome = epoch(miners, &validators, &params);
        prop_assert!(total(&outcome.incentive) <= U64F64::ONE);
        prop_assert!(total(&outcome.dividends) <= U64F64::ONE);
        for (rank, consensus) in outcome.rank.iter().zip(&outcome.consensus) {
            prop_assert!(rank <= consensus && *consensus <= U64F64::ONE);
        }
        for bonds in &outcome.bonds {
            prop_assert!(bonds.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(bonds.iter().all(|(miner, bond)| *miner < miners && *bond <= U64F64::ONE));
        }
        // What is earned is shared out to the last of 2^-32.
        let earned = total(&outcome.incentive);
        prop_assert!(earned == U64F64::ZERO || earned > U64F64::ONE - U64F64::from_bits(1 << 32));
    }

    #[test]
    fn the_order_of_validators_and_miners_changes_nothing(
        validators in vec(any_validator(), 1..6), params in any_params(),
        turn in 0..6usize, shift in 0..MINERS,
    ) {
        let renamed = |miner: u32| if miner < MINERS { (miner + shift) % MINERS } else { miner };
        let mut turned: Vec<Validator> = validators.iter().map(|validator| Validator {
            miner: validator.miner.map(renamed),
            weights: validator.weights.iter().rev().map(|(m, w)| (renamed(*m), *w)).collect(),
            bonds: validator.bonds.iter().rev().map(|(m, b)| (renamed(*m), *b)).collect(),
            ..validator.clone()
        }).collect();
        let turn = turn % validators.len();
        turned.rotate_left(turn);
        let (before, after) = (epoch(MINERS, &validators, &params), epoch(MINERS, &turned, &params));
        for miner in 0..MINERS {
            let (a, b) = (miner as usize, renamed(miner) as usize);
            prop_assert_eq!(before.consensus[a], after.consensus[b]);
            prop_assert_eq!(before.incentive[a], after.incentive[b]);
        }
        let mut expected = before.dividends.clone();
        expected.rotate_left(turn);
        prop_assert_eq!(expected, after.dividends);
    }

    #[test]
    fn consensus_is_a_weighted_median(
        validators in vec((1..1_000u64, row(MINERS as usize)), 1..8), kappa in 1..=u16::MAX,
    ) {
        let validators: Vec<_> =
            validators.iter().map(|(stake, weights)| plain(*stake, weights)).collect();
        let outcome = epoch(MINERS, &validators, &Params { kappa, ..Params::default() });
        let said = weights::rows(MINERS, &validators);
        let stake = |of: &dyn Fn(U64F64) -> bool, miner: u32| -> u128 {
            let counted = said.iter().zip(&validators).filter(|(row, _)| of(row.get(miner)));
            counted.map(|(_, validator)| u128::from(validator.stake) * 65_535).sum()
        };
        let reach = stake(&|_| true, 0) / 65_535 * u128::from(U16_UNIT - kappa);
        for miner in 0..MINERS {
            let median = outcome.consensus[miner as usize];
            prop_assert!(stake(&|weight| weight < median, miner) <= reach);
            prop_assert!(stake(&|weight| weight <= median, miner) > reach);
        }
    }

    #[test]
    fn a_minority_cannot_raise_a_miner_above_what_the_majority_gave(
        honest in row(MINERS as usize), lie in row(MINERS as usize), stake in 1..490u64,
    ) {
        let validators = [plain(1_000 - stake, &honest), plain(stake, &lie)];
        let alone = epoch(MINERS, &validators[..1], &Params::default());
        let both = epoch(MINERS, &validators, &Params::default());
        prop_assert_eq!(&both.consensus, &alone.consensus);
        for miner in 0..MINERS {
            prop_assert!(both.rank[miner as usize] <= alone.incentive[miner as usize]);
            // Normalising gives back at most what the minority wasted.
            let most = at(&alone.incentive, miner) * 1_000.0 / (1_000 - stake) as f64;
            prop_assert!(at(&both.incentive, miner) <= most + 1e-12);
        }
    }

    #[test]
    fn a_liar_earns_less_than_an_honest_validator_of_equal_stake(
        honest in row(MINERS as usize), lie in row(MINERS as usize), stake in 1..u64::MAX,
        others in 2..5usize, epochs in 1..4usize, liquid: bool,
    ) {
        let rows = weights::rows(MINERS, &[plain(1, &honest), plain(1, &lie)]);
        prop_assume!(rows[0] != rows[1]);
        let yuma3 = Form::Yuma3 { liquid_alpha: liquid.then(LiquidAlpha::default) };
        for form in [Form::Classic, yuma3] {
            let mut validators = vec![plain(stake, &honest); others];
            validators.push(plain(stake, &lie));
            let params = Params { form, ..Params::default() };
            let outcome = run(&mut validators, &params, epochs);
            let liar = outcome.dividends[others];
            for honest in &outcome.dividends[..others] {
                prop_assert!(liar < *honest, "{:?}", outcome.dividends);
            }
        }
    }

    #[test]
    fn nothing_is_lost_or_made_in_sharing_out(
        total: u64,
        incentive in vec(any::<u128>().prop_map(U64F64::from_bits), 0..6),
        dividends in vec(any::<u128>().prop_map(U64F64::from_bits), 0..6),
        stake in vec(any::<u64>(), 0..6),
    ) {
        let (miners, validators, remainder) = share_out(total, &incentive, &dividends, &stake);
        let paid: u128 = miners.iter().chain(&validators).map(|amount| u128::from(*amount)).sum();
        prop_assert_eq!(paid + u128::from(remainder), u128::from(total));
        let shared = miners.iter().chain(&validators).any(|amount| *amount > 0);
        prop_assert!(!shared || remainder < 12);
    }
}
