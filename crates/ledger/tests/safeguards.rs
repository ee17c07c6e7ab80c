//! Ways in which somebody could have taken what is not theirs, or kept what they should not, that the rules
//! once left open: each test failed before its rule was made.

mod common;

use common::*;
use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, LedgerError, NetUid, Rao,
    apply::coldkey::hash_of,
    call::Call,
    governance::{Effect, Role, RuleChange},
    lock::LockMode,
    notice::Status,
    signing::session::{Scope, SessionAuthorisation, SignedSession},
    state::Subnet,
};
use covey_protocol::{Hash, Identity};

fn place(ledger: &Ledger) -> &Subnet {
    ledger.state().subnets.get(&RUN).unwrap()
}

fn lock(n: u8, amount: u64) -> Call {
    Call::LockStake {
        hotkey: hotkey(n),
        netuid: RUN,
        amount: Alpha(amount),
    }
}

fn propose(effect: Effect) -> Call {
    Call::Propose {
        effect,
        reason: Hash([0; 32]),
    }
}

/// Proposes with Dave's key and approves with Eve's; carried out at the next epoch after the notice.
fn decide(ledger: &mut Ledger, effect: Effect) {
    let proposal = ledger.state().governance.next;
    act(ledger, "//Dave", propose(effect)).unwrap();
    act(ledger, "//Eve", Call::Approve { proposal }).unwrap();
    let height = ledger.state().height + 7 * 7200 + 360;
    go_to(ledger, height);
    assert!(!ledger.state().governance.proposals.contains_key(&proposal));
}

fn session(ledger: &Ledger, wallet: &str, tab: &Identity, issued_at_ms: u64) -> SignedSession {
    let wallet = key(wallet);
    let authorisation = SessionAuthorisation {
        domain: "covey.run".to_owned(),
        run: ledger.state().chain,
        coldkey: wallet.account(),
        session_key: AccountId(tab.id().0),
        scope: Scope::Contribute,
        issued_at_ms,
        expires_at_ms: issued_at_ms + 1000,
        nonce: "a".to_owned(),
    };
    SignedSession {
        wallet: KeyType::Sr25519,
        wallet_signature: wallet.sign_raw(authorisation.message().as_bytes()),
        key_signature: authorisation.sign_with_key(tab),
        authorisation,
    }
}

#[test]
fn whoever_registers_a_tabs_key_does_not_get_what_the_tab_earns() {
    let mut ledger = ledger();
    let tab = Identity::from_secret([3; 32]);
    let tab_key = AccountId(tab.id().0);
    // Bob saw the key at work and registers it as a hotkey of his own.
    act(
        &mut ledger,
        "//Bob",
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: tab_key,
        },
    )
    .unwrap();
    let dave = account("//Dave");
    act(
        &mut ledger,
        "//Dave",
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: dave,
        },
    )
    .unwrap();
    let stake = Call::AddStake {
        hotkey: dave,
        netuid: RUN,
        amount_staked: Rao(100 * T),
    };
    act(&mut ledger, "//Dave", stake).unwrap();
    let weights = vec![(tab_key, 1)];
    act(
        &mut ledger,
        "//Dave",
        Call::SetWeights {
            netuid: RUN,
            weights,
        },
    )
    .unwrap();
    go_to(&mut ledger, 360);
    let earned = place(&ledger).stake(&tab_key, &tab_key);
    assert!(earned > Alpha(100 * T));
    assert_eq!(
        place(&ledger).stake(&tab_key, &account("//Bob")),
        Alpha::ZERO
    );
    // The tab's person signs in: what it earned and will earn is theirs.
    let signed = session(&ledger, "//Charlie", &tab, 5);
    ledger.session(360, signed).unwrap();
    let charlies = |ledger: &Ledger| place(ledger).stake(&tab_key, &account("//Charlie"));
    assert_eq!(charlies(&ledger), earned);
    go_to(&mut ledger, 720);
    assert!(charlies(&ledger) > earned);
    assert_eq!(
        place(&ledger).stake(&tab_key, &account("//Bob")),
        Alpha::ZERO
    );
    check(&ledger);
}

#[test]
fn a_managers_key_alone_does_not_hand_the_manager_over() {
    let mut genesis = genesis();
    let manager = Identity::from_secret([4; 32]);
    let manager_key = AccountId(manager.id().0);
    genesis.subnet.stakes[1].hotkey = manager_key;
    let mut ledger = Ledger::new(genesis).unwrap().0;
    let before = ledger.state().hotkeys.get(&manager_key).cloned();
    let stolen = session(&ledger, "//Eve", &manager, 5);
    ledger.session(0, stolen).unwrap();
    assert_eq!(ledger.state().hotkeys.get(&manager_key).cloned(), before);
    check(&ledger);
}

