//! The cases of the chain's own unit tests (economics section 1.7 b, numbers 8 to 30) that this ledger has
//! the calls for, and where Covey differs on purpose both: its default and the chain's parameters.
//!
//! Not here: 27 is the gate of an older chain; recycling and burning of alpha (in 16) and the switch of the
//! owner's automatic lock (in 26) do not exist; 20 and 21 are about a sweep that does not exist, so only
//! their arithmetic is.

mod common;

use common::*;
use covey_ledger::{
    AccountId, Alpha, Ledger, LedgerError, NetUid, Rao,
    apply::coldkey::hash_of,
    call::Call,
    conviction::{Rates, gate},
    event::Event,
    fixed::U64F64,
    genesis::Genesis,
    lock::{Lock, LockMode},
    notice::{Status, Subject},
    params::Rules,
    state::Subnet,
};

fn lock(hotkey: AccountId, amount: u64) -> Call {
    Call::LockStake {
        hotkey,
        netuid: RUN,
        amount: Alpha(amount),
    }
}

fn sell(n: u8, amount: u64) -> Call {
    Call::RemoveStake {
        hotkey: hotkey(n),
        netuid: RUN,
        amount_unstaked: Alpha(amount),
    }
}

fn move_lock(destination_hotkey: AccountId) -> Call {
    Call::MoveLock {
        destination_hotkey,
        netuid: RUN,
    }
}

fn transfer(to: &str, n: u8, amount: u64) -> Call {
    Call::TransferStake {
        destination_coldkey: account(to),
        hotkey: hotkey(n),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(amount),
    }
}

fn place(ledger: &Ledger) -> &Subnet {
    ledger.state().subnets.get(&RUN).unwrap()
}

fn lock_of(ledger: &Ledger, name: &str) -> Option<Lock> {
    place(ledger).lock(&account(name), ledger.state().height)
}

fn mass_and_conviction(ledger: &Ledger, name: &str) -> (u64, u64) {
    let lock = lock_of(ledger, name).unwrap();
    (lock.mass.0, whole(lock.conviction))
}

/// The sum over the locks on a hotkey.
fn conviction(ledger: &Ledger, hotkey: AccountId) -> u64 {
    whole(place(ledger).conviction(&hotkey, ledger.state().height))
}

fn whole(conviction: U64F64) -> u64 {
    conviction.to_num()
}

/// The same people under the chain's parameters: new locks decay, nothing waits for anything.
fn chain_like() -> Genesis {
    let mut genesis = genesis();
    genesis.schedule.alpha_per_block = Alpha(1000);
    genesis.schedule.tao_per_block = Rao(1000);
    genesis.rules = Rules {
        new_locks_decay: true,
        unlock_cliff: 0,
        unlock_release: 0,
        takeover_notice: 0,
        ..Rules::default()
    };
    genesis
}

fn start(genesis: Genesis) -> Ledger {
    Ledger::new(genesis).unwrap().0
}

#[test]
fn case_8_a_lock_of_nothing_is_too_low() {
    assert_eq!(
        act(&mut ledger(), "//Bob", lock(hotkey(2), 0)),
        Err(LedgerError::AmountTooLow)
    );
}

#[test]
fn case_9_a_lock_is_at_most_the_stake() {
    let mut ledger = ledger();
    let refused = Err(LedgerError::InsufficientStakeForLock);
    assert_eq!(
        act(&mut ledger, "//Bob", lock(hotkey(2), 3000 * T + 1)),
        refused
    );
    act(&mut ledger, "//Bob", lock(hotkey(2), 2400 * T)).unwrap();
    assert_eq!(act(&mut ledger, "//Bob", lock(hotkey(2), 900 * T)), refused);
    act(&mut ledger, "//Bob", lock(hotkey(2), 600 * T)).unwrap();
}

#[test]
fn case_10_a_second_hotkey_does_not_match() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), T)).unwrap();
    assert_eq!(
        act(&mut ledger, "//Bob", lock(hotkey(3), T)),
        Err(LedgerError::LockHotkeyMismatch)
    );
}

