//! The ledger's journal read back: every line by its hash, every entry by the rules, no action twice.

use std::collections::BTreeSet;

use covey_ledger::{
    Ledger,
    journal::{Body, Line},
};

use crate::{Stop, disk::LedgerRow, oracle::hold, world::World};

pub fn broken(at: usize, error: &dyn std::fmt::Display) -> Stop {
    Stop::Broken(format!("the ledger at entry {at}: {error}"))
}

pub fn line_of(rows: &[LedgerRow], at: usize) -> Result<Line, Stop> {
    let text = rows.get(at).map(|row| row.line.as_str());
    Line::parse(text.unwrap_or_default(), at as u64).map_err(|e| broken(at, &e))
}

pub fn founded(rows: &[LedgerRow]) -> Result<Ledger, Stop> {
    let first = line_of(rows, 0)?;
    Ledger::from_genesis(&first.entry).map_err(|e| broken(0, &e))
}

pub fn replay(mut ledger: Ledger, rows: &[LedgerRow], from: usize) -> Result<Ledger, Stop> {
    let mut requests = BTreeSet::new();
    for at in from..rows.len() {
        let line = line_of(rows, at)?;
        let applied = ledger.replay(&line.entry).map_err(|e| broken(at, &e))?;
        hold!(
            applied.hash == line.hash,
            "entry {at} has another hash when it is replayed"
        );
        if let Body::Action(action) = &line.entry.body {
            let once = requests.insert((action.action.account, action.action.nonce));
            hold!(once, "entry {at} repeats an action");
        }
    }
    Ok(ledger)
}

/// The whole journal, from its genesis, gives the state that the process has.
///
/// # Errors
/// [`Stop::Broken`] if it does not.
pub fn whole_replay(world: &World, ledger: &Ledger) -> Result<(), Stop> {
    let rows = world.disk.ledger.durable();
    let again = replay(founded(rows)?, rows, 1)?;
    hold!(
        again.state().hash() == ledger.state().hash() && again.head() == ledger.head(),
        "replaying the whole journal gives another state"
    );
    Ok(())
}
