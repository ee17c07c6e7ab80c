//! Commit, then reveal, over real sockets: who knows everything that crosses the network still has nothing
//! to copy in time, and a commitment that was acknowledged is kept.

use crate::common::{Coordinator, Extra, Volunteer, header, payload};
use covey_protocol::{
    Hash, Round, SignatureBytes,
    http::{ErrorCode, Scores},
    record::ExclusionReason,
    socket::{ClientFrame, ServerFrame},
    update,
};

/// The payload of another volunteer under this one's own name.
fn copied(copier: &Volunteer, round: u64, base: Hash, payload: &[u8]) -> Vec<u8> {
    header(&copier.run.spec, &copier.identity, round, base)
        .seal(payload, &copier.identity)
        .expect("sealed")
}

#[tokio::test]
async fn whoever_sees_the_whole_network_has_nothing_to_copy_before_it_is_too_late() {
    let coordinator = Coordinator::start();
    let mut victim = coordinator.volunteer(1).await;
    let mut copier = coordinator.volunteer(2).await;
    let mut idle = coordinator.volunteer(3).await;
    let base = victim.run.base;
    for volunteer in [&mut victim, &mut copier, &mut idle] {
        volunteer.join(0).await;
    }
    let sealed = victim.packet(0, base);
    let name = Hash::of(&sealed);
    victim
        .contribute(&coordinator, sealed.clone())
        .await
        .expect("accepted");

    // Even knowing the packet's name, nobody is given the packet while commitments are taken.
    for path in [format!("/v1/blobs/{name}"), "/v1/packets".into()] {
        let answer = coordinator.get(&path).await;
        assert!(
            answer.status().is_client_error(),
            "{path}: {}",
            answer.status()
        );
    }
    assert_eq!(coordinator.records(0).await, []);
    let update = Hash::of(&update::encode(&[&sealed]));
    let answer = coordinator.get(&format!("/v1/blobs/{update}")).await;
    assert_eq!(answer.status(), 404);

    // The round ends without the others; only now everything is public.
    for volunteer in [&mut copier, &mut idle] {
        volunteer.socket.frame(&ClientFrame::Leave).await;
    }
    let mut seen = Vec::new();
    let record = copier
        .socket
        .until(|frame| {
            if let ServerFrame::RoundClosed { record } = frame {
                return Some(record.record.clone());
            }
            seen.push(frame.to_json());
            None
        })
        .await;
    assert!(
        seen.iter().all(|frame| !frame.contains(&name.to_string())),
        "not even the name was told"
    );
    assert_eq!(record.update, Some(update));
    let bytes = coordinator.blob(&update).await;
    let packets = update::decode(&bytes).expect("an update");
    let copy = copied(&copier, 0, base, packets[0].payload);
    let refused = copier.commit(&copy).await.expect_err("too late");
    assert_eq!(refused.code, ErrorCode::StaleRound);
    let (status, refused) = coordinator.upload(copy).await.expect_err("too late");
    assert_eq!((status, refused.code), (409, ErrorCode::StaleRound));
}

#[tokio::test]
async fn a_packet_is_refused_unless_it_is_the_one_committed_to() {
    let coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    let base = volunteer.run.base;
    volunteer.join(0).await;
    let sealed = volunteer.packet(0, base);
    let (status, body) = coordinator.upload(sealed.clone()).await.expect_err("early");
    assert_eq!((status, body.code), (409, ErrorCode::NotCommitted));

    let forged = ClientFrame::Commit {
        round: Round(0),
        packet: Hash::of(&sealed),
        signature: SignatureBytes([1; 64]),
    };
    volunteer.socket.frame(&forged).await;
    let code = volunteer
        .socket
        .until(|frame| match frame {
            ServerFrame::Error { code, .. } => Some(*code),
            _ => None,
        })
        .await;
    assert_eq!(code, ErrorCode::Signature);

    volunteer.commit(&sealed).await.expect("acknowledged");
    let run = &volunteer.run.spec;
    let other = copied(&volunteer, 0, base, &payload(run, &volunteer.identity, 9));
    let (_, body) = coordinator
        .upload(other.clone())
        .await
        .expect_err("another one");
    assert_eq!(body.code, ErrorCode::NotCommitted);
    let refused = volunteer.commit(&other).await.expect_err("a second one");
    assert_eq!(refused.code, ErrorCode::Duplicate);
    assert_eq!(
        coordinator.metric("covey_packets_accepted_total").await,
        0.0
    );
    coordinator.upload(sealed).await.expect("accepted");
}

