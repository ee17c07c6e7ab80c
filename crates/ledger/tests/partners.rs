//! What volunteers share with the sites that brought them, to the rao, and whose word it takes.
//!
//! What a reader would get wrong: the share is of one contributor's own earnings. Nobody else's part, no
//! dividend and no owner's cut changes by it.

mod common;

use common::*;
use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, LedgerError, NetUid,
    apply::coldkey::hash_of,
    call::{Action, Call, SignedAction},
    event::Event,
    journal::{Body, Entry},
    ledger::Applied,
    notice::{Status, Subject},
    params::MAX_REVENUE_SHARE,
    signing::{
        keys::Keypair,
        session::{Scope, SessionAuthorisation, SignedSession},
    },
};
use covey_protocol::{Identity, PartnerId};
use proptest::prelude::*;

fn share(partner: Option<&str>, share: u16) -> Call {
    Call::SetRevenueShare {
        netuid: RUN,
        partner: partner.map(account),
        share,
    }
}

fn tab(n: u8) -> Identity {
    Identity::from_secret([n; 32])
}

fn key_of(tab: &Identity) -> AccountId {
    AccountId(tab.id().0)
}

fn authorise(ledger: &mut Ledger, wallet: &str, tab: &Identity, issued_at_ms: u64) {
    let wallet = key(wallet);
    let authorisation = SessionAuthorisation {
        domain: "covey.run".to_owned(),
        run: ledger.state().chain,
        coldkey: wallet.account(),
        session_key: key_of(tab),
        scope: Scope::Contribute,
        issued_at_ms,
        expires_at_ms: issued_at_ms + 1000,
        nonce: "a".to_owned(),
    };
    let signed = SignedSession {
        wallet: KeyType::Sr25519,
        wallet_signature: wallet.sign_raw(authorisation.message().as_bytes()),
        key_signature: authorisation.sign_with_key(tab),
        authorisation,
    };
    let height = ledger.state().height;
    ledger.session(height, signed).unwrap();
}

/// Two tabs work, Charlie's and one of nobody's; Dave judges them three to one.
fn at_work() -> (Ledger, Identity, Identity) {
    let mut ledger = ledger();
    let (mine, other) = (tab(3), tab(4));
    let dave = account("//Dave");
    let mut weights = vec![(key_of(&mine), 30_000), (key_of(&other), 10_000)];
    weights.sort();
    for call in [
        Call::BurnedRegister {
            netuid: RUN,
            hotkey: dave,
        },
        Call::AddStake {
            hotkey: dave,
            netuid: RUN,
            amount_staked: covey_ledger::Rao(100 * T),
        },
        Call::SetWeights {
            netuid: RUN,
            weights,
        },
    ] {
        act(&mut ledger, "//Dave", call).unwrap();
    }
    authorise(&mut ledger, "//Charlie", &mine, 5);
    (ledger, mine, other)
}

fn stake(ledger: &Ledger, hotkey: &AccountId, coldkey: &AccountId) -> u64 {
    let place = ledger.state().subnets.get(&RUN).unwrap();
    place.stake(hotkey, coldkey).0
}

