//! Whole rounds over real sockets: what is accepted, what is refused, and what everyone ends up with.

use std::collections::BTreeSet;

use crate::common::{Coordinator, Extra, header, packet, payload};
use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    http::ErrorCode,
    packet::HEADER_LEN,
    socket::{ClientFrame, ServerFrame},
};

#[tokio::test]
async fn two_volunteers_move_the_weights_and_everyone_can_check_it() {
    let coordinator = Coordinator::start();
    let mut volunteers = [
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
    ];
    let before = coordinator.run().await.base;
    for volunteer in &mut volunteers {
        volunteer.join(0).await;
    }
    // The second join must have arrived before the first packet could close the round.
    volunteers[1]
        .socket
        .until(|frame| match frame {
            ServerFrame::Presence { volunteers, .. } => {
                let training = |v: &&covey_protocol::socket::Presence| {
                    v.activity == covey_protocol::socket::Activity::Training
                };
                (volunteers.iter().filter(training).count() == 2).then_some(())
            }
            _ => None,
        })
        .await;
    let mut receipts = Vec::new();
    for volunteer in &mut volunteers {
        let sealed = volunteer.packet(0, before);
        let receipt = volunteer
            .contribute(&coordinator, sealed.clone())
            .await
            .expect("accepted");
        receipt.verify(&volunteer.run.coordinator).expect("signed");
        assert_eq!(receipt.packet, Hash::of(&sealed));
        assert_eq!(receipt.tokens, 128);
        receipts.push(receipt);
    }
    let key = volunteers[0].run.coordinator;
    let signed = volunteers[0].closed(0).await;
    let record = signed.verify(&key).expect("signed").clone();
    assert_eq!(record.base, before);
    assert_ne!(record.theta_after, before);
    let listed: Vec<VolunteerId> = record.contributions.iter().map(|c| c.volunteer).collect();
    assert!(listed.is_sorted());
    let packets: BTreeSet<Hash> = record.contributions.iter().map(|c| c.packet).collect();
    assert_eq!(packets, receipts.iter().map(|r| r.packet).collect());
    record
        .check_commitments()
        .expect("everything was committed to");
    let order: Vec<Hash> = record.commitments.iter().map(|c| c.packet).collect();
    assert_eq!(order, receipts.iter().map(|r| r.packet).collect::<Vec<_>>());
    let update = record.update.expect("an update");
    assert_eq!(
        coordinator.blob(&update).await.len() as u64,
        record.update_len
    );
    let (base, remaining) = volunteers[0].opened(1).await;
    assert_eq!((base, remaining), (record.theta_after, None));

    let (round, theta) = coordinator.catch_up().await;
    assert_eq!(round, Round(1));
    assert_eq!(Hash::of_weights(&theta), record.theta_after);

    let losses = volunteers[0]
        .socket
        .until(|frame| match frame {
            ServerFrame::HeldOut { held_out } if held_out.round == Round(1) => Some(held_out.loss),
            _ => None,
        })
        .await;
    assert!(losses.is_finite());
    let run = coordinator.run().await;
    assert_eq!(run.held_out.last().map(|point| point.loss), Some(losses));
    assert_eq!(
        coordinator.metric("covey_packets_accepted_total").await,
        2.0
    );
    assert_eq!(coordinator.metric("covey_round").await, 1.0);
}

#[tokio::test]
async fn the_same_packet_again_gets_the_same_receipt() {
    let coordinator = Coordinator::start();
    let mut first = coordinator.volunteer(1).await;
    let mut second = coordinator.volunteer(2).await;
    let (base, _) = second.opened(0).await;
    second.join(0).await;
    second.opened(0).await;
    first.join(0).await;
    let sealed = first.packet(0, base);
    first.commit(&sealed).await.expect("acknowledged");
    first.commit(&sealed).await.expect("the same again");
    let (one, two) = tokio::join!(
        coordinator.upload(sealed.clone()),
        coordinator.upload(sealed.clone())
    );
    let receipt = one.expect("accepted");
    assert_eq!(two.expect("accepted"), receipt);
    assert_eq!(
        coordinator.upload(sealed.clone()).await.expect("again"),
        receipt
    );
    // Another packet of the same volunteer is not the same packet.
    let other = header(&first.run.spec, &first.identity, 0, base)
        .seal(
            &payload(&first.run.spec, &first.identity, 9),
            &first.identity,
        )
        .expect("sealed");
    let (status, body) = coordinator.upload(other).await.expect_err("refused");
    assert_eq!((status, body.code), (409, ErrorCode::Duplicate));
    // Also once the round is closed.
    let last = second.packet(0, base);
    second
        .contribute(&coordinator, last)
        .await
        .expect("accepted");
    let signed = second.closed(0).await;
    assert_eq!(signed.record.contributions.len(), 2);
    assert_eq!(coordinator.upload(sealed).await.expect("again"), receipt);
    assert_eq!(
        coordinator.metric("covey_packets_accepted_total").await,
        2.0
    );
}

