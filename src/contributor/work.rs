//! One round of work: assigned data, inner steps, pseudo-gradient, commitment, upload, receipt.

use std::rc::Rc;

use covey_compression::Compressed;
use covey_protocol::{
    Hash, Identity, VolunteerId,
    http::{ErrorCode, RunInfo},
    packet::PacketHeader,
    record::{Commitment, Receipt},
    socket::ClientFrame,
};
use covey_training::{
    Device, TrainingError,
    data::Assignment,
    inner::{Finished, InnerLoop, OptimiserState, StepLoss},
    outer::pseudo_gradient,
};
use futures::{FutureExt, select_biased};
use thiserror::Error;

use super::{
    client::ClientError,
    follower::Follower,
    intents::{Message, ReceiptView},
    pacing::rest_ms,
    platform::{now_ms, sleep},
    progress::Progress,
    sample,
    shared::{OpenRound, Shared, Task},
    texts::Texts,
    view::State,
};

/// Inner steps between two reads of the losses.
const READ_EVERY: u32 = 5;
/// Milliseconds kept free before the deadline for reading the weights, compression and the commitment.
const UPLOAD_MS: f64 = 4_000.0;
/// Milliseconds after which a commitment without an answer is sent again.
const COMMIT_MS: f64 = 2_000.0;
/// Milliseconds between two progress frames.
const REPORT_MS: f64 = 2_000.0;

#[derive(Debug, Error)]
pub enum WorkError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error("not connected")]
    Disconnected,
}

/// How a round ended for this volunteer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// Refused or too late; the work is kept in the error feedback.
    Refused,
    /// Paused, stopped, or the round closed while training; the work is dropped.
    Interrupted,
}

/// Everything that stays from round to round.
pub struct Worker {
    shared: Rc<Shared>,
    info: Rc<RunInfo>,
    identity: Identity,
    pub texts: Texts,
    inner: InnerLoop,
    device: Device,
    pub sampler: sample::Samples,
    /// Measured milliseconds of an inner step, for stopping in time.
    step_ms: f64,
}

impl Worker {
    pub fn new(
        shared: Rc<Shared>,
        info: Rc<RunInfo>,
        identity: Identity,
        device: &Device,
        progress: &Progress,
    ) -> Result<Self, TrainingError> {
        Ok(Self {
            inner: InnerLoop::new(&info.spec, device, &progress.optimiser)?,
            sampler: sample::Samples::new(shared.clone(), info.clone(), device.clone()),
            device: device.clone(),
            shared,
            info,
            identity,
            texts: Texts::default(),
            step_ms: 0.0,
        })
    }

    /// Works on an open round whose base `follower` holds.
    pub async fn round(
        &mut self,
        open: OpenRound,
        follower: &Follower,
        progress: &mut Progress,
    ) -> Result<Outcome, WorkError> {
        let Some(theta) = follower.base_of(open.round) else {
            return Ok(Outcome::Interrupted);
        };
        let task = self.task(&open);
        let assignment = self.prepare(&open, &task.data_of).await?;
        self.shared.send(ClientFrame::Join { round: open.round });
        // The optimiser's memory sits out a round that starts from nothing.
        let kept = if task.fresh {
            let (spec, nothing) = (&self.info.spec, OptimiserState::default());
            let fresh = InnerLoop::new(spec, &self.device, &nothing)?;
            Some(std::mem::replace(&mut self.inner, fresh))
        } else {
            None
        };
        let trained = self.train(&open, &assignment, follower, theta).await;
        let steps = self.inner.steps();
        if let Some(kept) = kept {
            self.inner = kept;
        }
        let Some((finished, losses)) = trained? else {
            self.shared.send(ClientFrame::Leave);
            return Ok(Outcome::Interrupted);
        };
        let tokens = steps * self.info.spec.inner.batch * self.info.spec.model.context as u32;

        self.shared.enter(
            State::Uploading,
            format!(
                "Compressing and uploading the work of round {}.",
                open.round
            ),
        );
        sleep(0.0).await;
        let delta = pseudo_gradient(theta, &finished.theta)?;
        if progress.error_feedback.is_empty() {
            progress.error_feedback = vec![0.0; theta.len()];
        }
        let nothing = vec![0.0; if task.fresh { theta.len() } else { 0 }];
        let feedback = if task.fresh {
            &nothing
        } else {
            &progress.error_feedback
        };
        let Compressed {
            payload,
            mut sent_feedback,
            mut unsent_feedback,
            ..
        } = follower
            .codec
            .compress(&delta, feedback)
            .map_err(TrainingError::from)?;
        if task.data_of != self.identity.id() {
            // Somebody else's work is nothing we have left to send.
            sent_feedback.clone_from(&progress.error_feedback);
            unsent_feedback.clone_from(&progress.error_feedback);
        } else if task.fresh {
            // What was put aside before is still to be sent, after this round as it would be without it.
            let decay = self.info.spec.compression.feedback_decay;
            for next in [&mut sent_feedback, &mut unsent_feedback] {
                for (next, before) in next.iter_mut().zip(&progress.error_feedback) {
                    *next += decay * before;
                }
            }
        }
        let header = PacketHeader {
            run: self.info.run,
            volunteer: self.identity.id(),
            round: open.round,
            base: open.base,
            inner_steps: steps,
            tokens,
            first_loss: losses.first().map_or(0.0, |l| l.loss),
            last_loss: losses.last().map_or(0.0, |l| l.loss),
        };
        let packet = header
            .seal(&payload, &self.identity)
            .map_err(TrainingError::from)?;
        if !task.fresh {
            progress.optimiser = finished.optimiser;
        }
        match self.deliver(&open, &packet).await {
            Ok(receipt) => {
                progress.error_feedback = sent_feedback;
                progress.tokens += u64::from(tokens);
                progress.rounds += 1;
                self.accepted(progress, &receipt);
                Ok(Outcome::Accepted)
            }
            Err(refusal) => {
                // Nothing was sent as far as the run is concerned (spec 1.1).
                progress.error_feedback = unsent_feedback;
                let (code, message) = match refusal {
                    ClientError::Refused(body) => (body.code, body.message),
                    other => (ErrorCode::Unavailable, other.to_string()),
                };
                self.shared.tell(&Message::Rejected {
                    round: open.round,
                    code,
                    message,
                });
                Ok(Outcome::Refused)
            }
        }
    }

