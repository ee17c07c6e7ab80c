//! SIGKILL before every write that a whole small run makes: it is founded, two volunteers contribute, the
//! ledger records a payment and lives through epochs, and the next round brings a checkpoint.

use std::{panic::AssertUnwindSafe, sync::Mutex};

use covey_ledger::{
    KeyType, Ledger, Rao,
    call::{APP, Action, Call, SignedAction},
    journal::Line,
    signing::keys::Keypair,
};
use covey_protocol::{Hash, ledger::LedgerHead, record::Receipt};
use futures_util::{FutureExt, StreamExt, stream};

use super::{
    common::{Coordinator, Extra},
    traced, until,
};

const SETTINGS: Extra = Extra {
    top: "evaluate_sequences = 4",
    // Rounds close because everyone contributes; the window is for a traced program on a busy machine.
    rounds: "window_ms = 15000\ngrace_ms = 0\ncheckpoint_every = 2",
    tables: "",
    trials: false,
};
/// Runs at once: each waits for most of its time, for a recovered round's volunteers to come back.
const AT_ONCE: usize = 6;
/// Blocks by which the clock is moved: enough for epochs and a snapshot.
const BLOCKS: u64 = 400;

/// What the coordinator has said yes to.
#[derive(Default)]
struct Acknowledged {
    receipts: Vec<Receipt>,
    /// Sealed packets that belong to them.
    packets: Vec<Vec<u8>>,
    /// A payment and what it became.
    payment: Option<(SignedAction, String)>,
    height: u64,
}

/// A round that closes because everyone contributes.
async fn round(coordinator: &Coordinator, acknowledged: &Mutex<Acknowledged>) {
    let mut volunteers = [
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
    ];
    let run = coordinator.run().await;
    for volunteer in &mut volunteers {
        volunteer.join(run.round.0).await;
    }
    // Otherwise the first would be everyone.
    until("both have joined", async || {
        let page = coordinator.operator("/status").await.text().await;
        page.expect("text").contains("2 joined").then_some(())
    })
    .await;
    for volunteer in &mut volunteers {
        let sealed = volunteer.packet(run.round.0, run.base);
        let receipt = volunteer.contribute(coordinator, sealed.clone()).await;
        let receipt = receipt.expect("accepted");
        let mut acknowledged = acknowledged.lock().expect("whole");
        acknowledged.receipts.push(receipt);
        acknowledged.packets.push(sealed);
    }
    volunteers[0].closed(run.round.0).await;
}

async fn payment(coordinator: &Coordinator) -> SignedAction {
    let key = |name| Keypair::from_suri(KeyType::Sr25519, name).expect("known");
    let (alice, bob) = (key("//Alice"), key("//Bob"));
    let answer = coordinator.get("/v1/ledger").await;
    let head: LedgerHead = answer.json().await.expect("a head");
    let action = Action {
        app: APP.to_owned(),
        chain: head.chain,
        account: alice.account(),
        nonce: 0,
        expires: head.height + 5_000,
        call: Call::TransferKeepAlive {
            dest: bob.account(),
            value: Rao(5),
        },
    };
    let message = action.message().expect("exact");
    SignedAction {
        key: alice.kind(),
        signature: alice.sign_raw(&message),
        action,
    }
}

async fn pay(coordinator: &Coordinator, action: &SignedAction) -> String {
    let body = serde_json::to_string(action).expect("plain data");
    let post = reqwest::Client::new().post(coordinator.url("/v1/ledger/actions"));
    let answer = post.body(body).send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("text"));
    assert_eq!(status, 200, "{text}");
    text
}

async fn advance(coordinator: &Coordinator) -> u64 {
    let url = format!(
        "http://{}/ledger/advance?blocks={BLOCKS}",
        coordinator.operator
    );
    let post = reqwest::Client::new()
        .post(url)
        .bearer_auth(coordinator.token());
    let answer = post.send().await.expect("an answer");
    let answer: serde_json::Value = answer.json().await.expect("a height");
    answer["height"].as_u64().expect("a height")
}

async fn story(coordinator: &Coordinator, acknowledged: &Mutex<Acknowledged>) {
    round(coordinator, acknowledged).await;
    let action = payment(coordinator).await;
    let answer = pay(coordinator, &action).await;
    acknowledged.lock().expect("whole").payment = Some((action, answer));
    let height = advance(coordinator).await;
    acknowledged.lock().expect("whole").height = height;
    round(coordinator, acknowledged).await;
    until("a checkpoint", async || {
        (coordinator.run().await.checkpoint.round.0 == 2).then_some(())
    })
    .await;
    until("a held-out loss", async || {
        let measured = coordinator.run().await.held_out;
        measured.last().filter(|last| last.round.0 == 2).map(drop)
    })
    .await;
}

