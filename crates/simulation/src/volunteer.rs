//! Volunteers: honest ones that come, train, upload, ask again and leave; and the hostile kinds.
//!
//! What a reader would get wrong: an honest volunteer is not a reliable one. It loses messages, hears of a
//! round twice or late, works at its own pace with a clock of its own, and may vanish at any moment.

use std::rc::Rc;

use covey_protocol::{Hash, Round, VolunteerId, http::ErrorCode};

use crate::{
    task::Content,
    world::{Event, Packet, Peer, Reply, Request, Timer, World},
};

/// Uploads of one packet before it is given up.
const TRIES: u32 = 6;
const ANSWER_MS: u64 = 10_000;
const HEARTBEAT_MS: u64 = 30_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Honest,
    /// Random values.
    Noise,
    /// Against the gradient.
    Flipped,
    /// Twenty times too large.
    Scaled,
    Zeros,
    /// Sends again what somebody else's packet in the last update held.
    Copier,
    /// Sends its own first payload for ever.
    Replayer,
    /// Packets for closed and future rounds and from other weights.
    Lost,
    /// Many different packets for one round, and many times each.
    Flooder,
    /// Joins every round and delivers nothing.
    Absent,
}

const HOSTILE: [Kind; 9] = [
    Kind::Noise,
    Kind::Flipped,
    Kind::Scaled,
    Kind::Zeros,
    Kind::Copier,
    Kind::Replayer,
    Kind::Lost,
    Kind::Flooder,
    Kind::Absent,
];

pub struct Volunteer {
    pub me: usize,
    pub kind: Kind,
    /// Typical time of a full round's inner steps.
    pace_ms: u64,
    /// How fast its clock runs, of 1000.
    rate: u64,
    pub online: bool,
    session: u64,
    welcomed: bool,
    heard_ms: u64,
    /// The round it works on, and its base.
    working: Option<(Round, Hash)>,
    upload: Option<(Packet, u32)>,
    /// Packets of the last update it knows.
    last_update: Rc<[Hash]>,
    first_packet: Option<Hash>,
    sent: u64,
    /// Time spent online.
    pub present_ms: u64,
    since_ms: u64,
}

/// The identity of a volunteer: its number and nothing else, so that both ways are quick.
pub fn id(number: usize) -> VolunteerId {
    let mut id = [0x55; 32];
    // Spread over the alphabet: order of identities is the order of merging.
    let mixed = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    id[..8].copy_from_slice(&mixed.to_be_bytes());
    id[8..16].copy_from_slice(&(number as u64).to_be_bytes());
    VolunteerId(id)
}

/// The inverse; a number that is nobody's for any other identity.
pub fn number_of(id: &VolunteerId) -> usize {
    let mut number = [0; 8];
    number.copy_from_slice(&id.0[8..16]);
    u64::from_be_bytes(number) as usize
}

impl Volunteer {
    pub fn new(me: usize, hostile: bool, world: &mut World) -> Self {
        let kind = match hostile {
            true => HOSTILE
                .get(me % HOSTILE.len())
                .copied()
                .unwrap_or(Kind::Noise),
            false => Kind::Honest,
        };
        let timer = Timer::Turn;
        let first = world.dice.below(60_000);
        world.after(first, Event::Volunteer { who: me, timer });
        Self {
            me,
            kind,
            pace_ms: world.dice.between(8_000, 30_000),
            rate: world.dice.between(950, 1050),
            online: false,
            session: 0,
            welcomed: false,
            heard_ms: 0,
            working: None,
            upload: None,
            last_update: Rc::from([]),
            first_packet: None,
            sent: 0,
            present_ms: 0,
            since_ms: 0,
        }
    }

    fn peer(&self) -> Peer {
        Peer::Volunteer(self.me)
    }

    fn later(&self, world: &mut World, delay_ms: u64, timer: Timer) {
        let own = delay_ms * self.rate / 1000;
        world.after(
            own,
            Event::Volunteer {
                who: self.me,
                timer,
            },
        );
    }

    pub fn timer(&mut self, world: &mut World, timer: Timer) {
        match timer {
            Timer::Turn if self.online => self.go(world),
            Timer::Turn => self.come(world),
            Timer::Heartbeat { session } if self.online && session == self.session => {
                let silent = world.now.saturating_sub(self.heard_ms) > 2 * HEARTBEAT_MS;
                if !self.welcomed || silent {
                    self.hello(world);
                } else {
                    self.later(world, HEARTBEAT_MS, timer);
                }
            }
            Timer::Trained { round } if self.online => self.trained(world, round),
            Timer::Retry { packet } if self.online => self.again(world, &packet),
            Timer::Heartbeat { .. } | Timer::Trained { .. } | Timer::Retry { .. } => {}
        }
    }

    fn come(&mut self, world: &mut World) {
        self.online = true;
        self.since_ms = world.now;
        self.hello(world);
        let stay = world.dice.delay(2_000_000).max(20_000);
        self.later(world, stay, Timer::Turn);
    }

    /// Leaves with a word, or without one.
    fn go(&mut self, world: &mut World) {
        self.online = false;
        self.present_ms += world.now.saturating_sub(self.since_ms);
        self.working = None;
        self.upload = None;
        if world.dice.one_in(2) {
            let session = self.session;
            world.request(self.peer(), Request::Bye { session });
        }
        let away = world.dice.delay(600_000).max(5_000);
        self.later(world, away, Timer::Turn);
    }

