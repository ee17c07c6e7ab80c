//! Validators that lie, over many epochs on a real ledger: ten of them with equal stake, some of which say
//! what is not so. Contributors come and go, as tabs do.

#[path = "../../coordinator/examples/attacks/lies.rs"]
mod lies;

use std::collections::BTreeMap;

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, NetUid, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::{Genesis, GenesisStake, GenesisSubnet},
    params::{Rules, Schedule},
    signing::keys::Keypair,
};
use covey_protocol::Hash;
use lies::Lie;

const RUN: NetUid = NetUid(1);
const UNIT: u64 = 1_000_000_000;
const VALIDATORS: u8 = 10;
const EPOCHS: u64 = 60;
const CONTRIBUTORS: u64 = 12;
/// Epochs that a contributor stays.
const STAYS: u64 = 12;

fn validator(n: u8) -> Keypair {
    Keypair::from_seed(KeyType::Ed25519, [n; 32])
}

fn account(kind: u8, n: u64) -> AccountId {
    let mut id = [kind; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

const FRIEND: AccountId = AccountId([0xFF; 32]);

/// The owner's stake is too small to matter; it sets no weights.
fn ledger() -> Ledger {
    let owner = account(0xA0, 0);
    let stake = |coldkey, hotkey, alpha: u64| GenesisStake {
        coldkey,
        hotkey,
        alpha: Alpha(alpha * UNIT),
    };
    let mut stakes = vec![stake(owner, owner, 1)];
    stakes.extend((1..=VALIDATORS).map(|n| {
        let key = validator(n).account();
        stake(key, key, 1000)
    }));
    let genesis = Genesis {
        chain: Hash([9; 32]),
        development: true,
        started_ms: 0,
        schedule: Schedule {
            tempo: 10,
            // So little that stakes stay equal: what is compared is earned per stake.
            alpha_per_block: Alpha(UNIT / 1000),
            tao_per_block: Rao(1000),
            ..Schedule::default()
        },
        rules: Rules::default(),
        accounts: Vec::new(),
        subnet: GenesisSubnet {
            owner,
            owner_hotkey: owner,
            tao: Rao(10_000 * UNIT),
            alpha: Alpha(20_000 * UNIT),
            stakes,
        },
        council: [1, 2, 3].map(|n| account(0xC0, n)).to_vec(),
        threshold: 2,
        roles: Vec::new(),
    };
    Ledger::new(genesis).expect("founded").0
}

/// A number that looks random, below `below`.
fn draw(parts: [u64; 3], below: u64) -> u64 {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_le_bytes()).collect();
    let Hash(hash) = Hash::of(&bytes);
    u64::from_le_bytes(hash[..8].try_into().expect("eight bytes")) % below
}

/// What an honest validator sees in an epoch: who is there, how good each is, and its own luck.
fn seen(by: u8, epoch: u64) -> Vec<(AccountId, u16)> {
    let mut weights: Vec<(AccountId, u16)> = (0..CONTRIBUTORS)
        .map(|seat| {
            // Seats change hands at different times.
            let who = (epoch + seat) / STAYS * CONTRIBUTORS + seat;
            let good = 30_000 + draw([1, who, 0], 30_000);
            let luck = draw([u64::from(by) + 2, who, epoch], 4_000);
            // One in three is of no use, and everybody who looks can tell.
            let worth = if draw([0, who, 0], 3) == 0 {
                0
            } else {
                good + luck
            };
            let weight = u16::try_from(worth).expect("below 65536");
            (account(0x10, who), weight)
        })
        .collect();
    weights.sort_unstable();
    weights
}

fn say(ledger: &mut Ledger, key: &Keypair, weights: Vec<(AccountId, u16)>) {
    let state = ledger.state();
    let (account, height) = (key.account(), state.height);
    let nonce = state.accounts.get(&account).map_or(0, |known| known.nonce);
    let action = Action {
        app: APP.to_owned(),
        chain: state.chain,
        account,
        nonce,
        expires: height,
        call: Call::SetWeights {
            netuid: RUN,
            weights,
        },
    };
    let signature = key.sign_raw(&action.message().expect("canonical"));
    let key = key.kind();
    let signed = SignedAction {
        action,
        key,
        signature,
    };
    ledger.action(height, signed).expect("recorded");
}

/// What everybody earned over all epochs: dividends by validator, and the friend's incentive as a share.
struct Earned {
    dividends: BTreeMap<AccountId, u64>,
    friend: f64,
}

impl Earned {
    fn of(&self, n: u8) -> f64 {
        let earned = self.dividends.get(&validator(n).account());
        earned.copied().unwrap_or_default() as f64
    }

    /// What the liar with the most earned, for one unit of what the honest one with the least did.
    fn best_liar(&self, liars: u8) -> f64 {
        let most = (1..=liars).map(|n| self.of(n)).fold(0.0, f64::max);
        let least = (liars + 1..=VALIDATORS).map(|n| self.of(n));
        most / least.fold(f64::INFINITY, f64::min)
    }
}

fn run(liars: u8, lie: Lie) -> Earned {
    let mut ledger = ledger();
    let (mut dividends, mut friend, mut all) = (BTreeMap::new(), 0.0, 0.0);
    for epoch in 1..=EPOCHS {
        for n in 1..=VALIDATORS {
            let honest = seen(n, epoch);
            let weights = if n <= liars {
                lie.weights(&honest, &seen(VALIDATORS, epoch - 1), FRIEND)
            } else {
                honest
            };
            say(&mut ledger, &validator(n), weights);
        }
        let due = ledger.next_epoch();
        ledger.epoch(due).expect("an epoch");
        let place = ledger.state().subnets.get(&RUN).expect("a subnet");
        let report = place.report.as_ref().expect("an epoch was");
        for (hotkey, amount) in &report.dividends {
            *dividends.entry(*hotkey).or_default() += amount.0;
        }
        for (hotkey, amount) in &report.incentive {
            all += amount.0 as f64;
            if *hotkey == FRIEND {
                friend += amount.0 as f64;
            }
        }
    }
    let friend = friend / all;
    Earned { dividends, friend }
}

#[test]
fn honest_validators_earn_about_the_same_for_their_stake() {
    let earned = run(0, Lie::Inverted);
    let all: Vec<f64> = (1..=VALIDATORS).map(|n| earned.of(n)).collect();
    let most = all.iter().copied().fold(0.0, f64::max);
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least > 0.95 * most, "{all:?}");
}

/// What the best liar of a kind earns at most, for one unit of an honest validator's. A copier is the
/// mildest: what it says was true an epoch ago.
fn at_most(lie: Lie) -> f64 {
    match lie {
        Lie::Inverted => 0.6,
        Lie::Friend => 0.02,
        Lie::LateCopy => 0.85,
    }
}

#[test]
fn validators_that_lie_earn_far_less_than_honest_ones_while_they_have_less_than_half_of_the_stake()
{
    for liars in [1, 2, 4] {
        for lie in Lie::ALL {
            let earned = run(liars, lie);
            let (best, friend) = (earned.best_liar(liars), earned.friend);
            let words = format!(
                "{liars} of {VALIDATORS}, {}: {best:.3}, friend {friend:.4}",
                lie.name()
            );
            println!("{words}");
            assert!(best < at_most(lie), "{words}");
            assert!(friend < 0.001, "{words}");
        }
    }
}

#[test]
fn with_more_than_half_of_the_stake_a_lie_is_the_consensus() {
    let earned = run(6, Lie::Friend);
    assert!(earned.friend > 0.9, "{}", earned.friend);
    assert!(earned.best_liar(6) > 1.0);
}
