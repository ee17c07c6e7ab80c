//! Who is connected and what they do: for show, and for knowing whom a round may wait for.
//!
//! Bounded: beyond [`Settings::max_members`](crate::Settings) a volunteer may still take part, but is
//! neither listed nor waited for, so a crowd of throw-away identities cannot grow the coordinator.

use std::collections::BTreeMap;

use covey_protocol::{
    VolunteerId,
    limits::MAX_PRESENCE,
    socket::{Activity, Backend, Presence},
};

/// Presence is announced at most this often.
pub(crate) const ANNOUNCE_EVERY_MS: u64 = 2_000;

/// Speeds above this are a mistake or a boast.
const FASTEST: f32 = 1e9;

#[derive(Clone, Debug, PartialEq)]
struct Member {
    backend: Backend,
    tokens_per_second: f32,
    accepted: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    all: BTreeMap<VolunteerId, Member>,
    limit: usize,
    changed: bool,
    announced_at_ms: u64,
}

impl Members {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub fn connect(&mut self, volunteer: VolunteerId, backend: Backend, accepted: u64) {
        if self.all.len() < self.limit || self.all.contains_key(&volunteer) {
            let member = Member {
                backend,
                tokens_per_second: 0.0,
                accepted,
            };
            self.all.insert(volunteer, member);
            self.changed = true;
        }
    }

    pub fn disconnect(&mut self, volunteer: &VolunteerId) {
        self.changed |= self.all.remove(volunteer).is_some();
    }

    pub fn contains(&self, volunteer: &VolunteerId) -> bool {
        self.all.contains_key(volunteer)
    }

    pub fn ids(&self) -> impl Iterator<Item = &VolunteerId> {
        self.all.keys()
    }

    pub fn backend(&self, volunteer: &VolunteerId) -> Option<Backend> {
        self.all.get(volunteer).map(|member| member.backend)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn speed(&mut self, volunteer: &VolunteerId, tokens_per_second: f32) {
        if let Some(member) = self.all.get_mut(volunteer)
            && tokens_per_second.is_finite()
        {
            member.tokens_per_second = tokens_per_second.clamp(0.0, FASTEST);
            self.changed = true;
        }
    }

    pub fn accepted(&mut self, volunteer: &VolunteerId) {
        if let Some(member) = self.all.get_mut(volunteer) {
            member.accepted = member.accepted.saturating_add(1);
            self.changed = true;
        }
    }

    /// Activities changed.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    pub fn due_ms(&self) -> Option<u64> {
        self.changed
            .then(|| self.announced_at_ms.saturating_add(ANNOUNCE_EVERY_MS))
    }

    /// The list, if it changed and the last one is old enough.
    pub fn announce(
        &mut self,
        now_ms: u64,
        activity: impl Fn(&VolunteerId) -> Activity,
    ) -> Option<Vec<Presence>> {
        if self.due_ms().is_none_or(|due| now_ms < due) {
            return None;
        }
        self.changed = false;
        self.announced_at_ms = now_ms;
        Some(self.list(activity))
    }

    pub fn list(&self, activity: impl Fn(&VolunteerId) -> Activity) -> Vec<Presence> {
        let show = |(volunteer, member): (&VolunteerId, &Member)| Presence {
            volunteer: *volunteer,
            backend: member.backend,
            activity: activity(volunteer),
            tokens_per_second: member.tokens_per_second,
            accepted: member.accepted,
        };
        self.all.iter().take(MAX_PRESENCE).map(show).collect()
    }
}
