//! Turns text into tokens: the 256 bytes, or byte-level byte-pair encoding trained on the text.
//!
//! Byte-level means that the pieces are made of bytes, so any text can be written, whatever the
//! tokeniser was trained on, and no token for the unknown is needed. Training reads a bounded
//! sample spread evenly over the training text; counts of words are merged in the text's order, so
//! the same text gives the same vocabulary on any number of cores.

use std::ops::Range;

use ahash::AHashMap;
use compact_str::CompactString;
use covey_protocol::{corpus::Vocabulary, limits::MAX_TOKEN_BYTES};
use indexmap::IndexMap;
use rayon::prelude::*;
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer as Library,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::{CorpusError, VocabularyChoice, chunks::between_seams};

/// Most bytes of text the byte-pair encoder is trained on, give or take a chunk.
pub const SAMPLE_BYTES: u64 = 32 << 20;
/// Most bytes of distinct words it is trained on: text without word boundaries is nothing but
/// distinct words, and training time and memory grow with them.
const DISTINCT_BYTES: usize = 4 << 20;
/// Longest token it makes, in bytes. Longer runs, as in ruled lines, are several tokens.
const LONGEST: usize = 64;

const _: () = assert!(LONGEST <= MAX_TOKEN_BYTES);

/// Most bytes of distinct parts of the text that are kept: the same bound, before the parts are
/// taken to pieces.
const DISTINCT_PARTS: usize = 4 * DISTINCT_BYTES;

/// How often each string appears, in the order of first appearance: what is cut off when a bound is
/// met must not depend on the order of a hash table.
type Counts = IndexMap<CompactString, u64, ahash::RandomState>;

/// Writes text as tokens.
pub enum Tokenizer {
    Bytes,
    Bpe(Box<Bpe>),
}

/// A byte-pair encoder.
pub struct Bpe {
    library: Library,
    /// Tokens in the vocabulary, the padding included.
    size: u32,
    /// Tokens of the parts between seams that were seen often while training. The library takes a
    /// microsecond per byte, most of it to keep track of offsets that nobody asks for here.
    known: AHashMap<CompactString, Box<[u16]>>,
}

/// Counts the words of a sample, batch by batch.
pub struct Sample {
    every: u64,
    seen: u64,
    bytes: usize,
    parts: Counts,
}

impl Sample {
    /// A sample of `total` bytes of text.
    pub fn of(total: u64) -> Self {
        Self {
            every: total.div_ceil(SAMPLE_BYTES).max(1),
            seen: 0,
            bytes: 0,
            parts: Counts::default(),
        }
    }

    /// Whether the next chunk belongs to the sample. Asked once for every chunk, in order.
    pub fn wants_next(&mut self) -> bool {
        let wants = self.seen.is_multiple_of(self.every);
        self.seen += 1;
        wants && !self.is_full()
    }

    /// Whether enough distinct text was seen.
    pub fn is_full(&self) -> bool {
        self.bytes >= DISTINCT_PARTS
    }

    /// Counts the parts of some chunks.
    pub fn add(&mut self, chunks: &[Vec<u8>]) {
        let counted: Vec<Counts> = chunks.par_iter().map(|chunk| count_parts(chunk)).collect();
        for (part, count) in counted.into_iter().flatten() {
            if self.is_full() {
                break;
            }
            let bytes = part.len();
            *self.parts.entry(part).or_insert_with(|| {
                self.bytes += bytes;
                0
            }) += count;
        }
    }

    /// The words of the sample in the byte-level alphabet.
    fn words(&self) -> Result<AHashMap<CompactString, u64>, CorpusError> {
        let parts: Vec<_> = self.parts.iter().collect();
        let split: Vec<_> = parts
            .into_par_iter()
            .map(|(part, count)| Ok((words_of(part)?, count)))
            .collect::<Result<_, CorpusError>>()?;
        let mut words = AHashMap::new();
        let mut bytes = 0;
        for (word, count) in split
            .into_iter()
            .flat_map(|(words, count)| words.into_iter().map(move |word| (word, count)))
        {
            if bytes >= DISTINCT_BYTES {
                break;
            }
            let len = word.len();
            *words.entry(word).or_insert_with(|| {
                bytes += len;
                0
            }) += count;
        }
        Ok(words)
    }
}

