//! `cargo xtask`: the one command that builds, starts, tests and measures Covey.
//!
//! It installs what it can and names what it cannot, with the command that would. Everything it
//! builds or fetches goes into one cache folder ([`dirs`]), so a fresh clone on the same machine is
//! warm at once.

mod bench;
mod chromium;
mod cli;
mod corpus;
mod default_corpus;
mod dirs;
mod node;
mod package;
mod shell;
mod source_map;
mod start;
mod system;
mod test;
mod toolchain;
mod wasm;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Task};
use dirs::Dirs;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let dirs = Dirs::find()?;
    dirs.claim()?;
    match task {
        Task::Start(arguments) => start::start(&dirs, &arguments),
        Task::Test(arguments) => test::test(&dirs, &arguments),
        Task::Corpus(arguments) => corpus::delegate(&dirs, &arguments),
        Task::Wasm { wallet, optimise } => {
            match wallet {
                true => wasm::build_wallet(&dirs, optimise)?,
                false => wasm::build(&dirs, optimise)?,
            };
            Ok(ExitCode::SUCCESS)
        }
        Task::Package => {
            package::package(&dirs)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Bench(arguments) => bench::bench(&dirs, &arguments),
    }
}
