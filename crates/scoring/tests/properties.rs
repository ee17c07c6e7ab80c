//! What must hold of the formulas whatever the numbers: no NaN, nothing gained by ranking lower, nothing
//! paid twice, and bad input refused.

use covey_scoring::computation::{ALPHA, Computation, GRACE_WINDOWS, THRESHOLD};
use covey_scoring::loss::{MISSING_SCORE, loss_score};
use covey_scoring::penalty::*;
use covey_scoring::score::final_score;
use covey_scoring::sync::{steps_behind, sync_score};
use covey_scoring::{Emission, PlackettLuce, Rating, ScoringError};
use proptest::prelude::*;

fn peers() -> impl Strategy<Value = Vec<(Rating, f64)>> {
    let rating = (-1e4f64..1e4, 0.1f64..20.0).prop_map(|(mu, sigma)| Rating { mu, sigma });
    let score = prop_oneof![Just(MISSING_SCORE), Just(0.0), -0.1f64..0.1];
    prop::collection::vec((rating, score), 1..20)
}

/// Weng and Lin's update, pair by pair.
fn written_out(rules: &PlackettLuce, peers: &[(Rating, f64)]) -> Vec<(f64, f64)> {
    let variance = |rating: &Rating| rating.sigma * rating.sigma + rules.tau * rules.tau;
    let scattered = peers
        .iter()
        .map(|(rating, _)| variance(rating) + rules.beta * rules.beta);
    let c = scattered.sum::<f64>().sqrt();
    let after = |(i, (rating, score)): (usize, &(Rating, f64))| {
        let (mut omega, mut delta) = (0.0, 0.0);
        for (q, (_, place)) in peers
            .iter()
            .enumerate()
            .filter(|(_, (_, place))| place >= score)
        {
            let below = || {
                peers
                    .iter()
                    .filter(|(_, other)| other <= place)
                    .map(|(rating, _)| rating.mu)
            };
            let top = below().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = below().map(|mu| libm::exp((mu - top) / c)).sum();
            let tied = peers.iter().filter(|(_, other)| other == place).count() as f64;
            let p = libm::exp((rating.mu - top) / c) / sum;
            omega += (if q == i { 1.0 - p } else { -p }) / tied;
            delta += p * (1.0 - p) / tied;
        }
        let variance = variance(rating);
        let sigma = variance.sqrt();
        let shrink = 1.0 - variance / (c * c) * (sigma / c) * delta;
        (
            rating.mu + variance * omega / c,
            sigma * shrink.max(rules.kappa).sqrt(),
        )
    };
    peers.iter().enumerate().map(after).collect()
}

