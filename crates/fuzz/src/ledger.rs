//! What people send to the ledger and what is read from texts: names, sessions, actions, a genesis.

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, Rao,
    call::{Call, SignedAction},
    genesis::Genesis,
    signing::{
        canonical as form,
        keys::Keypair,
        parse_wallet_signature,
        session::{Scope, SessionAuthorisation, SignedSession},
    },
};
use covey_protocol::{Hash, Identity, PartnerId, SignatureBytes, VolunteerId};

use crate::world::{PEOPLE, RUN, account, calls, genesis as example, signed, sound, world};

/// Everything short that a person pastes: accounts, amounts, hashes, signatures.
pub mod names {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        if let Ok(account) = text.parse::<AccountId>() {
            assert_eq!(account.to_string(), text);
            assert_eq!(AccountId::from_any_network(text), Ok(account));
            // The last digit is of the checksum alone.
            let (rest, digit) = text.split_at(text.len() - 1);
            for other in "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".chars() {
                let other = format!("{rest}{other}");
                assert_eq!(other.parse::<AccountId>().is_ok(), other.ends_with(digit));
            }
        }
        let _ = AccountId::from_any_network(text);
        let _ = covey_wallet::amount::account(text);
        if let Ok(amount) = text.parse::<Rao>() {
            assert_eq!(amount.to_string().parse::<Rao>(), Ok(amount));
        }
        if let Ok(units) = covey_wallet::amount::parse(text) {
            let decimal = covey_wallet::amount::format(&units).expect("digits of a u64");
            assert_eq!(covey_wallet::amount::parse(&decimal), Ok(units));
        }
        let _ = covey_wallet::amount::format(text);
        if let Ok(amount) = text.parse::<Alpha>() {
            assert_eq!(amount.to_string().parse::<Alpha>(), Ok(amount));
        }
        if let Ok(hash) = text.parse::<Hash>() {
            assert_eq!(hash.to_string(), text);
        }
        if let Ok(volunteer) = text.parse::<VolunteerId>() {
            assert_eq!(volunteer.to_string(), text);
        }
        if let Ok(signature) = text.parse::<SignatureBytes>() {
            assert_eq!(signature.to_string(), text);
        }
        if let Ok(partner) = text.parse::<PartnerId>() {
            assert_eq!(partner.to_string(), text);
        }
        for kind in [KeyType::Ed25519, KeyType::Sr25519] {
            if let Ok(pair) = Keypair::from_suri(kind, text) {
                assert_eq!(pair.kind(), kind);
            }
        }
        if let Ok((_, signature)) = parse_wallet_signature(text) {
            assert!(text.to_ascii_lowercase().ends_with(&signature.to_string()));
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let signature = Keypair::from_seed(KeyType::Ed25519, [1; 32]).sign_raw(b"x");
        [
            account("//Alice").to_string(),
            format!("0x{}", Hash(account("//Bob").0)),
            "1.25".to_owned(),
            "18446744073.709551615".to_owned(),
            Hash([0xab; 32]).to_string(),
            format!("0x01{signature}"),
            signature.to_string(),
            // Alice's key under Polkadot's prefix.
            "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5".to_owned(),
            "//Ferdie".to_owned(),
            "a-partner-0".to_owned(),
        ]
        .map(String::into_bytes)
        .to_vec()
    }
}

pub mod canonical {
    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(value) = form::parse_canonical(data) {
            assert_eq!(form::canonical(&value).expect("it was canonical"), data);
        }
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(data)
            && let Ok(bytes) = form::canonical(&value)
        {
            assert_eq!(form::parse_canonical(&bytes), Ok(value));
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let text = br#"{"":false,"a":{"B":"\u001f\"\\","A":""},"b":[1,-2,null,9007199254740991]}"#;
        let action = signed(&world().ledger, "//Bob", calls().swap_remove(0).1).expect("an action");
        vec![
            text.to_vec(),
            action.action.message().expect("it can be written"),
        ]
    }
}

