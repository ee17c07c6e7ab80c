//! A ledger's run of generated actions and sixty epochs, for the bit-identity digest: signatures, trades,
//! locks, governance, consensus and the state's hash after each epoch.
//!
//! What a reader would get wrong: refusals are results, too. An action that one build accepts and another
//! refuses is just the difference that this is for, so every outcome's name goes into the hash.

use covey_ledger::apply::coldkey::hash_of;
use covey_ledger::call::{APP, Action, Call, SignedAction};
use covey_ledger::genesis::{Genesis, RUN};
use covey_ledger::governance::{Effect, Role, RuleChange};
use covey_ledger::signing::keys::{DEVELOPMENT_NAMES, Keypair};
use covey_ledger::{AccountId, Alpha, KeyType, Ledger, NetUid, Rao};
use serde_json::json;

use super::Outcome;
use super::identity::{Numbers, Results};

const ACTIONS: u64 = 160;
const EPOCHS: u64 = 60;
const TEMPO: u64 = 60;
const T: u64 = 1_000_000_000;

fn problem(problem: impl std::fmt::Display) -> String {
    problem.to_string()
}

/// Everybody is rich, everything happens soon, and both curves sign.
fn genesis(people: &[Keypair]) -> Outcome<Genesis> {
    let id = |n: usize| people.get(n).map(Keypair::account);
    let stake = |n: usize, alpha: u64| json!({ "coldkey": id(n), "hotkey": id(n), "alpha": Alpha(alpha * T) });
    let accounts: Vec<_> = people
        .iter()
        .map(|key| (key.account(), Rao(200_000 * T)))
        .collect();
    serde_json::from_value(json!({
        "chain": "07".repeat(32),
        "development": true,
        "started_ms": 0,
        "schedule": { "tempo": TEMPO, "ownership_age": 600, "least_notice": 10 },
        "rules": {
            "lock_rates": { "unlock": 2700, "maturity": 900 },
            "unlock_cliff": 120, "unlock_release": 600, "takeover_notice": 240,
            "governance_notice": 100, "coldkey_swap_delay": 90, "take_raise_interval": 200,
        },
        "accounts": accounts,
        "subnet": {
            "owner": id(0), "owner_hotkey": id(0),
            "tao": Rao(10_000 * T), "alpha": Alpha(20_000 * T),
            "stakes": [stake(0, 1000), stake(1, 3000), stake(2, 2000)],
        },
        "council": [id(3), id(4), id(5)],
        "threshold": 2,
        "roles": [["moderator", id(5)]],
    }))
    .map_err(problem)
}

pub(super) fn run(numbers: &mut Numbers, results: &mut Results) -> Outcome {
    let kinds = [KeyType::Sr25519, KeyType::Ed25519];
    let people = DEVELOPMENT_NAMES.iter().zip(kinds.iter().cycle());
    let people: Vec<Keypair> = people
        .map(|(name, kind)| Keypair::from_suri(*kind, name).map_err(problem))
        .collect::<Outcome<_>>()?;
    let (mut ledger, first) = Ledger::new(genesis(&people)?).map_err(problem)?;
    results.bytes(&first.hash().0);
    let mut accepted = 0_u64;
    for _ in 0..ACTIONS {
        let height = ledger.state().height + numbers.below(2 * EPOCHS * TEMPO / ACTIONS);
        while ledger.next_epoch() <= height {
            epoch(&mut ledger, results)?;
        }
        let by = numbers.below(people.len() as u64) as usize;
        let Some(key) = people.get(by) else {
            continue;
        };
        let account = key.account();
        let known = ledger.state().accounts.get(&account);
        let action = Action {
            app: APP.to_owned(),
            chain: ledger.state().chain,
            account,
            nonce: known.map_or(0, |account| account.nonce),
            expires: height + 5,
            call: call(&ledger, account, &people, numbers),
        };
        let message = action.message().map_err(problem)?;
        let signature = key.sign_raw(&message);
        results.bytes(&signature.0);
        let signed = SignedAction {
            action,
            key: key.kind(),
            signature,
        };
        match ledger.action(height, signed) {
            Ok(applied) => {
                accepted += 1;
                results.bytes(&applied.hash.0);
            }
            Err(error) => results.bytes(error.name().as_bytes()),
        }
    }
    while ledger.state().epoch < EPOCHS * TEMPO {
        epoch(&mut ledger, results)?;
    }
    results.bytes(&ledger.state().hash().0);
    if accepted < ACTIONS / 4 {
        return Err(format!(
            "only {accepted} of {ACTIONS} actions were accepted"
        ));
    }
    Ok(())
}

