//! Partners over real sockets: whom receipts and records name, what a partner's public page says after a
//! crash, how much one partner's visitors may ask for, and the operator's switch.

use std::fs;

use crate::common::{Coordinator, Extra, Volunteer, hello};
use covey_ledger::{Ledger, journal::Line};
use covey_protocol::{
    Identity, PartnerId,
    http::{ErrorBody, ErrorCode},
    partner::{NoCredit, PartnerView, Partners},
    socket::{ClientFrame, ServerFrame},
};

const PARTNERS: &str = r#"
[[partners]]
id = "example-blog"
name = "Example blog"
url = "https://blog.example"
origins = ["https://blog.example"]
account = "5HGjWAeFDfFCWPsjFQdVV2Msvz2XtMktvgocEZcCj68kUMaw"
[[partners]]
id = "small"
name = "A small site"
url = "https://small.example"
origins = []
volunteers = 1
uploads_per_minute = 1
[[partners]]
id = "slow"
name = "A slow site"
url = "https://slow.example"
origins = []
joins_per_minute = 1
"#;

fn start() -> Coordinator {
    Coordinator::start_with(&Extra {
        // A round waits that long for a packet that was committed to and not taken.
        rounds: "window_ms = 15000",
        tables: PARTNERS,
        ..Extra::default()
    })
}

fn id(text: &str) -> PartnerId {
    text.parse().expect("an id")
}

/// Says hello for a partner; gives what was answered first.
async fn connect(coordinator: &Coordinator, secret: u8, partner: &str) -> (Volunteer, ServerFrame) {
    let identity = Identity::from_secret([secret; 32]);
    let mut socket = coordinator.socket().await;
    let nonce = socket.challenge().await;
    let ClientFrame::Hello {
        protocol,
        volunteer,
        signature,
        client,
        backend,
        ..
    } = hello(&identity, &nonce)
    else {
        unreachable!("a hello");
    };
    let frame = ClientFrame::Hello {
        protocol,
        volunteer,
        signature,
        client,
        backend,
        partner: Some(id(partner)),
    };
    socket.frame(&frame).await;
    let first = socket.receive().await;
    let run = coordinator.run().await;
    let volunteer = Volunteer {
        identity,
        socket,
        run,
    };
    (volunteer, first)
}

fn credit(partner: &str, refused: Option<NoCredit>) -> ServerFrame {
    ServerFrame::Credit {
        partner: id(partner),
        refused,
    }
}

async fn view(coordinator: &Coordinator, partner: &str) -> PartnerView {
    let answer = coordinator.get(&format!("/v1/partners/{partner}")).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("a partner")
}

fn token(coordinator: &Coordinator) -> String {
    let text = fs::read_to_string(coordinator.data().join("admin.token")).expect("a token");
    text.trim().to_owned()
}

