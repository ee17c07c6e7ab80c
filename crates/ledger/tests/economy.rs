//! Staking, earning and owning, as people would do it.

mod common;

use common::*;
use covey_ledger::{Alpha, LedgerError, Rao, call::Call, event::Event, lock::LockMode};

fn add_limit(amount: u64, price: u64, partial: bool) -> Call {
    Call::AddStakeLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(amount),
        limit_price: Rao(price),
        allow_partial: partial,
    }
}

#[test]
fn staking_and_unstaking_returns_what_the_pool_and_its_fee_leave() {
    let mut ledger = ledger();
    let call = Call::AddStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(100 * T),
    };
    let events = act(&mut ledger, "//Dave", call).unwrap();
    let [Event::StakeAdded { alpha, fee, .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(fee, Rao(100 * T * 33 / 65535));
    let place = ledger.state().subnets.get(&RUN).unwrap();
    assert_eq!(place.stake(&hotkey(2), &account("//Dave")), alpha);
    check(&ledger);
    let call = Call::RemoveStakeFullLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        limit_price: None,
    };
    act(&mut ledger, "//Dave", call).unwrap();
    check(&ledger);
    let balance = ledger
        .state()
        .accounts
        .get(&account("//Dave"))
        .unwrap()
        .balance;
    assert!(balance < Rao(1000 * T) && balance > Rao(999 * T));
}

#[test]
fn a_limit_fills_wholly_or_says_so() {
    let mut ledger = ledger();
    let before = ledger.clone();
    let spot = ledger.state().subnets.get(&RUN).unwrap().pool.price_rao();
    assert_eq!(
        act(&mut ledger, "//Dave", add_limit(T, spot, false)),
        Err(LedgerError::PriceLimitExceeded)
    );
    let tight = spot + spot / 100;
    assert_eq!(
        act(&mut ledger, "//Dave", add_limit(900 * T, tight, false)),
        Err(LedgerError::SlippageTooHigh)
    );
    assert_eq!(ledger, before);
    act(&mut ledger, "//Dave", add_limit(900 * T, tight, true)).unwrap();
    let after = ledger.state().subnets.get(&RUN).unwrap().pool.price_rao();
    assert!(after <= tight && after > spot, "{spot} {after} {tight}");
    check(&ledger);
}

#[test]
fn changing_the_manager_costs_nothing_even_with_everything_locked() {
    let mut ledger = ledger();
    let lock = Call::LockStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", lock).unwrap();
    let call = Call::MoveStake {
        origin_hotkey: hotkey(3),
        destination_hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", call).unwrap();
    let place = ledger.state().subnets.get(&RUN).unwrap();
    assert_eq!(
        place.stake(&hotkey(2), &account("//Charlie")),
        Alpha(2000 * T)
    );
    check(&ledger);
    let sell = Call::RemoveStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(T),
    };
    assert_eq!(
        act(&mut ledger, "//Charlie", sell),
        Err(LedgerError::StakeUnavailable)
    );
}

#[test]
fn contributors_validators_and_the_owner_are_paid_at_the_epoch() {
    let mut ledger = ledger();
    // Bob's own key validates: it is his coldkey's second hat here.
    act(
        &mut ledger,
        "//Dave",
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: account("//Dave"),
        },
    )
    .unwrap();
    let stake = Call::AddStake {
        hotkey: account("//Dave"),
        netuid: RUN,
        amount_staked: Rao(500 * T),
    };
    act(&mut ledger, "//Dave", stake).unwrap();
    let (a, b) = (hotkey(101), hotkey(102));
    let weights = vec![(a, 3), (b, 1)];
    act(
        &mut ledger,
        "//Dave",
        Call::SetWeights {
            netuid: RUN,
            weights,
        },
    )
    .unwrap();
    let applied = go_to(&mut ledger, 360);
    let paid = applied
        .iter()
        .flat_map(|a| &a.events)
        .find_map(|event| match event {
            Event::EpochPaid {
                owner_cut,
                incentive,
                dividends,
                ..
            } => Some((*owner_cut, *incentive, *dividends)),
            _ => None,
        });
    let (cut, incentive, dividends) = paid.unwrap();
    assert_eq!(cut, Alpha(360 * T * 11_796 / 65_535));
    let rest = 360 * T - cut.0;
    assert!(incentive.0.abs_diff(rest / 2) < 100 && dividends.0.abs_diff(rest / 2) < 100);
    let place = ledger.state().subnets.get(&RUN).unwrap();
    let (a, b) = (place.stake(&a, &a).0, place.stake(&b, &b).0);
    assert!(a.abs_diff(3 * b) < 10, "{a} {b}");
    // The owner's cut arrived locked.
    let lock = place.lock(&account("//Alice"), 360).unwrap();
    assert_eq!(lock.mass, Alpha(1000 * T + cut.0));
    assert_eq!(
        place.available(&account("//Alice"), 360).0,
        place.total_stake(&account("//Alice")).0 - lock.mass.0
    );
    check(&ledger);
}

