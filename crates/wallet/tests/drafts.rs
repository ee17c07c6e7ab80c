//! What is shown before a signature is what happens after it, for every kind of call.

mod common;

use common::*;
use covey_ledger::{
    AccountId, Alpha, LedgerError, Rao,
    apply::coldkey,
    call::Call,
    governance::{Effect, Role, RuleChange},
};
use covey_protocol::Hash;
use covey_wallet::{WalletError, view::draft::Draft};

fn warned(draft: &Draft, words: &str) -> bool {
    draft.warnings.iter().any(|warning| warning.contains(words))
}

fn short(account: &AccountId) -> String {
    let text = account.to_string();
    format!("{}…{}", &text[..6], &text[text.len() - 6..])
}

#[test]
fn staking_shows_balance_stake_fee_and_limit() {
    let mut run = Run::new(genesis());
    let draft = run.act(
        "//Dave",
        Call::AddStakeLimit {
            hotkey: hotkey(2),
            netuid: RUN,
            amount_staked: Rao(100 * T),
            limit_price: Rao(T / 2 + T / 50),
            allow_partial: false,
        },
    );
    let name = short(&hotkey(2));
    assert_eq!(
        draft.title,
        format!("Stake 100 TAO on {name}, at no more than 0.52 TAO per alpha")
    );
    assert_eq!(line(&draft, "Balance"), ("2000 TAO", "1900 TAO"));
    assert_eq!(line(&draft, "Fee").1, "0.050354772 TAO");
    assert_eq!(line(&draft, "Limit price").1, "0.52 TAO per alpha");
    assert_eq!(line(&draft, "Manager").1, hotkey(2).to_string());
    let place = draft.after.subnets.get(&RUN).unwrap();
    let staked = place.stake(&hotkey(2), &account("//Dave")).to_string() + " alpha";
    let expected = ("0 alpha", staked.as_str());
    assert_eq!(line(&draft, &format!("Stake on {name}")), expected);
    assert_eq!(line(&draft, "Available"), expected);
    assert!(warned(&draft, "fee is not returned") && !warned(&draft, "no limit"));
    let draft = run.act("//Dave", stake(2, T));
    assert!(warned(&draft, "there is no limit"));
}

#[test]
fn what_is_signed_is_the_action_that_was_run() {
    let run = Run::new(genesis());
    let draft = run.draft("//Bob", lock(2, T)).unwrap();
    assert_eq!(
        draft.message.as_bytes(),
        draft.action.message().unwrap().as_slice()
    );
    assert_eq!(draft.expires, run.height() + 600 / 12);
    let signature = key("//Bob").sign_raw(draft.message.as_bytes()).to_string();
    let seal = |action, signature: &str| {
        let kind = covey_ledger::KeyType::Sr25519;
        run.wallet().seal(action, kind, signature)
    };
    assert!(seal(draft.action.clone(), &format!("0x01{signature}")).is_ok());
    let mut other = draft.action.clone();
    other.nonce += 1;
    let refused = seal(other, &signature).unwrap_err();
    assert_eq!(refused.name(), "BadSignature");
    let mut other = draft.action.clone();
    other.chain = Hash([8; 32]);
    assert_eq!(seal(other, &signature), Err(WalletError::Chain));
    let wrong = key("//Eve").sign_raw(draft.message.as_bytes()).to_string();
    assert_eq!(
        seal(draft.action.clone(), &wrong).unwrap_err().name(),
        "BadSignature"
    );
    assert_eq!(
        seal(draft.action, "0x12").unwrap_err().name(),
        "BadSignature"
    );
}

#[test]
fn a_short_lifetime_of_actions_bounds_the_draft_s() {
    let mut genesis = genesis();
    genesis.rules.max_action_lifetime = 7;
    let mut run = Run::new(genesis);
    let draft = run.act("//Bob", lock(2, T));
    assert_eq!(draft.expires, 7);
}

