//! Views say what the ledger says, at any height a page may ask for.

mod common;

use common::*;
use covey_ledger::{
    Alpha, Rao,
    call::Call,
    fixed::U64F64,
    governance::{Effect, Role},
    pool::Pool,
    units::UNIT,
};
use covey_protocol::Hash;
use covey_wallet::{
    Wallet,
    view::{
        lock::Mode,
        quote::{Quote, Side},
    },
};
use proptest::prelude::*;

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// With emission as the chain has it.
fn busy() -> Run {
    let mut genesis = genesis();
    genesis.schedule.alpha_per_block = Alpha(T);
    genesis.schedule.tao_per_block = Rao(T);
    Run::new(genesis)
}

#[test]
fn an_overview_adds_up_to_the_last_unit() {
    let mut run = busy();
    run.act("//Bob", lock(2, 1000 * T));
    let netuid = RUN;
    let amount = Alpha(300 * T + 1);
    run.act("//Bob", Call::UnlockStake { netuid, amount });
    run.go_to(720);
    let view = run.wallet().overview(&account("//Bob"), run.height());
    assert!(view.known && !view.insider && view.roles.is_empty());
    assert_eq!(view.balance, (2000 * T).to_string());
    assert_eq!(number(&view.locked), 700 * T - 1);
    assert_eq!(number(&view.unlocking), 300 * T + 1);
    assert_eq!(number(&view.available), number(&view.total) - 1000 * T);
    let positions: u64 = view.positions.iter().map(|p| number(&p.stake)).sum();
    assert_eq!(positions, number(&view.total));
    let earned: Vec<u64> = view.earnings.iter().map(|e| number(&e.dividends)).collect();
    assert_eq!(3000 * T + earned.iter().sum::<u64>(), number(&view.total));
    assert_eq!(
        view.earnings.iter().map(|e| e.height).collect::<Vec<_>>(),
        [360, 720]
    );
    let pool = run.ledger.state().subnets.get(&RUN).unwrap().pool;
    let sold = pool.sell(number(&view.available)).unwrap();
    assert_eq!(number(&view.proceeds), sold.output);
    assert!(number(&view.value) > number(&view.proceeds));
    let lock = view.lock.unwrap();
    assert_eq!((lock.mode, lock.unlocks.len()), (Mode::Perpetual, 1));
}

#[test]
fn a_view_past_the_last_entry_rolls_locks_and_nothing_else() {
    let mut run = Run::new(genesis());
    run.act("//Bob", lock(2, 1000 * T));
    let netuid = RUN;
    let amount = Alpha(400 * T);
    run.act("//Bob", Call::UnlockStake { netuid, amount });
    let wallet = run.wallet();
    let at = |height| wallet.overview(&account("//Bob"), height);
    let (cliff, end) = (14 * DAY, 44 * DAY);
    assert_eq!(at(cliff - 1).unlocking, (400 * T).to_string());
    let first = number(&at(cliff).unlocking);
    assert!(first < 400 * T && first > 399 * T);
    assert_eq!(number(&at(cliff).available), 2000 * T + 400 * T - first);
    assert_eq!(at(end).unlocking, "0");
    assert!(number(&at(end).lock.unwrap().conviction) > 300 * T);
    // A height before the last entry is the last entry's.
    assert_eq!(wallet.overview(&account("//Bob"), 0), at(run.height()));
    let nobody = wallet.overview(&hotkey(99), 5);
    assert!(!nobody.known && nobody.lock.is_none());
    assert_eq!(
        (nobody.total.as_str(), nobody.proceeds.as_str()),
        ("0", "0")
    );
}

#[test]
fn insiders_and_council_members_are_named() {
    let run = Run::new(genesis());
    let wallet = run.wallet();
    let of = |name: &str| {
        let view = wallet.overview(&account(name), 0);
        (view.insider, view.roles)
    };
    assert_eq!(of("//Alice"), (true, vec!["owner".to_owned()]));
    assert_eq!(of("//Dave"), (false, vec!["council".to_owned()]));
    let both = vec!["council".to_owned(), "moderator".to_owned()];
    assert_eq!(of("//Ferdie"), (true, both));
}