fn shared(applied: &[Applied]) -> Vec<(AccountId, AccountId, AccountId, u64)> {
    let events = applied.iter().flat_map(|applied| &applied.events);
    events
        .filter_map(|event| match event {
            Event::RevenueShared {
                hotkey,
                coldkey,
                partner,
                amount,
                ..
            } => Some((*hotkey, *coldkey, *partner, amount.0)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_part_that_was_signed_away_reaches_the_partner_and_the_rest_the_volunteer() {
    let (ledger, mine, other) = at_work();
    let (charlie, eve) = (account("//Charlie"), account("//Eve"));
    let mut without = ledger.clone();
    go_to(&mut without, 360);
    let whole = stake(&without, &key_of(&mine), &charlie);
    let others = stake(&without, &key_of(&other), &key_of(&other));
    assert!(whole > 100 * T && others > 30 * T);

    let mut with = ledger;
    let events = act(&mut with, "//Charlie", share(Some("//Eve"), 13_107)).unwrap();
    assert_eq!(
        events,
        [Event::RevenueShareSet {
            netuid: RUN,
            coldkey: charlie,
            partner: Some(eve),
            share: 13_107,
        }]
    );
    let applied = go_to(&mut with, 360);
    let part = u64::try_from(u128::from(whole) * 13_107 / 65_535).unwrap();
    assert_eq!(shared(&applied), [(key_of(&mine), charlie, eve, part)]);
    assert_eq!(stake(&with, &eve, &eve), part);
    assert_eq!(stake(&with, &key_of(&mine), &charlie), whole - part);
    assert_eq!(stake(&with, &key_of(&other), &key_of(&other)), others);
    let earned = |who| {
        let account = with.state().accounts.get(&who).unwrap();
        account.earnings.last().unwrap().incentive.0
    };
    assert_eq!(earned(charlie) + earned(eve), whole);
    check(&with);

    // Nobody or nothing ends it.
    act(&mut with, "//Charlie", share(None, 13_107)).unwrap();
    assert_eq!(shared(&go_to(&mut with, 720)), []);
    act(&mut with, "//Charlie", share(Some("//Eve"), 1)).unwrap();
    act(&mut with, "//Charlie", share(Some("//Eve"), 0)).unwrap();
    assert_eq!(shared(&go_to(&mut with, 1080)), []);
    assert!(with.state().partners.is_empty(), "nothing is left behind");
    check(&with);
}

#[test]
fn a_tab_that_earns_for_itself_signs_for_itself() {
    let (mut ledger, _, other) = at_work();
    let id = key_of(&other);
    go_to(&mut ledger, 360);
    let key = Keypair::from_seed(KeyType::Ed25519, other.secret());
    assert_eq!(key.account(), id);
    let action = Action {
        account: id,
        nonce: 0,
        ..action(&ledger, "//Dave", share(Some("//Bob"), MAX_REVENUE_SHARE))
    };
    let signature = key.sign_raw(&action.message().unwrap());
    let signed = SignedAction {
        action,
        key: KeyType::Ed25519,
        signature,
    };
    ledger.action(360, signed).unwrap();
    let applied = go_to(&mut ledger, 720);
    let paid = shared(&applied);
    assert_eq!(paid.len(), 1);
    let bob = account("//Bob");
    assert_eq!((paid[0].0, paid[0].1, paid[0].2), (id, id, bob));
    assert_eq!(stake(&ledger, &bob, &bob), paid[0].3);
    // What it earns for a wallet later is the wallet's to share.
    authorise(&mut ledger, "//Eve", &other, 9);
    assert_eq!(shared(&go_to(&mut ledger, 1080)), []);
    check(&ledger);
}

#[test]
fn a_share_is_refused_that_is_too_high_or_goes_nowhere() {
    let mut ledger = ledger();
    let before = ledger.clone();
    let stranger = AccountId([99; 32]);
    for (call, error) in [
        (
            share(Some("//Eve"), MAX_REVENUE_SHARE + 1),
            LedgerError::RevenueShareTooHigh(MAX_REVENUE_SHARE),
        ),
        (share(Some("//Charlie"), 10), LedgerError::SameDestination),
        (
            Call::SetRevenueShare {
                netuid: RUN,
                partner: Some(stranger),
                share: 10,
            },
            LedgerError::UnknownAccount(stranger),
        ),
        (
            Call::SetRevenueShare {
                netuid: NetUid(9),
                partner: None,
                share: 0,
            },
            LedgerError::SubnetNotExists(NetUid(9)),
        ),
    ] {
        assert_eq!(act(&mut ledger, "//Charlie", call), Err(error));
        assert_eq!(ledger, before, "a refusal changes nothing");
    }
}

#[test]
fn an_owner_cannot_be_paid_as_a_contributor_by_sharing_it() {
    let (mut ledger, mine, _) = at_work();
    authorise(&mut ledger, "//Alice", &mine, 6);
    act(&mut ledger, "//Alice", share(Some("//Eve"), 30_000)).unwrap();
    assert_eq!(shared(&go_to(&mut ledger, 360)), []);
    assert_eq!(stake(&ledger, &account("//Eve"), &account("//Eve")), 0);
    check(&ledger);
}

fn swap(ledger: &mut Ledger, old: &str, new: &str) {
    let new_coldkey = account(new);
    let new_coldkey_hash = hash_of(&new_coldkey);
    act(ledger, old, Call::AnnounceColdkeySwap { new_coldkey_hash }).unwrap();
    let height = ledger.state().height + 5 * 7200;
    go_to(ledger, height);
    act(ledger, old, Call::SwapColdkeyAnnounced { new_coldkey }).unwrap();
}

#[test]
fn shares_follow_a_coldkey_that_is_swapped_as_giver_and_as_partner() {
    let of = |ledger: &Ledger, who: &str| {
        let share = ledger.state().partners.share(RUN, &account(who));
        share.map(|share| (share.partner, share.share))
    };
    let mut ledger = slow_ledger();
    act(&mut ledger, "//Charlie", share(Some("//Bob"), 7)).unwrap();
    act(&mut ledger, "//Alice", share(Some("//Charlie"), 8)).unwrap();
    // Its own word stays when somebody moves in.
    let mut spoken = ledger.clone();
    act(&mut spoken, "//Dave", share(Some("//Alice"), 9)).unwrap();
    swap(&mut ledger, "//Charlie", "//Dave");
    swap(&mut spoken, "//Charlie", "//Dave");
    for (ledger, daves) in [(&ledger, ("//Bob", 7)), (&spoken, ("//Alice", 9))] {
        assert_eq!(of(ledger, "//Charlie"), None);
        assert_eq!(of(ledger, "//Dave"), Some((account(daves.0), daves.1)));
        assert_eq!(of(ledger, "//Alice"), Some((account("//Dave"), 8)));
    }
    // A giver that becomes its own partner gives nothing.
    swap(&mut ledger, "//Bob", "//Dave");
    assert_eq!(of(&ledger, "//Dave"), None);
    check(&ledger);
}

#[test]
fn a_suspension_is_an_entry_and_a_notice_and_ends_nobodys_share() {
    let (mut ledger, mine, _) = at_work();
    let first = ledger.clone();
    let blog: PartnerId = "example-blog".parse().unwrap();
    act(&mut ledger, "//Charlie", share(Some("//Eve"), 100)).unwrap();
    let refused = ledger.partnership(0, blog, false);
    assert_eq!(refused, Err(LedgerError::PartnerNotSuspended(blog)));
    let applied = ledger.partnership(0, blog, true).unwrap();
    let suspended = true;
    assert_eq!(
        applied.events,
        [Event::PartnershipChanged {
            partner: blog,
            suspended
        }]
    );
    let text = applied.entry.clone().line().text();
    assert!(text.contains(r#""partnership":{"partner":"example-blog","suspended":true}"#));
    assert!(ledger.state().partners.is_suspended(&blog));
    let before = ledger.clone();
    let again = ledger.partnership(0, blog, true);
    assert_eq!(again, Err(LedgerError::PartnerSuspended(blog)));
    assert_eq!(ledger, before, "a refusal changes nothing");
    let notice = ledger.state().notices.iter().next_back().unwrap().clone();
    assert_eq!(
        notice.subject,
        Subject::Partnership {
            partner: blog,
            suspended
        }
    );
    assert_eq!(notice.status, Status::Done { at: 0 });
    assert_eq!(shared(&go_to(&mut ledger, 360)).len(), 1, "{mine:?} shares");
    ledger.partnership(360, blog, false).unwrap();
    assert!(!ledger.state().partners.is_suspended(&blog));
    assert_eq!(ledger.state().notices.iter().count(), 2);

    // Anyone who replays the journal arrives at the same.
    let mut replay = first;
    let body = Body::Partnership {
        partner: blog,
        suspended,
    };
    let entry = Entry {
        index: replay.len(),
        height: 0,
        previous: replay.head(),
        body,
    };
    let applied = replay.replay(&entry).unwrap();
    assert_eq!(applied.events.len(), 1);
    assert!(replay.state().partners.is_suspended(&blog));
}

#[test]
fn a_snapshot_keeps_partners_and_nothing_that_only_looks_like_them() {
    let (mut ledger, _, _) = at_work();
    act(&mut ledger, "//Charlie", share(Some("//Eve"), 100)).unwrap();
    ledger
        .partnership(0, "example-blog".parse().unwrap(), true)
        .unwrap();
    let epoch = go_to(&mut ledger, 360).pop().unwrap().entry;
    let bytes = ledger.snapshot();
    let read = Ledger::from_snapshot(&bytes, &epoch).unwrap();
    assert_eq!(read, ledger);
    let mut readable = 0;
    for kept in 4..bytes.len() {
        assert!(Ledger::from_snapshot(&bytes[..kept], &epoch).is_err());
        // Where the partners begin, what is before them is a state as well: another one.
        if let Some(other) = Ledger::restore(&bytes[..kept]) {
            assert!(other.state().partners.is_empty(), "cut at {kept}");
            assert_ne!(other.state().hash(), ledger.state().hash());
            readable += 1;
        }
    }
    assert_eq!(readable, 1);
    // Without partners the same state ends before them, and takes nothing after its end.
    let (mut plain, _, _) = at_work();
    go_to(&mut plain, 360);
    let bytes = plain.snapshot();
    assert_eq!(Ledger::restore(&bytes), Some(plain));
    for more in [vec![0], vec![0, 0], vec![1], vec![0, 0, 0]] {
        assert_eq!(Ledger::restore(&[bytes.clone(), more].concat()), None);
    }
}

#[test]
fn more_partners_than_anybody_has_cannot_be_suspended() {
    use covey_ledger::partner::MAX_SUSPENDED;
    let mut ledger = ledger();
    for n in 0..MAX_SUSPENDED {
        let partner = format!("p{n}").parse().unwrap();
        ledger.partnership(0, partner, true).unwrap();
    }
    let one_more = ledger.partnership(0, "one-more".parse().unwrap(), true);
    assert_eq!(one_more, Err(LedgerError::TooManySuspended(MAX_SUSPENDED)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_share_conserves_what_was_earned(part in 0..=MAX_REVENUE_SHARE, epochs in 1..4_u64) {
        let (mut ledger, mine, _) = at_work();
        let mut without = ledger.clone();
        act(&mut ledger, "//Charlie", share(Some("//Eve"), part)).unwrap();
        let given: u64 = shared(&go_to(&mut ledger, 360 * epochs)).iter().map(|paid| paid.3).sum();
        go_to(&mut without, 360 * epochs);
        check(&ledger);
        let (charlie, eve) = (account("//Charlie"), account("//Eve"));
        let whole = stake(&without, &key_of(&mine), &charlie);
        prop_assert_eq!(stake(&ledger, &eve, &eve), given);
        prop_assert_eq!(stake(&ledger, &key_of(&mine), &charlie) + given, whole);
        prop_assert_eq!(given > 0, part > 0);
        let earned = Alpha(whole).0;
        prop_assert!(given <= earned / 2);
    }
}
