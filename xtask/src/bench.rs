//! `cargo xtask bench`: runs the benchmarks, which live with the code they measure, and gathers
//! their rows.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    cli::{Bench, Benchmark, Model},
    corpus, dirs,
    dirs::Dirs,
    shell, test,
};

pub fn bench(dirs: &Dirs, arguments: &Bench) -> Result<ExitCode> {
    let json = arguments
        .json
        .as_deref()
        .map(std::path::absolute)
        .transpose()?;
    match arguments.what {
        Benchmark::Convergence => on_corpus(dirs, "convergence", arguments, json.as_deref())?,
        Benchmark::Attacks => on_corpus(dirs, "attacks", arguments, json.as_deref())?,
        Benchmark::Adapters => adapters(dirs, arguments, json.as_deref())?,
        Benchmark::Step => {
            let parts = dirs.test_output();
            dirs::create(&parts)?;
            let native = parts.join("bench-native.json");
            let browser = parts.join("bench-browser.json");
            shell::run(
                Command::new(shell::example(dirs, "step")?)
                    .arg("--json")
                    .arg(&native)
                    .args(&arguments.rest),
            )?;
            let setting = test::Setting::prepare(dirs)?;
            shell::run(
                setting
                    .node("bench_step.mjs")
                    .arg("--json")
                    .arg(&browser)
                    .args(&arguments.rest),
            )?;
            if let Some(json) = &json {
                gather(&[&native, &browser], json)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a benchmark that needs a corpus and writes a section of BENCHMARKS.md.
fn on_corpus(dirs: &Dirs, name: &str, arguments: &Bench, json: Option<&Path>) -> Result<()> {
    let mut command = Command::new(shell::example(dirs, name)?);
    if !arguments.rest.iter().any(|argument| argument == "--corpus") {
        let corpus = corpus::prepare(dirs, None, Model::Tiny)?;
        command.arg("--corpus").arg(corpus.folder);
    }
    if let Some(json) = json {
        command.arg("--json").arg(json);
    }
    command.arg("--write").arg(dirs.root.join("BENCHMARKS.md"));
    shell::run(command.args(&arguments.rest))
}

/// The same work natively and in a browser, then compared; arguments are those of the preparation.
fn adapters(dirs: &Dirs, arguments: &Bench, json: Option<&Path>) -> Result<()> {
    let setting = test::Setting::prepare(dirs)?;
    let corpus = corpus::prepare(dirs, None, Model::Tiny)?;
    let out = dirs.test_output().join("adapters");
    let program = shell::example(dirs, "adapters")?;
    let part = |name: &str| {
        let mut command = Command::new(&program);
        command.arg(name).arg("--corpus").arg(&corpus.folder);
        command.arg("--out").arg(&out);
        command
    };
    shell::run(part("prepare").args(&arguments.rest))?;
    shell::run(setting.node("bench_adapters.mjs").arg("--out").arg(&out))?;
    let mut compare = part("compare");
    compare.arg("--write").arg(dirs.root.join("BENCHMARKS.md"));
    if let Some(json) = json {
        compare.arg("--json").arg(json);
    }
    shell::run(&mut compare)
}

/// Writes the rows of several files as one.
fn gather(parts: &[&Path], json: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for part in parts {
        let bytes = fs::read(part).with_context(|| format!("{} is missing", part.display()))?;
        let more: Vec<Value> = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} does not hold rows", part.display()))?;
        rows.extend(more);
    }
    fs::write(json, serde_json::to_vec_pretty(&rows)?)
        .with_context(|| format!("{} cannot be written", json.display()))
}
