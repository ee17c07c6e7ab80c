//! Session authorisations: the text a wallet shows, its strict reading, and every reason to refuse.

use covey_ledger::signing::keys::Keypair;
use covey_ledger::signing::session::{
    MAX_CLOCK_SKEW_MS, MAX_LIFETIME_MS, Scope, SessionAuthorisation, SessionError, SignedSession,
};
use covey_ledger::{AccountId, KeyType};
use covey_protocol::{Hash, Identity, SignatureBytes};
use proptest::prelude::*;

const RUN: Hash = Hash([7; 32]);
const DOMAINS: [&str; 2] = ["covey.run", "localhost:8080"];
const ISSUED: u64 = 1_795_404_720_000;
const HOUR: u64 = 3_600_000;

fn tab() -> Identity {
    Identity::from_secret([3; 32])
}

fn authorisation(kind: KeyType) -> SessionAuthorisation {
    SessionAuthorisation {
        domain: "covey.run".to_owned(),
        run: RUN,
        coldkey: Keypair::from_suri(kind, "//Alice").unwrap().account(),
        session_key: AccountId(tab().id().0),
        scope: Scope::Contribute,
        issued_at_ms: ISSUED,
        expires_at_ms: ISSUED + 24 * HOUR,
        nonce: "k2Jd83hfa9".to_owned(),
    }
}

fn signed(kind: KeyType, authorisation: SessionAuthorisation) -> SignedSession {
    let wallet = Keypair::from_suri(kind, "//Alice").unwrap();
    SignedSession {
        wallet: kind,
        wallet_signature: wallet.sign_raw(authorisation.message().as_bytes()),
        key_signature: authorisation.sign_with_key(&tab()),
        authorisation,
    }
}

fn check(session: &SignedSession) -> Result<(), SessionError> {
    session.verify(&RUN, ISSUED + HOUR, &DOMAINS)
}

#[test]
fn the_wallet_shows_plain_words() {
    assert_eq!(
        authorisation(KeyType::Sr25519).message(),
        "covey.run wants you to authorise a key to contribute with your account:
5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY

The key can sign training work whose earnings go to your account. It cannot move, stake or lock anything.

Version: 1
Run: 0707070707070707070707070707070707070707070707070707070707070707
Session Key: ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1
Scope: contribute
Issued At: 2026-11-23T03:32:00.000Z
Expires At: 2026-11-24T03:32:00.000Z
Nonce: k2Jd83hfa9"
    );
}

#[test]
fn a_session_signed_by_either_kind_of_wallet_holds_and_travels_as_json() {
    for kind in [KeyType::Sr25519, KeyType::Ed25519] {
        let session = signed(kind, authorisation(kind));
        assert_eq!(check(&session), Ok(()));
        let json = serde_json::to_string(&session).unwrap();
        let back: SignedSession = serde_json::from_str(&json).unwrap();
        assert_eq!(back, session);
        assert_eq!(check(&back), Ok(()));
    }
}

#[test]
fn a_session_holds_in_its_place_run_and_time_only() {
    let session = signed(KeyType::Sr25519, authorisation(KeyType::Sr25519));
    let at = |now| session.verify(&RUN, now, &DOMAINS);
    assert_eq!(
        session.verify(&RUN, ISSUED, &["evil.example"]),
        Err(SessionError::WrongDomain("covey.run".to_owned()))
    );
    assert_eq!(
        session.verify(&Hash([8; 32]), ISSUED, &DOMAINS),
        Err(SessionError::WrongRun(RUN))
    );
    assert_eq!(
        at(ISSUED - MAX_CLOCK_SKEW_MS - 1),
        Err(SessionError::NotYetValid)
    );
    assert_eq!(at(ISSUED - MAX_CLOCK_SKEW_MS), Ok(()));
    assert_eq!(at(ISSUED + 24 * HOUR - 1), Ok(()));
    assert_eq!(at(ISSUED + 24 * HOUR), Err(SessionError::Expired));
}

#[test]
fn a_session_lasts_ninety_days_at_most() {
    let mut terms = authorisation(KeyType::Ed25519);
    terms.expires_at_ms = ISSUED + MAX_LIFETIME_MS;
    assert_eq!(check(&signed(KeyType::Ed25519, terms.clone())), Ok(()));
    terms.expires_at_ms += 1;
    assert_eq!(
        check(&signed(KeyType::Ed25519, terms)),
        Err(SessionError::LifetimeTooLong(MAX_LIFETIME_MS + 1))
    );
}

#[test]
fn nobody_claims_a_key_that_does_not_agree() {
    // Mallory's wallet signs for Alice's tab: the tab's key has only agreed to Alice.
    let alice = signed(KeyType::Sr25519, authorisation(KeyType::Sr25519));
    let mallory = Keypair::from_seed(KeyType::Sr25519, [66; 32]);
    let mut terms = alice.authorisation.clone();
    terms.coldkey = mallory.account();
    let mut stolen = SignedSession {
        wallet_signature: mallory.sign_raw(terms.message().as_bytes()),
        authorisation: terms,
        ..alice.clone()
    };
    assert_eq!(check(&stolen), Err(SessionError::BadKeySignature));
    // A signature by the key for another purpose is none for this one.
    stolen.key_signature = tab().sign(
        "covey 2026-11 hello signature",
        stolen.authorisation.message().as_bytes(),
    );
    assert_eq!(check(&stolen), Err(SessionError::BadKeySignature));
    // The tab alone cannot authorise itself either.
    let forged = SignedSession {
        wallet_signature: SignatureBytes([1; 64]),
        ..alice
    };
    assert_eq!(check(&forged), Err(SessionError::BadWalletSignature));
}

