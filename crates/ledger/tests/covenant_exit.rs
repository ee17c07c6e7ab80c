//! The Covenant exit of April 2026, replayed against these rules (economics section 4.1): what was alleged
//! of one person's power over a network, tried here by an owner, an operator and a council key.
//!
//! What a reader would get wrong: not everything is refused. What somebody may do with what is theirs is
//! allowed, late, and visible from the moment it is asked for. `docs/covenant-exit.md` tells the same story
//! in words; the names of these tests are in it.

mod common;

use common::*;
use covey_ledger::{
    Alpha, Ledger, LedgerError, NetUid,
    apply::coldkey::hash_of,
    call::Call,
    event::Event,
    governance::{Effect, Role},
    journal::{Body, Entry},
    lock::LockMode,
    notice::{Notice, Status, Subject},
};
use covey_protocol::Hash;

const DAY: u64 = 7200;

fn newest(ledger: &Ledger) -> Notice {
    ledger.state().notices.iter().next_back().unwrap().clone()
}

fn sell(n: u8, alpha: u64) -> Call {
    Call::RemoveStake {
        hotkey: hotkey(n),
        netuid: RUN,
        amount_unstaked: Alpha(alpha),
    }
}

fn events(applied: &[covey_ledger::ledger::Applied]) -> impl Iterator<Item = (u64, &Event)> {
    applied.iter().flat_map(|applied| {
        applied
            .events
            .iter()
            .map(|event| (applied.entry.height, event))
    })
}

#[test]
fn an_owner_who_wants_to_sell_at_once_cannot_and_everybody_sees_the_attempt() {
    let mut ledger = slow_ledger();
    let alice = account("//Alice");
    let lock = |ledger: &Ledger| {
        let place = ledger.state().subnets.get(&RUN).unwrap();
        place.lock(&alice, ledger.state().height).unwrap()
    };
    // Alice owns the run; her stake is locked since the genesis, for ever unless she asks.
    assert_eq!(
        (lock(&ledger).mass, lock(&ledger).mode),
        (Alpha(1000 * T), LockMode::Perpetual)
    );

    // She tries to sell, to send it away, and to let the lock melt quietly.
    assert_eq!(
        act(&mut ledger, "//Alice", sell(1, 1000 * T)),
        Err(LedgerError::StakeUnavailable)
    );
    let all = Call::UnstakeAll { hotkey: hotkey(1) };
    assert_eq!(
        act(&mut ledger, "//Alice", all),
        Err(LedgerError::StakeUnavailable)
    );
    let to_eve = Call::TransferStake {
        destination_coldkey: account("//Eve"),
        hotkey: hotkey(1),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(400 * T),
    };
    let refused = act(&mut ledger, "//Alice", to_eve.clone());
    assert_eq!(refused, Err(LedgerError::AccountRejectsLockedAlpha));
    let melt = Call::SetPerpetualLock {
        netuid: RUN,
        enabled: false,
    };
    assert_eq!(
        act(&mut ledger, "//Alice", melt),
        Err(LedgerError::InsiderLockMustBeAnnounced)
    );
    assert_eq!(
        ledger.state().notices.iter().count(),
        0,
        "nothing has happened"
    );

    // What she can do is ask. Her conviction falls at once; the alpha does not move.
    let before = lock(&ledger).conviction;
    let ask = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(600 * T),
    };
    let told = act(&mut ledger, "//Alice", ask).unwrap();
    let (cliff, end) = (14 * DAY, 44 * DAY);
    assert!(matches!(
        told[..],
        [Event::StakeUnlocked { coldkey, amount: Alpha(a), cliff: c, end: e, .. }]
            if (coldkey, a, c, e) == (alice, 600 * T, cliff, end)
    ));
    assert!(lock(&ledger).conviction < before);
    let notice = newest(&ledger);
    assert!(notice.insider, "it is marked as an insider's");
    assert_eq!((notice.announced, notice.earliest), (0, Some(cliff)));
    assert!(matches!(notice.subject, Subject::Unlock { amount: Alpha(a), .. } if a == 600 * T));

    // For fourteen days nothing of it can be sold, whatever she calls it.
    go_to(&mut ledger, cliff - 1);
    let earned = {
        let place = ledger.state().subnets.get(&RUN).unwrap();
        place.available(&alice, cliff - 1).0
    };
    assert!(earned < T, "dividends are free, and little: {earned}");
    let more = sell(1, earned + 1);
    assert_eq!(
        act(&mut ledger, "//Alice", more),
        Err(LedgerError::StakeUnavailable)
    );
    assert_eq!(newest(&ledger).status, Status::Pending);

    // Then it comes free along a line of thirty days.
    go_to(&mut ledger, cliff + 15 * DAY);
    let half = ledger
        .state()
        .subnets
        .get(&RUN)
        .unwrap()
        .available(&alice, cliff + 15 * DAY)
        .0;
    assert!(half.abs_diff(300 * T) < T, "{half}");
    act(&mut ledger, "//Alice", sell(1, 299 * T)).unwrap();

    // A buyer of the rest would have to want the lock, with its clock, in everybody's sight.
    act(
        &mut ledger,
        "//Eve",
        Call::SetRejectLockedAlpha { enabled: false },
    )
    .unwrap();
    act(&mut ledger, "//Alice", to_eve).unwrap();
    let sold = newest(&ledger);
    assert!(sold.insider && matches!(sold.subject, Subject::LockedTransfer { .. }));
    let refused = act(&mut ledger, "//Eve", sell(1, 400 * T));
    assert_eq!(refused, Err(LedgerError::StakeUnavailable));
    check(&ledger);
}

