//! Public notices: everything that will happen later and that somebody may want to act on before.
//!
//! A notice is part of the state from the moment the thing is announced, with the first height at which
//! it takes effect. What a reader would get wrong: a notice is never edited or removed by anyone; it is
//! closed by what happened, and closed ones stay for a while so that a wallet opened late still shows
//! them. (The journal keeps them for ever.)

use covey_protocol::{Hash, PartnerId};
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    governance::Effect,
    map::Map,
    units::{Alpha, Height, NetUid},
};

/// Closed notices are forgotten by the state after so many blocks (about a month).
const REMEMBERED: u64 = 216_000;

/// Something announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its number; higher is newer.
    pub id: u64,
    /// When it was announced.
    pub announced: Height,
    /// First height at which it has an effect.
    pub earliest: Option<Height>,
    /// Whether the account it concerns is an insider: the subnet's owner or a role holder.
    pub insider: bool,
    pub subject: Subject,
    pub status: Status,
}

/// What was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Locked alpha will become liquid from `earliest` on, all of it at `end`.
    Unlock {
        netuid: NetUid,
        coldkey: AccountId,
        amount: Alpha,
        end: Height,
    },
    /// A lock will begin to decay at `earliest`.
    Decay {
        netuid: NetUid,
        coldkey: AccountId,
        mass: Alpha,
    },
    /// Locked alpha went to another coldkey with its conviction.
    LockedTransfer {
        netuid: NetUid,
        from: AccountId,
        to: AccountId,
        amount: Alpha,
    },
    /// A hotkey passed the gate and will own the subnet if it stays above.
    Takeover { netuid: NetUid, king: AccountId },
    /// A privileged change was proposed.
    Governance {
        proposal: u64,
        effect: Effect,
        reason: Hash,
    },
    /// A coldkey will move everything it has to another.
    ColdkeySwap { coldkey: AccountId },
    /// Somebody gave up a role.
    Resignation { holder: AccountId, role: String },
    /// The operator suspended a partner of the run, or restored it.
    Partnership { partner: PartnerId, suspended: bool },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Still to come.
    Pending,
    /// It happened.
    Done { at: Height },
    /// It will not happen.
    Void { at: Height },
}

/// Every notice that is pending or was closed lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    next: u64,
    all: Map<u64, Notice>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            next: 0,
            all: Map::new_sync(),
        }
    }
}

impl Notices {
    /// Adds a notice; gives its number.
    pub fn announce(
        &mut self,
        announced: Height,
        earliest: Option<Height>,
        insider: bool,
        subject: Subject,
    ) -> u64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let status = match subject {
            Subject::LockedTransfer { .. }
            | Subject::Resignation { .. }
            | Subject::Partnership { .. } => Status::Done { at: announced },
            _ => Status::Pending,
        };
        let notice = Notice {
            id,
            announced,
            earliest,
            insider,
            subject,
            status,
        };
        self.all.insert_mut(id, notice);
        id
    }

    /// Says when an announced change takes effect, once that is known.
    pub fn schedule(&mut self, id: u64, earliest: Height) {
        if let Some(notice) = self.all.get_mut(&id) {
            notice.earliest = Some(earliest);
        }
    }

    /// Takes a height back that no longer holds: the announced change is not certain any more.
    pub fn unschedule(&mut self, id: u64) {
        if let Some(notice) = self.all.get_mut(&id) {
            notice.earliest = None;
        }
    }

    /// Closes a notice.
    pub fn close(&mut self, id: u64, status: Status) {
        if let Some(notice) = self.all.get_mut(&id) {
            notice.status = status;
        }
    }

    /// One notice.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Notice> {
        self.all.get(&id)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Notice> {
        self.all.values()
    }

    /// Closes what has run out by itself and forgets what closed long ago.
    pub(crate) fn sweep(&mut self, now: Height) {
        let mut changes = Vec::new();
        for notice in self.all.values() {
            match (&notice.status, &notice.subject) {
                (Status::Pending, Subject::Unlock { end, .. }) if *end <= now => {
                    changes.push((notice.id, Some(Status::Done { at: *end })));
                }
                (Status::Pending, Subject::Decay { .. }) => {
                    if let Some(earliest) = notice.earliest.filter(|earliest| *earliest <= now) {
                        changes.push((notice.id, Some(Status::Done { at: earliest })));
                    }
                }
                (Status::Done { at } | Status::Void { at }, _)
                    if at.saturating_add(REMEMBERED) < now =>
                {
                    changes.push((notice.id, None));
                }
                _ => {}
            }
        }
        for (id, status) in changes {
            match status {
                Some(status) => self.close(id, status),
                None => {
                    self.all.remove_mut(&id);
                }
            }
        }
    }
}
