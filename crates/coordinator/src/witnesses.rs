//! Who recomputed this run, as far as anybody told: the coordinator's list of witnesses.
//!
//! A statement is taken only if its signature holds and, where it agrees, if it agrees with the very
//! record that is in the journal: nobody can put words about other weights on the page as agreement. What
//! a reader would get wrong: the list is a courtesy, not evidence. A coordinator could leave names out,
//! and anybody can make keys; whoever doubts follows the run, or asks a witness itself.
//!
//! Servers' statements and all disagreements are kept in one small file. Tabs are only counted.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use covey_protocol::{
    Hash, Round, VolunteerId,
    http::{ErrorBody, ErrorCode},
    witness::{LedgerSeen, SignedStatement, Statement, Tabs, WitnessKind, Witnesses},
};
use serde::{Deserialize, Serialize};

use crate::{
    CoordinatorError,
    data_dir::write_durably,
    engine::code_of,
    ledger::store::Store,
    secret::Access,
    storage::{Journal, StorageError},
};

/// Servers listed; when there are more, the furthest behind gives way.
const SERVERS: usize = 64;
/// Disagreements kept; they are never dropped, so later ones are refused.
const DISAGREEMENTS: usize = 16;
/// Tabs remembered.
const TABS: usize = 4096;
/// Tabs whose statements are shown.
const LATEST: usize = 5;
/// Rounds after which a silent tab no longer counts.
const LATELY: u64 = 8;

/// The list, shared by the doors.
pub struct Board {
    run: Hash,
    path: PathBuf,
    lists: Mutex<Lists>,
}

#[derive(Clone, Default)]
struct Lists {
    kept: Kept,
    tabs: BTreeMap<VolunteerId, Tab>,
    latest: VecDeque<SignedStatement>,
}

/// The newest statement of a tab, as far as it counts.
#[derive(Clone, Copy)]
struct Tab {
    round: Round,
    /// It replayed the ledger, and the rounds from the first on.
    whole: bool,
}

/// What survives a restart.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    servers: BTreeMap<VolunteerId, SignedStatement>,
    disagreements: Vec<SignedStatement>,
}