    fn accepted(&self, progress: &Progress, receipt: &Receipt) {
        self.shared.show(|view| {
            view.rounds_contributed = progress.rounds;
            view.tokens_total = progress.tokens;
        });
        self.shared.tell(&Message::Receipt {
            receipt: ReceiptView {
                round: receipt.round,
                packet: receipt.packet,
                tokens: receipt.tokens,
                received_at_ms: receipt.received_at_ms,
                partner: receipt.partner,
            },
        });
    }

    /// Inner steps until H, the deadline, or an interruption (`None`).
    async fn train(
        &mut self,
        open: &OpenRound,
        assignment: &Assignment,
        follower: &Follower,
        theta: &[f32],
    ) -> Result<Option<(Finished, Vec<StepLoss>)>, WorkError> {
        self.inner.begin(open.round, theta)?;
        let steps = self.info.spec.inner.steps;
        let step_tokens = (self.info.spec.inner.batch as usize * assignment.context()) as f64;
        let doing = if self.task(open).data_of == self.identity.id() {
            "Training"
        } else {
            "Computing somebody's work again, to check it, in"
        };
        let mut losses = Vec::new();
        let (mut since, mut unread, mut reported) = (now_ms(), 0u32, 0.0);
        while self.inner.steps() < steps {
            let step = self.inner.steps();
            self.shared.show(|view| view.step = step);
            self.shared.enter(
                State::Training,
                format!(
                    "{doing} round {}: step {} of {steps}.",
                    open.round,
                    step + 1
                ),
            );
            if self.interrupted(open) {
                return Ok(None);
            }
            if step > 0 && self.time_is_up(open) {
                break;
            }
            let begun = now_ms();
            self.inner
                .step(&assignment.batch(step as usize, &self.texts.shards)?);
            unread += 1;
            if unread == READ_EVERY || step == 0 || step + 1 == steps {
                let read = self.inner.read_losses().await?;
                let elapsed = (now_ms() - since).max(1.0);
                self.step_ms = elapsed / f64::from(unread);
                self.report_losses(open, &read);
                let speed = (step_tokens * f64::from(unread) / elapsed * 1000.0) as f32;
                self.shared.show(|view| view.tokens_per_second = speed);
                losses.extend(read);
                (since, unread) = (now_ms(), 0);
                if now_ms() - reported > REPORT_MS {
                    reported = now_ms();
                    self.shared.send(ClientFrame::Progress {
                        round: open.round,
                        step: step + 1,
                        loss: losses.last().map(|l| l.loss),
                        tokens_per_second: speed,
                    });
                }
            }
            // A macrotask between steps: messages, the socket and the volunteer get their turn.
            let rest = rest_ms(now_ms() - begun, self.shared.share.get());
            sleep(rest).await;
            self.sampler.serve(follower).await;
        }
        losses.extend(self.inner.read_losses().await?);
        Ok(Some((self.inner.finish().await?, losses)))
    }

