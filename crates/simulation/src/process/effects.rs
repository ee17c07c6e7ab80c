//! What the process does with each of the machine's effects. Every one is a place where it may die; what
//! takes time becomes a job. A new effect of the machine needs an arm here.

use std::{cell::OnceCell, rc::Rc};

use covey_protocol::{Hash, Round};
use covey_rounds::{Audience, Effect, Ticket};

use super::{Process, assessment::Closed, jobs::Job};
use crate::{
    Deed, Stop,
    oracle::hold,
    volunteer::number_of,
    world::{Peer, Reply, World},
};

impl Process {
    pub(super) fn effect(&mut self, world: &mut World, effect: Effect) -> Result<(), Stop> {
        match effect {
            Effect::Pledge(pledge) => {
                world.effect(
                    Deed::Pledge,
                    pledge.order.into(),
                    Some(&pledge.commitment.packet),
                )?;
                self.job(world, 5, Job::Pledge(pledge));
            }
            Effect::Committed {
                volunteer,
                round,
                packet,
            } => {
                world.effect(Deed::Committed, round.0, Some(&packet))?;
                world.oracle.committed(packet, round, &world.disk)?;
                let to = Peer::Volunteer(number_of(&volunteer));
                world.reply(to, Reply::Committed { packet });
            }
            Effect::NotCommitted {
                volunteer,
                round,
                packet,
                code,
                ..
            } => {
                world.effect(Deed::NotCommitted, round.0, Some(&packet))?;
                let to = Peer::Volunteer(number_of(&volunteer));
                world.reply(to, Reply::NotCommitted { packet, code });
            }
            Effect::Store { ticket, acceptance } => {
                world.effect(Deed::Store, acceptance.round.0, Some(&acceptance.packet))?;
                if let Some((_, packet)) = self.uploads.get(&ticket) {
                    let job = Job::Store(*packet, acceptance);
                    self.job(world, 10, job);
                }
            }
            Effect::Receipt {
                tickets,
                acceptance,
            } => {
                world.effect(Deed::Receipt, acceptance.round.0, Some(&acceptance.packet))?;
                world.oracle.acknowledged(&acceptance, &world.disk)?;
                let packet = acceptance.packet;
                for ticket in tickets {
                    self.answer(world, ticket, Reply::Receipt { packet });
                }
            }
            Effect::Reject { ticket, code, .. } => {
                world.effect(Deed::Reject, ticket.0, None)?;
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
                replicas,
                ..
            } => {
                world.effect(Deed::Assess, round.0, Some(&base))?;
                self.judged = None;
                let task = Rc::new(Closed {
                    round,
                    probe,
                    packets,
                    missing,
                    pairs: replicas,
                    checked: OnceCell::new(),
                });
                self.job(world, 300, Job::Check(task));
            }
            Effect::Merge {
                round,
                base,
                packets,
            } => {
                world.effect(Deed::Merge, round.0, Some(&base))?;
                self.job(world, 200, Job::Merge(round, packets));
            }
            Effect::Record(record) => {
                world.effect(Deed::Record, record.round.0, Some(&record.hash()))?;
                self.job(world, 10, Job::Record(Box::new(record)));
            }
            Effect::Closed { round } => {
                world.effect(Deed::Closed, round.0, None)?;
                self.closed(world, round)?;
            }
            Effect::Opened {
                to,
                round,
                base,
                remaining_ms,
                ..
            } => {
                world.effect(Deed::Opened, round.0, Some(&base))?;
                let told: Vec<usize> = match to {
                    Audience::Everyone => self.sessions.keys().copied().collect(),
                    Audience::One(volunteer) => vec![number_of(&volunteer)],
                };
                for who in told {
                    let task = self.tasks.get(&who).filter(|task| task.0 == round);
                    let reply = Reply::Opened {
                        round,
                        base,
                        data_of: task.map_or(who, |task| task.1),
                        remaining_ms,
                    };
                    world.reply(Peer::Volunteer(who), reply);
                }
            }
            Effect::Checkpoint { round, theta } => {
                world.effect(Deed::Checkpoint, round.0, Some(&theta))?;
                self.job(world, 100, Job::Checkpoint(round, Rc::clone(&self.theta)));
            }
            Effect::Resync { volunteer } => {
                world.effect(Deed::Resync, number_of(&volunteer) as u64, None)?;
                world.reply(Peer::Volunteer(number_of(&volunteer)), Reply::Resync);
            }
            Effect::Refuse { volunteer, .. } => {
                world.effect(Deed::Refuse, number_of(&volunteer) as u64, None)?;
                world.reply(Peer::Volunteer(number_of(&volunteer)), Reply::Refused);
            }
            Effect::Task {
                volunteer,
                round,
                task,
            } => {
                let (who, data_of) = (number_of(&volunteer), number_of(&task.data_of));
                world.effect(Deed::Task, data_of as u64, None)?;
                self.tasks.insert(who, (round, data_of));
            }
            // A list for people to look at: nothing depends on it.
            Effect::Presence { total, .. } => world.effect(Deed::Presence, total.into(), None)?,
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
}
