//! A whole run in one process: `rounds`, `ledger` and `scoring` for real, on a virtual clock, network and
//! disk that a seed decides (issue 4, "Faults").
//!
//! 1. [`world`] holds time, the network's delays, losses, repetitions and partitions, and the queue of
//!    what happens next. [`disk`] keeps what was synchronised.
//! 2. [`process`] and [`keeper`] do what the server does with the rounds' effects and the ledger's
//!    requests. They may die at every effect and start again from the disk.
//! 3. [`volunteer`] and [`wallet`] are the people, honest and hostile. [`task`] is what they learn.
//! 4. [`oracle`] watches: nothing acknowledged is lost, one packet for a key and a round, records chain,
//!    every round closes within its bound, the books balance, a replay gives the same state.
//!
//! What a reader would get wrong: a run that ends well shows little by itself. [`Sabotage`] breaks the
//! process in ways the oracle must notice, and a test sees to it that it does.

mod deed;
mod dice;
mod disk;
mod founding;
mod keeper;
mod oracle;
mod process;
mod queue;
mod replay;
mod report;
mod settings;
mod task;
mod volunteer;
mod wallet;
mod world;

use covey_ledger::{AccountId, genesis::RUN as SUBNET};
use covey_protocol::{Hash, Round};

pub use deed::{Crash, Deed};
pub use report::{Failure, Report};

use oracle::hold;
use process::Process;
use replay::whole_replay;
use volunteer::{Kind, Volunteer, id};
use wallet::Wallet;
use world::{Event, Peer, World};

/// The simulated run.
const RUN: Hash = Hash([0xc0; 32]);
/// Virtual time for one round, after which the run counts as stuck: hours, in case of nothing but crashes.
const ROUND_MS: u64 = 200_000;

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    pub volunteers: usize,
    /// Rounds to record.
    pub rounds: u64,
    /// Hostile volunteers of a thousand.
    pub hostile: u64,
    pub crash: Crash,
    pub sabotage: Option<Sabotage>,
}

impl Options {
    #[must_use]
    pub fn new(seed: u64, volunteers: usize, rounds: u64) -> Self {
        Self {
            seed,
            volunteers,
            rounds,
            hostile: 150,
            crash: Crash::ByChance,
            sabotage: None,
        }
    }
}

/// A fault in the process itself, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The machine is told that a packet is stored before it is.
    ReceiptBeforeDisk,
    /// People are told of an entry before it is written.
    EntryBeforeDisk,
}

/// Why the process stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It died, as it may.
    Crash,
    /// Something is not as it must be.
    Broken(String),
}

/// Simulates a run.
///
/// # Errors
/// What is not as it must be, and how to see it again.
pub fn run(options: Options) -> Result<Report, Failure> {
    let mut simulation = Simulation::new(options);
    simulation.run().map_err(|stop| Failure {
        options: Options {
            // The command line knows no kinds, so it is told which of all deeds it was.
            crash: match (options.crash, simulation.world.died_at) {
                (Crash::AtKind(..), Some(at)) => Crash::At(at),
                (crash, _) => crash,
            },
            ..options
        },
        at_ms: simulation.world.now - world::START_MS,
        rounds: simulation.world.oracle.rounds(),
        what: match stop {
            Stop::Crash => "it died while it was told not to".to_owned(),
            Stop::Broken(what) => what,
        },
    })
}

struct Simulation {
    options: Options,
    world: World,
    process: Option<Process>,
    volunteers: Vec<Volunteer>,
    wallets: Vec<Wallet>,
    life: u64,
    events: u64,
    crashes: u64,
}

impl Simulation {
    fn new(options: Options) -> Self {
        let mut world = World::new(&options);
        let volunteers = (0..options.volunteers)
            .map(|me| {
                let hostile = world.dice.per_mille(options.hostile);
                Volunteer::new(me, hostile, &mut world)
            })
            .collect();
        let wallets = (0..world.wallets)
            .map(|me| Wallet::new(me, &mut world))
            .collect();
        world.after(0, Event::Restart);
        world.after(30_000, Event::Partition);
        Self {
            options,
            world,
            process: None,
            volunteers,
            wallets,
            life: 0,
            events: 0,
            crashes: 0,
        }
    }

    fn run(&mut self) -> Result<Report, Stop> {
        let end = world::START_MS + (self.options.rounds + 10) * ROUND_MS;
        while self.world.oracle.rounds() < self.options.rounds {
            let stuck = self.world.now > end;
            hold!(
                !stuck,
                "the run is stuck in round {}",
                self.world.oracle.rounds()
            );
            self.next()?;
        }
        // A last hour in which nothing fails: whatever is open is finished and paid for.
        self.world.calm_down();
        let last = self.world.now + 3_600_000 / 6;
        // If it died at the very end it comes back first.
        while self.world.now < last || self.process.is_none() {
            self.next()?;
        }
        self.end()
    }

