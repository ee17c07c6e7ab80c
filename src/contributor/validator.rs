//! Validating: a tab whose key has stake scores other volunteers' packets between rounds, and says on the
//! ledger what it thinks of them (training spec, section 2; economics, section 3).
//!
//! 1. [`Follower`] keeps the base and the packets of the round that it applied last.
//! 2. The coordinator tells which of them to score; they are tried on this device by the same code as the
//!    coordinator's, on the contributors' own data and on held-out text, and signed as one sheet.
//! 3. Once in an epoch the tab sets its weights. They are made from its own public sheets and from nothing
//!    else, so a reload forgets nothing.
//!
//! What a reader would get wrong: the key signs two things here, sheets and `set_weights` of this run, and
//! the page can ask for neither. No action that moves money is ever made in this module.

use std::{collections::BTreeMap, rc::Rc};

use covey_compression::{ModelCodec, SparseUpdate};
use covey_ledger::{AccountId, call::SignedAction, genesis::RUN};
use covey_protocol::{
    Hash, Identity, Round,
    http::RunInfo,
    packet::Packet,
    update,
    validation::{Assignment, Loss, Losses, Scored, Sheet, Standing},
};
use covey_scoring::{
    Rules,
    loss::EVALUATION_SHARE,
    validation::{Opinion, SPEAKS_AFTER, probe},
};
use covey_training::{
    Device, TrainingError,
    assess::{Assessor, Measured, Trial, held_out_sample, sequences_for},
    data::{Assignment as Data, Batch},
};

use super::{
    client::Client,
    follower::{Applied, Follower},
    pacing::rest_ms,
    platform::{now_ms, sleep},
    shared::Shared,
    texts::{Texts, tokens},
    view::State,
    work::WorkError,
};

/// Milliseconds after which a validator looks at its standing although no round has closed.
const LOOK_MS: f64 = 15_000.0;
/// Blocks for which a signed action is good.
const LIFETIME: u64 = 50;

pub struct Validator {
    shared: Rc<Shared>,
    info: Rc<RunInfo>,
    identity: Identity,
    device: Device,
    assessor: Option<Assessor>,
    rules: Rules,
    looked_ms: f64,
    opinion: Opinion,
    /// Where the list of its own sheets goes on.
    next: Round,
    /// Rounds in the opinion when it was last said.
    said: u64,
}

impl Validator {
    pub fn new(shared: Rc<Shared>, info: Rc<RunInfo>, identity: Identity, device: &Device) -> Self {
        let rules = Rules {
            gather: info.spec.rounds.max_contributions as usize,
            ..Rules::default()
        };
        Self {
            shared,
            info,
            identity,
            device: device.clone(),
            assessor: None,
            rules,
            looked_ms: f64::NEG_INFINITY,
            opinion: Opinion::default(),
            next: Round(0),
            said: 0,
        }
    }

