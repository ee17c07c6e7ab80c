//! Work that is computed twice, over real sockets and with real training: honest pairs agree, garbage and
//! laziness do not, and quotas refuse and are lifted.

use std::{collections::BTreeMap, fs};

use crate::common::{Coordinator, Extra, Volunteer, header, payload};
use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    corpus::Manifest,
    http::ErrorCode,
    record::{Agreement, ExclusionReason, RoundRecord},
    socket::{ClientFrame, ServerFrame},
};
use covey_training::{
    data::Assignment,
    device,
    inner::{InnerLoop, OptimiserState},
    outer::{codec, pseudo_gradient},
};

/// One clean round ends the probation, and one clean volunteer is enough.
const EXTRA: Extra = Extra {
    top: "",
    rounds: "min_contributions = 2",
    tables: "[replication]\nprobation = 1\nclean_needed = 1\nquota_packets = 6\nquota_rounds = 5",
    trials: false,
};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Honest,
    /// Does one step of four and claims all.
    Lazy,
    Garbage,
}

fn id(secret: u8) -> VolunteerId {
    Identity::from_secret([secret; 32]).id()
}

/// The round's seed, and whose data this volunteer was asked to work on.
async fn open(volunteer: &mut Volunteer, wanted: u64) -> (Hash, VolunteerId, bool) {
    let mut task = (volunteer.identity.id(), false);
    volunteer
        .socket
        .until(|frame| match frame {
            ServerFrame::Task {
                round,
                data_of,
                fresh,
            } if round.0 == wanted => {
                task = (*data_of, *fresh);
                None
            }
            ServerFrame::RoundOpened { round, seed, .. } if round.0 == wanted => {
                Some((*seed, task.0, task.1))
            }
            _ => None,
        })
        .await
}

async fn work(
    coordinator: &Coordinator,
    volunteer: &mut Volunteer,
    round: u64,
    kind: Kind,
) -> Vec<u8> {
    let (seed, data_of, _) = open(volunteer, round).await;
    let (spec, me) = (&volunteer.run.spec, &volunteer.identity);
    let (at, theta) = coordinator.catch_up().await;
    assert_eq!(at, Round(round));
    let base = Hash::of_weights(&theta);
    let payload = if kind == Kind::Garbage {
        payload(spec, me, round)
    } else {
        let folder = coordinator.folder.path().join("corpus");
        let manifest = fs::read(folder.join("manifest.json")).expect("a manifest");
        let manifest = Manifest::from_json(&manifest).expect("a manifest");
        let shard = folder
            .join("blobs")
            .join(manifest.train[0].hash.to_string());
        let words = fs::read(shard).expect("a shard");
        let words = words
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]));
        let tokens = BTreeMap::from([(0, words.collect())]);
        let work = Assignment::new(spec, &manifest, &seed, &data_of, at).expect("work");
        let state = OptimiserState::default();
        let mut inner = InnerLoop::new(spec, &device::cpu(), &state).expect("a loop");
        inner.begin(at, &theta).expect("begun");
        let steps = if kind == Kind::Lazy {
            1
        } else {
            spec.inner.steps
        };
        for step in 0..steps as usize {
            inner.step(&work.batch(step, &tokens).expect("a batch"));
        }
        let finished = inner.finish().await.expect("trained");
        let delta = pseudo_gradient(&theta, &finished.theta).expect("a gradient");
        let zeros = vec![0.0; delta.len()];
        let codec = codec(spec).expect("a codec");
        codec.compress(&delta, &zeros).expect("compressed").payload
    };
    header(spec, me, round, base)
        .seal(&payload, me)
        .expect("sealed")
}

/// Everyone joins and contributes what its kind gives; the third only from round 1 on.
async fn play(
    coordinator: &Coordinator,
    volunteers: &mut [Volunteer],
    round: u64,
    third: Kind,
) -> RoundRecord {
    let mut packets = Vec::new();
    for (number, volunteer) in volunteers.iter_mut().enumerate() {
        let kind = if number == 2 { third } else { Kind::Honest };
        packets.push(work(coordinator, volunteer, round, kind).await);
        volunteer.join(round).await;
    }
    for (volunteer, sealed) in volunteers.iter_mut().zip(&packets) {
        volunteer.commit(sealed).await.expect("committed");
    }
    for sealed in packets {
        coordinator.upload(sealed).await.expect("a receipt");
    }
    let record = volunteers[0].closed(round).await.record;
    record.check_commitments().expect("in order");
    record
}

