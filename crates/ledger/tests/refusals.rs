//! Bad input, by the name of its refusal: signatures that were made for something else, replays, amounts
//! that do not exist, limits that have passed. In each case nothing has changed afterwards.
//!
//! What a reader would get wrong: a signature is over the wrapped message. One over the same bytes without
//! the wrapper is what a chain's extrinsic carries, and it must be worthless here.

mod common;

use common::*;
use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, NetUid, Rao,
    apply::coldkey::hash_of,
    call::{Action, Call, SignedAction},
    governance::{Effect, Role, RuleChange},
    signing::{
        SignatureBytes,
        keys::Keypair,
        session::{Scope, SessionAuthorisation, SignedSession},
        wrapped,
    },
};
use covey_protocol::{Hash, Identity};
use ed25519_dalek::Signer;

/// Sends it and gives the refusal's name, having checked that nothing changed.
fn refusal(ledger: &mut Ledger, signed: SignedAction) -> String {
    let before = ledger.clone();
    let height = before.state().height;
    let error = ledger
        .action(height, signed)
        .expect_err("it should be refused");
    assert_eq!(*ledger, before, "a refusal changed something: {error}");
    error.name()
}

fn refused(ledger: &mut Ledger, by: &str, call: Call) -> String {
    let action = action(ledger, by, call);
    refusal(ledger, signed(by, action))
}

fn pay() -> Call {
    Call::TransferKeepAlive {
        dest: account("//Eve"),
        value: Rao(T),
    }
}

const SEED: [u8; 32] = [42; 32];

/// A generator of zeros: the nonce then depends on key and message alone.
struct Zeros;

impl rand_core::RngCore for Zeros {
    fn next_u32(&mut self) -> u32 {
        0
    }
    fn next_u64(&mut self) -> u64 {
        0
    }
    fn fill_bytes(&mut self, to: &mut [u8]) {
        to.fill(0);
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), rand_core::Error> {
        to.fill(0);
        Ok(())
    }
}

impl rand_core::CryptoRng for Zeros {}

/// An sr25519 signature in any context over exactly these bytes.
fn schnorr(context: &'static [u8], bytes: &[u8]) -> SignatureBytes {
    use schnorrkel::{ExpansionMode, MiniSecretKey, context::attach_rng, signing_context};
    let pair = MiniSecretKey::from_bytes(&SEED)
        .unwrap()
        .expand_to_keypair(ExpansionMode::Ed25519);
    let transcript = signing_context(context).bytes(bytes);
    SignatureBytes(pair.sign(attach_rng(transcript, Zeros)).to_bytes())
}

/// A ledger in which both keys of [`SEED`] have TAO.
fn with_seed() -> Ledger {
    let mut genesis = genesis();
    for kind in [KeyType::Sr25519, KeyType::Ed25519] {
        let key = Keypair::from_seed(kind, SEED);
        genesis.accounts.push((key.account(), Rao(10 * T)));
    }
    Ledger::new(genesis).unwrap().0
}

fn by_seed(ledger: &Ledger, kind: KeyType) -> Action {
    let account = Keypair::from_seed(kind, SEED).account();
    Action {
        account,
        nonce: 0,
        ..action(ledger, "//Alice", pay())
    }
}

#[test]
fn an_sr25519_signature_without_the_wrapper_or_in_another_context_is_refused() {
    let mut ledger = with_seed();
    let action = by_seed(&ledger, KeyType::Sr25519);
    let message = action.message().unwrap();
    let with = |signature| SignedAction {
        action: action.clone(),
        key: KeyType::Sr25519,
        signature,
    };
    for (context, bytes) in [
        (b"substrate".as_slice(), message.clone()),
        (b"covey", wrapped(&message)),
        (b"", wrapped(&message)),
        (b"substrate", wrapped(&wrapped(&message))),
        (b"substrate", [message.as_slice(), b" "].concat()),
    ] {
        let bad = with(schnorr(context, &bytes));
        assert_eq!(refusal(&mut ledger, bad), "BadSignature");
    }
    let good = with(schnorr(b"substrate", &wrapped(&message)));
    assert!(ledger.action(0, good).is_ok(), "the right one is accepted");
}

