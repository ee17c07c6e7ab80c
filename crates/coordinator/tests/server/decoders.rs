//! What the coordinator reads from its disk and its operator: files that were cut, altered or written by
//! somebody else. Each is refused by a typed error or means what it says, and nothing panics. Not among the
//! fuzz targets, because this crate needs burn; `docs/fuzzing.md` lists them all.

use std::{cell::Cell, fs, path::Path};

use covey_coordinator::{
    config::{Config, Flags, is_origin},
    handovers,
    ledger::{
        genesis::{Terms, found},
        store::Store,
    },
    run_file::{self, CorpusManifest},
    secret::Secrets,
    storage::{Journal, RedbJournal, StorageError},
    validations::Sheets,
    witnesses::Board,
};
use covey_ledger::AccountId;
use covey_protocol::{
    Hash, Identity, Round,
    corpus::{Manifest, Shard},
    handover::{self, Handover},
    record::{RoundRecord, SignedRecord},
    validation::Sheet,
    witness::{Statement, Verdict, WitnessKind},
};
use proptest::{collection::vec, prelude::*};
use redb::{Database, TableDefinition};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// One change to a good file: what, where, with what.
type Change = (u8, prop::sample::Index, u64);

/// Cuts, flips, repeats and puts other numbers in the place of numbers.
fn damaged(good: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for (what, place, with) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        match what % 5 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= (*with as u8).max(1),
            2 => drop(bytes.splice(at..at, with.to_le_bytes())),
            3 => {
                let piece = bytes[at..].iter().copied().take(64).collect::<Vec<u8>>();
                drop(bytes.splice(at..at, piece));
            }
            _ => number(&mut bytes, at, *with),
        }
    }
    bytes
}

/// Another number for the first one behind a place.
fn number(bytes: &mut Vec<u8>, at: usize, with: u64) {
    let found = bytes[at..].iter().position(u8::is_ascii_digit);
    let Some(start) = found.map(|found| at + found) else {
        return;
    };
    let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
    let end = start + digits.count();
    let text = match with % 6 {
        0 => "0".to_owned(),
        1 => "-1".to_owned(),
        2 => "1e999".to_owned(),
        3 => u64::MAX.to_string(),
        4 => format!("{with}.5"),
        _ => with.to_string(),
    };
    drop(bytes.splice(start..end, text.into_bytes()));
}

/// Damaged copies of a good file, and bytes that never were one.
fn near(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<u8>(), any::<prop::sample::Index>(), any::<u64>());
    prop_oneof![
        4 => vec(change, 1..5).prop_map(move |changes| damaged(&good, &changes)),
        1 => vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\"a-z0-9:,.=\\n -]{0,80}".prop_map(String::into_bytes),
    ]
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn me() -> Identity {
    Identity::from_secret([7; 32])
}

const CONFIGURATION: &str = r#"
listen = "127.0.0.1:8080"
admin_listen = "127.0.0.1:9090"
data_dir = "./data"
allowed_origins = ["https://a.example"]
allow_localhost = true
embed_origins = ["*"]
trust_forwarded_for = false
evaluate_sequences = 64
assess_seconds = 30
checkpoints_kept = 3
log_format = "json"
[[partners]]
id = "example-blog"
name = "Example blog"
url = "https://blog.example"
origins = ["https://blog.example"]
volunteers = 1000
joins_per_minute = 600
[limits]
connections = 4096
requests_per_second = 200
frame_burst = 100
[replication]
clean_needed = 4
quota_rounds = 64
[run]
name = "Covey"
model = "tiny"
[run.inner]
steps = 20
peak_lr = 0.001
[run.rounds]
window_ms = 60000
"#;

fn configuration(path: &Path, text: &[u8]) -> Option<Config> {
    fs::write(path, text).expect("written");
    let flags = Flags {
        config: Some(path.to_owned()),
        ..Flags::default()
    };
    Config::load(&flags).ok()
}

fn corpus() -> CorpusManifest {
    let shard = Shard {
        hash: Hash::of(b"shard"),
        tokens: 10,
    };
    let manifest = Manifest {
        version: 1,
        vocabulary_size: 256,
        vocabulary: Hash::of(b"vocabulary"),
        tokenizer: None,
        train: vec![shard],
        held_out: vec![shard],
        train_bytes: 10,
        held_out_bytes: 10,
        unigram_entropy: 3.0,
    };
    CorpusManifest {
        json: manifest.to_json(),
        manifest,
    }
}

fn run(path: &Path, settings: &Map<String, Value>) -> Option<covey_protocol::run::RunSpec> {
    run_file::load_or_create(path, settings, &corpus(), Path::new("corpus")).ok()
}

fn run_json() -> Vec<u8> {
    let folder = folder();
    let path = folder.path().join("run.json");
    run(&path, &Map::new()).expect("created");
    fs::read(path).expect("there")
}

fn genesis() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/ledger-genesis.example.json"
    );
    fs::read(path).expect("the example")
}

