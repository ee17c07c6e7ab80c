//! Validators over real sockets and a real disk: who is asked to score what, which sheets are taken, that
//! none is lost, and that a key which signs its own weights is paid for them.

use crate::common::{Coordinator, Extra, Volunteer};
use covey_ledger::{
    AccountId, KeyType, Ledger, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN,
    journal::Line,
    signing::keys::Keypair,
    units::UNIT,
};
use covey_protocol::{
    Hash, Identity, Round, SignatureBytes, VolunteerId,
    http::{ErrorBody, ErrorCode},
    ledger::LedgerHead,
    limits::MAX_SHEET,
    record::{RoundRecord, SignedRecord},
    validation::{Assignment, LATEST, Loss, Losses, Scored, Sheet, SignedSheet, Task, Validations},
};
use serde_json::Value;

/// Secret of the key that validates. It contributes, too.
const VALIDATOR: u8 = 9;
/// Secret of another key of the same wallet.
const SIBLING: u8 = 8;

fn identity(secret: u8) -> Identity {
    Identity::from_secret([secret; 32])
}

fn account(secret: u8) -> AccountId {
    AccountId(identity(secret).id().0)
}

fn everyone() -> Extra {
    Extra {
        rounds: "min_contributions = 4",
        ..Extra::default()
    }
}

async fn head(coordinator: &Coordinator) -> LedgerHead {
    let answer = coordinator.get("/v1/ledger").await;
    answer.json().await.expect("a head")
}

async fn post(coordinator: &Coordinator, path: &str, body: Vec<u8>) -> Result<Value, ErrorBody> {
    let request = reqwest::Client::new()
        .post(coordinator.url(path))
        .body(body);
    let answer = request.send().await.expect("an answer");
    if answer.status() == 200 {
        Ok(answer.json().await.expect("JSON"))
    } else {
        Err(answer.json().await.expect("an error body"))
    }
}

async fn act(coordinator: &Coordinator, action: &SignedAction) {
    let body = serde_json::to_vec(action).expect("JSON");
    let recorded = post(coordinator, "/v1/ledger/actions", body).await;
    recorded.expect("recorded");
}

/// Bob does something with his wallet.
async fn bob(coordinator: &Coordinator, nonce: u64, call: Call) {
    let key = Keypair::from_suri(KeyType::Sr25519, "//Bob").expect("known");
    let head = head(coordinator).await;
    let action = Action {
        app: APP.to_owned(),
        chain: head.chain,
        account: key.account(),
        nonce,
        expires: head.height + 100,
        call,
    };
    let signed = SignedAction {
        key: key.kind(),
        signature: key.sign_raw(&action.message().expect("exact")),
        action,
    };
    act(coordinator, &signed).await;
}

fn register(secret: u8) -> Call {
    Call::BurnedRegister {
        netuid: RUN,
        hotkey: account(secret),
    }
}

fn stake(secret: u8) -> Call {
    Call::AddStake {
        hotkey: account(secret),
        netuid: RUN,
        amount_staked: Rao(500 * UNIT),
    }
}

async fn task(coordinator: &Coordinator, secret: u8) -> Task {
    let id = identity(secret).id();
    let answer = coordinator.get(&format!("/v1/validators/{id}")).await;
    answer.json().await.expect("a task")
}

async fn submit(coordinator: &Coordinator, sheet: &SignedSheet) -> Result<Hash, ErrorCode> {
    let body = serde_json::to_vec(sheet).expect("JSON");
    let answer = post(coordinator, "/v1/validations", body).await;
    let taken = answer.map_err(|body| body.code)?;
    Ok(taken["sheet"]
        .as_str()
        .expect("a hash")
        .parse()
        .expect("a hash"))
}

async fn public(coordinator: &Coordinator, from: u64) -> Validations {
    let answer = coordinator
        .get(&format!("/v1/validations?from={from}"))
        .await;
    answer.json().await.expect("sheets")
}

/// A round to which everybody contributes.
async fn round(coordinator: &Coordinator, all: &mut [Volunteer], number: u64) -> SignedRecord {
    let mut bases = Vec::new();
    for volunteer in all.iter_mut() {
        bases.push(volunteer.opened(number).await.0);
    }
    for volunteer in all.iter_mut() {
        volunteer.join(number).await;
    }
    for (volunteer, base) in all.iter_mut().zip(bases) {
        let packet = volunteer.packet(number, base);
        let receipt = volunteer.contribute(coordinator, packet).await;
        receipt.expect("a receipt");
    }
    let mut last = None;
    for volunteer in all.iter_mut() {
        last = Some(volunteer.closed(number).await);
    }
    last.expect("somebody")
}