#[test]
fn an_ed25519_signature_without_the_wrapper_is_refused() {
    let mut ledger = with_seed();
    let action = by_seed(&ledger, KeyType::Ed25519);
    let message = action.message().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&SEED);
    let with = |bytes: &[u8]| SignedAction {
        action: action.clone(),
        key: KeyType::Ed25519,
        signature: SignatureBytes(key.sign(bytes).to_bytes()),
    };
    assert_eq!(refusal(&mut ledger, with(&message)), "BadSignature");
    assert!(ledger.action(0, with(&wrapped(&message))).is_ok());
}

#[test]
fn a_signature_of_the_other_curve_or_of_another_key_is_refused() {
    let mut ledger = with_seed();
    for (kind, other) in [
        (KeyType::Sr25519, KeyType::Ed25519),
        (KeyType::Ed25519, KeyType::Sr25519),
    ] {
        let action = by_seed(&ledger, kind);
        let message = action.message().unwrap();
        let signature = Keypair::from_seed(kind, SEED).sign_raw(&message);
        // Declared as the other kind; made by the other kind's key of the same seed; by a stranger.
        let mixed = SignedAction {
            action: action.clone(),
            key: other,
            signature,
        };
        assert_eq!(refusal(&mut ledger, mixed), "BadSignature");
        let signature = Keypair::from_seed(other, SEED).sign_raw(&message);
        for key in [kind, other] {
            let mixed = SignedAction {
                action: action.clone(),
                key,
                signature,
            };
            assert_eq!(refusal(&mut ledger, mixed), "BadSignature");
        }
        let signature = Keypair::from_seed(kind, [43; 32]).sign_raw(&message);
        let stranger = SignedAction {
            action,
            key: kind,
            signature,
        };
        assert_eq!(refusal(&mut ledger, stranger), "BadSignature");
    }
}

#[test]
fn no_field_of_an_action_can_be_changed_after_it_was_signed() {
    let mut ledger = ledger();
    let good = signed("//Dave", action(&ledger, "//Dave", pay()));
    let changes: [fn(&mut SignedAction); 5] = [
        |signed| signed.action.expires += 1,
        |signed| signed.action.account = account("//Eve"),
        |signed| {
            signed.action.call = Call::TransferKeepAlive {
                dest: account("//Eve"),
                value: Rao(2 * T),
            }
        },
        |signed| {
            signed.action.call = Call::TransferKeepAlive {
                dest: account("//Bob"),
                value: Rao(T),
            }
        },
        |signed| signed.signature.0[63] ^= 1,
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(["BadSignature", "SameDestination"].contains(&refusal(&mut ledger, bad).as_str()));
    }
    assert!(ledger.action(0, good).is_ok());
}

#[test]
fn an_action_cannot_be_replayed_twice_elsewhere_or_later() {
    let mut ledger = ledger();
    let good = signed("//Dave", action(&ledger, "//Dave", pay()));
    // In another run with the same people, before it was used here.
    let mut elsewhere = genesis();
    elsewhere.chain = Hash([10; 32]);
    let mut elsewhere = Ledger::new(elsewhere).unwrap().0;
    assert_eq!(refusal(&mut elsewhere, good.clone()), "WrongChain");
    let mut other_app = action(&ledger, "//Dave", pay());
    other_app.app = "another".to_owned();
    assert_eq!(
        refusal(&mut ledger, signed("//Dave", other_app)),
        "WrongChain"
    );

    // Twice.
    ledger.action(0, good.clone()).unwrap();
    assert_eq!(refusal(&mut ledger, good), "BadNonce");
    // Ahead of its turn.
    let mut early = action(&ledger, "//Dave", pay());
    early.nonce += 1;
    assert_eq!(refusal(&mut ledger, signed("//Dave", early)), "BadNonce");

    // Later: good at its last height, gone one after it.
    let late = signed("//Dave", action(&ledger, "//Dave", pay()));
    go_to(&mut ledger, 101);
    assert_eq!(refusal(&mut ledger, late.clone()), "Expired");
    let mut earlier = common::ledger();
    let mut first = late.action;
    first.nonce = 0;
    go_to(&mut earlier, 100);
    assert!(earlier.action(100, signed("//Dave", first)).is_ok());

    // Nobody signs for ever.
    let mut longest = action(&ledger, "//Dave", pay());
    longest.expires = 101 + 7200;
    let mut longer = longest.clone();
    longer.expires += 1;
    assert_eq!(
        refusal(&mut ledger, signed("//Dave", longer)),
        "LifetimeTooLong"
    );
    let mut for_ever = longest.clone();
    for_ever.expires = (1 << 53) - 1;
    assert_eq!(
        refusal(&mut ledger, signed("//Dave", for_ever)),
        "LifetimeTooLong"
    );
    assert!(ledger.action(101, signed("//Dave", longest)).is_ok());
}

