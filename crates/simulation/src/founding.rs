//! The ledger's beginning: who owns what, and rules with delays so short that a run comes to see their ends.

use covey_ledger::{
    Alpha, KeyType, Rao,
    genesis::{Genesis, GenesisStake, GenesisSubnet},
    governance::Role,
    params::{Rules, Schedule},
    signing::keys::Keypair,
    units::UNIT,
};
use covey_protocol::Identity;

use crate::{RUN, wallet, world::START_MS};

/// Blocks of twelve seconds in an epoch: a handful of rounds.
const TEMPO: u64 = 10;

/// The coordinator's key, which is a validator's hotkey.
pub fn coordinator() -> Keypair {
    let identity = Identity::from_secret([42; 32]);
    Keypair::from_seed(KeyType::Ed25519, identity.secret())
}

pub fn genesis(wallets: usize) -> Genesis {
    let coordinator = coordinator().account();
    let owner = wallet::key(0).account();
    let stake = |coldkey, hotkey, alpha: u64| GenesisStake {
        coldkey,
        hotkey,
        alpha: Alpha(alpha * UNIT),
    };
    let mut stakes = vec![
        stake(coordinator, coordinator, 1_000),
        stake(owner, wallet::manager(0), 1_000),
    ];
    let people = (1..wallets.max(3)).map(wallet::key);
    stakes.extend(people.map(|key| stake(key.account(), wallet::manager(1), 100)));
    Genesis {
        chain: RUN,
        development: false,
        started_ms: START_MS,
        schedule: Schedule {
            tempo: TEMPO,
            least_notice: 10,
            ..Schedule::default()
        },
        rules: Rules {
            unlock_cliff: 20,
            unlock_release: 40,
            takeover_notice: 20,
            governance_notice: 20,
            coldkey_swap_delay: 20,
            ..Rules::default()
        },
        accounts: (0..wallets.max(3))
            .map(|number| (wallet::key(number).account(), Rao(1_000 * UNIT)))
            .collect(),
        subnet: GenesisSubnet {
            owner,
            owner_hotkey: wallet::manager(0),
            tao: Rao(10_000 * UNIT),
            alpha: Alpha(20_000 * UNIT),
            stakes,
        },
        council: vec![wallet::key(1).account(), wallet::key(2).account()],
        threshold: 2,
        roles: vec![(Role::Moderator, wallet::key(1).account())],
    }
}
