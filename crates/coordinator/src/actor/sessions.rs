//! Control sockets as the actor sees them: a name and a bounded queue of frames.
//!
//! The actor never waits for a socket. A queue that is full belongs to a volunteer that does not read;
//! it is dropped, and the volunteer finds the run again by reconnecting.

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use covey_protocol::{VolunteerId, http::ErrorCode, socket::ServerFrame};
use tokio::sync::mpsc;

/// Frames that may wait for one socket.
pub const QUEUE: usize = 64;

/// Names one connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

/// Where to send a session's frames; dropping it closes the socket after what is queued.
pub type Outbox = mpsc::Sender<Utf8Bytes>;

struct Session {
    id: SessionId,
    outbox: Outbox,
}

/// One session per identity.
#[derive(Default)]
pub struct Sessions {
    all: BTreeMap<VolunteerId, Session>,
    /// Sessions that had to be dropped since [`take_dropped`](Self::take_dropped).
    dropped: Vec<VolunteerId>,
}

/// A frame, serialised once for everyone.
#[must_use]
pub fn text(frame: &ServerFrame) -> Utf8Bytes {
    Utf8Bytes::from(frame.to_json())
}

impl Sessions {
    /// Adds a session; an older one of the same identity is told and closed. Whoever was dropped and comes
    /// back is here: its end would be taken for the new session's.
    pub fn insert(&mut self, volunteer: VolunteerId, id: SessionId, outbox: Outbox) {
        self.dropped.retain(|dropped| *dropped != volunteer);
        if let Some(older) = self.all.insert(volunteer, Session { id, outbox }) {
            let denied = ServerFrame::Denied {
                code: ErrorCode::Replaced,
                message: "This identity has connected from somewhere else, which now goes on in \
                          its name."
                    .into(),
            };
            // A full queue has lost its reader; closing is all that is left to do.
            let _ = older.outbox.try_send(text(&denied));
        }
    }

    /// Removes a session if it is the current one of its identity.
    pub fn remove(&mut self, volunteer: &VolunteerId, id: SessionId) -> bool {
        let current = self.is_current(volunteer, id);
        if current {
            self.all.remove(volunteer);
        }
        current
    }

    #[must_use]
    pub fn is_current(&self, volunteer: &VolunteerId, id: SessionId) -> bool {
        self.all
            .get(volunteer)
            .is_some_and(|session| session.id == id)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn send(&mut self, volunteer: &VolunteerId, frame: Utf8Bytes) {
        let full = self
            .all
            .get(volunteer)
            .is_some_and(|session| session.outbox.try_send(frame).is_err());
        if full {
            self.all.remove(volunteer);
            self.dropped.push(*volunteer);
        }
    }

    pub fn broadcast(&mut self, frame: &Utf8Bytes) {
        let dropped = &mut self.dropped;
        self.all.retain(|volunteer, session| {
            let kept = session.outbox.try_send(frame.clone()).is_ok();
            if !kept {
                dropped.push(*volunteer);
            }
            kept
        });
    }

    /// Volunteers whose sessions were dropped because they did not read.
    pub fn take_dropped(&mut self) -> Vec<VolunteerId> {
        std::mem::take(&mut self.dropped)
    }

    /// Ends every session with a frame of its own, in the order of identities.
    pub fn close_all(&mut self, farewell: impl Fn(usize) -> ServerFrame) {
        for (number, session) in std::mem::take(&mut self.all).into_values().enumerate() {
            let _ = session.outbox.try_send(text(&farewell(number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volunteer(n: u8) -> VolunteerId {
        VolunteerId([n; 32])
    }

    #[tokio::test]
    async fn a_newer_session_of_an_identity_closes_the_older() {
        let mut sessions = Sessions::default();
        let (older, mut older_frames) = mpsc::channel(QUEUE);
        let (newer, mut newer_frames) = mpsc::channel(QUEUE);
        sessions.insert(volunteer(1), SessionId(1), older);
        sessions.insert(volunteer(1), SessionId(2), newer);
        let told = older_frames.recv().await.expect("a farewell");
        assert!(told.contains("replaced"));
        assert!(older_frames.recv().await.is_none(), "closed");
        assert!(
            !sessions.remove(&volunteer(1), SessionId(1)),
            "the older one's end is of no interest"
        );
        sessions.send(&volunteer(1), Utf8Bytes::from("hello"));
        assert_eq!(newer_frames.recv().await.as_deref(), Some("hello"));
    }

    #[tokio::test]
    async fn who_comes_back_before_its_end_was_noticed_is_not_gone() {
        let mut sessions = Sessions::default();
        for n in [1, 2] {
            let (ended, _) = mpsc::channel(QUEUE);
            sessions.insert(volunteer(n), SessionId(n.into()), ended);
        }
        sessions.broadcast(&Utf8Bytes::from("frame"));
        let (back, _frames) = mpsc::channel(QUEUE);
        sessions.insert(volunteer(1), SessionId(3), back);
        assert_eq!(sessions.take_dropped(), [volunteer(2)]);
        assert!(sessions.is_current(&volunteer(1), SessionId(3)));
    }

    #[tokio::test]
    async fn a_session_that_does_not_read_is_dropped_and_others_are_not() {
        let mut sessions = Sessions::default();
        let (slow, _slow_frames) = mpsc::channel(2);
        let (fast, mut fast_frames) = mpsc::channel(8);
        sessions.insert(volunteer(1), SessionId(1), slow);
        sessions.insert(volunteer(2), SessionId(2), fast);
        for _ in 0..3 {
            sessions.broadcast(&Utf8Bytes::from("frame"));
        }
        assert_eq!(sessions.take_dropped(), [volunteer(1)]);
        assert_eq!(sessions.take_dropped(), []);
        assert_eq!(sessions.len(), 1);
        for _ in 0..3 {
            assert!(fast_frames.recv().await.is_some());
        }
    }
}