#[test]
fn case_11_two_locks_in_one_block_add_up_without_conviction() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1000)).unwrap();
    act(&mut ledger, "//Bob", lock(hotkey(2), 500)).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (1500, 0));
}

#[test]
fn case_12_anyones_lock_on_the_owners_hotkey_counts_at_once() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(1), 5000)).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (5000, 5000));
    act(&mut ledger, "//Bob", lock(hotkey(1), 7000)).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (12_000, 12_000));
    assert_eq!(conviction(&ledger, hotkey(1)), 1000 * T + 12_000);
    assert_eq!(conviction(&ledger, hotkey(2)), 0);
}

#[test]
fn case_13_the_owners_lock_on_another_hotkey_has_to_grow() {
    let mut genesis = genesis();
    // Alice owns the subnet and nothing of it yet.
    genesis.subnet.stakes.remove(0);
    let mut ledger = start(genesis);
    let stake = Call::AddStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(100 * T),
    };
    act(&mut ledger, "//Alice", stake).unwrap();
    act(&mut ledger, "//Alice", lock(hotkey(2), 5000)).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Alice"), (5000, 0));
    assert_eq!(conviction(&ledger, hotkey(1)), 0);
}

#[test]
fn case_14_what_is_not_locked_can_be_sold_and_the_rest_cannot() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1500 * T)).unwrap();
    act(&mut ledger, "//Bob", sell(2, 1500 * T)).unwrap();
    check(&ledger);
    assert_eq!(
        act(&mut ledger, "//Bob", sell(2, T)),
        Err(LedgerError::StakeUnavailable)
    );
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    assert_eq!(
        act(&mut ledger, "//Charlie", sell(3, 1)),
        Err(LedgerError::StakeUnavailable)
    );
}

#[test]
fn case_15_locked_stake_changes_its_manager_inside_the_subnet() {
    let mut ledger = ledger();
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    let call = Call::MoveStake {
        origin_hotkey: hotkey(3),
        destination_hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(1000 * T),
    };
    act(&mut ledger, "//Charlie", call).unwrap();
    assert_eq!(lock_of(&ledger, "//Charlie").unwrap().hotkey, hotkey(3));
    check(&ledger);
}

#[test]
fn case_16_locked_stake_does_not_leave_the_subnet() {
    let mut genesis = genesis();
    genesis.accounts[3].1 = Rao(100_000 * T);
    let mut ledger = start(genesis);
    act(
        &mut ledger,
        "//Dave",
        Call::RegisterNetwork { hotkey: hotkey(4) },
    )
    .unwrap();
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    let (origin_netuid, destination_netuid) = (RUN, NetUid(2));
    let alpha_amount = Alpha(1000 * T);
    for call in [
        Call::MoveStake {
            origin_hotkey: hotkey(3),
            destination_hotkey: hotkey(2),
            origin_netuid,
            destination_netuid,
            alpha_amount,
        },
        Call::SwapStake {
            hotkey: hotkey(3),
            origin_netuid,
            destination_netuid,
            alpha_amount,
        },
        Call::TransferStake {
            destination_coldkey: account("//Bob"),
            hotkey: hotkey(3),
            origin_netuid,
            destination_netuid,
            alpha_amount,
        },
        Call::UnstakeAll { hotkey: hotkey(3) },
        sell(3, 1000 * T),
    ] {
        assert_eq!(
            act(&mut ledger, "//Charlie", call),
            Err(LedgerError::StakeUnavailable)
        );
    }
}

#[test]
fn case_17_a_lock_keeps_its_conviction_between_hotkeys_of_one_owner() {
    let mut ledger = slow_ledger();
    act(
        &mut ledger,
        "//Bob",
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: hotkey(22),
        },
    )
    .unwrap();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    go_to(&mut ledger, 7200);
    let before = mass_and_conviction(&ledger, "//Bob");
    assert!(before.1 > 0);
    act(&mut ledger, "//Bob", move_lock(hotkey(22))).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), before);
    assert_eq!(
        (
            conviction(&ledger, hotkey(2)),
            conviction(&ledger, hotkey(22))
        ),
        (0, before.1)
    );
}

