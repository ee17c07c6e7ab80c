//! The pool's numbers are checked in `tests/vectors`; here is what must hold for all numbers.

use proptest::prelude::*;
use ruint::aliases::U512;

use super::*;

fn pools() -> impl Strategy<Value = Pool> {
    let reserve = || {
        prop_oneof![
            MINIMUM_RESERVE..=u64::MAX,
            (20..64u32).prop_map(|bit| 1 << bit)
        ]
    };
    let hundredths = prop_oneof![Just(50u64), 1..=99u64];
    (reserve(), reserve(), hundredths, 0..QUOTE_UNIT / 100).prop_map(|(alpha, tao, quote, more)| {
        let top = QUOTE_UNIT - MINIMUM_WEIGHT;
        let more = if quote == 50 { 0 } else { more };
        let quote = (quote * MINIMUM_WEIGHT + more).min(top);
        Pool { alpha, tao, quote }
    })
}

/// Amounts of every size, most of which the pool can serve.
fn amounts() -> impl Strategy<Value = u64> {
    (0..64u32, any::<u64>()).prop_map(|(shift, bits)| bits >> shift)
}

fn side(reserve: u64, weight: u64) -> Side {
    Side { reserve, weight }
}

#[test]
fn pools_without_reserves_or_with_lopsided_weights_are_refused() {
    assert_eq!(
        Pool::new(0, 5, DEFAULT_QUOTE),
        Err(PoolError::ReservesTooLow)
    );
    for quote in [0, MINIMUM_WEIGHT - 1, QUOTE_UNIT, u64::MAX] {
        assert_eq!(Pool::new(5, 5, quote), Err(PoolError::ReservesOutOfBalance));
    }
    assert!(Pool::new(5, 5, MINIMUM_WEIGHT).is_ok());
}

#[test]
fn the_guards_have_the_chain_s_names() {
    let pool = Pool::new(MINIMUM_RESERVE, 4 * MINIMUM_RESERVE, DEFAULT_QUOTE).unwrap();
    assert_eq!(pool.buy(1_000_000), Err(PoolError::InsufficientLiquidity));
    assert_eq!(pool.buy(0), Err(PoolError::InsufficientInputAmount));
    let sell = pool.alpha * MAXIMUM_INPUT_RATIO + 1;
    assert_eq!(pool.sell(sell), Err(PoolError::InsufficientLiquidity));
    let low = Pool::new(MINIMUM_RESERVE - 1, 1 << 40, DEFAULT_QUOTE).unwrap();
    assert_eq!(low.buy(1_000_000), Err(PoolError::ReservesTooLow));
    assert_eq!(low.max_buy(u64::MAX), Err(PoolError::ReservesTooLow));
    let spot = pool.price_rao();
    assert_eq!(pool.max_buy(spot), Err(PoolError::PriceLimitExceeded));
    assert_eq!(pool.max_sell(spot), Err(PoolError::PriceLimitExceeded));
    assert_eq!(pool.max_sell(0), Ok(u64::MAX));
    let full = Pool::new(u64::MAX, u64::MAX, DEFAULT_QUOTE).unwrap();
    assert_eq!(full.buy(1_000_000), Err(PoolError::ReserveOverflow));
}

#[test]
fn the_output_may_go_down_to_the_minimum_and_no_further() {
    let pool = Pool::new(2 * MINIMUM_RESERVE, MINIMUM_RESERVE, DEFAULT_QUOTE).unwrap();
    let net = |gross: u64| gross - fee_on(gross);
    let exactly = (1_000_000..)
        .find(|gross| net(*gross) == 1_000_000)
        .unwrap();
    assert_eq!(
        pool.buy(exactly).map(|swap| swap.after.alpha),
        Ok(MINIMUM_RESERVE)
    );
    assert_eq!(pool.buy(exactly + 4), Err(PoolError::InsufficientLiquidity));
}

#[test]
fn an_injection_that_would_tip_the_weights_changes_nothing() {
    let pool = Pool::new(1_000, 1_000, DEFAULT_QUOTE).unwrap();
    let mut tried = pool;
    assert_eq!(
        tried.inject(1_000_000, 0),
        Err(PoolError::ReservesOutOfBalance)
    );
    assert_eq!(tried.inject(u64::MAX, 0), Err(PoolError::ReserveOverflow));
    assert_eq!(tried, pool);
}