#[test]
fn ownership_follows_conviction_after_the_notice_and_not_before() {
    let mut ledger = slow_ledger();
    let lock = Call::LockStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", lock).unwrap();
    let mut announced = None;
    let mut height = 0;
    while announced.is_none() {
        height += 7200;
        for applied in go_to(&mut ledger, height) {
            for event in applied.events {
                if let Event::TakeoverAnnounced { king, ready, .. } = event {
                    assert_eq!(king, hotkey(3));
                    announced = Some((applied.entry.height, ready));
                }
            }
        }
        check(&ledger);
        assert!(height < 7200 * 400, "conviction never passed the gate");
    }
    let (at, ready) = announced.unwrap();
    assert_eq!(ready, at + 7 * 7200);
    go_to(&mut ledger, ready - 1);
    assert_eq!(
        ledger.state().subnets.get(&RUN).unwrap().owner,
        account("//Alice")
    );
    go_to(&mut ledger, ready + 360);
    let place = ledger.state().subnets.get(&RUN).unwrap();
    assert_eq!(place.owner, account("//Charlie"));
    let lock = place.lock(&account("//Charlie"), ready + 360).unwrap();
    assert_eq!(lock.conviction.to_bits() >> 64, u128::from(lock.mass.0));
    assert_eq!(lock.mode, LockMode::Perpetual);
    check(&ledger);
}

#[test]
fn an_unlock_is_public_and_nothing_leaves_before_its_cliff() {
    let mut ledger = slow_ledger();
    let lock = Call::LockStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", lock).unwrap();
    let unlock = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(1000 * T),
    };
    act(&mut ledger, "//Charlie", unlock).unwrap();
    assert_eq!(ledger.state().notices.iter().count(), 1);
    let sell = |amount: u64| Call::RemoveStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount_unstaked: Alpha(amount),
    };
    let cliff = 14 * 7200;
    go_to(&mut ledger, cliff - 1);
    let available = |ledger: &covey_ledger::Ledger| {
        let place = ledger.state().subnets.get(&RUN).unwrap();
        place.available(&account("//Charlie"), ledger.state().height)
    };
    // Dividends are free; everything else is not.
    let earned = |ledger: &covey_ledger::Ledger| {
        let place = ledger.state().subnets.get(&RUN).unwrap();
        place.total_stake(&account("//Charlie")).0 - 2000 * T
    };
    assert_eq!(available(&ledger), Alpha(earned(&ledger)));
    let more = sell(earned(&ledger) + 1);
    assert_eq!(
        act(&mut ledger, "//Charlie", more),
        Err(LedgerError::StakeUnavailable)
    );
    go_to(&mut ledger, cliff);
    assert_eq!(
        available(&ledger),
        Alpha(earned(&ledger) + 1000 * T / 216_001)
    );
    go_to(&mut ledger, cliff + 2160);
    let released = available(&ledger);
    assert!(
        released.0.abs_diff(earned(&ledger) + 10 * T) < T / 10,
        "{released}"
    );
    act(&mut ledger, "//Charlie", sell(released.0)).unwrap();
    let call = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(1001 * T),
    };
    assert_eq!(
        act(&mut ledger, "//Charlie", call),
        Err(LedgerError::UnlockAmountTooHigh)
    );
    go_to(&mut ledger, 44 * 7200);
    act(&mut ledger, "//Charlie", sell(989 * T)).unwrap();
    check(&ledger);
}

#[test]
fn the_state_at_a_later_height_is_what_the_journal_reaches() {
    let mut ledger = ledger();
    let lock = Call::LockStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", lock).unwrap();
    let foreseen = [100, 360, 1000].map(|height| ledger.state_at(height, 2));
    for (foreseen, (height, epochs)) in foreseen.iter().zip([(100, 0), (360, 1), (1000, 2)]) {
        go_to(&mut ledger, height);
        assert_eq!(foreseen.as_ref(), Some(&(ledger.state().clone(), epochs)));
    }
    assert_eq!(ledger.state_at(1000 + 3 * 360, 2), None);
}