#[test]
fn an_entry_cannot_be_in_the_past_or_before_an_epoch_that_is_due() {
    let mut ledger = ledger();
    go_to(&mut ledger, 100);
    let signed = signed("//Dave", action(&ledger, "//Dave", pay()));
    let before = ledger.clone();
    for (height, name) in [
        (99, "HeightInThePast"),
        (360, "EpochDue"),
        (u64::MAX, "EpochDue"),
    ] {
        assert_eq!(
            ledger.action(height, signed.clone()).unwrap_err().name(),
            name
        );
        assert_eq!(ledger.clock(height).unwrap_err().name(), name);
    }
    assert_eq!(ledger.epoch(359).unwrap_err().name(), "EpochNotDue");
    assert_eq!(ledger, before);
}

#[test]
fn accounts_and_places_that_do_not_exist_are_refused_by_name() {
    let mut ledger = with_seed();
    let stranger = Keypair::from_seed(KeyType::Ed25519, [44; 32]);
    let action = Action {
        account: stranger.account(),
        nonce: 0,
        ..action(&ledger, "//Dave", pay())
    };
    let signature = stranger.sign_raw(&action.message().unwrap());
    let unknown = SignedAction {
        action,
        key: KeyType::Ed25519,
        signature,
    };
    assert_eq!(refusal(&mut ledger, unknown), "UnknownAccount");
    let (nowhere, nobody) = (NetUid(9), AccountId([200; 32]));
    let add = |netuid, hotkey| Call::AddStake {
        hotkey,
        netuid,
        amount_staked: Rao(T),
    };
    let lock = |netuid, hotkey| Call::LockStake {
        hotkey,
        netuid,
        amount: Alpha(T),
    };
    for (call, name) in [
        (add(nowhere, hotkey(2)), "SubnetNotExists"),
        (add(RUN, nobody), "HotKeyAccountNotExists"),
        (lock(nowhere, hotkey(2)), "SubnetNotExists"),
        (lock(RUN, nobody), "HotKeyAccountNotExists"),
        (
            Call::MoveLock {
                destination_hotkey: nobody,
                netuid: RUN,
            },
            "HotKeyAccountNotExists",
        ),
        (
            Call::MoveLock {
                destination_hotkey: hotkey(1),
                netuid: RUN,
            },
            "NoExistingLock",
        ),
        (
            Call::UnlockStake {
                netuid: RUN,
                amount: Alpha(1),
            },
            "NoExistingLock",
        ),
        (
            Call::UnlockStake {
                netuid: nowhere,
                amount: Alpha(1),
            },
            "SubnetNotExists",
        ),
        (
            Call::BurnedRegister {
                netuid: nowhere,
                hotkey: nobody,
            },
            "SubnetNotExists",
        ),
        (
            Call::BurnedRegister {
                netuid: RUN,
                hotkey: hotkey(3),
            },
            "HotKeyAlreadyRegisteredInSubNet",
        ),
        (
            Call::RegisterNetwork { hotkey: hotkey(3) },
            "NonAssociatedColdKey",
        ),
        (
            Call::RegisterNetwork { hotkey: nobody },
            "NotEnoughBalanceToStake",
        ),
        (
            Call::SetWeights {
                netuid: RUN,
                weights: Vec::new(),
            },
            "HotKeyNotRegisteredInSubNet",
        ),
        (
            Call::IncreaseTake {
                hotkey: hotkey(3),
                take: 1,
            },
            "NonAssociatedColdKey",
        ),
        (
            Call::IncreaseTake {
                hotkey: nobody,
                take: 1,
            },
            "HotKeyAccountNotExists",
        ),
        (Call::Approve { proposal: 0 }, "NotACouncilKey"),
        (Call::WithdrawApproval { proposal: 0 }, "NoSuchProposal"),
        (
            Call::ResignRole {
                role: Role::Operator,
            },
            "NoSuchRole",
        ),
        (Call::CancelColdkeySwap {}, "ColdkeySwapNotAnnounced"),
        (
            Call::SwapColdkeyAnnounced {
                new_coldkey: nobody,
            },
            "ColdkeySwapNotAnnounced",
        ),
    ] {
        assert_eq!(refused(&mut ledger, "//Bob", call), name);
    }
}

