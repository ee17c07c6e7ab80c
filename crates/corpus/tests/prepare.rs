//! From text to a corpus directory: what comes out, and what happens to unusual inputs.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use covey_corpus::{
    Corpus, CorpusError, NoProgress, Options, Summary,
    files::Reason,
    prepare,
    tokenizer::{SAMPLE_BYTES, Tokenizer},
};
use covey_protocol::{
    Hash,
    corpus::{Manifest, Shard},
};
use tempfile::{TempDir, tempdir};

fn options(vocabulary: &str, held_out: &str) -> Options {
    Options {
        vocabulary: vocabulary.parse().unwrap(),
        held_out: held_out.parse().unwrap(),
    }
}

/// Sentences that do not repeat: a small generator drawing words by their rank.
fn sentences(bytes: usize, seed: u64) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "of",
        "and",
        "king",
        "to",
        "my",
        "lord",
        "night",
        "in",
        "crown",
        "that",
        "heart",
        "sword",
        "thou",
        "with",
        "field",
        "méchant",
        "daughter",
        "ghost",
        "midsummer",
        "tempest",
        "banquet",
        "Elsinore",
        "— alas",
    ];
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut text = String::new();
    while text.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as usize % 300;
        text += WORDS[(draw as f64).sqrt() as usize % WORDS.len()];
        text += match draw % 11 {
            0 => ".\n",
            1 => ", ",
            2 => "ing ",
            _ => " ",
        };
    }
    text.truncate(bytes - (0..4).find(|n| text.is_char_boundary(bytes - n)).unwrap());
    text
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn prepare(&self, input: &str, options: &Options) -> Result<Summary, CorpusError> {
        prepare(&self.path(input), &self.path("out"), options, &NoProgress)
    }

    /// Nothing but the named entries: no corpus, no leftovers.
    fn assert_holds_only(&self, names: &[&str]) {
        let mut found: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, names);
    }
}

fn decoded(corpus: &Corpus, shards: &[Shard]) -> String {
    let vocabulary = corpus.vocabulary().unwrap();
    let tokens: Vec<u16> = shards
        .iter()
        .flat_map(|shard| corpus.shard(shard).unwrap())
        .collect();
    vocabulary.decode(&tokens)
}

fn tokens(shards: &[Shard]) -> u64 {
    shards.iter().map(|shard| u64::from(shard.tokens)).sum()
}

#[test]
fn bytes_of_one_file_come_back_as_training_and_held_out_text() {
    let place = Place::new();
    let text = sentences(400_000, 1);
    place.write("text.txt", &text);
    let summary = place.prepare("text.txt", &options("bytes", "5%")).unwrap();
    let manifest = summary.corpus.manifest();
    let train = decoded(&summary.corpus, &manifest.train);
    let held_out = decoded(&summary.corpus, &manifest.held_out);
    assert_eq!(format!("{train}{held_out}"), text);
    assert!(train.ends_with('\n'), "the cut is at a line's start");
    assert!((20_000..21_100).contains(&held_out.len()));
    assert_eq!(manifest.train_bytes, train.len() as u64);
    assert_eq!(manifest.held_out_bytes, held_out.len() as u64);
    assert_eq!(manifest.tokenizer, None);
    assert_eq!(manifest.vocabulary_size, 256);
    place.assert_holds_only(&["out", "text.txt"]);
    assert_eq!(
        Manifest::from_json(&fs::read(place.path("out/manifest.json")).unwrap()).unwrap(),
        *manifest
    );
}

#[test]
fn unigram_entropy_is_that_of_the_held_out_tokens() {
    let place = Place::new();
    // The end holds four letters equally often: ln 4 nats, whatever came before.
    let text = sentences(100_000, 2) + &"abcd".repeat(10_000);
    place.write("text.txt", &text);
    let summary = place.prepare("text.txt", &options("bytes", "10%")).unwrap();
    let entropy = summary.corpus.manifest().unigram_entropy;
    assert!((entropy - 4f64.ln()).abs() < 1e-6, "{entropy}");
}

