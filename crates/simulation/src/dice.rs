//! All chance in a simulation: one stream of numbers from one seed, drawn in the order of events. Integers
//! only, so that a seed means the same everywhere.

use covey_compression::generator::SplitMix64;

pub struct Dice(SplitMix64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 0 to `n - 1`; 0 of nothing.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number().checked_rem(n).unwrap_or(0)
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high + 1).saturating_sub(low))
    }

    /// True once in `n` times; never for 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    pub fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// A time around `typical`, with a long tail: one in twenty takes up to ten times as long.
    pub fn delay(&mut self, typical: u64) -> u64 {
        let usual = typical / 2 + self.below(typical + 1);
        if self.one_in(20) {
            usual * self.between(2, 10)
        } else {
            usual
        }
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }
}