    fn report_losses(&self, open: &OpenRound, losses: &[StepLoss]) {
        let spec = &self.info.spec;
        let step_tokens = u64::from(spec.inner.batch) * spec.model.context as u64;
        for StepLoss { step, loss } in losses {
            let step = open.round.0 * u64::from(spec.inner.steps) + u64::from(*step);
            self.shared.tell(&Message::Loss {
                step,
                loss: *loss,
                tokens: step * step_tokens,
            });
        }
    }

    fn interrupted(&self, open: &OpenRound) -> bool {
        self.shared.stopping.get()
            || !self.shared.pauses().is_empty()
            || self.shared.barred(open.round).is_some()
            || self.shared.open_round().is_none_or(|now| !now.is(open))
    }

    /// Whether another step would miss the deadline.
    fn time_is_up(&self, open: &OpenRound) -> bool {
        let deadline = self
            .shared
            .open_round()
            .and_then(|now| now.deadline_ms.filter(|_| now.round == open.round));
        deadline.is_some_and(|at| now_ms() + self.step_ms * 1.5 + UPLOAD_MS > at)
    }

    /// Commits to the packet, then uploads it, and does both again until there is a receipt, a refusal,
    /// or the round is over. A commitment that was acknowledged is answered at once the second time.
    async fn deliver(&self, open: &OpenRound, packet: &[u8]) -> Result<Receipt, ClientError> {
        let name = Hash::of(packet);
        let mut wait = 500.0;
        loop {
            let committed = self.commit(open, name).await;
            let reached = {
                let link = self.shared.link.borrow();
                // Whoever coordinates now signs the receipt.
                link.client.clone().zip(link.info.clone())
            };
            let result = match (committed, reached) {
                (Err(error), _) => Err(error),
                (Ok(()), Some((client, info))) => client.upload(packet, &info.coordinator).await,
                (Ok(()), None) => Err(ClientError::Network("not connected".into())),
            };
            let retry = match &result {
                Err(ClientError::Network(_) | ClientError::Timeout) => true,
                Err(ClientError::Refused(body)) => matches!(
                    body.code,
                    ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::NotCommitted
                ),
                _ => false,
            };
            if !retry || self.is_over(open) {
                return result;
            }
            sleep(wait).await;
            wait = (wait * 2.0).min(10_000.0);
        }
    }

    /// Gives the coordinator our word for one packet, and waits until it is durable there.
    async fn commit(&self, open: &OpenRound, packet: Hash) -> Result<(), ClientError> {
        let commitment = Commitment::sign(&self.info.run, open.round, packet, &self.identity);
        self.shared.link.borrow_mut().commitment = None;
        self.shared.send(ClientFrame::Commit {
            round: open.round,
            packet,
            signature: commitment.signature,
        });
        let asked_at = now_ms();
        loop {
            let answer = self.shared.link.borrow().commitment.clone();
            if let Some((_, answer)) = answer.filter(|(name, _)| *name == packet) {
                return answer.map_err(ClientError::Refused);
            }
            if self.is_over(open) || now_ms() - asked_at > COMMIT_MS {
                return Err(ClientError::Timeout);
            }
            // The link wakes the session with every answer; a lost one is asked for again.
            let mut woken = Box::pin(self.shared.changed.wait().fuse());
            let mut later = Box::pin(sleep(COMMIT_MS).fuse());
            select_biased! {
                () = woken => {}
                () = later => {}
            }
        }
    }

    /// What the coordinator asked for in this round, or the usual.
    fn task(&self, open: &OpenRound) -> Task {
        let told = self.shared.link.borrow().task;
        told.filter(|task| task.round == open.round)
            .unwrap_or(Task {
                round: open.round,
                data_of: self.identity.id(),
                fresh: false,
            })
    }

    fn is_over(&self, open: &OpenRound) -> bool {
        let now = self.shared.open_round();
        self.shared.stopping.get() || now.is_some_and(|now| !now.is(open))
    }

    /// The round's assignment, with its shards fetched.
    async fn prepare(
        &mut self,
        open: &OpenRound,
        data_of: &VolunteerId,
    ) -> Result<Assignment, WorkError> {
        let client = self
            .shared
            .link
            .borrow()
            .client
            .clone()
            .ok_or(WorkError::Disconnected)?;
        let spec = &self.info.spec;
        let manifest = self.texts.manifest(&client, spec).await?;
        let assignment = Assignment::new(spec, &manifest, &open.seed, data_of, open.round)?;
        let shared = &self.shared;
        let fetching = || shared.enter(State::Waiting, "Fetching the text to train on.");
        self.texts
            .fetch(&client, &manifest, &assignment.shards, fetching)
            .await?;
        Ok(assignment)
    }
}