#[tokio::test]
async fn packets_that_do_not_belong_are_refused_and_change_nothing() {
    let coordinator = Coordinator::start();
    let run = coordinator.run().await;
    let (spec, base) = (&run.spec, run.base);
    let me = Identity::from_secret([1; 32]);
    let good = packet(spec, &me, 0, base);
    let seal = |change: &dyn Fn(&mut covey_protocol::packet::PacketHeader)| {
        let mut header = header(spec, &me, 0, base);
        change(&mut header);
        header.seal(&payload(spec, &me, 0), &me).expect("sealed")
    };
    let with_payload = |payload: &[u8]| {
        header(spec, &me, 0, base)
            .seal(payload, &me)
            .expect("sealed")
    };
    let mut not_a_number = payload(spec, &me, 0);
    // The first frame's quantiser sits in its header; every f32 of it made NaN.
    not_a_number[16..32].fill(0xff);
    let mut flipped = good.clone();
    flipped[HEADER_LEN - 1] ^= 1;
    let mut other_payload = good.clone();
    *other_payload.last_mut().expect("bytes") ^= 1;
    let mut newer = good.clone();
    newer[4] = 9;
    let cases: Vec<(&str, Vec<u8>, u16, ErrorCode)> = vec![
        ("empty", vec![], 400, ErrorCode::Malformed),
        ("noise", vec![7; 300], 400, ErrorCode::Malformed),
        (
            "truncated",
            good[..good.len() - 1].to_vec(),
            400,
            ErrorCode::Malformed,
        ),
        (
            "too long",
            [good.as_slice(), b"x"].concat(),
            413,
            ErrorCode::TooLarge,
        ),
        ("huge", vec![0; 600_000], 413, ErrorCode::TooLarge),
        ("signature", flipped, 403, ErrorCode::Signature),
        ("payload hash", other_payload, 400, ErrorCode::Malformed),
        ("version", newer, 400, ErrorCode::Protocol),
        (
            "not finite",
            with_payload(&not_a_number),
            400,
            ErrorCode::Malformed,
        ),
        (
            "short payload",
            with_payload(b"short"),
            400,
            ErrorCode::Malformed,
        ),
        (
            "another run",
            seal(&|h| h.run = Hash::of(b"x")),
            409,
            ErrorCode::WrongRun,
        ),
        (
            "later round",
            seal(&|h| h.round = Round(5)),
            409,
            ErrorCode::FutureRound,
        ),
        (
            "other base",
            seal(&|h| h.base = Hash::of(b"x")),
            409,
            ErrorCode::WrongBase,
        ),
        (
            "many steps",
            seal(&|h| h.inner_steps = 5),
            400,
            ErrorCode::Malformed,
        ),
        (
            "many tokens",
            seal(&|h| h.tokens = 129),
            400,
            ErrorCode::Malformed,
        ),
    ];
    for (name, sealed, status, code) in cases {
        let (actual, body) = coordinator.upload(sealed).await.expect_err(name);
        assert_eq!(
            (actual, body.code),
            (status, code),
            "{name}: {}",
            body.message
        );
        assert!(!body.message.is_empty());
    }
    for (code, count) in [("malformed", 8.0), ("too_large", 2.0), ("wrong_base", 1.0)] {
        let name = format!("covey_packets_rejected_total{{code=\"{code}\"}}");
        assert_eq!(coordinator.metric(&name).await, count, "{code}");
    }
    let after = coordinator.run().await;
    assert_eq!((after.round, after.base), (run.round, run.base));
    assert_eq!(coordinator.records(0).await, []);
    assert_eq!(
        coordinator.metric("covey_packets_accepted_total").await,
        0.0
    );
    // And the good one is still welcome; nobody joined, so it closes its round alone.
    let mut author = coordinator.volunteer(1).await;
    author
        .contribute(&coordinator, good)
        .await
        .expect("accepted");
    let mut volunteer = coordinator.volunteer(3).await;
    volunteer.opened(1).await;
    let stale = packet(spec, &Identity::from_secret([4; 32]), 0, base);
    let (status, body) = coordinator.upload(stale).await.expect_err("stale");
    assert_eq!((status, body.code), (409, ErrorCode::StaleRound));
}

