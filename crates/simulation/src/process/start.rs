//! Starting from what is on disk, as the server does: weights from the last checkpoint and the updates after
//! it, standings from the records, commitments and packets of the open round from the journal.

use std::{collections::BTreeMap, rc::Rc};

use covey_protocol::{Hash, Round, record::RoundRecord};
use covey_rounds::{Acceptance, Pledge, RoundsMachine, Snapshot, Trust};

use super::{Process, decoded};
use crate::{
    Stop,
    keeper::Keeper,
    oracle::hold,
    settings::{most_merged, settings},
    task::Task,
    world::World,
};

impl Process {
    /// Starts from what is on disk, as the server does.
    ///
    /// # Errors
    /// [`Stop::Broken`] when the disk does not hold what was promised.
    pub fn start(world: &mut World, life: u64) -> Result<Self, Stop> {
        let rounds = world.disk.rounds();
        world.oracle.records(&world.disk, most_merged())?;
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
        let pledges: Vec<Pledge> = world.disk.pledges().copied().collect();
        let mut trust = Trust::default();
        for number in 0..rounds {
            if let Some(record) = world.disk.record(Round(number)) {
                trust.observe(&settings().replication.quota, record);
            }
        }
        let first = rounds.saturating_sub(256);
        let history = (first..rounds).filter_map(|number| world.disk.record(Round(number)));
        let snapshot = Snapshot {
            round,
            base: Hash::of_weights(&theta),
            previous: last.map(RoundRecord::hash),
            pledges,
            trust,
            packets,
            receipts,
            history: history
                .map(|record| (record.round, record.theta_after))
                .collect(),
        };
        world
            .oracle
            .recovered(&snapshot.pledges, &snapshot.packets)?;
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
            lesson: None,
            uploads: BTreeMap::new(),
            next_ticket: 0,
            sessions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            skew_ms,
            wake_at: None,
            keeper: Keeper::open(world, life)?,
        };
        process.carry_out(world, effects)?;
        process.keeper_turn(world)?;
        Ok(process)
    }
}
