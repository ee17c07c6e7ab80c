//! One behaviour a test, with the machine driven by hand.

use covey_protocol::{
    Hash, Identity, Round, SignatureBytes, VolunteerId,
    http::ErrorCode,
    limits::MAX_COMMITMENTS,
    record::{
        Agreement, Commitment, Contribution, Exclusion, ExclusionReason, Replica, RoundRecord,
    },
    run::RoundSpec,
    socket::Backend,
};
use covey_rounds::{
    Acceptance, Assessing, Audience, Effect, Event, Phase, Pledge, Quota, Replication,
    RoundsMachine, Settings, Snapshot, Submission, Ticket, Trust,
};

const WINDOW: u64 = 60_000;
const GRACE: u64 = 10_000;

fn settings() -> Settings {
    Settings {
        run: Hash::of(b"run"),
        rounds: RoundSpec {
            window_ms: WINDOW,
            grace_ms: GRACE,
            min_contributions: 1,
            max_contributions: 3,
            checkpoint_every: 2,
        },
        seed_key: [7; 32],
        max_members: 100,
        replication: Replication::default(),
        assessing: None,
    }
}

fn start(settings: Settings) -> RoundsMachine {
    let (machine, effects) =
        RoundsMachine::recover(settings, Snapshot::genesis(Hash::of(b"theta 0")), 0);
    assert_eq!(effects, []);
    machine
}

fn volunteer(n: u8) -> VolunteerId {
    VolunteerId([n; 32])
}

fn packet(n: u8) -> Hash {
    Hash::of(&[n])
}

fn connect(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    machine.step(
        Event::Connected {
            volunteer: volunteer(n),
            backend: Backend::Flex,
            accepted: 0,
        },
        now,
    )
}

fn join(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    let round = machine.round();
    machine.step(
        Event::Join {
            volunteer: volunteer(n),
            round,
        },
        now,
    )
}

fn submission(machine: &RoundsMachine, n: u8) -> Submission {
    Submission {
        ticket: Ticket(u64::from(n)),
        run: Hash::of(b"run"),
        volunteer: volunteer(n),
        round: machine.round(),
        base: machine.base(),
        packet: packet(n),
        inner_steps: 20,
        tokens: 1000,
        partner: None,
    }
}

/// The machine is given signatures that were checked, so these are none.
fn commitment(n: u8, packet: Hash) -> Commitment {
    Commitment {
        volunteer: volunteer(n),
        packet,
        signature: SignatureBytes([n; 64]),
    }
}

fn commit(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    let round = machine.round();
    let commitment = commitment(n, packet(n));
    machine.step(Event::Commit { round, commitment }, now)
}

fn pledged(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    machine.step(
        Event::Pledged {
            volunteer: volunteer(n),
            packet: packet(n),
        },
        now,
    )
}

/// Commits and is told so, then uploads.
fn submit(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    let _ = commit(machine, n, now);
    let _ = pledged(machine, n, now);
    reveal(machine, n, now)
}

fn reveal(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    let submission = submission(machine, n);
    machine.step(Event::Submitted(submission), now)
}

fn stored(machine: &mut RoundsMachine, n: u8, now: u64) -> Vec<Effect> {
    machine.step(
        Event::Stored {
            volunteer: volunteer(n),
            packet: packet(n),
        },
        now,
    )
}

fn rejection(effects: &[Effect]) -> Option<ErrorCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reject { code, .. }
        | Effect::Refuse { code, .. }
        | Effect::NotCommitted { code, .. } => Some(*code),
        _ => None,
    })
}

fn receipts(effects: &[Effect]) -> Vec<Acceptance> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Receipt { acceptance, .. } => Some(*acceptance),
            _ => None,
        })
        .collect()
}

fn merges(effects: &[Effect]) -> Option<Vec<VolunteerId>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Merge { packets, .. } => Some(packets.iter().map(|p| p.volunteer).collect()),
        _ => None,
    })
}

/// Merges and records; the machine must be merging.
fn finish(machine: &mut RoundsMachine, now: u64) -> Vec<Effect> {
    let round = machine.round();
    let theta_after = Hash::of(format!("theta {}", round.0 + 1).as_bytes());
    let effects = machine.step(
        Event::Merged {
            round,
            theta_after,
            update: Hash::of(b"update"),
            update_len: 9,
        },
        now,
    );
    assert!(matches!(effects.as_slice(), [Effect::Record(_), ..]));
    machine.step(Event::Recorded { round }, now)
}

#[test]
fn nothing_happens_while_nobody_is_there() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    let _ = machine.step(
        Event::Disconnected {
            volunteer: volunteer(1),
        },
        10_000,
    );
    for now in (20_000..10_000_000).step_by(100_000) {
        let effects = machine.step(Event::Tick, now);
        assert!(
            effects
                .iter()
                .all(|effect| matches!(effect, Effect::Presence { .. }))
        );
    }
    assert_eq!(machine.round(), Round(0));
    assert_eq!(machine.phase(), &Phase::Idle);
    assert_eq!(machine.next_wake_ms(), None);
}

#[test]
fn the_first_join_starts_the_window_and_tells_everyone() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    let effects = join(&mut machine, 1, 5_000);
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Opened {
            to: Audience::Everyone,
            remaining_ms: Some(WINDOW),
            ..
        }
    )));
    connect(&mut machine, 2, 6_000);
    join(&mut machine, 2, 30_000);
    assert_eq!(
        machine.phase(),
        &Phase::Collecting {
            deadline_ms: 5_000 + WINDOW
        }
    );
}

#[test]
fn a_receipt_leaves_only_after_the_packet_is_stored() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    connect(&mut machine, 2, 0);
    join(&mut machine, 1, 0);
    join(&mut machine, 2, 0);
    let effects = submit(&mut machine, 1, 10);
    assert_eq!(receipts(&effects), []);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Store { .. }))
    );
    let effects = stored(&mut machine, 1, 20);
    let given = receipts(&effects);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].received_at_ms, 10);
}

