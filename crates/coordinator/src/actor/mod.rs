//! The one task that owns the rounds.
//!
//! Gateways send it [`Command`]s through a bounded channel. Each becomes an event of the state machine;
//! the machine's effects become frames for sessions, answers to uploads, or jobs for disk and processor,
//! whose outcomes come back as events. The actor itself never blocks and never awaits anything but its
//! next message, so one slow disk or socket cannot stop it.

mod assess;
mod commands;
mod effects;
mod jobs;
pub mod sessions;
mod stopping;

pub use assess::Assessing;
pub(crate) use jobs::keep_checkpoint;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use covey_protocol::{
    Hash, Identity, Round, VolunteerId,
    handover::SignedHandover,
    http::{ErrorBody, HeldOut, RunInfo, Scores},
    record::{Checkpoint, Receipt, SignedRecord},
    socket::{Backend, ClientFrame, Presence},
};
use covey_rounds::{Effect, Event, Phase, RoundsMachine, Submission, Ticket};
use covey_scoring::Book;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use self::{
    jobs::{Jobs, Outcome},
    sessions::{Outbox, SessionId, Sessions},
};
use crate::{
    clock::Clock,
    engine::{Engine, Weights},
    evaluation::Newest,
    history,
    metrics::Metrics,
    storage::{Blobs, Journal},
};

/// Commands that may wait for the actor; gateways wait when there are more.
const COMMANDS: usize = 1024;

/// The answer to an upload.
pub type Answer = Result<Receipt, ErrorBody>;

/// What gateways ask of the actor.
pub enum Command {
    /// A volunteer proved its identity.
    Connect {
        volunteer: VolunteerId,
        session: SessionId,
        backend: Backend,
        /// Its accepted packets so far.
        accepted: u64,
        outbox: Outbox,
    },
    Disconnect {
        volunteer: VolunteerId,
        session: SessionId,
    },
    Frame {
        volunteer: VolunteerId,
        session: SessionId,
        frame: ClientFrame,
    },
    /// A packet that passed [`Engine::inspect`]. The ticket is the actor's to fill in.
    Submit {
        submission: Submission,
        sealed: Bytes,
        answer: oneshot::Sender<Answer>,
    },
    /// A blob of the run was altered on disk.
    Altered(Hash),
    Inspect(oneshot::Sender<Inspection>),
    /// Say goodbye to everyone, finish what is under way, and end.
    Stop(oneshot::Sender<()>),
}

/// The run as the operator sees it.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub round: Round,
    pub phase: &'static str,
    /// Milliseconds to the deadline, while packets are collected.
    pub remaining_ms: Option<u64>,
    pub volunteers: usize,
    pub joined: usize,
    pub contributions: usize,
    /// Rounds recorded in the last hour.
    pub rounds_last_hour: usize,
    pub presence: Vec<Presence>,
    pub uptime: Duration,
}

/// What anyone may read without asking the actor.
pub struct Published {
    pub info: ArcSwap<RunInfo>,
    /// The open round and its base weights.
    pub weights: ArcSwap<(Round, Weights)>,
    /// What everyone's work was worth, as of the last record.
    pub scores: ArcSwap<Scores>,
}

impl Published {
    /// Share of the incentive of everyone in the book, the largest being 65535, ascending by volunteer:
    /// what an epoch's weights are made of.
    #[must_use]
    pub fn incentive(&self) -> Vec<(VolunteerId, u16)> {
        let scores = self.scores.load();
        let mut weights: Vec<(VolunteerId, u16)> = scores
            .volunteers
            .iter()
            .map(|score| (score.volunteer, score.weight))
            .collect();
        weights.sort();
        weights
    }
}

/// What the actor starts from; see [`startup`](crate::startup).
pub struct Initial {
    pub engine: Engine,
    pub identity: Identity,
    pub machine: RoundsMachine,
    pub effects: Vec<Effect>,
    pub weights: Weights,
    pub checkpoints: Vec<Checkpoint>,
    pub checkpoints_kept: usize,
    pub held_out: Vec<HeldOut>,
    pub unigram_entropy: f64,
    pub handovers: Vec<SignedHandover>,
    pub clock: Clock,
    pub assessing: Assessing,
    pub book: Book,
}

/// How to reach the actor.
#[derive(Clone)]
pub struct Handle {
    pub commands: mpsc::Sender<Command>,
    pub published: Arc<Published>,
}

struct Upload {
    sealed: Bytes,
    answer: oneshot::Sender<Answer>,
}

struct Coordinator {
    engine: Engine,
    identity: Identity,
    handovers: Vec<SignedHandover>,
    machine: RoundsMachine,
    clock: Clock,
    published: Arc<Published>,
    unigram_entropy: f64,
    sessions: Sessions,
    uploads: HashMap<Ticket, Upload>,
    next_ticket: u64,
    jobs: Jobs,
    metrics: Arc<Metrics>,
    /// Base of the open round.
    weights: Weights,
    /// Weights after the round that is being recorded.
    merged: Option<Weights>,
    recording: Option<Arc<SignedRecord>>,
    assessing: Assessing,
    book: Arc<Book>,
    /// The book after the round that is being merged or recorded.
    judged: Option<Arc<Book>>,
    /// The round that was sent to be assessed and has no verdict yet.
    unassessed: Option<Round>,
    checkpoints: Vec<Checkpoint>,
    checkpoints_kept: usize,
    held_out: Vec<HeldOut>,
    evaluation: Option<Newest>,
    /// The welcome frame, until something in it changes.
    welcome: Option<Utf8Bytes>,
    window_started: Option<Instant>,
    recorded_at: VecDeque<Instant>,
    stopped: Option<oneshot::Sender<()>>,
}

