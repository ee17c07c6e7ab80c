//! What the dependencies may be, by `deny.toml`: licences, sources, bans.
//!
//! cargo-deny checks it where it is installed. Elsewhere we do the same from `cargo metadata`, which needs
//! no network. What a reader would get wrong: known vulnerabilities are not in either check. They need a
//! database that changes daily; where it was not fetched, the report says so.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{report::Report, tally::Tally};
use crate::{dirs::Dirs, shell};

/// Crates that name a file and no licence, and what was found in the file.
const FILES: [(&str, &str); 1] = [("cfg_block", "Apache-2.0")];

pub fn run(dirs: &Dirs, report: &mut Report) {
    const PART: &str = "dependencies";
    const ADVISORIES: &str = "dependencies' advisories";
    let deny = |arguments: &[&str]| {
        let mut command = Command::new("cargo-deny");
        command.current_dir(&dirs.root).args(arguments);
        shell::run(&mut command).map(|()| Tally::passed(1))
    };
    if shell::find(&["cargo-deny"]).is_none() {
        report.part(PART, || check(dirs));
        report.skip(
            ADVISORIES,
            "cargo-deny is not installed: KNOWN VULNERABILITIES WERE NOT LOOKED FOR (cargo install \
             cargo-deny --locked && cargo deny check advisories)",
        );
        return;
    }
    report.part(PART, || {
        deny(&["--offline", "check", "licenses", "sources", "bans"])
    });
    let home = std::env::home_dir().unwrap_or_default();
    if home.join(".cargo/advisory-dbs").is_dir() {
        report.part(ADVISORIES, || deny(&["--offline", "check", "advisories"]));
    } else {
        report.skip(
            ADVISORIES,
            "their database was never fetched: KNOWN VULNERABILITIES WERE NOT LOOKED FOR (cargo deny \
             check advisories)",
        );
    }
}

fn check(dirs: &Dirs) -> Result<Tally> {
    let rules = fs::read_to_string(dirs.root.join("deny.toml")).context("deny.toml")?;
    let rules = Rules::parse(&rules)?;
    // A build fetches only what this platform needs, and the rules are for all of them. Where everything is
    // here already, nothing is asked of the network.
    let metadata = metadata(dirs).or_else(|_| {
        shell::run(shell::cargo(&dirs.root, &dirs.native()).args(["fetch", "--locked"]))?;
        metadata(dirs)
    });
    let metadata =
        metadata.context("the dependencies are not all here; `cargo fetch --locked` gets them")?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = packages(&metadata)?;
    let problems = rules.problems(&packages);
    if !problems.is_empty() {
        bail!("deny.toml forbids:\n  {}", problems.join("\n  "));
    }
    eprintln!("{} packages keep to deny.toml", packages.len());
    Ok(Tally::passed(1))
}

fn metadata(dirs: &Dirs) -> Result<String> {
    shell::output(shell::cargo(&dirs.root, &dirs.native()).args([
        "metadata",
        "--offline",
        "--locked",
        "--format-version",
        "1",
    ]))
}

/// A package as `cargo metadata` knows it.
struct Package {
    name: String,
    version: String,
    /// `None` for our own.
    source: Option<String>,
    license: Option<String>,
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let all = metadata["packages"].as_array().context("no packages")?;
    all.iter()
        .map(|package| {
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            Ok(Package {
                name: text("name").context("a package without a name")?,
                version: text("version").context("a package without a version")?,
                source: text("source"),
                license: text("license"),
            })
        })
        .collect()
}