proptest! {
    #[test]
    fn ratings_stay_finite_and_deviations_positive(peers in peers()) {
        for rating in PlackettLuce::default().rate(&peers).unwrap() {
            prop_assert!(rating.mu.is_finite() && rating.sigma.is_finite() && rating.sigma > 0.0);
        }
    }

    #[test]
    fn the_best_never_falls_and_the_worst_never_rises(peers in peers()) {
        let rated = PlackettLuce::default().rate(&peers).unwrap();
        let best = peers.iter().map(|(_, score)| *score).fold(f64::MIN, f64::max);
        let worst = peers.iter().map(|(_, score)| *score).fold(f64::MAX, f64::min);
        for ((before, score), after) in peers.iter().zip(rated) {
            let alone = |edge| *score == edge && peers.iter().filter(|(_, other)| *other == edge).count() == 1;
            let slack = 1e-9 * before.mu.abs().max(1.0);
            if alone(best) { prop_assert!(after.mu >= before.mu - slack); }
            if alone(worst) { prop_assert!(after.mu <= before.mu + slack); }
        }
    }

    /// Whoever replays a run must get the same bits, so a shortcut may not change a single one.
    #[test]
    fn ratings_have_the_bits_of_the_formula_written_out(peers in peers()) {
        let rules = PlackettLuce::default();
        let rated = rules.rate(&peers).unwrap();
        for ((mu, sigma), after) in written_out(&rules, &peers).into_iter().zip(rated) {
            prop_assert_eq!((mu.to_bits(), sigma.to_bits()), (after.mu.to_bits(), after.sigma.to_bits()));
        }
    }

    #[test]
    fn the_order_in_which_peers_are_listed_does_not_matter(peers in peers()) {
        let rules = PlackettLuce::default();
        let mut reversed = peers.clone();
        reversed.reverse();
        let mut back = rules.rate(&reversed).unwrap();
        back.reverse();
        for (left, right) in rules.rate(&peers).unwrap().iter().zip(&back) {
            prop_assert!((left.mu - right.mu).abs() <= 1e-9 * left.mu.abs().max(1.0));
            prop_assert!((left.sigma - right.sigma).abs() <= 1e-9 * left.sigma);
        }
    }

    #[test]
    fn a_reward_is_divided_whole_and_never_rewards_a_lower_rank(
        scores in prop::collection::vec(-10.0f64..10.0, 0..60),
        gather in 1usize..25, reserve in 0usize..15,
        share in 0.01f64..=1.0, top_ratio in 1.0f64..5.0, decay in 0.0f64..=1.0, burn in 0.0f64..=1.0,
    ) {
        let settings = Emission { gather, reserve, share, top_ratio, decay, burn };
        let payout = settings.divide(&scores).unwrap();
        let total: f64 = payout.burn + payout.peers.iter().sum::<f64>();
        prop_assert!((total - 1.0).abs() < 1e-9, "{total}");
        let mut ranked: Vec<(f64, f64)> = scores.into_iter().zip(payout.peers).collect();
        ranked.sort_by(|left, right| right.0.total_cmp(&left.0));
        prop_assert!(ranked.windows(2).all(|pair| pair[0].1 >= pair[1].1 - 1e-12));
        prop_assert!(ranked.iter().all(|(score, part)| *score > 0.0 || *part == 0.0));
        prop_assert!(ranked.iter().filter(|(_, part)| *part > 0.0).count() <= gather + reserve);
    }

    #[test]
    fn the_average_of_wins_stays_within_one(outcomes in prop::collection::vec(any::<bool>(), 0..200)) {
        let mut computation = Computation::default();
        for won in outcomes {
            let (own, random) = if won { (1.0, 0.0) } else { (0.0, 1.0) };
            computation = computation.observe(own, random, ALPHA).unwrap();
            prop_assert!(computation.average.abs() <= 1.0);
            prop_assert!(computation.factor(THRESHOLD) >= 0.0);
        }
    }

    #[test]
    fn being_further_behind_never_scores_more(near in 0.0f64..5.0, extra in 0.0f64..5.0) {
        let (near, far) = (sync_score(near).unwrap(), sync_score(near + extra).unwrap());
        prop_assert!((0.0..=1.0).contains(&far) && far <= near);
    }

    #[test]
    fn one_wild_weight_does_not_decide_how_far_a_peer_is_behind(n in 4usize..40, wild in 0.0f64..1e12) {
        let (mine, change) = (vec![0.0; n], vec![0.5; n]);
        let mut theirs = vec![1.0; n];
        theirs[n / 2] = wild;
        prop_assert_eq!(steps_behind(&mine, &theirs, &change).unwrap(), 2.0);
    }
}

#[test]
fn equals_that_tie_keep_their_mean() {
    let rules = PlackettLuce::default();
    for rating in rules.rate(&[(rules.initial, 0.5); 3]).unwrap() {
        assert!((rating.mu - rules.initial.mu).abs() < 1e-12);
        assert!(rating.sigma < rules.initial.sigma);
    }
}

#[test]
fn a_peer_alone_keeps_its_rating_but_for_drift() {
    let rules = PlackettLuce::default();
    let rated = rules.rate(&[(rules.initial, 1.0)]).unwrap();
    assert_eq!(rated[0].mu, rules.initial.mu);
    assert!((rated[0].sigma - (rules.initial.sigma.powi(2) + 0.01).sqrt()).abs() < 1e-12);
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let rules = PlackettLuce::default();
    let spoilt = Rating {
        mu: f64::NAN,
        sigma: 1.0,
    };
    assert_eq!(
        rules.rate(&[(spoilt, 0.0)]),
        Err(ScoringError::NonFinite("rating"))
    );
    assert_eq!(
        rules.rate(&[(rules.initial, f64::INFINITY)]),
        Err(ScoringError::NonFinite("score"))
    );
    assert_eq!(rules.rate(&[]), Err(ScoringError::Empty("match")));
    let flat = Rating {
        mu: 25.0,
        sigma: 0.0,
    };
    assert!(matches!(
        rules.rate(&[(flat, 0.0)]),
        Err(ScoringError::OutOfRange { .. })
    ));
    assert!(loss_score(f64::NAN, 1.0).is_err());
    assert!(loss_score(0.0, 1.0).is_err());
    assert!(
        Computation::default()
            .observe(f64::NAN, 0.0, ALPHA)
            .is_err()
    );
    assert!(Computation::default().observe(0.0, 0.0, 2.0).is_err());
    assert!(sync_score(f64::NAN).is_err());
    assert!(sync_score(-1.0).is_err());
    assert_eq!(sync_score(f64::INFINITY), Ok(0.0));
    assert!(final_score(&spoilt, &Computation::default(), THRESHOLD, 1.0).is_err());
    assert!(final_score(&rules.initial, &Computation::default(), THRESHOLD, 1.1).is_err());
    assert!(Emission::default().divide(&[f64::NAN]).is_err());
    assert!(
        Emission {
            burn: 1.5,
            ..Emission::default()
        }
        .divide(&[1.0])
        .is_err()
    );
}