#[test]
fn the_round_closes_early_once_everyone_has_contributed() {
    let mut machine = start(settings());
    for n in [2, 1] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 2, 10);
    assert_eq!(merges(&stored(&mut machine, 2, 20)), None);
    submit(&mut machine, 1, 30);
    let effects = stored(&mut machine, 1, 40);
    assert_eq!(merges(&effects), Some(vec![volunteer(1), volunteer(2)]));
    let effects = finish(&mut machine, 50);
    assert!(effects.contains(&Effect::Closed { round: Round(0) }));
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Opened {
            round: Round(1),
            remaining_ms: None,
            ..
        }
    )));
    assert_eq!(machine.base(), Hash::of(b"theta 1"));
}

#[test]
fn a_volunteer_that_vanishes_is_no_longer_waited_for() {
    let mut machine = start(settings());
    for n in [1, 2] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    let effects = machine.step(
        Event::Disconnected {
            volunteer: volunteer(2),
        },
        30,
    );
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
}

#[test]
fn a_packet_of_a_volunteer_that_vanished_still_counts() {
    let mut machine = start(settings());
    for n in [1, 2] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 1, 10);
    let _ = machine.step(
        Event::Disconnected {
            volunteer: volunteer(1),
        },
        11,
    );
    stored(&mut machine, 1, 20);
    submit(&mut machine, 2, 30);
    let effects = stored(&mut machine, 2, 40);
    assert_eq!(merges(&effects), Some(vec![volunteer(1), volunteer(2)]));
}

#[test]
fn a_volunteer_that_leaves_may_come_back_with_its_packet() {
    let mut machine = start(settings());
    for n in [1, 2] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    commit(&mut machine, 1, 5);
    pledged(&mut machine, 1, 6);
    let _ = machine.step(
        Event::Disconnected {
            volunteer: volunteer(1),
        },
        10,
    );
    // Even in the grace period.
    let effects = reveal(&mut machine, 1, WINDOW + 1);
    assert_eq!(rejection(&effects), None);
    assert_eq!(receipts(&stored(&mut machine, 1, WINDOW + 2)).len(), 1);
}

#[test]
fn the_deadline_waits_out_the_grace_only_for_packets_that_were_committed_to() {
    let mut machine = start(settings());
    for n in [1, 2, 3] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    commit(&mut machine, 2, WINDOW - 2);
    pledged(&mut machine, 2, WINDOW - 1);
    assert_eq!(merges(&machine.step(Event::Tick, WINDOW)), None);
    let effects = commit(&mut machine, 3, WINDOW + 1);
    assert_eq!(rejection(&effects), Some(ErrorCode::StaleRound));
    let effects = reveal(&mut machine, 3, WINDOW + 1);
    assert_eq!(rejection(&effects), Some(ErrorCode::NotCommitted));
    // The answer to what was said in time is the same after the deadline.
    assert!(matches!(
        commit(&mut machine, 2, WINDOW + 1).as_slice(),
        [Effect::Committed { .. }, ..]
    ));
    reveal(&mut machine, 2, WINDOW + 2);
    let effects = stored(&mut machine, 2, WINDOW + 3);
    assert_eq!(merges(&effects), Some(vec![volunteer(1), volunteer(2)]));
}

#[test]
fn a_commitment_on_the_stroke_of_the_deadline_is_late() {
    let mut machine = start(settings());
    for n in [1, 2] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    let effects = commit(&mut machine, 1, WINDOW - 1);
    assert!(matches!(effects.as_slice(), [Effect::Pledge(_), ..]));
    // The first one's packet is waited for, so it is the clock that refuses the second.
    let effects = commit(&mut machine, 2, WINDOW);
    assert_eq!(rejection(&effects), Some(ErrorCode::StaleRound));
    assert!(matches!(machine.phase(), Phase::Collecting { .. }));
}

#[test]
fn the_grace_period_ends() {
    let mut machine = start(settings());
    for n in [1, 2] {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    commit(&mut machine, 2, 30);
    pledged(&mut machine, 2, 31);
    // The packet arrives before any tick at that time: lateness is judged by the clock.
    let effects = reveal(&mut machine, 2, WINDOW + GRACE);
    assert_eq!(rejection(&effects), Some(ErrorCode::StaleRound));
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
}

#[test]
fn a_round_without_contributions_moves_on_and_leaves_the_weights_alone() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    join(&mut machine, 1, 0);
    let effects = machine.step(Event::Tick, WINDOW + GRACE);
    let Some(Effect::Record(record)) = effects.first() else {
        panic!("no record in {effects:?}");
    };
    assert_eq!(record.update, None);
    assert_eq!(record.theta_after, record.base);
    assert_eq!(record.contributions, []);
    let _ = machine.step(Event::Recorded { round: Round(0) }, WINDOW + GRACE);
    assert_eq!(machine.round(), Round(1));
    assert_eq!(machine.phase(), &Phase::Idle);
}

#[test]
fn packets_that_do_not_fit_are_refused_with_the_code_that_says_why() {
    let mut machine = start(settings());
    for n in 0..5 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    let mut refused = |change: &dyn Fn(&mut Submission)| {
        let mut wrong = submission(&machine, 1);
        change(&mut wrong);
        rejection(&machine.step(Event::Submitted(wrong), 10))
    };
    assert_eq!(
        refused(&|s| s.run = Hash::of(b"other")),
        Some(ErrorCode::WrongRun)
    );
    assert_eq!(
        refused(&|s| s.round = Round(1)),
        Some(ErrorCode::FutureRound)
    );
    assert_eq!(
        refused(&|s| s.base = Hash::of(b"other")),
        Some(ErrorCode::WrongBase)
    );
    for n in 1..=3 {
        assert_eq!(rejection(&submit(&mut machine, n, 20)), None);
    }
    let mut other = submission(&machine, 1);
    other.packet = packet(99);
    assert_eq!(
        rejection(&machine.step(Event::Submitted(other), 21)),
        Some(ErrorCode::Duplicate)
    );
    assert_eq!(
        rejection(&submit(&mut machine, 4, 22)),
        Some(ErrorCode::RoundFull)
    );
    for n in 1..=3 {
        stored(&mut machine, n, 30);
    }
    assert_eq!(
        rejection(&submit(&mut machine, 4, 40)),
        Some(ErrorCode::StaleRound),
        "while merging"
    );
    assert_eq!(
        rejection(&join(&mut machine, 4, 41)),
        Some(ErrorCode::StaleRound)
    );
}