/// The part of `deny.toml` that is checked here.
#[derive(Debug, Default)]
struct Rules {
    licenses: Vec<String>,
    registries: Vec<String>,
    banned: Vec<String>,
    single: Vec<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let mut rules = Self::default();
        let (mut section, mut list) = (String::new(), String::new());
        for line in text.lines().map(str::trim) {
            let quoted = || line.split('"').nth(1).map(str::to_owned);
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                name.clone_into(&mut section);
            } else if let Some(name) = line.strip_suffix("= [") {
                list = format!("{section}.{}", name.trim());
            } else if line == "]" {
                list.clear();
            } else if let (Some(value), false) = (quoted(), line.starts_with('#')) {
                match list.as_str() {
                    "licenses.allow" => rules.licenses.push(value),
                    "sources.allow-registry" => rules.registries.push(value),
                    "bans.deny" if line.contains("deny-multiple-versions") => {
                        rules.single.push(value);
                    }
                    "bans.deny" => rules.banned.push(value),
                    _ => {}
                }
            }
        }
        if [
            &rules.licenses,
            &rules.registries,
            &rules.banned,
            &rules.single,
        ]
        .iter()
        .any(|list| list.is_empty())
        {
            bail!("deny.toml is not written as it is read here: one entry a line");
        }
        Ok(rules)
    }

    fn problems(&self, packages: &[Package]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for package in packages {
            let Package {
                name,
                version,
                source,
                license,
            } = package;
            *versions.entry(name).or_default() += 1;
            if self.banned.contains(name) {
                problems.push(format!("{name} {version}: banned"));
            }
            let Some(source) = source else { continue };
            let registry = source.strip_prefix("registry+");
            if !registry.is_some_and(|registry| self.registries.iter().any(|r| r == registry)) {
                problems.push(format!("{name} {version}: comes from {source}"));
            }
            let known = FILES.iter().find(|(known, _)| known == name);
            let license = license.as_deref().or(known.map(|(_, license)| *license));
            match license.map(|license| (license, self.allows(license))) {
                Some((_, Ok(true))) => {}
                Some((license, Ok(false))) => {
                    problems.push(format!("{name} {version}: licensed under {license}"));
                }
                Some((license, Err(error))) => {
                    problems.push(format!(
                        "{name} {version}: {license} is no licence: {error}"
                    ));
                }
                None => problems.push(format!("{name} {version}: names no licence")),
            }
        }
        for name in &self.single {
            let count = versions.get(name.as_str()).copied().unwrap_or_default();
            if count > 1 {
                problems.push(format!("{name}: {count} versions"));
            }
        }
        problems
    }

    /// Whether an SPDX expression can be satisfied by allowed licences alone. An old `/` means "or".
    fn allows(&self, expression: &str) -> Result<bool> {
        let spaced = expression
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let allowed = self.any(&mut rest)?;
        match rest {
            [] => Ok(allowed),
            [word, ..] => bail!("{word} was not expected"),
        }
    }

    fn any(&self, rest: &mut &[&str]) -> Result<bool> {
        let mut allowed = self.all(rest)?;
        while let ["OR", after @ ..] = *rest {
            *rest = after;
            allowed |= self.all(rest)?;
        }
        Ok(allowed)
    }

    fn all(&self, rest: &mut &[&str]) -> Result<bool> {
        let mut allowed = self.one(rest)?;
        while let ["AND", after @ ..] = *rest {
            *rest = after;
            allowed &= self.one(rest)?;
        }
        Ok(allowed)
    }

    fn one(&self, rest: &mut &[&str]) -> Result<bool> {
        let listed = |license: &str| self.licenses.iter().any(|known| known == license);
        match *rest {
            ["(", after @ ..] => {
                *rest = after;
                let allowed = self.any(rest)?;
                match *rest {
                    [")", after @ ..] => *rest = after,
                    _ => bail!("a bracket is not closed"),
                }
                Ok(allowed)
            }
            [")" | "OR" | "AND" | "WITH", ..] | [] => bail!("a licence is missing"),
            [license, "WITH", exception, after @ ..] => {
                *rest = after;
                Ok(listed(&format!("{license} WITH {exception}")))
            }
            [license, after @ ..] => {
                *rest = after;
                Ok(listed(license))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn rules() -> Rules {
        Rules::parse(include_str!("../../../deny.toml")).unwrap()
    }

    fn package(name: &str, source: &str, license: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: (!source.is_empty()).then(|| source.to_owned()),
            license: (!license.is_empty()).then(|| license.to_owned()),
        }
    }

    #[test]
    fn what_may_be_chosen_is_enough_and_what_must_be_kept_is_not() {
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("MIT/Apache-2.0", true),
            ("MIT / LGPL-2.1", true),
            ("(MIT OR GPL-2.0) AND Unicode-3.0", true),
            ("(MIT OR GPL-2.0) AND AGPL-3.0", false),
            ("GPL-2.0 OR AGPL-3.0 AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ] {
            assert_eq!(rules().allows(expression).unwrap(), allowed, "{expression}");
        }
        for nonsense in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "WITH x"] {
            assert!(rules().allows(nonsense).is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn a_forbidden_licence_source_or_crate_is_named() {
        let fine = [
            package("covey", "", "MIT OR Apache-2.0"),
            package("serde", CRATES, "MIT OR Apache-2.0"),
            package("cfg_block", CRATES, ""),
            package("rand", CRATES, "MIT"),
            package("rand", CRATES, "MIT"),
        ];
        assert_eq!(rules().problems(&fine), Vec::<String>::new());
        for (bad, words) in [
            (
                package("x", CRATES, "AGPL-3.0-only"),
                "licensed under AGPL-3.0-only",
            ),
            (package("x", CRATES, ""), "names no licence"),
            (package("x", CRATES, "see LICENSE"), "is no licence"),
            (
                package("x", "git+https://github.com/x/y?branch=z#1", "MIT"),
                "comes from git+",
            ),
            (
                package("x", "registry+https://example.org/index", "MIT"),
                "comes from registry+",
            ),
            (package("openssl-sys", CRATES, "MIT"), "banned"),
        ] {
            let problems = rules().problems(&[bad]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(words), "{problems:?}");
        }
        let twice = [
            package("burn", CRATES, "MIT"),
            package("burn", CRATES, "MIT"),
        ];
        assert_eq!(rules().problems(&twice), ["burn: 2 versions"]);
    }

    #[test]
    fn rules_that_cannot_be_read_are_no_leave() {
        assert!(Rules::parse("[licenses]\nallow = [\"MIT\"]\n").is_err());
    }
}
