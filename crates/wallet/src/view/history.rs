//! Entries in words: what a person did, with the hash that proves it.

use covey_ledger::{
    AccountId, Height,
    event::Event,
    journal::{Body, Entry},
    ledger::Applied,
};
use serde::Serialize;

use super::words::{self, alpha, short};
use crate::{error::WalletError, wallet::read_line};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// See `HistoryItem` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryItem {
    pub index: u64,
    pub height: Height,
    pub hash: String,
    pub title: String,
}

/// An entry that was just applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogItem {
    pub index: u64,
    pub height: Height,
    pub hash: String,
    /// Who acted, if anybody did.
    pub account: Option<String>,
    pub title: String,
}

/// Reads a journal line, checks its hash and says what it records.
///
/// # Errors
/// When it is no line of a journal.
pub fn describe(line: &str) -> Result<HistoryItem, WalletError> {
    let line = read_line(line)?;
    Ok(HistoryItem {
        index: line.entry.index,
        height: line.entry.height,
        hash: line.hash.to_string(),
        title: title(&line.entry, &[]),
    })
}

pub(crate) fn log_item(applied: &Applied) -> LogItem {
    let entry = &applied.entry;
    LogItem {
        index: entry.index,
        height: entry.height,
        hash: applied.hash.to_string(),
        account: account(entry).map(|account| account.to_string()),
        title: title(entry, &applied.events),
    }
}

fn account(entry: &Entry) -> Option<AccountId> {
    match &entry.body {
        Body::Action(signed) => Some(signed.action.account),
        Body::Session(signed) => Some(signed.authorisation.coldkey),
        Body::Genesis(_) | Body::Epoch { .. } | Body::Clock {} | Body::Partnership { .. } => None,
    }
}

/// One sentence without its full stop; an epoch says more when its events are known.
fn title(entry: &Entry, events: &[Event]) -> String {
    match &entry.body {
        Body::Genesis(_) => "The run was founded".to_owned(),
        Body::Action(signed) => words::call(&signed.action.call),
        Body::Session(signed) => {
            let terms = &signed.authorisation;
            let lifetime = terms.expires_at_ms.saturating_sub(terms.issued_at_ms);
            let (days, key) = (lifetime / DAY_MS, short(&terms.session_key));
            let (plural, domain) = (if days == 1 { "" } else { "s" }, &terms.domain);
            format!("Let the key {key} contribute for {days} day{plural} on {domain}")
        }
        Body::Epoch { .. } => {
            let mut words = "Epoch: emission was paid".to_owned();
            for event in events {
                if let Some(more) = happened(event) {
                    words.push_str("; ");
                    words.push_str(&more);
                }
            }
            words
        }
        Body::Partnership { partner, suspended } => {
            let what = if *suspended { "suspended" } else { "restored" };
            format!("The operator {what} the partner {partner}")
        }
        Body::Clock {} => format!(
            "The operator moved the development clock to height {}",
            entry.height
        ),
    }
}

/// What an epoch did that people want to know.
fn happened(event: &Event) -> Option<String> {
    Some(match event {
        Event::EpochPaid {
            owner_cut,
            incentive,
            dividends,
            ..
        } => format!(
            "{} to contributors, {} to validators and their stakers, {} to the owner",
            alpha(*incentive),
            alpha(*dividends),
            alpha(*owner_cut)
        ),
        Event::RevenueShared {
            coldkey,
            partner,
            amount,
            ..
        } => format!(
            "{} of what {} earned to {}",
            alpha(*amount),
            short(coldkey),
            short(partner)
        ),
        Event::TakeoverAnnounced { king, ready, .. } => {
            format!(
                "{} passed the gate and can own the subnet from height {ready}",
                short(king)
            )
        }
        Event::TakeoverVoid { king, .. } => {
            format!("{} did not stay above the gate", short(king))
        }
        Event::SubnetOwnerChanged { new_coldkey, .. } => {
            format!("{} owns the subnet", short(new_coldkey))
        }
        Event::Executed { proposal, effect } => {
            format!("proposal {proposal} took effect: {}", words::effect(effect))
        }
        Event::ProposalVoid { proposal } => format!("proposal {proposal} is void"),
        _ => return None,
    })
}