#[test]
fn the_same_packet_again_gets_the_same_receipt_even_rounds_later() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    connect(&mut machine, 2, 0);
    join(&mut machine, 1, 0);
    join(&mut machine, 2, 0);
    let mut again = submission(&machine, 1);
    again.ticket = Ticket(50);
    submit(&mut machine, 1, 10);
    let effects = machine.step(Event::Submitted(again.clone()), 11);
    assert_eq!(
        effects,
        [],
        "both wait for the packet to be stored, which happens once"
    );
    let effects = stored(&mut machine, 1, 12);
    let Some(Effect::Receipt {
        tickets,
        acceptance,
    }) = effects.first()
    else {
        panic!("no receipt in {effects:?}");
    };
    assert_eq!(tickets, &[Ticket(1), Ticket(50)]);
    let first = *acceptance;
    assert_eq!(
        receipts(&machine.step(Event::Submitted(again.clone()), 13)),
        [first]
    );
    submit(&mut machine, 2, 20);
    stored(&mut machine, 2, 21);
    finish(&mut machine, 22);
    assert_eq!(
        receipts(&machine.step(Event::Submitted(again), 30)),
        [first]
    );
}

#[test]
fn a_packet_that_cannot_be_stored_is_refused_and_leaves_no_trace() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    join(&mut machine, 1, 0);
    submit(&mut machine, 1, 10);
    let effects = machine.step(
        Event::StoreFailed {
            volunteer: volunteer(1),
            packet: packet(1),
        },
        11,
    );
    assert_eq!(rejection(&effects), Some(ErrorCode::Unavailable));
    assert_eq!(machine.contributions(), 0);
    assert_eq!(rejection(&submit(&mut machine, 1, 12)), None);
}

#[test]
fn a_packet_admitted_in_time_is_merged_even_if_storing_it_takes_longer() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    join(&mut machine, 1, 0);
    submit(&mut machine, 1, WINDOW - 1);
    assert_eq!(merges(&machine.step(Event::Tick, WINDOW + GRACE + 1)), None);
    assert_eq!(machine.phase(), &Phase::Draining);
    let effects = stored(&mut machine, 1, WINDOW + GRACE + 500);
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
    assert_eq!(receipts(&effects).len(), 1);
}

#[test]
fn a_failed_merge_or_record_is_tried_again_later() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    join(&mut machine, 1, 0);
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    let round = Round(0);
    let mut now = 100;
    for _ in 0..12 {
        let _ = machine.step(Event::MergeFailed { round }, now);
        assert_eq!(merges(&machine.step(Event::Tick, now + 1)), None);
        now += 60_000;
        assert!(machine.next_wake_ms().is_some_and(|wake| wake <= now));
        assert_eq!(
            merges(&machine.step(Event::Tick, now)),
            Some(vec![volunteer(1)])
        );
    }
    let merged = Event::Merged {
        round,
        theta_after: Hash::of(b"theta 1"),
        update: Hash::of(b"update"),
        update_len: 9,
    };
    let _ = machine.step(merged, now);
    let _ = machine.step(Event::RecordFailed { round }, now);
    let effects = machine.step(Event::Tick, now + 60_000);
    assert!(matches!(effects.first(), Some(Effect::Record(_))));
    let _ = machine.step(Event::Recorded { round }, now + 60_001);
    assert_eq!(machine.round(), Round(1));
}

#[test]
fn a_volunteer_with_other_weights_is_told_to_resynchronise() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    join(&mut machine, 1, 0);
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    finish(&mut machine, 30);
    let mut applied = |round, theta: &[u8]| {
        let effects = machine.step(
            Event::Applied {
                volunteer: volunteer(1),
                round: Round(round),
                theta: Hash::of(theta),
            },
            40,
        );
        effects.contains(&Effect::Resync {
            volunteer: volunteer(1),
        })
    };
    assert!(!applied(0, b"theta 1"));
    assert!(applied(0, b"theta 0"));
    assert!(applied(5, b"theta 1"));
}

#[test]
fn checkpoints_come_every_so_many_rounds() {
    let mut machine = start(settings());
    let mut checkpoints = Vec::new();
    for n in 0..6u8 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
        submit(&mut machine, n, 10);
        stored(&mut machine, n, 20);
        for effect in finish(&mut machine, 30) {
            if let Effect::Checkpoint { round, theta } = effect {
                checkpoints.push((round.0, theta));
            }
        }
    }
    let theta = |n: u64| Hash::of(format!("theta {n}").as_bytes());
    assert_eq!(checkpoints, [(2, theta(2)), (4, theta(4)), (6, theta(6))]);
}

#[test]
fn records_chain() {
    let mut machine = start(settings());
    let mut previous = None;
    for n in 0..4u8 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
        let effects = machine.step(Event::Tick, u64::from(n + 1) * 100_000);
        let record = effects.iter().find_map(|effect| match effect {
            Effect::Record(record) => Some(record.clone()),
            _ => None,
        });
        let record = record.expect("the window is over");
        assert_eq!(record.previous, previous);
        previous = Some(record.hash());
        let _ = machine.step(
            Event::Recorded {
                round: record.round,
            },
            u64::from(n + 1) * 100_000,
        );
    }
}

