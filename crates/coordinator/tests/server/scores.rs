//! Packets that are tried before they count: volunteers that really train, one that works against them,
//! and what everyone can read about it afterwards.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::common::{Coordinator, Extra, Volunteer, header};
use covey_ledger::{AccountId, Alpha, Ledger, journal::Line};
use covey_protocol::{
    Hash, Identity, Round,
    corpus::Manifest,
    http::Scores,
    record::{ExclusionReason, SignedRecord},
    socket::ServerFrame,
};
use covey_training::{
    data::Assignment,
    device,
    inner::{InnerLoop, OptimiserState},
    outer::{codec, pseudo_gradient},
};

fn tried() -> Extra {
    Extra {
        trials: true,
        rounds: "min_contributions = 3",
        ..Extra::default()
    }
}

async fn scores(coordinator: &Coordinator) -> Scores {
    let answer = coordinator.get("/v1/scores").await;
    answer.json().await.expect("scores")
}

/// The seed and base of an open round.
async fn open(volunteer: &mut Volunteer, wanted: u64) -> (Hash, Hash) {
    volunteer
        .socket
        .until(|frame| match frame {
            ServerFrame::RoundOpened {
                round, seed, base, ..
            } if round.0 == wanted => Some((*seed, *base)),
            _ => None,
        })
        .await
}

/// What a round of training gives, times `scale`: 1 is honest.
async fn trained(
    coordinator: &Coordinator,
    volunteer: &Volunteer,
    round: u64,
    seed: Hash,
    scale: f32,
) -> Vec<u8> {
    let spec = &volunteer.run.spec;
    let folder = coordinator.folder.path().join("corpus");
    let manifest = fs::read(folder.join("manifest.json")).expect("a manifest");
    let manifest = Manifest::from_json(&manifest).expect("a manifest");
    let shard = fs::read(
        folder
            .join("blobs")
            .join(manifest.train[0].hash.to_string()),
    );
    let words = shard.expect("a shard");
    let words = words
        .chunks_exact(2)
        .map(|b| u16::from_le_bytes([b[0], b[1]]));
    let tokens = BTreeMap::from([(0, words.collect())]);
    let (at, theta) = coordinator.catch_up().await;
    assert_eq!(at, Round(round));
    let me = &volunteer.identity;
    let work = Assignment::new(spec, &manifest, &seed, &me.id(), at).expect("work");
    let mut inner =
        InnerLoop::new(spec, &device::cpu(), &OptimiserState::default()).expect("a loop");
    inner.begin(at, &theta).expect("begun");
    for step in 0..spec.inner.steps as usize {
        inner.step(&work.batch(step, &tokens).expect("a batch"));
    }
    let finished = inner.finish().await.expect("trained");
    let delta = pseudo_gradient(&theta, &finished.theta).expect("a gradient");
    let delta: Vec<f32> = delta.iter().map(|v| v * scale).collect();
    let zeros = vec![0.0; delta.len()];
    let payload = codec(spec).expect("a codec").compress(&delta, &zeros);
    header(spec, me, round, Hash::of_weights(&theta))
        .seal(&payload.expect("compressed").payload, me)
        .expect("sealed")
}

/// One round in which volunteers 1 and 2 work and 3 works against them.
async fn round(
    coordinator: &Coordinator,
    volunteers: &mut [Volunteer; 3],
    round: u64,
) -> SignedRecord {
    let mut packets = Vec::new();
    for (volunteer, scale) in volunteers.iter_mut().zip([1.0, 1.0, -1.0]) {
        let (seed, _) = open(volunteer, round).await;
        packets.push(trained(coordinator, volunteer, round, seed, scale).await);
    }
    for volunteer in volunteers.iter_mut() {
        volunteer.join(round).await;
    }
    for (volunteer, sealed) in volunteers.iter_mut().zip(packets) {
        volunteer
            .contribute(coordinator, sealed)
            .await
            .expect("a receipt");
    }
    volunteers[0].closed(round).await
}

