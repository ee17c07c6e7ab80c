//! A tab that trains nothing and recomputes a whole run: every record, packet, merge and outer step from the
//! seed's weights on, and every entry of the ledger. What `covey-coordinator follow` does on a server, for
//! models that fit into a tab.
//!
//! 1. `replay` fetches and recomputes; the rules are `covey-witness`, the same as the server's.
//! 2. Here is the task around it: looks again and again, asks the next address when one does not answer,
//!    signs what came of it, publishes that, and keeps how far it is.
//!
//! What a reader would get wrong: the key that signs is one of this browser that does nothing else. A
//! statement says that somebody recomputed the run, not who; a volunteer's own key would say more than it
//! has to.

mod replay;
mod view;

use std::{cell::Cell, rc::Rc};

use covey_protocol::{
    Identity,
    http::RunInfo,
    witness::{Statement, Verdict, WitnessKind},
};
use covey_witness::books;

use self::{
    replay::{Halt, Replay},
    view::{Show, State},
};
use crate::contributor::{
    client::{Client, Traffic},
    intents::Message,
    keystore::Keystore,
    platform::sleep,
    store::Store,
};

pub use view::WitnessView;

/// Largest model that is recomputed in a tab, in parameters: its weights are held twice.
pub const MAX_PARAMETERS: u64 = 16_000_000;
/// Milliseconds between two looks at a run that is agreed so far.
const LOOK_MS: f64 = 5_000.0;
/// Shortest and longest wait for one that does not answer.
const RETRY_MS: (f64, f64) = (2_000.0, 60_000.0);
/// How finely a wait is cut, so that Stop is heard.
const HEAR_MS: f64 = 200.0;

/// Recomputes until told to stop, or until something is not so.
pub async fn run(
    listener: js_sys::Function,
    keystore: Keystore,
    coordinators: Vec<String>,
    stopping: Rc<Cell<bool>>,
) {
    let show = Show::new(listener);
    let mut store = Store::witness(keystore).await;
    let identity = match store.identity().await {
        Ok(identity) => identity,
        Err(error) => {
            show.tell(&Message::Fatal {
                code: "storage",
                message: format!("The key this browser witnesses with cannot be used: {error}."),
                remedy: "Close other tabs of this page and try again, or delete what this browser stored.",
            });
            return;
        }
    };
    show.change(|view| {
        view.witness = Some(identity.id());
        view.durable = store.is_durable();
    });
    let mut witness = Witness {
        show,
        store,
        identity,
        traffic: Rc::default(),
        stopping,
        replay: None,
        stated: None,
    };
    witness.keep_looking(&coordinators).await;
}

struct Witness {
    show: Show,
    store: Store,
    identity: Identity,
    traffic: Rc<Traffic>,
    stopping: Rc<Cell<bool>>,
    replay: Option<Replay>,
    /// What was published last.
    stated: Option<Statement>,
}

impl Witness {
    async fn keep_looking(&mut self, coordinators: &[String]) {
        let mut failures = 0_usize;
        while !self.stopping.get() {
            let address = coordinators.get(failures % coordinators.len().max(1));
            let Some(address) = address else { break };
            let client = Client::new(address, self.traffic.clone());
            let wait = match self.look(&client).await {
                Ok(()) => {
                    failures = 0;
                    LOOK_MS
                }
                Err(Halt::Stopped) => break,
                Err(Halt::Finding(finding)) => {
                    let proof = self.replay.as_mut().and_then(|replay| replay.proof.take());
                    self.show.change(|view| {
                        view.state = State::Disagrees;
                        view.proof = proof;
                    });
                    self.state(&client, finding.verdict()).await;
                    return;
                }
                Err(Halt::Refused(words)) => {
                    self.show.enter(State::Refused, words);
                    return;
                }
                Err(Halt::Unreachable(words)) => {
                    failures += 1;
                    // Every address once, then slower and slower.
                    let turns = i32::try_from(failures / coordinators.len().max(1)).unwrap_or(8);
                    self.show.enter(State::Waiting, format!("{words}."));
                    (RETRY_MS.0 * 2_f64.powi(turns.min(8))).min(RETRY_MS.1)
                }
            };
            self.wait(wait).await;
        }
        self.keep().await;
        self.show
            .enter(State::Stopped, "Stopped. How far it is was kept.");
    }