    /// Scores the round that was applied last, if that is asked of this key, and says what is new. What
    /// goes wrong is shown and tried again with the next round; training does not wait for it.
    ///
    /// # Errors
    /// Only when the device fails.
    pub async fn turn(
        &mut self,
        follower: &mut Follower,
        texts: &mut Texts,
    ) -> Result<(), WorkError> {
        if !self.shared.validate.get() {
            self.assessor = None;
            self.looked_ms = f64::NEG_INFINITY;
            return Ok(());
        }
        match self.look(follower, texts).await {
            Err(WorkError::Training(TrainingError::Device(detail))) => {
                Err(TrainingError::Device(detail).into())
            }
            Err(error) => {
                log::warn!("validating: {error}");
                let words = format!("It did not work this time: {error}. It is tried again.");
                self.shared.show(|view| view.validation.status = words);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn look(&mut self, follower: &mut Follower, texts: &mut Texts) -> Result<(), WorkError> {
        let applied = follower.applied.take();
        if applied.is_none() && now_ms() - self.looked_ms < LOOK_MS {
            return Ok(());
        }
        self.looked_ms = now_ms();
        let client = self.shared.link.borrow().client.clone();
        let client = client.ok_or(WorkError::Disconnected)?;
        let task = client.task(&self.identity.id()).await?;
        self.show(&task.standing);
        if let (Some(applied), Some(assignment)) = (applied, task.assignment)
            && applied.record.hash() == assignment.record
        {
            self.shared.enter(
                State::Validating,
                format!("Scoring others\u{2019} work of round {}.", assignment.round),
            );
            self.score(&client, &follower.codec, texts, &applied, &assignment)
                .await?;
        }
        if task.standing.permit {
            self.say(&client, &task.standing).await?;
        }
        Ok(())
    }

    fn show(&self, standing: &Standing) {
        let status = if !standing.registered {
            "Not active: this tab\u{2019}s key is not registered on the ledger yet."
        } else if standing.stake == "0" {
            "Not active: nothing is staked on this tab\u{2019}s key."
        } else if !standing.permit {
            "Not active: others have more stake, and only the largest validators count."
        } else if self.opinion.book().rounds() < SPEAKS_AFTER {
            "Active. It sets its first weights after five scored rounds."
        } else {
            "Active. Its scores count by its stake at every epoch."
        };
        self.shared.show(|view| {
            let shown = &mut view.validation;
            shown.active = standing.permit;
            status.clone_into(&mut shown.status);
            shown.stake = Some(standing.stake.clone());
            shown.weights_set = standing.weights_set;
        });
    }

    /// Tries the assigned packets, signs what came out and hands it in.
    async fn score(
        &mut self,
        client: &Client,
        codec: &ModelCodec,
        texts: &mut Texts,
        applied: &Applied,
        assignment: &Assignment,
    ) -> Result<(), WorkError> {
        let packets = update::decode(&applied.update).map_err(TrainingError::from)?;
        let packets: BTreeMap<Hash, Packet<'_>> = packets
            .into_iter()
            .map(|packet| (packet.hash(), packet))
            .collect();
        let measured = self
            .measure(client, codec, texts, applied, assignment, &packets)
            .await?;
        let scores = applied.record.contributions.iter().map(|merged| Scored {
            volunteer: merged.volunteer,
            packet: merged.packet,
            inner_steps: merged.inner_steps,
            losses: measured.get(&merged.packet).map(losses),
        });
        let sheet = Sheet {
            run: self.info.run,
            validator: self.identity.id(),
            round: assignment.round,
            record: assignment.record,
            scores: scores.collect(),
        };
        client.validation(&sheet.sign(&self.identity)).await?;
        self.shared.show(|view| {
            view.validation.rounds += 1;
            view.validation.packets += measured.len() as u64;
        });
        Ok(())
    }

    async fn measure(
        &mut self,
        client: &Client,
        codec: &ModelCodec,
        texts: &mut Texts,
        applied: &Applied,
        assignment: &Assignment,
        packets: &BTreeMap<Hash, Packet<'_>>,
    ) -> Result<BTreeMap<Hash, Measured>, WorkError> {
        let spec = &self.info.spec;
        let (context, count) = (spec.model.context, sequences_for(&spec.model));
        let seed = probe(&assignment.record, &self.identity.id());
        let manifest = texts.manifest(client, spec).await?;
        let long: Vec<_> = manifest
            .held_out
            .iter()
            .filter(|shard| shard.tokens as usize > context)
            .collect();
        let [first, ..] = seed.0;
        let shard = long
            .get(usize::from(first) % long.len().max(1))
            .ok_or(TrainingError::NoSequences(context + 1))?;
        let held_out = tokens(client, &manifest, shard).await?;
        let random = held_out_sample(&held_out, context, count, &seed)?;

        // Those to try come first. The others take part in the median that large ones are clipped to.
        let mut order = assignment.packets.clone();
        let rest = packets
            .keys()
            .filter(|packet| !assignment.packets.contains(packet));
        order.extend(rest);
        let mut field: Vec<(Hash, SparseUpdate, Batch)> = Vec::with_capacity(order.len());
        for (place, name) in order.into_iter().enumerate() {
            let Some(packet) = packets.get(&name) else {
                continue;
            };
            let header = &packet.header;
            let own = if place < assignment.packets.len() {
                let seed_of_round = &applied.record.seed;
                let data = Data::new(
                    spec,
                    &manifest,
                    seed_of_round,
                    &header.volunteer,
                    header.round,
                )?;
                texts.fetch(client, &manifest, &data.shards, || {}).await?;
                data.sample(header.inner_steps as usize, count, &seed, &texts.shards)?
            } else {
                Batch::empty(context)
            };
            let update = codec.decode(packet.payload).map_err(TrainingError::from)?;
            field.push((name, update, own));
        }
        let trials: Vec<Trial<'_>> = field
            .iter()
            .map(|(_, update, own)| Trial { update, own })
            .collect();
        let assessor = self
            .assessor
            .get_or_insert_with(|| Assessor::new(&spec.model, codec, &self.device));
        let rate = EVALUATION_SHARE as f32 * spec.outer.lr;
        let (shared, mut left, mut since) = (&self.shared, assignment.packets.len(), now_ms());
        let go_on = async || {
            // A macrotask between packets: messages, the socket and the volunteer get their turn.
            sleep(rest_ms(now_ms() - since, shared.share.get())).await;
            since = now_ms();
            let wanted = shared.validate.get() && !shared.stopping.get();
            let go = left > 0 && wanted && shared.pauses().is_empty();
            left = left.saturating_sub(1);
            go
        };
        let measured = assessor
            .measure(&applied.base, rate, &trials, &random, go_on)
            .await?;
        let names = field.iter().map(|(name, ..)| *name);
        Ok(names
            .zip(measured)
            .filter_map(|(name, measured)| Some((name, measured?)))
            .collect())
    }

    /// Once in an epoch, and only what is new: this key's weights, signed by itself.
    async fn say(&mut self, client: &Client, standing: &Standing) -> Result<(), WorkError> {
        let said = standing.weights_set.is_some_and(|set| set > standing.epoch);
        if said {
            return Ok(());
        }
        self.recall(client).await?;
        let rounds = self.opinion.book().rounds();
        // Emission settings are the built-in ones, which divide.
        let weights = self.opinion.weights(&self.rules).ok().flatten();
        let Some(weights) = weights.filter(|_| rounds > self.said) else {
            return Ok(());
        };
        let mut targets: Vec<(AccountId, u16)> = weights
            .into_iter()
            .map(|(volunteer, weight)| (AccountId(volunteer.0), weight))
            .collect();
        if targets.is_empty() {
            // Nobody earned anything: it is burned, or it would be paid to validators.
            targets.push((AccountId(standing.owner.0), u16::MAX));
        }
        let (run, nonce) = (self.info.run, standing.nonce);
        let expires = standing.height.saturating_add(LIFETIME);
        let action = SignedAction::set_weights(&self.identity, run, nonce, expires, RUN, targets);
        let Ok(action) = action else {
            return Ok(());
        };
        client.act(&action).await?;
        self.said = rounds;
        let height = Some(standing.height);
        self.shared
            .show(|view| view.validation.weights_set = height);
        Ok(())
    }

    /// Takes in this key's public sheets, from the last one that it knows.
    async fn recall(&mut self, client: &Client) -> Result<(), WorkError> {
        let id = self.identity.id();
        loop {
            let page = client.validations(self.next, &id).await?;
            for signed in &page.sheets {
                if let Ok(sheet) = signed.verify()
                    && sheet.validator == id
                    && sheet.run == self.info.run
                {
                    let steps = self.info.spec.inner.steps;
                    self.opinion.take_in(&self.rules, steps, sheet);
                }
            }
            if page.next <= self.next {
                return Ok(());
            }
            self.next = page.next;
        }
    }
}

fn losses(measured: &Measured) -> Losses {
    Losses {
        own_before: Loss::of(measured.own.before),
        own_after: Loss::of(measured.own.after),
        random_before: Loss::of(measured.random.before),
        random_after: Loss::of(measured.random.after),
    }
}
