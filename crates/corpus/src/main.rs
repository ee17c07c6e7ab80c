//! The command `covey-corpus`: makes a corpus directory of a text file or a folder of them.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use covey_corpus::{HeldOut, Options, Progress, Summary, VocabularyChoice, prepare};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// Turns text into a corpus that volunteers can train on.
///
/// INPUT is a text file in UTF-8, or a folder: then every text file in it is used, at any depth,
/// except hidden ones. Files that are not text are named and skipped.
#[derive(Debug, Parser)]
#[command(name = "covey-corpus", version)]
struct Arguments {
    /// Text file, or folder of text files.
    input: PathBuf,
    /// Folder to put the corpus in. A corpus that is there is replaced, anything else is not.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// "bytes", or the size of a byte-pair vocabulary trained on the text: a multiple of 64 from
    /// 320 to 65536. The model presets expect bytes (tiny), 4096 (small) and 8192 (base).
    #[arg(long, default_value_t, value_name = "bytes|N")]
    vocabulary: VocabularyChoice,
    /// Share of the text to keep out of training and evaluate on, from 0.1% to 50%.
    #[arg(long, default_value_t, value_name = "SHARE")]
    held_out: HeldOut,
    /// Show nothing but errors.
    #[arg(long, short)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        vocabulary: arguments.vocabulary,
        held_out: arguments.held_out,
    };
    let progress = Terminal::new(arguments.quiet);
    match prepare(&arguments.input, &arguments.out, &options, &progress) {
        Ok(summary) => {
            if !arguments.quiet {
                report(&summary, &arguments.out);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            progress.clear();
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(summary: &Summary, out: &std::path::Path) {
    const SHOWN: usize = 20;
    for skipped in summary.skipped.iter().take(SHOWN) {
        eprintln!("skipped: {skipped}");
    }
    if summary.skipped.len() > SHOWN {
        eprintln!("skipped: {} more files", summary.skipped.len() - SHOWN);
    }
    let manifest = summary.corpus.manifest();
    let count = |shards: &[covey_protocol::corpus::Shard]| {
        HumanCount(shards.iter().map(|shard| u64::from(shard.tokens)).sum())
    };
    let state = match summary.reused {
        true => "already up to date",
        false => "made",
    };
    println!("corpus      {} ({state})", out.display());
    println!("hash        {}", summary.corpus.hash());
    println!(
        "text        {} in {} files",
        HumanBytes(summary.bytes),
        HumanCount(summary.files as u64)
    );
    println!("vocabulary  {} tokens", manifest.vocabulary_size);
    println!(
        "train       {} tokens in {} shards",
        count(&manifest.train),
        manifest.train.len()
    );
    println!(
        "held out    {} tokens in {} shards, unigram entropy {:.4} nats per token",
        count(&manifest.held_out),
        manifest.held_out.len(),
        manifest.unigram_entropy
    );
}

/// Progress for a person: a bar on a terminal, a line per stage elsewhere.
struct Terminal {
    bar: ProgressBar,
    lines: bool,
    started: Instant,
}

impl Terminal {
    fn new(quiet: bool) -> Self {
        let draws = !quiet && std::io::stderr().is_terminal();
        Self {
            bar: if draws {
                ProgressBar::no_length()
            } else {
                ProgressBar::hidden()
            },
            lines: !quiet && !draws,
            started: Instant::now(),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Terminal {
    fn stage(&self, name: &'static str, bytes: u64) {
        if self.lines {
            eprintln!("{:>5.1} s  {name}", self.started.elapsed().as_secs_f64());
        }
        let template = match bytes {
            0 => "{spinner} {msg} ({elapsed})",
            _ => "{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_length(bytes);
        self.bar.set_message(name);
        self.bar
            .enable_steady_tick(std::time::Duration::from_millis(120));
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&self) {
        self.clear();
    }
}
