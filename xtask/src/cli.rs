//! What can be typed after `cargo xtask`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds, starts, tests and measures Covey.
///
/// Every command does its own set-up and says what it is doing. The first build of the browser
/// module takes about twenty minutes on two cores; after that only what changed is built. What is
/// built and fetched is kept in $COVEY_CACHE, or in ~/.cache/covey.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    /// Build everything, prepare the text and start a coordinator to train on it.
    Start(Start),
    /// Check and test everything, or one part.
    Test(Test),
    /// Turn a text file or folder into a corpus that a coordinator can serve.
    Corpus(Corpus),
    /// Build the browser modules, for training and for the wallet page, into www/module.
    Wasm {
        /// Build the wallet module only, which takes a minute.
        #[arg(long)]
        wallet: bool,
        /// Shrink and compress it for visitors: minutes of work for a much smaller download. Needs
        /// Node and npm.
        #[arg(long)]
        optimise: bool,
    },
    /// Make the npm package in pkg/dist, check it, and print the tarball's path. Needs Node and npm.
    Package,
    /// Measure something and print a table.
    Bench(Bench),
}

#[derive(Debug, Args)]
pub struct Start {
    /// Text file or folder to train on, or a corpus made before. Default: Shakespeare and Milton,
    /// fetched once.
    #[arg(long, value_name = "PATH")]
    pub corpus: Option<PathBuf>,
    /// Size of the model: about 1, 10 or 125 million parameters.
    #[arg(long, value_enum, default_value_t)]
    pub model: Model,
    /// Address for volunteers.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Address for the operator: /status and /metrics, for who has the data folder's admin.token.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090")]
    pub admin_listen: String,
    /// Where the run is kept. Default: a folder in data/ named after the model and the corpus, so
    /// that another of either begins another run and the same ones continue.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Open the page in a browser.
    #[arg(long)]
    pub open: bool,
}

/// The presets that can be trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// 1 M parameters, on bytes.
    #[default]
    Tiny,
    /// 10 M parameters, 4096 tokens.
    Small,
    /// 125 M parameters, 8192 tokens.
    Base,
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Base => "base",
        }
    }

    /// Tokens in the preset's vocabulary.
    pub fn vocabulary(self) -> u32 {
        match self {
            Self::Tiny => 256,
            Self::Small => 4096,
            Self::Base => 8192,
        }
    }
}

#[derive(Debug, Args)]
pub struct Test {
    /// What to test. Default: all of it.
    #[arg(value_enum)]
    pub part: Option<Part>,
    /// Also run what takes many minutes: thousands of simulated rounds, and every fuzz target.
    #[arg(long)]
    pub long: bool,
    /// Seconds for each fuzz target, with --long or as the part of its own.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub long_seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Formatting, clippy on every crate, and licences and sources of dependencies.
    Lint,
    /// Every crate's own tests, natively.
    Unit,
    /// The published vectors, natively and in WebAssembly, compared bit for bit.
    Vectors,
    /// The vectors in WebAssembly, the browser modules' build, and the wallet module in Node.
    Wasm,
    /// The wallet module's build and its tests in Node.
    Wallet,
    /// The page and a whole run in a real browser.
    E2e,
    /// Every decoder and the journal under a fuzzer; part of everything only with --long. Needs a C++
    /// compiler. What it learns is kept in the cache folder.
    Fuzz,
}

#[derive(Debug, Args)]
pub struct Corpus {
    /// Text file, or folder of text files. Default: Shakespeare and Milton, fetched once.
    pub input: Option<PathBuf>,
    /// Folder to put the corpus in.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// "bytes", or the size of a byte-pair vocabulary: a multiple of 64.
    #[arg(long, value_name = "bytes|N", default_value = "bytes")]
    pub vocabulary: String,
    /// Share of the text to keep out of training and evaluate on.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub held_out: String,
}

#[derive(Debug, Args)]
pub struct Bench {
    #[arg(value_enum)]
    pub what: Benchmark,
    /// Also write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Passed on to the benchmark.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub rest: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// Held-out loss against tokens and bytes, for four ways to train.
    Convergence,
    /// What hostile volunteers achieve: loss, incentive, honest packets left out.
    Attacks,
    /// How far the same work differs natively, in WebAssembly and on WebGPU.
    Adapters,
    /// Speed of one training step, natively and in a browser; size and start of the module.
    Step,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bench_passes_on_what_follows_two_dashes() {
        let line = [
            "xtask",
            "bench",
            "step",
            "--json",
            "x",
            "--",
            "--seconds",
            "3",
        ];
        let Task::Bench(bench) = Cli::parse_from(line).task else {
            panic!("not a bench");
        };
        assert_eq!(bench.rest, ["--seconds", "3"]);
    }
}