#[test]
fn an_owner_who_changes_keys_takes_the_lock_along_in_public() {
    let mut ledger = slow_ledger();
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&hotkey(99)),
    };
    act(&mut ledger, "//Alice", announce).unwrap();
    let notice = newest(&ledger);
    assert!(notice.insider && matches!(notice.subject, Subject::ColdkeySwap { .. }));
    let swap = Call::SwapColdkeyAnnounced {
        new_coldkey: hotkey(99),
    };
    let early = act(&mut ledger, "//Alice", swap.clone());
    assert_eq!(early, Err(LedgerError::ColdkeySwapTooEarly(5 * DAY)));
    go_to(&mut ledger, 5 * DAY);
    act(&mut ledger, "//Alice", swap).unwrap();
    let place = ledger.state().subnets.get(&RUN).unwrap();
    assert_eq!(place.owner, hotkey(99));
    let lock = place.lock(&hotkey(99), 5 * DAY).unwrap();
    assert!(lock.mass >= Alpha(1000 * T) && lock.mode == LockMode::Perpetual);
    assert!(ledger.state().is_insider(&hotkey(99)));
    check(&ledger);
}

#[test]
fn an_operator_who_wants_to_stop_emission_has_nothing_to_stop_it_with() {
    // There is no such call, and no such effect for governance to carry out.
    for name in [
        "sudo_set_subnet_emission_enabled",
        "root_dissolve_network",
        "sudo_set_sn_owner_hotkey",
        "set_storage",
        "pause",
    ] {
        let call = serde_json::json!({ "call": name, "args": { "netuid": 1, "enabled": false } });
        assert!(serde_json::from_value::<Call>(call).is_err(), "{name}");
        for effect in [
            serde_json::json!({ name: {} }),
            serde_json::json!({ "set_rule": { name: 0 } }),
        ] {
            assert!(serde_json::from_value::<Effect>(effect).is_err(), "{name}");
        }
    }
    for rule in ["tao_per_block", "alpha_per_block", "owner_cut", "tempo"] {
        let effect = serde_json::json!({ "set_rule": { rule: 0 } });
        assert!(serde_json::from_value::<Effect>(effect).is_err(), "{rule}");
    }

    // An operator can keep the journal and leave the epoch out. Then it can write nothing else, either.
    let (mut ledger, first) = Ledger::new(genesis()).unwrap();
    let mut journal: Vec<Entry> = vec![first];
    let mut undisturbed = ledger.clone();
    let pay = Call::TransferKeepAlive {
        dest: account("//Eve"),
        value: covey_ledger::Rao(T),
    };
    let due = signed("//Dave", action(&ledger, "//Dave", pay.clone()));
    journal.push(ledger.action(0, due.clone()).unwrap().entry);
    let late = signed("//Dave", action(&ledger, "//Dave", pay));
    assert_eq!(ledger.action(361, late), Err(LedgerError::EpochDue(360)));
    assert_eq!(ledger.clock(361), Err(LedgerError::EpochDue(360)));

    // It can claim that the epoch paid otherwise. Nobody who replays it believes that.
    let claimed = Entry {
        index: 2,
        height: 360,
        previous: ledger.head(),
        body: Body::Epoch {
            state: Hash([0; 32]),
        },
    };
    assert!(ledger.clone().replay(&claimed).is_err());

    // It can stop. A mirror has the entries, and goes on from there to the same coins.
    let mut mirror = Ledger::from_genesis(&journal[0]).unwrap();
    for entry in &journal[1..] {
        mirror.replay(entry).unwrap();
    }
    let applied = go_to(&mut mirror, 10 * 360);
    let minted = events(&applied).filter_map(|(_, event)| match event {
        Event::EpochPaid { tao, .. } => Some(tao.0),
        _ => None,
    });
    assert_eq!(minted.sum::<u64>(), 10 * 360 * T);
    undisturbed.action(0, due).unwrap();
    go_to(&mut undisturbed, 10 * 360);
    assert_eq!(mirror, undisturbed);

    // In a run that is not for development nobody moves the clock at all.
    let mut real = genesis();
    real.development = false;
    let mut real = Ledger::new(real).unwrap().0;
    assert_eq!(real.clock(10), Err(LedgerError::NotADevelopmentRun));
}

