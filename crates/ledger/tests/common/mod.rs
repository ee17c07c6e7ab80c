//! A small run with named people, and signed actions by them.
#![allow(dead_code, reason = "every test uses a part of it")]

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, LedgerError, NetUid, Rao,
    call::{APP, Action, Call, SignedAction},
    event::Event,
    genesis::{Genesis, GenesisStake, GenesisSubnet},
    governance::Role,
    ledger::Applied,
    params::{Rules, Schedule},
    signing::keys::Keypair,
};
use covey_protocol::Hash;

pub const RUN: NetUid = NetUid(1);
pub const T: u64 = 1_000_000_000;

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
/// council, two of three; Ferdie moderates. Everybody else has TAO.
pub fn genesis() -> Genesis {
    let stake = |coldkey: &str, n: u8, alpha: u64| GenesisStake {
        coldkey: account(coldkey),
        hotkey: hotkey(n),
        alpha: Alpha(alpha * T),
    };
    Genesis {
        chain: Hash([9; 32]),
        development: true,
        started_ms: 0,
        schedule: Schedule {
            ownership_age: 720,
            least_notice: 10,
            ..Schedule::default()
        },
        rules: Rules::default(),
        accounts: ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"]
            .map(|name| (account(name), Rao(1000 * T)))
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

pub fn ledger() -> Ledger {
    Ledger::new(genesis()).unwrap().0
}

/// The same run with almost no emission, so that what people have stays in proportion.
pub fn slow_ledger() -> Ledger {
    let mut genesis = genesis();
    genesis.schedule.alpha_per_block = Alpha(1000);
    genesis.schedule.tao_per_block = Rao(1000);
    Ledger::new(genesis).unwrap().0
}

pub fn action(ledger: &Ledger, by: &str, call: Call) -> Action {
    let account = account(by);
    Action {
        app: APP.to_owned(),
        chain: ledger.state().chain,
        account,
        nonce: ledger.state().accounts.get(&account).map_or(0, |a| a.nonce),
        expires: ledger.state().height + 100,
        call,
    }
}

pub fn signed(by: &str, action: Action) -> SignedAction {
    let key = key(by);
    let signature = key.sign_raw(&action.message().unwrap());
    SignedAction {
        action,
        key: key.kind(),
        signature,
    }
}

/// Does a call now.
pub fn act(ledger: &mut Ledger, by: &str, call: Call) -> Result<Vec<Event>, LedgerError> {
    let action = signed(by, action(ledger, by, call));
    let height = ledger.state().height;
    ledger.action(height, action).map(|applied| applied.events)
}

/// Moves to a height, with every epoch on the way.
pub fn go_to(ledger: &mut Ledger, height: u64) -> Vec<Applied> {
    let mut all = Vec::new();
    while ledger.next_epoch() <= height {
        all.push(ledger.epoch(height).unwrap());
    }
    if ledger.state().height < height {
        all.push(ledger.clock(height).unwrap());
    }
    all
}

/// TAO and alpha are where the books say, to the rao, and no lock is above its stake.
pub fn check(ledger: &Ledger) {
    let state = ledger.state();
    let held: u128 = state
        .accounts
        .values()
        .map(|a| u128::from(a.balance.0))
        .sum();
    let pooled: u128 = state.subnets.values().map(|s| u128::from(s.pool.tao)).sum();
    assert_eq!(
        held + pooled,
        u128::from(state.issuance.0),
        "TAO is conserved"
    );
    for subnet in state.subnets.values() {
        let staked: u128 = subnet
            .stakes
            .values()
            .map(|p| u128::from(p.value().0))
            .sum();
        let beside = subnet.protocol_alpha.0 + subnet.alpha_burned.0 + subnet.pending.0;
        assert_eq!(
            staked + u128::from(beside),
            u128::from(subnet.alpha_out.0),
            "alpha is conserved"
        );
        for pool in subnet.stakes.values() {
            let sum: u128 = pool.stakes().map(|(_, stake)| u128::from(stake.0)).sum();
            assert!(sum <= u128::from(pool.value().0), "no stake without cover");
        }
        for (coldkey, _) in subnet.locks.iter() {
            let lock = subnet.lock(coldkey, state.height).unwrap();
            let total = subnet.total_stake(coldkey);
            assert!(
                lock.bound(state.height) <= total,
                "a lock is covered by stake"
            );
        }
    }
}