#[test]
fn a_lock_says_how_it_can_leave_and_when() {
    let mut run = Run::new(genesis());
    let draft = run.act("//Bob", lock(2, 1000 * T));
    assert_eq!(line(&draft, "Locked"), ("0 alpha", "1000 alpha"));
    assert_eq!(line(&draft, "Available"), ("3000 alpha", "2000 alpha"));
    assert_eq!(line(&draft, "Lock"), ("none", "perpetual"));
    assert!(warned(
        &draft,
        "nothing is liquid before 100800 blocks (about 14 days)"
    ));
    assert!(warned(&draft, "316800 blocks (about 44 days)"));
    assert!(warned(&draft, "begins at nothing"));

    run.go_to(30 * DAY);
    let draft = run.act(
        "//Bob",
        Call::UnlockStake {
            netuid: RUN,
            amount: Alpha(400 * T),
        },
    );
    assert_eq!(line(&draft, "Locked"), ("1000 alpha", "600 alpha"));
    assert_eq!(line(&draft, "Unlocking"), ("0 alpha", "400 alpha"));
    let cliff = run.height() + 14 * DAY;
    let first = format!("height {cliff}, in 100800 blocks (about 14 days)");
    assert_eq!(line(&draft, "First liquid"), ("never", first.as_str()));
    let (before, after) = line(&draft, "Conviction");
    assert!(before.starts_with("500.0") && after.starts_with("100.0"));
    assert!(warned(&draft, "400 alpha of conviction are lost at once"));
    assert!(
        line(&draft, "Public notice")
            .1
            .contains("unlocks 400 alpha")
    );
    // Nothing became available by asking.
    assert!(!draft.effects.iter().any(|line| line.label == "Available"));
    let sell = Call::RemoveStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(2500 * T),
    };
    let refused = run.draft("//Bob", sell).unwrap_err();
    assert_eq!(refused.name(), "StakeUnavailable");
}

#[test]
fn a_decaying_lock_and_a_change_to_it_are_told_apart() {
    let mut genesis = genesis();
    genesis.rules.new_locks_decay = true;
    let mut run = Run::new(genesis);
    let draft = run.act("//Bob", lock(2, 1000 * T));
    assert_eq!(line(&draft, "Lock"), ("none", "decaying"));
    assert!(warned(&draft, "time constant of 934866 blocks"));
    let set = |enabled| Call::SetPerpetualLock {
        netuid: RUN,
        enabled,
    };
    let draft = run.act("//Bob", set(true));
    assert_eq!(line(&draft, "Lock"), ("decaying", "perpetual"));
    assert_eq!(line(&draft, "New locks"), ("decay", "perpetual"));
    assert!(warned(&draft, "public unlock request"));
    let draft = run.act("//Bob", set(false));
    let after = "decays from height 100800, in 100800 blocks (about 14 days)";
    assert_eq!(line(&draft, "Lock"), ("perpetual", after));
    assert!(warned(&draft, "public from the moment"));
    let draft = run.act("//Bob", set(true));
    assert!(line(&draft, "Public notice withdrawn").1.contains("decay"));
    let draft = run.act("//Dave", set(true));
    assert!(warned(&draft, "There is no lock now"));
    let refused = run.draft("//Alice", set(false)).unwrap_err();
    assert_eq!(refused.name(), "InsiderLockMustBeAnnounced");
}

#[test]
fn moving_a_lock_to_a_stranger_says_what_conviction_is_lost() {
    let mut run = Run::new(genesis());
    run.act("//Bob", lock(2, 1000 * T));
    run.go_to(30 * DAY);
    let draft = run.act(
        "//Bob",
        Call::MoveLock {
            destination_hotkey: hotkey(3),
            netuid: RUN,
        },
    );
    assert_eq!(line(&draft, "Conviction").1, "0 alpha");
    assert_eq!(line(&draft, "Locked to").1, hotkey(3).to_string());
    assert!(warned(&draft, "of conviction are lost at once"));
}

#[test]
fn changing_the_manager_costs_nothing_and_leaves_the_lock() {
    let mut run = Run::new(genesis());
    run.act("//Bob", lock(2, 1000 * T));
    let draft = run.act(
        "//Bob",
        Call::MoveStake {
            origin_hotkey: hotkey(2),
            destination_hotkey: hotkey(3),
            origin_netuid: RUN,
            destination_netuid: RUN,
            alpha_amount: Alpha(3000 * T),
        },
    );
    let from = format!("Stake on {}", short(&hotkey(2)));
    let to = format!("Stake on {}", short(&hotkey(3)));
    assert_eq!(line(&draft, &from), ("3000 alpha", "0 alpha"));
    assert_eq!(line(&draft, &to), ("0 alpha", "3000 alpha"));
    assert!(warned(&draft, "The lock of 1000 alpha stays as it is"));
    let quiet = ["Balance", "Fee", "Pool price", "Available", "Locked"];
    for label in quiet {
        assert!(!draft.effects.iter().any(|line| line.label == label));
    }
}

