//! The real checks on a round's packets and what they do to the loss, as the server's scoring workers find it.

use std::{collections::BTreeMap, rc::Rc};

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
}

impl Process {
    /// The real checks on a round's packets and, with a book to take it all in, their losses.
    pub(super) fn assess(
        &self,
        world: &World,
        task: &Closed,
        mut book: Option<Book>,
    ) -> (Vec<Exclusion>, Vec<Replica>, Option<Book>) {
        let round = task.round;
        let received: Vec<(Acceptance, &Rc<[u8]>, SparseUpdate)> = task
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
            let pair = task.pairs.iter().find(|pair| pair.by == *volunteer);
            pair.map_or(*volunteer, |pair| pair.of)
        };
        // A packet that is there twice, this being the one that was computed again.
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
        let replicas: Vec<Replica> = task.pairs.iter().filter_map(compared).collect();
        let submitted: Vec<&SparseUpdate> = received
            .iter()
            .filter(|(acceptance, ..)| !is_second(&acceptance.volunteer))
            .map(|(.., update)| update)
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
        let mut findings = findings.into_iter();
        for (acceptance, payload, update) in &received {
            let volunteer = acceptance.volunteer;
            if is_second(&volunteer) {
                out.insert(volunteer, ExclusionReason::Replica);
                let work = Work::Recomputed;
                evidence.push(Evidence { volunteer, work });
                continue;
            }
            let mut finding = findings.next().unwrap_or(Finding::CLEAR);
            let disputed = |r: &Replica| r.of == volunteer && r.agreement == Agreement::Disputed;
            if replicas.iter().any(disputed) {
                finding.fault = finding.fault.or(Some(ExclusionReason::Disputed));
            }
            let payload = Hash::of(payload);
            let screened = self.book.screen(round, &volunteer, &payload, &finding);
            if let Some(reason) = screened {
                out.insert(volunteer, reason);
            }
            let worker = number_of(&data_of(&volunteer)) as u64;
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
            out.extend(verdicts.excluded);
        }
        let excluded = received.iter().filter_map(|(acceptance, ..)| {
            Some(Exclusion {
                volunteer: acceptance.volunteer,
                packet: acceptance.packet,
                reason: *out.get(&acceptance.volunteer)?,
            })
        });
        (excluded.collect(), replicas, book)
    }
}
