//! What the keeper does when the clock says so: epochs that are due, the coordinator's own judgement
//! before the first of them, and a development run's clock when its operator moves it.
//!
//! What a reader would get wrong: missed epochs are not skipped or merged. Each is an entry of its own at
//! the height it was due, and nothing else is recorded before it.

use covey_ledger::{Height, LedgerError};
use covey_protocol::PartnerId;

use super::Keeper;
use crate::{
    ledger::{Refused, draft::Draft, weights},
    storage::StorageError,
};

/// Epochs recorded with one write while catching up.
const EPOCHS: u64 = 128;

impl Keeper {
    /// Runs every epoch that is due at `now`, in batches, so that what is done so far is never lost.
    pub(super) fn settle(&mut self, now: Height) -> Result<(), StorageError> {
        self.recover()?;
        let mut judged = 0;
        while self.position.ledger.next_epoch() <= now && !self.stopping() {
            let mut draft = Draft::of(&self.position);
            while draft.position.ledger.next_epoch() <= now && draft.epochs < EPOCHS {
                // Before the first missed epoch for the work there was, before the second for the work
                // there was not; those after it are like the second.
                if judged < 2 {
                    self.judge(&mut draft)?;
                    judged += 1;
                }
                let before = draft.position.ledger.clone();
                match draft.position.ledger.epoch(now) {
                    Ok(applied) => self.push(&mut draft, &before, applied)?,
                    // It was due a line ago.
                    Err(_) => break,
                };
            }
            let epochs = draft.epochs;
            self.commit(draft)?;
            self.metrics.ledger.epochs.inc_by(epochs);
            if epochs >= EPOCHS {
                let height = self.position.ledger.state().height;
                tracing::info!(height, now, "epochs caught up");
            }
        }
        Ok(())
    }

    /// Says what the coordinator thinks of the work since the last epoch, one block before the next.
    fn judge(&mut self, draft: &mut Draft) -> Result<(), StorageError> {
        let weighed = draft.batch.weighed_ms;
        let since = match weighed {
            Some(since) => since,
            None => self.shared.store.meta()?.weighed_ms,
        };
        let until = self.clock.now_ms();
        let said = match (self.weights)(since) {
            Ok(said) => said,
            Err(error) => {
                // The epoch comes all the same; this work is paid for at the next one.
                tracing::error!(%error, "work cannot be weighed");
                return Ok(());
            }
        };
        draft.batch.weighed_ms = Some(until);
        let ledger = &draft.position.ledger;
        let height = ledger.next_epoch().saturating_sub(1);
        let targets = weights::targets(said, ledger);
        let Some(action) = weights::action(ledger, &self.shared.identity, targets, height) else {
            return Ok(());
        };
        let before = ledger.clone();
        match draft.position.ledger.action(height, action) {
            Ok(applied) => {
                self.told = None;
                self.push(draft, &before, applied)?;
            }
            Err(error) => {
                let name = error.name();
                if self.told.as_ref() != Some(&name) {
                    tracing::warn!(%error, name, "the coordinator's weights are refused");
                    self.told = Some(name);
                }
            }
        }
        Ok(())
    }

    /// Records that a partner was suspended or restored.
    pub(super) fn partnership(
        &mut self,
        partner: PartnerId,
        suspended: bool,
    ) -> Result<(), Refused> {
        let failed = |keeper: &mut Self, error: StorageError| {
            keeper.failed(&error);
            Refused::Unavailable
        };
        let now = self.clock.height();
        self.settle(now).map_err(|error| failed(self, error))?;
        let mut draft = Draft::of(&self.position);
        let before = draft.position.ledger.clone();
        let height = now.max(before.state().height);
        let ledger = &mut draft.position.ledger;
        let applied = ledger.partnership(height, partner, suspended)?;
        self.push(&mut draft, &before, applied)
            .and_then(|_| self.commit(draft))
            .map_err(|error| failed(self, error))
    }

    /// Moves the clock of a development run.
    pub(super) fn advance(&mut self, blocks: u64) -> Result<Height, Refused> {
        if !self.position.ledger.state().development {
            return Err(LedgerError::NotADevelopmentRun.into());
        }
        let failed = |keeper: &mut Self, error: StorageError| {
            keeper.failed(&error);
            Refused::Unavailable
        };
        let now = self.clock.height().max(self.position.ledger.state().height);
        let target = now.saturating_add(blocks);
        self.settle(target).map_err(|error| failed(self, error))?;
        if self.stopping() {
            return Err(Refused::Unavailable);
        }
        let mut draft = Draft::of(&self.position);
        let before = draft.position.ledger.clone();
        if target > before.state().height {
            let applied = draft.position.ledger.clock(target)?;
            self.push(&mut draft, &before, applied)
                .map_err(|error| failed(self, error))?;
        }
        let mut clock = self.clock;
        let ahead = target.saturating_sub(clock.height());
        clock.offset = clock.offset.saturating_add(ahead);
        draft.batch.offset = Some(clock.offset);
        let earlier = std::mem::replace(&mut self.clock, clock);
        if let Err(error) = self.commit(draft) {
            self.clock = earlier;
            return Err(failed(self, error));
        }
        Ok(self.clock.height().max(target))
    }
}
