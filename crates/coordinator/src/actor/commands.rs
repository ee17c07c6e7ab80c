//! What gateways ask, one function each.

use std::time::Duration;

use covey_protocol::{
    Hash, VolunteerId,
    http::{ErrorBody, ErrorCode},
    record::Commitment,
    socket::{Backend, ClientFrame, ServerFrame},
};
use covey_rounds::{Event, Phase, Submission, Ticket};

use super::{
    Command, Coordinator, Inspection, Upload,
    sessions::{Outbox, SessionId, text},
    stopping::farewell,
};

impl Coordinator {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Connect {
                volunteer,
                session,
                backend,
                accepted,
                outbox,
            } => self.connect(volunteer, session, backend, accepted, outbox),
            Command::Disconnect { volunteer, session } => {
                if self.sessions.remove(&volunteer, session) {
                    self.step(Event::Disconnected { volunteer });
                }
            }
            Command::Frame {
                volunteer,
                session,
                frame,
            } => {
                if self.sessions.is_current(&volunteer, session) {
                    self.frame(volunteer, frame);
                }
            }
            Command::Submit {
                submission,
                sealed,
                answer,
            } => self.submit(submission, Upload { sealed, answer }),
            Command::Altered(name) => self.altered(name),
            Command::Inspect(answer) => {
                // The operator may have closed the page.
                let _ = answer.send(self.inspect());
            }
            Command::Stop(stopped) => self.stop(stopped),
        }
    }

    fn connect(
        &mut self,
        volunteer: VolunteerId,
        session: SessionId,
        backend: Backend,
        accepted: u64,
        outbox: Outbox,
    ) {
        if self.stopped.is_some() {
            let _ = outbox.try_send(text(&farewell(0, 1, 0)));
            return;
        }
        self.sessions.insert(volunteer, session, outbox);
        let info = &self.published.info;
        let welcome = self.welcome.get_or_insert_with(|| {
            text(&ServerFrame::Welcome {
                run: Box::new((**info.load()).clone()),
            })
        });
        self.sessions.send(&volunteer, welcome.clone());
        self.step(Event::Connected {
            volunteer,
            backend,
            accepted,
        });
    }

    fn frame(&mut self, volunteer: VolunteerId, frame: ClientFrame) {
        let event = match frame {
            // The gateway answers a second hello and takes statements itself.
            ClientFrame::Hello { .. } | ClientFrame::Witness { .. } => return,
            ClientFrame::Join { round } => Event::Join { volunteer, round },
            ClientFrame::Leave => Event::Leave { volunteer },
            ClientFrame::Progress {
                round,
                tokens_per_second,
                ..
            } => Event::Progress {
                volunteer,
                round,
                tokens_per_second,
            },
            ClientFrame::Applied { round, theta } => Event::Applied {
                volunteer,
                round,
                theta,
            },
            ClientFrame::Commit {
                round,
                packet,
                signature,
            } => Event::Commit {
                round,
                commitment: Commitment {
                    volunteer,
                    packet,
                    signature,
                },
            },
        };
        self.step(event);
    }

    fn submit(&mut self, submission: Submission, upload: Upload) {
        if self.stopped.is_some() {
            let message = "The coordinator is stopping; send the packet again when it is back.";
            let body = ErrorBody::new(ErrorCode::Unavailable, message);
            let _ = upload.answer.send(Err(body));
            return;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket = self.next_ticket.wrapping_add(1);
        self.uploads.insert(ticket, upload);
        self.step(Event::Submitted(Submission {
            ticket,
            ..submission
        }));
    }

    /// What is lost on disk is still in memory: newcomers and the next start need nothing that is older
    /// than a checkpoint of now.
    fn altered(&mut self, name: Hash) {
        let round = self.machine.round();
        let newest = self.checkpoints.last();
        if newest.is_none_or(|newest| newest.round < round || newest.theta == name) {
            self.checkpoint(round);
        }
    }

    fn inspect(&mut self) -> Inspection {
        self.forget_old_rounds();
        let (phase, remaining_ms) = match self.machine.phase() {
            Phase::Idle => ("waiting for volunteers", None),
            Phase::Collecting { deadline_ms } => (
                "collecting",
                Some(deadline_ms.saturating_sub(self.clock.now_ms())),
            ),
            Phase::Draining => ("storing the last packets", None),
            Phase::Assessing { .. } => ("trying the packets", None),
            Phase::Merging(attempt) if attempt.failures > 0 => ("merge failed, trying again", None),
            Phase::Merging(_) => ("merging", None),
            Phase::Recording { attempt, .. } if attempt.failures > 0 => {
                ("record failed, trying again", None)
            }
            Phase::Recording { .. } => ("recording", None),
        };
        Inspection {
            round: self.machine.round(),
            phase,
            remaining_ms,
            volunteers: self.sessions.len(),
            joined: self.machine.joined(),
            contributions: self.machine.contributions(),
            rounds_last_hour: self.recorded_at.len(),
            presence: self.machine.presence(),
            uptime: self.clock.uptime(),
        }
    }

    pub(super) fn forget_old_rounds(&mut self) {
        let hour = Duration::from_secs(3600);
        while self
            .recorded_at
            .front()
            .is_some_and(|at| at.elapsed() > hour)
        {
            self.recorded_at.pop_front();
        }
    }
}