#[test]
fn byte_pair_tokens_come_back_as_the_text_and_are_fewer_than_bytes() {
    let place = Place::new();
    let text = sentences(600_000, 3);
    place.write("text.txt", &text);
    let summary = place.prepare("text.txt", &options("512", "5%")).unwrap();
    let corpus = &summary.corpus;
    let manifest = corpus.manifest();
    let whole = decoded(corpus, &manifest.train) + &decoded(corpus, &manifest.held_out);
    assert_eq!(whole, text);
    assert_eq!(manifest.vocabulary_size, 512);
    assert_eq!(corpus.vocabulary().unwrap().len(), 512);
    let count = tokens(&manifest.train) + tokens(&manifest.held_out);
    assert!(count * 2 < text.len() as u64, "{count} tokens");
}

#[test]
fn published_tokeniser_writes_the_same_tokens() {
    let place = Place::new();
    let text = sentences(300_000, 4);
    place.write("text.txt", &text);
    let summary = place.prepare("text.txt", &options("576", "5%")).unwrap();
    let corpus = &summary.corpus;
    let json = corpus.blob(corpus.manifest().tokenizer.unwrap()).unwrap();
    let tokenizer = Tokenizer::from_json(&json, 576).unwrap();
    // Chunks end where no token reaches across, so the whole text at once gives equal tokens.
    let at_once = tokenizer.encode(text.as_bytes()).unwrap();
    let manifest = corpus.manifest();
    let in_shards: Vec<u16> = manifest
        .train
        .iter()
        .chain(&manifest.held_out)
        .flat_map(|shard| corpus.shard(shard).unwrap())
        .collect();
    assert_eq!(in_shards, at_once);
}

#[test]
fn vocabulary_is_padded_where_the_text_has_too_few_pairs() {
    let place = Place::new();
    place.write("text.txt", "to be or not to be\n".repeat(20_000));
    let summary = place.prepare("text.txt", &options("4096", "20%")).unwrap();
    let vocabulary = summary.corpus.vocabulary().unwrap();
    assert_eq!(vocabulary.len(), 4096);
    assert_eq!(vocabulary.decode(&[4095]), "");
}

#[test]
fn same_text_and_settings_give_the_same_corpus_anywhere() {
    let (one, two) = (Place::new(), Place::new());
    for (place, input) in [(&one, "here"), (&two, "somewhere/else")] {
        for (name, seed) in [("b.txt", 5), ("a/z.txt", 6), ("a.txt", 7), ("a/b/c.md", 8)] {
            place.write(&format!("{input}/{name}"), sentences(90_000, seed));
        }
    }
    for vocabulary in ["bytes", "1024"] {
        let options = options(vocabulary, "5%");
        let first = one.prepare("here", &options).unwrap();
        // The second run has one thread, so its work is done in another order.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let second = pool
            .unwrap()
            .install(|| two.prepare("somewhere/else", &options))
            .unwrap();
        assert_eq!(first.corpus.hash(), second.corpus.hash());
    }
}

#[test]
fn folders_are_read_in_the_order_of_their_names() {
    let place = Place::new();
    for name in [
        "in/c.txt",
        "in/a/2.txt",
        "in/b.txt",
        "in/a/1.txt",
        "in/a.txt",
    ] {
        place.write(name, format!("<{name}>\n") + &sentences(20_000, 9));
    }
    let summary = place.prepare("in", &options("bytes", "5%")).unwrap();
    let train = decoded(&summary.corpus, &summary.corpus.manifest().train);
    let order: Vec<&str> = train
        .split('<')
        .skip(1)
        .filter_map(|part| part.split('>').next())
        .collect();
    let expected = [
        "in/a/1.txt",
        "in/a/2.txt",
        "in/a.txt",
        "in/b.txt",
        "in/c.txt",
    ];
    assert_eq!(order, expected);
}

