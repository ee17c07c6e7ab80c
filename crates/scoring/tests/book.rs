//! The book, moved by hand: who is merged, who is paid, and how trust is lost.

use covey_protocol::{Hash, Round, VolunteerId, record::ExclusionReason};
use covey_scoring::{
    Book, Delivered, Evaluation, Evidence, Finding, Rules, Verdicts, Work, checks::OverlapVerdict,
    penalty::BAN_WINDOWS,
};
use proptest::prelude::*;

fn name(n: u8) -> VolunteerId {
    VolunteerId([n; 32])
}

fn clear() -> Finding {
    Finding {
        fault: None,
        overlap: OverlapVerdict::Clear,
        norm: 1.0,
    }
}

/// A packet that was tried and passed the checks.
fn tried(n: u8, round: u64, own: f64, random: f64) -> Evidence {
    delivered(n, round, clear(), Some(Evaluation { own, random }))
}

fn delivered(n: u8, round: u64, finding: Finding, evaluation: Option<Evaluation>) -> Evidence {
    Evidence {
        volunteer: name(n),
        work: Work::Delivered(Delivered {
            payload: Hash::of(&[&[n][..], &round.to_le_bytes()].concat()),
            claimed: 1.0,
            finding,
            evaluation,
        }),
    }
}

fn honest(n: u8, round: u64) -> Evidence {
    // Small differences that change from round to round.
    let luck = f64::from((u32::from(n) * 7 + round as u32 * 5) % 11) / 1000.0;
    tried(n, round, 0.030 + luck, 0.020 + luck)
}

fn missing(n: u8) -> Evidence {
    Evidence {
        volunteer: name(n),
        work: Work::Missing,
    }
}

fn reason(verdicts: &Verdicts, n: u8) -> Option<ExclusionReason> {
    let found = verdicts.excluded.iter().find(|(who, _)| *who == name(n));
    found.map(|(_, reason)| *reason)
}

fn weight(book: &Book, n: u8) -> u16 {
    let weights = book.weights(&Rules::default()).expect("divided");
    let found = weights.into_iter().find(|(who, _)| *who == name(n));
    found.map_or(0, |(_, weight)| weight)
}

/// Rounds in which volunteers 1 to 5 work honestly and others do as they are told.
fn rounds(
    book: &mut Book,
    from: u64,
    to: u64,
    mut others: impl FnMut(u64) -> Vec<Evidence>,
) -> Vec<Verdicts> {
    (from..to)
        .map(|round| {
            let mut evidence: Vec<Evidence> = (1..=5).map(|n| honest(n, round)).collect();
            evidence.extend(others(round));
            book.observe(&Rules::default(), Round(round), &evidence)
        })
        .collect()
}

#[test]
fn newcomers_are_merged_at_once_and_paid_after_three_good_rounds() {
    let mut book = Book::default();
    let first = rounds(&mut book, 0, 1, |_| Vec::new()).remove(0);
    assert_eq!(first.selected, (1..=5).map(name).collect::<Vec<_>>());
    assert_eq!(first.excluded, []);
    assert!((1..=5).all(|n| weight(&book, n) == 0));
    rounds(&mut book, 1, 2, |_| Vec::new());
    assert!((1..=5).all(|n| weight(&book, n) == 0));
    rounds(&mut book, 2, 4, |_| Vec::new());
    assert!((1..=5).all(|n| weight(&book, n) > 0), "{book:?}");
    assert!((1..=5).any(|n| weight(&book, n) == u16::MAX));
}

/// By themselves, also where the proof of computation came sooner.
#[test]
fn pay_waits_for_as_many_good_rounds_as_the_rules_ask_for() {
    let rules = Rules {
        earns_after: 6,
        ..Rules::default()
    };
    let mut book = Book::default();
    for round in 0..6 {
        let evidence: Vec<Evidence> = (1..=5).map(|n| honest(n, round)).collect();
        book.observe(&rules, Round(round), &evidence);
        let score = |n| book.peer(&name(n)).map_or(0.0, |peer| peer.score);
        let paid = (1..=5).filter(|n| score(*n) > 0.0).count();
        assert_eq!(paid, if round < 5 { 0 } else { 5 }, "after round {round}");
    }
}

