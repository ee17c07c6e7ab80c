//! The browser tests: the page by itself, and a whole run with several tabs.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{report::Report, tally::Tally};
use crate::{chromium, cli::Model, corpus, dirs, dirs::Dirs, node, shell, wasm};

/// All that a program in a browser needs around it.
pub struct Setting {
    node: PathBuf,
    tests: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Setting {
    /// Builds, fetches and installs it.
    pub fn prepare(dirs: &Dirs) -> Result<Self> {
        // What may be missing on this machine comes first, before minutes of building.
        let node = node::node()?;
        let chromium = chromium::find()?;
        let tests = node::browser_tests(dirs)?;
        let corpus = corpus::prepare(dirs, None, Model::Tiny)?;
        let coordinator = shell::tested_coordinator(dirs)?;
        wasm::build(dirs, false)?;
        let out = dirs.test_output();
        dirs::create(&out)?;
        Ok(Self {
            node,
            tests,
            variables: vec![
                ("COVEY_COORDINATOR_BIN", coordinator),
                ("COVEY_WWW", dirs.www()),
                ("COVEY_CORPUS", corpus.folder),
                ("COVEY_CHROMIUM", chromium),
                ("COVEY_OUT", out),
                ("COVEY_REPOSITORY", dirs.root.clone()),
            ],
        })
    }

    /// Node in the folder of the tests, with everything named in its environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command
            .current_dir(&self.tests)
            .envs(self.variables.iter().map(|(name, path)| (name, path)));
        command
    }

    /// Runs one of the programs beside the tests.
    pub fn node(&self, program: &str) -> Command {
        let mut command = self.command();
        command.arg(self.tests.join(program));
        command
    }
}

pub fn run(dirs: &Dirs, long: bool, report: &mut Report) {
    report.part("browser tests", || {
        let setting = Setting::prepare(dirs)?;
        let mut files: Vec<PathBuf> = fs::read_dir(&setting.tests)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        files.retain(|path| path.to_string_lossy().ends_with(".test.mjs"));
        files.sort();
        let mut command = setting.command();
        // Two files at a time: each starts browsers that train, and waits for rounds for most of its time.
        command
            .args(["--test", "--test-concurrency=2", "--test-reporter=spec"])
            .args(files);
        if long {
            command.env("COVEY_LONG", "1");
        }
        let mut tally = Tally::default();
        let succeeded = shell::tee(&mut command, |line| tally.read_node(line))
            .context("Node could not run the browser tests")?;
        eprintln!(
            "Screenshots and logs are in {}",
            dirs.test_output().display()
        );
        Ok(tally.ended(succeeded))
    });
}
