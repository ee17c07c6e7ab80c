//! The journal is the truth, and shows what was done to it: every prefix replays to the recorded head, and
//! a text that was altered anywhere is refused at the first line that is wrong.
//!
//! What a reader would get wrong: a line's hash protects against accidents, the chain against editing. An
//! editor who also corrects the hashes is found by the rules (a signature, a state's hash) or, at the
//! latest, by the next entry, which names another predecessor.

mod common;
#[path = "common/play.rs"]
mod play;

use std::sync::OnceLock;

use covey_ledger::{
    Alpha, Ledger, Rao,
    call::Call,
    journal::{Body, Entry, JournalError, Line},
};
use covey_protocol::Hash;
use play::{Play, base, moves};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use common::*;

/// A journal of random play, with the ledger before each entry.
fn journal() -> &'static (Vec<Entry>, Vec<Ledger>) {
    static JOURNAL: OnceLock<(Vec<Entry>, Vec<Ledger>)> = OnceLock::new();
    JOURNAL.get_or_init(|| {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let (ledger, entries) = base();
        let mut play = Play::new(ledger, entries);
        let steps = moves(60..61).new_tree(&mut runner).unwrap().current();
        steps.iter().for_each(|step| play.step(step));
        let height = play.ledger.state().height;
        let partner = "example-blog".parse().unwrap();
        let applied = play.ledger.partnership(height, partner, true).unwrap();
        play.entries.push(applied.entry);
        play.wait(200);
        let mut replay = Ledger::from_genesis(&play.entries[0]).unwrap();
        let mut before = Vec::new();
        for entry in &play.entries[1..] {
            before.push(replay.clone());
            replay.replay(entry).unwrap();
        }
        assert_eq!(replay, play.ledger);
        before.push(replay);
        (play.entries, before)
    })
}

fn lines() -> Vec<String> {
    let (entries, _) = journal();
    entries
        .iter()
        .map(|entry| entry.clone().line().text())
        .collect()
}

/// Reads a journal's text as a stranger would.
fn read(lines: &[String]) -> Result<Ledger, JournalError> {
    let mut ledger = None::<Ledger>;
    for (index, text) in (0..).zip(lines) {
        let Line { entry, hash } = Line::parse(text, index)?;
        ledger = Some(match ledger {
            None => Ledger::from_genesis(&entry)?,
            Some(mut ledger) => {
                assert_eq!(ledger.replay(&entry)?.hash, hash);
                ledger
            }
        });
    }
    ledger.ok_or(JournalError::Genesis(0))
}

#[test]
fn every_prefix_replays_to_its_recorded_head_and_state() {
    let (entries, before) = journal();
    let lines = lines();
    for (kept, expected) in (1..=lines.len()).zip(before) {
        // Every tenth from the very beginning, the others from the prefix before.
        let reached = if kept % 10 == 1 || kept == lines.len() {
            read(&lines[..kept]).unwrap()
        } else {
            let mut reached = before[kept - 2].clone();
            reached.replay(&entries[kept - 1]).unwrap();
            reached
        };
        assert_eq!(reached.head(), entries[kept - 1].hash());
        assert_eq!(reached.len(), kept as u64);
        assert_eq!(reached.state().hash(), expected.state().hash());
        assert_eq!(&reached, expected);
    }
    let epochs = entries
        .iter()
        .filter(|entry| matches!(entry.body, Body::Epoch { .. }));
    assert!(epochs.count() > 10 && entries.len() > 40);
}

#[test]
fn every_altered_byte_is_found_in_its_line() {
    let (_, before) = journal();
    for (index, text) in (0_u64..).zip(lines()) {
        let place = usize::try_from(index).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            // Another bit each time; also those that change a digit, a letter's case or a quote.
            bytes[at] ^= 1 << (at % 8);
            let Ok(altered) = String::from_utf8(bytes) else {
                // No text at all: whoever reads lines stops here.
                continue;
            };
            for altered in altered.split('\n').take(1) {
                let found = Line::parse(altered, index);
                let found = found.and_then(|line| match before.get(place.wrapping_sub(1)) {
                    Some(ledger) => ledger.clone().replay(&line.entry).map(|_| ()),
                    None => Ledger::from_genesis(&line.entry).map(|_| ()),
                });
                match found {
                    Ok(()) => panic!("entry {index}, byte {at}: {altered}"),
                    Err(error) => assert_eq!(error.index(), index, "{error}"),
                }
            }
        }
    }
}

#[test]
fn deleted_swapped_and_doubled_lines_are_found_where_they_are() {
    let lines = lines();
    for at in 0..lines.len() - 1 {
        let mut deleted = lines.clone();
        deleted.remove(at);
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        for (altered, wrong) in [(deleted, at), (swapped, at), (doubled, at + 1)] {
            // What comes before was read in the test above.
            let error = altered
                .iter()
                .enumerate()
                .find_map(|(index, text)| Line::parse(text, index as u64).err())
                .unwrap();
            assert_eq!(error.index(), wrong as u64);
            assert!(matches!(error, JournalError::Order { .. }), "{error}");
        }
    }
    // The last line alone can be cut off: that is a shorter journal, whose head somebody else knows.
    let cut = read(&lines[..lines.len() - 1]).unwrap();
    assert_ne!(cut.head(), read(&lines).unwrap().head());
}

