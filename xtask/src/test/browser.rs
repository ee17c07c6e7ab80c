//! The browser tests: the page by itself, and a whole run with several tabs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
        let (alone, together) = files(&setting.tests)?;
        let mut tally = Tally::default();
        for (files, at_once) in [(alone, 1), (together, 2)] {
            let mut command = setting.command();
            command
                .arg("--test")
                .arg(format!("--test-concurrency={at_once}"))
                .arg("--test-reporter=spec")
                .args(files);
            if long {
                command.env("COVEY_LONG", "1");
            }
            let mut part = Tally::default();
            let succeeded = shell::tee(&mut command, |line| part.read_node(line))
                .context("Node could not run the browser tests")?;
            tally += part.ended(succeeded);
        }
        eprintln!(
            "Screenshots and logs are in {}",
            dirs.test_output().display()
        );
        Ok(tally)
    });
}

/// The test files: those that start a coordinator, where browsers train and one at a time is enough for the
/// machine, and those whose module is scripted, which wait more than they compute.
fn files(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    let mut parts = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(&file)?;
        let trains = ["support/coordinator.mjs", "support/fault.mjs"];
        if trains.iter().any(|module| text.contains(module)) {
            parts.0.push(file);
        } else {
            parts.1.push(file);
        }
    }
    Ok(parts)
}