fn witness_list() -> Vec<u8> {
    let folder = folder();
    let path = folder.path().join("witnesses.json");
    let board = Board::open(Hash([1; 32]), path.clone()).expect("opened");
    let statement = Statement {
        run: Hash([1; 32]),
        kind: WitnessKind::Server,
        name: "mirror".to_owned(),
        round: Round(3),
        theta: Hash([2; 32]),
        record: None,
        ledger: None,
        verdict: Verdict::Agrees,
    };
    board.keep(statement.sign(&me())).expect("kept");
    fs::read(path).expect("there")
}

fn handover_list() -> Vec<u8> {
    let next = Identity::from_secret([8; 32]);
    let handover = Handover {
        run: Hash([1; 32]),
        from_round: Round(5),
        last_record: Some(Hash([3; 32])),
        old: me().id(),
        new: next.id(),
    };
    serde_json::to_vec(&[handover.sign(&next)]).expect("it can be written")
}

#[test]
fn the_files_that_are_damaged_below_are_good_ones() {
    let folder = folder();
    let path = folder.path().join("file");
    assert!(configuration(&path, CONFIGURATION.as_bytes()).is_some());
    fs::write(&path, handover_list()).expect("written");
    let next = Identity::from_secret([8; 32]).id();
    assert!(handovers::load(&path, &Hash([1; 32]), &next).is_ok());
    fs::write(&path, genesis()).expect("written");
    assert!(Terms::read(&path, AccountId([7; 32])).is_ok());
    fs::write(&path, witness_list()).expect("written");
    let board = Board::open(Hash([1; 32]), path).expect("opened");
    assert_eq!(board.list(Round(4)).servers.len(), 1);
}

/// One folder for all cases of a test: making one takes longer than what is tested.
fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(1000)
}

#[test]
fn a_configuration_is_refused_or_within_its_bounds() {
    let folder = folder();
    let path = folder.path().join("covey.toml");
    proptest!(cases(), |(text in near(CONFIGURATION.as_bytes().to_vec()))| {
        if let Some(config) = configuration(&path, &text) {
            prop_assert!(config.limits.connections > 0 && config.checkpoints_kept > 0);
            prop_assert!(config.replication.quota_rounds > 0);
            let origins = config.partners.iter().flat_map(|partner| &partner.origins);
            prop_assert!(origins.into_iter().all(|origin| is_origin(origin)));
        }
    });
}

#[test]
fn settings_of_a_run_make_one_that_is_kept_or_none() {
    let good = json!({
        "name": "plays", "model": {"layers": 2}, "inner": {"steps": 7, "beta2": 0.97}, "rounds": {"grace_ms": 5},
    });
    let folder = folder();
    let path = folder.path().join("run.json");
    proptest!(cases(), |(text in near(good.to_string().into_bytes()))| {
        if let Ok(settings) = serde_json::from_slice::<Map<String, Value>>(&text) {
            let _ = fs::remove_file(&path);
            match run(&path, &settings) {
                Some(spec) => prop_assert_eq!(run(&path, &settings), Some(spec)),
                None => prop_assert!(!path.exists()),
            }
        }
    });
}

#[test]
fn a_damaged_run_is_refused_or_is_what_it_says() {
    let folder = folder();
    let path = folder.path().join("run.json");
    proptest!(cases(), |(bytes in near(run_json()))| {
        fs::write(&path, &bytes).expect("written");
        if let Some(spec) = run(&path, &Map::new()) {
            prop_assert!(spec.validate().is_ok());
        }
        prop_assert_eq!(fs::read(&path).expect("still there"), bytes);
    });
}

#[test]
fn a_damaged_genesis_is_refused_or_founds_a_ledger_or_says_why_not() {
    let folder = folder();
    let path = folder.path().join("genesis.json");
    proptest!(cases(), |(bytes in near(genesis()))| {
        fs::write(&path, &bytes).expect("written");
        if let Ok(terms) = Terms::read(&path, AccountId([7; 32])) {
            let _ = found(terms.of(Hash([1; 32]), 5));
        }
    });
}

#[test]
fn a_damaged_list_of_witnesses_begins_anew_and_stops_nothing() {
    let folder = folder();
    let path = folder.path().join("witnesses.json");
    proptest!(cases(), |(bytes in near(witness_list()))| {
        fs::write(&path, &bytes).expect("written");
        let board = Board::open(Hash([1; 32]), path.clone());
        prop_assert!(board.expect("opened").list(Round(4)).servers.len() <= 1);
    });
}

#[test]
fn handovers_are_refused_unless_they_lead_to_the_coordinator() {
    let folder = folder();
    let path = folder.path().join("handovers.json");
    let (run, next) = (Hash([1; 32]), Identity::from_secret([8; 32]).id());
    proptest!(cases(), |(bytes in near(handover_list()))| {
        fs::write(&path, &bytes).expect("written");
        if let Ok(handovers) = handovers::load(&path, &run, &next) {
            prop_assert!(handover::check(&run, &handovers, &next).is_ok());
        }
    });
}

