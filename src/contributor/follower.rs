//! Keeping the shared weights: from the newest checkpoint through the signed records to the base of
//! the open round.
//!
//! Every step is checked against the record's hash, so a tab knows that it holds the run's weights or
//! knows that it does not. Any doubt leads back to a checkpoint.

use std::rc::Rc;

use covey_compression::ModelCodec;
use covey_protocol::{
    Hash, Identity, ProtocolError, Round,
    http::RunInfo,
    limits::{MAX_BLOB, MAX_CONTRIBUTIONS},
    packet::HEADER_LEN,
    record::{Checkpoint, RoundRecord, SignedRecord},
    socket::ClientFrame,
    weights,
    witness::{Place, Statement, Verdict, WitnessKind},
};
use covey_training::{
    TrainingError,
    init::initial_weights,
    outer::{apply_record, codec},
};
use thiserror::Error;

use super::{
    client::{Client, ClientError},
    shared::Shared,
    view::State,
};

/// Rounds behind at which a checkpoint is cheaper than the updates (spec 5).
const FAR_BEHIND: u64 = 9;

#[derive(Debug, Error)]
pub enum FollowError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error("not connected")]
    Disconnected,
}

/// A round that was applied: what a validator needs to try its packets.
pub struct Applied {
    pub record: RoundRecord,
    /// The weights it started from.
    pub base: Vec<f32>,
    pub update: Vec<u8>,
}

/// The shared weights and the round they are the base of.
pub struct Follower {
    shared: Rc<Shared>,
    info: Rc<RunInfo>,
    pub codec: ModelCodec,
    theta: Option<Vec<f32>>,
    round: Round,
    /// The round applied last, if this tab validates; taken by whoever uses it.
    pub applied: Option<Applied>,
    /// Hash of the weights held.
    hash: Hash,
    identity: Identity,
    /// The connection on which the last agreed record was asked for again.
    asked: Option<Rc<RunInfo>>,
}

impl Follower {
    pub fn new(
        shared: Rc<Shared>,
        info: Rc<RunInfo>,
        identity: Identity,
    ) -> Result<Self, TrainingError> {
        Ok(Self {
            codec: codec(&info.spec)?,
            shared,
            info,
            theta: None,
            round: Round(0),
            applied: None,
            hash: Hash([0; 32]),
            identity,
            asked: None,
        })
    }

    /// The weights that are the base of `round`, when that is where this tab is.
    pub fn base_of(&self, round: Round) -> Option<&[f32]> {
        self.theta.as_deref().filter(|_| self.round == round)
    }

    /// The newest weights held, whatever their round.
    pub fn newest(&self) -> Option<&[f32]> {
        self.theta.as_deref()
    }