#[test]
fn case_18_a_move_to_a_strangers_hotkey_loses_its_own_conviction_only() {
    let mut ledger = slow_ledger();
    for name in ["//Bob", "//Charlie"] {
        act(&mut ledger, name, lock(hotkey(2), 1000 * T)).unwrap();
    }
    go_to(&mut ledger, 7200);
    let (_, each) = mass_and_conviction(&ledger, "//Bob");
    act(&mut ledger, "//Bob", move_lock(hotkey(3))).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (1000 * T, 0));
    assert_eq!(mass_and_conviction(&ledger, "//Charlie"), (1000 * T, each));
    assert_eq!(
        (
            conviction(&ledger, hotkey(2)),
            conviction(&ledger, hotkey(3))
        ),
        (each, 0)
    );
}

#[test]
fn case_19_a_move_to_the_owners_hotkey_counts_at_once() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 5000)).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (5000, 0));
    act(&mut ledger, "//Bob", move_lock(hotkey(1))).unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Bob"), (5000, 5000));
}

#[test]
fn cases_20_and_21_a_reduction_takes_mass_and_conviction_in_proportion() {
    let mut reduced = Lock {
        mass: Alpha(1000),
        conviction: U64F64::from_num(1000),
        ..Lock::new(hotkey(2), LockMode::Perpetual, &Rules::default(), 0)
    };
    let mut gone = reduced.clone();
    reduced.split(Alpha(400));
    assert_eq!((reduced.mass, whole(reduced.conviction)), (Alpha(600), 600));
    gone.split(Alpha(2000));
    assert!(gone.is_over());
}

#[test]
fn case_22_a_receiver_who_opted_in_gets_the_lock_with_its_conviction() {
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1500 * T)).unwrap();
    go_to(&mut ledger, 7200);
    let (mass, old) = mass_and_conviction(&ledger, "//Bob");
    act(
        &mut ledger,
        "//Eve",
        Call::SetRejectLockedAlpha { enabled: false },
    )
    .unwrap();
    let all = place(&ledger).stake(&hotkey(2), &account("//Bob"));
    let events = act(&mut ledger, "//Bob", transfer("//Eve", 2, all.0)).unwrap();
    let [Event::StakeTransferred { alpha, locked, .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((alpha, locked), (all, Alpha(mass)));
    assert_eq!(lock_of(&ledger, "//Bob"), None);
    let (theirs, new) = mass_and_conviction(&ledger, "//Eve");
    assert!(theirs == mass && 0 < new && new <= old);
    // Selling a lock is public.
    let notice = ledger.state().notices.iter().next_back().unwrap();
    assert!(matches!(notice.subject, Subject::LockedTransfer { amount, .. } if amount == locked));
    check(&ledger);
}

#[test]
fn case_23_a_receiver_who_did_not_opt_in_gets_what_is_free_only() {
    let mut ledger = ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1500 * T)).unwrap();
    let before = ledger.clone();
    let refused = act(&mut ledger, "//Bob", transfer("//Eve", 2, 3000 * T));
    assert_eq!(refused, Err(LedgerError::AccountRejectsLockedAlpha));
    assert_eq!(ledger, before);
    act(&mut ledger, "//Bob", transfer("//Eve", 2, 1500 * T)).unwrap();
    assert_eq!(lock_of(&ledger, "//Eve"), None);
    // Nor one whose lock is on another hotkey.
    act(&mut ledger, "//Eve", lock(hotkey(3), T)).unwrap();
    act(
        &mut ledger,
        "//Eve",
        Call::SetRejectLockedAlpha { enabled: false },
    )
    .unwrap();
    let refused = act(&mut ledger, "//Bob", transfer("//Eve", 2, T));
    assert_eq!(refused, Err(LedgerError::LockHotkeyMismatch));
    check(&ledger);
}