/// Both what a wallet signs as text and what a tab sends as JSON.
pub mod session {
    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(text) = std::str::from_utf8(data)
            && let Ok(terms) = SessionAuthorisation::parse(text)
        {
            assert_eq!(terms.message(), text);
        }
        let Ok(sent) = serde_json::from_slice::<SignedSession>(data) else {
            return;
        };
        let terms = &sent.authorisation;
        let read = SessionAuthorisation::parse(&terms.message());
        if terms.check_form().is_ok() {
            assert_eq!(read.as_ref(), Ok(terms));
        }
        let (run, domains) = (terms.run, [terms.domain.as_str()]);
        let _ = sent.verify(&run, terms.issued_at_ms, &domains);
        // With both signatures right it is good exactly when its form and its time are.
        let pair = signed_by(terms.clone());
        let verified = pair.verify(&run, terms.issued_at_ms, &domains);
        if verified.is_ok() {
            assert!(pair.authorisation.check_form().is_ok());
            let mut ledger = world().ledger;
            let before = ledger.clone();
            let height = ledger.state().height;
            match ledger.session(height, pair) {
                Ok(_) => sound(&ledger),
                Err(_) => assert_eq!(ledger, before),
            }
        }
    }

    fn signed_by(mut terms: SessionAuthorisation) -> SignedSession {
        let wallet = Keypair::from_seed(KeyType::Ed25519, [1; 32]);
        let key = Identity::from_secret([2; 32]);
        terms.coldkey = wallet.account();
        terms.session_key = AccountId(key.id().0);
        SignedSession {
            wallet: wallet.kind(),
            wallet_signature: wallet.sign_raw(terms.message().as_bytes()),
            key_signature: terms.sign_with_key(&key),
            authorisation: terms,
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let terms = SessionAuthorisation {
            domain: "covey.example:8443".to_owned(),
            run: world().ledger.state().chain,
            coldkey: account("//Bob"),
            session_key: AccountId([0; 32]),
            scope: Scope::Contribute,
            issued_at_ms: 1_700_000_000_000,
            expires_at_ms: 1_700_086_400_000,
            nonce: "n0nce".to_owned(),
        };
        let sent = signed_by(terms);
        let json = serde_json::to_vec(&sent).expect("it can be written");
        vec![sent.authorisation.message().into_bytes(), json]
    }
}

pub mod genesis {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(genesis) = serde_json::from_slice::<Genesis>(data) else {
            return;
        };
        let Ok((ledger, entry)) = Ledger::new(genesis) else {
            return;
        };
        assert_eq!(Ledger::from_genesis(&entry).as_ref(), Ok(&ledger));
        sound(&ledger);
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![serde_json::to_vec(&example()).expect("it can be written")]
    }
}

/// Anything an account may ask for: as it came, and asked again by somebody with a good signature.
pub mod action {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(sent) = serde_json::from_slice::<SignedAction>(data) else {
            return;
        };
        let text = serde_json::to_vec(&sent).expect("what was read can be written");
        assert_eq!(
            serde_json::from_slice::<SignedAction>(&text).ok(),
            Some(sent.clone())
        );
        let _ = sent.verify();
        let ledger = world().ledger;
        ask(&ledger, sent.clone());
        for by in PEOPLE {
            if let Some(action) = signed(&ledger, by, sent.action.call.clone()) {
                ask(&ledger, action);
            }
        }
    }

    fn ask(ledger: &Ledger, action: SignedAction) {
        let mut after = ledger.clone();
        let height = ledger.state().height;
        match after.action(height, action) {
            Ok(_) => sound(&after),
            Err(_) => assert_eq!(&after, ledger),
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let ledger = world().ledger;
        let more = [
            Call::RemoveStakeFullLimit {
                hotkey: account("//Bob"),
                netuid: RUN,
                limit_price: None,
            },
            Call::TransferStake {
                destination_coldkey: account("//Alice"),
                hotkey: account("//Charlie"),
                origin_netuid: RUN,
                destination_netuid: RUN,
                alpha_amount: Alpha(5_000_000_000),
            },
            Call::SetPerpetualLock {
                netuid: RUN,
                enabled: false,
            },
            Call::BurnedRegister {
                netuid: RUN,
                hotkey: account("//Dave"),
            },
            Call::RegisterNetwork {
                hotkey: account("//Bob"),
            },
            Call::IncreaseTake {
                hotkey: account("//Bob"),
                take: 9000,
            },
            Call::Approve { proposal: 0 },
        ];
        let calls = calls().into_iter().map(|(_, call)| call).chain(more);
        calls
            .filter_map(|call| signed(&ledger, "//Bob", call))
            .map(|action| serde_json::to_vec(&action).expect("it can be written"))
            .collect()
    }
}

/// Calls of the chain, whose JSON comes from a page; the chain's bytes are only written here.
pub mod extrinsic {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(call) = serde_json::from_slice::<covey_subtensor::Call>(data) else {
            return;
        };
        let text = serde_json::to_vec(&call).expect("what was read can be written");
        let again: covey_subtensor::Call = serde_json::from_slice(&text).expect("and read again");
        assert_eq!(again.encode(), call.encode());
        assert_eq!(call.encode().get(1), Some(&call.index()));
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let hotkey = account("//Bob");
        let calls = [
            covey_subtensor::Call::AddStake {
                hotkey,
                netuid: 3,
                amount_staked: 1,
            },
            covey_subtensor::Call::SetPerpetualLock {
                netuid: 3,
                enabled: true,
            },
        ];
        calls
            .iter()
            .map(|call| serde_json::to_vec(call).expect("it can be written"))
            .collect()
    }
}