#[tokio::test]
async fn a_packet_against_the_loss_gets_a_receipt_and_is_left_out() {
    let mut coordinator = Coordinator::start_with(&tried());
    let mut volunteers = [
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
        coordinator.volunteer(3).await,
    ];
    let hostile = Identity::from_secret([3; 32]).id();
    for number in 0..3 {
        let signed = round(&coordinator, &mut volunteers, number).await;
        let record = signed
            .verify(&volunteers[0].run.coordinator)
            .expect("signed");
        let merged: Vec<_> = record.contributions.iter().map(|c| c.volunteer).collect();
        assert_eq!(merged.len(), 2);
        assert!(!merged.contains(&hostile));
        let left_out: Vec<_> = record
            .excluded
            .iter()
            .map(|e| (e.volunteer, e.reason))
            .collect();
        assert_eq!(left_out, [(hostile, ExclusionReason::Harmful)]);
    }
    let (at, _) = coordinator.catch_up().await;
    assert_eq!(at, Round(3), "newcomers can follow");

    let known = scores(&coordinator).await;
    assert_eq!((known.round, known.volunteers.len()), (Round(3), 3));
    let worst = known.volunteers.last().expect("three");
    assert_eq!((worst.volunteer, worst.weight), (hostile, 0));
    assert_eq!((worst.merged, worst.excluded), (0, 3));
    assert_eq!(worst.last, Some(ExclusionReason::Harmful));
    assert!(
        known
            .volunteers
            .iter()
            .take(2)
            .all(|v| v.merged == 3 && v.mu > worst.mu)
    );
    let page = coordinator.operator("/status").await.text().await;
    let page = page.expect("text");
    assert!(page.contains("<h2>Scores</h2>") && page.contains("left out: harmful"));
    let name = "covey_packets_excluded_total{reason=\"harmful\"}";
    assert!((coordinator.metric(name).await - 3.0).abs() < 1e-9);
    assert!(coordinator.metric("covey_rounds_unassessed_total").await < 1e-9);

    // At the epoch the ledger pays for what counted, and for nothing else.
    let url = format!("http://{}/ledger/advance?blocks=30", coordinator.operator);
    let advanced = reqwest::Client::new()
        .post(url)
        .bearer_auth(coordinator.token())
        .send();
    assert_eq!(advanced.await.expect("an answer").status(), 200);
    let lines = coordinator.text("/v1/ledger/entries?from=0").await;
    let mut lines = lines.lines().zip(0..);
    let (genesis, _) = lines.next().expect("a genesis");
    let genesis = Line::parse(genesis, 0).expect("a line").entry;
    let mut ledger = Ledger::from_genesis(&genesis).expect("a genesis");
    for (line, index) in lines {
        let line = Line::parse(line, index).expect("a line");
        ledger.replay(&line.entry).expect("it follows");
    }
    // How many good evaluations three rounds bring depends on the texts that were drawn.
    for score in &known.volunteers {
        let account = AccountId(score.volunteer.0);
        let account = ledger.state().accounts.get(&account);
        let earned = account.and_then(|account| account.earnings.last());
        let incentive = earned.map_or(Alpha::ZERO, |earning| earning.incentive);
        assert_eq!(incentive > Alpha::ZERO, score.weight > 0, "{score:?}");
    }

    // The book is as durable as the records.
    coordinator.kill();
    coordinator.restart();
    assert_eq!(scores(&coordinator).await, known);
}

#[tokio::test]
async fn a_round_that_cannot_be_tried_in_time_goes_on_with_the_fast_checks() {
    let extra = Extra {
        top: "assess_seconds = 0",
        ..tried()
    };
    let coordinator = Coordinator::start_with(&extra);
    let mut volunteers = [
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
        coordinator.volunteer(3).await,
    ];
    let signed = round(&coordinator, &mut volunteers, 0).await;
    assert_eq!(signed.record.contributions.len(), 3);
    assert_eq!(signed.record.excluded, []);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!((coordinator.metric("covey_rounds_unassessed_total").await - 1.0).abs() < 1e-9);
    assert_eq!(scores(&coordinator).await, Scores::default());
}