async fn volunteers(coordinator: &Coordinator) -> Vec<Volunteer> {
    let mut all = Vec::new();
    for secret in [1, 2, SIBLING, VALIDATOR] {
        all.push(coordinator.volunteer(secret).await);
    }
    all
}

const LOSSES: Losses = Losses {
    own_before: Loss(5_000_000_000),
    own_after: Loss(4_900_000_000),
    random_before: Loss(5_100_000_000),
    random_after: Loss(5_050_000_000),
};

/// An honest sheet: every packet of the record, and losses where `scored` says so.
fn sheet(record: &RoundRecord, scored: impl Fn(&Hash) -> bool) -> Sheet {
    let scores = record.contributions.iter().map(|merged| Scored {
        volunteer: merged.volunteer,
        packet: merged.packet,
        inner_steps: merged.inner_steps,
        losses: scored(&merged.packet).then_some(LOSSES),
    });
    Sheet {
        run: record.run,
        validator: identity(VALIDATOR).id(),
        round: record.round,
        record: record.hash(),
        scores: scores.collect(),
    }
}

fn packet_of(record: &RoundRecord, who: &VolunteerId) -> Hash {
    let mut merged = record.contributions.iter();
    let found = merged.find(|merged| merged.volunteer == *who);
    found.expect("merged").packet
}

/// What only an assignment of the last round allows, and what is refused by which name.
async fn refusals(coordinator: &Coordinator, record: &RoundRecord, assignment: &Assignment) {
    let me = identity(VALIDATOR);
    let honest = || sheet(record, |packet| assignment.packets.contains(packet));
    let changed = |change: &dyn Fn(&mut Sheet)| {
        let mut sheet = honest();
        change(&mut sheet);
        sheet.sign(&me)
    };
    let own = packet_of(record, &me.id());
    let sibling = packet_of(record, &identity(SIBLING).id());
    let mut unsigned = honest().sign(&me);
    unsigned.signature = SignatureBytes([7; 64]);
    let stranger = identity(1);
    let mut strangers = honest();
    strangers.validator = stranger.id();
    let cases = [
        (
            "own",
            ErrorCode::NotAssigned,
            sheet(record, |packet| *packet == own).sign(&me),
        ),
        (
            "a sibling's",
            ErrorCode::NotAssigned,
            sheet(record, |packet| *packet == sibling).sign(&me),
        ),
        (
            "a packet is missing",
            ErrorCode::NotAssigned,
            changed(&|sheet| sheet.scores.truncate(3)),
        ),
        (
            "other steps",
            ErrorCode::NotAssigned,
            changed(&|sheet| sheet.scores[0].inner_steps += 1),
        ),
        (
            "another record",
            ErrorCode::NotAssigned,
            changed(&|sheet| sheet.record = Hash([3; 32])),
        ),
        (
            "another run",
            ErrorCode::WrongRun,
            changed(&|sheet| sheet.run = Hash([3; 32])),
        ),
        (
            "not closed",
            ErrorCode::FutureRound,
            changed(&|sheet| sheet.round = sheet.round.next()),
        ),
        ("not signed", ErrorCode::Signature, unsigned),
        (
            "no validator",
            ErrorCode::NotValidator,
            strangers.sign(&stranger),
        ),
    ];
    for (what, code, signed) in cases {
        assert_eq!(submit(coordinator, &signed).await, Err(code), "{what}");
    }
    let long = vec![b' '; MAX_SHEET + 1];
    let refused = post(coordinator, "/v1/validations", long).await;
    assert_eq!(refused.expect_err("long").code, ErrorCode::TooLarge);
    let refused = post(coordinator, "/v1/validations", b"{}".to_vec()).await;
    assert_eq!(refused.expect_err("nothing").code, ErrorCode::Malformed);
}

