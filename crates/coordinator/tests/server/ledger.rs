//! The ledger over real sockets and a real disk: nothing acknowledged is lost, every rule answers by its
//! name, epochs come by themselves, and a stranger can check all of it.

use std::{collections::BTreeSet, fs, path::Path, process::Output, time::Duration};

use crate::common::{Coordinator, Extra, PATIENCE, Socket};
use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN,
    journal::{Body, Line},
    signing::{
        keys::Keypair,
        session::{Scope, SessionAuthorisation, SignedSession},
    },
    units::UNIT,
};
use covey_protocol::{Hash, Identity, VolunteerId, http::ErrorBody, ledger::LedgerHead};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::{MaybeTlsStream, client_async, tungstenite::Message};

fn person(name: &str) -> Keypair {
    Keypair::from_suri(KeyType::Sr25519, name).expect("known")
}

fn manager(name: &str) -> AccountId {
    let key = Keypair::from_suri(KeyType::Ed25519, name);
    key.expect("known").account()
}

fn sign(key: &Keypair, chain: Hash, nonce: u64, expires: u64, call: Call) -> SignedAction {
    let action = Action {
        app: APP.to_owned(),
        chain,
        account: key.account(),
        nonce,
        expires,
        call,
    };
    let message = action.message().expect("exact");
    SignedAction {
        key: key.kind(),
        signature: key.sign_raw(&message),
        action,
    }
}

fn pay(to: AccountId, amount: u64) -> Call {
    Call::TransferKeepAlive {
        dest: to,
        value: Rao(amount),
    }
}

async fn head(coordinator: &Coordinator) -> LedgerHead {
    let answer = coordinator.get("/v1/ledger").await;
    let head: LedgerHead = answer.json().await.expect("a head");
    head.verify(&head.coordinator).expect("signed");
    head
}

/// Signs with what the ledger says now.
async fn signed(coordinator: &Coordinator, name: &str, call: Call) -> SignedAction {
    let key = person(name);
    let ledger = replayed(coordinator).await;
    let account = ledger.state().accounts.get(&key.account());
    let nonce = account.map_or(0, |account| account.nonce);
    let head = head(coordinator).await;
    sign(&key, head.chain, nonce, head.height + 100, call)
}

async fn post(
    coordinator: &Coordinator,
    path: &str,
    body: String,
) -> Result<String, (u16, ErrorBody)> {
    let request = reqwest::Client::new()
        .post(coordinator.url(path))
        .body(body);
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("text");
    if status == 200 {
        Ok(text)
    } else {
        Err((status, serde_json::from_str(&text).expect("an error body")))
    }
}

async fn submit(
    coordinator: &Coordinator,
    action: &SignedAction,
) -> Result<String, (u16, ErrorBody)> {
    let body = serde_json::to_string(action).expect("plain data");
    post(coordinator, "/v1/ledger/actions", body).await
}

/// The whole journal, by the pages that anybody would fetch.
async fn journal(coordinator: &Coordinator) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    loop {
        let path = format!("/v1/ledger/entries?from={}", lines.len());
        let page = coordinator.text(&path).await;
        if page.is_empty() {
            return lines;
        }
        assert!(page.ends_with('\n') && page.lines().count() <= 512);
        lines.extend(page.lines().map(str::to_owned));
    }
}

fn replay(lines: &[String]) -> Ledger {
    let first = Line::parse(&lines[0], 0).expect("a genesis");
    let mut ledger = Ledger::from_genesis(&first.entry).expect("a genesis");
    for (index, text) in lines.iter().enumerate().skip(1) {
        let line = Line::parse(text, index as u64).expect("a line");
        ledger.replay(&line.entry).expect("it follows");
    }
    ledger
}

/// What a stranger arrives at.
async fn replayed(coordinator: &Coordinator) -> Ledger {
    replay(&journal(coordinator).await)
}

fn operator(coordinator: &Coordinator) -> String {
    format!("http://{}", coordinator.operator)
}

async fn advance_at(url: &str, token: &str, blocks: &str) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(format!("{url}/ledger/advance?blocks={blocks}"))
        .bearer_auth(token);
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

async fn advance(coordinator: &Coordinator, blocks: u64) -> u64 {
    let (url, token) = (operator(coordinator), coordinator.token());
    let (status, body) = advance_at(&url, &token, &blocks.to_string()).await;
    assert_eq!(status, 200, "{body}");
    body["height"].as_u64().expect("a height")
}

