//! A small run with named people, played through the ledger, and the wallet's view of it.
#![allow(dead_code, reason = "every test uses a part of it")]

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, NetUid, Rao,
    call::{Call, SignedAction},
    genesis::{Genesis, GenesisStake, GenesisSubnet},
    governance::Role,
    journal::Entry,
    params::{Rules, Schedule},
    signing::keys::Keypair,
};
use covey_protocol::Hash;
use covey_wallet::{Wallet, WalletError, view::draft::Draft};

pub const RUN: NetUid = NetUid(1);
pub const T: u64 = 1_000_000_000;
pub const DAY: u64 = 7200;

pub fn key(name: &str) -> Keypair {
    Keypair::from_suri(KeyType::Sr25519, name).unwrap()
}

pub fn account(name: &str) -> AccountId {
    key(name).account()
}

/// A hotkey nobody signs with.
pub fn hotkey(n: u8) -> AccountId {
    AccountId([n; 32])
}

/// Alice owns the run with hotkey 1; Bob's manager is hotkey 2, Charlie's 3. Dave, Eve and Ferdie are the
/// council, two of three; Ferdie moderates. Almost nothing is emitted, so that what people have stays in
/// proportion.
pub fn genesis() -> Genesis {
    let stake = |coldkey: &str, n: u8, alpha: u64| GenesisStake {
        coldkey: account(coldkey),
        hotkey: hotkey(n),
        alpha: Alpha(alpha * T),
    };
    Genesis {
        chain: Hash([9; 32]),
        development: true,
        started_ms: 1_700_000_000_000,
        schedule: Schedule {
            ownership_age: 720,
            least_notice: 10,
            alpha_per_block: Alpha(1000),
            tao_per_block: Rao(1000),
            ..Schedule::default()
        },
        rules: Rules::default(),
        accounts: ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"]
            .map(|name| (account(name), Rao(2000 * T)))
            .to_vec(),
        subnet: GenesisSubnet {
            owner: account("//Alice"),
            owner_hotkey: hotkey(1),
            tao: Rao(10_000 * T),
            alpha: Alpha(20_000 * T),
            stakes: vec![
                stake("//Alice", 1, 1000),
                stake("//Bob", 2, 3000),
                stake("//Charlie", 3, 2000),
            ],
        },
        council: ["//Dave", "//Eve", "//Ferdie"].map(account).to_vec(),
        threshold: 2,
        roles: vec![(Role::Moderator, account("//Ferdie"))],
    }
}

/// A ledger with its journal.
pub struct Run {
    pub ledger: Ledger,
    pub journal: Vec<Entry>,
}

impl Run {
    pub fn new(genesis: Genesis) -> Self {
        let (ledger, entry) = Ledger::new(genesis).unwrap();
        Self {
            ledger,
            journal: vec![entry],
        }
    }

    pub fn wallet(&self) -> Wallet {
        Wallet::from_ledger(self.ledger.clone())
    }

    pub fn height(&self) -> u64 {
        self.ledger.state().height
    }

    /// Moves to a height, with every epoch on the way.
    pub fn go_to(&mut self, height: u64) {
        while self.ledger.next_epoch() <= height {
            self.journal.push(self.ledger.epoch(height).unwrap().entry);
        }
        if self.height() < height {
            self.journal.push(self.ledger.clock(height).unwrap().entry);
        }
    }

    pub fn draft(&self, by: &str, call: Call) -> Result<Draft, WalletError> {
        self.wallet().draft(account(by), call, self.height())
    }

    /// Does what a page does: draft, sign, seal, send. Checks that what happened is what was drafted.
    pub fn act(&mut self, by: &str, call: Call) -> Draft {
        let draft = self.draft(by, call).unwrap();
        let signature = key(by).sign_raw(draft.message.as_bytes());
        let sealed = self
            .wallet()
            .seal(
                draft.action.clone(),
                KeyType::Sr25519,
                &signature.to_string(),
            )
            .unwrap();
        let signed: SignedAction = serde_json::from_str(&sealed).unwrap();
        let applied = self.ledger.action(self.height(), signed).unwrap();
        assert_eq!(*self.ledger.state(), draft.after, "{}", draft.title);
        self.journal.push(applied.entry);
        draft
    }

    pub fn lines(&self) -> String {
        let lines = self.journal.iter().cloned();
        lines.map(|entry| entry.line().text() + "\n").collect()
    }

    /// What `GET /v1/ledger/snapshot` gives right after an epoch.
    pub fn snapshot(&self) -> Vec<u8> {
        let entry = self.journal.last().unwrap().clone();
        let mut bytes = entry.line().text().into_bytes();
        bytes.push(b'\n');
        bytes.extend(self.ledger.snapshot());
        bytes
    }
}

pub fn lock(n: u8, alpha: u64) -> Call {
    Call::LockStake {
        hotkey: hotkey(n),
        netuid: RUN,
        amount: Alpha(alpha),
    }
}

pub fn stake(n: u8, tao: u64) -> Call {
    Call::AddStake {
        hotkey: hotkey(n),
        netuid: RUN,
        amount_staked: Rao(tao),
    }
}

/// A draft's line by its label: before and after.
pub fn line<'a>(draft: &'a Draft, label: &str) -> (&'a str, &'a str) {
    let line = draft.effects.iter().find(|line| line.label == label);
    let line = line.unwrap_or_else(|| panic!("no line {label:?} in {:#?}", draft.effects));
    (&line.before, &line.after)
}