#[test]
fn no_field_can_be_changed_after_signing() {
    let good = signed(KeyType::Ed25519, authorisation(KeyType::Ed25519));
    let changes: [fn(&mut SessionAuthorisation); 6] = [
        |terms| terms.domain = "localhost:8080".to_owned(),
        |terms| terms.coldkey.0[31] ^= 1,
        |terms| terms.session_key.0[31] ^= 1,
        |terms| terms.issued_at_ms += 1,
        |terms| terms.expires_at_ms += 1,
        |terms| terms.nonce.push('a'),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut session = good.clone();
        change(&mut session.authorisation);
        assert_eq!(
            check(&session),
            Err(SessionError::BadWalletSignature),
            "change {number}"
        );
    }
    // The run is looked at before the signatures; ask for the run that it was changed to.
    let mut session = good.clone();
    session.authorisation.run = Hash([8; 32]);
    assert_eq!(
        session.verify(&Hash([8; 32]), ISSUED, &DOMAINS),
        Err(SessionError::BadWalletSignature)
    );
    let mut session = good;
    session.wallet = KeyType::Sr25519;
    assert_eq!(check(&session), Err(SessionError::BadWalletSignature));
}

#[test]
fn fields_that_could_forge_a_line_are_malformed() {
    let changes: [fn(&mut SessionAuthorisation); 12] = [
        |terms| terms.domain = String::new(),
        |terms| terms.domain = "covey.run\nScope: all".to_owned(),
        |terms| terms.domain = "Covey.run".to_owned(),
        |terms| terms.domain = "covey..run".to_owned(),
        |terms| terms.domain = "covey.run:080".to_owned(),
        |terms| terms.domain = "covey.run:65536".to_owned(),
        |terms| terms.domain = "a.".repeat(200) + "run",
        |terms| terms.nonce = String::new(),
        |terms| terms.nonce = "a".repeat(33),
        |terms| terms.nonce = "a\nb".to_owned(),
        |terms| terms.expires_at_ms = terms.issued_at_ms,
        |terms| terms.expires_at_ms = u64::MAX,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut terms = authorisation(KeyType::Ed25519);
        change(&mut terms);
        assert!(
            matches!(terms.check_form(), Err(SessionError::Malformed(_))),
            "change {number}"
        );
        assert!(
            matches!(
                SessionAuthorisation::parse(&terms.message()),
                Err(SessionError::Malformed(_))
            ),
            "change {number}"
        );
        // Signed properly, and still refused.
        assert!(
            matches!(
                check(&signed(KeyType::Ed25519, terms)),
                Err(SessionError::Malformed(_))
            ),
            "change {number}"
        );
    }
}

#[test]
fn a_text_that_promises_something_else_is_malformed() {
    let text = authorisation(KeyType::Ed25519).message();
    assert!(SessionAuthorisation::parse(&text).is_ok());
    for changed in [
        text.replace("cannot move", "can move"),
        text.replace("Version: 1", "Version: 2"),
        text.replace("Scope: contribute", "Scope: everything"),
        text.replace("Nonce: ", "Nonce:  "),
        text.replace("\n\nVersion", "\nVersion"),
        text.replace('\n', "\r\n"),
        text.replace("ed4928", "ED4928"),
        format!("{text}\n"),
        format!("{text}\nMore: yes"),
        text + &"a".repeat(2000),
    ] {
        assert!(
            matches!(
                SessionAuthorisation::parse(&changed),
                Err(SessionError::Malformed(_))
            ),
            "{changed}"
        );
    }
}

fn authorisations() -> impl Strategy<Value = SessionAuthorisation> {
    (
        "[a-z0-9]{1,20}(-[a-z0-9]{1,20})?(\\.[a-z0-9]{1,20}){0,3}(:[1-9][0-9]{0,3})?",
        any::<([u8; 32], [u8; 32], [u8; 32])>(),
        0u64..253_402_300_799_999,
        1u64..=MAX_LIFETIME_MS,
        "[A-Za-z0-9]{1,32}",
    )
        .prop_map(
            |(domain, (run, coldkey, session_key), issued_at_ms, life, nonce)| {
                SessionAuthorisation {
                    domain,
                    run: Hash(run),
                    coldkey: AccountId(coldkey),
                    session_key: AccountId(session_key),
                    scope: Scope::Contribute,
                    issued_at_ms,
                    expires_at_ms: (issued_at_ms + life).min(253_402_300_799_999),
                    nonce,
                }
            },
        )
}

proptest! {
    #[test]
    fn reading_undoes_writing(terms in authorisations()) {
        prop_assert_eq!(SessionAuthorisation::parse(&terms.message()), Ok(terms));
    }

    #[test]
    fn a_changed_text_never_reads_as_the_same(terms in authorisations(), at: prop::sample::Index, to in "\\PC") {
        let text = terms.message();
        let at = at.index(text.len());
        let mut changed = text.clone();
        changed.replace_range(at..=at, &to);
        if let Ok(other) = SessionAuthorisation::parse(&changed) {
            prop_assert_eq!(other == terms, changed == text);
            prop_assert_eq!(other.message(), changed);
        }
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,300}") {
        prop_assert!(SessionAuthorisation::parse(&text).is_err());
    }
}