#[test]
fn a_newcomer_that_does_harm_or_nothing_is_left_out_and_never_paid() {
    let mut book = Book::default();
    let verdicts = rounds(&mut book, 0, 12, |round| {
        vec![
            tried(6, round, -0.02, -0.02),
            tried(7, round, 0.001, 0.0005),
            tried(8, round, f64::NEG_INFINITY, f64::NEG_INFINITY),
        ]
    });
    for verdict in &verdicts {
        assert_eq!(reason(verdict, 6), Some(ExclusionReason::Harmful));
        assert_eq!(reason(verdict, 7), Some(ExclusionReason::Useless));
        assert_eq!(reason(verdict, 8), Some(ExclusionReason::Harmful));
        assert_eq!(verdict.selected.len(), 5);
    }
    assert!((6..=8).all(|n| weight(&book, n) == 0));
}

#[test]
fn what_rounding_hides_is_no_harm() {
    let mut book = Book::default();
    for round in 0..3 {
        let evidence = [tried(1, round, -4e-6, 2e-6), tried(2, round, 3e-6, 1e-6)];
        let verdicts = book.observe(&Rules::default(), Round(round), &evidence);
        assert_eq!(verdicts.excluded, []);
    }
}

#[test]
fn one_bad_round_of_a_known_volunteer_is_forgiven_and_three_are_not() {
    let mut book = Book::default();
    rounds(&mut book, 0, 6, |round| vec![honest(6, round)]);
    let verdicts = rounds(&mut book, 6, 9, |round| vec![tried(6, round, 0.0, -0.001)]);
    let reasons: Vec<_> = verdicts.iter().map(|verdict| reason(verdict, 6)).collect();
    assert_eq!(reasons, [None, None, Some(ExclusionReason::Harmful)]);
    // One positive round brings it back.
    let verdicts = rounds(&mut book, 9, 10, |round| vec![honest(6, round)]);
    assert_eq!(reason(&verdicts[0], 6), None);
}

#[test]
fn a_known_volunteer_that_turns_is_left_out_in_the_same_round() {
    let mut book = Book::default();
    rounds(&mut book, 0, 8, |round| vec![honest(6, round)]);
    assert!(weight(&book, 6) > 0);
    let verdicts = rounds(&mut book, 8, 9, |round| vec![tried(6, round, -0.03, -0.03)]);
    assert_eq!(reason(&verdicts[0], 6), Some(ExclusionReason::Harmful));
    assert_eq!(weight(&book, 6), 0, "no pay for a round that did harm");
}

#[test]
fn a_bad_window_excludes_nobody_who_is_known() {
    let mut book = Book::default();
    rounds(&mut book, 0, 6, |_| Vec::new());
    let window =
        |round| -> Vec<Evidence> { (1..=5).map(|n| tried(n, round, -0.002, -0.001)).collect() };
    for round in 6..10 {
        let verdicts = book.observe(&Rules::default(), Round(round), &window(round));
        assert_eq!(verdicts.excluded, [], "round {round}");
    }
}

#[test]
fn training_on_other_data_is_merged_but_not_paid() {
    let mut book = Book::default();
    rounds(&mut book, 0, 20, |round| vec![tried(6, round, 0.02, 0.021)]);
    assert_eq!(book.peer(&name(6)).map(|peer| peer.merged), Some(20));
    assert_eq!(weight(&book, 6), 0);
}

