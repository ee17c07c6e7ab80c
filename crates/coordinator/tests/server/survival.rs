//! Killed, stopped, damaged, misconfigured: nothing acknowledged is lost, and what cannot go on says
//! what to do.

use std::{collections::BTreeMap, fs, process::Stdio, time::Duration};

use crate::common::{Coordinator, Extra, PATIENCE};
use covey_protocol::{
    Hash, Round,
    http::ErrorCode,
    record::{Receipt, SignedRecord},
    socket::ServerFrame,
};

const SHORT: Extra = Extra {
    top: "",
    rounds: "window_ms = 4000\ngrace_ms = 0\ncheckpoint_every = 2",
    tables: "",
    trials: false,
};

async fn until_round(coordinator: &Coordinator, round: u64) {
    let wait = async {
        while coordinator.run().await.round < Round(round) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the round closes");
}

fn holds(records: &[SignedRecord], receipt: &Receipt) -> bool {
    records.iter().any(|signed| {
        let contributions = &signed.record.contributions;
        signed.record.round == receipt.round
            && contributions.iter().any(|c| c.packet == receipt.packet)
    })
}

#[tokio::test]
async fn an_acknowledged_packet_survives_kill_9_and_is_merged_after_the_restart() {
    let mut coordinator = Coordinator::start_with(&SHORT);
    let mut acknowledged = coordinator.volunteer(1).await;
    let mut awaited = coordinator.volunteer(2).await;
    let before = coordinator.run().await;
    awaited.join(0).await;
    awaited.opened(0).await;
    acknowledged.join(0).await;
    let sealed = acknowledged.packet(0, before.base);
    let receipt = acknowledged
        .contribute(&coordinator, sealed.clone())
        .await
        .expect("accepted");
    coordinator.kill();

    coordinator.restart();
    let run = coordinator.run().await;
    assert_eq!((run.run, run.coordinator), (before.run, before.coordinator));
    assert_eq!((run.round, run.base), (Round(0), before.base), "resumed");
    assert_eq!(
        coordinator.upload(sealed).await.expect("again"),
        receipt,
        "the receipt is the same after the crash"
    );
    // The other one reconnects with its work and is still in time.
    let mut returned = coordinator.volunteer(2).await;
    let sealed = returned.packet(0, before.base);
    returned
        .contribute(&coordinator, sealed)
        .await
        .expect("accepted");
    until_round(&coordinator, 1).await;
    let records = coordinator.records(0).await;
    assert!(holds(&records, &receipt));
    assert_eq!(records[0].record.contributions.len(), 2);
    let (_, theta) = coordinator.catch_up().await;
    assert_eq!(Hash::of_weights(&theta), coordinator.run().await.base);
}

#[tokio::test]
async fn killed_again_and_again_no_receipt_is_broken() {
    let mut coordinator = Coordinator::start_with(&SHORT);
    let mut receipts = Vec::new();
    // Moments of death spread over storing, merging, recording and writing checkpoints.
    for (life, moment) in [40, 0, 15, 5, 80, 25, 150, 1].into_iter().enumerate() {
        let run = coordinator.run().await;
        for secret in 0..3u8 {
            let mut volunteer = coordinator.volunteer(100 + secret).await;
            let sealed = volunteer.packet(run.round.0, run.base);
            match volunteer.contribute(&coordinator, sealed).await {
                Ok(receipt) => receipts.push(receipt),
                Err((_, body)) => assert!(
                    matches!(
                        body.code,
                        ErrorCode::StaleRound | ErrorCode::Duplicate | ErrorCode::WrongBase
                    ),
                    "{body:?}"
                ),
            }
        }
        if life % 2 == 0 {
            // Into the round's closing.
            tokio::time::sleep(Duration::from_millis(3_900)).await;
        }
        tokio::time::sleep(Duration::from_millis(moment)).await;
        coordinator.kill();
        coordinator.restart();
    }
    let open = coordinator.run().await.round.0;
    let last = receipts.iter().map(|receipt| receipt.round.0).max();
    until_round(&coordinator, open.max(last.map_or(0, |last| last + 1))).await;
    assert!(receipts.len() >= 8, "{} receipts", receipts.len());
    let records = coordinator.records(0).await;
    for receipt in &receipts {
        assert!(holds(&records, receipt), "{receipt:?}");
    }
    let (round, theta) = coordinator.catch_up().await;
    let run = coordinator.run().await;
    assert_eq!((round, Hash::of_weights(&theta)), (run.round, run.base));
}

#[tokio::test]
async fn a_graceful_stop_tells_each_volunteer_another_time_to_return() {
    let mut coordinator = Coordinator::start_with(&Extra {
        rounds: "window_ms = 60000",
        ..Extra::default()
    });
    let mut volunteers = Vec::new();
    for secret in 1..=3 {
        let mut volunteer = coordinator.volunteer(secret).await;
        volunteer.join(0).await;
        volunteers.push(volunteer);
    }
    volunteers[2].opened(0).await;
    let base = volunteers[0].run.base;
    let sealed = volunteers[0].packet(0, base);
    let receipt = volunteers[0]
        .contribute(&coordinator, sealed)
        .await
        .expect("accepted");
    coordinator.terminate();
    let mut delays = BTreeMap::new();
    for (number, volunteer) in volunteers.iter_mut().enumerate() {
        let (delay, patience) = volunteer
            .socket
            .until(|frame| match frame {
                ServerFrame::Restarting {
                    reconnect_in_ms,
                    try_for_ms,
                } => Some((*reconnect_in_ms, *try_for_ms)),
                _ => None,
            })
            .await;
        assert!(patience > delay);
        delays.insert(delay, number);
    }
    assert_eq!(delays.len(), 3, "all different");
    assert_eq!(coordinator.ended().await.code(), Some(0));

    coordinator.restart();
    let run = coordinator.run().await;
    assert_eq!((run.round, run.base), (Round(0), base));
    let sealed = volunteers[0].packet(0, base);
    assert_eq!(coordinator.upload(sealed).await.expect("again"), receipt);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_replaced_by_an_older_one_and_the_records() {
    let mut coordinator = Coordinator::start_with(&SHORT);
    for round in 0..4u64 {
        let run = coordinator.run().await;
        let mut volunteer = coordinator.volunteer(9).await;
        let sealed = volunteer.packet(round, run.base);
        volunteer
            .contribute(&coordinator, sealed)
            .await
            .expect("accepted");
        until_round(&coordinator, round + 1).await;
    }
    while coordinator.run().await.checkpoint.round < Round(4) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let run = coordinator.run().await;
    coordinator.kill();
    let blob = coordinator
        .data()
        .join(format!("blobs/{}", run.checkpoint.theta));
    let mut bytes = fs::read(&blob).expect("a checkpoint");
    bytes[1000] ^= 1;
    fs::write(&blob, bytes).expect("damaged");
    coordinator.restart();
    let after = coordinator.run().await;
    assert_eq!((after.round, after.base), (run.round, run.base));
    assert!(
        after.checkpoint.round < Round(4),
        "the damaged one is not offered"
    );
    let (_, theta) = coordinator.catch_up().await;
    assert_eq!(Hash::of_weights(&theta), run.base);
    coordinator.kill();

    // With every checkpoint gone the run's seed and its records still give the same weights.
    let names: Vec<_> = fs::read_dir(coordinator.data().join("blobs"))
        .expect("blobs")
        .map(|entry| entry.expect("a blob").path())
        .collect();
    let len = run.checkpoint.len;
    for path in names {
        if fs::metadata(&path).expect("a file").len() == len {
            fs::remove_file(path).expect("removed");
        }
    }
    coordinator.restart();
    assert_eq!(coordinator.run().await.base, run.base);
    let (_, theta) = coordinator.catch_up().await;
    assert_eq!(Hash::of_weights(&theta), run.base);
    coordinator.kill();

    // Without an update it cannot go on, and says which file is needed.
    let records = run.spec.rounds.checkpoint_every;
    assert_eq!(records, 2);
    let blobs = coordinator.data().join("blobs");
    for entry in fs::read_dir(&blobs).expect("blobs") {
        let path = entry.expect("a blob").path();
        if fs::read(&path).expect("a blob")
            != fs::read(coordinator.folder.path().join("corpus/manifest.json")).expect("a manifest")
        {
            fs::remove_file(path).expect("removed");
        }
    }
    let output = coordinator.command().output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("update of round"), "{message}");
}

fn refusal(command: &mut std::process::Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().expect("runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn a_start_that_cannot_be_says_what_to_change() {
    let mut coordinator = Coordinator::start();
    let (code, message) = refusal(&mut coordinator.command());
    assert_eq!(code, Some(1));
    assert!(message.contains("in use by another process"), "{message}");

    let taken = coordinator.address.clone();
    let other = tempfile::tempdir().expect("a folder");
    let mut command = coordinator.command();
    command
        .args(["--listen", &taken])
        .arg("--data-dir")
        .arg(other.path());
    let (code, message) = refusal(&mut command);
    assert_eq!(code, Some(2));
    assert!(message.contains("--listen"), "{message}");
    coordinator.terminate();
    assert_eq!(coordinator.ended().await.code(), Some(0));

    let (code, message) = refusal(coordinator.command().args(["--name", "another run"]));
    assert_eq!(code, Some(2));
    assert!(
        message.contains("name: the run has \"test run\""),
        "{message}"
    );
    assert!(message.contains("--data-dir"), "{message}");

    let (code, message) = refusal(coordinator.command().args(["--corpus", "/nonexistent"]));
    assert_eq!(code, Some(2));
    assert!(message.contains("--corpus"), "{message}");

    let (code, message) = refusal(
        coordinator
            .command()
            .env("COVEY_LIMITS__CONNECTIONS", "many"),
    );
    assert_eq!(code, Some(2));
    assert!(
        message.to_lowercase().contains("limits.connections"),
        "{message}"
    );

    let (code, message) = refusal(
        coordinator
            .command()
            .args(["--config", "/nonexistent.toml"]),
    );
    assert_eq!(code, Some(2));
    assert!(message.contains("/nonexistent.toml"), "{message}");

    // Every one of these left the run as it was.
    coordinator.restart();
    assert_eq!(coordinator.run().await.spec.name, "test run");
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_flags_override_both() {
    let coordinator = Coordinator::prepare(&Extra {
        top: "checkpoints_kept = 0",
        ..Extra::default()
    });
    let (code, message) = refusal(&mut coordinator.command());
    assert_eq!(code, Some(2), "the file counts");
    assert!(message.contains("checkpoints_kept"), "{message}");
    let mut command = coordinator.command();
    command
        .env("COVEY_CHECKPOINTS_KEPT", "2")
        .env("COVEY_LOG", "%%%=")
        .env("COVEY_VECTORS_DIR", "of another program");
    let (code, message) = refusal(&mut command);
    assert_eq!(
        code,
        Some(2),
        "the environment counts, and only what is ours"
    );
    assert!(message.contains("%%%="), "{message}");
    let (_, message) = refusal(command.args(["--log", "info", "--corpus", "/nonexistent"]));
    assert!(!message.contains("%%%="), "{message}");
    assert!(message.contains("/nonexistent"), "{message}");
}