#[test]
fn a_recovered_round_holds_its_acknowledged_packets_and_closes_without_anyone() {
    let acceptance = Acceptance {
        round: Round(3),
        volunteer: volunteer(1),
        packet: packet(1),
        inner_steps: 20,
        tokens: 1000,
        partner: None,
        received_at_ms: 5,
    };
    let pledge = Pledge {
        round: Round(3),
        order: 4,
        commitment: commitment(1, packet(1)),
    };
    let snapshot = Snapshot {
        round: Round(3),
        base: Hash::of(b"theta 3"),
        previous: Some(Hash::of(b"record 2")),
        pledges: vec![pledge],
        packets: vec![acceptance],
        receipts: vec![],
        history: vec![],
        trust: Trust::default(),
    };
    let (mut machine, effects) = RoundsMachine::recover(settings(), snapshot, 1_000);
    assert_eq!(merges(&effects), None, "others may still come back");
    let mut again = submission(&machine, 1);
    again.ticket = Ticket(9);
    assert_eq!(
        receipts(&machine.step(Event::Submitted(again), 1_001)),
        [acceptance]
    );
    let wake = machine.next_wake_ms().expect("it must close some time");
    let effects = machine.step(Event::Tick, wake);
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
    let Some(Effect::Record(record)) = machine
        .step(
            Event::Merged {
                round: Round(3),
                theta_after: Hash::of(b"theta 4"),
                update: Hash::of(b"update"),
                update_len: 1,
            },
            wake,
        )
        .into_iter()
        .next()
    else {
        panic!("no record");
    };
    assert_eq!(record.previous, Some(Hash::of(b"record 2")));
    assert_eq!(record.contributions, [acceptance.contribution()]);
    assert_eq!(record.commitments, [pledge.commitment]);
}

#[test]
fn a_recovered_round_does_not_close_over_the_heads_of_those_still_reconnecting() {
    let snapshot = Snapshot {
        round: Round(3),
        base: Hash::of(b"theta 3"),
        previous: Some(Hash::of(b"record 2")),
        pledges: vec![],
        packets: vec![],
        receipts: vec![],
        history: vec![],
        trust: Trust::default(),
    };
    let (mut machine, _) = RoundsMachine::recover(settings(), snapshot, 0);
    connect(&mut machine, 1, 100);
    join(&mut machine, 1, 100);
    submit(&mut machine, 1, 110);
    assert_eq!(merges(&stored(&mut machine, 1, 120)), None);
    connect(&mut machine, 2, 3_000);
    join(&mut machine, 2, 3_000);
    submit(&mut machine, 2, 3_010);
    stored(&mut machine, 2, 3_020);
    let wake = machine.next_wake_ms().expect("a wake");
    let mut effects = machine.step(Event::Tick, wake);
    while merges(&effects).is_none() {
        let wake = machine.next_wake_ms().expect("a wake");
        assert!(wake < WINDOW, "before the deadline");
        effects = machine.step(Event::Tick, wake);
    }
    assert_eq!(merges(&effects), Some(vec![volunteer(1), volunteer(2)]));
}

#[test]
fn presence_is_bounded_and_not_chatty() {
    let mut machine = start(Settings {
        max_members: 10,
        assessing: None,
        ..settings()
    });
    let mut announcements = 0;
    for n in 0..50 {
        announcements += connect(&mut machine, n, 10_000 + u64::from(n))
            .iter()
            .filter(|effect| matches!(effect, Effect::Presence { .. }))
            .count();
    }
    assert_eq!(machine.members(), 10);
    assert_eq!(announcements, 1);
    assert!(machine.next_wake_ms().is_some());
}

const BOUND: u64 = 30_000;

fn assessed() -> Settings {
    Settings {
        assessing: Some(Assessing {
            bound_ms: BOUND,
            reserve: 1,
        }),
        ..settings()
    }
}

fn exclusion(n: u8, reason: ExclusionReason) -> Exclusion {
    Exclusion {
        volunteer: volunteer(n),
        packet: packet(n),
        reason,
    }
}

/// A machine that waits for the assessment of packets of volunteers 1 to `count`, since `now` 100.
fn assessing(settings: Settings, count: u8) -> (RoundsMachine, Vec<Effect>) {
    let mut machine = start(settings);
    for n in 1..=count {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    let mut effects = Vec::new();
    for n in 1..=count {
        // The last comes first, so that the order of names is not the order of commitments.
        submit(&mut machine, count + 1 - n, u64::from(n));
    }
    for n in 1..=count {
        effects = stored(&mut machine, n, 100);
    }
    (machine, effects)
}

fn recorded(effects: &[Effect]) -> Option<&RoundRecord> {
    effects.iter().find_map(|effect| match effect {
        Effect::Record(record) => Some(record),
        _ => None,
    })
}

#[test]
fn packets_are_tried_before_they_are_merged_and_the_record_names_what_was_left_out() {
    let (mut machine, effects) = assessing(assessed(), 2);
    assert!(matches!(
        effects.as_slice(),
        [Effect::Receipt { .. }, Effect::Assess { packets, .. }, ..] if packets.len() == 2
    ));
    assert_eq!(merges(&effects), None);
    let left_out = vec![exclusion(1, ExclusionReason::Harmful)];
    let effects = machine.step(
        Event::Assessed {
            round: Round(0),
            excluded: left_out.clone(),
            replicas: vec![],
        },
        200,
    );
    assert_eq!(merges(&effects), Some(vec![volunteer(2)]));
    let effects = machine.step(
        Event::Merged {
            round: Round(0),
            theta_after: Hash::of(b"theta 1"),
            update: Hash::of(b"update"),
            update_len: 9,
        },
        300,
    );
    let record = recorded(&effects).expect("a record");
    assert_eq!(record.excluded, left_out);
    assert_eq!(record.contributions.len(), 1);
    let _ = machine.step(Event::Recorded { round: Round(0) }, 400);
    // The receipt still stands, and the next round starts with nothing left out.
    let mut again = submission(&machine, 1);
    again.round = Round(0);
    assert_eq!(
        receipts(&machine.step(Event::Submitted(again), 500)).len(),
        1
    );
    connect(&mut machine, 3, 600);
    join(&mut machine, 3, 600);
    submit(&mut machine, 3, 700);
    stored(&mut machine, 3, 800);
    let effects = machine.step(Event::AssessFailed { round: Round(1) }, 900);
    assert_eq!(merges(&effects), Some(vec![volunteer(3)]));
}

#[test]
fn a_round_with_nothing_worth_merging_leaves_the_weights_alone() {
    let (mut machine, _) = assessing(assessed(), 1);
    let base = machine.base();
    let effects = machine.step(
        Event::Assessed {
            round: Round(0),
            excluded: vec![exclusion(1, ExclusionReason::Harmful)],
            replicas: vec![],
        },
        200,
    );
    assert_eq!(merges(&effects), None);
    let record = recorded(&effects).expect("a record");
    assert_eq!((record.theta_after, record.update), (base, None));
    assert_eq!(record.excluded.len(), 1);
}

#[test]
fn an_assessment_that_fails_or_takes_too_long_leaves_what_the_fast_checks_found() {
    let checked = || Event::Checked {
        round: Round(0),
        excluded: vec![exclusion(2, ExclusionReason::Copied)],
        replicas: vec![],
    };
    let (mut failing, _) = assessing(assessed(), 2);
    assert_eq!(failing.step(checked(), 200), []);
    let effects = failing.step(Event::AssessFailed { round: Round(0) }, 300);
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));

    let (mut slow, _) = assessing(assessed(), 2);
    let _ = slow.step(checked(), 200);
    assert_eq!(slow.next_wake_ms(), Some(2_000));
    let _ = slow.step(Event::Tick, 2_000);
    assert_eq!(slow.next_wake_ms(), Some(100 + BOUND));
    let effects = slow.step(Event::Tick, 100 + BOUND);
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
    // What comes too late changes nothing.
    let late = Event::Assessed {
        round: Round(0),
        excluded: vec![exclusion(1, ExclusionReason::Harmful)],
        replicas: vec![],
    };
    assert_eq!(merges(&slow.step(late, 200 + BOUND)), None);
    let effects = slow.step(
        Event::Merged {
            round: Round(0),
            theta_after: Hash::of(b"theta 1"),
            update: Hash::of(b"update"),
            update_len: 9,
        },
        300 + BOUND,
    );
    let record = recorded(&effects).expect("a record");
    assert_eq!(record.excluded, [exclusion(2, ExclusionReason::Copied)]);
}

