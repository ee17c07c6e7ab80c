//! The one task that computes: from the identity to the last receipt.

use std::rc::Rc;

use covey_protocol::{
    Identity,
    http::RunInfo,
    partner::NoCredit,
    socket::{Backend, ClientFrame},
};
use covey_training::{Device, TrainingError};
use futures::{FutureExt, select_biased};
use wasm_bindgen_futures::spawn_local;

use super::{
    follower::{FollowError, Follower},
    intents::{BackendChoice, Message},
    keystore::Keystore,
    lineage::Known,
    link,
    pacing::device_retry_ms,
    platform::sleep,
    probe,
    progress::Progress,
    shared::{OpenRound, Shared},
    store::{Saved, Store},
    validator::Validator,
    view::{CreditView, State},
    work::{Outcome, WorkError, Worker},
};

/// Milliseconds after which the session looks again without being woken.
const IDLE_MS: f64 = 5_000.0;
/// Milliseconds before trying again after a failure.
const RETRY_MS: f64 = 3_000.0;

/// What the volunteer agreed to.
pub struct Start {
    pub coordinators: Vec<String>,
    pub backend: BackendChoice,
    pub share: u8,
    pub slot: u32,
    /// The site to credit, as the page named it.
    pub partner: Option<String>,
    /// Graphics devices lost in a row in this visit.
    pub devices_lost: u32,
}

/// Runs until the volunteer stops, telling the page how it ended.
pub async fn run(shared: Rc<Shared>, start: Start, keystore: Keystore) {
    if let Err((message, remedy)) = contribute(&shared, start, keystore).await {
        shared.tell(&Message::Fatal {
            code: "storage",
            message: message.clone(),
            remedy,
        });
        shared.stopping.set(true);
        shared.enter(State::Failed, message);
        return;
    }
    shared.link.borrow_mut().sender = None;
    shared.enter(State::Stopped, "Stopped. Nothing is computed any more.");
}

async fn contribute(
    shared: &Rc<Shared>,
    start: Start,
    keystore: Keystore,
) -> Result<(), (String, &'static str)> {
    let mut store = Store::open(start.slot, keystore).await;
    let identity = store.identity().await.map_err(|error| {
        (
            format!("This browser's stored identity cannot be used: {error}."),
            "Close other tabs of this page and try again, or delete what this browser stored.",
        )
    })?;
    // A session has one identity, so this is always the first.
    let _ = shared.identity.set(identity.clone());
    shared.show(|view| view.volunteer = Some(identity.id()));
    shared.link.borrow_mut().known = store.known().await;
    let partner = start.partner.as_deref().and_then(|name| {
        let id = name.parse().ok();
        if id.is_none() {
            // Such a name cannot be anybody's.
            let credit = CreditView::of(name.to_owned(), Some(NoCredit::Unknown));
            shared.show(|view| view.credit = Some(credit));
        }
        id
    });
    spawn_local(link::keep(
        shared.clone(),
        identity.clone(),
        partner,
        start.coordinators,
    ));
    let Some(info) = joined(shared).await else {
        return Ok(());
    };
    shared.enter(
        State::Probing,
        "Comparing WebGPU and the CPU on this machine.",
    );
    sleep(0.0).await;
    let choice = probe::choose(&info.spec, start.backend, start.devices_lost).await;
    let mut session = Session {
        shared: shared.clone(),
        parameters: usize::try_from(info.spec.model.parameters()).unwrap_or(usize::MAX),
        info,
        identity,
        store,
        device: choice.device,
        progress: Progress::default(),
        known: None,
        unsaved: false,
        devices_lost: start.devices_lost,
    };
    shared.backend.set(Some(choice.backend));
    shared.show(|view| view.backend = Some(choice.view));
    session.restore().await;
    session.cycle().await;
    Ok(())
}

/// Waits for the run's description; `None` when the volunteer stops first.
async fn joined(shared: &Shared) -> Option<Rc<RunInfo>> {
    loop {
        if shared.stopping.get() {
            return None;
        }
        let info = shared.link.borrow().info.clone();
        if info.is_some() {
            return info;
        }
        shared.changed.wait().await;
    }
}

struct Session {
    shared: Rc<Shared>,
    info: Rc<RunInfo>,
    identity: Identity,
    store: Store,
    device: Device,
    parameters: usize,
    progress: Progress,
    /// As it is stored.
    known: Option<Known>,
    /// The last attempt to save failed.
    unsaved: bool,
    /// Graphics devices lost in a row, none of which got a packet accepted.
    devices_lost: u32,
}

impl Session {
    async fn restore(&mut self) {
        let restored = self.store.load(&self.info.run, self.parameters).await;
        let words = match &restored {
            Some(progress) => format!(
                "Welcome back: continued with {} rounds contributed; error feedback and optimiser state restored.",
                progress.rounds
            ),
            None if self.store.is_durable() => "First visit to this run in this browser.".into(),
            None => "This browser keeps nothing between visits, so each visit starts fresh.".into(),
        };
        self.progress = restored.unwrap_or_default();
        let (rounds, tokens) = (self.progress.rounds, self.progress.tokens);
        self.shared.show(|view| {
            view.rounds_contributed = rounds;
            view.tokens_total = tokens;
            view.resumed = Some(words);
        });
    }

