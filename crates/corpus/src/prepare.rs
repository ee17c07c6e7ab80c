//! The whole way from text to a corpus directory; see the crate's first page for the steps.

use std::path::Path;

use covey_protocol::{
    Hash,
    corpus::{MANIFEST_VERSION, Manifest},
};
use rayon::prelude::*;

use crate::{
    Corpus, CorpusError, Options, Progress, VocabularyChoice,
    chunks::{Chunks, place_to_split},
    files::{self, Skipped},
    inspect::{TextFile, inspect},
    shards::{ShardWriter, shard_tokens},
    split::{MIN_TOKENS, Part, Stretch, split},
    store::{self, Partial, Source},
    tokenizer::{Sample, Tokenizer, batch_size},
};

/// What came out.
#[derive(Debug)]
pub struct Summary {
    pub corpus: Corpus,
    /// Files of text in it.
    pub files: usize,
    /// Bytes of text in it.
    pub bytes: u64,
    /// Files of the input folder that are not in it.
    pub skipped: Vec<Skipped>,
    /// Whether exactly this corpus was there already.
    pub reused: bool,
}

/// Makes a corpus of `input`, a text file or a folder of them, in the folder `out`.
///
/// A corpus that was in `out` is replaced once the new one is whole; on an error it is left as it
/// was.
///
/// # Errors
/// See [`CorpusError`]: each says what to do.
pub fn prepare(
    input: &Path,
    out: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Summary, CorpusError> {
    store::check_replaceable(out)?;
    let listing = files::list(input, out)?;
    let size = listing.files.iter().filter_map(|path| path.metadata().ok());
    progress.stage("Reading", size.map(|metadata| metadata.len()).sum());
    let (texts, skipped) = inspect(input, listing, progress)?;
    let fingerprint = store::fingerprint(options, &texts);
    let summary = |corpus, reused| Summary {
        corpus,
        files: texts.len(),
        bytes: texts.iter().map(|text| text.len).sum(),
        skipped: skipped.clone(),
        reused,
    };
    if let Some((corpus, _)) = store::existing(out, fingerprint) {
        progress.finish();
        return Ok(summary(corpus, true));
    }

    let text = Text::split(&texts, options)?;
    let output = Partial::create(out)?;
    let tokenizer = text.tokenizer(options.vocabulary, progress)?;
    let manifest = text.write(&tokenizer, &output, progress)?;
    let source = Source {
        fingerprint,
        manifest: Hash::of(&manifest.to_json()),
        files: texts.len(),
        bytes: texts.iter().map(|text| text.len).sum(),
    };
    output.publish(&manifest, &source)?;
    progress.finish();
    Ok(summary(Corpus::open(out)?, false))
}

/// The text and its split.
struct Text<'a> {
    files: &'a [TextFile],
    stretches: Vec<Stretch>,
}

impl<'a> Text<'a> {
    fn split(files: &'a [TextFile], options: &Options) -> Result<Self, CorpusError> {
        let lengths: Vec<u64> = files.iter().map(|file| file.len).collect();
        let cut = |file: usize, wanted| match files.get(file) {
            Some(file) => place_to_split(&file.path, wanted),
            None => Ok(wanted),
        };
        Ok(Self {
            stretches: split(&lengths, options.held_out, options.vocabulary, cut)?,
            files,
        })
    }

    fn bytes(&self, part: Part) -> u64 {
        self.stretches
            .iter()
            .filter(|stretch| stretch.part == part)
            .map(|stretch| stretch.bytes.end - stretch.bytes.start)
            .sum()
    }

    /// The chunks of one part, in order. Files are opened one at a time.
    fn chunks(&self, part: Part) -> impl Iterator<Item = Result<Vec<u8>, CorpusError>> + '_ {
        self.stretches
            .iter()
            .filter(move |stretch| stretch.part == part)
            .filter_map(|stretch| Some((self.files.get(stretch.file)?, stretch)))
            .flat_map(
                |(file, stretch)| -> Box<dyn Iterator<Item = Result<Vec<u8>, CorpusError>>> {
                    match Chunks::open(&file.path, &stretch.bytes) {
                        Ok(chunks) => Box::new(chunks),
                        Err(error) => Box::new(std::iter::once(Err(error))),
                    }
                },
            )
    }

    fn tokenizer(
        &self,
        choice: VocabularyChoice,
        progress: &dyn Progress,
    ) -> Result<Tokenizer, CorpusError> {
        let VocabularyChoice::Bpe(size) = choice else {
            return Ok(Tokenizer::Bytes);
        };
        let total = self.bytes(Part::Train);
        progress.stage("Sampling for the tokeniser", total);
        let mut sample = Sample::of(total);
        let mut batch = Vec::new();
        for chunk in self.chunks(Part::Train) {
            let chunk = chunk?;
            progress.advance(chunk.len() as u64);
            if sample.wants_next() {
                batch.push(chunk);
            }
            if batch.len() == batch_size() {
                sample.add(&batch);
                batch.clear();
            }
            if sample.is_full() {
                break;
            }
        }
        sample.add(&batch);
        progress.stage("Training the tokeniser", 0);
        Tokenizer::train(size, &sample)
    }

    fn write(
        &self,
        tokenizer: &Tokenizer,
        output: &Partial,
        progress: &dyn Progress,
    ) -> Result<Manifest, CorpusError> {
        let total = self.bytes(Part::Train) + self.bytes(Part::HeldOut);
        progress.stage("Tokenising", total);
        let size = shard_tokens(match tokenizer {
            Tokenizer::Bytes => total,
            Tokenizer::Bpe(_) => total / 3,
        });
        let vocabulary = tokenizer.choice().size();
        let tokenise = |part, name| {
            let mut writer = ShardWriter::new(output, size, vocabulary);
            let mut chunks = self.chunks(part);
            loop {
                let batch: Vec<_> = chunks
                    .by_ref()
                    .take(batch_size())
                    .collect::<Result<_, _>>()?;
                if batch.is_empty() {
                    break;
                }
                let encoded: Vec<_> = batch
                    .par_iter()
                    .map(|chunk| tokenizer.encode(chunk))
                    .collect();
                for (chunk, tokens) in batch.iter().zip(encoded) {
                    writer.push(&tokens?)?;
                    progress.advance(chunk.len() as u64);
                }
            }
            let written = writer.finish()?;
            match written.tokens {
                actual if actual < MIN_TOKENS => Err(CorpusError::TooFewTokens {
                    part: name,
                    actual,
                    needed: MIN_TOKENS,
                }),
                _ => Ok(written),
            }
        };
        let held_out = tokenise(Part::HeldOut, "held out")?;
        let train = tokenise(Part::Train, "left to train on")?;
        if train.shards.len() + held_out.shards.len() > covey_protocol::limits::MAX_SHARDS {
            return Err(CorpusError::TooManyShards {
                limit: covey_protocol::limits::MAX_SHARDS,
            });
        }
        let put = |bytes: Vec<u8>| {
            let hash = Hash::of(&bytes);
            output.blob(hash, &bytes).map(|()| hash)
        };
        Ok(Manifest {
            version: MANIFEST_VERSION,
            vocabulary_size: vocabulary,
            vocabulary: put(tokenizer.vocabulary()?.to_blob())?,
            tokenizer: tokenizer.to_json()?.map(put).transpose()?,
            train: train.shards,
            held_out: held_out.shards,
            train_bytes: self.bytes(Part::Train),
            held_out_bytes: self.bytes(Part::HeldOut),
            unigram_entropy: held_out.unigram_entropy,
        })
    }
}
