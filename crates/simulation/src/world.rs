//! The world around the coordinator: virtual time, the network, what is yet to happen, and the dice.
//!
//! Nothing happens but what was put into one queue, ordered by time and then by when it was put there. So
//! a seed decides everything, and every effect goes into a digest that two runs of a seed must share.

use std::{collections::BTreeMap, rc::Rc};

use covey_ledger::call::SignedAction;
use covey_protocol::{Hash, Round, http::ErrorCode};

use crate::{
    Crash, Deed, Options, Sabotage, Stop,
    dice::Dice,
    disk::Disk,
    oracle::Oracle,
    process::Job,
    queue::Queue,
    task::{Content, Task},
};

/// Virtual time of the beginning, in milliseconds. Not 0, so that clocks may be behind.
pub const START_MS: u64 = 1_000_000_000;

/// How bad the weather is; drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Messages lost, delivered twice, and held back for seconds, of 1000.
    pub lost: u64,
    pub doubled: u64,
    pub held: u64,
    /// Writes that fail, of 1000.
    pub failing_writes: u64,
    /// The process dies at one effect in this many.
    pub crash_one_in: u64,
    /// Typical time between two partitions; 0 for none.
    pub partition_every_ms: u64,
    /// How far a restarted coordinator's clock may be off.
    pub skew_ms: u64,
}

impl Faults {
    fn drawn(dice: &mut Dice) -> Self {
        Self {
            lost: dice.below(40),
            doubled: dice.below(40),
            held: dice.below(40),
            failing_writes: dice.below(10),
            crash_one_in: dice.between(1_000, 30_000),
            partition_every_ms: dice.between(60_000, 600_000),
            skew_ms: dice.below(3_000),
        }
    }
}

/// Who talks to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Volunteer(usize),
    Wallet(usize),
}

/// A packet as it travels; what it holds is computed when somebody looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    pub hash: Hash,
    pub sender: usize,
    /// Whose data it was made from.
    pub worker: usize,
    pub round: Round,
    pub base: Hash,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Request {
    /// A proven identity opens its session of that number.
    Hello {
        session: u64,
    },
    /// The session ended.
    Bye {
        session: u64,
    },
    Join {
        round: Round,
    },
    Leave,
    Applied {
        round: Round,
        theta: Hash,
    },
    Commit(Packet),
    Submit(Packet),
    Act {
        id: Hash,
        action: Rc<SignedAction>,
    },
}

#[derive(Clone, Debug)]
pub enum Reply {
    Opened {
        round: Round,
        base: Hash,
        /// Whose data the volunteer works on; what says so comes first on a socket.
        data_of: usize,
        remaining_ms: Option<u64>,
    },
    Closed {
        round: Round,
        theta: Hash,
        /// The packets in the update, which anybody may fetch.
        merged: Rc<[Hash]>,
    },
    Committed {
        packet: Hash,
    },
    NotCommitted {
        packet: Hash,
        code: ErrorCode,
    },
    Receipt {
        packet: Hash,
    },
    Rejected {
        packet: Hash,
        code: ErrorCode,
    },
    Refused,
    Resync,
    /// An action is in the journal, as that entry.
    Recorded {
        id: Hash,
    },
    Declined {
        id: Hash,
    },
}

/// What a volunteer does on its own.
#[derive(Clone, Copy, Debug)]
pub enum Timer {
    /// Comes or goes.
    Turn,
    /// Looks whether the session is alive.
    Heartbeat { session: u64 },
    /// The inner steps of a round are done.
    Trained { round: Round },
    /// No answer to an upload so far.
    Retry { packet: Hash },
}

/// Something that happens at a time.
pub enum Event {
    Arrives {
        from: Peer,
        request: Request,
    },
    Told {
        to: Peer,
        reply: Reply,
    },
    Volunteer {
        who: usize,
        timer: Timer,
    },
    Wallet {
        who: usize,
    },
    /// A job of the coordinator's process goes on; void in another life.
    Job {
        life: u64,
        job: Job,
    },
    /// The rounds asked to be woken.
    Wake {
        life: u64,
    },
    /// The ledger's next epoch may be due.
    Epoch {
        life: u64,
    },
    /// A session that said nothing is over.
    Silence {
        life: u64,
        who: usize,
        session: u64,
    },
    Restart,
    Partition,
}

pub struct World {
    pub now: u64,
    pub dice: Dice,
    pub faults: Faults,
    pub disk: Disk,
    pub oracle: Oracle,
    pub task: Task,
    pub sabotage: Option<Sabotage>,
    /// Deeds so far: the places where the process may die.
    pub effects: u64,
    pub deeds: BTreeMap<Deed, u64>,
    crash: Crash,
    /// Where it died last.
    pub died_at: Option<u64>,
    /// Once it is over nothing fails any more.
    pub calm: bool,
    queue: Queue,
    /// Until when a volunteer is cut off.
    cut_until: Vec<u64>,
    pub wallets: usize,
    digest: blake3::Hasher,
}