    /// Follow, pause, work, wait; from the start again after any failure.
    async fn cycle(&mut self) {
        let shared = self.shared.clone();
        let mut follower = None;
        let mut worker = None;
        let mut validator = None;
        let mut done = None;
        while !shared.stopping.get() {
            let result = self
                .turn(&mut follower, &mut worker, &mut validator, &mut done)
                .await;
            let Err(error) = result else { continue };
            if shared.stopping.get() {
                break;
            }
            log::warn!("{error}");
            if let WorkError::Training(TrainingError::Device(_)) = &error
                && shared.backend.get() == Some(Backend::WebGpu)
            {
                self.hand_over();
                return;
            }
            shared.enter(
                State::Recovering,
                format!("Something failed and is tried again: {error}."),
            );
            sleep(RETRY_MS).await;
        }
        shared.send(ClientFrame::Leave);
        self.save().await;
    }

    async fn turn(
        &mut self,
        follower: &mut Option<Follower>,
        worker: &mut Option<Worker>,
        validator: &mut Option<Validator>,
        done: &mut Option<(OpenRound, Outcome)>,
    ) -> Result<(), WorkError> {
        let shared = self.shared.clone();
        let follower = match follower {
            Some(follower) => follower,
            None => follower.insert(Follower::new(
                shared.clone(),
                self.info.clone(),
                self.identity.clone(),
            )?),
        };
        follower.follow().await.map_err(|error| match error {
            FollowError::Client(error) => WorkError::Client(error),
            FollowError::Training(error) => WorkError::Training(error),
            FollowError::Disconnected => WorkError::Disconnected,
        })?;
        self.remember().await;
        let worker = match worker {
            Some(worker) => worker,
            None => worker.insert(Worker::new(
                shared.clone(),
                self.info.clone(),
                self.identity.clone(),
                &self.device,
                &self.progress,
            )?),
        };
        worker.sampler.serve(follower).await;
        let pauses = shared.pauses();
        if let Some(pause) = pauses.first() {
            shared.enter(State::Paused, pause.text);
            shared.show(|view| view.tokens_per_second = 0.0);
            self.idle().await;
            return Ok(());
        }
        let validator = validator.get_or_insert_with(|| {
            let (info, identity) = (self.info.clone(), self.identity.clone());
            Validator::new(shared.clone(), info, identity, &self.device)
        });
        validator.turn(follower, &mut worker.texts).await?;
        if shared.only_validate.get() {
            shared.enter(State::Waiting, "Waiting for the next round to score.");
            self.idle().await;
            return Ok(());
        }
        let open = shared.open_round();
        let connected = shared.link.borrow().sender.is_some();
        let begun = |o: &OpenRound| done.is_some_and(|(done, _)| done.is(o));
        let Some(open) = open.filter(|o| connected && !begun(o)) else {
            let words = match done {
                _ if !connected => "Waiting for the coordinator.",
                Some((_, Outcome::Refused)) => "Not accepted; waiting for the next round.",
                _ => "Contributed; waiting for the others to finish the round.",
            };
            shared.enter(State::Waiting, words);
            self.idle().await;
            return Ok(());
        };
        if let Some(message) = shared.barred(open.round) {
            let words = format!("{message} This tab waits and goes on by itself.");
            shared.enter(State::Waiting, words);
            self.idle().await;
            return Ok(());
        }
        match worker.round(open, follower, &mut self.progress).await? {
            Outcome::Interrupted => {}
            outcome @ (Outcome::Accepted | Outcome::Refused) => {
                if outcome == Outcome::Accepted {
                    self.devices_lost = 0;
                }
                *done = Some((open, outcome));
                self.save().await;
            }
        }
        Ok(())
    }

    /// Waits for news, or a little while.
    async fn idle(&self) {
        self.shared.publish();
        let mut woken = Box::pin(self.shared.changed.wait().fuse());
        let mut later = Box::pin(sleep(IDLE_MS).fuse());
        select_biased! {
            () = woken => {}
            () = later => {}
        }
    }

    /// Keeps who coordinates and what was agreed, if that is new.
    async fn remember(&mut self) {
        let known = self.shared.link.borrow().known.clone();
        if known == self.known {
            return;
        }
        if let Some(known) = &known
            && let Err(error) = self.store.keep_known(known).await
        {
            log::warn!("the coordinator's key was not remembered: {error}");
        }
        self.known = known;
    }

    async fn save(&mut self) {
        if self.progress.rounds == 0 {
            return;
        }
        let saved = self
            .store
            .save(&self.info.run, &mut self.progress, &self.identity)
            .await;
        let words = match &saved {
            Ok(Saved { anew: true }) => {
                "This browser\u{2019}s storage was emptied while the tab ran; identity and progress were stored again.".to_owned()
            }
            Ok(_) if self.unsaved => "Progress is saved in this browser again.".to_owned(),
            Ok(_) => return,
            Err(error) => {
                log::warn!("progress was not saved: {error}");
                format!("Progress could not be saved in this browser ({error}); work goes on.")
            }
        };
        self.unsaved = saved.is_err();
        self.shared.show(|view| view.resumed = Some(words));
    }

    /// A lost device cannot be opened again in this worker, so the page is asked for another worker. What
    /// the rounds before gave is stored; the round in flight is not finished by this one.
    fn hand_over(&mut self) {
        self.devices_lost += 1;
        let (retry_in_ms, message) = match device_retry_ms(self.devices_lost) {
            Some(0.0) => (
                0.0,
                "The graphics device was lost. A new one is tried at once.",
            ),
            Some(ms) => (
                ms,
                "The graphics device was lost again. A new one is tried in a moment.",
            ),
            None => (
                0.0,
                "The graphics device was lost once more. The CPU takes over.",
            ),
        };
        self.shared.enter(State::Recovering, message);
        self.shared.tell(&Message::DeviceLost {
            retry_in_ms,
            devices_lost: self.devices_lost,
            message: message.to_owned(),
        });
    }
}
