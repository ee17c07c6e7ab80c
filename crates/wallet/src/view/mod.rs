//! What a person sees, as plain data in the shapes of `www/wallet/types.js`.
//!
//! Views read a [`State`](covey_ledger::state::State) whose height may be past its last entry; every
//! number is asked of the ledger's own functions at that height. They are about the run's own subnet.

pub mod draft;
mod effects;
pub mod head;
pub mod history;
pub mod lock;
pub mod managers;
pub mod notices;
pub mod overview;
pub mod ownership;
pub mod projection;
pub mod quote;
mod warnings;
mod words;

use covey_ledger::{
    AccountId, Alpha,
    fixed::U64F64,
    genesis::RUN,
    state::{State, Subnet},
};

/// The run's subnet. There always is one; a genesis makes it and nothing removes it.
pub(crate) fn run(state: &State) -> Option<&Subnet> {
    state.subnets.get(&RUN)
}

/// Base units as the page takes them.
pub(crate) fn units(amount: u64) -> String {
    amount.to_string()
}

/// Conviction in base units, cut off.
pub(crate) fn conviction(bits: U64F64) -> String {
    units(whole(bits))
}

pub(crate) fn whole(bits: U64F64) -> u64 {
    // 64 bits of whole number are a u64.
    u64::try_from(bits.to_bits() >> 64).unwrap_or(u64::MAX)
}

/// Everything an account has staked, by manager, ascending; nothing that is zero.
pub(crate) fn positions(place: &Subnet, account: &AccountId) -> Vec<(AccountId, Alpha)> {
    let stakes = place.stakes.iter();
    stakes
        .map(|(hotkey, pool)| (*hotkey, pool.stake(account)))
        .filter(|(_, stake)| !stake.is_zero())
        .collect()
}
