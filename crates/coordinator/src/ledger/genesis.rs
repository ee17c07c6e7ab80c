//! The ledger's first entry: from the operator's file, or a development genesis with well-known keys.
//!
//! The file is the genesis without `chain` and `started_ms`: the run and the clock decide those. The text
//! `"$coordinator"` stands for this coordinator's own key wherever an account can stand. What a reader
//! would get wrong: the file is used once. What counts afterwards is entry 0 of the journal, and a file
//! that says something else is refused.

use std::path::Path;

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, LedgerError, Rao,
    conviction::Rates,
    genesis::{Genesis, GenesisStake, GenesisSubnet, RUN},
    governance::Role,
    journal::{Entry, Line, MAX_LINE},
    params::{Rules, Schedule},
    signing::{
        canonical::canonical_of,
        keys::{DEVELOPMENT_NAMES, Keypair},
    },
    units::UNIT,
};
use covey_protocol::Hash;
use serde::Deserialize;

use crate::CoordinatorError;

/// Stands for the coordinator's account in a file.
const COORDINATOR: &str = "\"$coordinator\"";

/// Largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// Longest epoch and block: beyond these nobody would be paid within a lifetime.
const MAX_TEMPO: u64 = 1_000_000;
const MAX_BLOCK_SECONDS: u32 = 3600;

/// [`Genesis`] as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    #[serde(default)]
    pub development: bool,
    #[serde(default)]
    pub schedule: Schedule,
    #[serde(default)]
    pub rules: Rules,
    pub accounts: Vec<(AccountId, Rao)>,
    pub subnet: GenesisSubnet,
    pub council: Vec<AccountId>,
    pub threshold: u16,
    #[serde(default)]
    pub roles: Vec<(Role, AccountId)>,
}

