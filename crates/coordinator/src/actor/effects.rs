//! From the machine's effects to frames, answers and jobs, and from jobs' outcomes back to events.

use std::{sync::Arc, time::Instant};

use covey_protocol::{
    Hash, Round, SignatureBytes,
    http::{ErrorBody, HeldOut},
    record::{Receipt, Replica, RoundRecord},
    socket::ServerFrame,
};
use covey_rounds::{Acceptance, Audience, Effect, Event, Ticket};

use super::{Answer, Coordinator, Outcome, assess::Task, sessions::text};
use crate::metrics::{IN, seconds};

impl Coordinator {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Pledge(pledge) => self.jobs.pledge(pledge),
            Effect::Committed {
                volunteer,
                round,
                packet,
            } => {
                let frame = ServerFrame::Committed { round, packet };
                self.sessions.send(&volunteer, text(&frame));
            }
            Effect::NotCommitted {
                volunteer,
                round,
                packet,
                code,
                message,
            } => {
                self.metrics.bad_frame(code);
                let frame = ServerFrame::NotCommitted {
                    round,
                    packet,
                    code,
                    message,
                };
                self.sessions.send(&volunteer, text(&frame));
            }
            Effect::Store { ticket, acceptance } => {
                // The bytes came with this very ticket, which has no answer yet.
                if let Some(upload) = self.uploads.get(&ticket) {
                    self.metrics.transferred(&IN, upload.sealed.len() as u64);
                    self.jobs.store(acceptance, upload.sealed.clone());
                }
            }
            Effect::Receipt {
                tickets,
                acceptance,
            } => self.receipt(tickets, &acceptance),
            Effect::Reject {
                ticket,
                code,
                message,
            } => {
                self.metrics.reject(code);
                self.answer(ticket, Err(ErrorBody::new(code, message)));
            }
            Effect::Assess {
                round,
                seed,
                probe,
                packets,
                missing,
                replicas,
                ..
            } => self.assess(Task {
                round,
                seed,
                probe,
                packets,
                missing,
                replicas,
            }),
            Effect::Task {
                volunteer,
                round,
                task,
            } => {
                let frame = ServerFrame::Task {
                    round,
                    data_of: task.data_of,
                    fresh: task.fresh,
                };
                self.sessions.send(&volunteer, text(&frame));
            }
            Effect::Merge {
                round,
                base,
                packets,
            } => {
                self.note_unassessed();
                let weights = Arc::clone(&self.weights);
                self.jobs
                    .merge(self.engine.clone(), weights, round, base, packets);
            }
            Effect::Record(record) => self.record(record),
            Effect::Closed { round } => self.closed(round),
            Effect::Opened {
                to,
                round,
                seed,
                base,
                remaining_ms,
            } => self.opened(to, round, seed, base, remaining_ms),
            Effect::Checkpoint { round, .. } => self.checkpoint(round),
            Effect::Resync { volunteer } => {
                let Some(checkpoint) = self.checkpoints.last().copied() else {
                    return;
                };
                tracing::warn!(%volunteer, "other weights than the run's; resynchronises");
                let frame = ServerFrame::Resync { checkpoint };
                self.sessions.send(&volunteer, text(&frame));
            }
            Effect::Presence { total, volunteers } => {
                let frame = ServerFrame::Presence { total, volunteers };
                self.sessions.broadcast(&text(&frame));
            }
            Effect::Refuse {
                volunteer,
                code,
                message,
            } => {
                self.metrics.bad_frame(code);
                let frame = ServerFrame::Error { code, message };
                self.sessions.send(&volunteer, text(&frame));
            }
        }
    }

    /// Keeps the base of the open round.
    pub(super) fn checkpoint(&mut self, round: Round) {
        let mut known = self.checkpoints.clone();
        known.retain(|known| known.round != round);
        let weights = Arc::clone(&self.weights);
        self.jobs
            .checkpoint(round, weights, known, self.checkpoints_kept);
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some(upload) = self.uploads.remove(&ticket) {
            // The sender may have gone; its packet counts all the same, and it may ask again.
            let _ = upload.answer.send(answer);
        }
    }

    fn receipt(&mut self, tickets: Vec<Ticket>, acceptance: &Acceptance) {
        let receipt = Receipt {
            run: self.engine.run(),
            round: acceptance.round,
            volunteer: acceptance.volunteer,
            packet: acceptance.packet,
            tokens: acceptance.tokens,
            received_at_ms: acceptance.received_at_ms,
            partner: acceptance.partner,
            signature: SignatureBytes([0; 64]),
        }
        .sign(&self.identity);
        for ticket in tickets {
            self.answer(ticket, Ok(receipt.clone()));
        }
    }

    fn record(&mut self, record: RoundRecord) {
        let signed = match &self.recording {
            Some(signed) if signed.record == record => Arc::clone(signed),
            _ => Arc::new(record.sign(&self.identity)),
        };
        self.note_unassessed();
        self.recording = Some(Arc::clone(&signed));
        self.jobs.record(signed, self.judged.clone());
    }

    fn closed(&mut self, round: Round) {
        let Some(signed) = self.recording.take() else {
            return;
        };
        let record = &signed.record;
        let contributions = record.contributions.len();
        for exclusion in &record.excluded {
            let (volunteer, reason) = (exclusion.volunteer, exclusion.reason.name());
            tracing::info!(%round, %volunteer, reason, "packet left out of the merge");
            let label = exclusion.reason.into();
            self.metrics.excluded.get_or_create(&label).inc();
        }
        for Replica { of, by, agreement } in &record.replicas {
            tracing::info!(%round, %of, %by, ?agreement, "work computed twice");
        }
        let took = self.window_started.take().map(|at| at.elapsed());
        if let Some(took) = took {
            self.metrics.round_seconds.observe(seconds(took));
        }
        self.metrics.rounds.inc();
        self.recorded_at.push_back(Instant::now());
        self.forget_old_rounds();
        tracing::info!(
            %round,
            contributions,
            excluded = record.excluded.len(),
            theta = %record.theta_after,
            seconds = took.map(seconds),
            "round closed"
        );
        if let Some(theta) = self.merged.take() {
            self.weights = theta;
        }
        let (next, weights) = (self.machine.round(), Arc::clone(&self.weights));
        self.published.weights.store(Arc::new((next, weights)));
        self.publish();
        self.turn_page();
        let frame = ServerFrame::RoundClosed {
            record: Box::new((*signed).clone()),
        };
        self.sessions.broadcast(&text(&frame));
        if contributions == 0 {
            self.metrics.empty_rounds.inc();
        } else {
            self.evaluate();
        }
    }

    fn opened(
        &mut self,
        to: Audience,
        round: Round,
        seed: Hash,
        base: Hash,
        remaining_ms: Option<u64>,
    ) {
        let frame = text(&ServerFrame::RoundOpened {
            round,
            seed,
            base,
            inner_steps: self.engine.spec().inner.steps,
            remaining_ms,
        });
        match to {
            Audience::Everyone => self.sessions.broadcast(&frame),
            Audience::One(volunteer) => self.sessions.send(&volunteer, frame),
        }
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) {
        if let Outcome::Meanwhile(event) = outcome {
            self.step(event);
            return;
        }
        self.jobs.closed();
        match outcome {
            Outcome::Event(event) => {
                if matches!(event, Event::Stored { .. }) {
                    self.metrics.accepted.inc();
                }
                self.step(event);
            }
            Outcome::Merged { theta, event } => {
                self.merged = Some(theta);
                self.step(event);
            }
            Outcome::Checkpointed {
                checkpoint,
                removed,
            } => {
                self.checkpoints.retain(|known| {
                    !removed.contains(&known.round) && known.round != checkpoint.round
                });
                self.checkpoints.push(checkpoint);
                self.checkpoints.sort_by_key(|known| known.round);
                self.publish();
            }
            Outcome::Assessed { book, event } => self.assessed(book, event),
            Outcome::Meanwhile(_) | Outcome::Done => {}
        }
    }

    /// Hands the newest weights to the evaluation.
    pub(super) fn evaluate(&mut self) {
        if let Some(evaluation) = &self.evaluation {
            evaluation.send_replace(Some((self.machine.round(), Arc::clone(&self.weights))));
        }
    }

    /// After a start: measures the weights unless that was done before.
    pub(super) fn evaluate_unless_known(&mut self) {
        if let Some(last) = self.held_out.last() {
            self.metrics.held_out_loss.set(f64::from(last.loss));
        }
        let round = self.machine.round();
        if self.held_out.last().map(|last| last.round) != Some(round) {
            self.evaluate();
        }
    }

    pub(super) fn measured(&mut self, held_out: HeldOut) {
        let HeldOut { round, loss } = held_out;
        tracing::info!(%round, loss, "held-out loss");
        self.metrics.held_out_loss.set(f64::from(loss));
        self.held_out.retain(|known| known.round != round);
        self.held_out.push(held_out);
        self.jobs.held_out(held_out);
        self.publish();
        let frame = ServerFrame::HeldOut { held_out };
        self.sessions.broadcast(&text(&frame));
    }
}