#[test]
fn amounts_that_do_not_exist_are_refused_by_name() {
    let mut ledger = ledger();
    let stake = |amount| Call::AddStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(amount),
    };
    let unstake = |amount| Call::RemoveStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(amount),
    };
    let lock = |amount| Call::LockStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount: Alpha(amount),
    };
    let give = |value| Call::TransferKeepAlive {
        dest: account("//Eve"),
        value: Rao(value),
    };
    let transfer = |alpha_amount| Call::TransferStake {
        destination_coldkey: account("//Eve"),
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: RUN,
        alpha_amount: Alpha(alpha_amount),
    };
    for (call, name) in [
        (stake(0), "AmountTooLow"),
        (stake(1_999_999), "AmountTooLow"),
        (stake(1000 * T + 1), "NotEnoughBalanceToStake"),
        (stake(u64::MAX), "NotEnoughBalanceToStake"),
        (unstake(0), "AmountTooLow"),
        (unstake(1), "InsufficientLiquidity"),
        (unstake(1_000_000), "AmountTooLow"),
        (unstake(3000 * T + 1), "NotEnoughStakeToWithdraw"),
        (unstake(u64::MAX), "NotEnoughStakeToWithdraw"),
        (lock(0), "AmountTooLow"),
        (lock(99), "AmountTooLow"),
        (lock(3000 * T + 1), "InsufficientStakeForLock"),
        (lock(u64::MAX), "InsufficientStakeForLock"),
        (give(0), "AmountTooLow"),
        (give(1000 * T + 1), "NotEnoughBalanceToStake"),
        (give(u64::MAX), "NotEnoughBalanceToStake"),
        (transfer(0), "AmountTooLow"),
        (transfer(1), "AmountTooLow"),
        (transfer(u64::MAX), "NotEnoughStakeToWithdraw"),
    ] {
        assert_eq!(
            refused(&mut ledger, "//Bob", call.clone()),
            name,
            "{call:?}"
        );
    }
    assert_eq!(
        refused(
            &mut ledger,
            "//Bob",
            Call::TransferKeepAlive {
                dest: account("//Bob"),
                value: Rao(1)
            }
        ),
        "SameDestination"
    );
    act(&mut ledger, "//Bob", lock(100)).unwrap();
    assert_eq!(
        refused(
            &mut ledger,
            "//Bob",
            Call::UnlockStake {
                netuid: RUN,
                amount: Alpha(u64::MAX)
            }
        ),
        "UnlockAmountTooHigh"
    );
}

#[test]
fn more_than_the_ledger_can_hold_is_refused_at_the_genesis() {
    let mut genesis = genesis();
    genesis.accounts.push((account("//Ferdie"), Rao(u64::MAX)));
    assert_eq!(Ledger::new(genesis).unwrap_err().name(), "Overflow");
    let mut genesis = common::genesis();
    genesis.subnet.stakes[1].alpha = Alpha(u64::MAX);
    assert_eq!(Ledger::new(genesis).unwrap_err().name(), "Overflow");
    // An entry with a number that no page can write exactly would have no hash.
    let mut genesis = common::genesis();
    genesis.started_ms = 1 << 53;
    assert_eq!(Ledger::new(genesis).unwrap_err().name(), "UnfitChange");
}