#[tokio::test]
async fn a_staked_key_scores_others_work_and_no_sheet_is_lost() {
    let mut coordinator = Coordinator::start_with(&everyone());
    let mut all = volunteers(&coordinator).await;
    let record = round(&coordinator, &mut all, 0).await.record;

    // Without registration, and without stake, nothing is asked.
    let before = task(&coordinator, VALIDATOR).await;
    assert!(!before.standing.registered && !before.standing.permit);
    assert_eq!(before.assignment, None);
    bob(&coordinator, 0, register(VALIDATOR)).await;
    let before = task(&coordinator, VALIDATOR).await;
    assert!(before.standing.registered && !before.standing.permit);
    assert_eq!(before.assignment, None);
    bob(&coordinator, 1, stake(VALIDATOR)).await;
    bob(&coordinator, 2, register(SIBLING)).await;

    let asked = task(&coordinator, VALIDATOR).await;
    assert!(asked.standing.permit);
    assert_ne!(asked.standing.stake, "0");
    let assignment = asked.assignment.expect("an assignment");
    assert_eq!(
        (assignment.round, assignment.record),
        (Round(0), record.hash())
    );
    assert_eq!(assignment.until, Round(LATEST));
    // Two others contributed; its own packet and that of its wallet's other key are not its to score.
    let mut assigned = assignment.packets.clone();
    assigned.sort();
    let mut others = [1, 2].map(|n| packet_of(&record, &identity(n).id()));
    others.sort();
    assert_eq!(assigned, others);

    refusals(&coordinator, &record, &assignment).await;
    assert_eq!(public(&coordinator, 0).await.sheets, []);
    let honest = sheet(&record, |packet| assigned.contains(packet)).sign(&identity(VALIDATOR));
    assert_eq!(submit(&coordinator, &honest).await, Ok(honest.hash()));

    coordinator.kill();
    coordinator.restart();
    assert_eq!(submit(&coordinator, &honest).await, Ok(honest.hash()));
    let other = sheet(&record, |packet| *packet == assigned[0]).sign(&identity(VALIDATOR));
    assert_eq!(
        submit(&coordinator, &other).await,
        Err(ErrorCode::Duplicate)
    );

    // Nobody sees it while another could still copy it.
    let mut all = volunteers(&coordinator).await;
    for number in 1..=LATEST {
        assert_eq!(public(&coordinator, 0).await.sheets, [], "round {number}");
        round(&coordinator, &mut all, number).await;
    }
    let shown = public(&coordinator, 0).await;
    assert_eq!(shown.sheets, std::slice::from_ref(&honest));
    assert!(shown.sheets[0].verify().is_ok());
    assert_eq!(shown.next, Round(1));
    assert_eq!(public(&coordinator, 1).await.next, Round(1));
    assert_eq!(
        submit(&coordinator, &other).await,
        Err(ErrorCode::StaleRound)
    );
    // What was taken in time is still answered.
    assert_eq!(submit(&coordinator, &honest).await, Ok(honest.hash()));
}

async fn advance(coordinator: &Coordinator, blocks: u64) {
    let token = std::fs::read_to_string(coordinator.data().join("admin.token")).expect("a token");
    let request = reqwest::Client::new()
        .post(coordinator.operator_url(&format!("/ledger/advance?blocks={blocks}")))
        .bearer_auth(token.trim());
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

async fn replayed(coordinator: &Coordinator) -> Ledger {
    let text = coordinator.text("/v1/ledger/journal").await;
    let lines = (0..).zip(text.lines());
    let mut lines = lines.map(|(index, line)| Line::parse(line, index).expect("a line"));
    let first = lines.next().expect("a genesis");
    let mut ledger = Ledger::from_genesis(&first.entry).expect("a genesis");
    for line in lines {
        ledger.replay(&line.entry).expect("it follows");
    }
    ledger
}

#[tokio::test]
async fn a_key_that_signs_its_own_weights_is_paid_for_them() {
    let coordinator = Coordinator::start_with(&Extra::default());
    bob(&coordinator, 0, register(VALIDATOR)).await;
    bob(&coordinator, 1, stake(VALIDATOR)).await;
    let standing = task(&coordinator, VALIDATOR).await.standing;
    assert_eq!(standing.weights_set, None);
    // Nobody did any work, and everybody says so.
    let targets = vec![(AccountId(standing.owner.0), u16::MAX)];
    let (key, chain) = (identity(VALIDATOR), head(&coordinator).await.chain);
    let expires = standing.height + 50;
    let said = SignedAction::set_weights(&key, chain, standing.nonce, expires, RUN, targets);
    let said = said.expect("exact");
    act(&coordinator, &said).await;
    let after = task(&coordinator, VALIDATOR).await.standing;
    assert!(after.weights_set.is_some());
    assert_eq!(after.nonce, standing.nonce + 1);

    advance(&coordinator, 61).await;
    let ledger = replayed(&coordinator).await;
    let place = ledger.state().subnets.get(&RUN).expect("a subnet");
    let report = place.report.as_ref().expect("an epoch");
    let dividends = |account| {
        let mut paid = report.dividends.iter();
        paid.find(|(to, _)| *to == account)
            .map_or(0, |(_, amount)| amount.0)
    };
    assert!(dividends(account(VALIDATOR)) > 0, "{report:?}");
}
