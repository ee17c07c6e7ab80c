//! What a wallet page opens, the state of a whole run from a coordinator that nobody has to believe; and
//! what the page asks for.

use covey_ledger::{
    KeyType, Ledger, Rao,
    call::{Action, Call},
    signing::session::SessionAuthorisation,
};
use covey_wallet::{
    Wallet, amount,
    session::{Session, Terms},
    view::{history::describe, quote::Side},
};

use crate::{
    journal::vouched,
    world::{PEOPLE, RUN, account, calls, key, signed, world},
};

/// The state's bytes, read as they are; then with the head and the entry that vouch for them, which a
/// lying coordinator would make up as well. Every view of such a state is drawn.
pub mod snapshot {
    use super::*;

    pub fn run(data: &[u8]) {
        let _ = Wallet::open(data);
        let Some(ledger) = Ledger::restore(data) else {
            return;
        };
        assert_eq!(ledger.snapshot(), data, "one state has one snapshot");
        let entry = vouched(&ledger, ledger.len().saturating_sub(1));
        let Some(bytes) = with_head(data, &entry.hash()) else {
            return;
        };
        let mut body = entry.line().text().into_bytes();
        body.push(b'\n');
        body.extend(bytes);
        // A number beyond 2^53 has no canonical text, so nothing vouches for such a state.
        let Ok(wallet) = Wallet::open(&body) else {
            return;
        };
        look(&wallet);
    }

    /// The bytes with another head: magic, index, then the head's 64 digits behind their length.
    fn with_head(data: &[u8], head: &covey_protocol::Hash) -> Option<Vec<u8>> {
        let index = data.get(4..)?.iter().position(|byte| *byte < 128)?;
        let at = 4 + index + 2;
        let mut bytes = data.to_vec();
        bytes
            .get_mut(at..at + 64)?
            .copy_from_slice(head.to_string().as_bytes());
        Some(bytes)
    }

    fn look(wallet: &Wallet) {
        let height = wallet.ledger().state().height;
        for height in [
            height,
            height.saturating_add(100),
            height.saturating_add(100_000),
        ] {
            let _ = wallet.head();
            let _ = wallet.managers(height);
            let _ = wallet.ownership(height);
            let _ = wallet.notices(height);
            for name in PEOPLE {
                let _ = wallet.overview(&account(name), height);
            }
        }
        for side in [Side::Buy, Side::Sell] {
            let _ = wallet.quote(side, 1_000_000_000, 0.05);
        }
        let stake = Call::AddStake {
            hotkey: account("//Bob"),
            netuid: RUN,
            amount_staked: Rao(1_000_000_000),
        };
        let _ = wallet.draft(account("//Dave"), stake, height);
        let _ = wallet.projection(account("//Charlie"), None, height, 7200);
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut first = Ledger::new(crate::world::genesis()).expect("a genesis").0;
        let genesis = first.snapshot();
        first.epoch(360).expect("the epoch is due");
        vec![genesis, world().ledger.snapshot()]
    }
}

/// What the page hands to the module: calls to draft, actions to seal, terms of a session, and texts that
/// were typed, pasted or fetched.
pub mod page {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        let wallet = Wallet::from_ledger(world().ledger);
        let _ = describe(text);
        lines(wallet.clone(), text);
        if let Ok(units) = amount::read(text) {
            for (side, tolerance) in [(Side::Buy, 0.05), (Side::Sell, f64::NAN)] {
                let _ = wallet.quote(side, units, tolerance);
            }
        }
        if let Ok(call) = serde_json::from_str::<Call>(text) {
            draft(&wallet, &call);
        }
        if let Ok(action) = serde_json::from_str::<Action>(text) {
            seal(&wallet, action);
        }
        if let Ok(terms) = serde_json::from_str::<Terms>(text)
            && let Ok(session) = Session::new(&terms, [3; 16])
        {
            let text = session.text();
            assert!(SessionAuthorisation::parse(&text).is_ok(), "{text}");
            let signature = key("//Bob").sign_raw(text.as_bytes()).to_string();
            let _ = session.seal(KeyType::Ed25519, &signature, &signature);
        }
    }

    /// Lines of the journal, after which every view can still be drawn.
    fn lines(mut wallet: Wallet, text: &str) {
        let before = wallet.ledger().len();
        match wallet.apply(text) {
            Ok(applied) => assert_eq!(wallet.ledger().len(), before + applied.entries),
            Err(_) => assert!(wallet.ledger().len() >= before),
        }
    }

    /// What a draft shows is what the ledger then does.
    fn draft(wallet: &Wallet, call: &Call) {
        let height = wallet.ledger().state().height;
        for by in PEOPLE {
            let who = account(by);
            let later = height.saturating_add(1000);
            let _ = wallet.projection(who, Some(call), later, 7200);
            let Ok(draft) = wallet.draft(who, call.clone(), height) else {
                continue;
            };
            let signature = key(by).sign_raw(draft.message.as_bytes()).to_string();
            let sealed = wallet.seal(draft.action.clone(), KeyType::Ed25519, &signature);
            let sealed = sealed.expect("signed as it was drafted");
            let action = serde_json::from_str(&sealed).expect("what was written can be read");
            let mut ledger = wallet.ledger().clone();
            ledger.action(height, action).expect("as it was tried");
            assert_eq!(ledger.state().accounts, draft.after.accounts);
            assert_eq!(ledger.state().subnets, draft.after.subnets);
        }
    }

    fn seal(wallet: &Wallet, action: Action) {
        for signature in ["", "0x00", &"0".repeat(128)] {
            let sealed = wallet.seal(action.clone(), KeyType::Sr25519, signature);
            assert!(sealed.is_err(), "nobody signed");
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let world = world();
        let calls = calls();
        let action = signed(&world.ledger, "//Dave", calls[0].1.clone()).expect("an action");
        let terms = serde_json::json!({
            "domain": "covey.example",
            "run": world.ledger.state().chain,
            "account": account("//Bob"),
            "sessionKey": format!("0x{}", covey_protocol::Hash(account("//Charlie").0)),
            "nowMs": 1_700_000_000_000_u64,
            "days": 30,
        });
        let calls = calls
            .iter()
            .map(|(_, call)| serde_json::to_vec(call).expect("it can be written"));
        let last = world.journal.last().cloned().expect("entries");
        let next = vouched(&world.ledger, world.ledger.len());
        let lines = [last.line().text(), next.line().text()].join("\n");
        calls
            .chain([
                serde_json::to_vec(&action.action).expect("it can be written"),
                terms.to_string().into_bytes(),
                lines.into_bytes(),
                b"1000000000".to_vec(),
            ])
            .collect()
    }
}