impl World {
    pub fn new(options: &Options) -> Self {
        let mut dice = Dice::new(options.seed);
        let faults = Faults::drawn(&mut dice);
        Self {
            now: START_MS,
            faults: Faults {
                crash_one_in: match options.crash {
                    Crash::ByChance => faults.crash_one_in,
                    Crash::At(_) | Crash::AtKind(..) | Crash::Never => 0,
                },
                ..faults
            },
            disk: Disk::default(),
            oracle: Oracle::new(options.volunteers, Hash::of_weights(&Task::start())),
            task: Task::new(dice.number()),
            sabotage: options.sabotage,
            effects: 0,
            deeds: BTreeMap::new(),
            crash: options.crash,
            died_at: None,
            calm: false,
            queue: Queue::default(),
            cut_until: vec![0; options.volunteers],
            wallets: 24,
            digest: blake3::Hasher::new(),
            dice,
        }
    }

    pub fn after(&mut self, delay_ms: u64, event: Event) {
        self.queue.push(self.now + delay_ms, event);
    }

    /// The next thing to happen; time goes on to it.
    pub fn next(&mut self) -> Option<Event> {
        let (at, event) = self.queue.pop()?;
        self.now = at;
        Some(event)
    }

    pub fn request(&mut self, from: Peer, request: Request) {
        for delay in self.deliveries(from).into_iter().flatten() {
            let request = request.clone();
            self.after(delay, Event::Arrives { from, request });
        }
    }

    pub fn reply(&mut self, to: Peer, reply: Reply) {
        for delay in self.deliveries(to).into_iter().flatten() {
            let reply = reply.clone();
            self.after(delay, Event::Told { to, reply });
        }
    }

    /// When the copies of a message arrive. Each is delayed on its own, so they overtake each other.
    fn deliveries(&mut self, peer: Peer) -> [Option<u64>; 2] {
        let (typical, cut) = match peer {
            Peer::Volunteer(who) => (
                20 + (who as u64 * 37) % 180,
                self.cut_until
                    .get(who)
                    .is_some_and(|until| self.now < *until),
            ),
            Peer::Wallet(_) => (60, false),
        };
        if cut || (!self.calm && self.dice.per_mille(self.faults.lost)) {
            return [None, None];
        }
        let mut delay = self.dice.delay(typical);
        if self.dice.per_mille(self.faults.held) {
            delay += self.dice.below(8_000);
        }
        let again = self.dice.per_mille(self.faults.doubled);
        [Some(delay), again.then(|| delay + self.dice.delay(2_000))]
    }

    /// Cuts some of the volunteers off for a while.
    pub fn partition(&mut self) {
        let share = self.dice.between(50, 600);
        let until = self.now + self.dice.between(2_000, 90_000);
        for who in 0..self.cut_until.len() {
            if self.dice.per_mille(share)
                && let Some(cut) = self.cut_until.get_mut(who)
            {
                *cut = until;
            }
        }
        let next = self.faults.partition_every_ms;
        let next = self.dice.delay(next);
        self.after(next.max(1_000), Event::Partition);
    }

    /// Everything is reachable and nothing fails any more.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.cut_until.fill(0);
    }

    /// One deed is about to be done: it is part of the digest, and the process may die before it.
    ///
    /// # Errors
    /// [`Stop::Crash`].
    pub fn effect(&mut self, deed: Deed, number: u64, hash: Option<&Hash>) -> Result<(), Stop> {
        self.effects += 1;
        let times = self.deeds.entry(deed).or_default();
        *times += 1;
        self.digest.update(&[deed as u8]);
        self.digest.update(&self.now.to_le_bytes());
        self.digest.update(&number.to_le_bytes());
        if let Some(hash) = hash {
            self.digest.update(&hash.0);
        }
        let dies = match self.crash {
            Crash::At(at) => self.effects == at,
            Crash::AtKind(kind, at) => deed == kind && *times == at,
            Crash::Never => false,
            Crash::ByChance => !self.calm && self.dice.one_in(self.faults.crash_one_in),
        };
        if dies {
            self.died_at = Some(self.effects);
            return Err(Stop::Crash);
        }
        Ok(())
    }

    pub fn digest(&self) -> Hash {
        Hash(*self.digest.finalize().as_bytes())
    }

    /// Whether a write fails this time.
    pub fn write_fails(&mut self) -> bool {
        !self.calm && self.dice.per_mille(self.faults.failing_writes)
    }
}
