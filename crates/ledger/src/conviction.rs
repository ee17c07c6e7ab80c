//! How a lock ages: its mass decays unless it is perpetual, and its conviction grows towards the mass
//! and fades with it (economics, sections 1.3 and 1.6; BIT-0011 as the live network has it).
//!
//! What a reader would get wrong: rolling is exact arithmetic, not an approximation of a formula. The
//! order of the operations in [`roll`] is part of the rule, and rolling twice by 10 is not the same
//! number as rolling once by 20. So state is rolled only when it is read or written for good, and never
//! "refreshed" on the way.

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::fixed::{I64F64, U64F64, quotient, ratio, signed_decay};

/// A lock whose mass (rao) and conviction are both below this is gone.
pub const LOCK_STATE_ZERO_THRESHOLD: u64 = 100;

/// Blocks for which a young subnet cannot change hands.
pub const ONE_YEAR: u64 = 2_629_800;

/// Percent of the eligible alpha that a challenger's conviction must exceed.
const TAKEOVER_PERCENT: u64 = 18;

/// The time constants of a lock, in blocks. A lock keeps those it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Of the decay of a decaying lock's mass.
    pub unlock: u64,
    /// Of the growth of conviction.
    pub maturity: u64,
}

impl Default for Rates {
    /// Those of the live network: half-lives of 90 and 30 days.
    fn default() -> Self {
        Self {
            unlock: 934_866,
            maturity: 311_622,
        }
    }
}

/// What a lock weighs at some block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mass {
    /// Locked alpha, in rao.
    pub mass: u64,
    /// In alpha rao.
    #[serde(with = "crate::fixed::bits")]
    pub conviction: U64F64,
}

impl Mass {
    /// Whether the lock is gone.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn is_dust(&self) -> bool {
        self.mass < LOCK_STATE_ZERO_THRESHOLD
            && self.conviction < U64F64::from_num(LOCK_STATE_ZERO_THRESHOLD)
    }
}

/// What a lock weighs `dt` blocks after it weighed `at`.
///
/// `perpetual`: the mass does not decay. `owner`: the lock is on the subnet owner's hotkey, where
/// conviction is the mass at once. With `dt` 0 only the owner's rule and the dust rule apply.
pub fn roll(at: Mass, dt: u64, rates: Rates, perpetual: bool, owner: bool) -> Mass {
    let mut rolled = if dt == 0 {
        at
    } else {
        age(at, dt, rates, perpetual)
    };
    if owner {
        rolled.conviction = U64F64::from_num(rolled.mass);
    }
    if rolled.is_dust() {
        return Mass::default();
    }
    rolled
}

fn age(at: Mass, dt: u64, rates: Rates, perpetual: bool) -> Mass {
    let left_of_mass = signed_decay(dt, rates.unlock);
    let left_of_conviction = signed_decay(dt, rates.maturity);
    let gain = if perpetual {
        I64F64::ONE.saturating_sub(left_of_conviction)
    } else {
        decaying_gain(dt, rates, left_of_mass, left_of_conviction)
    };
    let mass = U64F64::from_num(at.mass);
    let kept = unsigned(left_of_conviction).saturating_mul(at.conviction);
    let conviction = kept.saturating_add(mass.saturating_mul(unsigned(gain)));
    let mass = if perpetual {
        at.mass
    } else {
        unsigned(left_of_mass)
            .saturating_mul(mass)
            .saturating_to_num()
    };
    Mass { mass, conviction }
}

/// Conviction that one rao of a decaying lock gains.
fn decaying_gain(dt: u64, rates: Rates, of_mass: I64F64, of_conviction: I64F64) -> I64F64 {
    let Rates { unlock, maturity } = rates;
    if unlock == maturity {
        return ratio(dt, maturity).saturating_mul(of_conviction);
    }
    if unlock == 0 || maturity == 0 {
        return I64F64::ZERO;
    }
    let unlock = I64F64::saturating_from_num(unlock);
    let difference = of_mass.saturating_sub(of_conviction);
    let apart = unlock.saturating_sub(I64F64::saturating_from_num(maturity));
    quotient(unlock.saturating_mul(difference), apart)
}

