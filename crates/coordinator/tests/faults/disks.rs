//! Disks that are full, read-only, cut short or altered. A full and a read-only disk are real ones: a small
//! file system, or a read-only view of a folder, in a mount namespace of the coordinator's own.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use covey_coordinator::{
    run_file::{self, CorpusManifest},
    storage::{Journal, RedbJournal},
};
use covey_protocol::{Hash, Identity, Round, VolunteerId, http::ErrorCode};
use covey_rounds::Acceptance;
use reqwest::StatusCode;

use super::{
    common::{Coordinator, Extra, packet},
    until,
};

const LONG: Extra = Extra {
    top: "",
    rounds: "window_ms = 3600000\nmax_contributions = 20",
    tables: "",
    trials: false,
};

/// The coordinator in a mount namespace of its own, in which `mount` is done to its data folder first.
fn mounted(coordinator: &Coordinator, mount: &str) -> Command {
    let program = coordinator.command();
    let mut command = Command::new("unshare");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!("{mount} && shift && exec \"$@\""))
        .arg("sh")
        .arg(coordinator.data())
        .arg(program.get_program())
        .args(program.get_args());
    command
}

/// Whether this system lets us mount something for ourselves. Where it does not, that is said where it
/// will be read: the test harness hides what is printed.
fn can_mount(test: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let tried = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "none",
        ])
        .arg(folder.path())
        .stdin(Stdio::null())
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: {test}: it needs Linux, `unshare`, and leave to mount in a user namespace"
        );
    }
    can
}