#[test]
fn an_editor_who_corrects_the_hashes_is_found_by_the_rules_or_by_the_next_entry() {
    let (entries, before) = journal();
    let mut seen = [0; 5];
    for at in 1..entries.len() - 1 {
        let mut edited = entries[at].clone();
        let kind = match &mut edited.body {
            Body::Action(signed) => {
                signed.action.expires += 1;
                0
            }
            Body::Session(signed) => {
                signed.authorisation.expires_at_ms += 1;
                1
            }
            Body::Epoch { state } => {
                state.0[0] ^= 1;
                2
            }
            Body::Clock {} => {
                edited.height -= 1;
                3
            }
            Body::Partnership { suspended, .. } => {
                *suspended = !*suspended;
                4
            }
            Body::Genesis(_) => unreachable!("there is one, and it is first"),
        };
        seen[kind] += 1;
        // A line of its own is in order.
        let line = edited.clone().line();
        assert_eq!(Line::parse(&line.text(), edited.index), Ok(line));
        let mut ledger = before[at - 1].clone();
        match ledger.replay(&edited) {
            Err(error) => {
                assert!(matches!(error, JournalError::Rule { .. }), "{error}");
                assert_eq!(error.index(), at as u64);
            }
            // A clock's height is nobody's word; what follows it names the entry as it was.
            Ok(_) => {
                assert_eq!(kind, 3);
                let error = ledger.replay(&entries[at + 1]).unwrap_err();
                assert_eq!(error, JournalError::Previous(at as u64 + 1));
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_journal_has_one_genesis_at_its_beginning() {
    let (entries, before) = journal();
    assert_eq!(
        Ledger::from_genesis(&entries[1]),
        Err(JournalError::Genesis(1))
    );
    let mut again = entries[0].clone();
    again.index = 1;
    again.previous = entries[0].hash();
    assert_eq!(
        before[0].clone().replay(&again),
        Err(JournalError::Genesis(1))
    );
    let mut late = entries[0].clone();
    late.height = 7;
    assert_eq!(Ledger::from_genesis(&late), Err(JournalError::Genesis(0)));
    let mut after = entries[0].clone();
    after.previous = Hash([1; 32]);
    assert_eq!(Ledger::from_genesis(&after), Err(JournalError::Genesis(0)));
}

#[test]
fn a_snapshot_continues_where_the_journal_was_and_a_damaged_one_is_refused() {
    let (entries, before) = journal();
    let last = entries
        .iter()
        .rposition(|entry| matches!(entry.body, Body::Epoch { .. }))
        .unwrap();
    let vouching = &entries[last];
    let bytes = before[last].snapshot();
    let mut restored = Ledger::from_snapshot(&bytes, vouching).unwrap();
    assert_eq!(restored, before[last]);
    for entry in &entries[last + 1..] {
        restored.replay(entry).unwrap();
    }
    assert_eq!(&restored, before.last().unwrap());
    // Another entry does not vouch for it: not the one before, not one that is no epoch.
    for other in [&entries[last - 1], &entries[0]] {
        assert!(Ledger::from_snapshot(&bytes, other).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = Ledger::from_snapshot(&damaged, vouching).unwrap_err();
        assert_eq!(error.index(), last as u64);
    }
    for kept in 0..bytes.len() {
        assert!(Ledger::from_snapshot(&bytes[..kept], vouching).is_err());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(Ledger::from_snapshot(&longer, vouching).is_err());
    // Anybody else's state under the same head.
    let other = before[last - 1].snapshot();
    assert!(Ledger::from_snapshot(&other, vouching).is_err());
}

proptest! {
    #[test]
    fn no_line_and_no_snapshot_panics(text in ".{0,200}", bytes: Vec<u8>, index: u64) {
        prop_assert!(Line::parse(&text, index).is_err());
        prop_assert!(Ledger::restore(&bytes).is_none());
        let with_magic = [b"CVS1".as_slice(), &bytes].concat();
        prop_assert!(Ledger::restore(&with_magic).is_none());
    }
}

#[test]
fn an_epoch_is_paid_by_the_journal_even_after_years_of_silence() {
    // 300 days at once: every epoch on the way is recorded, and each is the one that was due.
    let mut ledger = slow_ledger();
    let lock = Call::LockStake {
        hotkey: hotkey(3),
        netuid: RUN,
        amount: Alpha(2000 * T),
    };
    act(&mut ledger, "//Charlie", lock).unwrap();
    let applied = go_to(&mut ledger, 300 * 7200);
    assert_eq!(applied.len(), 6000);
    assert!(
        applied
            .iter()
            .zip(1..)
            .all(|(applied, n)| applied.entry.height == n * 360)
    );
    check(&ledger);
    let minted = ledger.state().issuance.0 - genesis_tao();
    assert_eq!(Rao(minted), Rao(300 * 7200 * 1000));
}

fn genesis_tao() -> u64 {
    5 * 1000 * T + 10_000 * T
}

#[test]
fn a_state_without_partners_hashes_as_before_there_were_any() {
    let mut ledger = ledger();
    go_to(&mut ledger, 720);
    // Written down before the ledger knew of partners.
    let state = "d83f09090ba1b00df39911a04b694d512a7b668d1449af518680f64abf096955";
    let head = "05d92a5db5d6bc2f8f1c5b423bcd712167f4b9c9d68839362c03725a1a7c2ac1";
    assert_eq!(ledger.state().hash().to_string(), state);
    assert_eq!(ledger.head().to_string(), head);
}