/// Two clean volunteers, and a third that has been there for one round.
async fn three(coordinator: &Coordinator, third: Kind) -> Vec<Volunteer> {
    let mut volunteers = vec![
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
    ];
    let record = play(coordinator, &mut volunteers, 0, third).await;
    assert_eq!((record.replicas, record.unproven), (vec![], vec![]));
    volunteers.push(coordinator.volunteer(3).await);
    let record = play(coordinator, &mut volunteers, 1, third).await;
    assert!(
        record.unproven.contains(&id(3)),
        "it was not there to be drawn"
    );
    volunteers
}

#[tokio::test]
async fn an_honest_newcomer_agrees_with_its_replica_and_comes_off_probation() {
    let coordinator = Coordinator::start_with(&EXTRA);
    let mut volunteers = three(&coordinator, Kind::Honest).await;
    let record = play(&coordinator, &mut volunteers, 2, Kind::Honest).await;
    let [replica] = record.replicas.as_slice() else {
        panic!("one replica but {:?}", record.replicas);
    };
    assert_eq!((replica.of, replica.agreement), (id(3), Agreement::Agreed));
    assert!([id(1), id(2)].contains(&replica.by));
    let merged: Vec<_> = record.contributions.iter().map(|c| c.volunteer).collect();
    assert!(merged.contains(&id(3)) && !merged.contains(&replica.by));
    let left_out: Vec<_> = record
        .excluded
        .iter()
        .map(|e| (e.volunteer, e.reason))
        .collect();
    assert_eq!(left_out, [(replica.by, ExclusionReason::Replica)]);
    assert_eq!(record.unproven, []);
}

#[tokio::test]
async fn garbage_and_laziness_are_caught_convicted_and_sent_away_until_the_next_period() {
    for kind in [Kind::Garbage, Kind::Lazy] {
        let mut coordinator = Coordinator::start_with(&EXTRA);
        let mut volunteers = three(&coordinator, kind).await;
        let mut checked_by = Vec::new();
        for round in 2..4 {
            let record = play(&coordinator, &mut volunteers, round, kind).await;
            let replica = record.replicas.iter().find(|r| r.of == id(3));
            let replica = replica.expect("it is computed again");
            assert_eq!(replica.agreement, Agreement::Disputed);
            checked_by.push(replica.by);
            let reason = record.excluded.iter().find(|e| e.volunteer == id(3));
            assert_eq!(reason.map(|e| e.reason), Some(ExclusionReason::Disputed));
        }
        assert_ne!(checked_by[0], checked_by[1], "by two different volunteers");

        // Three packets of six: the conviction has halved the quota. A restart forgets none of it.
        coordinator.kill();
        coordinator.restart();
        let mut convict = coordinator.volunteer(3).await;
        convict.opened(4).await;
        convict.join(4).await;
        let message = convict
            .socket
            .until(|frame| match frame {
                ServerFrame::Error { code, message } if *code == ErrorCode::Quota => {
                    Some(message.clone())
                }
                _ => None,
            })
            .await;
        assert!(message.contains("round 5"), "{message}");
        let base = coordinator.run().await.base;
        let sealed = convict.packet(4, base);
        let refused = convict.commit(&sealed).await.expect_err("refused");
        assert_eq!(refused.code, ErrorCode::Quota);

        let mut others = vec![
            coordinator.volunteer(1).await,
            coordinator.volunteer(2).await,
        ];
        play(&coordinator, &mut others, 4, kind).await;
        let base = coordinator.run().await.base;
        convict.opened(5).await;
        convict
            .socket
            .frame(&ClientFrame::Join { round: Round(5) })
            .await;
        let sealed = convict.packet(5, base);
        convict
            .contribute(&coordinator, sealed)
            .await
            .expect("the next period has begun");
    }
}