    /// Goes forward to the open round. Returns at once when already there.
    pub async fn follow(&mut self) -> Result<(), FollowError> {
        let shared = self.shared.clone();
        if std::mem::take(&mut shared.link.borrow_mut().resync) {
            self.theta = None;
        }
        self.one_story().await?;
        while let Some(open) = shared.open_round() {
            if self.theta.is_some() && self.round >= open.round {
                if self.round > open.round {
                    // The coordinator lost rounds it once published: only a checkpoint is safe.
                    self.theta = None;
                    continue;
                }
                return Ok(());
            }
            let client = shared
                .link
                .borrow()
                .client
                .clone()
                .ok_or(FollowError::Disconnected)?;
            let behind = open.round.0.saturating_sub(self.round.0);
            if self.theta.is_none() || behind > FAR_BEHIND {
                self.start_from_checkpoint(&client).await?;
            }
            for record in self.records(&client).await? {
                if let Err(error) = self.apply(&client, &record).await {
                    if matches!(error, FollowError::Training(_)) {
                        self.theta = None;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Asks a coordinator that is met anew for the last record that was agreed to. Whoever signs another
    /// one for its round tells two stories, however well each goes on.
    async fn one_story(&mut self) -> Result<(), FollowError> {
        let (info, client, last) = {
            let link = self.shared.link.borrow();
            let last = link.known.as_ref().and_then(|known| known.last);
            (link.info.clone(), link.client.clone(), last)
        };
        let (Some(info), Some(client)) = (info, client) else {
            return Ok(());
        };
        let asked = self.asked.as_ref();
        if asked.is_some_and(|asked| Rc::ptr_eq(asked, &info)) {
            return Ok(());
        }
        if let Some((round, agreed)) = last {
            let records = client.records(round, &info).await?;
            if let Some(signed) = records.first()
                && signed.record.hash() != agreed
            {
                let found = signed.record.hash().to_string();
                self.disagree(signed, Place::Equivocation, agreed.to_string(), found);
                self.theta = None;
            }
        }
        self.asked = Some(info);
        Ok(())
    }

    /// The run as the newest welcome describes it: its coordinator may have changed.
    fn current(&self) -> Rc<RunInfo> {
        let newest = self.shared.link.borrow().info.clone();
        newest.unwrap_or_else(|| self.info.clone())
    }

    /// Records from the current round on: those the socket already brought, else by request.
    async fn records(&self, client: &Client) -> Result<Vec<SignedRecord>, FollowError> {
        let known = self.shared.link.borrow().closed.get(&self.round).cloned();
        if let Some(record) = known
            && record.verify(&self.current().signer(self.round)).is_ok()
        {
            return Ok(vec![record]);
        }
        Ok(client.records(self.round, &self.current()).await?)
    }

    async fn start_from_checkpoint(&mut self, client: &Client) -> Result<(), FollowError> {
        self.shared
            .enter(State::CatchingUp, "Fetching the newest weights.");
        let Checkpoint { round, theta, .. } = client.run().await?.checkpoint;
        if self.theta.is_some() && round <= self.round {
            return Ok(());
        }
        // Weights are taken only if a signed record names them.
        let record = match round.0.checked_sub(1) {
            None => None,
            Some(last) => {
                let records = client.records(Round(last), &self.current()).await?;
                let named = records.first().filter(|s| s.record.theta_after == theta);
                let named = named.ok_or_else(|| {
                    let words = format!("no record names the checkpoint of round {round}");
                    ClientError::Invalid(words)
                })?;
                Some((Round(last), named.record.hash()))
            }
        };
        let spec = &self.info.spec;
        let own = (round == Round(0)).then(|| initial_weights(&spec.seed, &spec.model));
        let weights = match own.filter(|weights| Hash::of_weights(weights) == theta) {
            Some(weights) => weights,
            None => {
                let bytes = usize::try_from(spec.model.parameters() * 4).unwrap_or(MAX_BLOB);
                let blob = client.blob(&theta, bytes).await?;
                weights::from_bytes(&spec.model, &theta, &blob).map_err(TrainingError::from)?
            }
        };
        self.theta = Some(weights);
        self.reach(round, theta, record);
        Ok(())
    }

    async fn apply(&mut self, client: &Client, signed: &SignedRecord) -> Result<(), FollowError> {
        let record = &signed.record;
        let Some(theta) = &mut self.theta else {
            return Ok(());
        };
        self.shared
            .enter(State::Applying, format!("Applying round {}.", record.round));
        let limit = 16 + MAX_CONTRIBUTIONS * (4 + HEADER_LEN + self.codec.payload_len());
        let update = match &record.update {
            Some(name) => Some(client.blob(name, limit).await?),
            None => None,
        };
        if record.base != self.hash {
            let (ours, theirs) = (self.hash, record.base);
            self.disagree(signed, Place::Base, ours.to_string(), theirs.to_string());
            let what = "the weights a round starts from";
            return Err(TrainingError::from(ProtocolError::HashMismatch { what }).into());
        }
        // Dropped first: at most one more copy of the weights is held.
        self.applied = None;
        let base = (update.is_some() && self.shared.validate.get()).then(|| theta.clone());
        if let Err(error) = apply_record(
            &self.info.spec,
            &self.codec,
            theta,
            record,
            update.as_deref(),
        ) {
            match &error {
                TrainingError::WrongWeights { actual, expected } => {
                    let (ours, theirs) = (actual.to_string(), expected.to_string());
                    self.disagree(signed, Place::Weights, ours, theirs);
                }
                other => {
                    let words = other.to_string().chars().take(60).collect();
                    let expected = "contributions that can be merged";
                    self.disagree(signed, Place::Packet, expected.into(), words);
                }
            }
            return Err(error.into());
        }
        if let (Some(base), Some(update)) = (base, update) {
            let record = record.clone();
            self.applied = Some(Applied {
                record,
                base,
                update,
            });
        }
        let (next, theta, hash) = (record.round.next(), record.theta_after, record.hash());
        self.reach(next, theta, Some((record.round, hash)));
        self.witness(next, theta, Some(hash), Verdict::Agrees);
        Ok(())
    }

    /// Signs what this tab recomputed, for the run's page.
    fn witness(&self, round: Round, theta: Hash, record: Option<Hash>, verdict: Verdict) {
        let statement = Statement {
            run: self.info.run,
            kind: WitnessKind::Tab,
            name: String::new(),
            round,
            theta,
            record,
            ledger: None,
            verdict,
        };
        let statement = Box::new(statement.sign(&self.identity));
        self.shared.send(ClientFrame::Witness { statement });
    }

    /// Says to everybody, the volunteer first, that a record does not hold.
    fn disagree(&self, signed: &SignedRecord, place: Place, expected: String, found: String) {
        let round = signed.record.round;
        log::error!(
            "round {round}: {} (expected {expected}, found {found})",
            place.words()
        );
        self.shared.show(|view| {
            let words = place.words();
            view.disagreement.get_or_insert(format!(
                "This tab recomputed round {round} and disagrees: {words}. The coordinator was told so."
            ));
        });
        let number = round.0;
        let verdict = Verdict::Disagrees {
            place,
            number,
            expected,
            found,
        };
        self.witness(round, self.hash, signed.record.previous, verdict);
    }

    fn reach(&mut self, round: Round, theta: Hash, record: Option<(Round, Hash)>) {
        self.round = round;
        self.hash = theta;
        if record.is_some()
            && let Some(known) = &mut self.shared.link.borrow_mut().known
        {
            known.last = record;
        }
        self.shared
            .link
            .borrow_mut()
            .closed
            .retain(|r, _| *r >= round);
        self.shared.show(|view| {
            view.theta = Some(theta);
            view.theta_round = Some(round);
        });
        // The weights a round starts from are those after the round before it.
        if let Some(before) = round.0.checked_sub(1) {
            let round = Round(before);
            self.shared.send(ClientFrame::Applied { round, theta });
        }
    }
}