#[test]
fn giving_stake_shows_the_receiver_and_the_lock_that_goes_along() {
    let mut run = Run::new(genesis());
    run.act("//Bob", lock(2, 2500 * T));
    let give = Call::TransferStake {
        destination_coldkey: account("//Eve"),
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(1000 * T),
    };
    let refused = run.draft("//Bob", give.clone()).unwrap_err();
    assert_eq!(refused.name(), "AccountRejectsLockedAlpha");
    let draft = run.act("//Eve", Call::SetRejectLockedAlpha { enabled: false });
    let flag = line(&draft, "Locked alpha from others");
    assert_eq!(flag, ("refused", "accepted"));
    assert!(warned(&draft, "Anybody can then give"));
    let draft = run.act("//Bob", give);
    let eve = short(&account("//Eve"));
    assert_eq!(line(&draft, "To account").1, account("//Eve").to_string());
    assert_eq!(
        line(&draft, &format!("Locked of {eve}")),
        ("0 alpha", "500 alpha")
    );
    assert!(warned(&draft, "500 alpha of it are locked"));
    assert!(warned(&draft, "It cannot be taken back"));
    let draft = run.act("//Eve", Call::SetRejectLockedAlpha { enabled: true });
    assert_eq!(draft.title, "Refuse locked alpha from others");
}

#[test]
fn selling_in_every_form_shows_what_comes_back() {
    let mut run = Run::new(genesis());
    let sell = Call::RemoveStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(100 * T),
    };
    let draft = run.act("//Bob", sell);
    assert_eq!(line(&draft, "Sold").1, "100 alpha");
    assert!(line(&draft, "Balance").1.starts_with("2049."));
    assert!(warned(&draft, "there is no limit"));
    let limit = |limit_price, allow_partial| Call::RemoveStakeLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(500 * T),
        limit_price: Rao(limit_price),
        allow_partial,
    };
    let refused = run.draft("//Bob", limit(T * 49 / 100, false)).unwrap_err();
    assert_eq!(refused.name(), "SlippageTooHigh");
    let draft = run.act("//Bob", limit(T * 49 / 100, true));
    assert!(
        draft
            .title
            .ends_with("at no less than 0.49 TAO per alpha, or as much of it as fits")
    );
    assert_ne!(line(&draft, "Sold").1, "500 alpha");
    let full = |limit_price| Call::RemoveStakeFullLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        limit_price,
    };
    let refused = run.draft("//Bob", full(Some(Rao(T)))).unwrap_err();
    assert_eq!(refused.name(), "PriceLimitExceeded");
    let draft = run.act("//Bob", full(Some(Rao(T / 10))));
    let stake = format!("Stake on {}", short(&hotkey(2)));
    assert_eq!(line(&draft, &stake).1, "0 alpha");
    let draft = run.act("//Charlie", Call::UnstakeAll { hotkey: hotkey(3) });
    assert!(warned(&draft, "there is no limit"));
    run.act("//Bob", stake_call(2));
    let draft = run.act("//Bob", full(None));
    assert!(draft.title.contains("at whatever price"));
}

fn stake_call(n: u8) -> Call {
    stake(n, 10 * T)
}