#[test]
fn the_largest_amounts_that_exist_are_handled_without_overflow() {
    let mut genesis = genesis();
    let held: u64 = genesis.accounts.iter().map(|(_, balance)| balance.0).sum();
    genesis.accounts.push((
        account("//Ferdie"),
        Rao(u64::MAX - held - genesis.subnet.tao.0),
    ));
    genesis.subnet.stakes[1].alpha = Alpha(u64::MAX - 3000 * T);
    let mut ledger = Ledger::new(genesis).unwrap().0;
    check(&ledger);
    let all = Call::TransferKeepAlive {
        dest: account("//Alice"),
        value: ledger
            .state()
            .accounts
            .get(&account("//Ferdie"))
            .unwrap()
            .balance,
    };
    act(&mut ledger, "//Ferdie", all).unwrap();
    let all = Alpha(u64::MAX - 3000 * T);
    act(
        &mut ledger,
        "//Bob",
        Call::LockStake {
            hotkey: hotkey(2),
            netuid: RUN,
            amount: all,
        },
    )
    .unwrap();
    act(
        &mut ledger,
        "//Bob",
        Call::UnlockStake {
            netuid: RUN,
            amount: all,
        },
    )
    .unwrap();
    // There is no room for another epoch's alpha: nothing is minted, and nothing breaks.
    go_to(&mut ledger, 3 * 360);
    check(&ledger);
    let stake = Call::AddStake {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(u64::MAX / 2),
    };
    assert_eq!(
        refused(&mut ledger, "//Alice", stake),
        "InsufficientLiquidity"
    );
}

#[test]
fn a_lock_to_another_hotkey_is_refused_until_it_is_moved() {
    let mut ledger = ledger();
    let lock = |hotkey| Call::LockStake {
        hotkey,
        netuid: RUN,
        amount: Alpha(T),
    };
    act(&mut ledger, "//Bob", lock(hotkey(2))).unwrap();
    assert_eq!(
        refused(&mut ledger, "//Bob", lock(hotkey(3))),
        "LockHotkeyMismatch"
    );
    act(
        &mut ledger,
        "//Bob",
        Call::MoveLock {
            destination_hotkey: hotkey(3),
            netuid: RUN,
        },
    )
    .unwrap();
    act(&mut ledger, "//Bob", lock(hotkey(3))).unwrap();
}

#[test]
fn a_limit_that_has_passed_and_a_quote_gone_stale_are_refused() {
    let mut ledger = ledger();
    let buy = |price, partial| Call::AddStakeLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_staked: Rao(100 * T),
        limit_price: Rao(price),
        allow_partial: partial,
    };
    let sell = |price, partial| Call::RemoveStakeLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        amount_unstaked: Alpha(1000 * T),
        limit_price: Rao(price),
        allow_partial: partial,
    };
    let pool = |ledger: &Ledger| ledger.state().subnets.get(&RUN).unwrap().pool;
    let spot = pool(&ledger).price_rao();
    for partial in [false, true] {
        for price in [0, 1, spot - 1, spot] {
            assert_eq!(
                refused(&mut ledger, "//Dave", buy(price, partial)),
                "PriceLimitExceeded"
            );
        }
        for price in [spot, spot + 1, u64::MAX] {
            assert_eq!(
                refused(&mut ledger, "//Bob", sell(price, partial)),
                "PriceLimitExceeded"
            );
        }
    }
    // Quoted: just what the purchase would bring the price to. Then somebody else is quicker.
    let quote = pool(&ledger).buy(100 * T).unwrap().after.price_rao() + 1;
    let mut quick = ledger.clone();
    act(&mut quick, "//Dave", buy(quote, false)).unwrap();
    for _ in 0..2 {
        act(&mut ledger, "//Eve", buy(u64::MAX >> 11, false)).unwrap();
    }
    assert_eq!(
        refused(&mut ledger, "//Dave", buy(quote, false)),
        "PriceLimitExceeded"
    );
    let between = pool(&ledger).price_rao() + quote / 1000;
    assert_eq!(
        refused(&mut ledger, "//Dave", buy(between, false)),
        "SlippageTooHigh"
    );
    act(&mut ledger, "//Dave", buy(between, true)).unwrap();
    let quote = pool(&ledger).sell(1000 * T).unwrap().after.price_rao();
    act(
        &mut ledger,
        "//Charlie",
        Call::RemoveStake {
            hotkey: hotkey(3),
            netuid: RUN,
            amount_unstaked: Alpha(500 * T),
        },
    )
    .unwrap();
    assert_eq!(
        refused(&mut ledger, "//Bob", sell(quote, false)),
        "SlippageTooHigh"
    );
    let full = Call::RemoveStakeFullLimit {
        hotkey: hotkey(2),
        netuid: RUN,
        limit_price: Some(Rao(quote)),
    };
    assert_eq!(refused(&mut ledger, "//Bob", full), "SlippageTooHigh");
    check(&ledger);
}