    fn hello(&mut self, world: &mut World) {
        self.session += 1;
        self.welcomed = false;
        let session = self.session;
        world.request(self.peer(), Request::Hello { session });
        let wait = world.dice.between(4_000, 9_000);
        self.later(world, wait, Timer::Heartbeat { session });
    }

    /// The connection broke: the process at its other end is gone.
    pub fn cut(&mut self, world: &mut World) {
        if self.online {
            self.welcomed = false;
            let session = self.session;
            let notices = world.dice.between(500, 10_000);
            self.later(world, notices, Timer::Heartbeat { session });
        }
    }

    pub fn told(&mut self, world: &mut World, reply: Reply) {
        if !self.online {
            return;
        }
        self.heard_ms = world.now;
        match reply {
            Reply::Opened {
                round,
                base,
                remaining_ms,
            } => {
                self.welcomed = true;
                self.opened(world, round, base, remaining_ms);
            }
            Reply::Closed {
                round,
                theta,
                merged,
            } => {
                self.last_update = merged;
                if world.dice.one_in(16) {
                    let theta = match self.kind {
                        Kind::Lost => Hash([0; 32]),
                        _ => theta,
                    };
                    world.request(self.peer(), Request::Applied { round, theta });
                }
            }
            Reply::Receipt { packet } => {
                if self.upload.is_some_and(|(own, _)| own.hash == packet) {
                    self.upload = None;
                }
            }
            Reply::Rejected { packet, code } => {
                let retry = matches!(code, ErrorCode::Busy | ErrorCode::Unavailable);
                if !retry && self.upload.is_some_and(|(own, _)| own.hash == packet) {
                    self.upload = None;
                }
            }
            // It fetches a checkpoint, and is where everybody is.
            Reply::Resync | Reply::Refused => {}
            Reply::Recorded { .. } | Reply::Declined { .. } => {}
        }
    }

    fn opened(&mut self, world: &mut World, round: Round, base: Hash, remaining_ms: Option<u64>) {
        let known = self.working.is_some_and(|(working, _)| working >= round);
        if known || remaining_ms == Some(0) {
            return;
        }
        self.working = Some((round, base));
        if self.kind == Kind::Flooder {
            for _ in 0..8 {
                self.send(world, round, base);
            }
            return;
        }
        world.request(self.peer(), Request::Join { round });
        if self.kind == Kind::Absent {
            return;
        }
        if world.dice.one_in(100) {
            world.request(self.peer(), Request::Leave);
            return;
        }
        // It stops early rather than miss the deadline that it was told.
        let work = world.dice.delay(self.pace_ms);
        let work = remaining_ms.map_or(work, |left| work.min(left.saturating_sub(2_000)));
        self.later(world, work.max(500), Timer::Trained { round });
    }

    fn trained(&mut self, world: &mut World, round: Round) {
        let Some((working, base)) = self.working else {
            return;
        };
        if working != round {
            return;
        }
        match self.kind {
            Kind::Lost => {
                let other = match world.dice.below(3) {
                    0 => (Round(round.0.saturating_sub(1 + world.dice.below(4))), base),
                    1 => (Round(round.0 + 1 + world.dice.below(4)), base),
                    _ => (round, Hash([0; 32])),
                };
                self.send(world, other.0, other.1);
            }
            _ => self.send(world, round, base),
        }
    }

    fn content(&self, world: &mut World) -> Content {
        match self.kind {
            Kind::Honest | Kind::Lost | Kind::Absent => Content::Honest,
            Kind::Noise | Kind::Flooder => Content::Noise,
            Kind::Flipped => Content::Flipped,
            Kind::Scaled => Content::Scaled,
            Kind::Zeros => Content::Zeros,
            Kind::Copier => {
                let copied = world.dice.pick(&self.last_update).copied();
                copied.map_or(Content::Noise, Content::Same)
            }
            Kind::Replayer => self.first_packet.map_or(Content::Honest, Content::Same),
        }
    }

    fn send(&mut self, world: &mut World, round: Round, base: Hash) {
        self.sent += 1;
        let content = self.content(world);
        let mut name = [0; 24];
        name[..8].copy_from_slice(&(self.me as u64).to_le_bytes());
        name[8..16].copy_from_slice(&round.0.to_le_bytes());
        name[16..].copy_from_slice(&self.sent.to_le_bytes());
        let packet = Packet {
            hash: Hash::of(&name),
            sender: self.me,
            round,
            base,
            content,
        };
        self.first_packet.get_or_insert(packet.hash);
        self.upload = Some((packet, 1));
        world.request(self.peer(), Request::Submit(packet));
        self.later(
            world,
            ANSWER_MS,
            Timer::Retry {
                packet: packet.hash,
            },
        );
    }

    /// The same packet once more; it may have been stored, and only the answer was lost.
    fn again(&mut self, world: &mut World, hash: &Hash) {
        let peer = self.peer();
        let Some((packet, tries)) = &mut self.upload else {
            return;
        };
        if packet.hash != *hash {
            return;
        }
        if *tries >= TRIES {
            self.upload = None;
            return;
        }
        *tries += 1;
        world.request(peer, Request::Submit(*packet));
        self.later(world, ANSWER_MS, Timer::Retry { packet: *hash });
    }
}
