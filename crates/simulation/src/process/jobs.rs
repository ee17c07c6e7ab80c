//! What takes time: a job writes, a while later the write is durable, and only then is the machine told. A
//! job of a process that died in between is void.

use std::rc::Rc;

use covey_protocol::{
    Hash, Round,
    record::{Commitment, RoundRecord},
};
use covey_rounds::{Acceptance, Event, Phase, Pledge};
use covey_scoring::Book;

use super::{Process, assessment::Closed, decoded};
use crate::{
    Deed, Sabotage, Stop,
    disk::{Checkpoint, Row, Update},
    settings::{ASSESS_MS, most_merged},
    task::Content,
    world::{self, Packet, World},
};

/// The next step of something that takes time.
pub enum Job {
    Pledge(Pledge),
    Pledged(Pledge),
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

impl Process {
    pub(super) fn job(&self, world: &mut World, typical_ms: u64, job: Job) {
        let delay = world.dice.delay(typical_ms);
        let life = self.life;
        world.after(delay, world::Event::Job { life, job });
    }

    /// A job's step is done.
    pub fn worked(&mut self, world: &mut World, job: Job) -> Result<(), Stop> {
        match job {
            Job::Pledge(pledge) => {
                if world.write_fails() {
                    world.oracle.hindered();
                    let Commitment {
                        volunteer, packet, ..
                    } = pledge.commitment;
                    return self.step(world, Event::PledgeFailed { volunteer, packet });
                }
                world.disk.journal.append(Row::Pledge(pledge));
                self.job(world, 5, Job::Pledged(pledge));
                Ok(())
            }
            Job::Pledged(pledge) => {
                let Commitment {
                    volunteer, packet, ..
                } = pledge.commitment;
                world.effect(Deed::PledgeWritten, pledge.round.0, Some(&packet))?;
                world.disk.sync_journal();
                world.effect(Deed::PledgeSynced, pledge.round.0, Some(&packet))?;
                self.step(world, Event::Pledged { volunteer, packet })
            }
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
                let (round, packet) = (acceptance.round.0, acceptance.packet);
                world.effect(Deed::PacketWritten, round, Some(&packet))?;
                world.disk.sync_journal();
                world.effect(Deed::PacketSynced, round, Some(&packet))?;
                self.worked_stored(world, acceptance)
            }
            Job::Check(task) => {
                let round = task.round;
                world.effect(Deed::Checked, round.0, None)?;
                let (excluded, replicas, _) = self.assess(world, &task, None);
                // Now and then it takes longer than anybody waits, or fails.
                let slow = world.dice.one_in(80);
                let typical = if slow { 2 * ASSESS_MS } else { 1_000 };
                self.job(world, typical, Job::Assess(task));
                self.step(
                    world,
                    Event::Checked {
                        round,
                        excluded,
                        replicas,
                    },
                )
            }
            Job::Assess(task) => {
                let round = task.round;
                world.effect(Deed::Assessed, round.0, None)?;
                if !world.calm && world.dice.one_in(80) {
                    return self.step(world, Event::AssessFailed { round });
                }
                let waiting = matches!(self.machine.phase(), Phase::Assessing { .. });
                let book = Book::clone(&self.book);
                let (excluded, replicas, book) = self.assess(world, &task, Some(book));
                if waiting && round == self.machine.round() {
                    self.judged = book.map(Rc::new);
                }
                self.step(
                    world,
                    Event::Assessed {
                        round,
                        excluded,
                        replicas,
                    },
                )
            }
            Job::Merge(round, packets) => self.merge(world, round, &packets),
            Job::Merged(round, update, update_len, theta) => {
                let theta_after = Hash::of_weights(&theta);
                world.effect(Deed::UpdateWritten, round.0, Some(&update))?;
                world.disk.updates.sync();
                world.effect(Deed::UpdateSynced, round.0, Some(&theta_after))?;
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
                world.effect(Deed::RecordWritten, round.0, None)?;
                world.disk.sync_journal();
                world.effect(Deed::RecordSynced, round.0, None)?;
                world.oracle.records(&world.disk, most_merged())?;
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
                world.effect(Deed::CheckpointWritten, 0, None)?;
                world.disk.checkpoints.sync();
                world.effect(Deed::CheckpointSynced, 0, None)
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

    fn payload(&mut self, world: &World, packet: &Packet) -> Rc<[u8]> {
        if let Content::Same(other) = packet.content
            && let Some((_, payload)) = world.disk.packet(&other)
        {
            return Rc::clone(payload);
        }
        let worker = packet.worker as u64;
        let lesson = self.lesson(world, packet.round);
        world.task.payload(packet.content, worker, &lesson).into()
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
}