#[test]
fn folder_skips_and_names_what_is_not_text() {
    let place = Place::new();
    place.write("in/good.txt", sentences(50_000, 10));
    place.write("in/deep/er/copy.txt", sentences(50_000, 10));
    place.write("in/empty.txt", "");
    place.write("in/picture.png", [137, 80, 78, 71, 0, 0, 0, 13]);
    place.write("in/latin.txt", [b'e', 0xE9, 0xE8, b'\n'].repeat(100));
    place.write("in/.hidden/secret.txt", sentences(50_000, 11));
    place.write("in/.secret.txt", sentences(50_000, 12));
    let summary = place.prepare("in", &options("bytes", "5%")).unwrap();
    let skipped: Vec<_> = summary
        .skipped
        .iter()
        .map(|s| (s.path.file_name().unwrap().to_str().unwrap(), s.why))
        .collect();
    let expected = [
        ("empty.txt", Reason::Empty),
        ("good.txt", Reason::Repeat),
        ("latin.txt", Reason::NotUtf8),
        ("picture.png", Reason::Binary),
    ];
    assert_eq!(skipped, expected);
    assert_eq!(summary.files, 1);
    let text = decoded(&summary.corpus, &summary.corpus.manifest().train);
    assert!(sentences(50_000, 10).starts_with(&text));
}

#[cfg(unix)]
#[test]
fn link_loops_broken_links_and_sockets_are_skipped() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let place = Place::new();
    place.write("in/sub/good.txt", sentences(50_000, 13));
    place.write("elsewhere/linked.txt", sentences(50_000, 14));
    symlink(place.path("in"), place.path("in/sub/up")).unwrap();
    symlink("nowhere", place.path("in/broken")).unwrap();
    symlink("two", place.path("in/one")).unwrap();
    symlink("one", place.path("in/two")).unwrap();
    symlink(place.path("elsewhere"), place.path("in/linked")).unwrap();
    let _socket = UnixListener::bind(place.path("in/socket")).unwrap();
    let summary = place.prepare("in", &options("bytes", "5%")).unwrap();
    assert_eq!(summary.files, 2, "links to text elsewhere are followed");
    let mut skipped: Vec<_> = summary
        .skipped
        .iter()
        .map(|s| (s.path.file_name().unwrap().to_str().unwrap(), s.why))
        .collect();
    skipped.sort_by_key(|(name, _)| *name);
    let expected = [
        ("broken", Reason::BrokenLink),
        ("one", Reason::BrokenLink),
        ("socket", Reason::NotAFile),
        ("two", Reason::BrokenLink),
        ("up", Reason::LinkLoop),
    ];
    assert_eq!(skipped, expected);
}

#[cfg(unix)]
#[test]
fn unreadable_file_stops_the_work_and_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.write("in/good.txt", sentences(50_000, 15));
    let locked = place.write("in/locked.txt", sentences(50_000, 16));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let result = place.prepare("in", &options("bytes", "5%"));
    if fs::read(&locked).is_ok() {
        // The superuser may read everything, so there is nothing unreadable to meet.
        assert_eq!(result.unwrap().files, 2);
        return;
    }
    match result {
        Err(CorpusError::Unreadable { path, .. }) => assert_eq!(path, locked),
        other => panic!("{other:?}"),
    }
    place.assert_holds_only(&["in"]);
}

#[test]
fn inputs_that_are_no_text_are_refused_by_name() {
    let place = Place::new();
    place.write("empty.txt", "");
    place.write("binary.bin", [1, 2, 0, 3].repeat(10_000));
    place.write("latin.txt", [b'e', 0xE9, 0xE8, b'\n'].repeat(10_000));
    place.write("small.txt", sentences(16_000, 17));
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/binary.bin", [0; 100]);
    let before = [
        "binary.bin",
        "empty.txt",
        "folder",
        "latin.txt",
        "small.txt",
    ];
    let options = options("bytes", "5%");
    let refused = |input: &str| place.prepare(input, &options).unwrap_err();
    assert!(matches!(refused("missing.txt"), CorpusError::NotFound(_)));
    assert!(matches!(refused("empty.txt"), CorpusError::Empty(_)));
    assert!(matches!(refused("binary.bin"), CorpusError::NotText { .. }));
    assert!(matches!(refused("latin.txt"), CorpusError::NotText { .. }));
    assert!(matches!(refused("small.txt"), CorpusError::TooSmall { .. }));
    let nothing = refused("folder");
    assert!(matches!(nothing, CorpusError::NoText { skipped: 1, .. }));
    assert!(nothing.to_string().contains("put plain UTF-8 text in it"));
    place.assert_holds_only(&before);
}