#[test]
fn a_swap_between_subnets_keeps_its_limit_and_the_pools_guards() {
    let mut genesis = genesis();
    genesis.accounts[3].1 = Rao(100_000 * T);
    let mut ledger = Ledger::new(genesis).unwrap().0;
    let two = NetUid(2);
    act(
        &mut ledger,
        "//Dave",
        Call::RegisterNetwork { hotkey: hotkey(4) },
    )
    .unwrap();
    let swap = |amount, limit, partial| Call::SwapStakeLimit {
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: two,
        alpha_amount: Alpha(amount),
        limit_price: Rao(limit),
        allow_partial: partial,
    };
    // The origin's price is a half, the destination's one.
    assert_eq!(
        refused(&mut ledger, "//Bob", swap(100 * T, T / 2 + 1, true)),
        "PriceLimitExceeded"
    );
    assert_eq!(
        refused(&mut ledger, "//Bob", swap(1000 * T, T / 2 - T / 100, false)),
        "SlippageTooHigh"
    );
    act(&mut ledger, "//Bob", swap(1000 * T, T / 2 - T / 100, true)).unwrap();
    let place = |ledger: &Ledger| ledger.state().subnets.get(&two).unwrap().clone();
    assert!(place(&ledger).stake(&hotkey(2), &account("//Bob")) > Alpha::ZERO);
    let dust = |amount| Call::SwapStake {
        hotkey: hotkey(2),
        origin_netuid: RUN,
        destination_netuid: two,
        alpha_amount: Alpha(amount),
    };
    assert_eq!(refused(&mut ledger, "//Bob", dust(1000)), "AmountTooLow");
    assert_eq!(
        refused(&mut ledger, "//Bob", dust(1)),
        "InsufficientLiquidity"
    );
    check(&ledger);
}

#[test]
fn governance_refuses_what_it_must_not_do() {
    let mut ledger = ledger();
    let reason = Hash([1; 32]);
    let propose = |effect| Call::Propose { effect, reason };
    let council = |names: &[&str], threshold| Effect::ChangeCouncil {
        members: names.iter().map(|name| account(name)).collect(),
        threshold,
    };
    let rule = |change| propose(Effect::SetRule(change));
    let mut expect = |by: &str, call: Call, name: &str| {
        assert_eq!(refused(&mut ledger, by, call.clone()), name, "{call:?}");
    };
    expect(
        "//Alice",
        propose(council(&["//Alice", "//Bob"], 2)),
        "NotACouncilKey",
    );
    expect(
        "//Dave",
        propose(council(&["//Alice", "//Bob"], 1)),
        "UnfitChange",
    );
    expect(
        "//Dave",
        propose(council(&["//Alice", "//Bob"], 3)),
        "UnfitChange",
    );
    expect(
        "//Dave",
        propose(council(&["//Alice", "//Alice", "//Bob"], 2)),
        "UnfitChange",
    );
    expect(
        "//Dave",
        rule(RuleChange::GovernanceNotice(9)),
        "UnfitChange",
    );
    expect(
        "//Dave",
        rule(RuleChange::UnlockCliff(1 << 52)),
        "UnfitChange",
    );
    expect("//Dave", rule(RuleChange::MaxTake(11_797)), "UnfitChange");
    expect(
        "//Dave",
        rule(RuleChange::SubnetCost(Rao(0))),
        "UnfitChange",
    );
    let holder = account("//Ferdie");
    let (role, other) = (Role::Moderator, Role::Operator);
    expect(
        "//Dave",
        propose(Effect::AssignRole { role, holder }),
        "UnfitChange",
    );
    expect(
        "//Dave",
        propose(Effect::RemoveRole {
            role: other,
            holder,
        }),
        "NoSuchRole",
    );
    // A number that a page cannot write exactly has no message to sign.
    let rates = covey_ledger::conviction::Rates {
        unlock: 1 << 53,
        maturity: 1,
    };
    let unsigned = action(&ledger, "//Dave", rule(RuleChange::LockRates(rates)));
    assert!(unsigned.message().is_err());
    let unsigned = SignedAction {
        action: unsigned,
        key: KeyType::Sr25519,
        signature: SignatureBytes([0; 64]),
    };
    assert_eq!(refusal(&mut ledger, unsigned), "UnfitChange");
}

