//! Whole runs under a virtual clock. Volunteers come, go, vanish, upload late, twice and wrongly; the
//! world finishes its work in any order, fails at it, and dies. Whatever happens, the promises hold.

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{
    Hash, Round, SignatureBytes, VolunteerId,
    http::ErrorCode,
    record::{Agreement, Commitment, Exclusion, ExclusionReason, Replica, RoundRecord},
    run::RoundSpec,
    socket::Backend,
};
use covey_rounds::{
    Acceptance, Assessing, Effect, Event, Pair, Phase, Pledge, Quota, Replication, RoundsMachine,
    Settings, Snapshot, Submission, Task, Ticket, Trust,
};
use proptest::prelude::*;

const VOLUNTEERS: u8 = 6;

/// Small enough that everything about it happens in a short run.
const REPLICATION: Replication = Replication {
    probation: 2,
    clean_needed: 2,
    quota: Quota {
        rounds: 6,
        packets: 3,
    },
};

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Connect(u8),
    Disconnect(u8),
    /// Joins the open round, or one that is this far off.
    Join(u8, i8),
    Leave(u8),
    /// Commits to the variant's packet for the open round (or one this far off).
    Commit(u8, i8, u8),
    /// Uploads a packet for the open round (or one this far off) with the variant's content.
    Upload {
        who: u8,
        offset: i8,
        variant: u8,
        wrong_base: bool,
    },
    Applied(u8, bool),
    /// The world finishes one of its open jobs, or fails.
    Finish {
        which: usize,
        fails: bool,
    },
    /// The process dies and starts again from what is on disk.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..VOLUNTEERS;
    let offset = prop_oneof![9 => Just(0i8), 1 => -2i8..3];
    prop_oneof![
        4 => prop_oneof![0u64..5_000, 0u64..90_000].prop_map(Op::Wait),
        3 => who.clone().prop_map(Op::Connect),
        2 => who.clone().prop_map(Op::Disconnect),
        4 => (who.clone(), offset.clone()).prop_map(|(who, offset)| Op::Join(who, offset)),
        1 => who.clone().prop_map(Op::Leave),
        6 => (who.clone(), offset.clone(), variant())
            .prop_map(|(who, offset, variant)| Op::Commit(who, offset, variant)),
        6 => (who.clone(), offset, variant(), prop::bool::weighted(0.1)).prop_map(
            |(who, offset, variant, wrong_base)| Op::Upload { who, offset, variant, wrong_base }
        ),
        1 => (who, any::<bool>()).prop_map(|(who, right)| Op::Applied(who, right)),
        8 => (any::<usize>(), prop::bool::weighted(0.15))
            .prop_map(|(which, fails)| Op::Finish { which, fails }),
        1 => Just(Op::Crash),
    ]
}

/// Most volunteers have one packet a round.
fn variant() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0u8), 1 => Just(1u8)]
}

fn spec() -> impl Strategy<Value = RoundSpec> {
    (1u32..3, 3u32..6, 1u64..4, 0u64..20_000).prop_map(
        |(min_contributions, max_contributions, checkpoint_every, grace_ms)| RoundSpec {
            window_ms: 30_000,
            grace_ms,
            min_contributions,
            max_contributions,
            checkpoint_every,
        },
    )
}

fn assessing() -> impl Strategy<Value = Option<Assessing>> {
    let some =
        (0u64..40_000, 0u32..4).prop_map(|(bound_ms, reserve)| Assessing { bound_ms, reserve });
    prop_oneof![1 => Just(None), 2 => some.prop_map(Some)]
}

fn volunteer(n: u8) -> VolunteerId {
    VolunteerId([n; 32])
}

fn packet(round: Round, who: u8, variant: u8) -> Hash {
    let mut content = round.0.to_le_bytes().to_vec();
    content.extend([who, variant]);
    Hash::of(&content)
}

/// The next weights as a function of the merged packets, as in reality.
fn merged(base: Hash, packets: &[Acceptance]) -> Hash {
    let mut bytes = base.0.to_vec();
    packets.iter().for_each(|p| bytes.extend(p.packet.0));
    Hash::of(&bytes)
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Pledge(Pledge),
    Store(Acceptance),
    Assess(Round, Vec<Acceptance>, Vec<Pair>),
    Merge(Round, Hash, Vec<Acceptance>),
    Record(RoundRecord),
}

