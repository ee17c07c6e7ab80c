//! Who scores what, and what a validator's sheets come to.

use std::collections::BTreeMap;

use covey_protocol::{
    Hash, Round, VolunteerId,
    validation::{Loss, Losses, Scored, Sheet},
};
use covey_scoring::{
    Rules,
    validation::{ASSIGNED, Opinion, SPEAKS_AFTER, assigned, probe},
};
use proptest::prelude::*;

const STEPS: u32 = 30;
const VALIDATOR: VolunteerId = VolunteerId([0xEE; 32]);

fn name(n: u8) -> VolunteerId {
    VolunteerId([n; 32])
}

fn packet(n: u8, round: u64) -> Hash {
    Hash::of(&[&[n][..], &round.to_le_bytes()].concat())
}

fn field(count: u8, round: u64) -> Vec<(VolunteerId, Hash)> {
    (1..=count).map(|n| (name(n), packet(n, round))).collect()
}

proptest! {
    #[test]
    fn a_draw_is_bounded_repeatable_and_never_of_ones_own(
        seed: [u8; 32], count in 0u8..30, validator in 0u8..30, friend in 0u8..30, order: prop::sample::Index,
    ) {
        let (seed, validator) = (Hash(seed), name(validator));
        let packets = field(count, 3);
        let related = |volunteer: &VolunteerId| *volunteer == name(friend);
        let drawn = assigned(&seed, &validator, packets.clone(), related);
        let allowed: Vec<Hash> = packets
            .iter()
            .filter(|(who, _)| *who != validator && *who != name(friend))
            .map(|(_, packet)| *packet)
            .collect();
        prop_assert_eq!(drawn.len(), allowed.len().min(ASSIGNED));
        prop_assert!(drawn.iter().all(|packet| allowed.contains(packet)));
        let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
        prop_assert_eq!(distinct.len(), drawn.len());
        // In whatever order the packets are given.
        let mut turned = packets;
        if !turned.is_empty() {
            let at = order.index(turned.len());
            turned.rotate_left(at);
        }
        prop_assert_eq!(assigned(&seed, &validator, turned, related), drawn);
    }

    #[test]
    fn every_packet_is_covered_about_equally(seed: [u8; 32]) {
        const VALIDATORS: u16 = 400;
        let packets = field(20, 5);
        let mut covered: BTreeMap<Hash, u32> = BTreeMap::new();
        for n in 0..VALIDATORS {
            let mut id = [0xAA; 32];
            id[..2].copy_from_slice(&n.to_le_bytes());
            for packet in assigned(&Hash(seed), &VolunteerId(id), packets.clone(), |_| false) {
                *covered.entry(packet).or_default() += 1;
            }
        }
        // 160 of 400 are expected; ten is one standard deviation.
        prop_assert_eq!(covered.len(), 20);
        prop_assert!(covered.values().all(|times| (100..220).contains(times)), "{:?}", covered);
    }

    #[test]
    fn another_round_or_validator_draws_and_looks_elsewhere(a: [u8; 32], b: [u8; 32]) {
        prop_assume!(a != b);
        let packets = field(20, 5);
        let draw = |seed, who| assigned(&Hash(seed), &VolunteerId(who), packets.clone(), |_| false);
        prop_assert_ne!(draw(a, a), draw(b, a));
        prop_assert_ne!(draw(a, a), draw(a, b));
        prop_assert_ne!(probe(&Hash(a), &VolunteerId(a)), probe(&Hash(a), &VolunteerId(b)));
    }
}

/// What a validator finds: volunteers 1 to 4 help, 5 does harm, 6 trained on other data than its own.
fn sheet(round: u64, of: impl Fn(u8) -> bool) -> Sheet {
    let scores = (1..=6u8).map(|n| {
        let luck = f64::from((u32::from(n) * 7 + round as u32 * 5) % 11) / 1000.0;
        let (own, random) = match n {
            5 => (-0.03, -0.02),
            6 => (0.019, 0.021),
            _ => (0.030 + luck, 0.020 + luck),
        };
        Scored {
            volunteer: name(n),
            packet: packet(n, round),
            inner_steps: STEPS,
            losses: of(n).then(|| Losses {
                own_before: Loss::of(4.0),
                own_after: Loss::of(4.0 * (1.0 - own)),
                random_before: Loss::of(4.1),
                random_after: Loss::of(4.1 * (1.0 - random)),
            }),
        }
    });
    Sheet {
        run: Hash([1; 32]),
        validator: VALIDATOR,
        round: Round(round),
        record: Hash([round as u8; 32]),
        scores: scores.collect(),
    }
}

fn after(sheets: impl IntoIterator<Item = Sheet>) -> Opinion {
    let mut opinion = Opinion::default();
    for sheet in sheets {
        opinion.take_in(&Rules::default(), STEPS, &sheet);
    }
    opinion
}

fn weights(opinion: &Opinion) -> Option<Vec<VolunteerId>> {
    let weights = opinion.weights(&Rules::default()).expect("divided")?;
    Some(weights.into_iter().map(|(who, _)| who).collect())
}

#[test]
fn an_opinion_is_silent_at_first_and_then_names_those_whose_work_helped() {
    for rounds in 0..SPEAKS_AFTER {
        assert_eq!(
            weights(&after((0..rounds).map(|r| sheet(r, |_| true)))),
            None
        );
    }
    let opinion = after((0..8).map(|round| sheet(round, |_| true)));
    assert_eq!(weights(&opinion), Some((1..=4).map(name).collect()));
    assert_eq!(opinion.next(), Round(8));
}

#[test]
fn whoever_was_not_drawn_is_not_idle() {
    // Each round another three of the six.
    let drawn = |round: u64| move |n: u8| (u64::from(n) + round).is_multiple_of(2);
    let opinion = after((0..12).map(|round| sheet(round, drawn(round))));
    assert_eq!(weights(&opinion), Some((1..=4).map(name).collect()));
}

#[test]
fn an_opinion_is_rebuilt_from_its_sheets_and_a_sheet_counts_once() {
    let sheets: Vec<Sheet> = (0..10).map(|round| sheet(round, |n| n != 2)).collect();
    let once = after(sheets.clone());
    let repeated = sheets
        .iter()
        .flat_map(|sheet| [sheet.clone(), sheet.clone()]);
    assert_eq!(after(repeated), once);
    let mut late = once.clone();
    late.take_in(&Rules::default(), STEPS, &sheets[3]);
    assert_eq!(late, once);
    // Two that nobody tried are in no list.
    assert_eq!(weights(&once), Some([1, 3, 4].map(name).to_vec()));
}

#[test]
fn who_leaves_is_no_longer_named() {
    let gone = (8..14).map(|round| {
        let mut sheet = sheet(round, |_| true);
        sheet.scores.retain(|scored| scored.volunteer != name(1));
        sheet
    });
    let opinion = after((0..8).map(|round| sheet(round, |_| true)).chain(gone));
    assert_eq!(weights(&opinion), Some([2, 3, 4].map(name).to_vec()));
}

#[test]
fn a_ruined_model_is_the_worst_there_is() {
    let ruin = |round| {
        let mut sheet = sheet(round, |_| true);
        if let Some(losses) = &mut sheet.scores[0].losses {
            losses.own_after = Loss::RUINED;
            losses.random_after = Loss::RUINED;
        }
        sheet
    };
    let opinion = after((0..8).map(ruin));
    assert_eq!(weights(&opinion), Some([2, 3, 4].map(name).to_vec()));
}
