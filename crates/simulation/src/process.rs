//! The coordinator's process: the real rounds, book and ledger between a model network and a model disk.
//!
//! It does with effects what the server does, in the same order: a job writes, the write becomes durable,
//! and only then is the machine told. Every effect is a place where the process may die; what is in memory
//! is then gone, and [`Process::start`] goes on from the disk alone. A new effect of the machine needs an
//! arm in [`Process::effect`], and a job if it takes time.

use std::{collections::BTreeMap, rc::Rc};

use covey_compression::SparseUpdate;
use covey_protocol::{
    Hash, Round, VolunteerId,
    record::{Exclusion, RoundRecord},
    run::RoundSpec,
    socket::Backend,
};
use covey_rounds::{
    Acceptance, Assessing, Audience, Effect, Event, Phase, RoundsMachine, Settings, Snapshot,
    Submission, Ticket,
};
use covey_scoring::{Book, Checks, Delivered, Evidence, Rules, Submitted, Work};

use crate::{
    RUN, Sabotage, Stop,
    disk::{Checkpoint, Row, Update},
    keeper::Keeper,
    oracle::hold,
    task::{Content, Task},
    volunteer::{id, number_of},
    world::{self, Packet, Peer, Reply, Request, World},
};

/// Packets admitted beyond what is merged, as the server has it.
const RESERVE: u32 = 10;
const ASSESS_MS: u64 = 30_000;
const INNER_STEPS: u32 = 20;
/// Time for the jobs of a round that nothing hinders, beyond the machine's own limits.
const JOBS_MS: u64 = 60_000;
/// A session that says nothing is over after this.
const SILENCE_MS: u64 = 90_000;

pub fn round_spec() -> RoundSpec {
    RoundSpec {
        max_contributions: 20,
        ..RoundSpec::default()
    }
}

pub fn rules() -> Rules {
    Rules {
        gather: round_spec().max_contributions as usize,
        ..Rules::default()
    }
}

fn settings() -> Settings {
    Settings {
        run: RUN,
        rounds: round_spec(),
        seed_key: [7; 32],
        max_members: 4096,
        assessing: Some(Assessing {
            bound_ms: ASSESS_MS,
            reserve: RESERVE,
        }),
    }
}

/// A round to be assessed.
pub struct Closed {
    round: Round,
    probe: Hash,
    packets: Vec<Acceptance>,
    missing: Vec<VolunteerId>,
}

/// The next step of something that takes time.
pub enum Job {
    Store(Packet, Acceptance),
    Stored(Acceptance),
    Check(Rc<Closed>),
    Assess(Rc<Closed>),
    Merge(Round, Vec<Acceptance>),
    Merged(Round, Hash, u64, Rc<Vec<f32>>),
    Record(Box<RoundRecord>),
    Recorded(Round),
    Checkpoint(Round, Rc<Vec<f32>>),
    Checkpointed,
    /// The ledger's batch is on disk.
    Ledger,
}

pub struct Process {
    life: u64,
    machine: RoundsMachine,
    book: Rc<Book>,
    /// The book after the round that is being merged or recorded.
    judged: Option<Rc<Book>>,
    theta: Rc<Vec<f32>>,
    merged: Option<Rc<Vec<f32>>>,
    uploads: BTreeMap<Ticket, (Peer, Packet)>,
    next_ticket: u64,
    sessions: BTreeMap<usize, u64>,
    /// What its clock shows beyond the true time.
    skew_ms: i64,
    wake_at: Option<u64>,
    pub keeper: Keeper,
}