#[test]
fn small_text_still_gives_enough_to_evaluate_on() {
    let place = Place::new();
    for (vocabulary, size) in [("bytes", 17_000), ("320", 60_000)] {
        place.write("text.txt", sentences(size, 18));
        let summary = place
            .prepare("text.txt", &options(vocabulary, "0.1%"))
            .unwrap();
        let manifest = summary.corpus.manifest();
        assert!(tokens(&manifest.held_out) >= 2048);
        assert!(tokens(&manifest.train) >= 2 * tokens(&manifest.held_out));
    }
}

#[test]
fn text_that_compresses_to_almost_nothing_is_refused_with_advice() {
    let place = Place::new();
    place.write("text.txt", "=".repeat(40_000));
    let error = place
        .prepare("text.txt", &options("4096", "5%"))
        .unwrap_err();
    assert!(matches!(error, CorpusError::TooFewTokens { .. }));
    assert!(error.to_string().contains("choose a smaller vocabulary"));
    place.assert_holds_only(&["text.txt"]);
}

#[test]
fn one_endless_line_is_tokenised_whole() {
    let place = Place::new();
    let line: String = sentences(3_000_000, 19)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    place.write("line.txt", &line);
    for vocabulary in ["bytes", "640"] {
        let summary = place
            .prepare("line.txt", &options(vocabulary, "5%"))
            .unwrap();
        let corpus = &summary.corpus;
        let manifest = corpus.manifest();
        let whole = decoded(corpus, &manifest.train) + &decoded(corpus, &manifest.held_out);
        assert!(
            whole == line,
            "the {vocabulary} corpus differs from the line"
        );
    }
}

#[test]
fn odd_bytes_become_the_replacement_character() {
    let place = Place::new();
    let mut text = sentences(60_000, 20).into_bytes();
    text.splice(100..100, *b"caf\xE9 ");
    place.write("text.txt", &text);
    for vocabulary in ["bytes", "320"] {
        let summary = place
            .prepare("text.txt", &options(vocabulary, "10%"))
            .unwrap();
        let train = decoded(&summary.corpus, &summary.corpus.manifest().train);
        assert!(train.contains("caf\u{FFFD} "));
    }
}

#[test]
fn unchanged_input_is_recognised_and_changed_input_replaces_the_corpus() {
    let place = Place::new();
    let input = place.write("text.txt", sentences(100_000, 21));
    let bytes = options("bytes", "5%");
    let first = place.prepare("text.txt", &bytes).unwrap();
    assert!(!first.reused);
    let again = place.prepare("text.txt", &bytes).unwrap();
    assert!(again.reused);
    assert_eq!(again.corpus.hash(), first.corpus.hash());
    let other = place.prepare("text.txt", &options("bytes", "6%")).unwrap();
    assert!(!other.reused);
    fs::write(&input, sentences(100_000, 22)).unwrap();
    let changed = place.prepare("text.txt", &bytes).unwrap();
    assert!(!changed.reused);
    assert_ne!(changed.corpus.hash(), first.corpus.hash());
    place.assert_holds_only(&["out", "text.txt"]);
}

#[test]
fn corpus_with_a_missing_blob_is_made_again() {
    let place = Place::new();
    place.write("text.txt", sentences(100_000, 23));
    let options = options("bytes", "5%");
    let first = place.prepare("text.txt", &options).unwrap();
    let blob = first.corpus.blob_path(first.corpus.manifest().vocabulary);
    fs::remove_file(&blob).unwrap();
    assert!(matches!(
        first.corpus.vocabulary(),
        Err(CorpusError::Missing(_))
    ));
    assert!(!place.prepare("text.txt", &options).unwrap().reused);
    assert!(blob.exists());
}

#[test]
fn damaged_blobs_and_manifests_are_noticed_when_read() {
    let place = Place::new();
    place.write("text.txt", sentences(100_000, 24));
    let corpus = place
        .prepare("text.txt", &options("bytes", "5%"))
        .unwrap()
        .corpus;
    let shard = corpus.manifest().train[0];
    let path = corpus.blob_path(shard.hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(
        corpus.shard(&shard),
        Err(CorpusError::Damaged { .. })
    ));
    let out = place.path("out");
    fs::write(out.join("manifest.json"), b"{}").unwrap();
    assert!(matches!(
        Corpus::open(&out),
        Err(CorpusError::Damaged { .. })
    ));
    fs::remove_file(out.join("manifest.json")).unwrap();
    assert!(matches!(
        Corpus::open(&out),
        Err(CorpusError::NotACorpus { .. })
    ));
}