/// A negative number, which only an odd pair of rates yields, becomes 0.
fn unsigned(value: I64F64) -> U64F64 {
    U64F64::saturating_from_num(value)
}

/// Blocks after which a decaying lock that began without conviction has the most of it; `None` when
/// it never gets any, because a rate is 0.
///
/// `U·M/(U − M)·ln(U/M)`, or `M` for equal rates, rounded up. Found without a logarithm: conviction
/// grows while `U·D(t, M) > M·D(t, U)`, and the two sides cross once. They are compared in full, so
/// the answer is as exact as the decays themselves, which is to the block for rates below some
/// 10 million blocks; for rates more than e^40 apart it is the end of the decays' range.
pub fn peak_decaying(rates: Rates) -> Option<u64> {
    let Rates { unlock, maturity } = rates;
    if unlock == 0 || maturity == 0 {
        return None;
    }
    if unlock == maturity {
        return Some(maturity);
    }
    let (long, short) = (unlock.max(maturity), unlock.min(maturity));
    let grows = |t: u64| {
        let of = |rate: u64, tau: u64| {
            U256::from(rate) * U256::from(unsigned(signed_decay(t, tau)).to_bits())
        };
        of(long, short) > of(short, long)
    };
    let (mut before, mut after) = (0, short.saturating_mul(40));
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if grows(middle) {
            before = middle;
        } else {
            after = middle;
        }
    }
    Some(after)
}