#[test]
fn managers_show_take_stakers_validators_and_what_was_paid() {
    let mut run = busy();
    let hotkey = account("//Dave");
    let netuid = RUN;
    run.act("//Dave", Call::BurnedRegister { netuid, hotkey });
    let stake_on = |amount| Call::AddStake {
        hotkey,
        netuid,
        amount_staked: Rao(amount),
    };
    run.act("//Dave", stake_on(500 * T));
    run.act("//Eve", stake_on(100 * T));
    let weights = vec![(common::hotkey(101), 1)];
    run.act("//Dave", Call::SetWeights { netuid, weights });
    run.act("//Bob", lock(2, 500 * T));
    run.go_to(360);
    let managers = run.wallet().managers(run.height());
    let names: Vec<&str> = managers.iter().map(|m| m.hotkey.as_str()).collect();
    assert_eq!(managers.len(), 4, "a contributor's key is no manager");
    assert!(
        managers
            .windows(2)
            .all(|pair| number(&pair[0].staked) >= number(&pair[1].staked)),
        "{names:?}"
    );
    let find = |name: &str| managers.iter().find(|m| m.hotkey == name).unwrap();
    let dave = find(&hotkey.to_string());
    assert!(dave.validator && !dave.owner && dave.stakers == 2);
    assert!((dave.take - 0.18).abs() < 1e-4);
    let state = run.ledger.state();
    let report = state.subnets.get(&RUN).unwrap().report.clone().unwrap();
    let (_, whole) = report.dividends[0];
    let rest = number(&dave.last_dividends);
    assert!(rest.abs_diff(whole.0 * 82 / 100) < whole.0 / 1000);
    let eve = state.accounts.get(&account("//Eve")).unwrap();
    assert!(eve.earnings[0].dividends.0 < rest);
    let bob = find(&common::hotkey(2).to_string());
    assert!(!bob.validator && number(&bob.conviction) > 0);
    assert_eq!(
        bob.own_lock.as_ref().map(|lock| lock.mass.clone()),
        Some((500 * T).to_string())
    );
    let owner = find(&common::hotkey(1).to_string());
    assert!(owner.owner && owner.own_lock.is_some());
}

#[test]
fn the_projected_crossing_is_where_the_ledger_sees_it() {
    let mut run = Run::new(genesis());
    run.act("//Charlie", lock(3, 2000 * T));
    run.act("//Bob", lock(2, 900 * T));
    let view = run.wallet().ownership(run.height());
    assert_eq!(view.owner, account("//Alice").to_string());
    let eligible = number(&view.eligible);
    assert_eq!(number(&view.gate), eligible * 18 / 100);
    let find = |n| {
        let name = hotkey(n).to_string();
        view.convictions.iter().find(move |c| c.hotkey == name)
    };
    let charlie = find(3).unwrap();
    assert_eq!(charlie.coldkey, Some(account("//Charlie").to_string()));
    assert!(!charlie.owner && charlie.share < 0.01);
    assert_eq!(find(2).unwrap().crossing, None, "900 of 6000 never pass");
    assert_eq!(find(1).unwrap().crossing, None, "1000 of 6000 never pass");
    assert!(find(1).unwrap().owner);
    let crossing = charlie.crossing.unwrap();
    let place = run.ledger.state().subnets.get(&RUN).unwrap();
    let above = |height| {
        let conviction = place.conviction(&hotkey(3), height);
        covey_ledger::conviction::gate(conviction, eligible)
    };
    assert!(above(crossing) && !above(crossing - 1));
    // The ledger announces it at the first epoch from there on; emission here moves the gate by little.
    run.go_to(crossing + DAY);
    let later = run.wallet().ownership(run.height());
    let takeover = later.takeover.unwrap();
    assert_eq!(takeover.king, hotkey(3).to_string());
    assert!(
        takeover.since.abs_diff(crossing) <= 720,
        "{takeover:?} {crossing}"
    );
    assert_eq!(takeover.ready, takeover.since + 7 * DAY);
    let now = later.convictions.first().unwrap();
    assert_eq!(
        (now.crossing, &now.hotkey),
        (Some(run.height()), &takeover.king)
    );
    let notices = run.wallet().notices(run.height());
    assert_eq!(notices.notices[0].kind, "takeover");
}

#[test]
fn a_decaying_lock_that_peaks_below_the_gate_never_crosses_it() {
    let mut genesis = genesis();
    genesis.rules.new_locks_decay = true;
    let mut run = Run::new(genesis);
    // 1500 of 6000 alpha would do if it were perpetual; decaying it peaks at 58 %.
    run.act("//Charlie", lock(3, 1500 * T));
    let crossing = |run: &Run| {
        let view = run.wallet().ownership(run.height());
        let name = hotkey(3).to_string();
        let found = view.convictions.into_iter().find(|c| c.hotkey == name);
        found.unwrap().crossing
    };
    assert_eq!(crossing(&run), None);
    let (netuid, enabled) = (RUN, true);
    run.act("//Charlie", Call::SetPerpetualLock { netuid, enabled });
    assert!(crossing(&run).is_some());
}

