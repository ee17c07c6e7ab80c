//! One coldkey's lock on one subnet: mass that cannot be sold and the conviction it has grown (economics
//! sections 1.2 to 1.5), with Covey's announced exits (sections 1.8, 1.9 and 4.2).
//!
//! Only individual locks are stored; a hotkey's conviction is the sum over them. The chain also kept the
//! sums, and rolling one member once moved the sum's clock past its siblings' growth.
//!
//! What a reader would get wrong: a lock keeps the rates, the cliff and the release it was made under. A
//! governance change of them touches new locks only, so nobody can loosen a lock that others relied on, or
//! hold somebody's alpha for longer than it was given.

use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    conviction::{self, LOCK_STATE_ZERO_THRESHOLD, Mass, Rates},
    fixed::{U64F64, bits},
    params::Rules,
    units::{Alpha, Height},
    wide::share_of,
};

/// Unlock requests one lock can have at once.
pub const MAX_UNLOCKS: usize = 16;

/// Whether mass decays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Mass stays until an unlock is requested.
    Perpetual,
    /// Mass stays until this height and decays from there: an announced change to decaying.
    PerpetualUntil(Height),
    /// Mass decays with the lock's unlock rate.
    Decaying,
}

/// A requested unlock: nothing before the cliff, then a straight line to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlock {
    /// What was asked for.
    pub amount: Alpha,
    /// When.
    pub requested: Height,
    /// First height at which something is liquid.
    pub cliff: Height,
    /// Height from which all of it is.
    pub end: Height,
}

impl Unlock {
    /// What is still bound at a height. Rounded up: a fraction of a rao is not liquid yet.
    #[must_use]
    pub fn bound(&self, now: Height) -> Alpha {
        if now < self.cliff {
            return self.amount;
        }
        // One block of the line is due at the cliff itself, so that "first liquid at" is true.
        let line = self.end.saturating_sub(self.cliff).saturating_add(1);
        let past = (now - self.cliff).saturating_add(1).min(line);
        self.amount
            .saturating_sub(Alpha(share_of(self.amount.0, past, line)))
    }
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Whose conviction it is.
    pub hotkey: AccountId,
    /// What cannot be sold, at `updated`.
    pub mass: Alpha,
    /// Conviction at `updated`, in alpha base units.
    #[serde(with = "bits")]
    pub conviction: U64F64,
    /// Height that mass and conviction are of.
    pub updated: Height,
    /// Whether mass decays.
    pub mode: LockMode,
    /// The rates the lock was made under.
    pub rates: Rates,
    /// Blocks between an announced exit and its first effect, as the lock was made.
    pub cliff: u64,
    /// Blocks over which a requested unlock is released, as the lock was made.
    pub release: u64,
    /// Requested unlocks that are not over; oldest first.
    pub unlocks: Vec<Unlock>,
}

impl Lock {
    /// An empty lock under the rules in force, to add mass to.
    #[must_use]
    pub fn new(hotkey: AccountId, mode: LockMode, rules: &Rules, now: Height) -> Self {
        Self {
            hotkey,
            mass: Alpha::ZERO,
            conviction: U64F64::ZERO,
            updated: now,
            mode,
            rates: rules.lock_rates,
            cliff: rules.unlock_cliff,
            release: rules.unlock_release,
            unlocks: Vec::new(),
        }
    }

    /// Rolls forward to `now` (section 1.3). `owner` says whether the lock's hotkey owns the subnet.
    pub fn roll(&mut self, now: Height, owner: bool) {
        if let LockMode::PerpetualUntil(from) = self.mode
            && from <= now
        {
            self.advance(from.max(self.updated), true, owner);
            self.mode = LockMode::Decaying;
        }
        self.advance(now, self.mode != LockMode::Decaying, owner);
        self.unlocks.retain(|unlock| !unlock.bound(now).is_zero());
    }

    fn advance(&mut self, now: Height, perpetual: bool, owner: bool) {
        let at = Mass {
            mass: self.mass.0,
            conviction: self.conviction,
        };
        let dt = now.saturating_sub(self.updated);
        let rolled = conviction::roll(at, dt, self.rates, perpetual, owner);
        self.mass = Alpha(rolled.mass);
        self.conviction = rolled.conviction;
        self.updated = self.updated.max(now);
    }

    /// The lock as it is at `now`.
    #[must_use]
    pub fn at(&self, now: Height, owner: bool) -> Self {
        let mut rolled = self.clone();
        rolled.roll(now, owner);
        rolled
    }