impl Process {
    /// Starts from what is on disk, as the server does.
    ///
    /// # Errors
    /// [`Stop::Broken`] when the disk does not hold what was promised.
    pub fn start(world: &mut World, life: u64) -> Result<Self, Stop> {
        let rounds = world.disk.rounds();
        world.oracle.records(&world.disk, max())?;
        let round = Round(rounds);
        let (checkpoint, mut theta) = match world.disk.checkpoints.durable().last() {
            Some(checkpoint) => (checkpoint.round, checkpoint.theta.to_vec()),
            None => (Round(0), Task::start()),
        };
        for number in checkpoint.0..rounds {
            let Some(record) = world.disk.record(Round(number)) else {
                continue;
            };
            if let Some(name) = record.update {
                let update = world.disk.update(&name);
                hold!(
                    update.is_some(),
                    "the update of round {number} is not on disk"
                );
                let payloads = update.map_or(&[][..], |update| &update.payloads);
                theta = world.task.merge(&theta, &decoded(world, payloads));
            }
            let reached = Hash::of_weights(&theta);
            hold!(
                reached == record.theta_after,
                "replaying round {number} gives other weights"
            );
        }
        let last = rounds
            .checked_sub(1)
            .and_then(|last| world.disk.record(Round(last)));
        let remembered = |acceptance: &&Acceptance| acceptance.round.0 + 16 >= rounds;
        let mut known: Vec<Acceptance> = world
            .disk
            .acceptances()
            .take_while(remembered)
            .copied()
            .collect();
        known.sort_by_key(|acceptance| (acceptance.round, acceptance.volunteer));
        let (packets, receipts) = known.into_iter().partition(|a| a.round == round);
        let first = rounds.saturating_sub(256);
        let history = (first..rounds).filter_map(|number| world.disk.record(Round(number)));
        let snapshot = Snapshot {
            round,
            base: Hash::of_weights(&theta),
            previous: last.map(RoundRecord::hash),
            packets,
            receipts,
            history: history
                .map(|record| (record.round, record.theta_after))
                .collect(),
        };
        world.oracle.recovered(&snapshot.packets)?;
        world.oracle.hindered();
        let book = world.disk.book().cloned().unwrap_or_default();
        let skew = world.faults.skew_ms;
        let skew_ms = world.dice.below(2 * skew + 1) as i64 - skew as i64;
        let now = world.now.saturating_add_signed(skew_ms);
        let (machine, effects) = RoundsMachine::recover(settings(), snapshot, now);
        let mut process = Self {
            life,
            machine,
            book,
            judged: None,
            theta: Rc::new(theta),
            merged: None,
            uploads: BTreeMap::new(),
            next_ticket: 0,
            sessions: BTreeMap::new(),
            skew_ms,
            wake_at: None,
            keeper: Keeper::open(world, life)?,
        };
        process.carry_out(world, effects)?;
        process.keeper_turn(world)?;
        Ok(process)
    }

    fn now(&self, world: &World) -> u64 {
        world.now.saturating_add_signed(self.skew_ms)
    }

    pub fn round(&self) -> Round {
        self.machine.round()
    }

    pub fn theta(&self) -> &[f32] {
        &self.theta
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
        let spec = round_spec();
        let bound = spec.window_ms + spec.grace_ms + ASSESS_MS + JOBS_MS;
        let round = self.machine.round().0;
        world.oracle.progress(idle, round, world.now, bound)
    }

