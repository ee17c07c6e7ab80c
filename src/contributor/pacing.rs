//! When to work and how hard: the volunteer's wishes and the device's circumstances, as pure rules.

use std::collections::BTreeSet;

use super::{
    intents::{Environment, PauseReason},
    view::PauseView,
};

/// Every reason not to work right now, in words. Empty means: work.
pub fn pauses(
    environment: &Environment,
    user: bool,
    overrides: &BTreeSet<PauseReason>,
) -> Vec<PauseView> {
    let candidates = [
        (user, PauseReason::User, "Paused by you.", false),
        (
            !environment.online,
            PauseReason::Offline,
            "Paused because this device is offline. Work goes on when the network is back.",
            false,
        ),
        (
            environment.on_battery,
            PauseReason::Battery,
            "Paused because this device runs on battery.",
            true,
        ),
        (
            environment.metered,
            PauseReason::Metered,
            "Paused because this connection is metered or saves data.",
            true,
        ),
        (
            environment.other_tab,
            PauseReason::OtherTab,
            "Paused because another tab of this browser already contributes.",
            true,
        ),
    ];
    candidates
        .into_iter()
        .filter(|(holds, reason, ..)| *holds && !overrides.contains(reason))
        .map(|(_, reason, text, may_override)| PauseView {
            reason,
            text,
            may_override,
        })
        .collect()
}

/// Milliseconds to rest after `busy_ms` of work so that work fills `share` percent of the time.
pub fn rest_ms(busy_ms: f64, share: u8) -> f64 {
    let share = f64::from(share.clamp(1, 100));
    busy_ms * (100.0 / share - 1.0)
}

/// Milliseconds before the `attempt`-th reconnection (counted from 1): doubling from half a second
/// to half a minute, spread over the upper half by `jitter` in [0, 1) so that tabs do not return
/// together.
pub fn reconnect_ms(attempt: u32, jitter: f64) -> f64 {
    let full = 500.0 * 2f64.powi(attempt.saturating_sub(1).min(6) as i32);
    full.min(30_000.0) * (0.5 + 0.5 * jitter)
}

/// Milliseconds before a new worker tries WebGPU again after `lost` devices in a row, none of which got a
/// packet accepted: at once, then a little later, in case the driver is only restarting. `None` means that
/// the CPU takes over for the rest of the visit.
pub fn device_retry_ms(lost: u32) -> Option<f64> {
    match lost {
        0 | 1 => Some(0.0),
        2 => Some(15_000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_pauses_until_the_volunteer_says_otherwise() {
        let environment = Environment {
            on_battery: true,
            ..Environment::default()
        };
        let mut overrides = BTreeSet::new();
        let reasons = |overrides: &BTreeSet<_>| {
            pauses(&environment, false, overrides)
                .iter()
                .map(|p| p.reason)
                .collect::<Vec<_>>()
        };
        assert_eq!(reasons(&overrides), [PauseReason::Battery]);
        overrides.insert(PauseReason::Battery);
        assert_eq!(reasons(&overrides), []);
        assert_eq!(pauses(&environment, true, &overrides).len(), 1);
    }

    #[test]
    fn every_reason_is_told_at_once() {
        let environment = Environment {
            on_battery: true,
            metered: true,
            other_tab: true,
            hidden: true,
            online: false,
        };
        assert_eq!(pauses(&environment, true, &BTreeSet::new()).len(), 5);
    }

    #[test]
    fn rest_fills_what_the_share_leaves() {
        assert_eq!(rest_ms(100.0, 100), 0.0);
        assert_eq!(rest_ms(100.0, 50), 100.0);
        assert_eq!(rest_ms(100.0, 25), 300.0);
    }

    #[test]
    fn a_lost_device_is_tried_at_once_then_later_then_never() {
        assert_eq!(device_retry_ms(1), Some(0.0));
        assert!(device_retry_ms(2) > Some(1_000.0));
        assert_eq!(device_retry_ms(3), None);
        assert_eq!(device_retry_ms(u32::MAX), None);
    }

    #[test]
    fn reconnection_doubles_up_to_half_a_minute() {
        assert_eq!(reconnect_ms(1, 1.0), 500.0);
        assert_eq!(reconnect_ms(3, 1.0), 2000.0);
        assert_eq!(reconnect_ms(50, 1.0), 30_000.0);
        assert_eq!(reconnect_ms(50, 0.0), 15_000.0);
    }
}