#[test]
fn less_work_than_claimed_is_not_paid_and_less_work_that_is_claimed_earns_less() {
    let mut book = Book::default();
    rounds(&mut book, 0, 12, |round| {
        let lazy = tried(6, round, 0.006, 0.005);
        let mut modest = tried(7, round, 0.012, 0.011);
        if let Work::Delivered(delivered) = &mut modest.work {
            delivered.claimed = 0.5;
        }
        vec![lazy, modest]
    });
    assert_eq!(weight(&book, 6), 0);
    let least = (1..=5).map(|n| weight(&book, n)).min().expect("five");
    assert!(weight(&book, 7) > 0 && weight(&book, 7) < least, "{book:?}");
}

#[test]
fn a_copier_is_barred_and_starts_over_afterwards() {
    let mut book = Book::default();
    rounds(&mut book, 0, 6, |round| vec![honest(6, round)]);
    let copy = Finding {
        fault: Some(ExclusionReason::Copied),
        overlap: OverlapVerdict::Ban,
        norm: 1.0,
    };
    let verdicts = rounds(&mut book, 6, 7, |round| {
        vec![delivered(6, round, copy, None)]
    });
    assert_eq!(reason(&verdicts[0], 6), Some(ExclusionReason::Copied));
    let end = 7 + u64::from(BAN_WINDOWS);
    for verdict in rounds(&mut book, 7, end, |round| vec![honest(6, round)]) {
        assert_eq!(reason(&verdict, 6), Some(ExclusionReason::Banned));
    }
    assert_eq!(weight(&book, 6), 0);
    let verdicts = rounds(&mut book, end, end + 10, |round| vec![honest(6, round)]);
    assert!(verdicts.iter().all(|verdict| reason(verdict, 6).is_none()));
    assert!(weight(&book, 6) > 0);
}

#[test]
fn a_payload_sent_before_is_known_whoever_signs_it() {
    let mut book = Book::default();
    rounds(&mut book, 0, 3, |_| Vec::new());
    let Work::Delivered(old) = honest(1, 1).work else {
        unreachable!("delivered");
    };
    let verdicts = rounds(&mut book, 3, 4, |_| {
        vec![Evidence {
            volunteer: name(6),
            work: Work::Delivered(old.clone()),
        }]
    });
    assert_eq!(reason(&verdicts[0], 6), Some(ExclusionReason::Replayed));
    assert!(
        book.peer(&name(6))
            .is_some_and(|peer| peer.is_banned(Round(4)))
    );
}

#[test]
fn missing_packets_cost_pay_first_and_trust_later_but_work_that_comes_is_merged() {
    let mut book = Book::default();
    rounds(&mut book, 0, 8, |round| vec![honest(6, round)]);
    let before = book.peer(&name(6)).map(|peer| peer.score);
    rounds(&mut book, 8, 9, |_| vec![missing(6)]);
    assert!(book.peer(&name(6)).map(|peer| peer.score) < before);
    rounds(&mut book, 9, 12, |_| vec![missing(6)]);
    assert_eq!(weight(&book, 6), 0);
    let verdicts = rounds(&mut book, 12, 20, |round| vec![honest(6, round)]);
    assert!(verdicts.iter().all(|verdict| reason(verdict, 6).is_none()));
    assert_eq!(weight(&book, 6), 0, "half of the last eight were missing");
}

#[test]
fn whoever_computes_for_another_is_there_and_neither_ranked_nor_merged() {
    let mut book = Book::default();
    rounds(&mut book, 0, 6, |round| vec![honest(6, round), missing(7)]);
    let before = book.peer(&name(6)).expect("known").clone();
    let recomputed = |_| {
        [6, 7].map(|n| Evidence {
            volunteer: name(n),
            work: Work::Recomputed,
        })
    };
    let verdicts = rounds(&mut book, 6, 7, |round| recomputed(round).to_vec()).remove(0);
    assert!(!verdicts.selected.contains(&name(6)));
    assert_eq!(reason(&verdicts, 6), None, "nothing was left out either");
    let after = book.peer(&name(6)).expect("known");
    assert_eq!((after.rating, after.score), (before.rating, before.score));
    assert_eq!((after.merged, after.idle), (before.merged, 0));
    assert_eq!(book.peer(&name(7)).expect("known").missing_streak, 0);
}