#[test]
fn notices_are_newest_first_and_sum_up_insiders() {
    let mut run = Run::new(genesis());
    let netuid = RUN;
    run.act(
        "//Alice",
        Call::UnlockStake {
            netuid,
            amount: Alpha(100 * T),
        },
    );
    run.go_to(DAY);
    run.act("//Bob", lock(2, 50 * T));
    run.act(
        "//Bob",
        Call::UnlockStake {
            netuid,
            amount: Alpha(50 * T),
        },
    );
    let effect = Effect::AssignRole {
        role: Role::Operator,
        holder: account("//Charlie"),
    };
    let reason = Hash([1; 32]);
    run.act("//Dave", Call::Propose { effect, reason });
    run.act(
        "//Ferdie",
        Call::ResignRole {
            role: Role::Moderator,
        },
    );
    let view = run.wallet().notices(run.height());
    let kinds: Vec<&str> = view.notices.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, ["resignation", "governance", "unlock", "unlock"]);
    let state = run.ledger.state();
    let alice = state
        .subnets
        .get(&RUN)
        .unwrap()
        .total_stake(&account("//Alice"));
    assert_eq!(view.insider_stake, alice.0.to_string(), "Bob is no insider");
    assert_eq!(view.insider_unlocking, (100 * T).to_string());
    assert_eq!(view.first_liquid, Some(14 * DAY));
    let [resignation, governance, bob, alice] = &view.notices[..] else {
        panic!("{kinds:?}");
    };
    assert_eq!((resignation.status, governance.status), ("done", "pending"));
    assert!(governance.title.starts_with("Proposal 0: make 5FLSig…"));
    assert_eq!(
        alice.title,
        "Insider 5Grwva…GKutQY unlocks 100 alpha: first liquid at height 100800, all of it at 316800"
    );
    assert!(bob.title.starts_with("5FHneW…M694ty unlocks 50 alpha") && !bob.insider);
    assert_eq!(bob.account, account("//Bob").to_string());
    let ownership = run.wallet().ownership(run.height());
    let [proposal] = &ownership.governance.proposals[..] else {
        panic!("one proposal");
    };
    assert_eq!((proposal.approvals, proposal.needed), (1, 2));
    assert_eq!(ownership.governance.council.len(), 3);
}

#[test]
fn a_projection_is_what_the_ledger_arrives_at() {
    let mut run = Run::new(genesis());
    run.act("//Bob", lock(2, 1000 * T));
    run.go_to(100);
    let calls = [
        lock(2, 500 * T),
        Call::MoveLock {
            destination_hotkey: hotkey(1),
            netuid: RUN,
        },
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: false,
        },
        Call::UnlockStake {
            netuid: RUN,
            amount: Alpha(700 * T),
        },
    ];
    let span = 60 * DAY;
    for call in calls {
        let height = run.height();
        let bob = account("//Bob");
        let view = run.wallet().projection(bob, Some(&call), height, span);
        let view = view.unwrap();
        assert_eq!((view.now.len(), view.draft.len()), (101, 101));
        let mut with = Run::new(genesis());
        with.ledger = run.ledger.clone();
        with.act("//Bob", call);
        for (run, points) in [(&run, &view.now), (&with, &view.draft)] {
            for point in points.iter().step_by(20) {
                let place = run.ledger.state().subnets.get(&RUN).unwrap();
                let lock = place.lock(&bob, point.height).unwrap();
                assert_eq!(point.mass, lock.mass.0.to_string());
                let conviction: u64 = lock.conviction.to_num();
                assert_eq!(point.conviction, conviction.to_string());
                let unlocking = lock.unlocking(point.height);
                assert_eq!(point.unlocking, unlocking.0.to_string());
            }
        }
        assert_eq!(view.now.first().unwrap().height, height);
        assert_eq!(view.draft.last().unwrap().height, height + span);
    }
    let refused = run
        .wallet()
        .projection(account("//Bob"), Some(&lock(3, 1)), 100, 10);
    assert_eq!(refused.unwrap_err().name(), "LockHotkeyMismatch");
    let short = run
        .wallet()
        .projection(account("//Eve"), None, 100, 0)
        .unwrap();
    assert_eq!(short.now.first().unwrap().mass, "0");
}