/// Starts the actor. `evaluation` takes the newest weights, and `losses` brings what they were measured
/// at.
pub fn start(
    initial: Initial,
    journal: Arc<dyn Journal>,
    blobs: Arc<dyn Blobs>,
    metrics: Arc<Metrics>,
    evaluation: Option<Newest>,
    losses: mpsc::Receiver<HeldOut>,
) -> (Handle, tokio::task::JoinHandle<()>) {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (jobs, outcomes) = Jobs::new(journal, blobs, Arc::clone(&metrics));
    let Initial {
        engine,
        identity,
        machine,
        effects,
        weights,
        checkpoints,
        checkpoints_kept,
        held_out,
        unigram_entropy,
        clock,
        assessing,
        book,
        handovers,
    } = initial;
    let info = info(
        &engine,
        &identity,
        &handovers,
        &machine,
        &checkpoints,
        &held_out,
        unigram_entropy,
    );
    let published = Arc::new(Published {
        info: ArcSwap::from_pointee(info),
        weights: ArcSwap::from_pointee((machine.round(), Arc::clone(&weights))),
        scores: ArcSwap::from_pointee(assess::scores(
            &book,
            assessing.assessment.rules(),
            machine.round(),
        )),
    });
    let mut coordinator = Coordinator {
        engine,
        identity,
        handovers,
        machine,
        clock,
        published: Arc::clone(&published),
        unigram_entropy,
        sessions: Sessions::default(),
        uploads: HashMap::new(),
        next_ticket: 0,
        jobs,
        metrics,
        weights,
        merged: None,
        recording: None,
        assessing,
        book: Arc::new(book),
        judged: None,
        unassessed: None,
        checkpoints,
        checkpoints_kept,
        held_out,
        evaluation,
        welcome: None,
        window_started: None,
        recorded_at: VecDeque::new(),
        stopped: None,
    };
    coordinator.evaluate_unless_known();
    let task = tokio::spawn(async move {
        coordinator.carry_out(effects);
        coordinator.run(inbox, outcomes, losses).await;
    });
    let handle = Handle {
        commands,
        published,
    };
    (handle, task)
}

fn info(
    engine: &Engine,
    identity: &Identity,
    handovers: &[SignedHandover],
    machine: &RoundsMachine,
    checkpoints: &[Checkpoint],
    held_out: &[HeldOut],
    unigram_entropy: f64,
) -> RunInfo {
    // Startup makes a checkpoint before it makes an actor.
    let newest = checkpoints.last().copied().unwrap_or(Checkpoint {
        round: machine.round(),
        theta: machine.base(),
        len: 0,
    });
    RunInfo {
        protocol: covey_protocol::PROTOCOL,
        run: engine.run(),
        spec: (**engine.spec()).clone(),
        coordinator: identity.id(),
        handovers: handovers.to_vec(),
        mirror: None,
        round: machine.round(),
        base: machine.base(),
        checkpoint: newest,
        held_out: history::thin(held_out),
        unigram_entropy,
    }
}

impl Coordinator {
    async fn run(
        &mut self,
        mut inbox: mpsc::Receiver<Command>,
        mut outcomes: mpsc::Receiver<Outcome>,
        mut losses: mpsc::Receiver<HeldOut>,
    ) {
        let mut measuring = self.evaluation.is_some();
        loop {
            if self.stopped.is_some() && self.jobs.open() == 0 {
                break;
            }
            let wake = self.machine.next_wake_ms();
            let timer = async {
                match wake {
                    Some(at) => sleep_until(self.clock.instant_of(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            // Outcomes first: they free places and answer uploads.
            tokio::select! {
                biased;
                Some(outcome) = outcomes.recv() => self.outcome(outcome),
                loss = losses.recv(), if measuring => match loss {
                    Some(held_out) => self.measured(held_out),
                    None => measuring = false,
                },
                command = inbox.recv() => match command {
                    Some(command) => self.command(command),
                    // Every gateway is gone without a word.
                    None => break,
                },
                () = timer => self.step(Event::Tick),
            }
        }
        if let Some(stopped) = self.stopped.take() {
            // Whoever asked may have run out of patience.
            let _ = stopped.send(());
        }
    }

    fn step(&mut self, event: Event) {
        let effects = self.machine.step(event, self.clock.now_ms());
        self.carry_out(effects);
        // Frames may have filled queues; those volunteers are gone, which may have effects again.
        let mut dropped = self.sessions.take_dropped();
        while let Some(volunteer) = dropped.pop() {
            self.metrics.slow_sockets.inc();
            let event = Event::Disconnected { volunteer };
            let effects = self.machine.step(event, self.clock.now_ms());
            self.carry_out(effects);
            dropped.extend(self.sessions.take_dropped());
        }
        self.gauge();
    }

    fn gauge(&mut self) {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics
            .round
            .set(i64::try_from(self.machine.round().0).unwrap_or(i64::MAX));
        self.metrics
            .contributions
            .set(gauge(self.machine.contributions()));
        self.metrics.sockets.set(gauge(self.sessions.len()));
        if self.window_started.is_none() && *self.machine.phase() != Phase::Idle {
            self.window_started = Some(Instant::now());
        }
    }

    fn publish(&mut self) {
        self.welcome = None;
        self.published.info.store(Arc::new(info(
            &self.engine,
            &self.identity,
            &self.handovers,
            &self.machine,
            &self.checkpoints,
            &self.held_out,
            self.unigram_entropy,
        )));
    }
}