    fn effect(&mut self, world: &mut World, effect: Effect) -> Result<(), Stop> {
        match effect {
            Effect::Store { ticket, acceptance } => {
                world.effect(1, acceptance.round.0, Some(&acceptance.packet))?;
                if let Some((_, packet)) = self.uploads.get(&ticket) {
                    let job = Job::Store(*packet, acceptance);
                    self.job(world, 10, job);
                }
            }
            Effect::Receipt {
                tickets,
                acceptance,
            } => {
                world.effect(2, acceptance.round.0, Some(&acceptance.packet))?;
                world.oracle.acknowledged(&acceptance, &world.disk)?;
                let packet = acceptance.packet;
                for ticket in tickets {
                    self.answer(world, ticket, Reply::Receipt { packet });
                }
            }
            Effect::Reject { ticket, code, .. } => {
                world.effect(3, ticket.0, None)?;
                if let Some((_, packet)) = self.uploads.get(&ticket) {
                    let packet = packet.hash;
                    self.answer(world, ticket, Reply::Rejected { packet, code });
                }
            }
            Effect::Assess {
                round,
                probe,
                base,
                packets,
                missing,
                ..
            } => {
                world.effect(4, round.0, Some(&base))?;
                self.judged = None;
                let task = Rc::new(Closed {
                    round,
                    probe,
                    packets,
                    missing,
                });
                self.job(world, 300, Job::Check(task));
            }
            Effect::Merge {
                round,
                base,
                packets,
            } => {
                world.effect(5, round.0, Some(&base))?;
                self.job(world, 200, Job::Merge(round, packets));
            }
            Effect::Record(record) => {
                world.effect(6, record.round.0, Some(&record.hash()))?;
                self.job(world, 10, Job::Record(Box::new(record)));
            }
            Effect::Closed { round } => {
                world.effect(7, round.0, None)?;
                self.closed(world, round)?;
            }
            Effect::Opened {
                to,
                round,
                base,
                remaining_ms,
                ..
            } => {
                world.effect(8, round.0, Some(&base))?;
                let reply = Reply::Opened {
                    round,
                    base,
                    remaining_ms,
                };
                match to {
                    Audience::Everyone => self.tell_all(world, &reply),
                    Audience::One(volunteer) => {
                        world.reply(Peer::Volunteer(number_of(&volunteer)), reply);
                    }
                }
            }
            Effect::Checkpoint { round, theta } => {
                world.effect(9, round.0, Some(&theta))?;
                self.job(world, 100, Job::Checkpoint(round, Rc::clone(&self.theta)));
            }
            Effect::Resync { volunteer } => {
                world.effect(10, number_of(&volunteer) as u64, None)?;
                world.reply(Peer::Volunteer(number_of(&volunteer)), Reply::Resync);
            }
            Effect::Refuse { volunteer, .. } => {
                world.effect(11, number_of(&volunteer) as u64, None)?;
                world.reply(Peer::Volunteer(number_of(&volunteer)), Reply::Refused);
            }
            // A list for people to look at: nothing depends on it.
            Effect::Presence { total, .. } => world.effect(12, total.into(), None)?,
        }
        Ok(())
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, reply: Reply) {
        if let Some((to, _)) = self.uploads.remove(&ticket) {
            world.reply(to, reply);
        }
    }

    fn tell_all(&self, world: &mut World, reply: &Reply) {
        for who in self.sessions.keys() {
            world.reply(Peer::Volunteer(*who), reply.clone());
        }
    }

    /// The record is durable: its weights and its book are the run's.
    fn closed(&mut self, world: &mut World, round: Round) -> Result<(), Stop> {
        if let Some(theta) = self.merged.take() {
            self.theta = theta;
        }
        if let Some(book) = self.judged.take() {
            self.book = book;
        }
        let theta = Hash::of_weights(&self.theta);
        hold!(
            theta == self.machine.base(),
            "round {round} closed with other weights than it says"
        );
        let merged: Rc<[Hash]> = world.disk.record(round).map_or(Rc::from([]), |record| {
            record.contributions.iter().map(|c| c.packet).collect()
        });
        let reply = Reply::Closed {
            round,
            theta,
            merged,
        };
        self.tell_all(world, &reply);
        Ok(())
    }

    fn job(&self, world: &mut World, typical_ms: u64, job: Job) {
        let delay = world.dice.delay(typical_ms);
        let life = self.life;
        world.after(delay, world::Event::Job { life, job });
    }

