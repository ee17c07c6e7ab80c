//! The ledger's keeper with a disk that fails and opinions that are made up: what it promises must hold
//! without a network around it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::disk::Disk;
use covey_coordinator::{
    clock::Clock,
    ledger::{
        Handle, Opened, Refused, Request,
        admin::AdminToken,
        clock::LedgerClock,
        draft::{Draft, request_id},
        genesis::{Terms, found},
        keeper, load,
        store::Store,
        weights::Weights,
    },
    metrics::Metrics,
    storage::{StorageError, reopening::Reopening},
};
use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN,
    journal::Line,
    signing::keys::Keypair,
};
use covey_protocol::{Hash, Identity, VolunteerId};

fn identity() -> Identity {
    Identity::from_secret([3; 32])
}

fn open(disk: &Disk) -> Store {
    Store::within(Reopening::new(disk.opener())).expect("opened")
}

/// A development ledger whose first epoch by the clock is an hour away, kept on `disk`.
fn start(disk: &Disk, weights: Weights) -> Handle {
    let store = open(disk);
    let clock = Clock::start();
    if store.meta().expect("read").entries == 0 {
        let mut terms = Terms::development(keeper::account(&identity()));
        terms.schedule.block_seconds = 120;
        let (ledger, line) = found(terms.of(Hash([8; 32]), clock.now_ms())).expect("founded");
        store
            .append(&Draft::genesis(ledger, line).batch)
            .expect("kept");
    }
    let position = load::load(&store).expect("loaded");
    let offset = store.meta().expect("read").offset;
    let clock = LedgerClock::new(clock, position.ledger.state(), offset);
    let folder = tempfile::tempdir().expect("a folder");
    let token = AdminToken::load_or_create(&folder.path().join("token")).expect("made");
    let opened = Opened {
        store,
        position,
        clock,
        token,
    };
    keeper::start(opened, &identity(), weights, Arc::new(Metrics::default())).expect("started")
}

fn nobody() -> Weights {
    Box::new(|_| Ok(Vec::new()))
}

fn payment(handle: &Handle, nonce: u64, amount: u64) -> SignedAction {
    let alice = Keypair::from_suri(KeyType::Sr25519, "//Alice").expect("known");
    let bob = Keypair::from_suri(KeyType::Sr25519, "//Bob").expect("known");
    let action = Action {
        app: APP.to_owned(),
        chain: Hash([8; 32]),
        account: alice.account(),
        nonce,
        expires: handle.view().height() + 100,
        call: Call::TransferKeepAlive {
            dest: bob.account(),
            value: Rao(amount),
        },
    };
    let message = action.message().expect("exact");
    SignedAction {
        key: alice.kind(),
        signature: alice.sign_raw(&message),
        action,
    }
}

async fn record(handle: &Handle, action: &SignedAction) -> Result<String, Refused> {
    let request = Request::Action(Box::new(action.clone()));
    let recorded = handle.record(request_id(action), request).await?;
    Ok(recorded.json())
}