#[tokio::test]
async fn a_late_volunteer_catches_up_from_checkpoint_and_records() {
    let coordinator = Coordinator::start_with(&Extra {
        rounds: "checkpoint_every = 3",
        ..Extra::default()
    });
    let mut early = coordinator.volunteer(1).await;
    let mut thetas = vec![early.run.base];
    for round in 0..5 {
        early.join(round).await;
        let sealed = early.packet(round, thetas[round as usize]);
        early
            .contribute(&coordinator, sealed)
            .await
            .expect("accepted");
        thetas.push(early.closed(round).await.record.theta_after);
    }
    assert_eq!(
        thetas.iter().collect::<BTreeSet<_>>().len(),
        6,
        "each round moves"
    );
    // The checkpoint of round 3 is written beside the rounds.
    while coordinator.run().await.checkpoint.round < Round(3) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let run = coordinator.run().await;
    assert_eq!(run.checkpoint.theta, thetas[3]);
    assert_eq!(coordinator.records(0).await.len(), 5);
    assert_eq!(coordinator.records(4).await.len(), 1);
    assert_eq!(coordinator.records(99).await.len(), 0);

    let (round, theta) = coordinator.catch_up().await;
    assert_eq!((round, Hash::of_weights(&theta)), (Round(5), thetas[5]));
    let mut late = coordinator.volunteer(2).await;
    assert_eq!((late.run.round, late.run.base), (Round(5), thetas[5]));
    late.join(5).await;
    let sealed = late.packet(5, thetas[5]);
    late.contribute(&coordinator, sealed)
        .await
        .expect("accepted");
    assert_eq!(late.closed(5).await.record.contributions.len(), 1);
}

#[tokio::test]
async fn a_volunteer_with_other_weights_is_sent_to_a_checkpoint() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    let base = volunteer.run.base;
    volunteer.join(0).await;
    let sealed = volunteer.packet(0, base);
    volunteer
        .contribute(&coordinator, sealed)
        .await
        .expect("accepted");
    let theta = volunteer.closed(0).await.record.theta_after;
    let applied = |theta| ClientFrame::Applied {
        round: Round(0),
        theta,
    };
    volunteer.socket.frame(&applied(theta)).await;
    volunteer.socket.frame(&applied(Hash::of(b"drifted"))).await;
    let checkpoint = volunteer
        .socket
        .until(|frame| match frame {
            ServerFrame::Resync { checkpoint } => Some(*checkpoint),
            _ => None,
        })
        .await;
    assert_eq!(checkpoint, coordinator.run().await.checkpoint);
    let blob = coordinator.blob(&checkpoint.theta).await;
    assert_eq!(blob.len() as u64, checkpoint.len);
}

#[tokio::test]
async fn a_volunteer_that_vanishes_does_not_block_the_round() {
    let coordinator = Coordinator::start();
    let mut stays = coordinator.volunteer(1).await;
    let mut vanishes = coordinator.volunteer(2).await;
    let base = stays.run.base;
    vanishes.join(0).await;
    stays.join(0).await;
    vanishes.opened(0).await;
    let sealed = stays.packet(0, base);
    stays
        .contribute(&coordinator, sealed)
        .await
        .expect("accepted");
    drop(vanishes);
    assert_eq!(stays.closed(0).await.record.contributions.len(), 1);
}

#[tokio::test]
async fn a_round_without_contributions_moves_on() {
    let coordinator = Coordinator::start_with(&Extra {
        rounds: "window_ms = 1000\ngrace_ms = 0",
        ..Extra::default()
    });
    let mut volunteer = coordinator.volunteer(1).await;
    volunteer.join(0).await;
    let record = volunteer.closed(0).await.record;
    assert_eq!(record.update, None);
    assert_eq!(record.theta_after, record.base);
    volunteer.opened(1).await;
    assert_eq!(coordinator.metric("covey_rounds_empty_total").await, 1.0);
    let (round, theta) = coordinator.catch_up().await;
    assert_eq!((round, Hash::of_weights(&theta)), (Round(1), record.base));
}

#[tokio::test]
async fn more_volunteers_than_a_round_takes_share_several_rounds() {
    let coordinator = Coordinator::start_with(&Extra {
        rounds: "max_contributions = 2",
        ..Extra::default()
    });
    let mut volunteers = Vec::new();
    for secret in 1..=3 {
        let mut volunteer = coordinator.volunteer(secret).await;
        volunteer.join(0).await;
        volunteers.push(volunteer);
    }
    let base = volunteers[0].run.base;
    let mut refused = 0;
    for volunteer in &mut volunteers {
        let sealed = volunteer.packet(0, base);
        let answer = volunteer.contribute(&coordinator, sealed).await;
        if let Err((status, body)) = answer {
            assert_eq!(status, 409);
            assert!(matches!(
                body.code,
                ErrorCode::RoundFull | ErrorCode::StaleRound
            ));
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    let record = volunteers[2].closed(0).await.record;
    assert_eq!(record.contributions.len(), 2);
    let (base, _) = volunteers[2].opened(1).await;
    volunteers[2].join(1).await;
    let sealed = volunteers[2].packet(1, base);
    volunteers[2]
        .contribute(&coordinator, sealed)
        .await
        .expect("accepted in the next round");
}