/// What survives a crash.
#[derive(Default)]
struct Disk {
    pledges: Vec<Pledge>,
    packets: Vec<Acceptance>,
    records: Vec<RoundRecord>,
}

struct World {
    settings: Settings,
    machine: RoundsMachine,
    now: u64,
    disk: Disk,
    jobs: Vec<Job>,
    next_ticket: u64,
    /// Uploads without an answer.
    unanswered: BTreeSet<Ticket>,
    receipts: Vec<Acceptance>,
    /// Acknowledged commitments.
    committed: Vec<(Round, VolunteerId, Hash)>,
    closed: BTreeSet<Round>,
    /// Since the last start, to be replayed.
    log: Vec<(Event, u64, Vec<Effect>)>,
    started: (Snapshot, u64),
}

const GENESIS: &[u8] = b"theta 0";

impl World {
    fn new(rounds: RoundSpec, assessing: Option<Assessing>) -> Self {
        let settings = Settings {
            run: Hash::of(b"run"),
            rounds,
            seed_key: [3; 32],
            max_members: 5,
            replication: REPLICATION,
            assessing,
        };
        let snapshot = Snapshot::genesis(Hash::of(GENESIS));
        let (machine, _) = RoundsMachine::recover(settings.clone(), snapshot.clone(), 0);
        Self {
            settings,
            machine,
            now: 0,
            disk: Disk::default(),
            jobs: Vec::new(),
            next_ticket: 0,
            unanswered: BTreeSet::new(),
            receipts: Vec::new(),
            committed: Vec::new(),
            closed: BTreeSet::new(),
            log: Vec::new(),
            started: (snapshot, 0),
        }
    }