/// Everything on the disk, replayed by somebody else.
fn replayed(disk: &Disk) -> Ledger {
    let lines = open(disk).lines(0, usize::MAX, usize::MAX).expect("read");
    let mut ledger: Option<Ledger> = None;
    for (index, text) in lines.iter().enumerate() {
        let line = Line::parse(text, index as u64).expect("a line");
        match &mut ledger {
            None => ledger = Some(Ledger::from_genesis(&line.entry).expect("a genesis")),
            Some(ledger) => drop(ledger.replay(&line.entry).expect("it follows")),
        }
    }
    ledger.expect("a ledger")
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_disk_fails_and_nothing_is_recorded_twice_afterwards() {
    let disk = Disk::default();
    let handle = start(&disk, nobody());
    record(&handle, &payment(&handle, 0, 5))
        .await
        .expect("recorded");
    let before = handle.head();
    let second = payment(&handle, 1, 6);
    disk.fail(true);
    for _ in 0..3 {
        assert_eq!(record(&handle, &second).await, Err(Refused::Unavailable));
        assert_eq!(handle.advance(30).await, Err(Refused::Unavailable));
    }
    assert_eq!(
        handle.head().entries,
        before.entries,
        "nobody sees what is not durable"
    );
    disk.fail(false);
    let answer = loop {
        match record(&handle, &second).await {
            Ok(answer) => break answer,
            Err(refused) => assert_eq!(refused, Refused::Unavailable),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(record(&handle, &second).await.expect("known"), answer);
    handle.advance(30).await.expect("it works again");
    handle.stop().await;
    let ledger = replayed(&disk);
    assert_eq!(ledger.head(), handle.head().head);
    // The genesis, two payments, the coordinator's weights and the epoch, at which the clock stopped.
    assert_eq!(ledger.len(), 5);
    assert_eq!(
        record(&handle, &payment(&handle, 2, 1)).await,
        Err(Refused::Unavailable)
    );
}

#[tokio::test]
async fn requests_that_come_together_are_all_recorded_or_refused_by_their_own_rule() {
    let disk = Disk::default();
    let handle = start(&disk, nobody());
    let actions: Vec<SignedAction> = (0..100).map(|nonce| payment(&handle, nonce, 1)).collect();
    let requests = actions.iter().map(|action| record(&handle, action));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let again = actions.iter().map(|action| record(&handle, action));
    assert_eq!(futures_util::future::join_all(again).await, answers);
    let stale = payment(&handle, 3, 2);
    let refused = record(&handle, &stale).await.expect_err("an old nonce");
    assert!(matches!(refused, Refused::Rule(error) if error.name() == "BadNonce"));
    handle.stop().await;
    assert_eq!(replayed(&disk).len(), 101);
}

#[tokio::test]
async fn weights_are_signed_before_an_epoch_when_they_changed() {
    let disk = Disk::default();
    let volunteer = VolunteerId([40; 32]);
    let weight = Arc::new(AtomicU64::new(0));
    let said = Arc::clone(&weight);
    let handle = start(
        &disk,
        Box::new(move |_| match said.load(Ordering::SeqCst) {
            0 => Ok(Vec::new()),
            9 => Err(StorageError::Unreadable("an opinion")),
            _ => Ok(vec![(volunteer, 65_535), (VolunteerId([41; 32]), 0)]),
        }),
    );
    let key = keeper::account(&identity());
    let worker = AccountId(volunteer.0);
    let earned = |ledger: &Ledger| {
        let account = ledger.state().accounts.get(&worker);
        let earnings = account.map(|account| account.earnings.iter().map(|e| e.incentive.0).sum());
        Alpha(earnings.unwrap_or(0))
    };
    // (what is thought, entries that an epoch adds, whether the worker is paid)
    let mut paid = Alpha::ZERO;
    for (thought, entries, pays) in [
        // Nobody worked, which is said: weights, the epoch and the moved clock.
        (0, 3, false),
        (1, 3, true),
        (1, 2, true),
        // It cannot be known: what was said stands, and the epoch comes all the same.
        (9, 2, true),
        (0, 3, false),
    ] {
        weight.store(thought, Ordering::SeqCst);
        let before = handle.head();
        let next = before.next_epoch - handle.view().height();
        handle.advance(next + 1).await.expect("moved");
        let ledger = handle.view().position.ledger.clone();
        assert_eq!(handle.head().entries - before.entries, entries, "{thought}");
        assert_eq!(earned(&ledger) > paid, pays, "{thought}");
        paid = earned(&ledger);
    }
    let ledger = handle.view().position.ledger.clone();
    let place = ledger.state().subnets.get(&RUN).expect("the subnet");
    let weights = place.weights.get(&key).expect("it has spoken");
    assert_eq!(weights.targets, [(place.owner_hotkey, 65_535)]);
    assert_eq!(weights.set, 149, "one block before its epoch");
    handle.stop().await;
    assert_eq!(replayed(&disk).state(), ledger.state());
}

#[tokio::test]
async fn a_restart_goes_on_from_a_snapshot_as_if_nothing_had_happened() {
    let disk = Disk::default();
    let handle = start(&disk, nobody());
    handle.advance(30 * 300).await.expect("moved");
    record(&handle, &payment(&handle, 0, 5))
        .await
        .expect("recorded");
    let before = handle.view();
    handle.stop().await;
    assert!(!open(&disk).snapshots().expect("read").is_empty());
    let again = start(&disk, nobody());
    let after = again.view();
    assert_eq!(after.position.ledger, before.position.ledger);
    assert_eq!(after.position.anchor.line, before.position.anchor.line);
    assert_eq!(after.position.anchor.ledger, before.position.anchor.ledger);
    assert_eq!(after.clock.offset, before.clock.offset);
    record(&again, &payment(&again, 1, 5))
        .await
        .expect("recorded");
    again.stop().await;
    assert_eq!(replayed(&disk).len(), before.position.ledger.len() + 1);
}
