//! The one task that computes: from the identity to the last receipt.

use std::rc::Rc;

use covey_protocol::{
    Hash, Identity, Round,
    http::RunInfo,
    socket::{Backend, ClientFrame},
};
use covey_training::{Device, TrainingError};
use futures::{FutureExt, select_biased};
use wasm_bindgen_futures::spawn_local;

use super::{
    follower::{FollowError, Follower},
    intents::{BackendChoice, Message},
    keystore::Keystore,
    link,
    platform::sleep,
    probe,
    progress::Progress,
    shared::Shared,
    store::Store,
    view::State,
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
    let store = Store::open(start.slot, keystore).await;
    let identity = store.identity().await.map_err(|error| {
        (
            format!("This browser's stored identity cannot be used: {error}."),
            "Close other tabs of this page and try again, or delete what this browser stored.",
        )
    })?;
    shared.show(|view| {
        view.volunteer = Some(identity.id());
        view.slot = start.slot;
    });
    spawn_local(link::keep(
        shared.clone(),
        identity.clone(),
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
    let choice = probe::choose(&info.spec, start.backend).await;
    let mut session = Session {
        shared: shared.clone(),
        parameters: usize::try_from(info.spec.model.parameters()).unwrap_or(usize::MAX),
        info,
        identity,
        store,
        device: choice.device,
        progress: Progress::default(),
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
        let mut done: Option<(Round, Hash)> = None;
        while !shared.stopping.get() {
            let result = self.turn(&mut follower, &mut worker, &mut done).await;
            let Err(error) = result else { continue };
            if shared.stopping.get() {
                break;
            }
            log::warn!("{error}");
            if let WorkError::Training(TrainingError::Device(detail)) = &error {
                self.fall_back(detail);
                worker = None;
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
        done: &mut Option<(Round, Hash)>,
    ) -> Result<(), WorkError> {
        let shared = self.shared.clone();
        let follower = match follower {
            Some(follower) => follower,
            None => follower.insert(Follower::new(shared.clone(), self.info.clone())?),
        };
        follower.follow().await.map_err(|error| match error {
            FollowError::Client(error) => WorkError::Client(error),
            FollowError::Training(error) => WorkError::Training(error),
            FollowError::Disconnected => WorkError::Disconnected,
        })?;
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
        let open = shared.open_round();
        let connected = shared.link.borrow().sender.is_some();
        let Some(open) = open.filter(|o| connected && *done != Some((o.round, o.base))) else {
            let words = if connected {
                "Contributed; waiting for the others to finish the round."
            } else {
                "Waiting for the coordinator."
            };
            shared.enter(State::Waiting, words);
            self.idle().await;
            return Ok(());
        };
        if let Some(message) = shared.barred(open.round) {
            shared.enter(State::Waiting, message);
            self.idle().await;
            return Ok(());
        }
        match worker.round(open, follower, &mut self.progress).await? {
            Outcome::Interrupted => {}
            Outcome::Accepted | Outcome::Refused => {
                *done = Some((open.round, open.base));
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

    async fn save(&mut self) {
        if self.progress.rounds == 0 {
            return;
        }
        if let Err(error) = self.store.save(&self.info.run, &mut self.progress).await {
            log::warn!("progress was not saved: {error}");
            self.shared.show(|view| {
                view.resumed = Some(format!(
                    "Progress could not be saved in this browser ({error}); work goes on."
                ));
            });
        }
    }

    /// A lost device cannot be opened again in this worker: go on with the CPU.
    fn fall_back(&mut self, detail: &str) {
        let on_gpu = self.shared.backend.get() == Some(Backend::WebGpu);
        if !on_gpu {
            return;
        }
        let reason =
            format!("WebGPU failed ({detail}), so the CPU is used for the rest of this visit.");
        let choice = probe::cpu(reason, None, None, None, false);
        self.device = choice.device;
        self.shared.backend.set(Some(choice.backend));
        self.shared.show(|view| view.backend = Some(choice.view));
    }
}
