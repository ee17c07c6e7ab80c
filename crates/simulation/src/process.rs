//! The coordinator's process: the real rounds, book and ledger between a model network and a model disk.
//!
//! It does with effects what the server does, in the same order: a job writes, the write becomes durable,
//! and only then is the machine told. Every effect is a place where the process may die; what is in memory
//! is then gone, and [`Process::start`] goes on from the disk alone. Here is what comes in from outside;
//! `effects` is what the machine answers, `jobs` what takes time, `assessment` the scoring.

mod assessment;
mod effects;
mod jobs;
mod start;

use std::{collections::BTreeMap, rc::Rc};

use covey_compression::SparseUpdate;
use covey_protocol::{Round, SignatureBytes, record::Commitment, socket::Backend};
use covey_rounds::{Effect, Event, Phase, RoundsMachine, Submission, Ticket};
use covey_scoring::Book;

pub use jobs::Job;

use crate::{
    RUN, Stop,
    keeper::Keeper,
    settings::round_bound_ms,
    task::Lesson,
    volunteer::id,
    world::{self, Packet, Peer, Request, World},
};

const INNER_STEPS: u32 = 20;
/// A session that says nothing is over after this.
const SILENCE_MS: u64 = 90_000;

pub struct Process {
    life: u64,
    machine: RoundsMachine,
    book: Rc<Book>,
    /// The book after the round that is being merged or recorded.
    judged: Option<Rc<Book>>,
    theta: Rc<Vec<f32>>,
    merged: Option<Rc<Vec<f32>>>,
    /// What is to be learnt from `theta`, once somebody asked.
    lesson: Option<Rc<Lesson>>,
    uploads: BTreeMap<Ticket, (Peer, Packet)>,
    next_ticket: u64,
    sessions: BTreeMap<usize, u64>,
    /// Who works on somebody else's data, and in which round.
    tasks: BTreeMap<usize, (Round, usize)>,
    /// What its clock shows beyond the true time.
    skew_ms: i64,
    wake_at: Option<u64>,
    pub keeper: Keeper,
}

impl Process {
    fn now(&self, world: &World) -> u64 {
        world.now.saturating_add_signed(self.skew_ms)
    }

    pub fn round(&self) -> Round {
        self.machine.round()
    }

    pub fn theta(&self) -> &[f32] {
        &self.theta
    }

    fn lesson(&mut self, world: &World, round: Round) -> Rc<Lesson> {
        let known = self.lesson.take();
        let known = known.filter(|lesson| lesson.is_of(&self.theta, round));
        let lesson = known.unwrap_or_else(|| Rc::new(world.task.lesson(&self.theta, round)));
        self.lesson = Some(Rc::clone(&lesson));
        lesson
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    pub fn arrives(&mut self, world: &mut World, from: Peer, request: Request) -> Result<(), Stop> {
        let (who, request) = match (from, request) {
            (from, Request::Act { id, action }) => {
                self.keeper.ask(from, id, action);
                return self.keeper_turn(world);
            }
            (Peer::Volunteer(who), Request::Submit(packet)) => {
                return self.submit(world, who, packet);
            }
            (Peer::Volunteer(who), Request::Hello { session }) => {
                return self.hello(world, who, session);
            }
            (Peer::Volunteer(who), Request::Bye { session }) => {
                return self.gone(world, who, session);
            }
            (Peer::Volunteer(who), request) if self.sessions.contains_key(&who) => (who, request),
            _ => return Ok(()),
        };
        let volunteer = id(who);
        let event = match request {
            Request::Join { round } => Event::Join { volunteer, round },
            Request::Leave => Event::Leave { volunteer },
            Request::Commit(packet) => Event::Commit {
                round: packet.round,
                commitment: Commitment {
                    volunteer,
                    packet: packet.hash,
                    // Checked at the door.
                    signature: SignatureBytes([0; 64]),
                },
            },
            Request::Applied { round, theta } => Event::Applied {
                volunteer,
                round,
                theta,
            },
            _ => return Ok(()),
        };
        self.step(world, event)
    }

    fn hello(&mut self, world: &mut World, who: usize, session: u64) -> Result<(), Stop> {
        // A hello that was overtaken by a later one is a connection that is closed already.
        let newest = self.sessions.get(&who).is_none_or(|known| *known < session);
        if !newest {
            return Ok(());
        }
        self.sessions.insert(who, session);
        let life = self.life;
        world.after(SILENCE_MS, world::Event::Silence { life, who, session });
        let event = Event::Connected {
            volunteer: id(who),
            backend: Backend::Flex,
            accepted: 0,
        };
        self.step(world, event)
    }

    /// A session ended; a newer one of the same volunteer goes on.
    pub fn gone(&mut self, world: &mut World, who: usize, session: u64) -> Result<(), Stop> {
        if self.sessions.get(&who) != Some(&session) {
            return Ok(());
        }
        self.sessions.remove(&who);
        let volunteer = id(who);
        self.step(world, Event::Disconnected { volunteer })
    }

    fn submit(&mut self, world: &mut World, who: usize, packet: Packet) -> Result<(), Stop> {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.uploads.insert(ticket, (Peer::Volunteer(who), packet));
        let submission = Submission {
            ticket,
            run: RUN,
            volunteer: id(packet.sender),
            round: packet.round,
            base: packet.base,
            packet: packet.hash,
            inner_steps: INNER_STEPS,
            tokens: 100,
            partner: None,
        };
        self.step(world, Event::Submitted(submission))
    }

    fn step(&mut self, world: &mut World, event: Event) -> Result<(), Stop> {
        let effects = self.machine.step(event, self.now(world));
        self.carry_out(world, effects)
    }

    /// The machine asked to be woken at some time, which has come or was put off.
    pub fn wake(&mut self, world: &mut World) -> Result<(), Stop> {
        self.wake_at = None;
        let due = self.machine.next_wake_ms();
        if due.is_some_and(|due| due <= self.now(world)) {
            return self.step(world, Event::Tick);
        }
        self.sleep(world);
        Ok(())
    }

    fn sleep(&mut self, world: &mut World) {
        let Some(due) = self.machine.next_wake_ms() else {
            return;
        };
        let at = due.saturating_add_signed(-self.skew_ms).max(world.now);
        if self.wake_at.is_none_or(|wake| at < wake) {
            self.wake_at = Some(at);
            let life = self.life;
            world.after(at - world.now, world::Event::Wake { life });
        }
    }

    fn carry_out(&mut self, world: &mut World, effects: Vec<Effect>) -> Result<(), Stop> {
        for effect in effects {
            self.effect(world, effect)?;
        }
        self.sleep(world);
        let idle = *self.machine.phase() == Phase::Idle;
        let round = self.machine.round().0;
        world
            .oracle
            .progress(idle, round, world.now, round_bound_ms())
    }

    pub fn keeper_turn(&mut self, world: &mut World) -> Result<(), Stop> {
        let now = self.now(world);
        if self.keeper.turn(world, &self.book, now)? {
            self.job(world, 10, Job::Ledger);
        }
        Ok(())
    }
}

fn decoded(world: &World, payloads: &[Rc<[u8]>]) -> Vec<SparseUpdate> {
    payloads
        .iter()
        .map(|payload| world.task.decode(payload))
        .collect()
}