#[test]
fn a_new_subnet_earns_its_share_of_emission_instead_of_buying_it() {
    let mut genesis = genesis();
    genesis.accounts[3].1 = Rao(100_000 * T);
    let mut ledger = Ledger::new(genesis).unwrap().0;
    act(
        &mut ledger,
        "//Dave",
        Call::RegisterNetwork { hotkey: hotkey(4) },
    )
    .unwrap();
    go_to(&mut ledger, 360);
    let tao = |netuid| {
        ledger
            .state()
            .subnets
            .get(&netuid)
            .unwrap()
            .report
            .as_ref()
            .unwrap()
            .tao
            .0
    };
    assert!(tao(NetUid(2)) < T, "{}", tao(NetUid(2)));
    assert!(tao(RUN) > 359 * T, "{}", tao(RUN));
    check(&ledger);
}

#[test]
fn a_lock_keeps_the_cliff_it_was_made_under() {
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(2, 1000 * T)).unwrap();
    decide(
        &mut ledger,
        Effect::SetRule(RuleChange::UnlockCliff(365 * 7200)),
    );
    assert_eq!(ledger.state().rules.unlock_cliff, 365 * 7200);
    act(&mut ledger, "//Charlie", lock(3, 1000 * T)).unwrap();
    let height = ledger.state().height;
    for (name, cliff) in [("//Bob", 14 * 7200), ("//Charlie", 365 * 7200)] {
        act(
            &mut ledger,
            name,
            Call::UnlockStake {
                netuid: RUN,
                amount: Alpha(T),
            },
        )
        .unwrap();
        let lock = place(&ledger).lock(&account(name), height).unwrap();
        assert_eq!(lock.unlocks[0].cliff, height + cliff);
    }
}

#[test]
fn an_office_is_no_way_to_hold_somebodys_lock() {
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(2, 1000 * T)).unwrap();
    act(
        &mut ledger,
        "//Bob",
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: false,
        },
    )
    .unwrap();
    let holder = account("//Bob");
    decide(
        &mut ledger,
        Effect::AssignRole {
            role: Role::Operator,
            holder,
        },
    );
    assert!(ledger.state().is_insider(&holder));
    let lock_of = |ledger: &Ledger| place(ledger).lock(&holder, ledger.state().height).unwrap();
    assert_eq!(lock_of(&ledger).mode, LockMode::PerpetualUntil(14 * 7200));
    // What he locks himself, in office, stays until he asks.
    act(&mut ledger, "//Bob", lock(2, T)).unwrap();
    assert_eq!(lock_of(&ledger).mode, LockMode::Perpetual);
    let notice = ledger.state().notices.iter().next().unwrap();
    assert!(matches!(notice.status, Status::Void { .. }));
}

#[test]
fn one_persons_two_keys_are_one_approval() {
    let mut ledger = slow_ledger();
    // Dave approves, changes his key, and would like to approve again.
    act(
        &mut ledger,
        "//Dave",
        propose(Effect::Deprecate {
            what: Hash([1; 32]),
        }),
    )
    .unwrap();
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Bob")),
    };
    act(&mut ledger, "//Dave", announce).unwrap();
    go_to(&mut ledger, 5 * 7200);
    act(
        &mut ledger,
        "//Dave",
        Call::SwapColdkeyAnnounced {
            new_coldkey: account("//Bob"),
        },
    )
    .unwrap();
    let again = act(&mut ledger, "//Bob", Call::Approve { proposal: 0 });
    assert_eq!(again, Err(LedgerError::AlreadyApproved));
    assert_eq!(
        ledger.state().governance.proposals.get(&0).unwrap().ready,
        None
    );
}

#[test]
fn a_nominee_with_a_new_key_still_does_not_count() {
    let mut ledger = slow_ledger();
    let (role, holder) = (Role::Operator, account("//Dave"));
    act(
        &mut ledger,
        "//Dave",
        propose(Effect::AssignRole { role, holder }),
    )
    .unwrap();
    act(&mut ledger, "//Eve", Call::Approve { proposal: 0 }).unwrap();
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Bob")),
    };
    act(&mut ledger, "//Dave", announce).unwrap();
    go_to(&mut ledger, 5 * 7200);
    act(
        &mut ledger,
        "//Dave",
        Call::SwapColdkeyAnnounced {
            new_coldkey: account("//Bob"),
        },
    )
    .unwrap();
    let proposal = ledger.state().governance.proposals.get(&0).unwrap();
    assert_eq!(
        proposal.effect,
        Effect::AssignRole {
            role,
            holder: account("//Bob")
        }
    );
    assert_eq!(
        (ledger.state().governance.counted(proposal), proposal.ready),
        (1, None)
    );
}

