//! Share pools: alpha staked on one hotkey of one subnet, by coldkey (economics section 2.2).
//!
//! Dividends to a hotkey raise everyone's stake pro rata by raising one number, the share price. A
//! position's shares are written as the stake it had when it last changed and the price at that moment:
//! `stake = floor(principal * price / entry)`, which is the spec's `value * share / total_shares`. What a
//! reader would get wrong is why it is not kept as a plain number of shares: converting an amount to shares
//! and back loses a rao, and then a deposit of everything a person has locked would leave less than the
//! lock. This way deposits and withdrawals are exact for the person and change nobody else.
//!
//! What rounding leaves over stays in the pool's value until the next dividend, so no rao is lost.

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    fixed::{U64F64, bits},
    map::Map,
    units::Alpha,
    wide::mul_div,
};

/// Alpha staked on one hotkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharePool {
    /// Everything staked, and what rounding has left over.
    value: Alpha,
    /// Alpha per share; starts at one and never falls.
    #[serde(with = "bits")]
    price: U64F64,
    positions: Map<AccountId, Position>,
}

/// One coldkey's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    principal: Alpha,
    #[serde(with = "bits")]
    entry: U64F64,
}

impl Position {
    fn stake(&self, price: U64F64) -> Alpha {
        if self.entry == price {
            return self.principal;
        }
        let scaled = mul_div(
            u128::from(self.principal.0),
            price.to_bits(),
            self.entry.to_bits(),
        );
        Alpha(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

impl Default for SharePool {
    fn default() -> Self {
        Self {
            value: Alpha::ZERO,
            price: U64F64::ONE,
            positions: Map::new_sync(),
        }
    }
}

impl SharePool {
    /// Everything in the pool.
    #[must_use]
    pub fn value(&self) -> Alpha {
        self.value
    }

    /// A coldkey's stake.
    #[must_use]
    pub fn stake(&self, coldkey: &AccountId) -> Alpha {
        let position = self.positions.get(coldkey);
        position.map_or(Alpha::ZERO, |position| position.stake(self.price))
    }

    /// Every staker with its stake.
    pub fn stakes(&self) -> impl Iterator<Item = (&AccountId, Alpha)> {
        let price = self.price;
        self.positions
            .iter()
            .map(move |(coldkey, position)| (coldkey, position.stake(price)))
    }

    /// Whether nobody stakes here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Adds to a coldkey's stake; `None`, and nothing changed, when the pool would overflow.
    #[must_use]
    pub fn deposit(&mut self, coldkey: AccountId, amount: Alpha) -> Option<()> {
        let value = self.value.checked_add(amount)?;
        let principal = self.stake(&coldkey).checked_add(amount)?;
        self.value = value;
        self.set(coldkey, principal);
        Some(())
    }

    /// Takes from a coldkey's stake; `None`, and nothing changed, when it has less. What is left over
    /// when the last staker leaves is returned as the second number: it belongs to nobody.
    #[must_use]
    pub fn withdraw(&mut self, coldkey: &AccountId, amount: Alpha) -> Option<Alpha> {
        let principal = self.stake(coldkey).checked_sub(amount)?;
        self.value = self.value.checked_sub(amount)?;
        self.set(*coldkey, principal);
        if self.positions.is_empty() {
            let dust = self.value;
            *self = Self::default();
            return Some(dust);
        }
        Some(Alpha::ZERO)
    }

    /// Raises every stake pro rata. `false`, and nothing changed, when nobody stakes here or the pool
    /// would overflow.
    #[must_use]
    pub fn dividend(&mut self, amount: Alpha) -> bool {
        let Some(value) = self.value.checked_add(amount) else {
            return false;
        };
        if self.positions.is_empty() || self.value.is_zero() {
            return false;
        }
        let price = mul_div(
            self.price.to_bits(),
            u128::from(value.0),
            u128::from(self.value.0),
        );
        if price == u128::MAX {
            return false;
        }
        self.value = value;
        self.price = U64F64::from_bits(price);
        true
    }

    fn set(&mut self, coldkey: AccountId, principal: Alpha) {
        if principal.is_zero() {
            self.positions.remove_mut(&coldkey);
        } else {
            let entry = self.price;
            self.positions
                .insert_mut(coldkey, Position { principal, entry });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Deposit(u8, u64),
        Withdraw(u8, u64),
        Dividend(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let amount = || prop_oneof![0..1000_u64, 0..u64::MAX / 64, Just(u64::MAX)];
        let step = prop_oneof![
            (0..4_u8, amount()).prop_map(|(who, amount)| Step::Deposit(who, amount)),
            (0..4_u8, amount()).prop_map(|(who, amount)| Step::Withdraw(who, amount)),
            amount().prop_map(Step::Dividend),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn deposits_and_withdrawals_are_exact_and_change_nobody_else(steps in steps()) {
            let mut pool = SharePool::default();
            let who = |n: u8| AccountId([n; 32]);
            for step in steps {
                let before: Vec<Alpha> = (0..4).map(|n| pool.stake(&who(n))).collect();
                let value = pool.value();
                let (target, change) = match step {
                    Step::Deposit(n, amount) => {
                        let done = pool.deposit(who(n), Alpha(amount)).is_some();
                        (Some(n), if done { i128::from(amount) } else { 0 })
                    }
                    Step::Withdraw(n, amount) => match pool.withdraw(&who(n), Alpha(amount)) {
                        Some(dust) => {
                            prop_assert_eq!(pool.value().0 + amount + dust.0, value.0);
                            (Some(n), -i128::from(amount))
                        }
                        None => (Some(n), 0),
                    },
                    Step::Dividend(amount) => {
                        let done = pool.dividend(Alpha(amount));
                        prop_assert_eq!(pool.value().0, value.0 + if done { amount } else { 0 });
                        (None, 0)
                    }
                };
                let mut sum = 0_u128;
                for n in 0..4_u8 {
                    let (was, is) = (before[usize::from(n)], pool.stake(&who(n)));
                    sum += u128::from(is.0);
                    match target {
                        Some(t) if t == n => prop_assert_eq!(i128::from(is.0), i128::from(was.0) + change),
                        Some(_) => prop_assert_eq!(is, was),
                        None => prop_assert!(is >= was),
                    }
                }
                prop_assert!(sum <= u128::from(pool.value().0));
            }
        }
    }

    #[test]
    fn a_dividend_is_shared_pro_rata() {
        let mut pool = SharePool::default();
        let (a, b) = (AccountId([1; 32]), AccountId([2; 32]));
        pool.deposit(a, Alpha(300)).unwrap();
        pool.deposit(b, Alpha(100)).unwrap();
        assert!(pool.dividend(Alpha(100)));
        assert_eq!((pool.stake(&a), pool.stake(&b)), (Alpha(375), Alpha(125)));
        assert!(!SharePool::default().dividend(Alpha(1)));
    }
}