#[test]
fn what_was_never_sent_cannot_be_left_out() {
    let (mut machine, _) = assessing(assessed(), 1);
    let foreign = Exclusion {
        packet: packet(9),
        ..exclusion(1, ExclusionReason::Harmful)
    };
    let effects = machine.step(
        Event::Assessed {
            round: Round(0),
            excluded: vec![foreign, exclusion(7, ExclusionReason::Harmful)],
            replicas: vec![],
        },
        200,
    );
    assert_eq!(merges(&effects), Some(vec![volunteer(1)]));
}

#[test]
fn a_reserve_is_admitted_and_the_last_to_come_is_left_out_if_nobody_is_worse() {
    let (mut machine, effects) = assessing(assessed(), 4);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Assess { packets, .. } if packets.len() == 4))
    );
    let effects = machine.step(
        Event::Assessed {
            round: Round(0),
            excluded: Vec::new(),
            replicas: vec![],
        },
        200,
    );
    // Volunteer 1 committed last.
    assert_eq!(
        merges(&effects),
        Some(vec![volunteer(2), volunteer(3), volunteer(4)])
    );
    assert_eq!(machine.contributions(), 4);
}

#[test]
fn whoever_stayed_and_delivered_nothing_is_named() {
    let mut machine = start(assessed());
    for n in 1..=3 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    submit(&mut machine, 1, 10);
    stored(&mut machine, 1, 20);
    let _ = machine.step(
        Event::Leave {
            volunteer: volunteer(2),
        },
        30,
    );
    let effects = machine.step(Event::Tick, WINDOW + GRACE);
    let missing = effects.iter().find_map(|effect| match effect {
        Effect::Assess { missing, .. } => Some(missing.clone()),
        _ => None,
    });
    assert_eq!(missing, Some(vec![volunteer(3)]));
}

fn assessment(effects: &[Effect]) -> Option<(Vec<VolunteerId>, Vec<VolunteerId>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Assess {
            packets, missing, ..
        } => Some((
            packets.iter().map(|packet| packet.volunteer).collect(),
            missing.clone(),
        )),
        _ => None,
    })
}

#[test]
fn a_commitment_is_acknowledged_once_it_is_stored_and_only_then_is_its_packet_taken() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    let effects = commit(&mut machine, 1, 5);
    assert!(
        matches!(machine.phase(), Phase::Collecting { .. }),
        "a commitment says as much as a join"
    );
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Pledge(pledge) if pledge.order == 0))
    );
    assert_eq!(commit(&mut machine, 1, 6), [], "its answer is on its way");
    let early = reveal(&mut machine, 1, 7);
    assert_eq!(rejection(&early), Some(ErrorCode::NotCommitted));
    let told = Effect::Committed {
        volunteer: volunteer(1),
        round: Round(0),
        packet: packet(1),
    };
    assert_eq!(pledged(&mut machine, 1, 8), std::slice::from_ref(&told));
    assert_eq!(commit(&mut machine, 1, 9), [told], "the same again");
    let mut other = submission(&machine, 1);
    other.packet = packet(9);
    let effects = machine.step(Event::Submitted(other), 10);
    assert_eq!(rejection(&effects), Some(ErrorCode::NotCommitted));
    assert_eq!(rejection(&reveal(&mut machine, 1, 11)), None);
}

#[test]
fn a_volunteer_commits_once_in_a_round() {
    let mut machine = start(settings());
    connect(&mut machine, 1, 0);
    commit(&mut machine, 1, 5);
    let round = Round(0);
    let other = commitment(1, packet(9));
    let change = Event::Commit {
        round,
        commitment: other,
    };
    let before = machine.clone();
    let effects = machine.step(change, 5);
    assert_eq!(rejection(&effects), Some(ErrorCode::Duplicate));
    assert_eq!(machine, before);
    let early = Event::Commit {
        round: Round(1),
        commitment: commitment(2, packet(2)),
    };
    assert_eq!(
        rejection(&machine.step(early, 5)),
        Some(ErrorCode::FutureRound)
    );
    // A write that failed leaves nothing, and the volunteer may commit anew.
    let failed = Event::PledgeFailed {
        volunteer: volunteer(1),
        packet: packet(1),
    };
    let effects = machine.step(failed, 6);
    assert_eq!(rejection(&effects), Some(ErrorCode::Unavailable));
    let again = Event::Commit {
        round,
        commitment: other,
    };
    assert_eq!(rejection(&machine.step(again, 7)), None);
}