fn remove_ferdie() -> Call {
    let (role, holder) = (Role::Moderator, account("//Ferdie"));
    Call::Propose {
        effect: Effect::RemoveRole { role, holder },
        reason: Hash([4; 32]),
    }
}

fn moderates(ledger: &Ledger, name: &str) -> bool {
    let moderators = ledger.state().governance.roles.get(&Role::Moderator);
    moderators.is_some_and(|holders| holders.contains(&account(name)))
}

#[test]
fn one_key_cannot_remove_a_moderator() {
    let mut ledger = slow_ledger();
    // Not the owner, and not a stranger.
    for name in ["//Alice", "//Bob"] {
        assert_eq!(
            act(&mut ledger, name, remove_ferdie()),
            Err(LedgerError::NotACouncilKey)
        );
    }
    // A council key can say that it wants to. That is public at once, and has no date.
    act(&mut ledger, "//Dave", remove_ferdie()).unwrap();
    let notice = newest(&ledger);
    assert!(matches!(
        notice.subject,
        Subject::Governance { proposal: 0, .. }
    ));
    assert_eq!((notice.earliest, notice.status), (None, Status::Pending));
    let again = act(&mut ledger, "//Dave", Call::Approve { proposal: 0 });
    assert_eq!(again, Err(LedgerError::AlreadyApproved));
    assert_eq!(
        act(&mut ledger, "//Alice", Call::Approve { proposal: 0 }),
        Err(LedgerError::NotACouncilKey)
    );
    // And that is all that ever comes of it.
    let applied = go_to(&mut ledger, 31 * DAY);
    assert!(moderates(&ledger, "//Ferdie"));
    let void = events(&applied).find(|(_, event)| **event == Event::ProposalVoid { proposal: 0 });
    assert_eq!(void.unwrap().0, 30 * DAY);
    assert!(!events(&applied).any(|(_, event)| matches!(event, Event::Executed { .. })));
}

