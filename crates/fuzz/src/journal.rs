//! The journal: one line, one entry that follows a good journal, and a whole one that was tampered with.

use covey_ledger::{
    Ledger,
    journal::{Body, Entry, Line},
};
use covey_wallet::Audit;

use crate::world::{sound, world};

pub mod line {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        if let Ok(line) = Line::parse(text, 0) {
            assert_eq!(line.text(), text);
        }
        // The same entry under its own hash.
        if let Ok(line) = serde_json::from_str::<Line>(text) {
            let line = line.entry.line();
            assert_eq!(Line::parse(&line.text(), line.entry.index), Ok(line));
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let lines = world().journal.into_iter().map(|entry| entry.line().text());
        lines.map(String::into_bytes).collect()
    }
}

/// A body as the next entry of a good journal, properly numbered and chained: only the rules are left to
/// refuse it.
pub mod entry {
    use super::*;

    pub fn run(data: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Body>(data) else {
            return;
        };
        let before = world().ledger;
        let due = before.next_epoch();
        for height in [before.state().height, due] {
            let entry = Entry {
                index: before.len(),
                height,
                previous: before.head(),
                body: body.clone(),
            };
            let mut ledger = before.clone();
            match ledger.replay(&entry) {
                Ok(applied) => {
                    assert_eq!(applied.hash, entry.hash());
                    sound(&ledger);
                }
                Err(_) => assert_eq!(ledger, before),
            }
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let mut ledger = world().ledger;
        let due = ledger.next_epoch();
        let next = ledger.epoch(due).expect("the epoch is due").entry;
        let mut entries = world().journal;
        entries.extend([next]);
        let bodies = entries
            .into_iter()
            .map(|entry| entry.body)
            .chain([Body::Clock {}]);
        bodies
            .map(|body| serde_json::to_vec(&body).expect("it can be written"))
            .collect()
    }
}

/// A good journal after a few cuts, swaps, repetitions and changed bytes, fed in pieces. Whatever happened,
/// an auditor ends with a prefix of the good one, and says so if anything is left over.
///
/// The input is read four bytes at a time: what to do, to which line, at which place, with what.
#[allow(
    clippy::module_inception,
    reason = "a target is named after what it reads"
)]
pub mod journal {
    use super::*;

    pub fn run(data: &[u8]) {
        let good: Vec<Entry> = world().journal;
        let mut lines: Vec<Vec<u8>> = good
            .iter()
            .map(|entry| entry.clone().line().text().into_bytes())
            .collect();
        let (steps, _) = data.as_chunks::<4>();
        for [what, which, place, with] in steps.iter().take(16) {
            tamper(
                &mut lines,
                *what,
                usize::from(*which),
                usize::from(*place),
                *with,
            );
        }
        let bytes = lines.join(&b'\n');
        let Ok(text) = String::from_utf8(bytes) else {
            return;
        };
        let piece = 1 + usize::from(data.first().copied().unwrap_or(255)) * 7;
        let (audit, ended) = fed(&text, piece);
        // Nobody can forge an entry, so what was taken is what was written.
        let taken = audit.map_or(0, |progress| {
            let last = usize::try_from(progress.entries)
                .ok()
                .and_then(|n| n.checked_sub(1));
            let last = last
                .and_then(|last| good.get(last))
                .expect("not more than there was");
            assert_eq!(progress.head, last.hash().to_string());
            progress.entries
        });
        let whole: Vec<String> = good
            .iter()
            .map(|entry| entry.clone().line().text())
            .collect();
        if ended {
            let prefix = whole.get(..taken as usize).expect("a prefix").join("\n");
            assert_eq!(text.trim_end_matches('\n'), prefix);
        }
    }

    fn tamper(lines: &mut Vec<Vec<u8>>, what: u8, which: usize, place: usize, with: u8) {
        if lines.is_empty() {
            return;
        }
        let (which, other) = (which % lines.len(), place % lines.len());
        match what % 6 {
            0 => lines.truncate(which),
            1 => {
                lines.remove(which);
            }
            2 => lines.swap(which, other),
            3 => {
                let copy = lines.get(other).cloned().unwrap_or_default();
                lines.insert(which, copy);
            }
            4 => {
                let line = lines.get_mut(which);
                // Every part of a long line can be reached.
                if let Some(byte) = line.and_then(|line| {
                    let at = (place * 257 + usize::from(with)) % line.len().max(1);
                    line.get_mut(at)
                }) {
                    *byte ^= with;
                }
            }
            _ => {
                if let Some(line) = lines.get_mut(which) {
                    line.truncate(line.len().saturating_sub(place + 1));
                }
            }
        }
    }

    /// What an auditor says at the last good place, and whether it took everything.
    fn fed(text: &str, piece: usize) -> (Option<covey_wallet::audit::AuditProgress>, bool) {
        let mut audit = Audit::new();
        let mut last = None;
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = piece.min(rest.len());
            while !rest.is_char_boundary(end) {
                end += 1;
            }
            let (now, later) = rest.split_at(end);
            rest = later;
            match audit.feed(now) {
                Ok(progress) => last = Some(progress).filter(|progress| progress.entries > 0),
                Err(wrong) => {
                    assert_eq!(audit.finish(), Err(wrong), "an auditor never recovers");
                    return (last, false);
                }
            }
        }
        match audit.finish() {
            Ok(progress) => (Some(progress), true),
            Err(_) => (last, false),
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![
            vec![5, 200, 0, 0],
            vec![0, 4, 0, 0],
            vec![2, 3, 5, 0],
            vec![3, 2, 9, 0],
            vec![4, 6, 1, 64],
            vec![5, 9, 30, 0],
        ]
    }
}

/// A ledger with a head of somebody's choice.
pub fn vouched(state: &Ledger, index: u64) -> Entry {
    Entry {
        index,
        height: state.state().height,
        previous: state.head(),
        body: Body::Epoch {
            state: state.state().hash(),
        },
    }
}