#[test]
fn one_key_cannot_fill_the_list_of_proposals() {
    let mut ledger = ledger();
    let propose = |n: u8| Call::Propose {
        effect: Effect::Deprecate {
            what: Hash([n; 32]),
        },
        reason: Hash([0; 32]),
    };
    for n in 0..8 {
        act(&mut ledger, "//Dave", propose(n)).unwrap();
    }
    assert_eq!(refused(&mut ledger, "//Dave", propose(8)), "UnfitChange");
    act(&mut ledger, "//Eve", propose(8)).unwrap();
}

#[test]
fn weights_are_refused_unless_each_target_is_named_once_in_order() {
    let mut ledger = ledger();
    let register = Call::BurnedRegister {
        netuid: RUN,
        hotkey: account("//Dave"),
    };
    act(&mut ledger, "//Dave", register).unwrap();
    let set = |keys: &[u8]| Call::SetWeights {
        netuid: RUN,
        weights: keys.iter().map(|n| (hotkey(*n), 1)).collect(),
    };
    for keys in [[2, 1].as_slice(), &[1, 1], &[0; 1025]] {
        assert_eq!(
            refused(&mut ledger, "//Dave", set(keys)),
            "MalformedWeights"
        );
    }
    let many: Vec<(AccountId, u16)> = (0..=1024_u16)
        .map(|n| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&n.to_be_bytes());
            (AccountId(key), n)
        })
        .collect();
    let call = |n: usize| Call::SetWeights {
        netuid: RUN,
        weights: many[..n].to_vec(),
    };
    assert_eq!(
        refused(&mut ledger, "//Dave", call(1025)),
        "MalformedWeights"
    );
    act(&mut ledger, "//Dave", call(1024)).unwrap();
}

#[test]
fn a_coldkey_swap_is_refused_early_elsewhere_and_into_a_locked_account() {
    let mut ledger = slow_ledger();
    let swap = |name| Call::SwapColdkeyAnnounced {
        new_coldkey: account(name),
    };
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Eve")),
    };
    act(&mut ledger, "//Bob", announce.clone()).unwrap();
    assert_eq!(
        refused(&mut ledger, "//Bob", announce),
        "ColdkeySwapAnnounced"
    );
    assert_eq!(
        refused(&mut ledger, "//Bob", swap("//Eve")),
        "ColdkeySwapTooEarly"
    );
    go_to(&mut ledger, 5 * 7200);
    assert_eq!(
        refused(&mut ledger, "//Bob", swap("//Dave")),
        "AnnouncedColdkeyHashDoesNotMatch"
    );
    // Two seats in the council do not become one.
    let announce = Call::AnnounceColdkeySwap {
        new_coldkey_hash: hash_of(&account("//Dave")),
    };
    act(&mut ledger, "//Ferdie", announce).unwrap();
    go_to(&mut ledger, 10 * 7200);
    assert_eq!(
        refused(&mut ledger, "//Ferdie", swap("//Dave")),
        "UnfitChange"
    );
    check(&ledger);
}

#[test]
fn a_session_is_refused_without_both_keys_or_after_a_later_one() {
    let mut ledger = ledger();
    let tab = Identity::from_secret([3; 32]);
    let wallet = key("//Bob");
    let session = |issued_at_ms, run| {
        let authorisation = SessionAuthorisation {
            domain: "covey.run".to_owned(),
            run,
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
            key_signature: authorisation.sign_with_key(&tab),
            authorisation,
        }
    };
    let run = ledger.state().chain;
    let mut bad = [
        session(5, Hash([1; 32])),
        session(5, run),
        session(5, run),
        session(5, run),
    ];
    bad[1].wallet_signature.0[0] ^= 1;
    bad[2].key_signature.0[0] ^= 1;
    bad[3].authorisation.expires_at_ms = 5;
    let before = ledger.clone();
    for bad in bad {
        assert_eq!(ledger.session(0, bad).unwrap_err().name(), "BadSession");
    }
    assert_eq!(ledger, before);
    ledger.session(0, session(5, run)).unwrap();
    for issued in [5, 4] {
        assert_eq!(
            ledger.session(0, session(issued, run)).unwrap_err().name(),
            "BadSession"
        );
    }
    ledger.session(0, session(6, run)).unwrap();
}