    async fn wait(&self, ms: f64) {
        let mut left = ms;
        while left > 0.0 && !self.stopping.get() {
            sleep(HEAR_MS.min(left)).await;
            left -= HEAR_MS;
        }
    }

    /// One look at the run, up to its end.
    async fn look(&mut self, client: &Client) -> Result<(), Halt> {
        let info = client.run().await?;
        let replay = match &mut self.replay {
            Some(replay) => replay,
            None => {
                let replay = begin(&self.store, &self.show, &info).await?;
                self.replay.insert(replay)
            }
        };
        // Before the records: whatever the ledger pays for by then is in them.
        let head = client.ledger().await?;
        let (show, stopping, store) = (&self.show, &*self.stopping, &self.store);
        replay.same_run(client, &info).await?;
        show.change(|view| view.coordinator = Some(info.coordinator));
        replay.rounds(client, &info, show, stopping, store).await?;
        replay.checkpoint(client, &info).await?;
        replay.ledger(client, &info, &head, show, stopping).await?;
        self.keep().await;
        self.show.change(|view| view.state = State::Level);
        self.state(client, Verdict::Agrees).await;
        Ok(())
    }

    /// Keeps how far it is; where the browser refuses, the visit goes on without.
    async fn keep(&mut self) {
        if let Some(replay) = &mut self.replay
            && let Err(error) = replay.keep(&self.store).await
        {
            self.show.change(|view| view.durable = false);
            log::warn!("how far the run is recomputed was not kept: {error}");
        }
    }

    /// Signs and publishes what came of it, if that is new. Whether the coordinator lists it is its own
    /// business.
    async fn state(&mut self, client: &Client, verdict: Verdict) {
        let Some(replay) = &self.replay else { return };
        let chain = &replay.kept.chain;
        let statement = Statement {
            run: chain.run,
            kind: WitnessKind::Tab,
            name: String::new(),
            round: chain.round,
            theta: chain.theta,
            record: chain.record,
            ledger: replay.books.as_ref().map(books::seen),
            verdict: verdict.clone(),
        };
        if self.stated.as_ref() == Some(&statement) {
            self.show.publish();
            return;
        }
        let signed = statement.clone().sign(&self.identity);
        let told = client.state(&signed).await;
        self.show.change(|view| {
            view.round = statement.round;
            view.theta = Some(statement.theta);
            view.entries = statement.ledger.map_or(0, |seen| seen.entries);
            view.listed = told.is_ok();
            view.refusal = told.as_ref().err().map(ToString::to_string);
            view.statement = serde_json::to_string(&signed).ok();
            view.verdict = Some(verdict);
        });
        // What was not taken is told again at the next look.
        self.stated = told.is_ok().then_some(statement);
        self.show.publish();
    }
}

/// A replay of the run that is served: where an earlier visit ended, or from the beginning.
async fn begin(store: &Store, show: &Show, info: &RunInfo) -> Result<Replay, Halt> {
    let parameters = info.spec.model.parameters();
    if parameters > MAX_PARAMETERS {
        return Err(Halt::Refused(format!(
            "This run's model has {:.0} million parameters. A tab recomputes up to {} million; for this run use `covey-coordinator follow`.",
            parameters as f64 / 1e6,
            MAX_PARAMETERS / 1_000_000
        )));
    }
    let invalid = |error: &dyn std::fmt::Display| {
        Halt::Unreachable(format!("The coordinator's answer is not valid: {error}"))
    };
    if info.spec.id() != info.run {
        return Err(invalid(
            &"the run's description is not the one it is named by",
        ));
    }
    info.check_handovers().map_err(|error| invalid(&error))?;
    let parameters = usize::try_from(parameters).unwrap_or(usize::MAX);
    let kept = store.witnessed(&info.run, parameters).await;
    show.change(|view| {
        view.run = Some(info.run);
        view.name = info.spec.name.clone();
        view.parameters = info.spec.model.parameters();
        view.coordinator = Some(info.coordinator);
        view.resumed = kept.as_ref().map(|kept| kept.chain.round);
    });
    show.enter(
        State::Rounds,
        "Making the weights that the run begins with.",
    );
    sleep(0.0).await;
    Replay::begin(info, kept).map_err(|error| invalid(&error))
}
