//! The published vectors: natively, in WebAssembly in Node, and whether both give the same bytes.
//!
//! The native tests and the module print lines that begin with [`DIGEST`]: hashes of what they
//! computed. Equal lines mean equal bytes, which is what lets volunteers on different machines
//! hold the same weights.

use std::process::Command;

use anyhow::{Result, bail};

use super::{report::Report, tally::Tally};
use crate::{dirs::Dirs, node, shell, wasm};

const DIGEST: &str = "bit identity ";
/// The files that the module reads, in its order: where our copy lies, and whether
/// `$COVEY_VECTORS_DIR` may hold another with other numbers.
const FILES: [(&str, &str, bool); 4] = [
    (
        "crates/compression/tests/vectors",
        "sparseloco_vectors.json",
        true,
    ),
    ("crates/ledger/tests/vectors", "conviction.txt", true),
    ("crates/ledger/tests/vectors", "economics.json", false),
    ("crates/ledger/tests/vectors", "signatures.json", false),
];

/// Runs the crates' vector tests; gives the digests they printed.
pub fn native(dirs: &Dirs, report: &mut Report) -> Vec<String> {
    let mut digests = Vec::new();
    report.part("vectors, native", || {
        let mut tally = Tally::default();
        let succeeded = shell::tee(&mut command(dirs), |line| {
            tally.read_libtest(line);
            digests.extend(digest(line));
        })?;
        Ok(tally.ended(succeeded))
    });
    digests
}

/// The digests of the native tests, quietly. None when they fail: then they were reported already.
pub fn digests(dirs: &Dirs) -> Vec<String> {
    shell::output(command(dirs).arg("--quiet"))
        .unwrap_or_default()
        .lines()
        .filter_map(digest)
        .collect()
}

fn command(dirs: &Dirs) -> Command {
    let mut command = shell::native(dirs, "test");
    command.args(["--test", "vectors", "--", "--nocapture"]);
    command
}

/// Runs the vectors inside WebAssembly and compares the digests with the native ones.
pub fn browser(dirs: &Dirs, native: &[String], report: &mut Report) {
    report.part("vectors, WebAssembly", || {
        let node = node::node()?;
        let module = wasm::compile(dirs, "covey-wasm-vectors")?;
        let mut command = Command::new(node);
        command
            .arg(dirs.root.join("tests/wasm-vectors/run.mjs"))
            .arg(module);
        let others = std::env::var_os("COVEY_VECTORS_DIR");
        for (folder, file, replaceable) in FILES {
            match &others {
                Some(folder) if replaceable => command.arg(std::path::absolute(folder)?.join(file)),
                _ => command.arg(dirs.root.join(folder).join(file)),
            };
        }
        let mut tally = Tally::default();
        let mut digests = Vec::new();
        let succeeded = shell::tee(&mut command, |line| {
            tally.read_vectors(line);
            digests.extend(digest(line));
        })?;
        compare(native, &digests)?;
        tally.passed += digests.len();
        Ok(tally.ended(succeeded))
    });
}

/// The digest in a line, wherever in it the runner's own output left it.
fn digest(line: &str) -> Option<String> {
    line.find(DIGEST)
        .and_then(|start| line.get(start..))
        .map(str::to_owned)
}

/// Fails unless both sides printed the same digests, and at least one.
fn compare(native: &[String], browser: &[String]) -> Result<()> {
    let sorted = |digests: &[String]| {
        let mut digests = digests.to_vec();
        digests.sort();
        digests
    };
    let (native, browser) = (sorted(native), sorted(browser));
    if native.is_empty() {
        bail!("the native vector tests printed no digest to compare with");
    }
    if native != browser {
        bail!(
            "native and WebAssembly do not give the same bytes:\n  native:      {}\n  WebAssembly: {}",
            native.join(", "),
            browser.join(", ")
        );
    }
    println!("native and WebAssembly give the same bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().filter_map(|line| digest(line)).collect()
    }

    #[test]
    fn digests_are_found_within_other_output() {
        let found = lines(&["test digest ... bit identity scoring 12ab", "ok", ""]);
        assert_eq!(found, ["bit identity scoring 12ab"]);
    }

    #[test]
    fn only_equal_digests_pass() {
        let one = lines(&["bit identity a 1", "bit identity b 2"]);
        let turned = lines(&["bit identity b 2", "bit identity a 1"]);
        assert!(compare(&one, &turned).is_ok());
        assert!(compare(&one, &one[..1]).is_err());
        assert!(compare(&[], &[]).is_err());
        assert!(compare(&one, &lines(&["bit identity a 1", "bit identity b 3"])).is_err());
    }
}
