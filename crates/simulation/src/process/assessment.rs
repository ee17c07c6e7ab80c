//! The real checks on a round's packets and what they do to the loss, as the server's scoring workers find it.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc};

use covey_compression::SparseUpdate;
use covey_protocol::{
    Hash, Round, VolunteerId,
    record::{Agreement, Exclusion, ExclusionReason, Replica},
};
use covey_rounds::{Acceptance, Pair};
use covey_scoring::{Book, Checks, Delivered, Evidence, Finding, Work};

use super::{Process, decoded};
use crate::{settings::rules, volunteer::number_of, world::World};

/// A round to be assessed.
pub struct Closed {
    pub round: Round,
    pub probe: Hash,
    pub packets: Vec<Acceptance>,
    pub missing: Vec<VolunteerId>,
    /// Whose packet is another one's work, computed again.
    pub pairs: Vec<Pair>,
    /// What the fast checks found, for both who ask: they depend on nothing that can change in between.
    pub checked: OnceCell<Checked>,
}

/// What the fast checks found.
pub struct Checked {
    packets: Vec<Seen>,
    replicas: Vec<Replica>,
}

/// One packet as it was found.
struct Seen {
    acceptance: Acceptance,
    payload: Hash,
    update: SparseUpdate,
    data_of: VolunteerId,
    /// Absent where the packet is there twice, this being the one that was computed again.
    finding: Option<Finding>,
}

impl Closed {
    fn check(&self, world: &World) -> Checked {
        let received: Vec<(Acceptance, &Rc<[u8]>, SparseUpdate)> = self
            .packets
            .iter()
            .filter_map(|acceptance| {
                let (_, payload) = world.disk.packet(&acceptance.packet)?;
                Some((*acceptance, payload, world.task.decode(payload)))
            })
            .collect();
        let payload_of = |volunteer: &VolunteerId| {
            let mut packets = received.iter();
            packets.find_map(|(a, payload, _)| (a.volunteer == *volunteer).then_some(*payload))
        };
        let data_of = |volunteer: &VolunteerId| {
            let pair = self.pairs.iter().find(|pair| pair.by == *volunteer);
            pair.map_or(*volunteer, |pair| pair.of)
        };
        let is_second = |volunteer: &VolunteerId| {
            let of = data_of(volunteer);
            of != *volunteer && payload_of(&of).is_some()
        };
        // All devices are alike here: the same work gives the same bytes.
        let compared = |pair: &Pair| {
            let same = payload_of(&pair.of)? == payload_of(&pair.by)?;
            Some(Replica {
                of: pair.of,
                by: pair.by,
                agreement: match same {
                    true => Agreement::Agreed,
                    false => Agreement::Disputed,
                },
            })
        };
        let replicas: Vec<Replica> = self.pairs.iter().filter_map(compared).collect();
        let submitted: Vec<&SparseUpdate> = received
            .iter()
            .filter(|(acceptance, ..)| !is_second(&acceptance.volunteer))
            .map(|(.., update)| update)
            .collect();
        let last = self.round.0.checked_sub(1).map(Round);
        let last = last.and_then(|last| world.disk.record(last));
        let last = last.and_then(|record| world.disk.update(&record.update?));
        let last_round = last.map_or(Vec::new(), |update| decoded(world, &update.payloads));
        let mut findings = Checks::default()
            .judge(self.round.0, &submitted, &last_round)
            .into_iter();
        let mut finding = |volunteer: VolunteerId| {
            if is_second(&volunteer) {
                return None;
            }
            let mut finding = findings.next().unwrap_or(Finding::CLEAR);
            let disputed = |r: &Replica| r.of == volunteer && r.agreement == Agreement::Disputed;
            if replicas.iter().any(disputed) {
                finding.fault = finding.fault.or(Some(ExclusionReason::Disputed));
            }
            Some(finding)
        };
        let about: Vec<(Hash, VolunteerId, Option<Finding>)> = received
            .iter()
            .map(|(acceptance, payload, _)| {
                let volunteer = acceptance.volunteer;
                (Hash::of(payload), data_of(&volunteer), finding(volunteer))
            })
            .collect();
        let packets = received.into_iter().zip(about);
        let seen = |((acceptance, _, update), (payload, data_of, finding))| Seen {
            acceptance,
            payload,
            update,
            data_of,
            finding,
        };
        Checked {
            packets: packets.map(seen).collect(),
            replicas,
        }
    }
}

impl Process {
    /// The real checks on a round's packets and, with a book to take it all in, their losses.
    pub(super) fn assess(
        &mut self,
        world: &World,
        task: &Closed,
        mut book: Option<Book>,
    ) -> (Vec<Exclusion>, Vec<Replica>, Option<Book>) {
        let round = task.round;
        let checked = task.checked.get_or_init(|| task.check(world));
        let lesson = book.is_some().then(|| self.lesson(world, round));
        let trial = lesson.as_deref().map(|l| world.task.trial(l, &task.probe));
        let mut evidence: Vec<Evidence> = task
            .missing
            .iter()
            .map(|volunteer| Evidence {
                volunteer: *volunteer,
                work: Work::Missing,
            })
            .collect();
        let mut out = BTreeMap::new();
        for seen in &checked.packets {
            let volunteer = seen.acceptance.volunteer;
            let Some(finding) = seen.finding else {
                out.insert(volunteer, ExclusionReason::Replica);
                let work = Work::Recomputed;
                evidence.push(Evidence { volunteer, work });
                continue;
            };
            let payload = seen.payload;
            let screened = self.book.screen(round, &volunteer, &payload, &finding);
            if let Some(reason) = screened {
                out.insert(volunteer, reason);
            }
            let worker = number_of(&seen.data_of) as u64;
            let trial = trial.as_ref().filter(|_| screened.is_none());
            evidence.push(Evidence {
                volunteer,
                work: Work::Delivered(Delivered {
                    payload,
                    claimed: 1.0,
                    finding,
                    evaluation: trial.map(|trial| trial.evaluate(&seen.update, worker)),
                }),
            });
        }
        if let Some(book) = &mut book {
            let verdicts = book.observe(&rules(), round, &evidence);
            out.extend(verdicts.excluded);
        }
        let excluded = checked.packets.iter().filter_map(|seen| {
            Some(Exclusion {
                volunteer: seen.acceptance.volunteer,
                packet: seen.acceptance.packet,
                reason: *out.get(&seen.acceptance.volunteer)?,
            })
        });
        (excluded.collect(), checked.replicas.clone(), book)
    }
}