#[test]
fn output_folder_with_other_things_is_left_alone() {
    let place = Place::new();
    place.write("text.txt", sentences(100_000, 25));
    let precious = place.write("out/thesis.doc", "do not lose");
    let error = place
        .prepare("text.txt", &options("bytes", "5%"))
        .unwrap_err();
    assert!(matches!(error, CorpusError::OutputInUse(_)));
    assert_eq!(fs::read(precious).unwrap(), b"do not lose");
}

#[test]
fn failing_run_leaves_the_old_corpus_as_it_was() {
    let place = Place::new();
    place.write("text.txt", sentences(100_000, 26));
    let first = place.prepare("text.txt", &options("bytes", "5%")).unwrap();
    place.write("text.txt", "=".repeat(40_000));
    assert!(place.prepare("text.txt", &options("4096", "5%")).is_err());
    let kept = Corpus::open(&place.path("out")).unwrap();
    assert_eq!(kept.hash(), first.corpus.hash());
    assert!(kept.is_complete());
    place.assert_holds_only(&["out", "text.txt"]);
}

#[test]
fn leftovers_of_a_killed_run_are_cleared_and_a_running_one_is_respected() {
    let place = Place::new();
    place.write("text.txt", sentences(100_000, 27));
    place.write(".out.partial/blobs/half-written", "leftover");
    let lock = fs::File::create(place.path(".out.partial/lock")).unwrap();
    lock.lock().unwrap();
    let busy = place.prepare("text.txt", &options("bytes", "5%"));
    assert!(matches!(busy, Err(CorpusError::Busy(_))));
    drop(lock);
    let summary = place.prepare("text.txt", &options("bytes", "5%")).unwrap();
    let blobs = fs::read_dir(place.path("out/blobs")).unwrap().count();
    assert_eq!(blobs, summary.corpus.blobs().count());
    place.assert_holds_only(&["out", "text.txt"]);
}

#[test]
fn corpus_inside_its_own_input_does_not_feed_on_itself() {
    let place = Place::new();
    place.write("in/text.txt", sentences(100_000, 28));
    let (input, out) = (place.path("in"), place.path("in/corpus"));
    let options = options("bytes", "5%");
    let first = prepare(&input, &out, &options, &NoProgress).unwrap();
    let second = prepare(&input, &out, &options, &NoProgress).unwrap();
    assert!(second.reused);
    assert_eq!(first.corpus.hash(), second.corpus.hash());
}

#[test]
fn input_many_times_the_sample_is_streamed() {
    const SIZE: u64 = 2 * SAMPLE_BYTES;
    let place = Place::new();
    let path = place.path("big.txt");
    let mut file = fs::File::create(&path).unwrap();
    let mut size = 0;
    let mut hasher = Vec::new();
    for seed in 0.. {
        let block = sentences(1 << 20, 1000 + seed);
        file.write_all(block.as_bytes()).unwrap();
        hasher.push(Hash::of(block.as_bytes()));
        size += block.len() as u64;
        if size >= SIZE {
            break;
        }
    }
    let summary = place.prepare("big.txt", &options("2048", "5%")).unwrap();
    let manifest = summary.corpus.manifest();
    assert_eq!(manifest.train_bytes + manifest.held_out_bytes, size);
    assert!(manifest.train.len() > 50);
    // The first blocks come back byte for byte through the shards.
    let text = decoded(&summary.corpus, &manifest.train[..20]);
    let block = text.get(..sentences(1 << 20, 1000).len()).unwrap();
    assert_eq!(Hash::of(block.as_bytes()), hasher[0]);
    assert!(is_whole(&summary.corpus, &place.path("out")));
}

fn is_whole(corpus: &Corpus, out: &Path) -> bool {
    Corpus::open(out).is_ok_and(|opened| opened.hash() == corpus.hash() && opened.is_complete())
}