fn failure(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().expect("runs");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_acknowledged_and_afterwards_the_run_goes_on() {
    if !can_mount("a full disk") {
        return;
    }
    let mut coordinator = Coordinator::prepare(&LONG);
    fs::create_dir(coordinator.data()).expect("a folder");
    coordinator.launch(mounted(
        &coordinator,
        "mount -t tmpfs -o size=8m none \"$1\"",
    ));
    let inside = PathBuf::from(format!("/proc/{}/root", coordinator.id()));
    let data = coordinator.data();
    let data = inside.join(data.strip_prefix("/").expect("absolute"));
    // The token is where the coordinator sees it.
    let token = fs::read_to_string(data.join("admin.token")).expect("a token");
    let metrics = async || {
        let url = format!("http://{}/metrics", coordinator.operator);
        let request = reqwest::Client::new().get(url).bearer_auth(token.trim());
        request
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
    };
    let run = coordinator.run().await;
    let sealed = |secret: u8| packet(&run.spec, &Identity::from_secret([secret; 32]), 0, run.base);
    // Somebody who has not contributed yet keeps the round open.
    let mut awaited = coordinator.volunteer(99).await;
    awaited.join(0).await;
    awaited.opened(0).await;
    let mut receipts = vec![coordinator.upload(sealed(1)).await.expect("accepted")];

    let ballast = data.join("ballast");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&ballast)
        .expect("a file");
    let full = loop {
        if let Err(error) = file.write_all(&[0; 1024]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let mut refused = None;
    for secret in 2..20 {
        match coordinator.upload(sealed(secret)).await {
            Ok(receipt) => receipts.push(receipt),
            Err(refusal) => {
                refused = Some((secret, refusal));
                break;
            }
        }
    }
    let (secret, (status, body)) = refused.expect("the disk is full");
    assert_eq!(
        (status, body.code),
        (503, ErrorCode::Unavailable),
        "{body:?}"
    );
    let failures = metrics().await;
    assert!(
        !failures.contains("covey_storage_errors_total 0\n"),
        "{failures}"
    );
    // Who only reads notices nothing.
    let reads = coordinator.run().await;
    assert_eq!((reads.round, reads.base), (run.round, run.base));

    fs::remove_file(ballast).expect("removed");
    drop(file);
    let answer = until("it works again", async || {
        coordinator.upload(sealed(secret)).await.ok()
    });
    receipts.push(answer.await);
    assert_eq!(coordinator.get("/healthz").await.status(), StatusCode::OK);
    // The round closes with every packet that got a receipt.
    receipts.push(coordinator.upload(sealed(99)).await.expect("accepted"));
    let record = awaited.closed(0).await.record;
    for receipt in &receipts {
        assert!(
            record
                .contributions
                .iter()
                .any(|c| c.packet == receipt.packet),
            "{receipt:?}"
        );
    }
    assert_eq!(
        record.contributions.len(),
        receipts.len(),
        "and with no other"
    );
}

#[tokio::test]
async fn a_read_only_data_folder_is_named_with_what_to_do_and_left_as_it_was() {
    if !can_mount("a read-only data folder") {
        return;
    }
    let mut coordinator = Coordinator::start_with(&LONG);
    let run = coordinator.run().await;
    let sealed = packet(&run.spec, &Identity::from_secret([1; 32]), 0, run.base);
    let receipt = coordinator.upload(sealed.clone()).await.expect("accepted");
    coordinator.kill();
    let read_only = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"";
    let (code, message) = failure(mounted(&coordinator, read_only));
    assert_eq!(code, Some(2), "{message}");
    let folder = coordinator.data().display().to_string();
    for words in [
        folder.as_str(),
        "cannot be written to",
        "Read-only",
        "--data-dir",
    ] {
        assert!(message.contains(words), "{words} in {message}");
    }
    coordinator.restart();
    assert_eq!(coordinator.upload(sealed).await.expect("known"), receipt);
}

/// Lengths at which something begins or ends, and those beside them.
fn lengths(len: u64) -> Vec<u64> {
    let mut all: Vec<u64> = (0..=len / 4096).map(|page| page * 4096).collect();
    all.extend([1, 64, 128, 320, 512, len / 2, len - 1]);
    let mut around: Vec<u64> = all
        .iter()
        .flat_map(|at| [at.saturating_sub(1), *at, at + 1])
        .collect();
    around.retain(|at| (1..len).contains(at));
    around.sort_unstable();
    around.dedup();
    around
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file")
        .set_len(len)
        .expect("cut");
}

#[test]
fn a_journal_that_was_cut_short_is_whole_or_refused_never_less() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.redb");
    let journal = RedbJournal::open(&path).expect("opened");
    for volunteer in 1..=9 {
        let acceptance = Acceptance {
            round: Round(0),
            volunteer: VolunteerId([volunteer; 32]),
            packet: Hash::of(&[volunteer]),
            inner_steps: 4,
            tokens: 128,
            received_at_ms: 1_000,
        };
        journal
            .accept(&acceptance, &[volunteer; 5000])
            .expect("kept");
    }
    let wanted = journal.acceptances(Round(0)).expect("read");
    drop(journal);
    let whole = fs::read(&path).expect("a file");
    let copy = folder.path().join("copy.redb");
    let mut refused = 0;
    let lengths = lengths(whole.len() as u64);
    for len in &lengths {
        fs::write(&copy, &whole).expect("written");
        cut(&copy, *len);
        match RedbJournal::open(&copy) {
            Err(_) => refused += 1,
            Ok(journal) => {
                assert_eq!(
                    journal.acceptances(Round(0)).expect("read"),
                    wanted,
                    "cut at {len}"
                );
                for acceptance in &wanted {
                    let packet = journal
                        .packet(Round(0), acceptance.volunteer)
                        .expect("read");
                    assert_eq!(packet.map(|p| p.len()), Some(5000), "cut at {len}");
                }
            }
        }
    }
    assert!(refused > 10, "{refused} of {}", lengths.len());
}

#[tokio::test]
async fn a_description_that_was_cut_short_never_becomes_another_run() {
    let mut coordinator = Coordinator::start();
    coordinator.kill();
    let path = coordinator.data().join("run.json");
    let whole = fs::read(&path).expect("a description");
    let corpus_dir = coordinator.folder.path().join("corpus");
    let corpus = CorpusManifest::load(&corpus_dir).expect("a corpus");
    let copy = coordinator.folder.path().join("copy.json");
    for len in 0..whole.len() {
        fs::write(&copy, &whole[..len]).expect("written");
        let loaded = run_file::load_or_create(&copy, &serde_json::Map::new(), &corpus, &corpus_dir);
        let message = loaded.expect_err("refused").to_string();
        assert!(
            message.contains("is damaged") && message.contains("backup"),
            "{message}"
        );
        assert_eq!(fs::read(&copy).expect("left alone"), whole[..len]);
    }
}

#[tokio::test]
async fn a_start_names_the_file_that_was_cut_short_and_changes_nothing() {
    let mut coordinator = Coordinator::start_with(&LONG);
    let run = coordinator.run().await;
    let sealed = packet(&run.spec, &Identity::from_secret([1; 32]), 0, run.base);
    let receipt = coordinator.upload(sealed.clone()).await.expect("accepted");
    let head = coordinator.text("/v1/ledger").await;
    coordinator.kill();
    for (name, words) in [
        ("journal.redb", "the run has begun"),
        ("ledger.redb", "a ledger was founded here"),
    ] {
        let path = coordinator.data().join(name);
        let whole = fs::read(&path).expect("a file");
        for (len, words) in [
            (0, words),
            (whole.len() as u64 / 2, "is damaged"),
            (100, "is damaged"),
        ] {
            cut(&path, len);
            let (code, message) = failure(coordinator.command());
            assert_eq!(code, Some(1), "{name} of {len} bytes: {message}");
            for words in [name, words, "backup"] {
                assert!(
                    message.contains(words),
                    "{name} of {len} bytes: {words} in {message}"
                );
            }
            fs::write(&path, &whole).expect("restored");
        }
        fs::remove_file(&path).expect("removed");
        let (code, message) = failure(coordinator.command());
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains(words), "{message}");
        fs::write(&path, &whole).expect("restored");
    }
    coordinator.restart();
    assert_eq!(coordinator.upload(sealed).await.expect("known"), receipt);
    let part = |head: &str| {
        head.split("\"head\":")
            .nth(1)
            .map(|rest| rest[..66].to_owned())
    };
    assert_eq!(part(&coordinator.text("/v1/ledger").await), part(&head));
}