#[test]
fn packets_are_judged_and_listed_in_the_order_of_their_commitments() {
    let mut machine = start(assessed());
    for n in 1..=3 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    for (n, now) in [(3, 10), (1, 11), (2, 12)] {
        commit(&mut machine, n, now);
    }
    // Neither the order of storing nor that of the uploads counts.
    for n in 1..=3 {
        pledged(&mut machine, n, 20);
        reveal(&mut machine, n, 21);
    }
    stored(&mut machine, 1, 30);
    stored(&mut machine, 2, 31);
    let effects = stored(&mut machine, 3, 32);
    let expected = [3, 1, 2].map(volunteer).to_vec();
    assert_eq!(assessment(&effects), Some((expected.clone(), vec![])));
    let effects = machine.step(
        Event::Assessed {
            round: Round(0),
            excluded: vec![],
            replicas: vec![],
        },
        40,
    );
    assert_eq!(merges(&effects), Some([1, 2, 3].map(volunteer).to_vec()));
    let effects = machine.step(
        Event::Merged {
            round: Round(0),
            theta_after: Hash::of(b"theta 1"),
            update: Hash::of(b"update"),
            update_len: 9,
        },
        50,
    );
    let record = recorded(&effects).expect("a record");
    let order: Vec<_> = record.commitments.iter().map(|c| c.volunteer).collect();
    assert_eq!(order, expected);
}

#[test]
fn whoever_commits_and_never_reveals_counts_as_missing_and_stands_in_the_record() {
    // Also when it vanishes, and when nobody else is there.
    for others in [false, true] {
        let mut machine = start(assessed());
        for n in [1, 2] {
            connect(&mut machine, n, 0);
        }
        join(&mut machine, 1, 0);
        commit(&mut machine, 1, 5);
        pledged(&mut machine, 1, 6);
        if others {
            submit(&mut machine, 2, 10);
            stored(&mut machine, 2, 20);
        }
        let _ = machine.step(
            Event::Disconnected {
                volunteer: volunteer(1),
            },
            30,
        );
        assert_eq!(
            assessment(&machine.step(Event::Tick, WINDOW + GRACE - 1)),
            None,
            "it may still come"
        );
        let effects = machine.step(Event::Tick, WINDOW + GRACE);
        let delivered = if others { vec![volunteer(2)] } else { vec![] };
        assert_eq!(assessment(&effects), Some((delivered, vec![volunteer(1)])));
        let mut effects = machine.step(
            Event::Assessed {
                round: Round(0),
                excluded: vec![],
                replicas: vec![],
            },
            WINDOW + GRACE,
        );
        if others {
            effects = machine.step(
                Event::Merged {
                    round: Round(0),
                    theta_after: Hash::of(b"theta 1"),
                    update: Hash::of(b"update"),
                    update_len: 9,
                },
                WINDOW + GRACE,
            );
        }
        let record = recorded(&effects).expect("a record");
        let first = record.commitments.first().map(|c| c.volunteer);
        assert_eq!(first, Some(volunteer(1)));
        assert_eq!(record.commitments.len(), if others { 2 } else { 1 });
    }
}

#[test]
fn nobody_is_missing_where_no_place_was_left() {
    let mut machine = start(assessed());
    for n in 1..=6 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
        commit(&mut machine, n, 5);
        pledged(&mut machine, n, 6);
    }
    for n in 1..=4 {
        assert_eq!(rejection(&reveal(&mut machine, n, 10)), None);
    }
    assert_eq!(
        rejection(&reveal(&mut machine, 5, 11)),
        Some(ErrorCode::RoundFull)
    );
    let mut effects = Vec::new();
    for n in 1..=4 {
        effects = stored(&mut machine, n, 20);
    }
    let (packets, missing) = assessment(&effects).expect("a full round");
    assert_eq!((packets.len(), missing), (4, vec![]));
}

#[test]
fn a_round_takes_so_many_commitments_and_no_more() {
    let mut machine = start(settings());
    let commit = |machine: &mut RoundsMachine, n: usize| {
        let identity = Identity::from_secret(Hash::of(&n.to_le_bytes()).0);
        let commitment = Commitment {
            volunteer: identity.id(),
            ..commitment(0, packet(0))
        };
        let round = Round(0);
        rejection(&machine.step(Event::Commit { round, commitment }, 5))
    };
    for n in 0..MAX_COMMITMENTS {
        assert_eq!(commit(&mut machine, n), None);
    }
    assert_eq!(
        commit(&mut machine, MAX_COMMITMENTS),
        Some(ErrorCode::RoundFull)
    );
}

#[test]
fn an_acknowledged_commitment_survives_a_restart_and_keeps_its_place() {
    let pledge = |n: u8, order| Pledge {
        round: Round(3),
        order,
        commitment: commitment(n, packet(n)),
    };
    let snapshot = Snapshot {
        round: Round(3),
        base: Hash::of(b"theta 3"),
        previous: None,
        pledges: vec![pledge(1, 6), pledge(2, 2)],
        packets: vec![],
        receipts: vec![],
        history: vec![],
        trust: Trust::default(),
    };
    let (mut machine, _) = RoundsMachine::recover(assessed(), snapshot, 0);
    assert!(machine.next_wake_ms().is_some(), "it closes without anyone");
    submit(&mut machine, 3, 10);
    for n in [1, 2] {
        assert_eq!(
            rejection(&reveal(&mut machine, n, 20)),
            None,
            "without committing again"
        );
    }
    for n in 1..=3 {
        stored(&mut machine, n, 30);
    }
    let effects = machine.step(Event::Tick, WINDOW + GRACE);
    let order = [2, 1, 3].map(volunteer).to_vec();
    assert_eq!(assessment(&effects), Some((order, vec![])));
}

