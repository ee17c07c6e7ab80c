//! Nobody has to believe a coordinator: real followers against a real coordinator, honest, altered on the
//! way, lying with its own key, and gone.

use std::{fs, process::Output};

use crate::common::{Coordinator, Extra};
use crate::proxy::{self, Said};
use covey_ledger::{
    AccountId, KeyType, Ledger,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN,
    journal::Line,
    signing::keys::Keypair,
};
use covey_protocol::{
    Hash, Identity, Round,
    http::{ErrorBody, ErrorCode, Records, RunInfo},
    ledger::{LedgerHead, sign_head},
    record::SignedRecord,
    socket::{ClientFrame, ServerFrame},
    witness::{Equivocation, Place, SignedStatement, Statement, Verdict, WitnessKind, Witnesses},
};

const ROUNDS: Extra = Extra {
    top: "",
    rounds: "window_ms = 60000\ncheckpoint_every = 2",
    tables: "",
    trials: false,
};

/// One round in which two volunteers contribute.
async fn round(coordinator: &Coordinator) {
    let open = coordinator.run().await;
    let mut volunteers = Vec::new();
    for secret in [1, 2] {
        let mut volunteer = coordinator.volunteer(secret).await;
        volunteer.join(open.round.0).await;
        volunteers.push(volunteer);
    }
    // Both have joined once the second hears of the window.
    volunteers[1].opened(open.round.0).await;
    for volunteer in &mut volunteers {
        let sealed = volunteer.packet(open.round.0, open.base);
        let receipt = volunteer.contribute(coordinator, sealed).await;
        receipt.expect("accepted");
    }
    volunteers[0].closed(open.round.0).await;
}

async fn rounds(count: u64) -> Coordinator {
    let coordinator = Coordinator::start_with(&ROUNDS);
    while coordinator.run().await.round < Round(count) {
        round(&coordinator).await;
    }
    coordinator
}