fn alter(path: &Path) {
    let mut bytes = fs::read(path).expect("a blob");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("altered");
}

async fn refused(coordinator: &Coordinator, name: &Hash, range: &'static str) {
    let request = reqwest::Client::new().get(coordinator.url(&format!("/v1/blobs/{name}")));
    let answer = request.header("range", range).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.expect("text");
    assert!(
        text.contains("damaged") && text.contains("unavailable"),
        "{text}"
    );
}

#[tokio::test]
async fn an_altered_blob_is_never_served_and_a_fresh_checkpoint_takes_its_place() {
    let mut coordinator = Coordinator::start_with(&Extra {
        rounds: "window_ms = 60000\ncheckpoint_every = 100",
        ..Extra::default()
    });
    for round in 0..3 {
        let mut volunteer = coordinator.volunteer(1).await;
        volunteer.join(round).await;
        let run = coordinator.run().await;
        coordinator
            .upload(volunteer.packet(round, run.base))
            .await
            .expect("accepted");
        volunteer.closed(round).await;
    }
    let blobs = coordinator.data().join("blobs");
    let run = coordinator.run().await;
    assert_eq!(run.checkpoint.round, Round(0));
    // An update that newcomers need, and that cannot be made again.
    let update = coordinator.records(1).await[0]
        .record
        .update
        .expect("an update");
    coordinator.blob(&update).await;
    alter(&blobs.join(update.to_string()));
    refused(&coordinator, &update, "bytes=0-").await;
    refused(&coordinator, &update, "bytes=0-9").await;
    let newest = async |round, other: Hash| {
        until("a checkpoint of now", async || {
            let checkpoint = coordinator.run().await.checkpoint;
            (checkpoint.round == Round(round) && checkpoint.theta != other).then_some(checkpoint)
        })
        .await
    };
    let fresh = newest(3, run.checkpoint.theta).await;
    let (round, theta) = coordinator.catch_up().await;
    assert_eq!((round, Hash::of_weights(&theta)), (Round(3), run.base));
    assert!(coordinator.metric("covey_blobs_altered_total").await >= 2.0);

    // The newest checkpoint itself is written again from memory.
    alter(&blobs.join(fresh.theta.to_string()));
    refused(&coordinator, &fresh.theta, "bytes=0-").await;
    until("it is whole again", async || {
        let url = format!("/v1/blobs/{}", fresh.theta);
        (coordinator.get(&url).await.status() == 200).then_some(())
    })
    .await;
    coordinator.blob(&fresh.theta).await;

    // A start needs nothing older, either.
    coordinator.kill();
    coordinator.restart();
    assert_eq!(coordinator.run().await.base, run.base);

    // A shard of the text can only be put back.
    let manifest = coordinator.blob(&run.spec.corpus).await;
    let manifest = covey_protocol::corpus::Manifest::from_json(&manifest).expect("a manifest");
    let shard = manifest.train[0].hash;
    let path = coordinator
        .folder
        .path()
        .join(format!("corpus/blobs/{shard}"));
    let whole = fs::read(&path).expect("a shard");
    alter(&path);
    refused(&coordinator, &shard, "bytes=5-").await;
    fs::write(&path, whole).expect("restored");
    coordinator.blob(&shard).await;
}