/// A crowd that has worked cleanly long enough for anything to be computed twice.
fn crowd(clean: u8, new: u8) -> Trust {
    let mut trust = Trust::default();
    let rules = Replication::default();
    for round in 0..u64::from(rules.probation) {
        trust.observe(&rules.quota, &history(round, 1..=clean, &[]));
    }
    let last = u64::from(rules.probation);
    trust.observe(&rules.quota, &history(last, 1..=clean + new, &[]));
    trust
}

/// A record in which these volunteers were merged and these replicas compared.
fn history(
    round: u64,
    volunteers: impl IntoIterator<Item = u8>,
    replicas: &[Replica],
) -> RoundRecord {
    let everyone: Vec<u8> = volunteers.into_iter().collect();
    RoundRecord {
        run: Hash::of(b"run"),
        round: Round(round),
        previous: None,
        seed: Hash::of(b"seed"),
        base: Hash::of(b"base"),
        theta_after: Hash::of(b"theta"),
        update: None,
        update_len: 0,
        contributions: everyone
            .iter()
            .map(|n| Contribution {
                volunteer: volunteer(*n),
                packet: packet(*n),
                inner_steps: 1,
                tokens: 1,
                partner: None,
            })
            .collect(),
        excluded: vec![],
        commitments: everyone
            .iter()
            .map(|n| commitment(*n, packet(*n)))
            .collect(),
        replicas: replicas.to_vec(),
        unproven: vec![],
    }
}

fn replica(of: u8, by: u8, agreement: Agreement) -> Replica {
    Replica {
        of: volunteer(of),
        by: volunteer(by),
        agreement,
    }
}

fn at_round(trust: Trust, round: u64) -> RoundsMachine {
    let snapshot = Snapshot {
        round: Round(round),
        trust,
        ..Snapshot::genesis(Hash::of(b"theta"))
    };
    RoundsMachine::recover(assessed(), snapshot, 0).0
}

fn drawn(machine: &RoundsMachine, count: u8) -> Vec<(VolunteerId, VolunteerId)> {
    (1..=count)
        .map(|n| (volunteer(n), machine.task(&volunteer(n)).data_of))
        .filter(|(by, of)| by != of)
        .collect()
}

#[test]
fn a_newcomer_is_computed_again_by_a_clean_volunteer_and_starts_from_fresh_state() {
    let mut of_the_newcomer = 0;
    for round in 9..109 {
        let machine = at_round(crowd(4, 1), round);
        let newcomer = machine.task(&volunteer(5));
        assert!(newcomer.fresh && newcomer.data_of == volunteer(5));
        let pairs = drawn(&machine, 5);
        assert!(pairs.len() <= 1, "one in four clean ones");
        for (by, of) in pairs {
            assert!(by < volunteer(5), "only a clean one checks others");
            assert!(machine.task(&by).fresh && machine.task(&of).fresh);
            of_the_newcomer += usize::from(of == volunteer(5));
        }
        assert_eq!(drawn(&machine, 5), drawn(&at_round(crowd(4, 1), round), 5));
    }
    // It has one clean round, so its odds are still one.
    assert_eq!(of_the_newcomer, 100);
}

#[test]
fn few_volunteers_work_as_ever() {
    for (clean, new) in [(0, 3), (3, 0), (3, 1)] {
        let machine = at_round(crowd(clean, new), 9);
        for n in 1..=clean + new {
            let usual = covey_rounds::Task {
                data_of: volunteer(n),
                fresh: false,
            };
            assert_eq!(machine.task(&volunteer(n)), usual);
        }
        let mut machine = machine;
        assert_eq!(
            connect(&mut machine, 1, 5).len(),
            1,
            "only the round is told"
        );
    }
}

#[test]
fn the_rate_falls_with_a_clean_record_and_never_to_nothing() {
    let rules = Replication::default();
    let checked = |clean_rounds: u64| {
        let mut trust = crowd(40, 1);
        for round in 0..clean_rounds {
            trust.observe(&rules.quota, &history(9 + round, 1..=41, &[]));
        }
        let rounds = 100..1100;
        let count = rounds.filter(|round| {
            let machine = at_round(trust.clone(), *round);
            drawn(&machine, 41)
                .iter()
                .any(|(_, of)| *of == volunteer(41))
        });
        count.count()
    };
    // One clean round came with the crowd.
    let rates = [checked(0), checked(3), checked(6), checked(60)];
    assert_eq!(rates[0], 1000);
    assert!((200..300).contains(&rates[1]), "a quarter: {rates:?}");
    assert!((90..160).contains(&rates[2]), "an eighth: {rates:?}");
    assert!((15..50).contains(&rates[3]), "a spot check: {rates:?}");
}

#[test]
fn two_disagreements_with_different_volunteers_convict_and_one_does_not() {
    let rules = Replication::default();
    let mut trust = crowd(5, 1);
    let me = volunteer(6);
    let clean = |trust: &Trust, n: u8| trust.standing(&volunteer(n)).clean;
    let before = clean(&trust, 1);
    trust.observe(
        &rules.quota,
        &history(10, [2, 3], &[replica(6, 1, Agreement::Disputed)]),
    );
    assert_eq!((clean(&trust, 1), clean(&trust, 6)), (before, 1));
    // Both are computed again, whatever the odds, and neither by the other; nor do they check others.
    for round in 11..40 {
        let mut present = trust.clone();
        present.observe(&rules.quota, &history(10, 1..=6, &[]));
        let machine = at_round(present, round);
        for (by, of) in drawn(&machine, 6) {
            assert!(![volunteer(1), me].contains(&by), "{by} {of}");
        }
        assert_eq!(drawn(&machine, 6).len(), 1);
    }
    // The one that is right agrees with the next, the other does not.
    let next = [
        replica(1, 2, Agreement::Agreed),
        replica(6, 3, Agreement::Disputed),
    ];
    trust.observe(&rules.quota, &history(12, [1], &next));
    assert!(clean(&trust, 1) > before);
    assert_eq!(clean(&trust, 6), 0);
    let convicted = trust.standing(&me);
    assert_eq!((convicted.convictions, convicted.against.len()), (1, 0));
    assert_eq!(
        convicted.allowance(&rules.quota),
        rules.quota.packets / 2,
        "its quota falls"
    );
    assert_eq!(
        trust.standing(&volunteer(3)).against.len(),
        0,
        "the word of a convict counts for nothing"
    );
}