    fn send(&mut self, event: Event) {
        let effects = self.machine.step(event.clone(), self.now);
        self.log.push((event, self.now, effects.clone()));
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Pledge(pledge) => {
                    assert!(
                        !self.closed.contains(&pledge.round),
                        "a commitment after the close"
                    );
                    let later =
                        |known: &Pledge| known.round < pledge.round || known.order < pledge.order;
                    assert!(self.disk.pledges.iter().all(later), "out of order");
                    self.jobs.push(Job::Pledge(pledge));
                }
                Effect::Committed {
                    volunteer,
                    round,
                    packet,
                } => {
                    assert!(self.pledge(round, volunteer) == Some(packet), "not on disk");
                    self.committed.push((round, volunteer, packet));
                }
                Effect::Store { acceptance, .. } => {
                    assert_eq!(
                        self.pledge(acceptance.round, acceptance.volunteer),
                        Some(acceptance.packet),
                        "admitted without a commitment on disk"
                    );
                    assert!(
                        !self.closed.contains(&acceptance.round),
                        "admitted after the close"
                    );
                    self.jobs.push(Job::Store(acceptance));
                }
                Effect::Receipt {
                    tickets,
                    acceptance,
                } => {
                    assert!(
                        self.disk.packets.contains(&acceptance),
                        "a receipt for what is not on disk"
                    );
                    for ticket in tickets {
                        assert!(self.unanswered.remove(&ticket), "answered twice");
                    }
                    self.receipts.push(acceptance);
                }
                Effect::Reject { ticket, .. } => {
                    assert!(self.unanswered.remove(&ticket), "answered twice");
                }
                Effect::Merge {
                    round,
                    base,
                    packets,
                } => {
                    self.closed.insert(round);
                    if self.settings.assessing.is_none() {
                        let everything = self.disk.packets.iter().filter(|p| p.round == round);
                        assert_eq!(everything.count(), packets.len());
                    }
                    assert!(packets.is_sorted_by(|a, b| a.volunteer < b.volunteer));
                    let most = self.settings.rounds.max_contributions as usize;
                    assert!(!packets.is_empty() && packets.len() <= most);
                    assert!(packets.iter().all(|p| self.disk.packets.contains(p)));
                    self.jobs.push(Job::Merge(round, base, packets));
                }
                Effect::Assess {
                    round,
                    base,
                    packets,
                    missing,
                    replicas,
                    ..
                } => {
                    assert!(self.settings.assessing.is_some());
                    self.closed.insert(round);
                    assert_eq!(base, self.machine.base());
                    assert!(!packets.is_empty() || !missing.is_empty());
                    assert!(packets.is_sorted_by_key(|packet| self.order(packet)));
                    assert!(packets.iter().all(|p| self.disk.packets.contains(p)));
                    assert!(packets.iter().all(|p| !missing.contains(&p.volunteer)));
                    for pair in &replicas {
                        assert_ne!(pair.of, pair.by, "nobody checks itself");
                        assert!(packets.iter().any(|p| p.volunteer == pair.by));
                        assert!(self.trust().standing(&pair.by).clean >= REPLICATION.probation);
                    }
                    self.jobs.push(Job::Assess(round, packets, replicas));
                }
                Effect::Record(record) => {
                    self.closed.insert(record.round);
                    self.jobs.push(Job::Record(record));
                }
                Effect::Closed { round } => {
                    assert_eq!(self.disk.records.last().map(|r| r.round), Some(round));
                }
                Effect::Opened {
                    remaining_ms, base, ..
                } => {
                    assert_eq!(base, self.machine.base());
                    assert!(remaining_ms.unwrap_or(0) <= self.settings.rounds.window_ms);
                }
                Effect::Checkpoint { round, theta } => {
                    let last = self.disk.records.last().expect("a round has closed");
                    assert_eq!((round, theta), (last.round.next(), last.theta_after));
                }
                Effect::Task {
                    volunteer,
                    round,
                    task,
                } => {
                    assert_eq!(
                        (round, task),
                        (self.machine.round(), self.machine.task(&volunteer))
                    );
                    assert!(task.fresh, "the usual task is not told");
                }
                Effect::Resync { .. }
                | Effect::Presence { .. }
                | Effect::Refuse { .. }
                | Effect::NotCommitted { .. } => {}
            }
        }
    }

    /// What a volunteer committed to, as far as the disk knows.
    fn pledge(&self, round: Round, volunteer: VolunteerId) -> Option<Hash> {
        let mut pledges = self.disk.pledges.iter();
        let found = pledges
            .find(|pledge| pledge.round == round && pledge.commitment.volunteer == volunteer);
        found.map(|pledge| pledge.commitment.packet)
    }

    fn order(&self, packet: &Acceptance) -> Option<u32> {
        let mut pledges = self.disk.pledges.iter();
        let found = pledges.find(|pledge| pledge.commitment.packet == packet.packet);
        found.map(|pledge| pledge.order)
    }

    fn finish(&mut self, which: usize, fails: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(which % self.jobs.len());
        let event = match job {
            Job::Pledge(pledge) => {
                let Commitment {
                    volunteer, packet, ..
                } = pledge.commitment;
                if fails {
                    Event::PledgeFailed { volunteer, packet }
                } else {
                    self.disk.pledges.push(pledge);
                    Event::Pledged { volunteer, packet }
                }
            }
            Job::Store(acceptance) => {
                let (volunteer, packet) = (acceptance.volunteer, acceptance.packet);
                if fails {
                    Event::StoreFailed { volunteer, packet }
                } else {
                    self.disk.packets.push(acceptance);
                    Event::Stored { volunteer, packet }
                }
            }
            Job::Assess(round, packets, pairs) => {
                self.assess(round, &packets, &pairs, fails);
                return;
            }
            Job::Merge(round, ..) if fails => Event::MergeFailed { round },
            Job::Merge(round, base, packets) => Event::Merged {
                round,
                theta_after: merged(base, &packets),
                update: Hash::of(&round.0.to_le_bytes()),
                update_len: 8,
            },
            Job::Record(record) if fails => Event::RecordFailed {
                round: record.round,
            },
            Job::Record(record) => {
                let round = record.round;
                self.disk.records.push(record);
                Event::Recorded { round }
            }
        };
        self.send(event);
    }

    /// Leaves out a packet in three, by what it holds; the fast checks one in six. Some of what is left
    /// out was never sent.
    /// Replicas agree in half of the cases.
    fn assess(&mut self, round: Round, packets: &[Acceptance], pairs: &[Pair], fails: bool) {
        let compared: Vec<Replica> = pairs
            .iter()
            .map(|pair| Replica {
                of: pair.of,
                by: pair.by,
                agreement: match (round.0 + u64::from(pair.of.0[0])) % 4 {
                    0 => Agreement::Disputed,
                    1 => Agreement::Open,
                    _ => Agreement::Agreed,
                },
            })
            .collect();
        let out = |every: u8| -> Vec<Exclusion> {
            let chosen = packets
                .iter()
                .filter(|p| p.packet.0[0].is_multiple_of(every));
            let mut out: Vec<Exclusion> = chosen
                .map(|p| Exclusion {
                    volunteer: p.volunteer,
                    packet: p.packet,
                    reason: ExclusionReason::Harmful,
                })
                .collect();
            out.push(Exclusion {
                volunteer: volunteer(0),
                packet: Hash::of(b"never sent"),
                reason: ExclusionReason::Copied,
            });
            out
        };
        self.send(Event::Checked {
            round,
            excluded: out(6),
            replicas: compared.clone(),
        });
        self.send(if fails {
            Event::AssessFailed { round }
        } else {
            Event::Assessed {
                round,
                excluded: out(3),
                replicas: compared,
            }
        });
    }

    fn crash(&mut self) {
        let records = &self.disk.records;
        let round = records.last().map_or(Round(0), |r| r.round.next());
        let snapshot = Snapshot {
            round,
            base: records.last().map_or(Hash::of(GENESIS), |r| r.theta_after),
            previous: records.last().map(RoundRecord::hash),
            pledges: self
                .disk
                .pledges
                .iter()
                .filter(|p| p.round == round)
                .copied()
                .collect(),
            packets: self
                .disk
                .packets
                .iter()
                .filter(|p| p.round == round)
                .copied()
                .collect(),
            receipts: self
                .disk
                .packets
                .iter()
                .filter(|p| p.round < round)
                .copied()
                .collect(),
            history: records.iter().map(|r| (r.round, r.theta_after)).collect(),
            trust: self.trust(),
        };
        let tasks = self.tasks();
        let same_round = self.machine.round() == round;
        self.replay();
        self.jobs.clear();
        self.unanswered.clear();
        self.log.clear();
        // A round that was closed but not recorded is open again; nobody was told otherwise.
        self.closed.remove(&round);
        self.started = (snapshot.clone(), self.now);
        let (machine, effects) = RoundsMachine::recover(self.settings.clone(), snapshot, self.now);
        self.machine = machine;
        if same_round {
            assert_eq!(self.tasks(), tasks, "the draw is the same after a restart");
        }
        self.carry_out(effects);
    }

    /// The same events give the same effects.
    fn replay(&self) {
        let (snapshot, at) = self.started.clone();
        let (mut machine, _) = RoundsMachine::recover(self.settings.clone(), snapshot, at);
        for (event, now, effects) in &self.log {
            assert_eq!(&machine.step(event.clone(), *now), effects);
        }
        assert_eq!(machine, self.machine);
    }

    fn near(&self, offset: i8) -> Round {
        let open = self.machine.round().0;
        Round(open.saturating_add_signed(i64::from(offset)))
    }

    fn commit(&mut self, who: u8, offset: i8, variant: u8) {
        let round = self.near(offset);
        self.send(Event::Commit {
            round,
            commitment: Commitment {
                volunteer: volunteer(who),
                packet: packet(round, who, variant),
                signature: SignatureBytes([who; 64]),
            },
        });
    }

    fn tasks(&self) -> Vec<Task> {
        (0..VOLUNTEERS)
            .map(|who| self.machine.task(&volunteer(who)))
            .collect()
    }

    fn trust(&self) -> Trust {
        let mut trust = Trust::default();
        for record in &self.disk.records {
            trust.observe(&REPLICATION.quota, record);
        }
        trust
    }

    fn finish_pledges(&mut self) {
        let pledge = |job: &Job| matches!(job, Job::Pledge(_));
        while let Some(which) = self.jobs.iter().position(pledge) {
            self.finish(which, false);
        }
    }

    fn upload(&mut self, who: u8, offset: i8, variant: u8, wrong_base: bool) {
        let round = self.near(offset);
        let base = if wrong_base {
            Hash::of(b"elsewhere")
        } else {
            self.machine.base()
        };
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.unanswered.insert(ticket);
        self.send(Event::Submitted(Submission {
            ticket,
            run: self.settings.run,
            volunteer: volunteer(who),
            round,
            base,
            packet: packet(round, who, variant),
            inner_steps: 20,
            tokens: 100,
            partner: None,
        }));
    }

    /// Time passes; the machine is woken when it asked to be, as a real clock would.
    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(wake) = self.machine.next_wake_ms().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            let before = (self.machine.phase().clone(), self.machine.next_wake_ms());
            self.send(Event::Tick);
            let after = (self.machine.phase().clone(), self.machine.next_wake_ms());
            assert_ne!(before, after, "woken for nothing, for ever");
        }
        self.now = until;
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Wait(ms) => self.wait(ms),
            Op::Connect(who) => self.send(Event::Connected {
                volunteer: volunteer(who),
                backend: Backend::WebGpu,
                accepted: 0,
            }),
            Op::Disconnect(who) => self.send(Event::Disconnected {
                volunteer: volunteer(who),
            }),
            Op::Join(who, offset) => {
                let round = self.near(offset);
                self.send(Event::Join {
                    volunteer: volunteer(who),
                    round,
                });
            }
            Op::Leave(who) => self.send(Event::Leave {
                volunteer: volunteer(who),
            }),
            Op::Commit(who, offset, variant) => self.commit(who, offset, variant),
            Op::Upload {
                who,
                offset,
                variant,
                wrong_base,
            } => self.upload(who, offset, variant, wrong_base),
            Op::Applied(who, right) => {
                let last = self.disk.records.last();
                let (round, theta) = last.map_or((Round(0), self.machine.base()), |r| {
                    (r.round, r.theta_after)
                });
                let known = last.is_some();
                let theta = if right { theta } else { Hash::of(b"wrong") };
                self.send(Event::Applied {
                    volunteer: volunteer(who),
                    round,
                    theta,
                });
                let told = self.log.last().is_some_and(|(_, _, effects)| {
                    effects.contains(&Effect::Resync {
                        volunteer: volunteer(who),
                    })
                });
                if known {
                    assert_eq!(told, !right);
                }
            }
            Op::Finish { which, fails } => self.finish(which, fails),
            Op::Crash => self.crash(),
        }
    }

    /// Everyone is gone and the world works: the open round must end.
    fn come_to_rest(&mut self) {
        let rounds = self.settings.rounds.clone();
        for _ in 0..100 {
            while !self.jobs.is_empty() {
                self.finish(0, false);
            }
            self.wait(rounds.window_ms + rounds.grace_ms);
            if self.jobs.is_empty() && *self.machine.phase() == Phase::Idle {
                return;
            }
        }
        panic!("stalled in {:?}", self.machine.phase());
    }

    fn check(&self) {
        assert_eq!(
            self.machine.trust(),
            &self.trust(),
            "a fold over the records"
        );
        assert!(self.unanswered.is_empty(), "an upload was never answered");
        let mut previous = None;
        let mut base = Hash::of(GENESIS);
        for (number, record) in (0u64..).zip(&self.disk.records) {
            assert_eq!(record.round, Round(number));
            assert_eq!(record.previous, previous);
            assert_eq!(record.base, base);
            for exclusion in &record.excluded {
                assert!(self.settings.assessing.is_some());
                let contributions = &record.contributions;
                assert!(
                    contributions
                        .iter()
                        .all(|c| c.volunteer != exclusion.volunteer)
                );
            }
            assert!(
                record
                    .excluded
                    .is_sorted_by(|a, b| a.volunteer < b.volunteer)
            );
            for replica in &record.replicas {
                assert_ne!(replica.of, replica.by);
                let received = |volunteer| {
                    let merged = record.contributions.iter().map(|c| c.volunteer);
                    let left_out = record.excluded.iter().map(|e| e.volunteer);
                    merged.chain(left_out).any(|found| found == volunteer)
                };
                assert!(received(replica.by));
                let twice = received(replica.of);
                let merged = record
                    .contributions
                    .iter()
                    .any(|c| c.volunteer == replica.by);
                assert!(!(twice && merged), "the same work counts twice");
                assert!(twice || replica.agreement == Agreement::Open);
            }
            // Whoever was received had committed, and nobody did twice.
            let committed: BTreeMap<VolunteerId, Hash> = record
                .commitments
                .iter()
                .map(|c| (c.volunteer, c.packet))
                .collect();
            assert_eq!(committed.len(), record.commitments.len());
            let merged = record.contributions.iter().map(|c| (c.volunteer, c.packet));
            let left_out = record.excluded.iter().map(|e| (e.volunteer, e.packet));
            for (volunteer, packet) in merged.chain(left_out) {
                assert_eq!(committed.get(&volunteer), Some(&packet));
            }
            let empty = record.contributions.is_empty();
            assert_eq!(record.update.is_none(), empty);
            assert_eq!(record.theta_after == record.base, empty);
            previous = Some(record.hash());
            base = record.theta_after;
        }
        for (round, volunteer, packet) in &self.committed {
            let mut records = self.disk.records.iter();
            let record = records.find(|record| record.round == *round);
            let listed = record.is_some_and(|record| {
                let mut all = record.commitments.iter();
                all.any(|c| (&c.volunteer, &c.packet) == (volunteer, packet))
            });
            assert!(listed, "an acknowledged commitment is not in the record");
        }
        for receipt in &self.receipts {
            let recorded = self
                .disk
                .records
                .iter()
                .filter(|record| {
                    let merged = record.contributions.iter().map(|c| c.packet);
                    let left_out = record.excluded.iter().map(|e| e.packet);
                    merged
                        .chain(left_out)
                        .any(|packet| packet == receipt.packet)
                })
                .map(|record| record.round);
            assert_eq!(recorded.collect::<Vec<_>>(), [receipt.round]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_receipts_are_kept_and_rounds_end(
        spec in spec(),
        assessing in assessing(),
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut world = World::new(spec, assessing);
        for op in ops {
            world.apply(op);
        }
        world.come_to_rest();
        world.replay();
        world.check();
    }
}

/// Volunteers as they are meant to be, with one hitch each; many rounds must get through.
#[test]
fn a_steady_crowd_gets_through_a_round_for_every_window() {
    let mut world = World::new(
        RoundSpec {
            window_ms: 30_000,
            grace_ms: 5_000,
            min_contributions: 1,
            max_contributions: 5,
            checkpoint_every: 5,
        },
        None,
    );
    for who in 0..4 {
        world.apply(Op::Connect(who));
    }
    for turn in 0..50u64 {
        for who in 0..4 {
            world.apply(Op::Join(who, 0));
        }
        let gone = (turn % 5) as u8;
        for who in (0..4).filter(|who| *who != gone) {
            world.wait(1_000);
            world.commit(who, 0, 0);
            world.finish_pledges();
            world.upload(who, 0, 0, false);
        }
        if turn % 3 == 0 {
            world.apply(Op::Disconnect(gone));
            world.apply(Op::Connect(gone.min(3)));
        }
        world.come_to_rest();
    }
    world.check();
    assert_eq!(world.disk.records.len(), 50);
    let contributions = world.disk.records.iter().map(|r| r.contributions.len());
    assert_eq!(contributions.sum::<usize>(), 10 * (3 * 4 + 4));
}

/// The refusals a hostile volunteer can provoke change nothing.
#[test]
fn refused_uploads_change_nothing() {
    let mut world = World::new(RoundSpec::default(), None);
    world.apply(Op::Connect(0));
    world.apply(Op::Join(0, 0));
    let before = world.machine.clone();
    for (offset, wrong_base, code) in [
        (1, false, ErrorCode::FutureRound),
        (0, true, ErrorCode::WrongBase),
        (0, false, ErrorCode::NotCommitted),
    ] {
        world.upload(1, offset, 0, wrong_base);
        let (_, _, effects) = world.log.last().expect("an event");
        let codes: BTreeMap<_, _> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Reject { ticket, code, .. } => Some((*ticket, *code)),
                _ => None,
            })
            .collect();
        assert_eq!(codes.into_values().collect::<Vec<_>>(), [code]);
    }
    assert_eq!(world.machine, before);
}