#[test]
fn the_idle_fade_and_are_forgotten() {
    let mut book = Book::default();
    rounds(&mut book, 0, 8, |round| vec![honest(6, round)]);
    let score = |book: &Book| book.peer(&name(6)).map(|peer| peer.score);
    let full = score(&book).expect("known");
    rounds(&mut book, 8, 9, |_| Vec::new());
    let faded = score(&book).expect("known");
    assert!((faded - 0.75 * full).abs() < 1e-9);
    rounds(&mut book, 9, 12, |_| Vec::new());
    assert_eq!(score(&book), Some(0.0), "starts over after three");
    let forget = u64::from(Rules::default().forget_after);
    rounds(&mut book, 12, 12 + forget, |_| Vec::new());
    assert_eq!(score(&book), None);
}

#[test]
fn of_too_many_the_best_known_are_merged() {
    let rules = Rules {
        gather: 5,
        ..Rules::default()
    };
    let mut book = Book::default();
    rounds(&mut book, 0, 6, |_| Vec::new());
    let mut evidence: Vec<Evidence> = (1..=5).map(|n| honest(n, 6)).collect();
    evidence.extend((6..=9).map(|n| tried(n, 6, 0.05, 0.04)));
    let verdicts = book.observe(&rules, Round(6), &evidence);
    assert_eq!(verdicts.selected, (1..=5).map(name).collect::<Vec<_>>());
    assert!((6..=9).all(|n| reason(&verdicts, n) == Some(ExclusionReason::NotNeeded)));
}

#[test]
fn packets_without_a_trial_are_merged_and_change_no_rating() {
    let mut book = Book::default();
    let untried: Vec<Evidence> = (1..=3).map(|n| delivered(n, 0, clear(), None)).collect();
    let verdicts = book.observe(&Rules::default(), Round(0), &untried);
    assert_eq!(verdicts.selected.len(), 3);
    let initial = Rules::default().rating.initial;
    assert!((1..=3).all(|n| {
        book.peer(&name(n))
            .is_some_and(|peer| peer.rating == initial)
    }));
}

#[test]
fn a_lone_volunteer_earns_by_beating_doing_nothing() {
    let mut book = Book::default();
    for round in 0..20 {
        book.observe(&Rules::default(), Round(round), &[honest(1, round)]);
    }
    assert_eq!(weight(&book, 1), u16::MAX);
}

#[test]
fn whoever_waited_longest_is_tried_first() {
    let mut book = Book::default();
    rounds(&mut book, 0, 2, |round| {
        vec![delivered(6, round, clear(), None), honest(7, round)]
    });
    book.observe(
        &Rules::default(),
        Round(2),
        &[honest(7, 2), delivered(1, 2, clear(), None)],
    );
    let turns = book.turns(&[name(7), name(1), name(9), name(6)]);
    assert_eq!(turns, [name(6), name(9), name(1), name(7)]);
}

#[test]
fn the_book_stays_small_whoever_comes() {
    let rules = Rules {
        capacity: 20,
        ..Rules::default()
    };
    let mut book = Book::default();
    for round in 0..100u64 {
        let mut evidence: Vec<Evidence> = (1..=5).map(|n| honest(n, round)).collect();
        evidence.push(tried(100 + round as u8, round, -1.0, -1.0));
        book.observe(&rules, Round(round), &evidence);
    }
    assert!(book.len() <= 20);
    assert!((1..=5).all(|n| weight(&book, n) > 0));
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let loss = prop_oneof![
        4 => -0.1f64..0.1,
        1 => Just(f64::NEG_INFINITY),
        1 => Just(f64::NAN),
        1 => Just(0.0),
    ];
    let evaluation =
        prop::option::of((loss.clone(), loss).prop_map(|(own, random)| Evaluation { own, random }));
    let overlap = prop::sample::select(vec![
        OverlapVerdict::Clear,
        OverlapVerdict::Clear,
        OverlapVerdict::Suspect,
        OverlapVerdict::Reset,
        OverlapVerdict::Ban,
    ]);
    let fault = prop::option::weighted(0.2, prop::sample::select(&ExclusionReason::ALL[..4]));
    (
        0u8..12,
        any::<u8>(),
        -1.0f64..2.0,
        overlap,
        fault,
        evaluation,
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(n, payload, claimed, overlap, fault, evaluation, absent)| {
                if absent {
                    return missing(n);
                }
                Evidence {
                    volunteer: name(n),
                    work: Work::Delivered(Delivered {
                        payload: Hash::of(&[n, payload]),
                        claimed,
                        finding: Finding {
                            fault,
                            overlap,
                            norm: 1.0,
                        },
                        evaluation,
                    }),
                }
            },
        )
}