/// A crowd of five with a round that holds a replica: (machine, by, of).
fn replicated() -> (RoundsMachine, u8, u8) {
    let mut machine = at_round(crowd(4, 1), 9);
    for n in 1..=5 {
        connect(&mut machine, n, 0);
        join(&mut machine, n, 0);
    }
    let pairs = drawn(&machine, 5);
    let (by, of) = pairs[0];
    (machine, by.0[0], of.0[0])
}

#[test]
fn a_replica_is_compared_counted_and_never_merged_beside_its_original() {
    for agreement in [Some(Agreement::Agreed), Some(Agreement::Disputed), None] {
        let (mut machine, by, of) = replicated();
        assert_eq!(of, 5);
        for n in [by, of] {
            submit(&mut machine, n, 10);
            stored(&mut machine, n, 11);
        }
        let effects = machine.step(Event::Tick, WINDOW + GRACE);
        let pairs = effects.iter().find_map(|effect| match effect {
            Effect::Assess { replicas, .. } => Some(replicas.clone()),
            _ => None,
        });
        let pair = pairs.expect("an assessment")[0];
        assert_eq!((pair.of, pair.by), (volunteer(of), volunteer(by)));
        assert_eq!(pair.backends, [Some(Backend::Flex); 2]);
        let round = Round(9);
        let effects = match agreement {
            Some(agreement) => machine.step(
                Event::Assessed {
                    round,
                    excluded: vec![],
                    replicas: vec![replica(of, by, agreement)],
                },
                WINDOW + GRACE,
            ),
            None => machine.step(Event::AssessFailed { round }, WINDOW + GRACE),
        };
        let merged = merges(&effects).expect("a merge");
        assert!(!merged.contains(&volunteer(by)));
        assert!(merged.contains(&volunteer(of)));
        finish_record(&mut machine, round, agreement, by, of);
    }
}

fn finish_record(
    machine: &mut RoundsMachine,
    round: Round,
    agreement: Option<Agreement>,
    by: u8,
    of: u8,
) {
    let effects = machine.step(
        Event::Merged {
            round,
            theta_after: Hash::of(b"theta 1"),
            update: Hash::of(b"update"),
            update_len: 9,
        },
        WINDOW + GRACE,
    );
    let record = recorded(&effects).expect("a record").clone();
    assert_eq!(record.excluded, [exclusion(by, ExclusionReason::Replica)]);
    let expected = agreement.unwrap_or(Agreement::Open);
    assert_eq!(record.replicas, [replica(of, by, expected)]);
    let proven = expected == Agreement::Agreed;
    assert_eq!(record.unproven.contains(&volunteer(of)), !proven);
    let clean = |machine: &RoundsMachine, n| machine.trust().standing(&volunteer(n)).clean;
    let (of_before, by_before) = (clean(machine, of), clean(machine, by));
    let _ = machine.step(Event::Recorded { round }, WINDOW + GRACE);
    let gained = u32::from(proven);
    assert_eq!(clean(machine, of), of_before + gained);
    assert_eq!(clean(machine, by), by_before + gained);
}

#[test]
fn whoever_appears_after_the_draw_stays_on_probation() {
    let (mut machine, ..) = replicated();
    connect(&mut machine, 9, 5);
    join(&mut machine, 9, 5);
    submit(&mut machine, 9, 10);
    stored(&mut machine, 9, 11);
    let _ = machine.step(Event::Tick, WINDOW + GRACE);
    let round = Round(9);
    let _ = machine.step(Event::AssessFailed { round }, WINDOW + GRACE);
    let effects = machine.step(
        Event::Merged {
            round,
            theta_after: Hash::of(b"theta 1"),
            update: Hash::of(b"update"),
            update_len: 9,
        },
        WINDOW + GRACE,
    );
    let record = recorded(&effects).expect("a record");
    assert_eq!(record.unproven, [volunteer(9)]);
    let _ = machine.step(Event::Recorded { round }, WINDOW + GRACE);
    assert_eq!(machine.trust().standing(&volunteer(9)).clean, 0);
}

#[test]
fn a_quota_refuses_says_when_it_is_lifted_and_is_lifted() {
    let quota = Quota {
        rounds: 10,
        packets: 2,
    };
    let settings = || Settings {
        replication: Replication {
            quota,
            ..Replication::default()
        },
        ..settings()
    };
    // Two packets that were left out: nothing clean about them.
    let mut trust = Trust::default();
    for round in 3..5 {
        let mut record = history(round, [2], &[]);
        record.excluded = vec![exclusion(1, ExclusionReason::Harmful)];
        trust.observe(&quota, &record);
    }
    let machine = |round, trust: &Trust| {
        let snapshot = Snapshot {
            round: Round(round),
            trust: trust.clone(),
            ..Snapshot::genesis(Hash::of(b"theta"))
        };
        let mut machine = RoundsMachine::recover(settings(), snapshot, 0).0;
        for n in [1, 2] {
            connect(&mut machine, n, 0);
        }
        machine
    };
    let mut full = machine(5, &trust);
    let before = full.clone();
    let effects = join(&mut full, 1, 0);
    assert_eq!(rejection(&effects), Some(ErrorCode::Quota));
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Refuse { message, .. } if message.contains("round 10")
    )));
    assert_eq!(rejection(&commit(&mut full, 1, 0)), Some(ErrorCode::Quota));
    assert_eq!(full, before);
    assert_eq!(rejection(&join(&mut full, 2, 0)), None, "others may");
    assert_eq!(rejection(&join(&mut machine(10, &trust), 1, 0)), None);
    // Whoever works cleanly never meets it.
    for round in 10..20 {
        trust.observe(&quota, &history(round, [1], &[]));
        assert_eq!(
            trust.barred_until(&quota, Round(round + 1), &volunteer(1)),
            None
        );
    }
}