/// A coordinator whose ledger begins with the example, changed.
fn with_genesis(change: impl Fn(&mut Value)) -> Coordinator {
    let coordinator = Coordinator::prepare(&Extra::default());
    set_genesis(&coordinator, change);
    coordinator
}

fn set_genesis(coordinator: &Coordinator, change: impl Fn(&mut Value)) {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/ledger-genesis.example.json"
    );
    let text = fs::read_to_string(example).expect("the example");
    let mut genesis: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut genesis);
    let path = coordinator.folder.path().join("genesis.json");
    fs::write(&path, genesis.to_string()).expect("written");
    let settings = coordinator.folder.path().join("covey.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    if !text.starts_with("ledger_genesis") {
        let text = format!("ledger_genesis = {:?}\n{text}", path.display().to_string());
        fs::write(&settings, text).expect("written");
    }
}

fn fast(genesis: &mut Value) {
    genesis["schedule"]["block_seconds"] = 1.into();
    genesis["schedule"]["tempo"] = 2.into();
}

/// Runs a task of the program, or a start that must fail.
fn program(coordinator: &Coordinator, arguments: &[&str]) -> Output {
    let mut command = coordinator.command();
    command.args(arguments).output().expect("it runs")
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"))
}

#[tokio::test]
async fn an_acknowledged_action_survives_kill_9_and_is_answered_the_same_again() {
    let mut coordinator = Coordinator::start();
    let bob = person("//Bob").account();
    let action = signed(&coordinator, "//Alice", pay(bob, 7)).await;
    let (one, two) = tokio::join!(submit(&coordinator, &action), submit(&coordinator, &action));
    let answer = one.expect("recorded");
    assert_eq!(two.expect("recorded"), answer);
    coordinator.kill();
    coordinator.restart();

    assert_eq!(submit(&coordinator, &action).await.expect("again"), answer);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["events"][0]["event"], "transfer");
    let lines = journal(&coordinator).await;
    let paid: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("transfer_keep_alive"))
        .collect();
    assert_eq!(paid.len(), 1, "recorded once");
    assert_eq!(
        answer["line"],
        serde_json::from_str::<Value>(paid[0]).expect("JSON")
    );
    let state = replay(&lines);
    let balance = state.state().accounts.get(&bob).expect("known").balance;
    assert_eq!(balance, Rao(1000 * UNIT + 7));

    // History tells both sides, newest first, and pages by entry.
    let second = signed(&coordinator, "//Alice", pay(bob, 8)).await;
    submit(&coordinator, &second).await.expect("recorded");
    for account in [bob, person("//Alice").account()] {
        let path = format!("/v1/ledger/history?account={account}");
        let items: Value = coordinator.get(&path).await.json().await.expect("JSON");
        let items = items["items"].as_array().expect("a list").clone();
        assert_eq!(items.len(), 2);
        assert_eq!(items[1]["line"], answer["line"]);
        let newest = items[0]["line"]["index"].as_u64().expect("a number");
        let path = format!("{path}&before={newest}");
        let older: Value = coordinator.get(&path).await.json().await.expect("JSON");
        assert_eq!(older["items"], Value::from(vec![items[1].clone()]));
    }
}

#[tokio::test]
async fn killed_again_and_again_no_answer_is_broken() {
    let mut coordinator = Coordinator::start();
    let (alice, bob) = (person("//Alice"), person("//Bob").account());
    let chain = head(&coordinator).await.chain;
    let mut answers: Vec<(SignedAction, String)> = Vec::new();
    for moment in [0, 3, 10, 1, 25, 6] {
        let account = replayed(&coordinator).await;
        let nonce = account
            .state()
            .accounts
            .get(&alice.account())
            .map_or(0, |a| a.nonce);
        assert!(nonce >= answers.len() as u64, "an answer is broken");
        // What was not answered may be recorded or not; it is not lost by being asked for again.
        let url = coordinator.url("/v1/ledger/actions");
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let key = person("//Alice");
        let sender = tokio::spawn(async move {
            for nonce in nonce.. {
                let action = sign(&key, chain, nonce, 1000, pay(bob, 1));
                let body = serde_json::to_string(&action).expect("plain data");
                let request = reqwest::Client::new().post(&url).body(body);
                let Ok(answer) = request.send().await else {
                    return;
                };
                let status = answer.status();
                let Ok(text) = answer.text().await else {
                    return;
                };
                if status == 429 {
                    return;
                }
                assert_eq!(status, 200, "{text}");
                let _ = told.send((action, text));
            }
        });
        answers.extend(heard.recv().await);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        coordinator.kill();
        sender.await.expect("it ends");
        while let Some(answer) = heard.recv().await {
            answers.push(answer);
        }
        coordinator.restart();
    }
    assert!(answers.len() >= 6);
    let lines = journal(&coordinator).await;
    for (action, answer) in &answers {
        // Faster machines get more answers than an address may ask for at once.
        let again = until("an answer", async || {
            let again = submit(&coordinator, action).await;
            let busy = matches!(&again, Err((429, _)));
            (!busy).then_some(again)
        });
        assert_eq!(again.await.as_ref(), Ok(answer));
        let value: Value = serde_json::from_str(answer).expect("JSON");
        let index = value["line"]["index"].as_u64().expect("a number") as usize;
        let line: Value = serde_json::from_str(&lines[index]).expect("JSON");
        assert_eq!(line, value["line"]);
    }
    replay(&lines);
}

