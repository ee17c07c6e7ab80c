//! A run's ledger as a witness sees it: the founding entry, the signed end, and the one thing in it that
//! does not follow from the journal alone.
//!
//! That is whom the coordinator's own weights name. They come from trials on the model (`covey-scoring`),
//! which are not public, so how much each weight is cannot be recomputed. Whom they name can be held
//! against the records: somebody whose work is in none of them has nothing to be paid for. So the end of
//! the journal is asked for first, then the records, then the entries.

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, Ledger,
    call::Call,
    genesis::RUN,
    journal::{Body, JournalError, Line},
};
use covey_protocol::{
    Hash, VolunteerId,
    http::RunInfo,
    ledger::LedgerHead,
    witness::{LedgerSeen, Place},
};

use crate::Finding;

/// An entry that does not follow from those before it.
#[must_use]
pub fn broken(entry: u64, error: &JournalError) -> Finding {
    Finding::new(Place::LedgerEntry, entry, "an entry that follows", error)
}

/// The ledger of a journal's first line.
///
/// # Errors
/// When it founds none, or another run's.
pub fn founded(text: &str, run: &Hash) -> Result<(Ledger, Line), Finding> {
    let line = Line::parse(text, 0).map_err(|error| broken(0, &error))?;
    let ledger = Ledger::from_genesis(&line.entry).map_err(|error| broken(0, &error))?;
    let chain = ledger.state().chain;
    if chain != *run {
        return Err(Finding::new(Place::LedgerEntry, 0, run, chain));
    }
    Ok((ledger, line))
}

/// Whether the end of a journal is this run's and its coordinator's word.
///
/// # Errors
/// When it is not.
pub fn signed_end(head: &LedgerHead, info: &RunInfo) -> Result<(), Finding> {
    let finding = |expected: &dyn ToString, found: &dyn ToString| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Finding::new(
            Place::LedgerHead,
            head.entries,
            expected,
            found,
        ))
    };
    if head.chain != info.run {
        return finding(&info.run, &head.chain);
    }
    if head.verify(&info.coordinator).is_err() {
        return finding(&info.coordinator, &head.signature);
    }
    Ok(())
}

/// Whether the journal that was replayed arrives at the signed end; `ours` is the hash of its entry there.
///
/// # Errors
/// When it does not.
pub fn same_end(head: &LedgerHead, ours: Option<Hash>) -> Result<(), Finding> {
    if ours == Some(head.head) {
        return Ok(());
    }
    let ours = ours.map_or("no such entry".to_owned(), |hash| hash.to_string());
    Err(Finding::new(
        Place::LedgerHead,
        head.entries,
        ours,
        head.head,
    ))
}

/// Whom the subnet's incentive may go to without work: it is burned.
#[must_use]
pub fn owner(ledger: &Ledger) -> Option<AccountId> {
    ledger.state().subnets.get(&RUN).map(|s| s.owner_hotkey)
}

/// Holds a coordinator's weights against the records: whoever they name has worked, or is the subnet's
/// [`owner`] before that entry.
///
/// # Errors
/// Who is paid for nothing.
pub fn payment(
    line: &Line,
    owner: Option<AccountId>,
    info: &RunInfo,
    volunteers: &BTreeSet<VolunteerId>,
) -> Result<(), Finding> {
    let Body::Action(signed) = &line.entry.body else {
        return Ok(());
    };
    let Call::SetWeights { weights, .. } = &signed.action.call else {
        return Ok(());
    };
    if !info.descends_from(&VolunteerId(signed.action.account.0)) {
        return Ok(());
    }
    let unproven = weights.iter().find(|(account, weight)| {
        let worked = volunteers.contains(&VolunteerId(account.0));
        *weight > 0 && !worked && owner != Some(*account)
    });
    unproven.map_or(Ok(()), |(account, _)| {
        let expected = "somebody whose work is in a record";
        Err(Finding::new(
            Place::Payment,
            line.entry.index,
            expected,
            account,
        ))
    })
}

/// Where a replay is, as a witness states it.
#[must_use]
pub fn seen(ledger: &Ledger) -> LedgerSeen {
    LedgerSeen {
        entries: ledger.len(),
        head: ledger.head(),
        height: ledger.state().height,
        state: ledger.state().hash(),
    }
}
