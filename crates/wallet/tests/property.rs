//! Over random actions: what a draft shows is what happens, it shows every change of what people have, and
//! what it refuses the ledger refuses with the same words.

mod common;

use common::*;
use covey_ledger::{
    Alpha, Rao,
    call::{Call, SignedAction},
    state::State,
};
use covey_wallet::{WalletError, view::draft::Draft};
use proptest::prelude::*;

const PEOPLE: [&str; 6] = [
    "//Alice",
    "//Bob",
    "//Charlie",
    "//Dave",
    "//Eve",
    "//Ferdie",
];

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, 0..4000 * T, Just(u64::MAX), Just(1000 * T)]
}

fn call() -> impl Strategy<Value = Call> {
    let hotkey = || (1..5_u8).prop_map(hotkey);
    let person = || (0..PEOPLE.len()).prop_map(|at| account(PEOPLE[at]));
    let (netuid, origin_netuid, destination_netuid) = (RUN, RUN, RUN);
    prop_oneof![
        (hotkey(), amount(), amount(), any::<bool>()).prop_map(
            move |(hotkey, amount, price, allow_partial)| Call::AddStakeLimit {
                hotkey,
                netuid,
                amount_staked: Rao(amount),
                limit_price: Rao(price % (2 * T)),
                allow_partial,
            }
        ),
        (hotkey(), amount()).prop_map(move |(hotkey, amount)| Call::AddStake {
            hotkey,
            netuid,
            amount_staked: Rao(amount),
        }),
        (hotkey(), amount()).prop_map(move |(hotkey, amount)| Call::RemoveStake {
            hotkey,
            netuid,
            amount_unstaked: Alpha(amount),
        }),
        hotkey().prop_map(|hotkey| Call::UnstakeAll { hotkey }),
        (hotkey(), hotkey(), amount()).prop_map(move |(from, to, amount)| Call::MoveStake {
            origin_hotkey: from,
            destination_hotkey: to,
            origin_netuid,
            destination_netuid,
            alpha_amount: Alpha(amount),
        }),
        (person(), hotkey(), amount()).prop_map(move |(to, hotkey, amount)| Call::TransferStake {
            destination_coldkey: to,
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount: Alpha(amount),
        }),
        (person(), amount()).prop_map(|(dest, amount)| Call::TransferKeepAlive {
            dest,
            value: Rao(amount),
        }),
        (hotkey(), amount()).prop_map(move |(hotkey, amount)| Call::LockStake {
            hotkey,
            netuid,
            amount: Alpha(amount),
        }),
        hotkey().prop_map(move |destination_hotkey| Call::MoveLock {
            destination_hotkey,
            netuid,
        }),
        any::<bool>().prop_map(move |enabled| Call::SetPerpetualLock { netuid, enabled }),
        any::<bool>().prop_map(|enabled| Call::SetRejectLockedAlpha { enabled }),
        amount().prop_map(move |amount| Call::UnlockStake {
            netuid,
            amount: Alpha(amount),
        }),
        hotkey().prop_map(move |hotkey| Call::BurnedRegister { netuid, hotkey }),
    ]
}

/// Every number of what people have, in the words in which drafts show it.
fn holdings(state: &State) -> Vec<(String, String)> {
    let place = state.subnets.get(&RUN).unwrap();
    let mut all = Vec::new();
    for (id, account) in state.accounts.iter() {
        let name = id.to_string();
        all.push((
            format!("balance {name}"),
            format!("{} TAO", account.balance),
        ));
        let lock = place.lock(id, state.height);
        let mass = lock.map_or(Alpha::ZERO, |lock| lock.mass);
        all.push((format!("lock {name}"), format!("{mass} alpha")));
        let free = place.available(id, state.height);
        all.push((format!("free {name}"), format!("{free} alpha")));
        for n in 1..5 {
            let stake = place.stake(&hotkey(n), id);
            all.push((format!("stake {n} {name}"), format!("{stake} alpha")));
        }
    }
    all
}

fn shows_every_change(before: &State, draft: &Draft) {
    let (old, new) = (holdings(before), holdings(&draft.after));
    for (what, after) in new {
        let known = old.iter().find(|(name, _)| *name == what);
        let unit = if after.ends_with("TAO") {
            "0 TAO"
        } else {
            "0 alpha"
        };
        let known = known.map_or(unit, |(_, value)| value.as_str());
        if known != after {
            let shown = draft
                .effects
                .iter()
                .any(|line| line.before == known && line.after == after);
            assert!(shown, "{what}: {known} to {after} in {:#?}", draft.effects);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_shown_is_what_happens(
        steps in prop::collection::vec((0..PEOPLE.len(), call(), 0..20_000_u64), 1..12),
    ) {
        let mut run = Run::new(genesis());
        for (who, call, blocks) in steps {
            run.go_to(run.height() + blocks);
            let by = PEOPLE[who];
            match run.draft(by, call.clone()) {
                Ok(draft) => {
                    shows_every_change(run.ledger.state(), &draft);
                    prop_assert!(!draft.title.is_empty());
                    run.act(by, call);
                }
                Err(WalletError::Ledger(refusal)) => {
                    let height = run.height();
                    let state = run.ledger.state();
                    let id = account(by);
                    let action = covey_ledger::call::Action {
                        app: covey_ledger::call::APP.to_owned(),
                        chain: state.chain,
                        account: id,
                        nonce: state.accounts.get(&id).map_or(0, |known| known.nonce),
                        expires: height + 10,
                        call,
                    };
                    let signature = key(by).sign_raw(&action.message().unwrap());
                    let kind = covey_ledger::KeyType::Sr25519;
                    let signed = SignedAction { action, key: kind, signature };
                    prop_assert_eq!(run.ledger.clone().action(height, signed), Err(refusal));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn no_height_span_or_tolerance_panics(
        height: u64, span: u64, tolerance: f64, amount: u64, buy: bool,
    ) {
        let mut run = Run::new(genesis());
        run.act("//Bob", lock(2, 1000 * T));
        run.act("//Bob", Call::UnlockStake { netuid: RUN, amount: Alpha(T) });
        let wallet = run.wallet();
        let side = match buy {
            true => covey_wallet::view::quote::Side::Buy,
            false => covey_wallet::view::quote::Side::Sell,
        };
        let _ = wallet.quote(side, amount, tolerance);
        let height = if buy { height } else { height % 500_000 };
        let _ = wallet.overview(&account("//Bob"), height);
        let _ = wallet.managers(height);
        let _ = wallet.ownership(height);
        let _ = wallet.notices(height);
        let _ = wallet.projection(account("//Bob"), Some(&lock(2, amount)), height, span);
        let _ = wallet.draft(account("//Bob"), lock(2, amount), height);
    }
}