/// Parts of a chunk between its seams.
fn count_parts(chunk: &[u8]) -> Counts {
    let mut counts: IndexMap<&str, u64, ahash::RandomState> = IndexMap::default();
    let text = String::from_utf8_lossy(chunk);
    for part in between_seams(&text) {
        *counts.entry(part).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(|(part, count)| (part.into(), count))
        .collect()
}

/// Words of a part. One longer than any token is several words: a merge looks at every position of
/// every word it occurs in, so one endless word would make training quadratic.
fn words_of(part: &str) -> Result<Vec<CompactString>, CorpusError> {
    let mut text = PreTokenizedString::from(part);
    byte_level().pre_tokenize(&mut text).map_err(failed)?;
    let mut words = Vec::new();
    for (word, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
        let mut symbols = word.chars().peekable();
        while symbols.peek().is_some() {
            words.push(symbols.by_ref().take(LONGEST).collect());
        }
    }
    Ok(words)
}

impl Tokenizer {
    /// Trains a byte-pair encoder of at most `size` tokens.
    pub fn train(size: u32, sample: &Sample) -> Result<Self, CorpusError> {
        let trainer = BpeTrainer::builder()
            .vocab_size(size as usize)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .max_token_length(Some(LONGEST))
            .build();
        let mut model = BPE::default();
        trainer
            .do_train(&sample.words()?, &mut model)
            .map_err(failed)?;
        let mut library = Library::new(model);
        library
            .with_pre_tokenizer(Some(byte_level()))
            .with_decoder(Some(byte_level()));
        // A round trip through its own file: the encoder in use is the one that is published.
        let json = library.to_string(false).map_err(failed)?;
        let mut bpe = Bpe::from_json(json.as_bytes(), size)?;
        let frequent: Vec<_> = sample
            .parts
            .iter()
            .filter(|(part, count)| **count > 1 && part.len() <= LONGEST)
            .collect();
        let known: Vec<_> = frequent
            .into_par_iter()
            .map(|(part, _)| Ok((part.clone(), bpe.encode_part(part)?.into())))
            .collect::<Result<_, CorpusError>>()?;
        bpe.known = known.into_iter().collect();
        Ok(Self::Bpe(Box::new(bpe)))
    }

    /// Reads a tokeniser in the `tokenizers` crate's JSON, for a vocabulary of `size` tokens.
    pub fn from_json(json: &[u8], size: u32) -> Result<Self, CorpusError> {
        Bpe::from_json(json, size).map(|bpe| Self::Bpe(Box::new(bpe)))
    }

    /// The tokeniser in the `tokenizers` crate's JSON; `None` when tokens are bytes. Keys are
    /// sorted, so equal tokenisers have equal bytes.
    pub fn to_json(&self) -> Result<Option<Vec<u8>>, CorpusError> {
        match self {
            Self::Bytes => Ok(None),
            Self::Bpe(bpe) => {
                let value = serde_json::to_value(&bpe.library).map_err(failed)?;
                serde_json::to_vec(&value).map(Some).map_err(failed)
            }
        }
    }

    /// What this tokeniser was asked to be.
    pub fn choice(&self) -> VocabularyChoice {
        match self {
            Self::Bytes => VocabularyChoice::Bytes,
            Self::Bpe(bpe) => VocabularyChoice::Bpe(bpe.size),
        }
    }

    /// The bytes of every token, padded with empty tokens where training found too few merges.
    pub fn vocabulary(&self) -> Result<Vocabulary, CorpusError> {
        let Self::Bpe(bpe) = self else {
            return Ok(Vocabulary::bytes());
        };
        let bytes = byte_of_symbol();
        let mut pieces = vec![Vec::new(); bpe.size as usize];
        for (token, id) in bpe.library.get_vocab(true) {
            let slot = pieces
                .get_mut(id as usize)
                .ok_or_else(|| CorpusError::Tokenizer(format!("token {id} is out of range")))?;
            *slot = token
                .chars()
                .map(|symbol| bytes.get(&symbol).copied())
                .collect::<Option<_>>()
                .ok_or_else(|| CorpusError::Tokenizer(format!("token {id} is not bytes")))?;
        }
        Vocabulary::new(pieces).map_err(failed)
    }

    /// Tokens of a piece of text. Bytes that are not UTF-8 become the replacement character.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u16>, CorpusError> {
        let text = String::from_utf8_lossy(text);
        match self {
            Self::Bytes => Ok(text.bytes().map(u16::from).collect()),
            Self::Bpe(bpe) => bpe.encode(&text),
        }
    }
}