#[test]
fn case_24_a_coldkey_swap_needs_an_account_without_a_lock() {
    let swap = |ledger: &mut Ledger, to: &str| {
        let announce = Call::AnnounceColdkeySwap {
            new_coldkey_hash: hash_of(&account(to)),
        };
        act(ledger, "//Bob", announce).unwrap();
        let height = ledger.state().height + 5 * 7200;
        go_to(ledger, height);
        act(
            ledger,
            "//Bob",
            Call::SwapColdkeyAnnounced {
                new_coldkey: account(to),
            },
        )
    };
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    act(&mut ledger, "//Charlie", lock(hotkey(3), 999)).unwrap();
    assert_eq!(
        swap(&mut ledger, "//Charlie"),
        Err(LedgerError::ActiveLockExists)
    );

    // A lock without mass, only conviction that has not faded, does not stand in the way.
    let mut genesis = chain_like();
    genesis.rules.lock_rates = Rates {
        unlock: 1,
        maturity: 311_622,
    };
    let mut ledger = start(genesis);
    act(
        &mut ledger,
        "//Bob",
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: true,
        },
    )
    .unwrap();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    go_to(&mut ledger, 5000);
    let (mass, conviction) = mass_and_conviction(&ledger, "//Charlie");
    assert!(mass == 0 && conviction > 100, "{mass} {conviction}");
    swap(&mut ledger, "//Charlie").unwrap();
    assert_eq!(mass_and_conviction(&ledger, "//Charlie").0, 1000 * T);
    check(&ledger);
}

#[test]
fn case_25_what_is_earned_on_locked_stake_is_free() {
    let mut ledger = ledger();
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    go_to(&mut ledger, 360);
    let place = place(&ledger);
    let earned = place.total_stake(&account("//Charlie")).0 - 2000 * T;
    assert!(earned > 0);
    assert_eq!(place.available(&account("//Charlie"), 360), Alpha(earned));
}

#[test]
fn case_26_the_owners_cut_arrives_locked_wherever_the_owners_lock_is() {
    let locked = |ledger: &mut Ledger| {
        let (before, _) = mass_and_conviction(ledger, "//Alice");
        let applied = go_to(ledger, 360);
        let cut =
            applied
                .iter()
                .flat_map(|applied| &applied.events)
                .find_map(|event| match event {
                    Event::EpochPaid { owner_cut, .. } => Some(owner_cut.0),
                    _ => None,
                });
        let (after, _) = mass_and_conviction(ledger, "//Alice");
        assert_eq!(after, before + cut.unwrap());
        check(ledger);
    };
    let mut on_the_owners = ledger();
    locked(&mut on_the_owners);
    let mut elsewhere = ledger();
    act(&mut elsewhere, "//Alice", move_lock(hotkey(2))).unwrap();
    locked(&mut elsewhere);
    assert_eq!(lock_of(&elsewhere, "//Alice").unwrap().hotkey, hotkey(2));
}

/// Charlie locks everything and waits until the gate opens; gives the height of the announcement.
fn challenged(ledger: &mut Ledger) -> u64 {
    act(ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    let mut height = 0;
    loop {
        height += 360;
        let applied = go_to(ledger, height);
        let announced = |event: &Event| matches!(event, Event::TakeoverAnnounced { .. });
        if applied
            .iter()
            .flat_map(|applied| &applied.events)
            .any(announced)
        {
            return height;
        }
        assert!(height < 7200 * 100, "the gate never opened");
    }
}

#[test]
fn case_28_a_takeover_leaves_the_old_owners_conviction_and_fills_the_new_ones() {
    let mut ledger = start(chain_like());
    act(&mut ledger, "//Bob", lock(hotkey(1), 300 * T)).unwrap();
    act(
        &mut ledger,
        "//Charlie",
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: true,
        },
    )
    .unwrap();
    // Both old locks count in full until the flip, and from there on as ordinary ones.
    let height = challenged(&mut ledger);
    assert_eq!(place(&ledger).owner_hotkey, hotkey(3));
    let (alice, bob) = (
        lock_of(&ledger, "//Alice").unwrap(),
        lock_of(&ledger, "//Bob").unwrap(),
    );
    assert_eq!(whole(alice.conviction), alice.mass.0);
    assert_eq!(whole(bob.conviction), bob.mass.0);
    assert_eq!(
        (alice.mode, bob.mode),
        (LockMode::Perpetual, LockMode::Decaying)
    );
    let (mass, conviction) = mass_and_conviction(&ledger, "//Charlie");
    assert_eq!(mass, conviction);
    go_to(&mut ledger, height + 72_000);
    let bob = lock_of(&ledger, "//Bob").unwrap();
    assert!(
        whole(bob.conviction) != bob.mass.0,
        "it ages like anybody's"
    );
    check(&ledger);
}