fn epoch(ledger: &mut Ledger, results: &mut Results) -> Outcome {
    let height = ledger.next_epoch();
    // The entry's hash covers the state's.
    results.bytes(&ledger.epoch(height).map_err(problem)?.hash.0);
    Ok(())
}

/// Something that an account may want, and often can.
fn call(ledger: &Ledger, me: AccountId, people: &[Keypair], numbers: &mut Numbers) -> Call {
    let state = ledger.state();
    let netuid = if numbers.below(3) == 0 {
        NetUid(2)
    } else {
        RUN
    };
    let other = numbers.below(people.len() as u64) as usize;
    let other = people.get(other).map_or(me, Keypair::account);
    let place = state.subnets.get(&netuid);
    let staked = place.map_or(0, |place| place.stake(&me, &me).0);
    let lock = place.and_then(|place| place.lock(&me, state.height));
    let target = lock.as_ref().map_or(me, |lock| lock.hotkey);
    let mass = lock.map_or(0, |lock| lock.mass.0);
    let free = place.map_or(0, |place| place.available(&me, state.height).0);
    let price = place.map_or(0, |place| place.pool.price_rao());
    let part = |numbers: &mut Numbers, all: u64| Alpha(numbers.below(all.saturating_add(2)));
    let open = state.governance.proposals.keys().next().copied();
    match numbers.below(22) {
        0 | 1 => Call::AddStake {
            hotkey: me,
            netuid,
            amount_staked: Rao(numbers.sized(42)),
        },
        2 => Call::AddStakeLimit {
            hotkey: other,
            netuid,
            amount_staked: Rao(numbers.sized(45)),
            limit_price: Rao(price + price / 50),
            allow_partial: true,
        },
        3 => Call::RemoveStake {
            hotkey: me,
            netuid,
            amount_unstaked: part(numbers, free),
        },
        4 => Call::RemoveStakeLimit {
            hotkey: me,
            netuid,
            amount_unstaked: part(numbers, staked),
            limit_price: Rao(price - price / 50),
            allow_partial: true,
        },
        5 => Call::MoveStake {
            origin_hotkey: me,
            destination_hotkey: other,
            origin_netuid: netuid,
            destination_netuid: netuid,
            alpha_amount: part(numbers, staked),
        },
        6 => Call::SwapStakeLimit {
            hotkey: me,
            origin_netuid: RUN,
            destination_netuid: NetUid(2),
            alpha_amount: part(numbers, free),
            limit_price: Rao(numbers.sized(30)),
            allow_partial: true,
        },
        7 => Call::TransferStake {
            destination_coldkey: other,
            hotkey: me,
            origin_netuid: netuid,
            destination_netuid: netuid,
            alpha_amount: part(numbers, staked),
        },
        8 | 9 => Call::LockStake {
            hotkey: target,
            netuid,
            amount: part(numbers, free),
        },
        10 => Call::MoveLock {
            destination_hotkey: other,
            netuid,
        },
        11 => Call::SetPerpetualLock {
            netuid,
            enabled: numbers.below(2) == 0,
        },
        12 => Call::UnlockStake {
            netuid,
            amount: part(numbers, mass),
        },
        13 => Call::SetRejectLockedAlpha {
            enabled: numbers.below(3) == 0,
        },
        14 => Call::BurnedRegister { netuid, hotkey: me },
        15 | 16 => {
            let mut weights: Vec<(AccountId, u16)> = people
                .iter()
                .map(|key| (key.account(), (numbers.sized(16) & 0xffff) as u16))
                .collect();
            weights.sort_unstable();
            Call::SetWeights { netuid, weights }
        }
        17 => Call::RegisterNetwork { hotkey: me },
        18 => Call::AnnounceColdkeySwap {
            new_coldkey_hash: hash_of(&other),
        },
        19 => {
            let effect = match numbers.below(3) {
                0 => Effect::SetRule(RuleChange::MaxTake((numbers.below(11_000)) as u16)),
                1 => Effect::AssignRole {
                    role: Role::Operator,
                    holder: other,
                },
                _ => Effect::SetRule(RuleChange::UnlockCliff(10 + numbers.below(500))),
            };
            Call::Propose {
                effect,
                reason: state.chain,
            }
        }
        20 => Call::Approve {
            proposal: open.unwrap_or_default(),
        },
        _ => Call::DecreaseTake {
            hotkey: me,
            take: (numbers.below(11_796)) as u16,
        },
    }
}