    fn next(&mut self) -> Result<(), Stop> {
        self.events += 1;
        let Some(event) = self.world.next() else {
            return Err(Stop::Broken("nothing is left to happen".to_owned()));
        };
        match self.happen(event) {
            Err(Stop::Crash) => {
                self.crash();
                Ok(())
            }
            result => result,
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Stop> {
        let world = &mut self.world;
        let life = self.life;
        match event {
            Event::Volunteer { who, timer } => {
                if let Some(volunteer) = self.volunteers.get_mut(who) {
                    volunteer.timer(world, timer);
                }
                return Ok(());
            }
            Event::Told { to, reply } => {
                match to {
                    Peer::Volunteer(who) => {
                        if let Some(volunteer) = self.volunteers.get_mut(who) {
                            volunteer.told(world, reply);
                        }
                    }
                    Peer::Wallet(who) => {
                        if let Some(wallet) = self.wallets.get_mut(who) {
                            wallet.told(&reply);
                        }
                    }
                }
                return Ok(());
            }
            Event::Wallet { who } => {
                let ledger = self.process.as_ref().map(|process| process.keeper.ledger());
                if let Some(wallet) = self.wallets.get_mut(who) {
                    wallet.turn(world, ledger);
                }
                return Ok(());
            }
            Event::Restart => {
                self.life += 1;
                self.process = Some(Process::start(world, self.life)?);
                return Ok(());
            }
            Event::Partition => {
                if !world.calm {
                    world.partition();
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        match event {
            Event::Arrives { from, request } => process.arrives(world, from, request),
            Event::Job { life: of, job } if of == life => process.worked(world, job),
            Event::Wake { life: of } if of == life => process.wake(world),
            Event::Epoch { life: of } if of == life => process.keeper_turn(world),
            Event::Silence {
                life: of,
                who,
                session,
            } if of == life => {
                // Somebody who is there answers pings; only those who left without a word are silent.
                let there = self
                    .volunteers
                    .get(who)
                    .is_some_and(|volunteer| volunteer.online);
                if there {
                    world.after(90_000, Event::Silence { life, who, session });
                    return Ok(());
                }
                process.gone(world, who, session)
            }
            _ => Ok(()),
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.process = None;
        // What the dead process had asked for belongs to another life.
        self.life += 1;
        self.world.disk.crash(&mut self.world.dice);
        for volunteer in &mut self.volunteers {
            volunteer.cut(&mut self.world);
        }
        let down = self.world.dice.between(200, 20_000);
        self.world.after(down, Event::Restart);
    }

    fn end(&mut self) -> Result<Report, Stop> {
        let Some(process) = &self.process else {
            return Err(Stop::Broken(
                "the process is not running at the end".to_owned(),
            ));
        };
        let world = &self.world;
        world.oracle.entries(&world.disk)?;
        let ledger = process.keeper.ledger();
        whole_replay(world, ledger)?;
        let subnet = ledger.state().subnets.get(&SUBNET);
        let earned = |who: usize| {
            let account = AccountId(id(who).0);
            subnet.map_or(0, |subnet| u128::from(subnet.stake(&account, &account).0))
        };
        let is_honest = |volunteer: &&Volunteer| volunteer.kind == Kind::Honest;
        let honest: Vec<usize> = self
            .volunteers
            .iter()
            .filter(is_honest)
            .map(|v| v.me)
            .collect();
        let count =
            |holds: &dyn Fn(usize) -> bool| honest.iter().filter(|who| holds(**who)).count();
        let merged = |who: usize| world.oracle.tallies.get(who).is_some_and(|t| t.merged > 0);
        let barred = |who: usize| {
            let until = process
                .book()
                .peer(&id(who))
                .and_then(|peer| peer.banned_until);
            until.is_some_and(|until| until > process.round())
        };
        let tallies = &world.oracle.tallies;
        let incentive: u128 = self.volunteers.iter().map(|v| earned(v.me)).sum();
        let honest_incentive: u128 = honest.iter().map(|who| earned(*who)).sum();
        let last = Round(process.round().0.saturating_sub(1));
        Ok(Report {
            digest: world.digest(),
            rounds: world.oracle.rounds(),
            virtual_ms: world.now - world::START_MS,
            events: self.events,
            effects: world.effects,
            deeds: world.deeds.clone(),
            crashes: self.crashes,
            acknowledged: tallies.iter().map(|tally| tally.acknowledged).sum(),
            merged: tallies.iter().map(|tally| tally.merged).sum(),
            excluded: tallies.iter().map(|tally| tally.excluded).sum(),
            slowest_round_ms: world.oracle.slowest_round_ms,
            entries: ledger.len(),
            recorded: self.wallets.iter().map(|wallet| wallet.recorded).sum(),
            declined: self.wallets.iter().map(|wallet| wallet.declined).sum(),
            forgeries: self.wallets.iter().map(|wallet| wallet.forgeries).sum(),
            loss: world.task.loss(process.theta(), last),
            untrained_loss: world.task.loss(&task::Task::start(), last),
            honest: honest.len(),
            honest_merged: count(&merged),
            honest_paid: count(&|who| earned(who) > 0),
            honest_barred: count(&barred),
            incentive,
            hostile_incentive: incentive - honest_incentive,
        })
    }
}