#[tokio::test]
async fn what_the_rules_refuse_is_refused_by_name_and_changes_nothing() {
    let coordinator = Coordinator::start();
    let (alice, bob) = (person("//Alice"), person("//Bob").account());
    let head = head(&coordinator).await;
    let sign = |nonce, expires, call| sign(&alice, head.chain, nonce, expires, call);
    let soon = head.height + 100;
    let mut forged = sign(0, soon, pay(bob, 1));
    forged.action.nonce = 1;
    let stranger = Keypair::from_seed(KeyType::Sr25519, [9; 32]);
    let sell = Call::RemoveStake {
        hotkey: manager("//Alice"),
        netuid: RUN,
        amount_unstaked: Alpha(UNIT),
    };
    let other_hotkey = Call::LockStake {
        hotkey: manager("//Bob"),
        netuid: RUN,
        amount: Alpha(1),
    };
    let cases = [
        ("BadSignature", forged),
        (
            "WrongChain",
            self::sign(&alice, Hash([3; 32]), 0, soon, pay(bob, 1)),
        ),
        ("BadNonce", sign(5, soon, pay(bob, 1))),
        ("LifetimeTooLong", sign(0, soon + 1_000_000, pay(bob, 1))),
        (
            "UnknownAccount",
            self::sign(&stranger, head.chain, 0, soon, pay(bob, 1)),
        ),
        ("NotEnoughBalanceToStake", sign(0, soon, pay(bob, u64::MAX))),
        ("StakeUnavailable", sign(0, soon, sell)),
        ("LockHotkeyMismatch", sign(0, soon, other_hotkey)),
    ];
    for (name, action) in &cases {
        let (status, body) = submit(&coordinator, action).await.expect_err(name);
        assert_eq!(
            (status, body.name.as_deref()),
            (409, Some(*name)),
            "{body:?}"
        );
        assert_eq!(serde_json::to_value(body.code).expect("a code"), "ledger");
        assert!(!body.message.is_empty());
        let metric = format!("covey_ledger_actions_refused_total{{name=\"{name}\"}}");
        assert_eq!(coordinator.metric(&metric).await, 1.0, "{name}");
    }
    for (status, body) in [
        (400, String::new()),
        (400, "{}".to_owned()),
        (400, "[".repeat(100_000)),
        (400, "\u{0}".to_owned()),
        (413, " ".repeat(300_000)),
    ] {
        let refused = post(&coordinator, "/v1/ledger/actions", body)
            .await
            .expect_err("no action");
        assert_eq!(refused.0, status, "{refused:?}");
    }
    for path in [
        "/v1/ledger/entries?from=-1",
        "/v1/ledger/history",
        "/v1/ledger/history?account=5Grw",
        "/v1/ledger/history?account=x&before=y",
    ] {
        assert_eq!(coordinator.get(path).await.status(), 400, "{path}");
    }
    assert_eq!(coordinator.text("/v1/ledger/entries?from=99999").await, "");
    assert_eq!(
        coordinator
            .metric("covey_ledger_actions_accepted_total")
            .await,
        0.0
    );
    // Epochs and the coordinator's own weights, and nothing of anybody else.
    let validator = AccountId(coordinator.run().await.coordinator.0);
    let ours = journal(&coordinator).await.iter().skip(1).all(|line| {
        let line = Line::parse(line, line_index(line)).expect("a line");
        match line.entry.body {
            Body::Epoch { .. } => true,
            Body::Action(signed) => signed.action.account == validator,
            _ => false,
        }
    });
    assert!(ours);
    // And the same account is welcome with a good one.
    submit(&coordinator, &sign(0, soon, pay(bob, 1)))
        .await
        .expect("recorded");
    let late = sign(1, head.height, pay(bob, 1));
    advance(&coordinator, 5).await;
    let (_, body) = submit(&coordinator, &late).await.expect_err("expired");
    assert_eq!(body.name.as_deref(), Some("Expired"));
}