impl Board {
    /// Reads the list, or begins one. A list that cannot be read begins anew: witnesses say it again.
    ///
    /// # Errors
    /// When the file is there and the disk fails.
    pub fn open(run: Hash, path: PathBuf) -> Result<Self, CoordinatorError> {
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, "the list of witnesses cannot be read; it begins anew");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(CoordinatorError::file(path)(error)),
        };
        let lists = Lists {
            kept,
            ..Lists::default()
        };
        Ok(Self {
            run,
            path,
            lists: Mutex::new(lists),
        })
    }

    /// Takes a statement; returns when it is durable. Blocks.
    ///
    /// # Errors
    /// Why it is not taken; the list is unchanged then.
    pub fn take(
        &self,
        signed: SignedStatement,
        journal: &Arc<dyn Journal>,
        ledger: &Store,
        open: Round,
    ) -> Result<(), ErrorBody> {
        let statement = signed
            .verify()
            .map_err(|error| ErrorBody::new(code_of(&error), error.to_string()))?;
        if statement.run != self.run {
            let message = "The statement is about another run.";
            return Err(ErrorBody::new(ErrorCode::WrongRun, message));
        }
        if signed.agrees() {
            agrees_with(statement, journal, open)?;
            if let Some(seen) = statement.ledger {
                agrees_with_ledger(&seen, ledger)?;
            }
        }
        self.keep(signed)
    }

    /// Keeps a statement that was checked.
    ///
    /// # Errors
    /// When there is no room, or it cannot be written.
    pub fn keep(&self, signed: SignedStatement) -> Result<(), ErrorBody> {
        let mut lists = self.lock();
        let mut next = lists.kept.clone();
        let witness = signed.witness;
        let known = |other: &SignedStatement| other.witness == witness;
        if next.disagreements.iter().any(known) {
            // The first disagreement is final.
            return Ok(());
        }
        if !signed.agrees() {
            if next.disagreements.len() >= DISAGREEMENTS {
                return Err(full());
            }
            tracing::error!(%witness, verdict = ?signed.statement.verdict, "a witness disagrees");
            next.servers.remove(&witness);
            lists.tabs.remove(&witness);
            next.disagreements.push(signed);
        } else if signed.statement.kind == WitnessKind::Tab {
            lists.count(signed);
            return Ok(());
        } else {
            add(&mut next.servers, signed)?;
        }
        if next != lists.kept {
            let json = serde_json::to_vec(&next).unwrap_or_default();
            write_durably(&self.path, &json, Access::Everyone).map_err(|error| {
                tracing::error!(%error, "the list of witnesses is not written");
                ErrorBody::new(ErrorCode::Unavailable, "The coordinator's disk fails.")
            })?;
            lists.kept = next;
        }
        Ok(())
    }

    /// The list as everybody sees it.
    #[must_use]
    pub fn list(&self, open: Round) -> Witnesses {
        let lists = self.lock();
        let mut servers: Vec<_> = lists.kept.servers.values().cloned().collect();
        servers.sort_by_key(|signed| (std::cmp::Reverse(signed.statement.round), signed.witness));
        let lately = Round(open.0.saturating_sub(LATELY));
        let tabs = lists.tabs.values().filter(|tab| tab.round >= lately);
        let number = |tabs: usize| u32::try_from(tabs).unwrap_or(u32::MAX);
        Witnesses {
            round: open,
            servers,
            tabs: Tabs {
                agree: number(tabs.clone().count()),
                whole: number(tabs.clone().filter(|tab| tab.whole).count()),
                round: tabs.map(|tab| tab.round).min().unwrap_or_default(),
                latest: lists.latest.iter().cloned().collect(),
            },
            disagreements: lists.kept.disagreements.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        // Nothing panics while it is held.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn count(&mut self, signed: SignedStatement) {
        let round = signed.statement.round;
        let whole = signed.statement.ledger.is_some();
        let known = self.tabs.get(&signed.witness);
        if known.is_some_and(|known| known.round > round || (known.round == round && !whole)) {
            return;
        }
        if known.is_none() && self.tabs.len() >= TABS {
            let behind = self.tabs.iter().min_by_key(|(_, tab)| tab.round);
            if let Some(behind) = behind.map(|(witness, _)| *witness) {
                self.tabs.remove(&behind);
            }
        }
        self.tabs.insert(signed.witness, Tab { round, whole });
        self.latest.retain(|other| other.witness != signed.witness);
        self.latest.push_front(signed);
        self.latest.truncate(LATEST);
    }
}

fn add(
    servers: &mut BTreeMap<VolunteerId, SignedStatement>,
    signed: SignedStatement,
) -> Result<(), ErrorBody> {
    let round = signed.statement.round;
    match servers.get(&signed.witness) {
        Some(known) if known.statement.round > round => return Ok(()),
        None if servers.len() >= SERVERS => {
            let behind = servers
                .values()
                .min_by_key(|other| other.statement.round)
                .filter(|other| other.statement.round < round)
                .map(|other| other.witness);
            servers.remove(&behind.ok_or_else(full)?);
        }
        _ => {}
    }
    servers.insert(signed.witness, signed);
    Ok(())
}

fn full() -> ErrorBody {
    let message = "There are as many witnesses as can be listed; try again later.";
    ErrorBody::new(ErrorCode::Busy, message)
}

/// Agreement is with the record that is in the journal, or it is none.
fn agrees_with(
    statement: &Statement,
    journal: &Arc<dyn Journal>,
    open: Round,
) -> Result<(), ErrorBody> {
    let other = |message: &str| ErrorBody::new(ErrorCode::Malformed, message);
    if statement.round > open {
        return Err(other("The statement is about rounds that are not closed."));
    }
    let Some(last) = statement.round.0.checked_sub(1) else {
        return if statement.record.is_none() {
            Ok(())
        } else {
            Err(other("There is no record before the first round."))
        };
    };
    let failed = |error: StorageError| {
        tracing::error!(%error, "a statement cannot be compared");
        ErrorBody::new(ErrorCode::Unavailable, "The coordinator's disk fails.")
    };
    let ours = journal.records(Round(last), 1).map_err(failed)?.pop();
    let same = ours.is_some_and(|ours| {
        ours.record.round == Round(last)
            && statement.record == Some(ours.record.hash())
            && statement.theta == ours.record.theta_after
    });
    if same {
        Ok(())
    } else {
        Err(other(
            "The statement agrees with another record than this run has; say that you disagree.",
        ))
    }
}