#[test]
fn case_29_the_gate_is_eighteen_percent_and_not_a_rao_less() {
    for (conviction, open) in [(1799, false), (1800, false), (1801, true)] {
        assert_eq!(
            gate(U64F64::from_num(conviction), 10_000),
            open,
            "{conviction}"
        );
    }
    assert!(!gate(U64F64::from_num(1), 0));
}

#[test]
fn case_30_eligible_alpha_leaves_out_the_protocols_and_the_burned() {
    let subnet = Subnet {
        alpha_out: Alpha(8_000_000 * T),
        protocol_alpha: Alpha(1_000_000 * T),
        alpha_burned: Alpha(1_000_000 * T),
        ..place(&ledger()).clone()
    };
    let eligible = subnet.eligible();
    assert_eq!(eligible, Alpha(6_000_000 * T));
    assert!(!gate(U64F64::from_num(1_080_000 * T), eligible.0));
    assert!(gate(U64F64::from_num(1_080_000 * T + 1), eligible.0));
}

#[test]
fn new_locks_are_perpetual_here_and_decay_on_the_chain() {
    let mut covey = slow_ledger();
    act(&mut covey, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    go_to(&mut covey, 216_000);
    let (mass, conviction) = mass_and_conviction(&covey, "//Bob");
    assert_eq!(mass, 1000 * T);
    assert!(
        conviction.abs_diff(381_000_000_000) < 200 * T,
        "{conviction}"
    );

    let mut chain = start(chain_like());
    act(&mut chain, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    assert_eq!(lock_of(&chain, "//Bob").unwrap().mode, LockMode::Decaying);
    go_to(&mut chain, 216_000);
    // The published row: 216 000 blocks at the live rates.
    assert_eq!(mass_and_conviction(&chain, "//Bob").0, 793_700_450_168);
    // Insiders' locks never decay, whatever the default.
    assert_eq!(
        mass_and_conviction(&chain, "//Alice").0,
        lock_of(&chain, "//Alice").unwrap().mass.0
    );
    assert_eq!(
        lock_of(&chain, "//Alice").unwrap().mode,
        LockMode::Perpetual
    );
}

#[test]
fn a_change_to_decaying_is_announced_here_and_immediate_on_the_chain() {
    let decay = Call::SetPerpetualLock {
        netuid: RUN,
        enabled: false,
    };
    let mut covey = slow_ledger();
    act(&mut covey, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    act(&mut covey, "//Bob", decay.clone()).unwrap();
    let cliff = 14 * 7200;
    let notice = covey.state().notices.iter().next_back().unwrap().clone();
    assert!(matches!(notice.subject, Subject::Decay { mass, .. } if mass == Alpha(1000 * T)));
    assert_eq!(
        (notice.earliest, notice.status),
        (Some(cliff), Status::Pending)
    );
    go_to(&mut covey, cliff);
    assert_eq!(mass_and_conviction(&covey, "//Bob").0, 1000 * T);
    go_to(&mut covey, cliff + 720);
    assert!(mass_and_conviction(&covey, "//Bob").0 < 1000 * T);

    let mut chain = start(chain_like());
    act(
        &mut chain,
        "//Bob",
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: true,
        },
    )
    .unwrap();
    act(&mut chain, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    act(&mut chain, "//Bob", decay).unwrap();
    go_to(&mut chain, 1);
    assert!(mass_and_conviction(&chain, "//Bob").0 < 1000 * T);
}

#[test]
fn an_unlock_waits_for_its_cliff_here_and_for_nothing_with_a_cliff_of_zero() {
    let unlock = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(1000 * T),
    };
    let mut covey = slow_ledger();
    act(&mut covey, "//Bob", lock(hotkey(2), 3000 * T)).unwrap();
    act(&mut covey, "//Bob", unlock.clone()).unwrap();
    assert_eq!(
        act(&mut covey, "//Bob", sell(2, T)),
        Err(LedgerError::StakeUnavailable)
    );
    let mut chain = start(chain_like());
    act(&mut chain, "//Bob", lock(hotkey(2), 3000 * T)).unwrap();
    act(&mut chain, "//Bob", unlock).unwrap();
    act(&mut chain, "//Bob", sell(2, 1000 * T)).unwrap();
    check(&chain);
}

#[test]
fn a_takeover_is_announced_here_and_happens_at_the_gate_on_the_chain() {
    let mut covey = slow_ledger();
    let height = challenged(&mut covey);
    assert_eq!(place(&covey).owner, account("//Alice"));
    assert_eq!(place(&covey).takeover.unwrap().ready, height + 7 * 7200);

    let mut genesis = chain_like();
    genesis.rules.new_locks_decay = false;
    let mut chain = start(genesis);
    let same = challenged(&mut chain);
    assert_eq!(same, height, "the gate itself is the same");
    assert_eq!(place(&chain).owner, account("//Charlie"));
    let notice = chain.state().notices.iter().next_back().unwrap();
    assert_eq!(notice.status, Status::Done { at: height });
}

#[test]
fn a_challenger_who_falls_below_the_gate_starts_again() {
    let mut ledger = slow_ledger();
    challenged(&mut ledger);
    // Conviction falls at once with an unlock request.
    act(
        &mut ledger,
        "//Charlie",
        Call::UnlockStake {
            netuid: RUN,
            amount: Alpha(1000 * T),
        },
    )
    .unwrap();
    let height = ledger.state().height + 360;
    let applied = go_to(&mut ledger, height);
    let void =
        |event: &Event| matches!(event, Event::TakeoverVoid { king, .. } if *king == hotkey(3));
    assert!(applied.iter().flat_map(|applied| &applied.events).any(void));
    assert_eq!(place(&ledger).takeover, None);
    go_to(&mut ledger, height + 8 * 7200);
    assert_eq!(place(&ledger).owner, account("//Alice"));
}

#[test]
fn a_subnet_younger_than_its_age_cannot_be_taken_over() {
    let mut genesis = chain_like();
    genesis.rules.new_locks_decay = false;
    genesis.schedule.ownership_age = 7200 * 120;
    let mut ledger = start(genesis);
    act(&mut ledger, "//Charlie", lock(hotkey(3), 2000 * T)).unwrap();
    go_to(&mut ledger, 7200 * 120 - 360);
    assert!(gate(
        place(&ledger).conviction(&hotkey(3), 7200 * 120),
        place(&ledger).eligible().0
    ));
    assert_eq!(place(&ledger).owner, account("//Alice"));
    go_to(&mut ledger, 7200 * 120);
    assert_eq!(place(&ledger).owner, account("//Charlie"));
}

#[test]
fn every_lock_of_a_hotkey_grows_by_itself() {
    // The chain once moved a sum's clock past its members' growth (#3060).
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(hotkey(2), 1000 * T)).unwrap();
    act(&mut ledger, "//Charlie", lock(hotkey(2), 1000 * T)).unwrap();
    go_to(&mut ledger, 72_000);
    act(&mut ledger, "//Bob", lock(hotkey(2), T)).unwrap();
    go_to(&mut ledger, 144_000);
    let of = |name: &str| {
        place(&ledger)
            .lock(&account(name), 144_000)
            .unwrap()
            .conviction
    };
    let sum = of("//Bob").saturating_add(of("//Charlie"));
    assert_eq!(place(&ledger).conviction(&hotkey(2), 144_000), sum);
    let alone: U64F64 = of("//Charlie");
    let expected = 1000.0 * (1.0 - (-144_000.0_f64 / 311_622.0).exp());
    assert!((alone.to_num::<f64>() / T as f64 - expected).abs() < 1e-6);
}
