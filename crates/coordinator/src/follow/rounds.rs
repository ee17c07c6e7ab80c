//! A run's rounds, recomputed: from the weights that the seed gives, through every signed packet, to the
//! weights the open round starts from.
//!
//! For each record, in this order: its signature, its place in the chain, the weights it starts from, the
//! update it names, the packets in it and the list of them, and the weights they add up to. Only then is
//! it kept. What a reader would get wrong: the last agreed record is asked for again at every look. A
//! coordinator that signed another one for that round meanwhile has signed the proof against itself.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use covey_protocol::{
    Hash, Round, VolunteerId,
    handover::signer,
    http::RunInfo,
    limits::{MAX_HISTORY, MAX_RECORDS},
    record::{Checkpoint, SignedRecord},
    witness::{Equivocation, Place},
};
use covey_witness::{Chain, Finding, recomputed, update_limit};
use tokio::runtime::Handle;

use super::{
    client::{Client, ClientError},
    folder::{Folder, TRIES},
    halt::Halt,
};
use crate::{
    actor::keep_checkpoint,
    engine::{Engine, Weights},
    startup,
    storage::{Blobs, Journal},
};

/// Rounds between two lines about a long replay.
const SAY_EVERY: u64 = 64;

/// What is agreed so far.
pub struct Rounds {
    pub engine: Engine,
    pub journal: Arc<dyn Journal>,
    pub blobs: Arc<dyn Blobs>,
    runtime: Handle,
    pub chain: Chain,
    /// What `chain` is at.
    pub weights: Weights,
    /// Oldest first.
    pub checkpoints: Vec<Checkpoint>,
    kept: usize,
}

impl Rounds {
    /// Goes on from what the folder holds; a new one begins with the weights of the run's seed.
    ///
    /// # Errors
    /// When the folder is damaged or the disk fails.
    pub fn open(
        folder: &Folder,
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn Blobs>,
        kept: usize,
        runtime: Handle,
    ) -> Result<Self, Halt> {
        let engine = Engine::new(folder.spec.clone()).map_err(crate::CoordinatorError::from)?;
        let source = &folder.source;
        let position = runtime.block_on(startup::rebuild(
            &engine,
            &source.handovers,
            source.coordinator,
            &journal,
            &*blobs,
        ))?;
        // The first record's base was held against the seed's weights when it was kept.
        let first = journal.records(Round(0), 1)?.pop();
        let begun = first.map_or(position.base, |signed| signed.record.base);
        let mut chain = Chain::begin(engine.run(), begun);
        loop {
            let records = journal.records(chain.round, MAX_RECORDS)?;
            if records.is_empty() {
                break;
            }
            records
                .iter()
                .for_each(|signed| chain.agree(&signed.record));
        }
        Ok(Self {
            engine,
            blobs,
            runtime,
            chain,
            weights: position.weights,
            checkpoints: position.checkpoints,
            kept,
            journal,
        })
    }