    /// Mass and what is still bound by unlock requests. Only right for a lock that was rolled to `now`.
    #[must_use]
    pub fn bound(&self, now: Height) -> Alpha {
        self.unlocking(now)
            .checked_add(self.mass)
            .unwrap_or(Alpha(u64::MAX))
    }

    /// What unlock requests still bind.
    #[must_use]
    pub fn unlocking(&self, now: Height) -> Alpha {
        let bound = self.unlocks.iter().map(|unlock| unlock.bound(now).0);
        Alpha(bound.fold(0, u64::saturating_add))
    }

    /// Whether nothing of it is left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.mass.is_zero()
            && self.conviction < U64F64::from_num(LOCK_STATE_ZERO_THRESHOLD)
            && self.unlocks.is_empty()
    }

    /// Whether nothing of it would be left after the dust rule.
    #[must_use]
    pub fn is_dust(&self) -> bool {
        self.mass.0 < LOCK_STATE_ZERO_THRESHOLD
            && self.conviction < U64F64::from_num(LOCK_STATE_ZERO_THRESHOLD)
    }

    /// Takes mass out and the same share of the conviction; gives that conviction. At most all of it.
    pub fn split(&mut self, mass: Alpha) -> U64F64 {
        let moved = part(self.conviction, mass, self.mass);
        self.mass = self.mass.saturating_sub(mass);
        self.conviction = self.conviction.saturating_sub(moved);
        moved
    }
}

/// `conviction * mass / whole`, rounded down.
fn part(conviction: U64F64, mass: Alpha, whole: Alpha) -> U64F64 {
    if mass >= whole {
        return conviction;
    }
    let bits = crate::wide::mul_div(
        conviction.to_bits(),
        u128::from(mass.0),
        u128::from(whole.0),
    );
    U64F64::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lock(mode: LockMode) -> Lock {
        Lock {
            mass: Alpha(1_000_000_000_000),
            ..Lock::new(AccountId([7; 32]), mode, &Rules::default(), 0)
        }
    }

    proptest! {
        #[test]
        fn an_unlock_never_binds_more_than_before(
            amount: u64, cliff in 0..1000_u64, line in 0..1000_u64, at in 0..3000_u64,
        ) {
            let unlock = Unlock { amount: Alpha(amount), requested: 0, cliff, end: cliff + line };
            prop_assert!(unlock.bound(at + 1) <= unlock.bound(at));
            if at < cliff {
                prop_assert_eq!(unlock.bound(at), Alpha(amount));
            }
            if at >= cliff + line {
                prop_assert_eq!(unlock.bound(at), Alpha::ZERO);
            }
        }

        #[test]
        fn conviction_of_a_lock_that_never_decayed_stays_within_its_mass(
            mass: u64, steps in prop::collection::vec(0..5_000_000_u64, 1..6),
        ) {
            let mut lock = Lock { mass: Alpha(mass), ..lock(LockMode::Perpetual) };
            let mut now = 0;
            for step in steps {
                now += step;
                lock.roll(now, false);
                prop_assert!(lock.conviction <= U64F64::from_num(mass));
                prop_assert!(lock.mass.0 == mass || mass < LOCK_STATE_ZERO_THRESHOLD);
            }
        }

        #[test]
        fn splitting_loses_no_conviction(conviction: u128, mass in 1..u64::MAX, take: u64) {
            let mut lock = Lock {
                mass: Alpha(mass),
                conviction: U64F64::from_bits(conviction),
                ..lock(LockMode::Perpetual)
            };
            let moved = lock.split(Alpha(take));
            prop_assert_eq!(moved + lock.conviction, U64F64::from_bits(conviction));
        }
    }

    #[test]
    fn an_announced_decay_begins_at_its_height() {
        let announced = lock(LockMode::PerpetualUntil(7200));
        let perpetual = lock(LockMode::Perpetual).at(7200, false);
        assert_eq!(announced.at(7199, false).mass, perpetual.mass);
        let begun = announced.at(7200, false);
        assert_eq!(
            (begun.mass, begun.conviction),
            (perpetual.mass, perpetual.conviction)
        );
        let mut decaying = Lock {
            mode: LockMode::Decaying,
            ..perpetual
        };
        decaying.roll(100_000, false);
        assert_eq!(announced.at(100_000, false), decaying);
        assert!(decaying.mass < Alpha(1_000_000_000_000));
    }
}
