//! What the tasks of one tab share: the view, the volunteer's wishes, the open round.
//!
//! Three tasks run on the worker's one thread: the link keeps the control socket, the session trains,
//! the publisher shows. They meet only here; no borrow is held across an await.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    http::{ErrorBody, RunInfo},
    record::SignedRecord,
    socket::{Backend, ClientFrame},
};
use futures::channel::mpsc::UnboundedSender;

use super::{
    client::{Client, Traffic},
    intents::{Environment, Message, PauseReason, tell},
    lineage::Known,
    pacing,
    view::{PauseView, State, View},
};

/// Wakes one waiting task; a signal given before the wait is not lost.
#[derive(Default)]
pub struct Signal {
    set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    pub fn set(&self) {
        self.set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.set.replace(false) {
                Poll::Ready(())
            } else {
                self.waker.replace(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await;
    }
}

/// The round that can be worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenRound {
    pub round: Round,
    pub seed: Hash,
    pub base: Hash,
    pub inner_steps: u32,
    /// Local clock; absent until somebody joins.
    pub deadline_ms: Option<f64>,
}

impl OpenRound {
    /// Whether work for `other` is work for this one. A coordinator that took the run over opens the round
    /// again under a seed of its own: what the one before received in it is lost with that one.
    pub fn is(&self, other: &Self) -> bool {
        (self.round, self.base, self.seed) == (other.round, other.base, other.seed)
    }
}

/// What the coordinator asks of this tab in a round, if it is not the usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    pub round: Round,
    /// Whose data is trained on: our own, or somebody's whose work is computed again.
    pub data_of: VolunteerId,
    /// Without optimiser state and error feedback.
    pub fresh: bool,
}

/// A request for text.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    pub prompt: String,
    pub tokens: u32,
    pub temperature: f32,
}

/// What the control socket last said.
#[derive(Default)]
pub struct LinkState {
    pub info: Option<Rc<RunInfo>>,
    pub known: Option<Known>,
    pub client: Option<Client>,
    pub open: Option<OpenRound>,
    pub closed: BTreeMap<Round, SignedRecord>,
    pub task: Option<Task>,
    /// The round in which nothing more is taken from us, and why.
    pub barred: Option<(Round, String)>,
    /// What the coordinator answered to the newest commitment, by its packet.
    pub commitment: Option<(Hash, Result<(), ErrorBody>)>,
    /// The coordinator found other weights here than the run's.
    pub resync: bool,
    pub sender: Option<UnboundedSender<ClientFrame>>,
}

/// Shared state of one tab.
pub struct Shared {
    listener: js_sys::Function,
    pub view: RefCell<View>,
    dirty: Cell<bool>,
    pub traffic: Rc<Traffic>,
    pub link: RefCell<LinkState>,
    pub environment: Cell<Environment>,
    pub user_pause: Cell<bool>,
    pub overrides: RefCell<BTreeSet<PauseReason>>,
    pub share: Cell<u8>,
    pub stopping: Cell<bool>,
    /// Whether others' work is scored, too.
    pub validate: Cell<bool>,
    /// Whether nothing else is done.
    pub only_validate: Cell<bool>,
    pub samples: RefCell<VecDeque<SampleRequest>>,
    pub backend: Cell<Option<Backend>>,
    /// Set once, when the session has opened or made it.
    pub identity: OnceCell<Identity>,
    /// Wakes the session.
    pub changed: Signal,
    /// Wakes the link: the network is back.
    pub online: Signal,
}

impl Shared {
    pub fn new(listener: js_sys::Function) -> Self {
        Self {
            listener,
            view: RefCell::default(),
            dirty: Cell::new(true),
            traffic: Rc::default(),
            link: RefCell::default(),
            environment: Cell::default(),
            user_pause: Cell::default(),
            overrides: RefCell::default(),
            share: Cell::new(100),
            stopping: Cell::default(),
            validate: Cell::default(),
            only_validate: Cell::default(),
            samples: RefCell::default(),
            backend: Cell::default(),
            identity: OnceCell::new(),
            changed: Signal::default(),
            online: Signal::default(),
        }
    }

    /// Sends a message to the page.
    pub fn tell(&self, message: &Message) {
        tell(&self.listener, message);
    }

    /// Changes the view; it is shown soon.
    pub fn show(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.view.borrow_mut());
        self.dirty.set(true);
    }

    /// Says where the tab is, in a word and a sentence. Published at once: work may block the worker
    /// for a second after this.
    pub fn enter(&self, state: State, status: impl Into<String>) {
        self.show(|view| {
            view.state = state;
            view.status = status.into();
        });
        self.publish();
    }

    /// Sends the view if it changed since the last time.
    pub fn publish(&self) {
        let (up, down) = (self.traffic.up.get(), self.traffic.down.get());
        {
            let mut view = self.view.borrow_mut();
            if (view.bytes_up, view.bytes_down) != (up, down) {
                (view.bytes_up, view.bytes_down) = (up, down);
                self.dirty.set(true);
            }
        }
        if self.dirty.replace(false) {
            let view = Box::new(self.view.borrow().clone());
            self.tell(&Message::View { view });
        }
    }

    /// Reasons not to work now; shown as a side effect.
    pub fn pauses(&self) -> Vec<PauseView> {
        let overrides = self.overrides.borrow();
        let pauses = pacing::pauses(&self.environment.get(), self.user_pause.get(), &overrides);
        self.show(|view| {
            view.pauses = pauses.clone();
            view.overrides = overrides.iter().copied().collect();
            view.share = self.share.get();
        });
        pauses
    }

    /// Sends a control frame; dropped while there is no connection, since every connection starts
    /// by saying everything again.
    pub fn send(&self, frame: ClientFrame) {
        if let Some(sender) = &self.link.borrow().sender
            && let Err(error) = sender.unbounded_send(frame)
        {
            log::warn!("a frame was not sent: {error}");
        }
    }

    /// Why this tab may not contribute to a round, in the coordinator's words.
    pub fn barred(&self, round: Round) -> Option<String> {
        let link = self.link.borrow();
        let barred = link.barred.as_ref().filter(|(at, _)| *at == round);
        barred.map(|(_, message)| message.clone())
    }

    pub fn open_round(&self) -> Option<OpenRound> {
        self.link.borrow().open
    }
}