proptest! {
    #[test]
    fn no_numbers_panic(alpha: u64, tao: u64, quote: u64, amount: u64, other: u64) {
        for quote in [quote, quote % QUOTE_UNIT, DEFAULT_QUOTE] {
            let mut pool = Pool { alpha, tao, quote };
            let _ = (pool.buy(amount), pool.sell(amount), pool.max_buy(amount), pool.max_sell(amount));
            let _ = (pool.curve_buy(amount), pool.curve_sell(amount), pool.price(), pool.price_rao());
            let _ = pool.inject(amount, other);
        }
    }

    #[test]
    fn the_weighted_curve_agrees_with_the_closed_form_for_halves(
        reserve in 1..=u64::MAX, other in 1..=u64::MAX, amount in amounts(),
    ) {
        let (input, output) = (side(reserve, DEFAULT_QUOTE), side(other, DEFAULT_QUOTE));
        let exact = curve::output(input, output, amount);
        let bound = curve::weighted_output(input, output, amount);
        prop_assert!(bound <= exact && exact - bound <= 1);
    }

    #[test]
    fn the_weighted_limit_agrees_with_the_closed_form_for_halves(
        reserve in 1..=u64::MAX, spot in 1..=u64::MAX, more: u64, shift in 0..100usize,
    ) {
        let (input, output) = (side(reserve, DEFAULT_QUOTE), side(1, DEFAULT_QUOTE));
        let spot = U256::from(spot) << shift;
        let target = spot + (U256::from(more) << (shift / 2));
        let exact = curve::input_to(input, output, target, spot);
        let bound = curve::weighted_input_to(input, output, target, spot);
        prop_assert!(bound <= exact && exact - bound <= 1, "{} {}", bound, exact);
    }

    #[test]
    fn a_weight_of_three_quarters_is_a_cube(
        reserve in 1..=u64::MAX, other in 1..=u64::MAX, amount in amounts(),
    ) {
        // out·(1 − (in/(in + amount))³) against integers.
        let (input, output) = (side(reserve, 3 * (WHOLE / 4)), side(other, WHOLE / 4));
        let cube = |base: u128| U512::from(base).pow(U512::from(3));
        let left = cube(u128::from(reserve));
        let all = cube(u128::from(reserve) + u128::from(amount));
        let exact: u64 = (U512::from(other) * (all - left) / all).saturating_to();
        let bound = curve::output(input, output, amount);
        prop_assert!(bound <= exact && exact - bound <= 1);
    }

    #[test]
    fn a_weight_of_a_quarter_is_a_cube_root(
        reserve in 1..=u64::MAX, other in 1..=u64::MAX, amount in amounts(),
    ) {
        // (out − taken)³·(in + amount) must not be below out³·in, and just so.
        let (input, output) = (side(reserve, WHOLE / 4), side(other, 3 * (WHOLE / 4)));
        let taken = curve::output(input, output, amount);
        let invariant = |out: u64, held: u128| {
            U512::from(out).pow(U512::from(3)) * U512::from(held)
        };
        let before = invariant(other, u128::from(reserve));
        let filled = u128::from(reserve) + u128::from(amount);
        prop_assert!(invariant(other - taken, filled) >= before);
        if let Some(left) = (other - taken).checked_sub(2) {
            prop_assert!(invariant(left, filled) < before);
        }
    }

    #[test]
    fn buying_and_selling_back_never_profits(pool in pools(), amount in amounts()) {
        if let Ok(bought) = pool.buy(amount)
            && let Ok(sold) = bought.after.sell(bought.output)
        {
            prop_assert!(sold.output <= amount);
        }
    }

    #[test]
    fn selling_and_buying_back_never_profits(pool in pools(), amount in amounts()) {
        if let Ok(sold) = pool.sell(amount)
            && let Ok(bought) = sold.after.buy(sold.output)
        {
            prop_assert!(bought.output <= amount);
        }
    }

    #[test]
    fn even_without_the_fee_the_round_trip_never_profits(pool in pools(), amount in amounts()) {
        if let Ok(output) = pool.curve_buy(amount)
            && let (Some(tao), Some(alpha)) =
                (pool.tao.checked_add(amount), pool.alpha.checked_sub(output))
            && let Ok(after) = Pool::new(alpha, tao, pool.quote)
        {
            prop_assert!(after.curve_sell(output).unwrap() <= amount);
        }
    }

    #[test]
    fn a_swap_only_moves_what_it_says(pool in pools(), amount in amounts()) {
        if let Ok(swap) = pool.buy(amount) {
            prop_assert_eq!(swap.after.tao, pool.tao + swap.input - swap.fee);
            prop_assert_eq!(swap.after.alpha, pool.alpha - swap.output);
            prop_assert!(swap.after.alpha >= MINIMUM_RESERVE);
            prop_assert!(swap.after.price() >= pool.price());
        }
        if let Ok(swap) = pool.sell(amount) {
            prop_assert_eq!(swap.after.alpha, pool.alpha + swap.input - swap.fee);
            prop_assert_eq!(swap.after.tao, pool.tao - swap.output);
            prop_assert!(swap.after.tao >= MINIMUM_RESERVE);
            prop_assert!(swap.after.price() <= pool.price());
        }
    }

    #[test]
    fn the_invariant_never_decreases(pool in pools(), amount in amounts()) {
        for after in [pool.buy(amount), pool.sell(amount)].into_iter().flatten().map(|swap| swap.after) {
            // Not below, as far as the logarithms' known error can tell.
            let (low, high) = (power::invariant_log(&pool), power::invariant_log(&after));
            prop_assert!(high.1 >= low.0, "{:?} {:?}", pool, after);
        }
    }

    #[test]
    fn the_fee_on_the_gross_is_what_was_added(net in 0..u64::MAX / 2) {
        prop_assert_eq!(gross(net) - fee_on(gross(net)), net);
    }

    #[test]
    fn the_most_that_may_be_bought_reaches_the_limit_and_does_not_pass_it(
        pool in pools(), limit in amounts(),
    ) {
        if let Ok(most) = pool.max_buy(limit)
            && let Ok(swap) = pool.buy(most)
        {
            prop_assert!(swap.after.price_rao() <= limit);
            // Some more does pass it; 4 rao more than a rao's worth of rounding on either side.
            let more = most.saturating_add(most / 1_000_000).saturating_add(4);
            if let Ok(further) = pool.buy(more)
                && further.after.alpha > 10_000_000
            {
                prop_assert!(exceeds(&further.after, limit, 9_999_990), "{:?}", further);
            }
        }
    }

    #[test]
    fn the_most_that_may_be_sold_reaches_the_limit_and_does_not_pass_it(
        pool in pools(), limit in amounts(),
    ) {
        if let Ok(most) = pool.max_sell(limit)
            && let Ok(swap) = pool.sell(most)
        {
            prop_assert!(exceeds(&swap.after, limit, 10_000_000));
        }
    }

    #[test]
    fn an_injection_leaves_the_price(pool in pools(), tao in amounts(), alpha in amounts()) {
        let mut after = pool;
        if after.inject(tao, alpha).is_ok() {
            let parts = |pool: &Pool| {
                let (alpha, tao) = pool.sides().unwrap();
                price_parts(alpha, tao)
            };
            // above/below before and after, within 2·10^-16: the weights' step over their minimum.
            let ((a, b), (c, d)) = (parts(&pool), parts(&after));
            let (left, right) = (U512::from(a) * U512::from(d), U512::from(c) * U512::from(b));
            let apart = left.max(right) - left.min(right);
            prop_assert!(apart <= left / U512::from(4_900_000_000_000_000u64));
        }
    }

    #[test]
    fn both_prices_say_the_same(pool in pools()) {
        let exact = pool.price().to_bits();
        if exact < u128::MAX >> 32 {
            let rao = (U256::from(exact) * U256::from(PRICE_UNIT)) >> 64;
            prop_assert!(U256::from(pool.price_rao()) - rao <= U256::from(1));
        }
    }
}

/// Whether the price is at least `parts` ten millionths of `limit`, exactly.
fn exceeds(pool: &Pool, limit: u64, parts: u64) -> bool {
    let (alpha, tao) = pool.sides().unwrap();
    let (limit, spot) = limit_and_spot(alpha, tao, limit);
    spot * U256::from(10_000_000) >= limit * U256::from(parts)
}