#[test]
fn a_second_subnet_s_moves_name_it() {
    let mut genesis = genesis();
    genesis.accounts.push((account("//Bob"), Rao(50_000 * T)));
    let mut run = Run::new(genesis);
    let draft = run.act("//Bob", Call::RegisterNetwork { hotkey: hotkey(9) });
    assert_eq!(line(&draft, "Cost").1, "20000 TAO");
    assert_eq!(
        line(&draft, "New subnet").1,
        format!("2, owned by {}", account("//Bob"))
    );
    let two = covey_ledger::NetUid(2);
    let draft = run.act(
        "//Bob",
        Call::SwapStake {
            hotkey: hotkey(2),
            origin_netuid: RUN,
            destination_netuid: two,
            alpha_amount: Alpha(10 * T),
        },
    );
    let there = format!("Stake on {} on subnet 2", short(&hotkey(2)));
    assert!(line(&draft, &there).1.starts_with("4.9"));
    assert_eq!(line(&draft, "Fee").1, "0.005035477 alpha");
    let draft = run.act(
        "//Bob",
        Call::SwapStakeLimit {
            hotkey: hotkey(2),
            origin_netuid: RUN,
            destination_netuid: two,
            alpha_amount: Alpha(10 * T),
            limit_price: Rao(T / 4),
            allow_partial: true,
        },
    );
    assert!(
        draft
            .title
            .contains("at least 0.25 alpha there per alpha here")
    );
    assert!(warned(&draft, "carried out in part"));
    run.act(
        "//Bob",
        Call::MoveStake {
            origin_hotkey: hotkey(2),
            destination_hotkey: hotkey(3),
            origin_netuid: two,
            destination_netuid: RUN,
            alpha_amount: Alpha(T),
        },
    );
    let draft = run.act(
        "//Bob",
        Call::TransferStake {
            destination_coldkey: account("//Eve"),
            hotkey: hotkey(2),
            origin_netuid: two,
            destination_netuid: RUN,
            alpha_amount: Alpha(T),
        },
    );
    assert!(warned(&draft, "there is no limit"));
}

#[test]
fn tao_takes_and_registrations_are_shown() {
    let mut run = Run::new(genesis());
    let draft = run.act(
        "//Dave",
        Call::TransferKeepAlive {
            dest: account("//Eve"),
            value: Rao(1),
        },
    );
    let eve = format!("Balance of {}", short(&account("//Eve")));
    assert_eq!(line(&draft, "Balance").1, "1999.999999999 TAO");
    assert_eq!(line(&draft, &eve).1, "2000.000000001 TAO");
    let draft = run.act(
        "//Dave",
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: account("//Dave"),
        },
    );
    assert_eq!(line(&draft, "Burned").1, "0.0005 TAO");
    let name = short(&account("//Dave"));
    assert_eq!(
        line(&draft, &format!("Take of {name}")),
        ("none", "18.00 %")
    );
    assert!(warned(&draft, "burned and never returned"));
    let hotkey = account("//Dave");
    let draft = run.act("//Dave", Call::DecreaseTake { hotkey, take: 655 });
    let take = format!("Take of {name}");
    assert_eq!(line(&draft, &take), ("18.00 %", "1.00 %"));
    let draft = run.act("//Dave", Call::IncreaseTake { hotkey, take: 1311 });
    assert!(warned(&draft, "cannot be raised again for 216000 blocks"));
    let weights = vec![(common::hotkey(2), 7), (common::hotkey(3), 1)];
    let netuid = RUN;
    let draft = run.act("//Dave", Call::SetWeights { netuid, weights });
    let weight = format!("Weight of {}", short(&common::hotkey(2)));
    assert_eq!(line(&draft, &weight), ("none", "7"));
    let weights = vec![(common::hotkey(3), 1)];
    let draft = run.act("//Dave", Call::SetWeights { netuid, weights });
    assert_eq!(line(&draft, &weight), ("7", "none"));
}

#[test]
fn moving_everything_to_another_key_shows_both_sides() {
    let mut run = Run::new(genesis());
    let (old, new) = (account("//Bob"), AccountId([77; 32]));
    let new_coldkey_hash = coldkey::hash_of(&new);
    let draft = run.act("//Bob", Call::AnnounceColdkeySwap { new_coldkey_hash });
    let (before, after) = line(&draft, "Announced move");
    assert_eq!(before, "none");
    assert!(after.contains("height 36000") && after.contains("5 days"));
    let draft = run.act("//Bob", Call::CancelColdkeySwap {});
    assert!(
        line(&draft, "Public notice withdrawn")
            .1
            .contains("move everything")
    );
    run.act("//Bob", Call::AnnounceColdkeySwap { new_coldkey_hash });
    run.go_to(36_000);
    let call = Call::SwapColdkeyAnnounced { new_coldkey: new };
    let draft = run.act("//Bob", call);
    let stake = format!("Stake on {}", short(&hotkey(2)));
    let moved = line(&draft, &stake);
    assert!(moved.0.starts_with("3000") && moved.1 == "0 alpha");
    let there = format!("Balance of {}", short(&new));
    assert_eq!(line(&draft, &there).1, "2000 TAO");
    let owner = format!("Owner of the hotkey {}", short(&hotkey(2)));
    assert_eq!(
        line(&draft, &owner),
        (old.to_string().as_str(), new.to_string().as_str())
    );
}

