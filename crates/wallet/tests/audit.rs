//! Opening, following and auditing a journal: what is right passes in any form, what is altered is found.

mod common;

use common::*;
use covey_ledger::{AccountId, KeyType, call::Call, journal::MAX_LINE};
use covey_protocol::Identity;
use covey_wallet::{
    Audit, Wallet, WalletError, amount,
    session::{Session, Terms},
    view::history::describe,
};
use proptest::prelude::*;

fn run() -> Run {
    let mut run = Run::new(genesis());
    run.act("//Dave", stake(2, 100 * T));
    run.go_to(400);
    run.act("//Bob", lock(2, 1000 * T));
    run.go_to(800);
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_cuts_give_the_same_audit(cuts in prop::collection::vec(1..900_usize, 1..40)) {
        let run = run();
        let lines = run.lines();
        let mut audit = Audit::new();
        let (mut rest, mut cuts) = (lines.as_str(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, next) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            audit.feed(piece).unwrap();
            rest = next;
        }
        let end = audit.finish().unwrap();
        prop_assert_eq!(end.head, run.ledger.head().to_string());
        prop_assert_eq!(end.epochs, 2);
        prop_assert_eq!(end.entries, run.journal.len() as u64);
    }

    #[test]
    fn any_altered_byte_is_found(at: prop::sample::Index, to in b' '..b'~') {
        let run = run();
        let mut bytes = run.lines().into_bytes();
        // Without the last line feed, which may be absent.
        let at = at.index(bytes.len() - 1);
        prop_assume!(bytes[at] != to);
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes[at] = to;
        let text = String::from_utf8(bytes).unwrap();
        let mut audit = Audit::new();
        let wrong = audit.feed(&text).and_then(|_| audit.finish()).unwrap_err();
        prop_assert_eq!(wrong.index(), Some(line), "{}", wrong);
        prop_assert_eq!(audit.feed("\n"), Err(wrong));
    }
}

#[test]
fn a_line_without_end_is_not_kept_for_ever() {
    let mut audit = Audit::new();
    let piece = "x".repeat(MAX_LINE / 2 + 1);
    audit.feed(&piece).unwrap();
    let wrong = audit.feed(&piece).unwrap_err();
    assert_eq!(
        (wrong.name().as_str(), wrong.index()),
        ("Unreadable", Some(0))
    );
    assert_eq!(Audit::new().finish().unwrap_err().name(), "Genesis");
}

#[test]
fn a_copy_opens_at_the_genesis_or_an_epoch_and_follows() {
    let run = run();
    let lines = run.lines();
    let genesis = lines.lines().next().unwrap();
    let mut wallet = Wallet::open(format!("{genesis}\n").as_bytes()).unwrap();
    let applied = wallet.apply(&lines).unwrap();
    assert_eq!(applied.entries, run.journal.len() as u64 - 1);
    assert_eq!(wallet.ledger(), &run.ledger);
    assert_eq!(applied.log[0].account, Some(account("//Dave").to_string()));
    assert!(
        applied.log[1]
            .title
            .starts_with("Epoch: emission was paid; ")
    );
    assert_eq!(applied.log[2].account, None);
    // Nothing twice, and nothing out of order.
    assert_eq!(wallet.apply(&lines).unwrap().entries, 0);
    let mut early = Wallet::open(genesis.as_bytes()).unwrap_err();
    assert_eq!(early.name(), "Unreadable", "a line feed ends the line");
    let mut other = Wallet::open(format!("{genesis}\n").as_bytes()).unwrap();
    early = other.apply(lines.lines().nth(2).unwrap()).unwrap_err();
    assert_eq!((early.name().as_str(), early.index()), ("Order", Some(1)));
}

#[test]
fn another_last_entry_than_the_one_applied_is_a_fork() {
    let mut one = Run::new(genesis());
    let mut other = Run::new(genesis());
    one.act("//Dave", stake(2, T));
    other.act("//Dave", stake(2, 2 * T));
    let mut wallet = one.wallet();
    let fork = other.lines();
    let wrong = wallet.apply(fork.lines().nth(1).unwrap()).unwrap_err();
    assert_eq!((wrong.name().as_str(), wrong.index()), ("Hash", Some(1)));
}

#[test]
fn entries_before_the_wrong_one_stay_applied() {
    let run = run();
    let genesis = run.lines().lines().next().unwrap().to_owned() + "\n";
    let mut wallet = Wallet::open(genesis.as_bytes()).unwrap();
    let lines = run.lines();
    let altered = lines.replace(r#""amount":"1000000000000""#, r#""amount":"2000000000000""#);
    assert_ne!(lines, altered);
    let wrong = wallet.apply(&altered).unwrap_err();
    assert_eq!(wrong.index(), Some(wallet.ledger().len()));
    assert!(wallet.ledger().len() > 1);
}

#[test]
fn a_snapshot_that_its_entry_does_not_vouch_for_is_refused() {
    let mut run = run();
    run.go_to(1080);
    let whole = run.snapshot();
    assert!(Wallet::open(&whole).is_ok());
    for at in [whole.len() - 1, whole.len() / 2 + 200] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert!(Wallet::open(&damaged).is_err(), "{at}");
    }
    for cut in [0, 10, whole.len() - 1] {
        assert!(Wallet::open(&whole[..cut]).is_err(), "{cut}");
    }
    let endless = vec![b'x'; MAX_LINE * 2];
    assert_eq!(Wallet::open(&endless).unwrap_err().name(), "Unreadable");
}