impl Bpe {
    fn from_json(json: &[u8], size: u32) -> Result<Self, CorpusError> {
        Ok(Self {
            library: Library::from_bytes(json).map_err(failed)?,
            size,
            known: AHashMap::new(),
        })
    }

    fn encode(&self, text: &str) -> Result<Vec<u16>, CorpusError> {
        let mut tokens: Vec<u16> = Vec::with_capacity(text.len() / 3);
        // Rare words repeat within a chunk, too: the tokens of the last time are copied.
        let mut seen: AHashMap<&str, Range<usize>> = AHashMap::new();
        for part in between_seams(text) {
            if let Some(known) = self.known.get(part) {
                tokens.extend(known);
            } else if let Some(earlier) = seen.get(part) {
                tokens.extend_from_within(earlier.clone());
            } else {
                let start = tokens.len();
                tokens.extend(self.encode_part(part)?);
                seen.insert(part, start..tokens.len());
            }
        }
        Ok(tokens)
    }

    fn encode_part(&self, part: &str) -> Result<Vec<u16>, CorpusError> {
        let encoding = self.library.encode_fast(part, false).map_err(failed)?;
        encoding
            .get_ids()
            .iter()
            .map(|&id| u16::try_from(id).map_err(failed))
            .collect()
    }
}

/// The usual byte-level splitting, without the leading space: text is written as it is.
fn byte_level() -> ByteLevel {
    ByteLevel::new(false, false, true)
}

fn failed(error: impl ToString) -> CorpusError {
    CorpusError::Tokenizer(error.to_string())
}

/// The byte behind each symbol of the byte-level alphabet. Printable Latin-1 characters stand for
/// themselves; the other bytes are, in order, the characters from U+0100 on.
fn byte_of_symbol() -> AHashMap<char, u8> {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut spare = '\u{100}'..;
    (0..=255u8)
        .filter_map(|byte| {
            let symbol = match stands_for_itself(byte) {
                true => char::from(byte),
                false => spare.next()?,
            };
            Some((symbol, byte))
        })
        .collect()
}

/// Chunks that are tokenised at a time: enough for every core, few enough to stay small.
pub fn batch_size() -> usize {
    2 * rayon::current_num_threads()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trained() -> Tokenizer {
        let text =
            "A crown! The king's crown, the king: thou tempest, thé naïve 123 × 12. ".repeat(50);
        let mut sample = Sample::of(text.len() as u64);
        sample.add(&[text.into_bytes()]);
        Tokenizer::train(448, &sample).unwrap()
    }

    #[test]
    fn no_token_is_longer_than_the_limit() {
        let mut sample = Sample::of(100_000);
        sample.add(&[vec![b'='; 100_000]]);
        let vocabulary = Tokenizer::train(4096, &sample)
            .unwrap()
            .vocabulary()
            .unwrap();
        let longest = (0..4096u16).map(|token| vocabulary.decode(&[token]).len());
        assert!((16..=LONGEST).contains(&longest.max().unwrap()));
    }

    #[test]
    fn every_byte_has_a_token() {
        let tokenizer = trained();
        let vocabulary = tokenizer.vocabulary().unwrap();
        let pieces = Vocabulary::to_blob(&vocabulary);
        for byte in 0..=255u8 {
            // u16 length 1, then the byte.
            assert!(
                pieces.windows(3).any(|piece| piece == [1, 0, byte]),
                "{byte}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".{0,60}") {
            let (tokenizer, bytes) = (trained(), Tokenizer::Bytes);
            for tokenizer in [tokenizer, bytes] {
                let tokens = tokenizer.encode(text.as_bytes()).unwrap();
                prop_assert_eq!(tokenizer.vocabulary().unwrap().decode(&tokens), text.clone());
            }
        }

        #[test]
        fn tokens_are_those_the_library_gives_for_the_whole_text(
            text in "([a-dkné '.,1×\u{3000}\u{A0}]|\\s|the|king|crown|  ){0,40}",
        ) {
            let tokenizer = trained();
            let Tokenizer::Bpe(bpe) = &tokenizer else { unreachable!() };
            let whole = bpe.library.encode(text.as_str(), false).unwrap();
            let whole: Vec<u16> = whole.get_ids().iter().map(|id| *id as u16).collect();
            prop_assert_eq!(tokenizer.encode(text.as_bytes()).unwrap(), whole);
        }
    }
}