fn line_index(line: &str) -> u64 {
    let value: Value = serde_json::from_str(line).expect("JSON");
    value["index"].as_u64().expect("a number")
}

#[tokio::test]
async fn one_account_cannot_flood_the_journal_and_not_use_up_another_s_share() {
    let coordinator = Coordinator::start_with(&Extra {
        tables: "[limits]\nuploads_per_second = 1000\nupload_burst = 1000",
        ..Extra::default()
    });
    let (alice, bob) = (person("//Alice"), person("//Bob"));
    let chain = head(&coordinator).await.chain;
    let mut recorded = 0;
    let refused = loop {
        let action = sign(&alice, chain, recorded, 100, pay(bob.account(), 1));
        match submit(&coordinator, &action).await {
            Ok(_) => recorded += 1,
            Err(refused) => break refused,
        }
        assert!(recorded < 1000, "there is no end to it");
    };
    assert_eq!((refused.0, refused.1.name), (429, None));
    assert!(recorded >= 60, "a person is not hindered");
    // Bob's name under somebody else's signature costs Bob nothing.
    for nonce in 0..80 {
        let mut action = sign(&alice, chain, nonce, 100, pay(bob.account(), 1));
        action.action.account = bob.account();
        let (_, body) = submit(&coordinator, &action).await.expect_err("forged");
        assert_eq!(body.name.as_deref(), Some("BadSignature"));
    }
    let action = sign(&bob, chain, 0, 100, pay(alice.account(), 1));
    submit(&coordinator, &action).await.expect("recorded");
}

#[tokio::test]
async fn epochs_come_by_themselves_also_those_missed_while_it_was_down() {
    let mut coordinator = with_genesis(fast);
    coordinator.restart();
    until("an epoch", async || {
        (head(&coordinator).await.entries > 2).then_some(())
    })
    .await;
    let before = head(&coordinator).await;
    coordinator.kill();
    tokio::time::sleep(Duration::from_secs(7)).await;
    coordinator.restart();
    let after = until("the missed epochs", async || {
        let head = head(&coordinator).await;
        (head.next_epoch > head.height).then_some(head)
    })
    .await;
    assert_eq!(
        (after.chain, after.started_ms),
        (before.chain, before.started_ms)
    );
    assert!(after.entries >= before.entries + 3, "{before:?} {after:?}");
    assert!(after.height >= before.height + 7);
    let ledger = replayed(&coordinator).await;
    assert!(ledger.len() >= after.entries);
    assert!(
        ledger.state().epoch + 4 > after.height,
        "no epoch is missing"
    );
    assert!(!ledger.state().development);
}

#[tokio::test]
async fn only_a_development_run_s_operator_moves_the_clock() {
    let coordinator = Coordinator::start();
    let (url, good) = (operator(&coordinator), coordinator.token());
    for (token, blocks, status) in [
        ("", "30", 403),
        ("wrong", "30", 403),
        (&good[1..], "30", 403),
        (&good, "0", 400),
        (&good, "5000001", 400),
        (&good, "many", 400),
    ] {
        assert_eq!(
            advance_at(&url, token, blocks).await.0,
            status,
            "{token} {blocks}"
        );
    }
    let before = head(&coordinator).await.height;
    let height = advance(&coordinator, 12_345).await;
    assert!(
        (before + 12_345..before + 12_400).contains(&height),
        "{before} {height}"
    );
    let ledger = replayed(&coordinator).await;
    assert_eq!(ledger.state().height, height);
    assert!(
        ledger.state().epoch + 30 > height,
        "through every epoch on the way"
    );
    assert!(coordinator.metric("covey_ledger_epochs_total").await >= 411.0);
    assert!(
        head(&coordinator).await.height >= height,
        "and the clock stays there"
    );
    let status = coordinator.operator("/status").await.text().await;
    let status = status.expect("text");
    assert!(
        status.contains("(development)") && status.contains("entries, next epoch at"),
        "{status}"
    );

    let mut serious = with_genesis(|_| ());
    serious.restart();
    let (status, body) = advance_at(&operator(&serious), &serious.token(), "30").await;
    assert_eq!((status, &body["name"]), (409, &"NotADevelopmentRun".into()));
}