async fn switch(coordinator: &Coordinator, path: &str, token: &str) -> (u16, String) {
    let request = reqwest::Client::new()
        .post(coordinator.operator_url(&format!("/partners/{path}")))
        .bearer_auth(token);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// Works through one round alone; gives whom the receipt and the record name.
async fn work(coordinator: &Coordinator, volunteer: &mut Volunteer) -> Option<PartnerId> {
    let run = coordinator.run().await;
    let round = run.round.0;
    volunteer.join(round).await;
    let sealed = volunteer.packet(round, run.base);
    let receipt = volunteer.contribute(coordinator, sealed).await;
    let receipt = receipt.expect("accepted");
    receipt.verify(&run.coordinator).expect("signed");
    let signed = volunteer.closed(round).await;
    let record = signed.verify(&run.coordinator).expect("signed");
    assert_eq!(record.contributions[0].partner, receipt.partner);
    receipt.partner
}

#[tokio::test]
async fn receipts_and_records_name_a_known_partner_and_its_page_survives_a_crash() {
    let mut coordinator = start();
    let (mut volunteer, first) = connect(&coordinator, 1, "example-blog").await;
    assert_eq!(first, credit("example-blog", None));
    for _ in 0..2 {
        let named = work(&coordinator, &mut volunteer).await;
        assert_eq!(named, Some(id("example-blog")));
    }
    let (mut other, _) = connect(&coordinator, 2, "example-blog").await;
    // One socket at a time, so that rounds close with one packet.
    drop(volunteer);
    work(&coordinator, &mut other).await;
    let (mut stranger, first) = connect(&coordinator, 3, "never-heard-of").await;
    drop(other);
    let refused = Some(NoCredit::Unknown);
    assert_eq!(first, credit("never-heard-of", refused));
    assert_eq!(work(&coordinator, &mut stranger).await, None, "it counts");

    let before = view(&coordinator, "example-blog").await;
    assert_eq!((before.rounds, before.packets, before.tokens), (3, 3, 384));
    assert_eq!((before.volunteers, before.suspended), (2, false));
    assert_eq!(before.received, "0");
    assert!(before.last_activity_ms.is_some());
    coordinator.kill();
    coordinator.restart();
    assert_eq!(view(&coordinator, "example-blog").await, before);
    let list: Partners = coordinator
        .get("/v1/partners")
        .await
        .json()
        .await
        .expect("a list");
    let ids: Vec<&str> = list.partners.iter().map(|view| view.id.as_str()).collect();
    assert_eq!(ids, ["example-blog", "slow", "small"]);
    assert_eq!(list.partners[0], before);
    for nobody in ["never-heard-of", "Example", "a.b", "%3Cb%3E"] {
        let answer = coordinator.get(&format!("/v1/partners/{nobody}")).await;
        assert_eq!(answer.status(), 404, "{nobody}");
        let body: ErrorBody = answer.json().await.expect("a body");
        assert_eq!(body.code, ErrorCode::NotFound);
    }
    // What anybody fetches is what everybody can check.
    coordinator.catch_up().await;
}

#[tokio::test]
async fn a_credit_lasts_while_a_socket_is_being_opened_again() {
    let coordinator = start();
    let (mut volunteer, _) = connect(&coordinator, 1, "example-blog").await;
    let base = volunteer.run.base;
    let sealed = volunteer.packet(0, base);
    volunteer.commit(&sealed).await.expect("committed");
    drop(volunteer);
    let receipt = coordinator.upload(sealed).await.expect("accepted");
    assert_eq!(receipt.partner, Some(id("example-blog")));

    // A tab that comes back without a partner, or with one nobody knows, is nobody's.
    let (volunteer, _) = connect(&coordinator, 2, "example-blog").await;
    let mut plain = coordinator.volunteer(2).await;
    drop(volunteer);
    let (base, _) = plain.opened(1).await;
    let sealed = plain.packet(1, base);
    let receipt = plain.contribute(&coordinator, sealed).await;
    assert_eq!(receipt.expect("accepted").partner, None);
}

#[tokio::test]
async fn the_operator_suspends_and_restores_a_partner_and_everybody_can_see_it() {
    let mut coordinator = start();
    let token = token(&coordinator);
    let (mut volunteer, _) = connect(&coordinator, 1, "example-blog").await;
    assert_eq!(
        switch(&coordinator, "example-blog/suspend", "").await.0,
        403
    );
    assert_eq!(
        switch(&coordinator, "example-blog/suspend", "guess")
            .await
            .0,
        403
    );
    assert_eq!(switch(&coordinator, "nobody/suspend", &token).await.0, 404);
    let (status, body) = switch(&coordinator, "example-blog/restore", &token).await;
    assert_eq!(status, 409);
    assert!(body.contains("PartnerNotSuspended"), "{body}");
    assert!(!view(&coordinator, "example-blog").await.suspended);

    let (status, body) = switch(&coordinator, "example-blog/suspend", &token).await;
    assert_eq!(status, 200, "{body}");
    // Who is connected hears of it, and works on without credit.
    let suspended = Some(NoCredit::Suspended);
    let told = volunteer
        .socket
        .until(|frame| matches!(frame, ServerFrame::Credit { .. }).then(|| frame.clone()))
        .await;
    assert_eq!(told, credit("example-blog", suspended));
    assert_eq!(work(&coordinator, &mut volunteer).await, None);
    let (again, body) = switch(&coordinator, "example-blog/suspend", &token).await;
    assert_eq!(again, 409);
    assert!(body.contains("PartnerSuspended"), "{body}");
    let feed = coordinator.text("/v1/ledger/notices.atom").await;
    let words = "The operator suspended the partner example-blog";
    assert!(feed.contains(words), "{feed}");

    coordinator.kill();
    coordinator.restart();
    assert!(view(&coordinator, "example-blog").await.suspended);
    let (_, first) = connect(&coordinator, 2, "example-blog").await;
    assert_eq!(first, credit("example-blog", suspended));
    // Anyone who replays the journal sees the same.
    let journal = coordinator.text("/v1/ledger/entries").await;
    let mut ledger: Option<Ledger> = None;
    for (index, text) in journal.lines().enumerate() {
        let line = Line::parse(text, index as u64).expect("a line");
        match &mut ledger {
            None => ledger = Some(Ledger::from_genesis(&line.entry).expect("a genesis")),
            Some(ledger) => drop(ledger.replay(&line.entry).expect("it follows")),
        }
    }
    let ledger = ledger.expect("entries");
    assert!(ledger.state().partners.is_suspended(&id("example-blog")));

    assert_eq!(
        switch(&coordinator, "example-blog/restore", &token).await.0,
        200
    );
    let (mut volunteer, first) = connect(&coordinator, 3, "example-blog").await;
    assert_eq!(first, credit("example-blog", None));
    let named = work(&coordinator, &mut volunteer).await;
    assert_eq!(named, Some(id("example-blog")));
    let feed = coordinator.text("/v1/ledger/notices.atom").await;
    assert!(feed.contains("The operator restored the partner example-blog"));
}

#[tokio::test]
async fn one_partners_crowd_leaves_room_for_everybody_elses() {
    let coordinator = start();
    let (mut held, first) = connect(&coordinator, 1, "small").await;
    assert_eq!(first, credit("small", None));
    // One volunteer at once.
    let (_, refused) = connect(&coordinator, 2, "small").await;
    let ServerFrame::Denied { code, .. } = refused else {
        panic!("not denied but {refused:?}");
    };
    assert_eq!(code, ErrorCode::Busy);
    // The same one may take its own place again.
    let (mut again, first) = connect(&coordinator, 1, "small").await;
    assert_eq!(first, credit("small", None));
    assert!(held.socket.denied().await.0.is_some(), "it was replaced");
    // Its packets are bounded, too.
    assert_eq!(work(&coordinator, &mut again).await, Some(id("small")));
    let run = coordinator.run().await;
    again.join(run.round.0).await;
    let sealed = again.packet(run.round.0, run.base);
    let refused = again.contribute(&coordinator, sealed).await;
    let (status, body) = refused.expect_err("too many");
    assert_eq!((status, body.code), (429, ErrorCode::Busy));
    drop(again);
    // One join in a minute.
    let (_, first) = connect(&coordinator, 4, "slow").await;
    assert_eq!(first, credit("slow", None));
    let (_, refused) = connect(&coordinator, 5, "slow").await;
    assert!(matches!(refused, ServerFrame::Denied { .. }), "{refused:?}");
    // Everybody else is not concerned.
    let (_, first) = connect(&coordinator, 6, "example-blog").await;
    assert_eq!(first, credit("example-blog", None));
    let mut plain = coordinator.volunteer(7).await;
    assert_eq!(work(&coordinator, &mut plain).await, None);
}

#[test]
fn a_partner_that_cannot_be_served_stops_the_start() {
    for (change, said) in [
        (("id = \"small\"", "id = \"Small\""), "a partner's id"),
        (("id = \"small\"", "id = \"example-blog\""), "two of them"),
        (
            (
                "origins = []",
                "origins = [\"https://a.example; script-src *\"]",
            ),
            "origins",
        ),
        (("origins = []", "origins = [\"*\"]"), "origins"),
        (("volunteers = 1", "volunteers = 0"), "limits"),
        (
            ("url = \"https://small.example\"", "url = \"javascript:1\""),
            "url",
        ),
    ] {
        let coordinator = Coordinator::prepare(&Extra::default());
        let file = coordinator.folder.path().join("covey.toml");
        let settings = fs::read_to_string(&file).expect("read");
        let partners = PARTNERS.replace(change.0, change.1);
        assert_ne!(partners, PARTNERS);
        fs::write(&file, settings + &partners).expect("written");
        let output = coordinator.command().output().expect("it ends");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(said), "{words}");
    }
}