/// Starts again and holds it to its word.
async fn account_for(coordinator: &mut Coordinator, acknowledged: Acknowledged, at: usize) {
    coordinator.restart();
    let Acknowledged {
        receipts,
        packets,
        payment: paid,
        height,
    } = acknowledged;
    for (receipt, sealed) in receipts.iter().zip(packets) {
        let again = coordinator.upload(sealed).await.expect("known");
        assert_eq!(again, *receipt, "at write {at}");
    }
    // The run goes on, and what was accepted is in it.
    let mut volunteers = [
        coordinator.volunteer(1).await,
        coordinator.volunteer(2).await,
    ];
    let open = coordinator.run().await;
    for volunteer in &mut volunteers {
        volunteer.join(open.round.0).await;
    }
    for volunteer in &mut volunteers {
        let sealed = volunteer.packet(open.round.0, open.base);
        // The first one may have closed the round, if it was quicker than the other's word.
        let _ = volunteer.contribute(coordinator, sealed).await;
    }
    until("the round closes", async || {
        (coordinator.run().await.round > open.round).then_some(())
    })
    .await;
    let records = coordinator.records(0).await;
    for receipt in &receipts {
        let record = &records[receipt.round.0 as usize].record;
        let merged = record
            .contributions
            .iter()
            .any(|c| c.packet == receipt.packet);
        assert!(merged, "at write {at}: {receipt:?}");
    }
    let (round, theta) = coordinator.catch_up().await;
    let run = coordinator.run().await;
    assert_eq!(
        (round, Hash::of_weights(&theta)),
        (run.round, run.base),
        "at write {at}"
    );

    // So does the ledger.
    if let Some((action, answer)) = &paid {
        assert_eq!(pay(coordinator, action).await, *answer, "at write {at}");
    } else {
        let action = payment(coordinator).await;
        pay(coordinator, &action).await;
    }
    let text = coordinator.text("/v1/ledger/entries?from=0").await;
    let mut ledger: Option<Ledger> = None;
    for (index, text) in text.lines().enumerate() {
        let line = Line::parse(text, index as u64).expect("a line");
        match &mut ledger {
            None => ledger = Some(Ledger::from_genesis(&line.entry).expect("a genesis")),
            Some(ledger) => drop(ledger.replay(&line.entry).expect("it follows")),
        }
    }
    let ledger = ledger.expect("a ledger");
    assert!(ledger.state().height >= height, "at write {at}");
    let alice = Keypair::from_suri(KeyType::Sr25519, "//Alice").expect("known");
    let alice = &ledger.state().accounts[&alice.account()];
    assert_eq!(alice.nonce, 1, "paid once, at write {at}");
}

/// One run that is killed before write `at`; gives the writes it made.
async fn killed_at(at: usize) -> traced::Ended {
    let mut coordinator = Coordinator::prepare(&SETTINGS);
    let (child, end) = traced::start(coordinator.command(), &coordinator.data(), at);
    let acknowledged = Mutex::default();
    if coordinator.adopt(child) {
        // It ends wherever the coordinator does.
        let _ = AssertUnwindSafe(story(&coordinator, &acknowledged))
            .catch_unwind()
            .await;
    }
    // Dead already, unless the story has fewer writes.
    coordinator.disown();
    let ended = end.recv().expect("it ended");
    let acknowledged = acknowledged.into_inner().expect("whole");
    if !ended.killed {
        assert_eq!(
            acknowledged.receipts.len(),
            4,
            "the story was told to its end"
        );
    }
    account_for(&mut coordinator, acknowledged, at).await;
    ended
}

async fn killed_at_each(writes: impl Iterator<Item = usize>, all: usize) {
    let runs = stream::iter(writes).map(async |at| (at, killed_at(at).await));
    let mut runs = runs.buffer_unordered(AT_ONCE);
    while let Some((at, ended)) = runs.next().await {
        eprintln!("killed before write {at} of {all}: {ended:?}");
    }
}

#[tokio::test]
async fn killed_between_two_writes_nothing_acknowledged_is_lost() {
    let all = killed_at(usize::MAX).await.writes;
    assert!(all > 100, "{all} writes");
    // The first, when the folder's files come to be, and a few that are spread over the whole story; the next
    // test goes through all of them.
    let step = all / 12;
    killed_at_each((0..step).chain((step..all).step_by(step)), all).await;
}

#[tokio::test]
#[ignore = "a start and a restart for each of some hundred writes: cargo xtask test --long"]
async fn killed_between_any_two_writes_nothing_acknowledged_is_lost() {
    let all = killed_at(usize::MAX).await.writes;
    killed_at_each(0..all, all).await;
}