#[tokio::test]
async fn a_moved_clock_and_the_journal_survive_a_crash() {
    let mut coordinator = Coordinator::start();
    let height = advance(&coordinator, 10_000).await;
    let before = journal(&coordinator).await;
    coordinator.kill();
    coordinator.restart();
    let after = journal(&coordinator).await;
    assert_eq!(after[..before.len()], before);
    let head = head(&coordinator).await;
    assert!(
        head.height >= height && head.height < height + 100,
        "{head:?}"
    );
    assert_eq!(head.chain, coordinator.run().await.run);
    assert_eq!(head.coordinator, coordinator.run().await.coordinator);
}

#[tokio::test]
async fn an_exported_journal_imports_to_the_same_ledger() {
    let mut coordinator = Coordinator::start();
    let alice = signed(&coordinator, "//Alice", pay(person("//Bob").account(), 5)).await;
    let answer = submit(&coordinator, &alice).await.expect("recorded");
    let unlock = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(UNIT),
    };
    let unlock = signed(&coordinator, "//Alice", unlock).await;
    submit(&coordinator, &unlock).await.expect("recorded");
    advance(&coordinator, 3000).await;
    let download = coordinator.get("/v1/ledger/journal").await;
    let disposition = download.headers()["content-disposition"]
        .to_str()
        .expect("text");
    assert_eq!(disposition, "attachment; filename=covey-ledger.ndjson");
    let download = download.text().await.expect("text");
    let lines = journal(&coordinator).await;
    let file = coordinator.folder.path().join("journal.ndjson");
    let name = file.to_str().expect("text");
    let busy = program(&coordinator, &["export-ledger", name]);
    assert!(!busy.status.success(), "not while it runs");
    coordinator.kill();

    let exported = program(&coordinator, &["export-ledger", name]);
    assert!(exported.status.success(), "{exported:?}");
    let text = fs::read_to_string(&file).expect("a file");
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    assert!(text.starts_with(&download) && download.lines().count() + 1 >= lines.len());
    let again = program(&coordinator, &["import-ledger", name]);
    assert_eq!(again.status.code(), Some(2), "not over a ledger: {again:?}");

    let ledger = coordinator.data().join("ledger.redb");
    fs::rename(&ledger, coordinator.folder.path().join("old.redb")).expect("moved");
    let wrong = coordinator.folder.path().join("wrong.ndjson");
    let bent = lines
        .iter()
        .map(|line| line.replace("\"value\":\"5\"", "\"value\":\"6\"") + "\n");
    fs::write(&wrong, bent.collect::<String>()).expect("written");
    let refused = program(
        &coordinator,
        &["import-ledger", wrong.to_str().expect("text")],
    );
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && stderr.contains("does not have the hash"),
        "{stderr}"
    );
    assert!(!ledger.exists());

    let imported = program(&coordinator, &["import-ledger", name]);
    assert!(imported.status.success(), "{imported:?}");
    coordinator.restart();
    assert_eq!(journal(&coordinator).await[..lines.len()], lines);
    assert_eq!(submit(&coordinator, &alice).await.expect("known"), answer);
    assert_eq!(
        replay(&lines).head(),
        replay(&text.lines().map(str::to_owned).collect::<Vec<_>>()).head()
    );
    let feed = coordinator.text("/v1/ledger/notices.atom").await;
    assert!(feed.contains("unlocks 1 alpha"), "{feed}");
}