    /// A job's step is done.
    pub fn worked(&mut self, world: &mut World, job: Job) -> Result<(), Stop> {
        match job {
            Job::Store(packet, acceptance) => {
                if world.write_fails() {
                    world.oracle.hindered();
                    let (volunteer, packet) = (acceptance.volunteer, acceptance.packet);
                    return self.step(world, Event::StoreFailed { volunteer, packet });
                }
                let payload = self.payload(world, &packet);
                world.disk.journal.append(Row::Packet {
                    acceptance,
                    payload,
                });
                if world.sabotage == Some(Sabotage::ReceiptBeforeDisk) {
                    return self.worked_stored(world, acceptance);
                }
                self.job(world, 5, Job::Stored(acceptance));
                Ok(())
            }
            Job::Stored(acceptance) => {
                world.disk.sync_journal();
                self.worked_stored(world, acceptance)
            }
            Job::Check(task) => {
                let round = task.round;
                let (excluded, _) = self.assess(world, &task, None);
                // Now and then it takes longer than anybody waits, or fails.
                let slow = world.dice.one_in(80);
                let typical = if slow { 2 * ASSESS_MS } else { 1_000 };
                self.job(world, typical, Job::Assess(task));
                self.step(world, Event::Checked { round, excluded })
            }
            Job::Assess(task) => {
                let round = task.round;
                if !world.calm && world.dice.one_in(80) {
                    return self.step(world, Event::AssessFailed { round });
                }
                let waiting = matches!(self.machine.phase(), Phase::Assessing { .. });
                let book = Book::clone(&self.book);
                let (excluded, book) = self.assess(world, &task, Some(book));
                if waiting && round == self.machine.round() {
                    self.judged = book.map(Rc::new);
                }
                self.step(world, Event::Assessed { round, excluded })
            }
            Job::Merge(round, packets) => self.merge(world, round, &packets),
            Job::Merged(round, update, update_len, theta) => {
                world.disk.updates.sync();
                let theta_after = Hash::of_weights(&theta);
                if round == self.machine.round() {
                    self.merged = Some(theta);
                }
                self.step(
                    world,
                    Event::Merged {
                        round,
                        theta_after,
                        update,
                        update_len,
                    },
                )
            }
            Job::Record(record) => {
                let round = record.round;
                if world.write_fails() {
                    world.oracle.hindered();
                    return self.step(world, Event::RecordFailed { round });
                }
                let book = self.judged.clone();
                world.disk.journal.append(Row::Record { record, book });
                self.job(world, 10, Job::Recorded(round));
                Ok(())
            }
            Job::Recorded(round) => {
                world.disk.sync_journal();
                world.oracle.records(&world.disk, max())?;
                self.step(world, Event::Recorded { round })
            }
            Job::Checkpoint(round, theta) => {
                if !world.write_fails() {
                    world.disk.checkpoints.append(Checkpoint { round, theta });
                    self.job(world, 50, Job::Checkpointed);
                }
                Ok(())
            }
            Job::Checkpointed => {
                world.disk.checkpoints.sync();
                Ok(())
            }
            Job::Ledger => {
                self.keeper.written(world)?;
                self.keeper_turn(world)
            }
        }
    }

    fn worked_stored(&mut self, world: &mut World, acceptance: Acceptance) -> Result<(), Stop> {
        let (volunteer, packet) = (acceptance.volunteer, acceptance.packet);
        self.step(world, Event::Stored { volunteer, packet })
    }

    fn payload(&self, world: &World, packet: &Packet) -> Rc<[u8]> {
        if let Content::Same(other) = packet.content
            && let Some((_, payload)) = world.disk.packet(&other)
        {
            return Rc::clone(payload);
        }
        let worker = packet.sender as u64;
        let task = &world.task;
        task.payload(packet.content, worker, &self.theta, packet.round)
            .into()
    }