#[test]
fn governance_shows_approvals_and_when_a_change_takes_effect() {
    let mut run = Run::new(genesis());
    let effect = Effect::SetRule(RuleChange::UnlockCliff(20 * DAY));
    let reason = Hash([3; 32]);
    let draft = run.act("//Dave", Call::Propose { effect, reason });
    assert_eq!(
        draft.title,
        "Propose: an announced exit waits 144000 blocks"
    );
    assert_eq!(
        line(&draft, "Approvals of proposal 0"),
        ("none", "1 of 2 needed")
    );
    assert!(warned(&draft, "public at once"));
    let draft = run.act("//Eve", Call::Approve { proposal: 0 });
    assert_eq!(
        line(&draft, "Proposal 0 takes effect"),
        (
            "not enough approvals",
            "height 50400, in 50400 blocks (about 7 days)"
        )
    );
    let draft = run.act("//Eve", Call::WithdrawApproval { proposal: 0 });
    assert_eq!(line(&draft, "Approvals of proposal 0").1, "1 of 2 needed");
    let effect = Effect::AssignRole {
        role: Role::Operator,
        holder: account("//Bob"),
    };
    let draft = run.act("//Dave", Call::Propose { effect, reason });
    assert_eq!(line(&draft, "Holder").1, account("//Bob").to_string());
    let role = Role::Moderator;
    let draft = run.act("//Ferdie", Call::ResignRole { role });
    assert_eq!(line(&draft, "Moderator").1, "nobody");
}

#[test]
fn a_revenue_share_says_who_gets_what_and_until_when() {
    let mut run = Run::new(genesis());
    let eve = account("//Eve");
    let share = |partner, share| Call::SetRevenueShare {
        netuid: RUN,
        partner,
        share,
    };
    let draft = run.act("//Bob", share(Some(eve), 13_107));
    assert!(
        draft
            .title
            .contains("Give 20.00 % of what contributing earns")
    );
    assert_eq!(line(&draft, "To account").1, eve.to_string());
    let (before, after) = line(&draft, "Share of earnings");
    assert_eq!((before, after), ("none", &*format!("20.00 % to {eve}")));
    assert!(warned(&draft, "until you sign another share or none"));
    let height = run.height();
    let view = run.wallet().overview(&account("//Bob"), height);
    let shown = view.revenue_share.map(|share| (share.partner, share.share));
    assert_eq!(shown, Some((eve.to_string(), 13_107)));
    let draft = run.act("//Bob", share(None, 0));
    assert_eq!(line(&draft, "Share of earnings").1, "none");
    assert_eq!(draft.warnings, Vec::<String>::new());
    let refused = run.draft("//Bob", share(Some(eve), 40_000)).unwrap_err();
    assert_eq!(refused.name(), "RevenueShareTooHigh");
}

#[test]
fn drafts_run_the_epochs_that_are_due_and_say_so() {
    let mut run = Run::new(genesis());
    let wallet = run.wallet();
    let draft = wallet.draft(account("//Bob"), lock(2, T), 1000).unwrap();
    assert!(warned(&draft, "2 epochs are due"));
    run.go_to(1000);
    let now = run.draft("//Bob", lock(2, T)).unwrap();
    assert_eq!(draft.after, now.after);
    assert_eq!(draft.effects, now.effects);
    let late = wallet.draft(account("//Bob"), lock(2, T), 2001 * 360);
    let refused = late.unwrap_err();
    assert_eq!(refused.name(), "Behind");
}

#[test]
fn refusals_carry_the_ledger_s_names() {
    let run = Run::new(genesis());
    let nobody = account("//Ferdie");
    let stranger = AccountId([200; 32]);
    let wallet = run.wallet();
    let refused = |by, call| wallet.draft(by, call, 0).unwrap_err();
    assert_eq!(
        refused(stranger, lock(2, T)),
        LedgerError::UnknownAccount(stranger).into()
    );
    assert_eq!(
        refused(nobody, stake(2, T)).name(),
        "NotEnoughBalanceToStake"
    );
    assert_eq!(
        refused(account("//Bob"), lock(2, 3000 * T + 1)).name(),
        "InsufficientStakeForLock"
    );
    assert_eq!(
        refused(account("//Bob"), lock(99, T)).name(),
        "HotKeyAccountNotExists"
    );
}