/// Spoils every snapshot in a ledger's file; gives their number.
fn spoil_snapshots(path: &Path) -> usize {
    use redb::ReadableTable as _;

    let table: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("snapshots");
    let database = redb::Database::open(path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    let spoilt = {
        let mut snapshots = transaction.open_table(table).expect("a table");
        let mut all = Vec::new();
        for entry in snapshots.iter().expect("read") {
            let (index, bytes) = entry.expect("read");
            all.push((index.value(), bytes.value().to_vec()));
        }
        for (index, bytes) in &mut all {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            snapshots.insert(*index, bytes.as_slice()).expect("written");
        }
        all.len()
    };
    transaction.commit().expect("committed");
    spoilt
}

fn bend(path: &Path, index: u64, change: impl Fn(&str) -> String) {
    use redb::ReadableTable as _;

    let table: redb::TableDefinition<u64, &str> = redb::TableDefinition::new("lines");
    let database = redb::Database::open(path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut lines = transaction.open_table(table).expect("a table");
        let old = lines
            .get(index)
            .expect("read")
            .expect("there")
            .value()
            .to_owned();
        let new = change(&old);
        assert_ne!(old, new);
        lines.insert(index, new.as_str()).expect("written");
    }
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_journal_that_was_tampered_with_stops_the_start_and_names_the_entry() {
    let mut coordinator = Coordinator::start();
    let action = signed(&coordinator, "//Alice", pay(person("//Bob").account(), 5)).await;
    submit(&coordinator, &action).await.expect("recorded");
    // Far enough for a snapshot: what lies before it is checked, too.
    advance(&coordinator, 2000).await;
    coordinator.kill();
    let lines = |from: u64| {
        let index = from;
        move |text: &str| {
            assert_eq!(line_index(text), index);
            text.replace("\"value\":\"5\"", "\"value\":\"500\"")
        }
    };
    let ledger = coordinator.data().join("ledger.redb");
    let copy = coordinator.folder.path().join("copy.redb");
    fs::copy(&ledger, &copy).expect("copied");
    bend(&ledger, 1, lines(1));
    let refused = program(&coordinator, &[]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(
        stderr.contains("entry 1 does not have the hash it claims"),
        "{stderr}"
    );
    assert!(stderr.contains("Restore it from a backup"), "{stderr}");

    // An entry that hashes well but does not belong.
    fs::copy(&copy, &ledger).expect("copied");
    bend(&ledger, 3, |text| {
        let mut line = Line::parse(text, 3).expect("a line");
        line.entry.previous = Hash([5; 32]);
        line.entry.line().text()
    });
    let refused = program(&coordinator, &[]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        stderr.contains("entry 3 names another predecessor"),
        "{stderr}"
    );

    // A snapshot is only a shortcut: one that is damaged is passed over.
    fs::copy(&copy, &ledger).expect("copied");
    assert!(spoil_snapshots(&ledger) > 0);
    coordinator.restart();
    let again = replayed(&coordinator).await;
    assert!(again.state().epoch >= 1980);
}

#[tokio::test]
async fn the_snapshot_and_the_lines_after_it_give_the_same_ledger_as_the_whole_journal() {
    let coordinator = Coordinator::start();
    let open = async || {
        let bytes = coordinator
            .get("/v1/ledger/snapshot")
            .await
            .bytes()
            .await
            .expect("bytes");
        let at = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a line");
        let text = std::str::from_utf8(&bytes[..at]).expect("text");
        let line = Line::parse(text, line_index(text)).expect("a line");
        let mut ledger = match bytes.len() - at - 1 {
            0 => Ledger::from_genesis(&line.entry).expect("a genesis"),
            _ => Ledger::from_snapshot(&bytes[at + 1..], &line.entry).expect("a snapshot"),
        };
        for text in journal(&coordinator)
            .await
            .iter()
            .skip(ledger.len() as usize)
        {
            let line = Line::parse(text, ledger.len()).expect("a line");
            ledger.replay(&line.entry).expect("it follows");
        }
        ledger
    };
    assert_eq!(open().await.state(), replayed(&coordinator).await.state());
    advance(&coordinator, 100).await;
    let action = signed(&coordinator, "//Bob", pay(person("//Eve").account(), 5)).await;
    submit(&coordinator, &action).await.expect("recorded");
    assert_eq!(open().await.state(), replayed(&coordinator).await.state());
}

async fn frame(socket: &mut Socket) -> Value {
    loop {
        match socket.message().await {
            Some(Message::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => panic!("no frame but {other:?}"),
        }
    }
}

async fn listen(coordinator: &Coordinator) -> Socket {
    let url = format!("ws://{}/v1/ledger/socket", coordinator.address);
    let (stream, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    Socket::new(stream)
}

#[tokio::test]
async fn the_socket_tells_the_head_then_entries_and_notices() {
    let mut coordinator = Coordinator::start();
    let mut socket = listen(&coordinator).await;
    let first = frame(&mut socket).await;
    assert_eq!(first["type"], "head");
    let told: LedgerHead = serde_json::from_value(first).expect("a head");
    told.verify(&coordinator.run().await.coordinator)
        .expect("signed");
    let unlock = Call::UnlockStake {
        netuid: RUN,
        amount: Alpha(10 * UNIT),
    };
    let action = signed(&coordinator, "//Alice", unlock).await;
    let answer = submit(&coordinator, &action).await.expect("recorded");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let entry = loop {
        let frame = frame(&mut socket).await;
        if frame["line"]["body"]["action"].is_object() {
            break frame;
        }
    };
    assert_eq!(
        (&entry["type"], &entry["line"]),
        (&"entry".into(), &answer["line"])
    );
    assert!(entry["height"].as_u64().is_some());
    let notice = frame(&mut socket).await;
    assert_eq!(notice["type"], "notice");
    assert_eq!(notice["notice"]["insider"], true);
    assert_eq!(
        notice["notice"]["subject"]["unlock"]["amount"],
        (10 * UNIT).to_string()
    );
    assert_eq!(notice["notice"]["status"], "pending");
    // Its end is told as well.
    advance(&coordinator, 1000).await;
    loop {
        let frame = frame(&mut socket).await;
        if frame["type"] == "notice" {
            assert!(frame["notice"]["status"]["done"].is_object(), "{frame}");
            break;
        }
    }
    coordinator.terminate();
    while socket.message().await.is_some() {}
    assert!(coordinator.ended().await.success());
}

#[tokio::test]
async fn a_listener_that_does_not_read_is_dropped_and_others_are_served() {
    let coordinator = Coordinator::start();
    let raw = tokio::net::TcpSocket::new_v4().expect("a socket");
    raw.set_recv_buffer_size(4096).expect("set");
    let address = coordinator.address.parse().expect("an address");
    let stream = MaybeTlsStream::Plain(raw.connect(address).await.expect("connected"));
    let url = format!("ws://{}/v1/ledger/socket", coordinator.address);
    let (mut slow, _) = client_async(url, stream).await.expect("a socket");
    assert!(
        matches!(slow.next().await, Some(Ok(Message::Text(_)))),
        "the head"
    );
    // Some megabytes of epochs, more than any buffer between the two.
    let blocks = 30 * 20_000;
    advance(&coordinator, blocks).await;
    until("the slow one is dropped", async || {
        (coordinator.metric("covey_ledger_slow_sockets_total").await >= 1.0).then_some(())
    })
    .await;
    let mut socket = listen(&coordinator).await;
    assert_eq!(frame(&mut socket).await["type"], "head");
}

#[tokio::test]
async fn notices_are_a_feed_newest_first() {
    let coordinator = Coordinator::start();
    let empty = coordinator.get("/v1/ledger/notices.atom").await;
    assert!(
        empty.headers()["content-type"]
            .to_str()
            .expect("text")
            .starts_with("application/atom+xml")
    );
    roxmltree::Document::parse(&empty.text().await.expect("text")).expect("XML");
    for amount in [10, 20] {
        let unlock = Call::UnlockStake {
            netuid: RUN,
            amount: Alpha(amount * UNIT),
        };
        let action = signed(&coordinator, "//Alice", unlock).await;
        submit(&coordinator, &action).await.expect("recorded");
    }
    let resign = Call::ResignRole {
        role: covey_ledger::governance::Role::Moderator,
    };
    let action = signed(&coordinator, "//Ferdie", resign).await;
    submit(&coordinator, &action).await.expect("recorded");
    let text = coordinator.text("/v1/ledger/notices.atom").await;
    let feed = roxmltree::Document::parse(&text).expect("XML");
    let atom = |name| ("http://www.w3.org/2005/Atom", name);
    let entries: Vec<_> = feed
        .root_element()
        .children()
        .filter(|node| node.has_tag_name(atom("entry")))
        .collect();
    let field = |entry: &roxmltree::Node<'_, '_>, name: &'static str| {
        let found = entry.children().find(|node| node.has_tag_name(atom(name)));
        found.and_then(|node| node.text()).expect(name).to_owned()
    };
    let titles: Vec<String> = entries.iter().map(|entry| field(entry, "title")).collect();
    assert_eq!(titles.len(), 3);
    assert!(
        titles[0].contains("gave up the role of moderator"),
        "{titles:?}"
    );
    assert!(titles[1].contains("unlocks 20 alpha"), "{titles:?}");
    assert!(titles[2].contains("unlocks 10 alpha"), "{titles:?}");
    assert!(titles.iter().all(|title| title.starts_with("Insider: ")));
    assert!(
        text.contains("30 of "),
        "the sum of what insiders unlock: {text}"
    );
    let ids: BTreeSet<String> = entries.iter().map(|entry| field(entry, "id")).collect();
    assert_eq!(ids.len(), 3);
    // An entry keeps its date when something else changes.
    let dates = |text: &str| -> Vec<String> {
        let feed = roxmltree::Document::parse(text).expect("XML");
        let published = feed
            .descendants()
            .filter(|node| node.has_tag_name(atom("published")));
        published
            .filter_map(|node| node.text().map(str::to_owned))
            .collect()
    };
    advance(&coordinator, 1000).await;
    let later = coordinator.text("/v1/ledger/notices.atom").await;
    assert_eq!(dates(&later), dates(&text));
    assert_eq!(later.matches("Done at height").count(), 3, "{later}");
}

fn authorised(
    run: Hash,
    domain: &str,
    wallet: &Keypair,
    key: &Identity,
    lifetime_ms: u64,
) -> SignedSession {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as u64;
    let authorisation = SessionAuthorisation {
        domain: domain.to_owned(),
        run,
        coldkey: wallet.account(),
        session_key: AccountId(key.id().0),
        scope: Scope::Contribute,
        issued_at_ms: now,
        expires_at_ms: now + lifetime_ms,
        nonce: "abc123".to_owned(),
    };
    SignedSession {
        wallet: wallet.kind(),
        wallet_signature: wallet.sign_raw(authorisation.message().as_bytes()),
        key_signature: authorisation.sign_with_key(key),
        authorisation,
    }
}

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn a_session_is_recorded_once_and_an_epoch_without_work_pays_no_contributor() {
    let coordinator = Coordinator::start();
    let volunteer = coordinator.volunteer(1).await;
    let bob = person("//Bob");
    let run = volunteer.run.run;
    let session = authorised(run, &coordinator.address, &bob, &volunteer.identity, HOUR);
    let body = serde_json::to_string(&session).expect("plain data");
    let answer = post(&coordinator, "/v1/ledger/sessions", body.clone())
        .await
        .expect("recorded");
    assert!(answer.contains("session_authorised"), "{answer}");
    assert_eq!(
        post(&coordinator, "/v1/ledger/sessions", body)
            .await
            .expect("again"),
        answer
    );

    advance(&coordinator, 60).await;
    let ledger = replayed(&coordinator).await;
    let state = ledger.state();
    let incentive = state
        .accounts
        .values()
        .flat_map(|account| &account.earnings)
        .map(|earning| earning.incentive.0)
        .sum::<u64>();
    assert_eq!(incentive, 0);
    let subnet = state.subnets.values().next().expect("the run's subnet");
    assert!(subnet.alpha_burned > Alpha::ZERO, "nobody's part is burned");
}

#[tokio::test]
async fn a_session_for_another_place_run_key_or_time_is_refused() {
    let coordinator = Coordinator::start();
    let (bob, key) = (person("//Bob"), Identity::from_secret([5; 32]));
    let run = coordinator.run().await.run;
    let here = coordinator.address.clone();
    let mut stolen = authorised(run, &here, &bob, &key, HOUR);
    stolen.authorisation.session_key = AccountId(Identity::from_secret([6; 32]).id().0);
    for (wanted, session) in [
        (
            "not this service",
            authorised(run, "evil.example", &bob, &key, HOUR),
        ),
        (
            "is for run",
            authorised(Hash([1; 32]), &here, &bob, &key, HOUR),
        ),
        (
            "90 days",
            authorised(run, &here, &bob, &key, 91 * 24 * HOUR),
        ),
        ("wallet's signature", stolen),
    ] {
        let body = serde_json::to_string(&session).expect("plain data");
        let (status, body) = post(&coordinator, "/v1/ledger/sessions", body)
            .await
            .expect_err(wanted);
        assert_eq!((status, body.name.as_deref()), (409, Some("BadSession")));
        assert!(body.message.contains(wanted), "{}", body.message);
    }
    let expired = authorised(run, &here, &bob, &key, 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let body = serde_json::to_string(&expired).expect("plain data");
    let (_, body) = post(&coordinator, "/v1/ledger/sessions", body)
        .await
        .expect_err("expired");
    assert!(body.message.contains("has expired"), "{}", body.message);
}

#[tokio::test]
async fn a_genesis_file_is_used_once_and_another_one_is_refused_afterwards() {
    let mut coordinator = with_genesis(fast);
    coordinator.restart();
    let head = head(&coordinator).await;
    assert_eq!(
        (head.development, head.tempo, head.block_seconds),
        (false, 2, 1)
    );
    let key: VolunteerId = coordinator.run().await.coordinator;
    let ledger = replayed(&coordinator).await;
    assert_eq!(ledger.state().chain, coordinator.run().await.run);
    let place = ledger.state().subnets.get(&RUN).expect("the subnet");
    assert!(
        place.neurons.contains(&AccountId(key.0)),
        "$coordinator is this one"
    );
    coordinator.kill();
    coordinator.restart();
    coordinator.kill();
    set_genesis(&coordinator, |genesis| {
        fast(genesis);
        genesis["threshold"] = 3.into();
    });
    let refused = program(&coordinator, &[]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("founded with another one"), "{stderr}");

    let broken = with_genesis(|genesis| genesis["threshold"] = 1.into());
    let refused = program(&broken, &[]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("one key alone must not be enough"),
        "{stderr}"
    );
}