/// Whether a conviction is enough to take a subnet over: strictly more than 18 % of the eligible
/// alpha (rao). Never when nothing is eligible.
pub fn gate(conviction: U64F64, eligible: u64) -> bool {
    let held = U256::from(conviction.to_bits()) * U256::from(100);
    let needed = U256::from(U64F64::from_num(eligible).to_bits()) * U256::from(TAKEOVER_PERCENT);
    eligible > 0 && held > needed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIVE: Rates = Rates {
        unlock: 934_866,
        maturity: 311_622,
    };

    fn fresh(mass: u64) -> Mass {
        Mass {
            mass,
            conviction: U64F64::ZERO,
        }
    }

    fn with(mass: u64, conviction: u64) -> Mass {
        Mass {
            mass,
            conviction: U64F64::from_num(conviction),
        }
    }

    fn conviction(of: Mass) -> f64 {
        of.conviction.to_num()
    }

    #[test]
    fn the_default_rates_are_the_live_network_s() {
        assert_eq!(Rates::default(), LIVE);
    }

    #[test]
    fn slow_maturity_follows_the_closed_form() {
        let (dt, u, m) = (10_000.0, 200_000.0, 240_000.0);
        let rates = Rates {
            unlock: 200_000,
            maturity: 240_000,
        };
        let rolled = roll(fresh(10_000), 10_000, rates, false, false);
        let expected = 10_000.0 * u * (f64::exp(-dt / m) - f64::exp(-dt / u)) / (m - u);
        assert_eq!(rolled.mass, 9_512);
        assert!((conviction(rolled) - expected).abs() < 1e-7);
    }

    #[test]
    fn nearly_equal_rates_stay_near_the_closed_form() {
        let (u, mass) = (1_142_108u64, 21_000_000_000_000_000u64);
        let rates = Rates {
            unlock: u,
            maturity: u + 1,
        };
        let rolled = roll(fresh(mass), u, rates, false, false);
        // In the limit of equal rates, m/e; the rates differ by less than a millionth.
        let limit = mass as f64 * f64::exp(-1.0);
        assert!((rolled.mass as f64 - limit).abs() < 2_000.0);
        let slope = limit * (1.0 - 0.5 / u as f64) - limit;
        assert!((conviction(rolled) - limit - slope).abs() < 50_000.0);
    }

    #[test]
    fn one_step_is_close_to_two() {
        for perpetual in [false, true] {
            let once = roll(fresh(1_000_000_000), 20_000, LIVE, perpetual, false);
            let half = roll(fresh(1_000_000_000), 10_000, LIVE, perpetual, false);
            let twice = roll(half, 10_000, LIVE, perpetual, false);
            assert!(once.mass.abs_diff(twice.mass) <= 1);
            assert!((conviction(once) - conviction(twice)).abs() < 0.1);
        }
    }

    #[test]
    fn dust_is_dropped_only_when_both_are_small() {
        assert!(roll(with(99, 99), 0, LIVE, false, false).is_zero());
        assert_eq!(roll(with(100, 99), 0, LIVE, false, false), with(100, 99));
        assert_eq!(roll(with(99, 100), 0, LIVE, false, false), with(99, 100));
    }

    #[test]
    fn nothing_ages_within_a_block() {
        let at = with(5_000, 1_234);
        assert_eq!(roll(at, 0, LIVE, false, false), at);
        assert_eq!(roll(at, 0, LIVE, false, true), with(5_000, 5_000));
    }

    #[test]
    fn the_owner_s_lock_counts_at_once_but_decays_all_the_same() {
        let rolled = roll(fresh(1_000_000), 648_000, LIVE, false, true);
        assert_eq!(rolled, with(499_999, 499_999));
    }

    #[test]
    fn a_rate_of_zero_frees_everything_at_once() {
        let rates = Rates {
            unlock: 0,
            maturity: 0,
        };
        assert!(roll(with(5_000, 5_000), 1, rates, false, false).is_zero());
        assert_eq!(
            roll(fresh(5_000), 1, rates, true, false),
            with(5_000, 5_000)
        );
    }

    #[test]
    fn the_live_network_s_lock_peaks_after_71_days() {
        assert_eq!(peak_decaying(LIVE), Some(513_528));
        let peak = conviction(roll(fresh(1_000_000_000), 513_528, LIVE, false, false));
        assert!((peak / 1e9 - 1.0 / f64::sqrt(3.0)).abs() < 1e-6);
    }

    #[test]
    fn equal_rates_peak_after_one_time_constant() {
        let rates = Rates {
            unlock: 311_622,
            maturity: 311_622,
        };
        assert_eq!(peak_decaying(rates), Some(311_622));
        let never = Rates {
            unlock: 0,
            maturity: 5,
        };
        assert_eq!(peak_decaying(never), None);
    }

    #[test]
    fn the_gate_is_strict() {
        let passes = |conviction: u64| gate(U64F64::from_num(conviction), 10_000);
        assert_eq!([1_799, 1_800, 1_801].map(passes), [false, false, true]);
        let just_above = U64F64::from_num(1_800).saturating_add(U64F64::DELTA);
        assert!(gate(just_above, 10_000));
        assert!(!gate(U64F64::from_num(1_080_000), 6_000_000));
        assert!(gate(U64F64::from_num(1_080_001), 6_000_000));
        assert!(!gate(U64F64::MAX, 0));
        assert!(gate(U64F64::MAX, u64::MAX));
    }

    proptest! {
        #[test]
        fn no_numbers_panic(
            mass: u64, bits: u128, dt: u64, unlock: u64, maturity: u64, perpetual: bool, owner: bool,
        ) {
            let rates = Rates { unlock, maturity };
            let at = Mass { mass, conviction: U64F64::from_bits(bits) };
            let rolled = roll(at, dt, rates, perpetual, owner);
            prop_assert!(rolled.mass <= mass);
            gate(rolled.conviction, mass);
            peak_decaying(rates);
        }

        #[test]
        fn conviction_stays_below_the_mass_of_a_lock_that_never_decayed(
            mass: u64, dt in 0..100_000_000u64, maturity in 1..10_000_000u64,
        ) {
            let rates = Rates { unlock: 934_866, maturity };
            let rolled = roll(fresh(mass), dt, rates, true, false);
            prop_assert!(rolled.conviction <= U64F64::from_num(mass));
            prop_assert_eq!(rolled.mass, if mass < 100 { 0 } else { mass });
        }

        #[test]
        fn the_peak_is_the_closed_form_s(
            unlock in 1_000..10_000_000u64, maturity in 1_000..10_000_000u64,
        ) {
            prop_assume!(unlock.abs_diff(maturity) > 1_000);
            let (u, m) = (unlock as f64, maturity as f64);
            let expected = u * m / (u - m) * (u / m).ln();
            let found = peak_decaying(Rates { unlock, maturity }).unwrap();
            prop_assert!((found as f64 - expected).abs() <= 1.5, "{} {}", found, expected);
        }
    }
}