#[test]
fn two_keys_can_remove_a_moderator_a_week_after_they_said_so() {
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Dave", remove_ferdie()).unwrap();
    go_to(&mut ledger, 2 * DAY);
    let told = act(&mut ledger, "//Eve", Call::Approve { proposal: 0 }).unwrap();
    let earliest = 9 * DAY;
    assert_eq!(
        told[1],
        Event::ProposalReady {
            proposal: 0,
            earliest
        }
    );
    assert_eq!(newest(&ledger).earliest, Some(earliest));

    // A new key does not escape it: the office follows, and so does the proposal.
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Bob")),
    };
    act(&mut ledger, "//Ferdie", announce).unwrap();
    go_to(&mut ledger, 7 * DAY);
    act(
        &mut ledger,
        "//Ferdie",
        Call::SwapColdkeyAnnounced {
            new_coldkey: account("//Bob"),
        },
    )
    .unwrap();
    assert!(moderates(&ledger, "//Bob") && !moderates(&ledger, "//Ferdie"));

    go_to(&mut ledger, earliest - 1);
    assert!(moderates(&ledger, "//Bob"), "not a block too early");
    let applied = go_to(&mut ledger, earliest);
    assert!(!moderates(&ledger, "//Bob"));
    let executed = events(&applied).any(|(height, event)| {
        height == earliest
            && matches!(event, Event::Executed { proposal: 0, effect: Effect::RemoveRole { role: Role::Moderator, holder } } if *holder == account("//Bob"))
    });
    assert!(executed, "{applied:?}");
}

#[test]
fn nobody_is_appointed_by_their_own_voice() {
    let mut ledger = slow_ledger();
    // Dave wants to be an operator; his own approval does not count, and one other is not enough.
    let (role, holder) = (Role::Operator, account("//Dave"));
    let propose = Call::Propose {
        effect: Effect::AssignRole { role, holder },
        reason: Hash([5; 32]),
    };
    act(&mut ledger, "//Dave", propose).unwrap();
    act(&mut ledger, "//Eve", Call::Approve { proposal: 0 }).unwrap();
    assert_eq!(newest(&ledger).earliest, None);
    act(&mut ledger, "//Ferdie", Call::Approve { proposal: 0 }).unwrap();
    assert_eq!(newest(&ledger).earliest, Some(7 * DAY));
    // Whoever thinks better of it takes the date away again.
    act(&mut ledger, "//Eve", Call::WithdrawApproval { proposal: 0 }).unwrap();
    assert_eq!(newest(&ledger).earliest, None);
    go_to(&mut ledger, 8 * DAY);
    assert!(!ledger.state().governance.holds_any_role(&holder));
}

#[test]
fn whoever_does_not_trust_the_owner_leaves_without_a_fee_and_can_take_over_in_the_open() {
    let mut ledger = slow_ledger();
    // Bob staked on the owner's hotkey; he takes all of it to Charlie's, at no cost.
    let go = |from: u8, to: u8, amount: u64| Call::MoveStake {
        origin_hotkey: hotkey(from),
        destination_hotkey: hotkey(to),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(amount),
    };
    act(&mut ledger, "//Bob", go(2, 1, 3000 * T)).unwrap();
    act(&mut ledger, "//Bob", go(1, 3, 3000 * T)).unwrap();
    let place = ledger.state().subnets.get(&RUN).unwrap();
    assert_eq!(place.stake(&hotkey(3), &account("//Bob")), Alpha(3000 * T));

    // Both lock behind Charlie. Ownership moves by conviction, a week after it was announced.
    for (name, amount) in [("//Bob", 3000 * T), ("//Charlie", 2000 * T)] {
        let lock = Call::LockStake {
            hotkey: hotkey(3),
            netuid: RUN,
            amount: Alpha(amount),
        };
        act(&mut ledger, name, lock).unwrap();
    }
    let applied = go_to(&mut ledger, 60 * DAY);
    let told = events(&applied).find_map(|(height, event)| match event {
        Event::TakeoverAnnounced { king, ready, .. } => Some((height, *king, *ready)),
        _ => None,
    });
    let (at, king, ready) = told.unwrap();
    assert_eq!((king, ready), (hotkey(3), at + 7 * DAY));
    let flipped = events(&applied).find_map(|(height, event)| match event {
        Event::SubnetOwnerChanged {
            netuid: NetUid(1),
            new_coldkey,
            ..
        } => Some((height, *new_coldkey)),
        _ => None,
    });
    let (height, owner) = flipped.unwrap();
    assert!(height >= ready && owner == account("//Charlie"));
    check(&ledger);
}
