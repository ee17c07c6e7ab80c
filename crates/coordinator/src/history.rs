//! The held-out loss over a run's life, thin enough to send to every newcomer.

use covey_protocol::{http::HeldOut, limits::MAX_HISTORY};

/// At most [`MAX_HISTORY`] of the points, evenly spaced, with the first and the last.
#[must_use]
pub fn thin(points: &[HeldOut]) -> Vec<HeldOut> {
    if points.len() <= MAX_HISTORY {
        return points.to_vec();
    }
    let last = points.len() - 1;
    (0..MAX_HISTORY)
        .filter_map(|i| points.get(i * last / (MAX_HISTORY - 1)))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use covey_protocol::Round;

    use super::*;

    fn points(count: u64) -> Vec<HeldOut> {
        let point = |round| HeldOut {
            round: Round(round),
            loss: 1.0,
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn a_short_history_is_sent_whole() {
        assert_eq!(thin(&[]), []);
        assert_eq!(thin(&points(512)), points(512));
    }

    #[test]
    fn a_long_history_keeps_its_ends_and_its_order() {
        for count in [513, 1000, 100_003] {
            let thinned = thin(&points(count));
            assert_eq!(thinned.len(), MAX_HISTORY);
            assert_eq!(thinned.first(), points(1).first());
            assert_eq!(thinned.last().map(|p| p.round.0), Some(count - 1));
            assert!(thinned.is_sorted_by(|a, b| a.round < b.round));
        }
    }
}