proptest! {
    #[test]
    fn everyone_who_delivered_is_merged_or_left_out_and_the_book_survives_storage(
        history in prop::collection::vec(prop::collection::vec(any_evidence(), 0..12), 1..40),
    ) {
        let rules = Rules { gather: 6, ..Rules::default() };
        let mut book = Book::default();
        for (round, evidence) in (0u64..).zip(&history) {
            let json = serde_json::to_vec(&book).unwrap();
            let mut stored: Book = serde_json::from_slice(&json).unwrap();
            let verdicts = book.observe(&rules, Round(round), evidence);
            prop_assert_eq!(&stored.observe(&rules, Round(round), evidence), &verdicts);
            prop_assert_eq!(&stored, &book);

            prop_assert!(verdicts.selected.len() <= 6);
            prop_assert!(verdicts.selected.is_sorted());
            let mut judged: Vec<VolunteerId> = verdicts.selected.clone();
            judged.extend(verdicts.excluded.iter().map(|(who, _)| *who));
            judged.sort();
            // The last piece about someone counts.
            let mut last = std::collections::BTreeMap::new();
            last.extend(evidence.iter().map(|piece| (piece.volunteer, &piece.work)));
            let here: Vec<VolunteerId> = last
                .iter()
                .filter(|(_, work)| matches!(work, Work::Delivered(_)))
                .map(|(who, _)| *who)
                .collect();
            prop_assert_eq!(judged, here);
            for (who, weight) in book.weights(&rules).unwrap() {
                let peer = book.peer(&who).unwrap();
                prop_assert!(peer.score.is_finite() && peer.score >= 0.0);
                prop_assert!(peer.rating.mu.is_finite() && peer.rating.sigma > 0.0);
                prop_assert!(weight == 0 || (peer.score > 0.0 && !peer.is_banned(Round(round + 1))));
            }
        }
    }
}

/// Found by the simulation: whoever finds every round full is not idle.
#[test]
fn a_round_with_all_places_taken_lets_nobody_fade() {
    let mut book = Book::default();
    rounds(&mut book, 0, 8, |round| vec![honest(6, round)]);
    let score = |book: &Book| book.peer(&name(6)).map(|peer| peer.score);
    let full = score(&book);
    let rules = Rules::default();
    let places = (rules.gather + rules.emission.reserve) as u8;
    rounds(&mut book, 8, 20, |round| {
        (10..10 + places - 5).map(|n| honest(n, round)).collect()
    });
    assert_eq!(score(&book), full);
    rounds(&mut book, 20, 21, |round| {
        (10..10 + places - 6).map(|n| honest(n, round)).collect()
    });
    assert_ne!(score(&book), full, "one place was free");
}

/// Found by the simulation: joining costs nothing, and ranking thousands that only joined took seconds.
#[test]
fn strangers_that_only_join_leave_no_trace() {
    let mut book = Book::default();
    rounds(&mut book, 0, 4, |_| Vec::new());
    let mut crowded = book.clone();
    rounds(&mut book, 4, 5, |_| Vec::new());
    rounds(&mut crowded, 4, 5, |_| (100..200).map(missing).collect());
    assert_eq!(crowded, book);
}
