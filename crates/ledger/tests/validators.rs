//! How a tab's key becomes a validator: registered, staked on, and then heard by its own signature.

mod common;

use common::{RUN, T, account, act, genesis, go_to, hotkey, ledger};
use covey_ledger::{
    AccountId, Alpha, Ledger, LedgerError, Rao,
    call::{Call, SignedAction},
    epoch,
};
use covey_protocol::Identity;

fn tab() -> Identity {
    Identity::from_secret([7; 32])
}

fn key() -> AccountId {
    AccountId(tab().id().0)
}

fn standing(ledger: &Ledger) -> epoch::Standing {
    let state = ledger.state();
    let place = state.subnets.get(&RUN).expect("the run");
    epoch::standing(place, &key(), &state.schedule)
}

fn say(ledger: &mut Ledger, weights: Vec<(AccountId, u16)>) -> Result<(), LedgerError> {
    let state = ledger.state();
    let (chain, height) = (state.chain, state.height);
    let nonce = state.accounts.get(&key()).map_or(0, |known| known.nonce);
    let signed = SignedAction::set_weights(&tab(), chain, nonce, height + 10, RUN, weights);
    ledger.action(height, signed.expect("exact")).map(drop)
}

fn register() -> Call {
    Call::BurnedRegister {
        netuid: RUN,
        hotkey: key(),
    }
}

fn stake(amount: u64) -> Call {
    Call::AddStake {
        hotkey: key(),
        netuid: RUN,
        amount_staked: Rao(amount),
    }
}

#[test]
fn a_key_is_heard_once_it_is_registered_and_staked_on() {
    let mut ledger = ledger();
    let weights = vec![(hotkey(0x20), u16::MAX)];
    assert!(!standing(&ledger).registered);
    assert_eq!(
        say(&mut ledger, weights.clone()),
        Err(LedgerError::UnknownAccount(key()))
    );
    act(&mut ledger, "//Bob", register()).expect("registered");
    let registered = standing(&ledger);
    assert!(registered.registered && !registered.permit);
    assert_eq!(registered.stake, Alpha::ZERO);
    act(&mut ledger, "//Bob", stake(500 * T)).expect("staked");
    assert!(standing(&ledger).permit);
    say(&mut ledger, weights).expect("said");
    assert_eq!(standing(&ledger).said, Some(ledger.state().height));

    let due = ledger.next_epoch();
    go_to(&mut ledger, due);
    let place = ledger.state().subnets.get(&RUN).expect("the run");
    let paid = &place.report.as_ref().expect("an epoch").dividends;
    assert!(
        paid.iter()
            .any(|(to, amount)| *to == key() && !amount.is_zero())
    );
    assert!(ledger.state().owner_of(&key()) == Some(account("//Bob")));
}

#[test]
fn only_the_largest_have_permits_but_the_owner_always_has_one() {
    let mut genesis = genesis();
    genesis.schedule.validators = 2;
    let mut ledger = Ledger::new(genesis).expect("founded").0;
    act(&mut ledger, "//Bob", register()).expect("registered");
    act(&mut ledger, "//Bob", stake(900 * T)).expect("staked");
    // Bob's and Charlie's managers have 3000 and 2000.
    assert!(!standing(&ledger).permit);
    let state = ledger.state();
    let place = state.subnets.get(&RUN).expect("the run");
    let owner = epoch::standing(place, &place.owner_hotkey, &state.schedule);
    assert!(owner.permit && owner.stake < standing(&ledger).stake);
}