/// The same for the end of the ledger that was replayed.
fn agrees_with_ledger(seen: &LedgerSeen, ledger: &Store) -> Result<(), ErrorBody> {
    let ours = ledger.hash_at(seen.entries).map_err(|error| {
        tracing::error!(%error, "a statement cannot be compared");
        ErrorBody::new(ErrorCode::Unavailable, "The coordinator's disk fails.")
    })?;
    if ours == Some(seen.head) {
        return Ok(());
    }
    let message =
        "The statement agrees with another ledger than this run has; say that you disagree.";
    Err(ErrorBody::new(ErrorCode::Malformed, message))
}

#[cfg(test)]
mod tests {
    use covey_protocol::{
        Identity,
        witness::{Place, Verdict},
    };

    use super::*;

    fn statement(kind: WitnessKind, round: u64, verdict: Verdict) -> Statement {
        Statement {
            run: Hash([1; 32]),
            kind,
            name: String::new(),
            round: Round(round),
            theta: Hash([2; 32]),
            record: None,
            ledger: None,
            verdict,
        }
    }

    fn agreed(kind: WitnessKind, witness: u16, round: u64) -> SignedStatement {
        let mut secret = [7; 32];
        secret[..2].copy_from_slice(&witness.to_le_bytes());
        statement(kind, round, Verdict::Agrees).sign(&Identity::from_secret(secret))
    }

    fn board() -> (tempfile::TempDir, Board) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("witnesses.json");
        let board = Board::open(Hash([1; 32]), path).expect("opened");
        (folder, board)
    }

    #[test]
    fn the_newest_statement_of_a_server_is_kept_over_a_restart() {
        let (folder, board) = board();
        for round in [3, 5, 4] {
            board
                .keep(agreed(WitnessKind::Server, 1, round))
                .expect("kept");
        }
        let again = Board::open(Hash([1; 32]), folder.path().join("witnesses.json"));
        let servers = again.expect("opened").list(Round(6)).servers;
        assert_eq!(servers, [agreed(WitnessKind::Server, 1, 5)]);
    }

    #[test]
    fn a_disagreement_is_final_and_is_not_pushed_out() {
        let (_folder, board) = board();
        let verdict = Verdict::Disagrees {
            place: Place::Weights,
            number: 3,
            expected: String::new(),
            found: String::new(),
        };
        let identity = Identity::from_secret([1; 32]);
        let disagrees = statement(WitnessKind::Server, 3, verdict).sign(&identity);
        board.keep(disagrees.clone()).expect("kept");
        let turned = statement(WitnessKind::Server, 9, Verdict::Agrees).sign(&identity);
        board.keep(turned).expect("heard");
        for witness in 0..200 {
            board
                .keep(agreed(
                    WitnessKind::Server,
                    witness,
                    100 + u64::from(witness),
                ))
                .expect("kept");
        }
        let list = board.list(Round(300));
        assert_eq!(list.disagreements, [disagrees]);
        assert_eq!(list.servers.len(), SERVERS);
        let late = board.keep(agreed(WitnessKind::Server, 999, 5));
        assert_eq!(late.map_err(|body| body.code), Err(ErrorCode::Busy));
    }

    #[test]
    fn tabs_count_for_some_rounds_and_agree_at_least_to_the_least_of_them() {
        let (_folder, board) = board();
        for (tab, round) in [(1, 2), (2, 10), (3, 12), (3, 11)] {
            board
                .keep(agreed(WitnessKind::Tab, tab, round))
                .expect("kept");
        }
        let tabs = board.list(Round(12)).tabs;
        assert_eq!((tabs.agree, tabs.round), (2, Round(10)));
        assert_eq!(tabs.latest.len(), 3);
        let nobody = board.list(Round(100)).tabs;
        assert_eq!((nobody.agree, nobody.round), (0, Round(0)));
    }
}