    fn merge(
        &mut self,
        world: &mut World,
        round: Round,
        packets: &[Acceptance],
    ) -> Result<(), Stop> {
        if world.write_fails() {
            world.oracle.hindered();
            return self.step(world, Event::MergeFailed { round });
        }
        let kept = packets
            .iter()
            .map(|acceptance| world.disk.packet(&acceptance.packet));
        let payloads: Option<Vec<Rc<[u8]>>> = kept.map(|kept| Some(Rc::clone(kept?.1))).collect();
        let Some(payloads) = payloads else {
            return Err(Stop::Broken(format!(
                "round {round} merges a packet that is not on disk"
            )));
        };
        let theta = world.task.merge(&self.theta, &decoded(world, &payloads));
        let bytes = payloads.concat();
        // The round is part of the name: the same packets never make two updates.
        let name = Hash::of(&[bytes.as_slice(), &round.0.to_le_bytes()].concat());
        world.disk.updates.append(Update { name, payloads });
        let len = bytes.len() as u64;
        self.job(world, 50, Job::Merged(round, name, len, Rc::new(theta)));
        Ok(())
    }

    /// The real checks on a round's packets and, with a book to take it all in, their losses.
    fn assess(
        &self,
        world: &World,
        task: &Closed,
        mut book: Option<Book>,
    ) -> (Vec<Exclusion>, Option<Book>) {
        let round = task.round;
        let received: Vec<(Acceptance, &Rc<[u8]>, SparseUpdate)> = task
            .packets
            .iter()
            .filter_map(|acceptance| {
                let (_, payload) = world.disk.packet(&acceptance.packet)?;
                Some((*acceptance, payload, world.task.decode(payload)))
            })
            .collect();
        let submitted: Vec<Submitted<'_>> = received
            .iter()
            .map(|(acceptance, _, update)| Submitted {
                volunteer: acceptance.volunteer,
                received_at_ms: acceptance.received_at_ms,
                update,
            })
            .collect();
        let before = round
            .0
            .checked_sub(1)
            .and_then(|last| world.disk.record(Round(last)));
        let before = before.and_then(|record| world.disk.update(&record.update?));
        let last_round = before.map_or(Vec::new(), |update| decoded(world, &update.payloads));
        let findings = Checks::default().judge(round.0, &submitted, &last_round);
        let mut evidence: Vec<Evidence> = task
            .missing
            .iter()
            .map(|volunteer| Evidence {
                volunteer: *volunteer,
                work: Work::Missing,
            })
            .collect();
        let mut out = BTreeMap::new();
        for ((acceptance, payload, update), finding) in received.iter().zip(findings) {
            let volunteer = acceptance.volunteer;
            let payload = Hash::of(payload);
            let screened = self.book.screen(round, &volunteer, &payload, &finding);
            if let Some(reason) = screened {
                out.insert(volunteer, reason);
            }
            let worker = number_of(&volunteer) as u64;
            let measure = || {
                let theta = &self.theta;
                world
                    .task
                    .evaluate(theta, update, worker, round, &task.probe)
            };
            evidence.push(Evidence {
                volunteer,
                work: Work::Delivered(Delivered {
                    payload,
                    claimed: 1.0,
                    finding,
                    evaluation: (book.is_some() && screened.is_none()).then(measure),
                }),
            });
        }
        if let Some(book) = &mut book {
            let verdicts = book.observe(&rules(), round, &evidence);
            out = verdicts.excluded.into_iter().collect();
        }
        let excluded = received.iter().filter_map(|(acceptance, ..)| {
            Some(Exclusion {
                volunteer: acceptance.volunteer,
                packet: acceptance.packet,
                reason: *out.get(&acceptance.volunteer)?,
            })
        });
        (excluded.collect(), book)
    }

    pub fn keeper_turn(&mut self, world: &mut World) -> Result<(), Stop> {
        let now = self.now(world);
        if self.keeper.turn(world, &self.book, now)? {
            self.job(world, 10, Job::Ledger);
        }
        Ok(())
    }
}

fn max() -> usize {
    round_spec().max_contributions as usize
}

fn decoded(world: &World, payloads: &[Rc<[u8]>]) -> Vec<SparseUpdate> {
    payloads
        .iter()
        .map(|payload| world.task.decode(payload))
        .collect()
}