async fn once(mirror: &Coordinator, url: &str, more: &[&str]) -> Output {
    let mut command = mirror.follow(url, more);
    command.arg("--once");
    let run = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    tokio::time::timeout(crate::common::PATIENCE * 2, run)
        .await
        .expect("in time")
        .expect("waited")
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn statement(mirror: &Coordinator) -> SignedStatement {
    let json = fs::read(mirror.data().join("witness.json")).expect("a statement");
    let signed: SignedStatement = serde_json::from_slice(&json).expect("a statement");
    signed.verify().expect("signed");
    signed
}

async fn listed(coordinator: &Coordinator) -> Witnesses {
    coordinator
        .get("/v1/witnesses")
        .await
        .json()
        .await
        .expect("witnesses")
}

/// Waits until a condition on a server's list of witnesses holds.
async fn until(coordinator: &Coordinator, holds: impl Fn(&Witnesses) -> bool) -> Witnesses {
    let wait = async {
        loop {
            let list = listed(coordinator).await;
            if holds(&list) {
                return list;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, wait)
        .await
        .expect("it comes to hold")
}

fn key(coordinator: &Coordinator) -> [u8; 32] {
    let key = fs::read(coordinator.data().join("coordinator.key")).expect("a key");
    key.try_into().expect("32 bytes")
}

async fn entries(server: &Coordinator) -> Vec<String> {
    let text = server.text("/v1/ledger/journal").await;
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_live_run_is_followed_to_agreement_and_its_page_says_so() {
    let coordinator = rounds(2).await;
    let mut mirror = Coordinator::mirror();
    mirror.start_mirror(&coordinator.url(""));
    until(&coordinator, |list| list.servers.len() == 1).await;
    round(&coordinator).await;
    let list = until(&coordinator, |list| {
        list.servers.iter().any(|s| s.statement.round == Round(3))
    })
    .await;
    let run = coordinator.run().await;
    let signed = &list.servers[0];
    let stated = signed.verify().expect("signed");
    assert_eq!((stated.run, stated.theta), (run.run, run.base));
    assert_eq!(stated.name, "a library");
    let last = coordinator.records(2).await.remove(0).record;
    assert_eq!(stated.record, Some(last.hash()));
    let head: LedgerHead = coordinator
        .get("/v1/ledger")
        .await
        .json()
        .await
        .expect("a head");
    assert!(
        stated
            .ledger
            .is_some_and(|seen| seen.entries <= head.entries)
    );
    assert_eq!(list.disagreements, []);
    let own = listed(&mirror).await;
    assert_eq!(
        own.servers[0].witness, signed.witness,
        "it says so itself as well"
    );
}

#[tokio::test]
async fn a_mirror_serves_newcomers_and_takes_nothing() {
    let coordinator = rounds(3).await;
    let mut mirror = Coordinator::mirror();
    mirror.start_mirror(&coordinator.url(""));
    let (run, original) = (mirror.run().await, coordinator.run().await);
    assert_eq!(
        (run.run, run.coordinator),
        (original.run, original.coordinator)
    );
    assert_eq!((run.round, run.base), (original.round, original.base));
    assert_eq!(run.mirror.expect("marked").of, coordinator.url(""));
    let (reached, theta) = mirror.catch_up().await;
    assert_eq!(
        (reached, Hash::of_weights(&theta)),
        (original.round, original.base)
    );
    assert_eq!(mirror.get("/v1/model.safetensors").await.status(), 200);
    let manifest = mirror.blob(&run.spec.corpus).await;
    let manifest = covey_protocol::corpus::Manifest::from_json(&manifest).expect("a manifest");
    for shard in manifest.train.iter().chain(&manifest.held_out) {
        mirror.blob(&shard.hash).await;
    }
    mirror.blob(&manifest.vocabulary).await;

    let head: LedgerHead = mirror.get("/v1/ledger").await.json().await.expect("a head");
    head.verify(&original.coordinator)
        .expect("the coordinator's own signature");
    let kept = entries(&mirror).await;
    assert_eq!(kept.len() as u64, head.entries);
    assert!(entries(&coordinator).await.starts_with(&kept));

    for path in ["/v1/packets", "/v1/ledger/actions", "/v1/witnesses"] {
        let answer = reqwest::Client::new()
            .post(mirror.url(path))
            .body("x")
            .send();
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 421, "{path}");
        let body: ErrorBody = answer.json().await.expect("a body");
        assert_eq!(body.code, ErrorCode::Mirror);
        assert!(
            body.message.contains(&coordinator.address),
            "{}",
            body.message
        );
    }
    let (denial, _) = mirror.socket().await.denied().await;
    assert!(matches!(
        denial,
        Some(ServerFrame::Denied {
            code: ErrorCode::Mirror,
            ..
        })
    ));
}

#[tokio::test]
async fn a_follower_goes_on_where_it_was_stopped_or_killed() {
    let coordinator = rounds(2).await;
    let mut mirror = Coordinator::mirror();
    let output = once(&mirror, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(statement(&mirror).statement.round, Round(2));
    for _ in 0..2 {
        round(&coordinator).await;
    }
    // Killed wherever it may be.
    mirror.start_mirror(&coordinator.url(""));
    mirror.kill();
    let output = once(&mirror, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    let signed = statement(&mirror);
    assert!(signed.agrees());
    assert_eq!(signed.statement.theta, coordinator.run().await.base);

    let other = Coordinator::start();
    let output = once(&mirror, &other.url(""), &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let run = other.run().await.run.to_string();
    assert!(words(&output).contains(&run), "{}", words(&output));
}

#[tokio::test]
async fn what_cannot_be_followed_says_what_to_do() {
    let coordinator = rounds(1).await;
    let mirror = Coordinator::mirror();
    let gone = once(&mirror, "http://127.0.0.1:9", &[]).await;
    assert_eq!(gone.status.code(), Some(1));
    assert!(words(&gone).contains("no answer"), "{}", words(&gone));
    let wrong = Hash([7; 32]).to_string();
    let output = once(&mirror, &coordinator.url(""), &["--run", &wrong]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains(&wrong), "{}", words(&output));
    let output = once(&mirror, "ftp://example", &[]).await;
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let output = once(&mirror, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    let start = mirror.command().output().expect("it runs");
    assert_eq!(
        start.status.code(),
        Some(2),
        "no coordinator starts in a mirror"
    );
    assert!(words(&start).contains("takeover"), "{}", words(&start));
}

/// Follows through a proxy that alters answers; gives the disagreement.
async fn found(
    coordinator: &Coordinator,
    tamper: impl Fn(&str, &[u8]) -> Option<Said> + Send + Sync + 'static,
) -> (Place, u64) {
    let url = proxy::start(coordinator.url(""), tamper).await;
    let mirror = Coordinator::mirror();
    let output = once(&mirror, &url, &[]).await;
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let signed = statement(&mirror);
    let Verdict::Disagrees { place, number, .. } = signed.statement.verdict else {
        panic!("{signed:?}");
    };
    let list = listed(coordinator).await;
    assert!(
        list.disagreements
            .iter()
            .any(|d| d.witness == signed.witness)
    );
    // Final: the honest coordinator is not looked at any more.
    let again = once(&mirror, &coordinator.url(""), &[]).await;
    assert_eq!(again.status.code(), Some(3));
    (place, number)
}

fn records(bytes: &[u8], change: impl Fn(&mut SignedRecord)) -> Option<Said> {
    let mut page: Records = serde_json::from_slice(bytes).expect("records");
    page.records.iter_mut().for_each(change);
    Some(Said::Bytes(serde_json::to_vec(&page).expect("json")))
}

#[tokio::test]
async fn whatever_is_altered_is_the_exact_first_disagreement() {
    let coordinator = rounds(3).await;
    let run = coordinator.run().await;
    let all = coordinator.records(0).await;
    let update = all[1].record.update.expect("merged");
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Some(Said::Bytes(bytes))
    };
    let is_records = |path: &str| path.starts_with("/v1/records");

    let altered = found(&coordinator, move |path, bytes| {
        is_records(path).then(|| {
            records(bytes, |signed| {
                if signed.record.round == Round(1) {
                    signed.record.seed = Hash([9; 32]);
                }
            })
        })?
    });
    assert_eq!(altered.await, (Place::Signature, 1));

    let blob = format!("/v1/blobs/{update}");
    let altered = found(&coordinator, {
        let blob = blob.clone();
        move |path, bytes| (path == blob).then(|| flip(bytes, 400))?
    });
    assert_eq!(altered.await, (Place::Update, 1));

    let withheld = found(&coordinator, move |path, _| {
        (path == blob).then_some(Said::NotFound)
    });
    assert_eq!(withheld.await, (Place::Update, 1));

    let blob = format!("/v1/blobs/{}", run.checkpoint.theta);
    let altered = found(&coordinator, move |path, bytes| {
        (path == blob).then(|| flip(bytes, 400))?
    });
    assert_eq!(altered.await, (Place::Checkpoint, run.checkpoint.round.0));

    let altered = found(&coordinator, |path, bytes| {
        let mut info: RunInfo =
            (path == "/v1/run").then(|| serde_json::from_slice(bytes).ok())??;
        info.checkpoint.theta = Hash([9; 32]);
        Some(Said::Bytes(serde_json::to_vec(&info).expect("json")))
    });
    assert_eq!(altered.await, (Place::Checkpoint, run.checkpoint.round.0));

    // A line whose account is another one, and its hash with it: the rules refuse it.
    let altered = found(&coordinator, |path, bytes| {
        path.starts_with("/v1/ledger/entries").then(|| {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            Said::Bytes(
                text.replacen("\"development\":true", "\"development\":false", 1)
                    .into(),
            )
        })
    });
    assert_eq!(altered.await, (Place::LedgerEntry, 0));

    let altered = found(&coordinator, |path, bytes| {
        let mut head: LedgerHead =
            (path == "/v1/ledger").then(|| serde_json::from_slice(bytes).ok())??;
        head.head = Hash([9; 32]);
        Some(Said::Bytes(serde_json::to_vec(&head).expect("json")))
    });
    assert_eq!(altered.await.0, Place::LedgerHead);
}

#[tokio::test]
async fn a_coordinator_that_signs_what_is_not_so_is_found_out() {
    let coordinator = rounds(2).await;
    let secret = key(&coordinator);
    let identity = Identity::from_secret(secret);
    let sign = |change: fn(&mut covey_protocol::record::RoundRecord)| {
        let identity = identity.clone();
        move |path: &str, bytes: &[u8]| {
            path.starts_with("/v1/records").then(|| {
                records(bytes, |signed| {
                    if signed.record.round == Round(1) {
                        change(&mut signed.record);
                        *signed = signed.record.clone().sign(&identity);
                    }
                })
            })?
        }
    };
    let lie = sign(|record| record.theta_after = Hash([9; 32]));
    assert_eq!(found(&coordinator, lie).await, (Place::Weights, 1));
    let lie = sign(|record| record.contributions[0].tokens += 1);
    assert_eq!(found(&coordinator, lie).await, (Place::Contributions, 1));
    let lie = sign(|record| record.commitments.clear());
    assert_eq!(found(&coordinator, lie).await, (Place::Commitments, 1));
    let lie = sign(|record| record.previous = Some(Hash([9; 32])));
    assert_eq!(found(&coordinator, lie).await, (Place::Chain, 1));
    let lie = sign(|record| record.base = Hash([9; 32]));
    assert_eq!(found(&coordinator, lie).await, (Place::Base, 1));

    // It pays somebody who never worked, by every rule of the ledger.
    let mut lines = entries(&coordinator).await;
    let parse = |index: usize| Line::parse(&lines[index], index as u64).expect("a line");
    let mut ledger = Ledger::from_genesis(&parse(0).entry).expect("a genesis");
    for index in 1..lines.len() {
        ledger.replay(&parse(index).entry).expect("replayed");
    }
    let keypair = Keypair::from_seed(KeyType::Ed25519, secret);
    let account = keypair.account();
    let stranger = AccountId(Identity::from_secret([77; 32]).id().0);
    let state = ledger.state();
    let height = state.height.max(ledger.next_epoch().saturating_sub(1));
    let action = Action {
        app: APP.to_owned(),
        chain: state.chain,
        account,
        nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
        expires: height,
        call: Call::SetWeights {
            netuid: RUN,
            weights: vec![(stranger, u16::MAX)],
        },
    };
    let message = action.message().expect("a message");
    let signed = SignedAction {
        key: keypair.kind(),
        signature: keypair.sign_raw(&message),
        action,
    };
    let applied = ledger.action(height, signed).expect("by the rules");
    let index = applied.entry.index;
    lines.push(applied.entry.line().text());
    let (chain, entries, end) = (ledger.state().chain, ledger.len(), ledger.head());
    let lie = move |path: &str, bytes: &[u8]| {
        if path == "/v1/ledger" {
            let mut head: LedgerHead = serde_json::from_slice(bytes).expect("a head");
            (head.entries, head.head) = (entries, end);
            head.signature = sign_head(&identity, &chain, entries, &end);
            return Some(Said::Bytes(serde_json::to_vec(&head).expect("json")));
        }
        let from = path.strip_prefix("/v1/ledger/entries?from=")?;
        let from: usize = from.parse().expect("a number");
        let text: String = lines[from..]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        Some(Said::Bytes(text.into()))
    };
    assert_eq!(found(&coordinator, lie).await, (Place::Payment, index));
}

#[tokio::test]
async fn two_records_for_one_round_are_proof_that_anybody_can_check() {
    let coordinator = rounds(2).await;
    let identity = Identity::from_secret(key(&coordinator));
    let mirror = Coordinator::mirror();
    let output = once(&mirror, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    // To somebody else it tells another story, from round 1 on.
    let liar = proxy::start(coordinator.url(""), move |path, bytes| {
        path.starts_with("/v1/records").then(|| {
            records(bytes, |signed| {
                if signed.record.round == Round(1) {
                    signed.record.seed = Hash([9; 32]);
                    *signed = signed.record.clone().sign(&identity);
                }
            })
        })?
    })
    .await;
    let output = once(&mirror, &coordinator.url(""), &["--compare", &liar]).await;
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let verdict = statement(&mirror).statement.verdict;
    assert!(matches!(
        verdict,
        Verdict::Disagrees {
            place: Place::Equivocation,
            number: 1,
            ..
        }
    ));
    let path = mirror.data().join("equivocation-1.json");
    let proof: Equivocation =
        serde_json::from_slice(&fs::read(&path).expect("a proof")).expect("a proof");
    proof.verify().expect("it holds");
    assert_eq!(proof.coordinator, coordinator.run().await.coordinator);
    let check = |path: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_covey-coordinator"));
        command.env_clear().arg("check-proof").arg(path);
        command.output().expect("it runs")
    };
    assert!(check(&path).status.success());
    let forged = mirror.data().join("forged.json");
    let mut proof = proof;
    proof.second = proof.first.clone();
    fs::write(&forged, serde_json::to_vec(&proof).expect("json")).expect("written");
    assert_eq!(check(&forged).status.code(), Some(2));
}

#[tokio::test]
async fn a_hostile_server_costs_a_follower_no_more_than_its_limits() {
    let coordinator = rounds(1).await;
    type Case = (&'static str, fn(&[u8]) -> Said, &'static str);
    let cases: [Case; 5] = [
        ("/v1/run", |_| Said::Endless, "longer than"),
        ("/v1/records", |_| Said::Endless, "longer than"),
        ("/v1/ledger/entries", |_| Said::Endless, "longer than"),
        (
            "/v1/records",
            |bytes| {
                let page: Records = serde_json::from_slice(bytes).expect("records");
                let many = page.records.into_iter().cycle().take(65).collect();
                Said::Bytes(serde_json::to_vec(&Records { records: many }).expect("json"))
            },
            "65 records",
        ),
        (
            "/v1/ledger/entries",
            |_| Said::Bytes(Vec::new()),
            "not served",
        ),
    ];
    for (start, said, expected) in cases {
        let url = proxy::start(coordinator.url(""), move |path, bytes| {
            path.starts_with(start).then(|| said(bytes))
        })
        .await;
        let mirror = Coordinator::mirror();
        let output = once(&mirror, &url, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{start}: {}", words(&output));
        assert!(
            words(&output).contains(expected),
            "{start}: {}",
            words(&output)
        );
    }
    // An update longer than any merge is no update.
    let update = coordinator.records(0).await[0]
        .record
        .update
        .expect("merged");
    let blob = format!("/v1/blobs/{update}");
    let endless = found(&coordinator, move |path, _| {
        (path == blob).then_some(Said::Endless)
    });
    assert_eq!(endless.await, (Place::Update, 0));
}

#[tokio::test]
async fn agreement_is_taken_only_with_what_is_so_and_only_for_oneself() {
    let coordinator = rounds(2).await;
    let run = coordinator.run().await;
    let identity = Identity::from_secret([50; 32]);
    let last = coordinator.records(1).await.remove(0).record;
    let truth = Statement {
        run: run.run,
        kind: WitnessKind::Tab,
        name: String::new(),
        round: Round(2),
        theta: run.base,
        record: Some(last.hash()),
        ledger: None,
        verdict: Verdict::Agrees,
    };
    let post = async |signed: &SignedStatement| {
        let request = reqwest::Client::new().post(coordinator.url("/v1/witnesses"));
        let answer = request.json(signed).send().await.expect("an answer");
        answer.status().as_u16()
    };
    for false_one in [
        Statement {
            theta: Hash([9; 32]),
            ..truth.clone()
        },
        Statement {
            record: None,
            ..truth.clone()
        },
        Statement {
            round: Round(3),
            ..truth.clone()
        },
        Statement {
            run: Hash([9; 32]),
            ..truth.clone()
        },
    ] {
        assert_ne!(post(&false_one.sign(&identity)).await, 200);
    }
    let mut forged = truth.clone().sign(&identity);
    forged.witness = Identity::from_secret([51; 32]).id();
    assert_eq!(post(&forged).await, 403);
    assert_eq!(listed(&coordinator).await.tabs.agree, 0);

    // A tab says it over its own socket.
    let mut tab = coordinator.volunteer(50).await;
    let stranger = truth.clone().sign(&Identity::from_secret([52; 32]));
    let frame = |signed| ClientFrame::Witness {
        statement: Box::new(signed),
    };
    tab.socket.frame(&frame(stranger)).await;
    tab.socket
        .until(|frame| matches!(frame, ServerFrame::Error { .. }).then_some(()))
        .await;
    let signed = truth.clone().sign(&identity);
    tab.socket.frame(&frame(signed.clone())).await;
    let list = until(&coordinator, |list| list.tabs.agree == 1).await;
    assert_eq!(
        (list.tabs.round, list.tabs.latest),
        (Round(2), vec![signed])
    );
}

#[tokio::test]
async fn a_mirror_takes_the_run_over_from_the_last_agreed_round() {
    let mut coordinator = rounds(3).await;
    let before = coordinator.run().await;
    let mut mirror = Coordinator::mirror();
    mirror.start_mirror(&coordinator.url(""));
    until(&mirror, |list| list.servers.len() == 1).await;
    let mut other = Coordinator::mirror();
    other.start_mirror(&coordinator.url(""));
    until(&other, |list| list.servers.len() == 1).await;
    let old_entries = entries(&mirror).await;
    coordinator.kill();
    // Without its coordinator it still serves.
    assert_eq!(mirror.catch_up().await.0, Round(3));

    mirror.kill();
    mirror.take_over();
    let run = mirror.run().await;
    assert_ne!(run.coordinator, before.coordinator);
    assert_eq!(run.mirror, None);
    run.check_handovers().expect("signed");
    let handover = run.handovers[0].handover;
    assert_eq!(
        (handover.old, handover.from_round),
        (before.coordinator, Round(3))
    );
    assert_eq!((run.round, run.base), (Round(3), before.base));

    // The same volunteers go on, from where they were.
    for _ in 0..2 {
        round(&mirror).await;
    }
    let (reached, theta) = mirror.catch_up().await;
    let now = mirror.run().await;
    assert_eq!((reached, Hash::of_weights(&theta)), (Round(5), now.base));
    let records = mirror.records(0).await;
    assert!(
        records[..3]
            .iter()
            .all(|s| s.verify(&before.coordinator).is_ok())
    );
    assert!(
        records[3..]
            .iter()
            .all(|s| s.verify(&now.coordinator).is_ok())
    );
    assert_eq!(records[3].record.previous, handover.last_record);

    // The ledger goes on from its last entry, signed by the new one.
    let token = fs::read_to_string(mirror.data().join("admin.token")).expect("a token");
    let advance = reqwest::Client::new()
        .post(mirror.operator_url("/ledger/advance?blocks=60"))
        .bearer_auth(token.trim());
    assert_eq!(advance.send().await.expect("an answer").status(), 200);
    let lines = entries(&mirror).await;
    assert!(lines.starts_with(&old_entries) && lines.len() > old_entries.len());
    let head: LedgerHead = mirror.get("/v1/ledger").await.json().await.expect("a head");
    head.verify(&now.coordinator).expect("the new one's");

    // Another witness of the old one goes on with the new one, and it is an ordinary coordinator now.
    other.kill();
    let output = once(&other, &mirror.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(statement(&other).statement.round, Round(5));
    mirror.kill();
    let restart = || {
        let mut command = mirror.follow(&coordinator.url(""), &["--once"]);
        command.output().expect("it runs")
    };
    assert_eq!(restart().status.code(), Some(1), "no follower starts in it");
}

#[tokio::test]
async fn a_takeover_from_before_what_was_agreed_is_no_continuation() {
    let mut coordinator = rounds(2).await;
    let mut early = Coordinator::mirror();
    let output = once(&early, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    round(&coordinator).await;
    let late = Coordinator::mirror();
    let output = once(&late, &coordinator.url(""), &[]).await;
    assert!(output.status.success(), "{}", words(&output));
    coordinator.kill();
    early.take_over();
    round(&early).await;
    let output = once(&late, &early.url(""), &[]).await;
    assert_eq!(output.status.code(), Some(3), "{}", words(&output));
    let verdict = statement(&late).statement.verdict;
    assert!(matches!(
        verdict,
        Verdict::Disagrees {
            place: Place::Handover,
            number: 2,
            ..
        }
    ));
}
