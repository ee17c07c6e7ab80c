//! Turns a text file or a folder of them into a corpus directory: what a coordinator serves and
//! volunteers train on.
//!
//! A corpus directory holds `manifest.json` (see [`covey_protocol::corpus::Manifest`]),
//! `blobs/<hash>` for every shard, the vocabulary and the tokeniser, and `source.json`, a stamp of
//! what it was made from. [`prepare`] makes one in these steps:
//!
//! 1. [`files`]: list the files, in an order that depends on their names only.
//! 2. [`inspect`]: read each once; refuse or skip what is not text, drop exact repeats, hash.
//! 3. [`store`]: stop here when the directory already holds exactly this corpus.
//! 4. [`split`]: decide which stretches of the text are held out.
//! 5. [`tokenizer`]: train the byte-pair tokeniser on a sample of the training text.
//! 6. [`shards`]: tokenise on all cores, cut into shards, write; then put the result in place.
//!
//! The same text and settings give the same manifest hash on any machine, however many cores it
//! has. Memory stays bounded (some 60 MiB for prose, 600 MiB for text without a space) whatever the size of the input. The one
//! thing a reader would get wrong: the tokeniser never sees held-out text, so that held-out loss
//! measures what was learnt and not what was memorised into the vocabulary.

mod chunks;
mod error;
pub mod files;
pub mod inspect;
mod options;
mod prepare;
mod progress;
mod read;
pub mod shards;
pub mod split;
pub mod store;
pub mod tokenizer;

pub use error::CorpusError;
pub use options::{HeldOut, Options, VocabularyChoice};
pub use prepare::{Summary, prepare};
pub use progress::{NoProgress, Progress};
pub use read::Corpus;
