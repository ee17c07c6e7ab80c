//! The wallet module in Node: what a page does with it, and whether it says the same as native code.
//!
//! A native test plays a small run and writes it down as fixtures: its journal, a snapshot, and the views
//! as native code computes them. The Node tests load the built module and must arrive at the same.

use std::{fs, process::Command};

use anyhow::{Result, bail};

use super::{report::Report, tally::Tally};
use crate::{dirs, dirs::Dirs, node, shell, wasm};

pub fn run(dirs: &Dirs, report: &mut Report) {
    report.part("wallet module", || {
        let node = node::node()?;
        let module = wasm::build_wallet(dirs, false)?;
        let fixtures = dirs.test_output().join("wallet");
        if fixtures.exists() {
            fs::remove_dir_all(&fixtures)?;
        }
        dirs::create(&fixtures)?;
        write_fixtures(dirs, &fixtures)?;
        let mut command = Command::new(node);
        command
            .args(["--test", "--test-reporter=spec"])
            .arg(dirs.root.join("tests/wallet/module.test.mjs"))
            .env("COVEY_MODULE", module)
            .env("COVEY_WALLET_FIXTURES", fixtures);
        let mut tally = Tally::default();
        let succeeded = shell::tee(&mut command, |line| tally.read_node(line))?;
        Ok(tally.ended(succeeded))
    });
}

fn write_fixtures(dirs: &Dirs, folder: &std::path::Path) -> Result<()> {
    let mut command = shell::native(dirs, "test");
    command
        .args(["--test", "fixtures", "--quiet"])
        .env("COVEY_WALLET_FIXTURES", folder);
    shell::run(&mut command)?;
    if fs::read_dir(folder)?.next().is_none() {
        bail!("the native test wrote no fixtures");
    }
    Ok(())
}