#[test]
fn samples_that_do_not_match_are_refused() {
    assert_eq!(
        steps_behind(&[], &[], &[]),
        Err(ScoringError::Empty("weights"))
    );
    assert!(matches!(
        steps_behind(&[1.0], &[], &[1.0]),
        Err(ScoringError::Length { .. })
    ));
    assert!(steps_behind(&[1.0], &[1.0], &[-1.0]).is_err());
    assert!(steps_behind(&[1.0], &[f64::NAN], &[1.0]).is_err());
    // Two samples have nothing between their quartiles; both count.
    assert_eq!(steps_behind(&[0.0, 0.0], &[1.0, 3.0], &[1.0, 1.0]), Ok(2.0));
}

#[test]
fn a_draw_is_no_proof_of_computation() {
    assert!(
        Computation::default()
            .observe(0.5, 0.5, ALPHA)
            .unwrap()
            .average
            < 0.0
    );
}

#[test]
fn a_new_peer_is_not_held_to_the_threshold() {
    let new = Computation {
        average: 0.05,
        windows: GRACE_WINDOWS - 1,
    };
    assert_eq!(new.factor(THRESHOLD), 0.05);
    assert_eq!(
        Computation {
            windows: GRACE_WINDOWS,
            ..new
        }
        .factor(THRESHOLD),
        0.0
    );
}

#[test]
fn a_reward_that_nobody_earned_is_burned() {
    let payout = Emission::default().divide(&[-1.0, 0.0]).unwrap();
    assert_eq!((payout.peers, payout.burn), (vec![0.0, 0.0], 1.0));
}

#[test]
fn missing_payloads_cost_more_each_time() {
    assert_eq!(
        [0, 1, 2, 3, 9].map(missing_factor),
        [1.0, 0.75, 0.5, 0.0, 0.0]
    );
    let history = |missed: usize| [vec![false; HISTORY - missed], vec![true; missed]].concat();
    assert_eq!(missing_verdict(&history(3)), Verdict::Scale(1.0));
    assert_eq!(
        missing_verdict(&history(4)),
        Verdict::ResetAndBan(BAN_WINDOWS)
    );
    assert_eq!(missing_verdict(&[true; 7]), Verdict::Scale(1.0));
    // Only the newest eight count.
    assert_eq!(
        missing_verdict(&[vec![true; 20], history(0)].concat()),
        Verdict::Scale(1.0)
    );
}

#[test]
fn mostly_negative_evaluations_quarter_the_score() {
    let history = |bad: usize| [vec![false; HISTORY - bad], vec![true; bad]].concat();
    assert_eq!(negative_factor(&history(4)), 1.0);
    assert_eq!(negative_factor(&history(5)), 0.25);
}

#[test]
fn a_window_bad_for_all_excludes_nobody() {
    let good = [0.1, 0.1, 0.1, 0.1, 0.1, -0.5];
    let bad = [0.1, 0.1, 0.1, 0.1, -0.1, -0.5];
    assert!(excluded_for_negatives(3, &good));
    assert!(!excluded_for_negatives(2, &good));
    assert!(!excluded_for_negatives(3, &bad));
    assert!(excluded_for_negatives(3, &good[..3]));
}

#[test]
fn copies_are_punished_by_how_much_they_share_and_only_after_the_start() {
    let late = |overlap| overlap_verdict(overlap, OVERLAP_FROM_STEP);
    assert_eq!(late(0.39), Verdict::Scale(1.0));
    assert_eq!(late(0.4), Verdict::Scale(0.5));
    assert_eq!(late(0.5), Verdict::Reset);
    assert_eq!(late(0.6), Verdict::ResetAndBan(BAN_WINDOWS));
    assert_eq!(
        overlap_verdict(1.0, OVERLAP_FROM_STEP - 1),
        Verdict::Scale(1.0)
    );
}

#[test]
fn absence_and_distance_cost_a_quarter() {
    assert_eq!(inactivity_verdict(0), Verdict::Scale(1.0));
    assert_eq!(inactivity_verdict(2), Verdict::Scale(0.5625));
    assert_eq!(inactivity_verdict(4), Verdict::Reset);
    assert_eq!(
        [Some(0.0), Some(2.0), Some(2.1), None].map(desync_factor),
        [1.0, 1.0, 0.75, 0.75]
    );
    assert_eq!(
        [0.39, 0.4, f64::NAN].map(gather_rate_factor),
        [0.0, 1.0, 0.0]
    );
}