#[tokio::test]
async fn commitments_close_at_the_deadline_and_uploads_after_the_grace_period() {
    let coordinator = Coordinator::start_with(&Extra {
        rounds: "window_ms = 3000\ngrace_ms = 60000",
        ..Extra::default()
    });
    let mut early = coordinator.volunteer(1).await;
    let mut late = coordinator.volunteer(2).await;
    let base = early.run.base;
    let (first, second) = (early.packet(0, base), late.packet(0, base));
    late.join(0).await;
    early.commit(&first).await.expect("in time");
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    let refused = late.commit(&second).await.expect_err("after the deadline");
    assert_eq!(refused.code, ErrorCode::StaleRound);
    coordinator
        .upload(first)
        .await
        .expect("in the grace period");
    let record = early.closed(0).await.record;
    assert_eq!(record.contributions.len(), 1);
    assert_eq!(record.commitments.len(), 1);
}

#[tokio::test]
async fn of_two_equal_packets_the_one_committed_to_first_is_the_original() {
    let coordinator = Coordinator::start();
    let mut original = coordinator.volunteer(1).await;
    let mut copier = coordinator.volunteer(2).await;
    let base = original.run.base;
    for volunteer in [&mut original, &mut copier] {
        volunteer.join(0).await;
    }
    let sealed = original.packet(0, base);
    let stolen = payload(&original.run.spec, &original.identity, 0);
    let copy = copied(&copier, 0, base, &stolen);
    original.commit(&sealed).await.expect("first");
    copier.commit(&copy).await.expect("second");
    // The copier's connection is the faster one.
    coordinator.upload(copy).await.expect("a receipt");
    coordinator.upload(sealed).await.expect("a receipt");
    let record = original.closed(0).await.record;
    record.check_commitments().expect("in order");
    let merged: Vec<_> = record.contributions.iter().map(|c| c.volunteer).collect();
    assert_eq!(merged, [original.identity.id()]);
    let left_out: Vec<_> = record
        .excluded
        .iter()
        .map(|e| (e.volunteer, e.reason))
        .collect();
    assert_eq!(left_out, [(copier.identity.id(), ExclusionReason::Copied)]);
}

#[tokio::test]
async fn an_acknowledged_commitment_survives_kill_9() {
    let mut coordinator = Coordinator::start();
    let mut volunteer = coordinator.volunteer(1).await;
    let base = volunteer.run.base;
    volunteer.join(0).await;
    let sealed = volunteer.packet(0, base);
    volunteer.commit(&sealed).await.expect("acknowledged");
    coordinator.kill();

    coordinator.restart();
    let mut volunteer = coordinator.volunteer(1).await;
    let run = &volunteer.run.spec;
    let other = copied(&volunteer, 0, base, &payload(run, &volunteer.identity, 9));
    let refused = volunteer.commit(&other).await.expect_err("it is known");
    assert_eq!(refused.code, ErrorCode::Duplicate);
    let name = Hash::of(&sealed);
    coordinator
        .upload(sealed)
        .await
        .expect("without committing again");
    let record = volunteer.closed(0).await.record;
    record.check_commitments().expect("it is in the record");
    assert_eq!(record.commitments[0].packet, name);
}

#[tokio::test]
async fn whoever_commits_and_never_reveals_is_in_the_record_and_in_the_book() {
    let coordinator = Coordinator::start_with(&Extra {
        trials: true,
        rounds: "window_ms = 2000\ngrace_ms = 0",
        ..Extra::default()
    });
    let mut volunteer = coordinator.volunteer(1).await;
    // The book knows nobody who never delivered anything.
    let sealed = volunteer.packet(0, volunteer.run.base);
    let receipt = volunteer.contribute(&coordinator, sealed).await;
    receipt.expect("accepted");
    volunteer.closed(0).await;
    let (base, _) = volunteer.opened(1).await;
    let sealed = volunteer.packet(1, base);
    volunteer.commit(&sealed).await.expect("acknowledged");
    let record = volunteer.closed(1).await.record;
    assert_eq!(record.contributions, []);
    assert_eq!(record.commitments.len(), 1);
    record.check_commitments().expect("signed by the volunteer");
    volunteer.opened(2).await;
    let scores: Scores = coordinator
        .get("/v1/scores")
        .await
        .json()
        .await
        .expect("scores");
    let known: Vec<_> = scores
        .volunteers
        .iter()
        .map(|score| (score.volunteer, score.idle))
        .collect();
    // Missing, which costs more than being idle.
    assert_eq!(known, [(volunteer.identity.id(), 0)]);
    assert_eq!(
        coordinator.metric("covey_rounds_unassessed_total").await,
        0.0
    );
}