impl Terms {
    /// Reads a file.
    ///
    /// # Errors
    /// What the operator has to change in it.
    pub fn read(path: &Path, coordinator: AccountId) -> Result<Self, CoordinatorError> {
        let file = CoordinatorError::file(path);
        let length = std::fs::metadata(path).map(|data| data.len());
        match length {
            Ok(length) if length > MAX_FILE => {
                return Err(wrong(path, "it is larger than 1 MiB; that is no genesis"));
            }
            Ok(_) => {}
            Err(error) => return Err(file(error)),
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        let text = text.replace(COORDINATOR, &format!("\"{coordinator}\""));
        let terms: Self = serde_json::from_str(&text).map_err(|error| {
            let hint = if text.contains("\"chain\"") || text.contains("\"started_ms\"") {
                "; remove chain and started_ms, which the run and the clock decide"
            } else {
                ""
            };
            wrong(path, &format!("{error}{hint}"))
        })?;
        terms.check().map_err(|reason| wrong(path, &reason))?;
        Ok(terms)
    }

    /// What the rules let pass and an operator would regret.
    fn check(&self) -> Result<(), String> {
        let schedule = &self.schedule;
        if !(1..=MAX_BLOCK_SECONDS).contains(&schedule.block_seconds) {
            return Err("schedule.block_seconds is 1 to 3600".into());
        }
        if !(1..=MAX_TEMPO).contains(&schedule.tempo) {
            return Err("schedule.tempo is 1 to 1000000 blocks".into());
        }
        if self.subnet.tao.is_zero() || self.subnet.alpha.is_zero() {
            return Err("subnet.tao and subnet.alpha are the pool: both are above 0".into());
        }
        for (name, notice) in [
            ("unlock_cliff", self.rules.unlock_cliff),
            ("takeover_notice", self.rules.takeover_notice),
            ("governance_notice", self.rules.governance_notice),
            ("coldkey_swap_delay", self.rules.coldkey_swap_delay),
        ] {
            if notice < schedule.least_notice {
                return Err(format!(
                    "rules.{name} is {notice} blocks, below schedule.least_notice ({}); raise the \
                     one or lower the other",
                    schedule.least_notice
                ));
            }
        }
        if self.rules.lock_rates.unlock == 0 || self.rules.lock_rates.maturity == 0 {
            return Err("rules.lock_rates are above 0".into());
        }
        if !self.development
            && let Some((name, account)) = self.well_known()
        {
            return Err(format!(
                "{account} is {name}, whose secret everybody knows; use keys of your own, or set \
                 development to true"
            ));
        }
        Ok(())
    }

    /// A development account among those named.
    fn well_known(&self) -> Option<(&'static str, AccountId)> {
        let subnet = &self.subnet;
        let mut named: Vec<AccountId> = vec![subnet.owner, subnet.owner_hotkey];
        named.extend(self.accounts.iter().map(|(account, _)| *account));
        named.extend(&self.council);
        named.extend(self.roles.iter().map(|(_, holder)| *holder));
        named.extend(subnet.stakes.iter().flat_map(|s| [s.coldkey, s.hotkey]));
        let kinds = [KeyType::Sr25519, KeyType::Ed25519];
        let known = kinds
            .into_iter()
            .flat_map(|kind| DEVELOPMENT_NAMES.map(|name| (name, kind)));
        known
            .filter_map(|(name, kind)| {
                Keypair::from_suri(kind, name)
                    .ok()
                    .map(|key| (name, key.account()))
            })
            .find(|(_, account)| named.contains(account))
    }

    /// What a fresh data directory gets without a file: people everybody knows, and times short enough
    /// to watch.
    #[must_use]
    pub fn development(coordinator: AccountId) -> Self {
        // The names are the published ones, so this cannot fail; an account nobody has would be left.
        let key = |kind, name| {
            Keypair::from_suri(kind, name).map_or(AccountId([0; 32]), |key| key.account())
        };
        let person = |name| key(KeyType::Sr25519, name);
        let manager = |name| key(KeyType::Ed25519, name);
        let stake = |coldkey, hotkey, alpha: u64| GenesisStake {
            coldkey,
            hotkey,
            alpha: Alpha(alpha * UNIT),
        };
        Self {
            development: true,
            schedule: Schedule {
                block_seconds: 2,
                tempo: 30,
                ownership_age: 600,
                least_notice: 10,
                ..Schedule::default()
            },
            rules: Rules {
                lock_rates: Rates {
                    unlock: 9348,
                    maturity: 3116,
                },
                unlock_cliff: 300,
                unlock_release: 600,
                takeover_notice: 120,
                governance_notice: 60,
                proposal_lifetime: 1200,
                coldkey_swap_delay: 120,
                ..Rules::default()
            },
            accounts: DEVELOPMENT_NAMES
                .map(|name| (person(name), Rao(1000 * UNIT)))
                .to_vec(),
            subnet: GenesisSubnet {
                owner: person("//Alice"),
                owner_hotkey: manager("//Alice"),
                tao: Rao(10_000 * UNIT),
                alpha: Alpha(20_000 * UNIT),
                stakes: vec![
                    stake(person("//Alice"), manager("//Alice"), 1000),
                    stake(coordinator, coordinator, 1000),
                    stake(person("//Bob"), manager("//Bob"), 500),
                    stake(person("//Charlie"), manager("//Charlie"), 500),
                ],
            },
            council: ["//Dave", "//Eve", "//Ferdie"].map(person).to_vec(),
            threshold: 2,
            roles: vec![(Role::Moderator, person("//Ferdie"))],
        }
    }

    /// The genesis of a run.
    #[must_use]
    pub fn of(self, chain: Hash, started_ms: u64) -> Genesis {
        let Self {
            development,
            schedule,
            rules,
            accounts,
            subnet,
            council,
            threshold,
            roles,
        } = self;
        Genesis {
            chain,
            development,
            started_ms,
            schedule,
            rules,
            accounts,
            subnet,
            council,
            threshold,
            roles,
        }
    }
}

/// A ledger and its first line.
///
/// # Errors
/// What in the genesis does not fit together, in words.
pub fn found(genesis: Genesis) -> Result<(Ledger, String), String> {
    let (ledger, entry) = Ledger::new(genesis).map_err(|error| sentence(&error))?;
    let text = line(entry)?;
    Ok((ledger, text))
}

fn line(entry: Entry) -> Result<String, String> {
    canonical_of(&entry).map_err(|error| format!("a number cannot be kept exactly: {error}"))?;
    let text = Line::text(&entry.line());
    if text.len() > MAX_LINE {
        return Err(format!(
            "it is {} bytes as an entry; at most {MAX_LINE} are possible: name fewer accounts and \
             let them be paid later",
            text.len()
        ));
    }
    Ok(text)
}

fn sentence(error: &LedgerError) -> String {
    match error {
        LedgerError::NonAssociatedColdKey => {
            "a hotkey in subnet.stakes, or subnet.owner_hotkey, is given to two coldkeys; each hotkey \
             has one"
                .into()
        }
        LedgerError::Overflow => "the amounts add up to more than 18446744073.7 tokens".into(),
        LedgerError::InsufficientLiquidity => {
            "subnet.tao and subnet.alpha make no pool; both are above 0 and of similar size".into()
        }
        LedgerError::UnfitChange(reason) => {
            format!("council and threshold do not fit, or the schedule: {reason}")
        }
        other => other.to_string(),
    }
}

pub(super) fn wrong(path: &Path, reason: &str) -> CoordinatorError {
    CoordinatorError::Config(format!("the ledger genesis {}: {reason}", path.display()))
}

/// Whether a coordinator's scores pay anybody: it must be a registered hotkey with stake.
#[must_use]
pub fn validates(ledger: &Ledger, coordinator: &AccountId) -> bool {
    ledger.state().subnets.get(&RUN).is_some_and(|subnet| {
        let stake = subnet.stakes.get(coordinator);
        subnet.neurons.contains(coordinator) && stake.is_some_and(|pool| pool.value() > Alpha::ZERO)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COORDINATOR_KEY: AccountId = AccountId([7; 32]);

    fn example() -> String {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/ledger-genesis.example.json"
        );
        std::fs::read_to_string(path).expect("the example")
    }

    fn read(text: &str) -> Result<Terms, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("genesis.json");
        std::fs::write(&path, text).expect("written");
        Terms::read(&path, COORDINATOR_KEY).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_founds_a_ledger_in_which_the_coordinator_validates() {
        let terms = read(&example()).expect("valid");
        assert!(!terms.development);
        let (ledger, line) = found(terms.of(Hash([1; 32]), 5)).expect("founded");
        assert!(validates(&ledger, &COORDINATOR_KEY));
        let line = Line::parse(&line, 0).expect("a line");
        assert_eq!(Ledger::from_genesis(&line.entry), Ok(ledger));
    }

    #[test]
    fn the_development_genesis_founds_a_ledger_with_known_people() {
        let terms = Terms::development(COORDINATOR_KEY);
        assert_eq!(terms.check(), Ok(()));
        let (ledger, _) = found(terms.of(Hash([1; 32]), 5)).expect("founded");
        assert!(validates(&ledger, &COORDINATOR_KEY));
        let state = ledger.state();
        assert!(state.development);
        let alice = Keypair::from_suri(KeyType::Sr25519, "//Alice").expect("known");
        assert!(state.is_insider(&alice.account()));
        assert_eq!(state.governance.council.size(), 3);
    }

    #[test]
    fn a_wrong_file_is_refused_with_what_to_change() {
        let alice = Keypair::from_suri(KeyType::Sr25519, "//Alice").expect("known");
        let owner = read(&example()).expect("valid").subnet.owner;
        let cases = [
            (
                r#""threshold": 2"#,
                r#""threshold": 2, "chain": "00""#,
                "remove chain",
            ),
            (
                r#""threshold": 2"#,
                r#""treshold": 2"#,
                "unknown field `treshold`",
            ),
            (r#""tempo": 360"#, r#""tempo": 0"#, "schedule.tempo is 1 to"),
            (
                r#""block_seconds": 12"#,
                r#""block_seconds": 0"#,
                "block_seconds is 1 to",
            ),
            (
                r#""unlock_cliff": 100800"#,
                r#""unlock_cliff": 1"#,
                "below schedule.least_notice",
            ),
            (
                &owner.to_string(),
                &alice.account().to_string(),
                "everybody knows",
            ),
        ];
        for (from, to, wanted) in cases {
            let text = example().replace(from, to);
            assert_ne!(text, example(), "{from}");
            let refused = read(&text).expect_err(wanted);
            assert!(refused.contains(wanted), "{refused}");
            assert!(refused.contains("genesis.json"), "{refused}");
        }
        for (from, to, wanted) in [
            (
                r#""threshold": 2"#,
                r#""threshold": 1"#,
                "one key alone must not be enough",
            ),
            (
                r#""threshold": 2"#,
                r#""threshold": 9"#,
                "above the number of keys",
            ),
        ] {
            let terms = read(&example().replace(from, to)).expect("readable");
            let refused = found(terms.of(Hash([1; 32]), 5)).expect_err(wanted);
            assert!(refused.contains(wanted), "{refused}");
        }
    }
}