#[test]
fn a_key_is_32_bytes_or_refused() {
    let folder = folder();
    let path = folder.path().join("coordinator.key");
    proptest!(cases(), |(bytes in vec(any::<u8>(), 0..70))| {
        fs::write(&path, &bytes).expect("written");
        prop_assert_eq!(Secrets::load_or_create(&path).is_ok(), bytes.len() == 32);
    });
}

/// A database with one row of somebody's choice in one of its tables.
fn with_row<K: redb::Key + 'static>(
    path: &Path,
    table: TableDefinition<K, &'static [u8]>,
    key: K::SelfType<'static>,
    row: &[u8],
) {
    let database = Database::create(path).expect("a database");
    let write = database.begin_write().expect("a transaction");
    {
        let mut table = write.open_table(table).expect("a table");
        table.insert(key, row).expect("a row");
    }
    write.commit().expect("committed");
}

fn record() -> Vec<u8> {
    serde_json::to_vec(&signed_record(3)).expect("it can be written")
}

fn signed_record(round: u64) -> SignedRecord {
    let hash = Hash([1; 32]);
    let record = RoundRecord {
        run: hash,
        round: Round(round),
        previous: None,
        seed: hash,
        base: hash,
        theta_after: hash,
        update: None,
        update_len: 0,
        contributions: Vec::new(),
        excluded: Vec::new(),
        commitments: Vec::new(),
        replicas: Vec::new(),
        unproven: Vec::new(),
    };
    record.sign(&me())
}

fn sheet() -> Vec<u8> {
    let sheet = Sheet {
        run: Hash([1; 32]),
        validator: me().id(),
        round: Round(3),
        record: Hash([2; 32]),
        scores: Vec::new(),
    };
    serde_json::to_vec(&sheet.sign(&me())).expect("it can be written")
}

/// redb finds most of what a disk did to its pages, and stops at the rest with a panic of its own.
#[test]
fn a_database_with_altered_pages_is_read_or_refused() {
    let folder = folder();
    let path = folder.path().join("journal.redb");
    let journal = RedbJournal::open(&path).expect("created");
    for round in 0..40 {
        let record = signed_record(round);
        journal.record(&record, Some(b"{}")).expect("kept");
    }
    drop(journal);
    let good = fs::read(&path).expect("there");
    let place = any::<prop::sample::Index>();
    let config = ProptestConfig {
        // A case that fails is small already.
        max_shrink_iters: 0,
        ..ProptestConfig::with_cases(250)
    };
    let refused = Cell::new(0);
    proptest!(config, |(places in vec((place, any::<bool>(), 0u8..8), 1..4))| {
        let mut bytes = good.clone();
        for (place, early, bit) in places {
            let end = if early { bytes.len().min(16 * 1024) } else { bytes.len() };
            bytes[place.index(end)] ^= 1 << bit;
        }
        fs::write(&path, &bytes).expect("written");
        let looked = RedbJournal::open(&path).and_then(|journal| {
            journal.records(Round(0), 100)?;
            journal.last_record()?;
            journal.checkpoints()?;
            journal.book()
        });
        refused.set(refused.get() + u32::from(looked.is_err()));
    });
    assert!(refused.get() > 0, "nothing was altered");
}

proptest! {
    // Each case is a database on disk.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_row_that_is_no_record_is_an_error(row in near(record())) {
        let folder = folder();
        let path = folder.path().join("journal.redb");
        let table = TableDefinition::<u64, &[u8]>::new("records");
        with_row(&path, table, 3, &row);
        let journal = RedbJournal::open(&path).expect("opened");
        match journal.last_record() {
            Ok(record) => prop_assert!(record.is_some()),
            Err(error) => prop_assert!(matches!(error, StorageError::Unreadable(_)), "{error}"),
        }
        let _ = journal.records(Round(0), 10);
    }

    #[test]
    fn a_row_that_is_no_sheet_is_an_error(row in near(sheet())) {
        let folder = folder();
        let path = folder.path().join("validations.redb");
        let table = TableDefinition::<(u64, [u8; 32]), &[u8]>::new("sheets");
        with_row(&path, table, (3, me().id().0), &row);
        let sheets = Sheets::open(&path).expect("opened");
        match sheets.get(Round(3), me().id()) {
            Ok(sheet) => prop_assert!(sheet.is_some()),
            Err(error) => prop_assert!(matches!(error, StorageError::Unreadable(_)), "{error}"),
        }
    }

    #[test]
    fn files_that_are_no_databases_are_refused(bytes in vec(any::<u8>(), 1..5000)) {
        let folder = folder();
        let path = folder.path().join("file.redb");
        fs::write(&path, &bytes).expect("written");
        prop_assert!(RedbJournal::open(&path).is_err());
        prop_assert!(Sheets::open(&path).is_err());
        prop_assert!(Store::open(&path).is_err());
    }
}