#[test]
fn a_majority_that_was_lost_starts_its_notice_again() {
    let mut ledger = slow_ledger();
    let what = Effect::Deprecate {
        what: Hash([1; 32]),
    };
    let members = ["//Dave", "//Alice", "//Ferdie"].map(account).to_vec();
    act(
        &mut ledger,
        "//Dave",
        propose(Effect::ChangeCouncil {
            members,
            threshold: 2,
        }),
    )
    .unwrap();
    act(&mut ledger, "//Ferdie", Call::Approve { proposal: 0 }).unwrap();
    go_to(&mut ledger, 7200);
    act(&mut ledger, "//Dave", propose(what)).unwrap();
    act(&mut ledger, "//Eve", Call::Approve { proposal: 1 }).unwrap();
    let ready = |ledger: &Ledger| ledger.state().governance.proposals.get(&1).unwrap().ready;
    assert_eq!(ready(&ledger), Some(8 * 7200));
    // Eve's seat goes at day 7, and her approval with it.
    go_to(&mut ledger, 7 * 7200);
    assert_eq!(ready(&ledger), None);
    act(&mut ledger, "//Ferdie", Call::Approve { proposal: 1 }).unwrap();
    assert_eq!(ready(&ledger), Some(14 * 7200));
}

#[test]
fn dust_that_somebody_gave_does_not_keep_the_rest_from_leaving() {
    let mut genesis = genesis();
    genesis.accounts[3].1 = Rao(100_000 * T);
    let mut ledger = Ledger::new(genesis).unwrap().0;
    act(
        &mut ledger,
        "//Dave",
        Call::RegisterNetwork { hotkey: hotkey(4) },
    )
    .unwrap();
    let add = Call::AddStake {
        hotkey: hotkey(2),
        netuid: NetUid(2),
        amount_staked: Rao(100 * T),
    };
    act(&mut ledger, "//Bob", add).unwrap();
    // Part of it is locked on one subnet; the free part of both leaves.
    act(&mut ledger, "//Bob", lock(2, 1000 * T)).unwrap();
    act(&mut ledger, "//Bob", Call::UnstakeAll { hotkey: hotkey(2) }).unwrap();
    let left = |netuid| {
        let place = ledger.state().subnets.get(&netuid).unwrap();
        place.stake(&hotkey(2), &account("//Bob"))
    };
    assert_eq!((left(RUN), left(NetUid(2))), (Alpha(1000 * T), Alpha::ZERO));
    check(&ledger);
}

#[test]
fn a_stranger_who_names_this_account_as_their_new_key_does_not_open_it() {
    let mut ledger = slow_ledger();
    // Charlie has spoken for himself; Bob, who accepts locked alpha, names him as his new key.
    act(
        &mut ledger,
        "//Charlie",
        Call::SetRejectLockedAlpha { enabled: true },
    )
    .unwrap();
    act(
        &mut ledger,
        "//Bob",
        Call::SetRejectLockedAlpha { enabled: false },
    )
    .unwrap();
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Charlie")),
    };
    act(&mut ledger, "//Bob", announce).unwrap();
    go_to(&mut ledger, 5 * 7200);
    act(
        &mut ledger,
        "//Bob",
        Call::SwapColdkeyAnnounced {
            new_coldkey: account("//Charlie"),
        },
    )
    .unwrap();
    assert!(
        !ledger
            .state()
            .accounts
            .get(&account("//Charlie"))
            .unwrap()
            .accepts_locked
    );
    check(&ledger);
}

#[test]
fn a_received_lock_that_will_decay_is_announced_for_its_new_owner() {
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Bob", lock(2, 3000 * T)).unwrap();
    act(
        &mut ledger,
        "//Bob",
        Call::SetPerpetualLock {
            netuid: RUN,
            enabled: false,
        },
    )
    .unwrap();
    act(
        &mut ledger,
        "//Eve",
        Call::SetRejectLockedAlpha { enabled: false },
    )
    .unwrap();
    let give = Call::TransferStake {
        destination_coldkey: account("//Eve"),
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(1000 * T),
    };
    act(&mut ledger, "//Bob", give).unwrap();
    use covey_ledger::notice::Subject;
    let eves = |subject: &Subject| matches!(subject, Subject::Decay { coldkey, mass, .. } if *coldkey == account("//Eve") && *mass == Alpha(1000 * T));
    let notice = ledger
        .state()
        .notices
        .iter()
        .find(|notice| eves(&notice.subject))
        .unwrap();
    assert_eq!(
        (notice.earliest, notice.status),
        (Some(14 * 7200), Status::Pending)
    );
    check(&ledger);
}

#[test]
fn a_pool_is_never_bought_empty_by_way_of_another_subnet() {
    let mut genesis = genesis();
    genesis.schedule.alpha_per_block = Alpha(1000);
    genesis.schedule.tao_per_block = Rao(1000);
    genesis.rules.subnet_cost = Rao(2_000_000);
    let mut ledger = Ledger::new(genesis).unwrap().0;
    // The cost of a subnet has fallen to the least, and so has its pool.
    go_to(&mut ledger, 30 * 7200);
    act(
        &mut ledger,
        "//Dave",
        Call::RegisterNetwork { hotkey: hotkey(4) },
    )
    .unwrap();
    let swap = |amount| Call::SwapStake {
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: NetUid(2),
        alpha_amount: Alpha(amount),
    };
    for amount in [1000 * T, T, T / 20] {
        let refused = act(&mut ledger, "//Bob", swap(amount));
        assert_eq!(refused, Err(LedgerError::InsufficientLiquidity), "{amount}");
    }
    check(&ledger);
}
