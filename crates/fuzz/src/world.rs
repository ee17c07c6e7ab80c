//! A small run for the targets to play in: a ledger with people, stakes, locks, announcements and two
//! epochs behind it.

use std::sync::LazyLock;

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, NetUid, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::{Genesis, GenesisStake, GenesisSubnet},
    governance::Role,
    journal::Entry,
    params::{Rules, Schedule},
    signing::keys::Keypair,
    supply,
};
use covey_protocol::Hash;

pub const RUN: NetUid = NetUid(1);
const T: u64 = 1_000_000_000;
pub const PEOPLE: [&str; 4] = ["//Alice", "//Bob", "//Charlie", "//Dave"];

/// A ledger and the entries that made it.
#[derive(Clone)]
pub struct World {
    pub ledger: Ledger,
    pub journal: Vec<Entry>,
}

/// ed25519 throughout: it is the quicker of the two, and every input signs something.
pub fn key(name: &str) -> Keypair {
    Keypair::from_suri(KeyType::Ed25519, name).expect("a development account")
}

pub fn account(name: &str) -> AccountId {
    key(name).account()
}

pub fn genesis() -> Genesis {
    let stake = |name: &str, alpha: u64| GenesisStake {
        coldkey: account(name),
        hotkey: account(name),
        alpha: Alpha(alpha * T),
    };
    Genesis {
        chain: Hash([9; 32]),
        development: true,
        started_ms: 1_700_000_000_000,
        schedule: Schedule {
            ownership_age: 720,
            least_notice: 10,
            ..Schedule::default()
        },
        rules: Rules::default(),
        accounts: PEOPLE.map(|name| (account(name), Rao(2000 * T))).to_vec(),
        subnet: GenesisSubnet {
            owner: account("//Alice"),
            owner_hotkey: AccountId([1; 32]),
            tao: Rao(10_000 * T),
            alpha: Alpha(20_000 * T),
            stakes: vec![stake("//Bob", 3000), stake("//Charlie", 2000)],
        },
        council: vec![account("//Charlie"), account("//Dave")],
        threshold: 2,
        roles: vec![(Role::Moderator, account("//Dave"))],
    }
}

/// What happens in it, by whom.
pub fn calls() -> Vec<(&'static str, Call)> {
    let (bob, charlie) = (account("//Bob"), account("//Charlie"));
    let netuid = RUN;
    vec![
        (
            "//Dave",
            Call::AddStake {
                hotkey: bob,
                netuid,
                amount_staked: Rao(100 * T),
            },
        ),
        (
            "//Charlie",
            Call::LockStake {
                hotkey: charlie,
                netuid,
                amount: Alpha(1500 * T),
            },
        ),
        (
            "//Charlie",
            Call::UnlockStake {
                netuid,
                amount: Alpha(500 * T),
            },
        ),
        (
            "//Bob",
            Call::SetWeights {
                netuid,
                weights: {
                    let mut weights = vec![(bob, 1), (charlie, 3)];
                    weights.sort_unstable();
                    weights
                },
            },
        ),
        (
            "//Dave",
            Call::MoveStake {
                origin_hotkey: bob,
                destination_hotkey: charlie,
                origin_netuid: netuid,
                destination_netuid: netuid,
                alpha_amount: Alpha(10 * T),
            },
        ),
        (
            "//Bob",
            Call::AnnounceColdkeySwap {
                new_coldkey_hash: Hash::of(&charlie.0),
            },
        ),
        (
            "//Dave",
            Call::Propose {
                effect: covey_ledger::governance::Effect::AssignRole {
                    role: Role::Moderator,
                    holder: bob,
                },
                reason: Hash([3; 32]),
            },
        ),
    ]
}

/// An action that is signed rightly and comes at the right time.
pub fn signed(ledger: &Ledger, by: &str, call: Call) -> Option<SignedAction> {
    let key = key(by);
    let account = key.account();
    let state = ledger.state();
    let action = Action {
        app: APP.to_owned(),
        chain: state.chain,
        account,
        nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
        expires: state.height.saturating_add(100),
        call,
    };
    let signature = key.sign_raw(&action.message().ok()?);
    Some(SignedAction {
        action,
        key: key.kind(),
        signature,
    })
}

/// The run.
pub fn world() -> World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        let (mut ledger, first) = Ledger::new(genesis()).expect("the genesis fits together");
        let mut journal = vec![first];
        for (by, call) in calls() {
            let height = ledger.state().height + 1;
            let action = signed(&ledger, by, call).expect("the action can be written");
            journal.push(
                ledger
                    .action(height, action)
                    .expect("the call is good")
                    .entry,
            );
        }
        for height in [360, 720] {
            journal.push(ledger.epoch(height).expect("the epoch is due").entry);
        }
        World { ledger, journal }
    });
    WORLD.clone()
}

/// The books balance, and go on to do so over the next epoch.
pub fn sound(ledger: &Ledger) {
    supply::check(ledger.state()).expect("the books balance");
    let mut later = ledger.clone();
    let due = later.next_epoch();
    later.epoch(due).expect("an epoch that is due runs");
    supply::check(later.state()).expect("the books balance after an epoch");
}