    /// Takes in every record there is; gives how many were new.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn follow(
        &mut self,
        client: &Client,
        folder: &Folder,
        info: &RunInfo,
        go_on: &dyn Fn() -> bool,
    ) -> Result<u64, Halt> {
        let begun = self.chain.round;
        loop {
            let before = self.chain.round;
            // With the last one once more.
            let from = Round(before.0.saturating_sub(1));
            for signed in client.records(from)? {
                if !go_on() {
                    return Err(Halt::Stopped);
                }
                if signed.record.round < before {
                    self.same_as_kept(client, folder, &signed, info)?;
                } else {
                    self.take(client, &signed, info)?;
                }
            }
            let agreed = self.chain.round.0 - begun.0;
            if agreed > 0 && (self.chain.round.0 / SAY_EVERY) != (before.0 / SAY_EVERY) {
                tracing::info!(round = %self.chain.round, of = %info.round, "recomputed");
            }
            if self.chain.round == before {
                return Ok(agreed);
            }
        }
    }

    /// Holds the last agreed record against the one that is served for its round.
    ///
    /// # Errors
    /// When it is another one, or none is served.
    pub fn same_end(&self, client: &Client, folder: &Folder, info: &RunInfo) -> Result<(), Halt> {
        let Some(last) = self.chain.round.0.checked_sub(1) else {
            return Ok(());
        };
        let served = client.records(Round(last))?.into_iter().next();
        let served = served.filter(|signed| signed.record.round == Round(last));
        let served = served.ok_or_else(|| {
            ClientError::Invalid(format!(
                "there is no record of round {last}, which is agreed"
            ))
        })?;
        self.same_as_kept(client, folder, &served, info)
    }

    /// A record that is served again must be the one that was agreed.
    fn same_as_kept(
        &self,
        client: &Client,
        folder: &Folder,
        signed: &SignedRecord,
        info: &RunInfo,
    ) -> Result<(), Halt> {
        let round = signed.record.round;
        let Some(kept) = self.journal.records(round, 1)?.pop() else {
            return Ok(());
        };
        let by = signer(&folder.source.handovers, &folder.source.coordinator, round);
        match Chain::same(&kept, signed, &by, &info.signer(round)) {
            Ok(()) => Ok(()),
            Err(finding) if finding.place == Place::Equivocation => {
                Err(self.equivocation(client, folder, by, &kept, signed)?.into())
            }
            Err(finding) => Err(finding.into()),
        }
    }

    /// Finds the first round for which there are two records, and writes the proof.
    fn equivocation(
        &self,
        client: &Client,
        folder: &Folder,
        coordinator: VolunteerId,
        kept: &SignedRecord,
        signed: &SignedRecord,
    ) -> Result<Finding, Halt> {
        let mut pair = (kept.clone(), signed.clone());
        let mut from = Round(0);
        'search: while from < pair.0.record.round {
            let ours = self.journal.records(from, MAX_RECORDS)?;
            let theirs = client.records(from)?;
            let Some(last) = ours.last() else { break };
            from = last.record.round.next();
            for (kept, served) in ours.into_iter().zip(theirs) {
                let other = kept.record.round == served.record.round
                    && kept.record.hash() != served.record.hash();
                if other && served.verify(&coordinator).is_ok() {
                    pair = (kept, served);
                    break 'search;
                }
            }
        }
        let (first, second) = pair;
        let round = first.record.round.0;
        let (expected, found) = (first.record.hash(), second.record.hash());
        let proof = Equivocation {
            coordinator,
            first,
            second,
        };
        let path = folder.proof(round, &proof)?;
        tracing::error!(round, proof = %path.display(), "two records are signed for one round");
        Ok(Finding::new(Place::Equivocation, round, expected, found))
    }

    /// Compares the last agreed record with what another server shows for its round; other troubles of
    /// that server are its own.
    ///
    /// # Errors
    /// [`Place::Equivocation`], when the run's coordinator signed both.
    pub fn compare(&self, other: &Client, folder: &Folder) -> Result<(), Halt> {
        let Some(last) = self.chain.round.0.checked_sub(1) else {
            return Ok(());
        };
        let Ok(records) = other.records(Round(last)) else {
            tracing::debug!(url = other.url(), "not there to be compared with");
            return Ok(());
        };
        let source = &folder.source;
        let by = signer(&source.handovers, &source.coordinator, Round(last));
        let (Some(kept), Some(served)) =
            (self.journal.records(Round(last), 1)?.pop(), records.first())
        else {
            return Ok(());
        };
        let differ = served.record.round == kept.record.round
            && served.record.run == kept.record.run
            && served.record.hash() != kept.record.hash()
            && served.verify(&by).is_ok();
        if differ {
            return Err(self.equivocation(other, folder, by, &kept, served)?.into());
        }
        Ok(())
    }

    fn take(&mut self, client: &Client, signed: &SignedRecord, info: &RunInfo) -> Result<(), Halt> {
        let (record, round) = (&signed.record, self.chain.round);
        self.chain.check(signed, &info.signer(round))?;
        let update = match record.update {
            None => None,
            Some(name) => Some(self.update(client, round, name, record.update_len)?),
        };
        let mut theta = self.weights.to_vec();
        self.engine
            .replay(&mut theta, record, update.as_deref())
            .map_err(|error| recomputed(record, &error))?;
        // Everything is so: keep it, the update before the record that names it.
        if let Some(bytes) = update {
            self.runtime.block_on(self.blobs.put(bytes))?;
        }
        self.journal.record(signed, None)?;
        self.weights = Arc::new(theta);
        self.chain.agree(record);
        let every = self.engine.spec().rounds.checkpoint_every.max(1);
        if self.chain.round.0.is_multiple_of(every) {
            self.keep_checkpoint()?;
        }
        Ok(())
    }

    /// The update of a round: as it is kept here, else as it is served. Its name is its hash, so asking
    /// again tells a broken line from a broken promise.
    fn update(&self, client: &Client, round: Round, name: Hash, len: u64) -> Result<Bytes, Halt> {
        let finding = |found: String| Halt::from(Finding::new(Place::Update, round.0, name, found));
        let limit = update_limit(self.engine.packet_len());
        if len > limit as u64 {
            return Err(finding(format!("{len} bytes, more than a merge can have")));
        }
        if let Some(kept) = self.runtime.block_on(self.blobs.get(&name))? {
            return Ok(kept);
        }
        let mut found = String::new();
        for _ in 0..TRIES {
            match client.blob(&name, limit) {
                Ok(bytes) if Hash::of(&bytes) == name && bytes.len() as u64 == len => {
                    return Ok(Bytes::from(bytes));
                }
                Ok(bytes) if Hash::of(&bytes) == name => {
                    found = format!("{} bytes, not {len}", bytes.len());
                }
                Ok(bytes) => found = Hash::of(&bytes).to_string(),
                Err(error) if error.not_found() => found = "nothing is served".into(),
                // Longer than any update of this run.
                Err(ClientError::Invalid(reason)) => found = reason,
                Err(error) => return Err(error.into()),
            }
        }
        Err(finding(found))
    }

    fn keep_checkpoint(&mut self) -> Result<(), Halt> {
        let (journal, blobs) = (Arc::clone(&self.journal), Arc::clone(&self.blobs));
        let keep = keep_checkpoint(
            &journal,
            &*blobs,
            self.chain.round,
            Arc::clone(&self.weights),
        );
        let new = self.runtime.block_on(keep)?;
        self.checkpoints.retain(|known| known.round != new.round);
        self.checkpoints.push(new);
        while self.checkpoints.len() > self.kept.max(1) {
            let old = self.checkpoints.remove(0);
            self.journal.remove_checkpoint(old.round)?;
            if self.checkpoints.iter().all(|kept| kept.theta != old.theta) {
                self.runtime.block_on(self.blobs.delete(&old.theta))?;
            }
        }
        Ok(())
    }

    /// Whether the checkpoint that newcomers are given is the weights of its round; with `whole`, its
    /// bytes as well.
    ///
    /// # Errors
    /// When it is not.
    pub fn checkpoint(
        &self,
        client: &Client,
        offered: &Checkpoint,
        whole: bool,
    ) -> Result<(), Halt> {
        let Some(ours) = self.theta_of(offered.round)? else {
            return Ok(());
        };
        let finding = |found: String| {
            Halt::from(Finding::new(
                Place::Checkpoint,
                offered.round.0,
                ours,
                found,
            ))
        };
        if offered.theta != ours {
            return Err(finding(offered.theta.to_string()));
        }
        if !whole {
            return Ok(());
        }
        let limit = self.weights.len().saturating_mul(4);
        let mut found = String::new();
        for _ in 0..TRIES {
            match client.blob(&ours, limit) {
                Ok(bytes) if Hash::of(&bytes) == ours => return Ok(()),
                Ok(bytes) => found = Hash::of(&bytes).to_string(),
                // A newer one has taken its place since.
                Err(error) if error.not_found() => return Ok(()),
                Err(ClientError::Invalid(reason)) => found = reason,
                Err(error) => return Err(error.into()),
            }
        }
        Err(finding(found))
    }

    /// Keeps what the coordinator measured, for the page's chart. It is no part of what is agreed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn held_out(&self, info: &RunInfo) -> Result<(), Halt> {
        let known: BTreeSet<Round> = self.journal.held_out()?.iter().map(|p| p.round).collect();
        let points = info.held_out.iter().take(MAX_HISTORY);
        for point in points.filter(|p| p.round <= self.chain.round && !known.contains(&p.round)) {
            self.journal.add_held_out(*point)?;
        }
        Ok(())
    }

    /// Weights a round starts from, if it is agreed.
    fn theta_of(&self, round: Round) -> Result<Option<Hash>, Halt> {
        if round > self.chain.round {
            return Ok(None);
        }
        let first = |from| self.journal.records(from, 1);
        Ok(match round.0.checked_sub(1) {
            Some(last) => first(Round(last))?.pop().map(|s| s.record.theta_after),
            None => Some(
                first(Round(0))?
                    .pop()
                    .map_or(self.chain.theta, |s| s.record.base),
            ),
        })
    }
}
