//! What is said of a run when it is over: what happened, what should not have, and how to see it again.

use std::{collections::BTreeMap, fmt};

use covey_protocol::Hash;

use crate::{Crash, Deed, Options};

/// A run that broke, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    pub options: Options,
    pub at_ms: u64,
    pub rounds: u64,
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options {
            seed,
            volunteers,
            rounds,
            hostile,
            crash,
            ..
        } = self.options;
        write!(
            f,
            "seed {seed} broke after {} rounds and {} ms: {}\nsee it again with: cargo run -p \
             covey-simulation -- --seed {seed} --volunteers {volunteers} --rounds {rounds} \
             --hostile {hostile}",
            self.rounds, self.at_ms, self.what
        )?;
        match crash {
            Crash::ByChance => Ok(()),
            Crash::At(at) => write!(f, " --crash-at {at}"),
            // No run has so many.
            Crash::AtKind(..) | Crash::Never => write!(f, " --crash-at {}", u64::MAX),
        }
    }
}

impl std::error::Error for Failure {}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Over all effects, in order and with their times.
    pub digest: Hash,
    pub rounds: u64,
    pub virtual_ms: u64,
    pub events: u64,
    pub effects: u64,
    /// How often each kind of deed was done, or begun.
    pub deeds: BTreeMap<Deed, u64>,
    pub crashes: u64,
    pub acknowledged: u64,
    pub merged: u64,
    pub excluded: u64,
    pub slowest_round_ms: u64,
    /// Journal entries of the ledger, and actions of people among them and refused.
    pub entries: u64,
    pub recorded: u64,
    pub declined: u64,
    /// Actions recorded although nobody signed them.
    pub forgeries: u64,
    /// Loss of the final weights and of the initial ones, at the last round.
    pub loss: f64,
    pub untrained_loss: f64,
    /// Honest volunteers: all, merged at least once, paid at least once, barred at the end.
    pub honest: usize,
    pub honest_merged: usize,
    pub honest_paid: usize,
    pub honest_barred: usize,
    /// Incentive of everybody and of the hostile, in base units.
    pub incentive: u128,
    pub hostile_incentive: u128,
}

impl Report {
    /// What must come of a run whatever the weather, and did not: something is learnt, people can use the
    /// ledger, and hostile work is not paid.
    #[must_use]
    pub fn shortcoming(&self) -> Option<String> {
        if self.loss >= self.untrained_loss {
            Some(format!("nothing was learnt: the loss is {}", self.loss))
        } else if self.hostile_incentive * 100 >= self.incentive {
            let (hostile, all) = (self.hostile_incentive, self.incentive);
            Some(format!("the hostile earned {hostile} of {all}"))
        } else if self.recorded == 0 {
            Some("nobody could use the ledger".to_owned())
        } else if self.forgeries > 0 {
            Some(format!("{} forged actions were recorded", self.forgeries))
        } else {
            None
        }
    }
}