#[test]
fn a_quote_s_limit_is_one_the_ledger_takes() {
    let mut run = Run::new(genesis());
    let quote = |side, amount, tolerance| run.wallet().quote(side, amount, tolerance).unwrap();
    let buy: Quote = quote(Side::Buy, 100 * T, 0.03);
    let sell: Quote = quote(Side::Sell, 100 * T, 0.03);
    assert_eq!(buy.spot, (T / 2).to_string());
    assert_eq!(buy.limit_price, (T / 2 + T * 3 / 200).to_string());
    assert!(number(&sell.limit_price) - (T / 2 - T * 3 / 200) <= 1);
    assert!(buy.slippage > 0.009 && buy.slippage < 0.011);
    assert!(sell.slippage > 0.004 && sell.slippage < 0.006);
    assert!(number(&buy.average) > T / 2 && number(&buy.after) > number(&buy.average));
    assert_eq!(quote(Side::Buy, T, 0.0).max_input, "0");
    let draft = run.act(
        "//Dave",
        Call::AddStakeLimit {
            hotkey: hotkey(2),
            netuid: RUN,
            amount_staked: Rao(100 * T),
            limit_price: Rao(number(&buy.limit_price)),
            allow_partial: false,
        },
    );
    let place = draft.after.subnets.get(&RUN).unwrap();
    let got = place.stake(&hotkey(2), &account("//Dave"));
    assert_eq!(got.0.to_string(), buy.output);
    let refused = run.wallet().quote(Side::Buy, 0, 0.01).unwrap_err();
    assert_eq!(refused.name(), "AmountTooLow");
    let refused = run.wallet().quote(Side::Sell, u64::MAX, 0.01).unwrap_err();
    assert_eq!(refused.name(), "InsufficientLiquidity");
}

/// A wallet over a run whose pool is this one.
fn with_pool(pool: Pool) -> Wallet {
    let mut genesis = genesis();
    genesis.subnet.tao = Rao(pool.tao);
    genesis.subnet.alpha = Alpha(pool.alpha);
    Run::new(genesis).wallet()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happened to the pool in between, what the limit lets through brings at least `worst`.
    #[test]
    fn a_trade_that_the_limit_allows_brings_at_least_the_worst_case(
        tao in 10 * UNIT..1_000_000 * UNIT,
        alpha in 10 * UNIT..1_000_000 * UNIT,
        amount in 1000..100 * UNIT,
        moved in 0..50 * UNIT,
        towards: bool,
        tolerance in 0.0..0.5_f64,
        buy: bool,
    ) {
        let pool = Pool::new(alpha, tao, covey_ledger::pool::DEFAULT_QUOTE).unwrap();
        let side = if buy { Side::Buy } else { Side::Sell };
        let Ok(quote) = with_pool(pool).quote(side, amount, tolerance) else {
            return Ok(());
        };
        let limit = number(&quote.limit_price);
        // Somebody trades first.
        let before = if towards { pool.buy(moved) } else { pool.sell(moved) };
        let before = before.map_or(pool, |swap| swap.after);
        let (most, swap) = match side {
            Side::Buy => (before.max_buy(limit), before.buy(amount)),
            Side::Sell => (before.max_sell(limit), before.sell(amount)),
        };
        if let (Ok(most), Ok(swap)) = (most, swap)
            && amount <= most
        {
            prop_assert!(swap.output >= number(&quote.worst), "{quote:?} {swap:?}");
        }
    }

    #[test]
    fn the_most_input_is_within_the_limit_and_one_more_is_not(
        tao in 10 * UNIT..1_000_000 * UNIT,
        alpha in 10 * UNIT..1_000_000 * UNIT,
        tolerance in 0.001..0.5_f64,
        buy: bool,
    ) {
        let pool = Pool::new(alpha, tao, covey_ledger::pool::DEFAULT_QUOTE).unwrap();
        let side = if buy { Side::Buy } else { Side::Sell };
        let quote = with_pool(pool).quote(side, UNIT / 100, tolerance).unwrap();
        let (limit, most) = (number(&quote.limit_price), number(&quote.max_input));
        let after = match side {
            Side::Buy => pool.buy(most).unwrap().after,
            Side::Sell => pool.sell(most).unwrap().after,
        };
        let price = after.price();
        let bound = U64F64::from_num(limit) / U64F64::from_num(UNIT);
        match side {
            Side::Buy => prop_assert!(price <= bound + U64F64::DELTA * 2),
            Side::Sell => prop_assert!(price + U64F64::DELTA * 2 >= bound),
        }
    }
}
