//! Learning rate of an inner step: linear warm-up, cosine decay, a floor (spec 1.7).
//!
//! The schedule counts the run's inner steps, round x H + step, not a volunteer's own, so everybody
//! in a round uses the same rate however often they were away. A volunteer whose optimiser state is
//! empty multiplies it by a short ramp, since AdamW's first steps are large.

use std::f64::consts::PI;

use covey_protocol::run::InnerSpec;

/// A stretch of inner steps in which the cosine stands still (Covenant-72B held its rate flat from
/// outer step 2,740 for 450 outer steps).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plateau {
    pub from: u64,
    pub steps: u64,
}

/// Warm-up, cosine and floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub peak: f64,
    pub warmup: u64,
    pub decay: u64,
    /// Final rate as a fraction of the peak.
    pub floor: f64,
    pub plateau: Option<Plateau>,
}

/// Fraction of the peak at the first step of the warm-up.
const START: f64 = 1e-6;

impl Schedule {
    /// The published schedule of Covenant-72B: peak 1.2e-4, 1,500 steps of warm-up, cosine over
    /// 140,000 to 10 %, flat for 13,500 from step 82,200.
    pub const COVENANT_72B: Self = Self {
        peak: 1.2e-4,
        warmup: 1_500,
        decay: 140_000,
        floor: 0.1,
        plateau: Some(Plateau {
            from: 82_200,
            steps: 13_500,
        }),
    };

    pub fn of(inner: &InnerSpec) -> Self {
        Self {
            peak: inner.peak_lr,
            warmup: inner.warmup,
            decay: inner.decay,
            floor: inner.floor,
            plateau: None,
        }
    }

    /// Learning rate at an inner step counted from the run's start.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            let progress = step as f64 / self.warmup as f64;
            return self.peak * (START + (1.0 - START) * progress);
        }
        let held = self.plateau.map_or(0, |plateau| {
            step.saturating_sub(plateau.from).min(plateau.steps)
        });
        let progress =
            ((step - self.warmup).saturating_sub(held) as f64 / self.decay.max(1) as f64).min(1.0);
        let low = self.peak * self.floor;
        low + (self.peak - low) * (1.0 + (PI * progress).cos()) / 2.0
    }
}

/// Factor for a volunteer that has taken `own_steps` inner steps since its optimiser was empty.
pub fn ramp(own_steps: u64, ramp: u64) -> f64 {
    if ramp == 0 {
        return 1.0;
    }
    ((own_steps + 1) as f64 / ramp as f64).min(1.0)
}