#[test]
fn entries_are_described_in_words() {
    let run = run();
    let titles: Vec<String> = run
        .lines()
        .lines()
        .map(|line| describe(line).unwrap().title)
        .collect();
    assert_eq!(titles[0], "The run was founded");
    assert!(titles[1].starts_with("Stake 100 TAO on "));
    assert_eq!(titles[2], "Epoch: emission was paid");
    assert!(titles[3].ends_with("clock to height 400"));
    assert!(describe("{}").is_err());
}

fn terms(key: &Identity) -> Terms {
    Terms {
        domain: "covey.example:8443".to_owned(),
        run: "09".repeat(32),
        account: account("//Bob").to_string(),
        session_key: format!("0x{}", key.id()),
        now_ms: 1_700_000_000_000,
        days: 30,
    }
}

#[test]
fn a_session_is_sealed_by_both_keys_and_the_ledger_takes_it() {
    let tab = Identity::from_secret([5; 32]);
    let session = Session::new(&terms(&tab), [7; 16]).unwrap();
    let text = session.text();
    let authorisation = covey_ledger::signing::session::SessionAuthorisation::parse(&text);
    let authorisation = authorisation.unwrap();
    assert_eq!(authorisation.session_key, AccountId(tab.id().0));
    let wallet = key("//Bob").sign_raw(text.as_bytes()).to_string();
    let own = authorisation.sign_with_key(&tab).to_string();
    let body = session.seal(KeyType::Sr25519, &wallet, &own).unwrap();
    let mut run = run();
    let signed = serde_json::from_str(&body).unwrap();
    run.ledger.session(run.height(), signed).unwrap();
    let view = run.wallet().overview(&account("//Bob"), 0);
    assert_eq!(view.sessions.len(), 1);
    assert_eq!(view.sessions[0].session_key, tab.id().to_string());
    let refused = |wallet: &str, own: &str| {
        let seal = session.seal(KeyType::Sr25519, wallet, own);
        seal.unwrap_err().name()
    };
    assert_eq!(refused(&own, &own), "BadSession");
    assert_eq!(refused(&wallet, &wallet), "BadSession");
    assert_eq!(refused(&wallet, "00"), "BadSignature");
}

#[test]
fn a_session_s_terms_are_checked() {
    let tab = Identity::from_secret([5; 32]);
    let refused = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms(&tab);
        change(&mut terms);
        Session::new(&terms, [7; 16]).unwrap_err().name()
    };
    assert_eq!(refused(&|terms| terms.days = 0), "Unreadable");
    assert_eq!(refused(&|terms| terms.days = 91), "Unreadable");
    assert_eq!(refused(&|terms| terms.run = "09".to_owned()), "Chain");
    assert_eq!(
        refused(&|terms| terms.domain = "No Host".to_owned()),
        "BadSession"
    );
    assert_eq!(refused(&|terms| terms.account = "5x".to_owned()), "Account");
    assert_eq!(
        refused(&|terms| terms.session_key = "12".to_owned()),
        "Account"
    );
}

proptest! {
    #[test]
    fn amounts_survive_both_directions(units: u64) {
        let text = units.to_string();
        let decimal = amount::format(&text).unwrap();
        prop_assert_eq!(amount::parse(&decimal), Ok(text));
    }

    #[test]
    fn no_text_is_read_as_an_amount_that_it_is_not(text in "\\PC{0,24}") {
        if let Ok(units) = amount::parse(&text) {
            prop_assert!(text.trim().bytes().all(|c| c.is_ascii_digit() || c == b'.'));
            prop_assert!(amount::format(&units).is_ok());
        }
        if let Ok(units) = amount::read(&text) {
            prop_assert_eq!(units.to_string().len() <= text.len(), true);
        }
        let _ = amount::account(&text);
    }
}

#[test]
fn wrong_amounts_and_accounts_have_their_names() {
    for text in ["", "1e9", "-1", "+5", "1.5"] {
        assert!(
            matches!(amount::read(text), Err(WalletError::Amount(_))),
            "{text}"
        );
    }
    assert_eq!(amount::parse("1,5").unwrap_err().name(), "Amount");
    assert_eq!(amount::account("0x00").unwrap_err().name(), "Account");
    let hex = format!("0x{}", "AB".repeat(32));
    assert_eq!(amount::account(&hex), Ok(AccountId([0xab; 32])));
}

#[test]
fn an_unsigned_call_cannot_be_drafted_for_a_stranger() {
    let run = run();
    let wallet = run.wallet();
    let draft = wallet.draft(hotkey(200), Call::CancelColdkeySwap {}, run.height());
    assert_eq!(draft.unwrap_err().name(), "UnknownAccount");
}
