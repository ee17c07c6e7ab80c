//! The books must balance to the rao: whatever exists is in exactly one place.
//!
//! TAO is in accounts and pools; a subnet's alpha outside its pool is staked, the protocol's, burned or
//! not yet divided. No rule needs this: it is what the rules have to add up to, for whoever replays,
//! simulates or fuzzes them. What a reader would get wrong: locks are no place of their own. Locked alpha
//! stays in its stake, so a lock is only held against the stake that covers it.

use thiserror::Error;

use crate::{
    account::AccountId,
    state::State,
    units::{Alpha, NetUid},
};

/// Where the books do not balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Imbalance {
    #[error("accounts and pools hold {held} rao, but {issued} were issued")]
    Tao { held: u128, issued: u64 },
    #[error("subnet {netuid} holds {held} of its alpha outside the pool, but {issued} are out")]
    Alpha {
        netuid: NetUid,
        held: u128,
        issued: u64,
    },
    #[error("subnet {netuid} promises more stake on {hotkey} than is there")]
    Stake { netuid: NetUid, hotkey: AccountId },
    #[error("{coldkey} has locked more on subnet {netuid} than it has there: {bound}")]
    Lock {
        netuid: NetUid,
        coldkey: AccountId,
        bound: Alpha,
    },
}

/// Checks every sum.
///
/// # Errors
/// The first that is wrong.
pub fn check(state: &State) -> Result<(), Imbalance> {
    let balances = state
        .accounts
        .values()
        .map(|account| u128::from(account.balance.0));
    let pooled = state
        .subnets
        .values()
        .map(|subnet| u128::from(subnet.pool.tao));
    let held = balances.chain(pooled).sum();
    let issued = state.issuance.0;
    if held != u128::from(issued) {
        return Err(Imbalance::Tao { held, issued });
    }
    for (netuid, subnet) in state.subnets.iter() {
        let netuid = *netuid;
        let staked: u128 = subnet
            .stakes
            .values()
            .map(|pool| u128::from(pool.value().0))
            .sum();
        let beside = [subnet.protocol_alpha, subnet.alpha_burned, subnet.pending];
        let held = staked + beside.map(|alpha| u128::from(alpha.0)).iter().sum::<u128>();
        let issued = subnet.alpha_out.0;
        if held != u128::from(issued) {
            return Err(Imbalance::Alpha {
                netuid,
                held,
                issued,
            });
        }
        for (hotkey, pool) in subnet.stakes.iter() {
            let promised: u128 = pool.stakes().map(|(_, stake)| u128::from(stake.0)).sum();
            if promised > u128::from(pool.value().0) {
                let hotkey = *hotkey;
                return Err(Imbalance::Stake { netuid, hotkey });
            }
        }
        for (coldkey, _) in subnet.locks.iter() {
            let bound = subnet
                .lock(coldkey, state.height)
                .map_or(Alpha::ZERO, |lock| lock.bound(state.height));
            if bound > subnet.total_stake(coldkey) {
                let coldkey = *coldkey;
                return Err(Imbalance::Lock {
                    netuid,
                    coldkey,
                    bound,
                });
            }
        }
    }
    Ok(())
}
