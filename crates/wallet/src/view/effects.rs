//! What a call changed, line by line: the difference of two states in words and exact decimals.
//!
//! Every account, position, lock, hotkey, subnet, role and proposal of both states is compared, so that
//! nothing that a call does is left out. Lines without a `before` say something about the action itself:
//! who exactly it names, its fee, its limit.

mod places;

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, Alpha, Rao,
    call::Call,
    event::Event,
    governance::Effect,
    state::{Account, State},
    units::UNIT,
};

use super::{
    draft::{EffectLine, Tried},
    notices,
    words::{alpha, on_subnet, percent, short, tao, when},
};
use crate::amount;

/// The lines so far.
pub(crate) struct Lines<'a> {
    tried: &'a Tried<'a>,
    lines: Vec<EffectLine>,
}

/// All lines: what is named, what it costs, then what changes.
pub(crate) fn of(tried: &Tried) -> Vec<EffectLine> {
    let mut lines = Lines {
        tried,
        lines: Vec::new(),
    };
    lines.names();
    lines.trades();
    lines.balances();
    places::add(&mut lines);
    lines.hotkeys();
    lines.flags();
    lines.governance();
    lines.announcements();
    lines.lines
}

impl Lines<'_> {
    /// A difference, if there is one.
    fn change(&mut self, label: &str, before: String, after: String) {
        if before != after {
            self.push(label, before, after);
        }
    }

    /// Something about the action itself.
    fn say(&mut self, label: &str, what: String) {
        self.push(label, String::new(), what);
    }

    fn push(&mut self, label: &str, before: String, after: String) {
        self.lines.push(EffectLine {
            label: label.to_owned(),
            before,
            after,
        });
    }

    /// `Balance`, or `Balance of 5Grwva…GKutQY` for anybody else's.
    fn whose(&self, what: &str, account: &AccountId) -> String {
        if *account == self.tried.by {
            what.to_owned()
        } else {
            format!("{what} of {}", short(account))
        }
    }

    /// Accounts that the call names, whole.
    fn names(&mut self) {
        let tried = self.tried;
        let mut say = |label: &str, account: &AccountId| self.say(label, account.to_string());
        match tried.call {
            Call::AddStake { hotkey, .. }
            | Call::RemoveStake { hotkey, .. }
            | Call::AddStakeLimit { hotkey, .. }
            | Call::RemoveStakeLimit { hotkey, .. }
            | Call::RemoveStakeFullLimit { hotkey, .. }
            | Call::SwapStake { hotkey, .. }
            | Call::SwapStakeLimit { hotkey, .. }
            | Call::UnstakeAll { hotkey } => say("Manager", hotkey),
            Call::MoveStake {
                origin_hotkey,
                destination_hotkey,
                ..
            } => {
                say("From manager", origin_hotkey);
                say("To manager", destination_hotkey);
            }
            Call::TransferStake {
                destination_coldkey,
                hotkey,
                ..
            } => {
                say("Manager", hotkey);
                say("To account", destination_coldkey);
            }
            Call::TransferKeepAlive { dest, .. } => say("To account", dest),
            Call::LockStake { hotkey, .. } => say("Lock to", hotkey),
            Call::MoveLock {
                destination_hotkey, ..
            } => say("Lock to", destination_hotkey),
            Call::BurnedRegister { hotkey, .. }
            | Call::RegisterNetwork { hotkey }
            | Call::IncreaseTake { hotkey, .. }
            | Call::DecreaseTake { hotkey, .. } => say("Hotkey", hotkey),
            Call::SwapColdkeyAnnounced { new_coldkey } => say("To account", new_coldkey),
            Call::SetRevenueShare {
                partner: Some(partner),
                ..
            } => say("To account", partner),
            Call::Propose { effect, reason } => {
                match effect {
                    Effect::AssignRole { holder, .. } | Effect::RemoveRole { holder, .. } => {
                        say("Holder", holder);
                    }
                    Effect::ChangeCouncil { members, .. } => {
                        members.iter().for_each(|member| say("Council key", member));
                    }
                    Effect::SetRule(_) | Effect::Deprecate { .. } => {}
                }
                self.say("Hash of the reason", reason.to_string());
            }
            Call::SetRevenueShare { partner: None, .. }
            | Call::SetPerpetualLock { .. }
            | Call::SetRejectLockedAlpha { .. }
            | Call::UnlockStake { .. }
            | Call::AnnounceColdkeySwap { .. }
            | Call::CancelColdkeySwap {}
            | Call::SetWeights { .. }
            | Call::Approve { .. }
            | Call::WithdrawApproval { .. }
            | Call::ResignRole { .. } => {}
        }
    }

    /// What was traded, at what price, and what it cost.
    fn trades(&mut self) {
        let tried = self.tried;
        match tried.call {
            Call::AddStakeLimit { limit_price, .. }
            | Call::RemoveStakeLimit { limit_price, .. }
            | Call::RemoveStakeFullLimit {
                limit_price: Some(limit_price),
                ..
            } => self.say("Limit price", amount::price(limit_price.0)),
            _ => {}
        }
        for event in tried.events {
            match event {
                Event::StakeAdded {
                    tao: paid,
                    alpha: bought,
                    fee,
                    ..
                } => {
                    self.say("Paid", tao(*paid));
                    self.say("Fee", tao(*fee));
                    self.say("Average price", average(*paid, *bought, true));
                }
                Event::StakeRemoved {
                    tao: got,
                    alpha: sold,
                    fee,
                    ..
                } => {
                    self.say("Sold", alpha(*sold));
                    self.say("Fee", alpha(*fee));
                    self.say("Average price", average(*got, *sold, false));
                }
                Event::NeuronRegistered { burned, .. } => self.say("Burned", tao(*burned)),
                Event::NetworkAdded { cost, .. } => self.say("Cost", tao(*cost)),
                _ => {}
            }
        }
    }

    fn balances(&mut self) {
        for id in self.accounts() {
            let (before, after) = (self.tried.before, self.tried.after);
            let balance = |state: &State| state.accounts.get(&id).map_or(Rao::ZERO, |a| a.balance);
            let label = self.whose("Balance", &id);
            self.change(&label, tao(balance(before)), tao(balance(after)));
        }
    }

    /// Every account of either state; the signer first.
    fn accounts(&self) -> Vec<AccountId> {
        let (before, after) = (self.tried.before, self.tried.after);
        let mut all: BTreeSet<AccountId> = before.accounts.keys().copied().collect();
        all.extend(after.accounts.keys());
        let by = self.tried.by;
        all.remove(&by);
        std::iter::once(by).chain(all).collect()
    }

    fn hotkeys(&mut self) {
        let (before, after) = (self.tried.before, self.tried.after);
        for (id, now) in after.hotkeys.iter() {
            let known = before.hotkeys.get(id);
            if known == Some(now) {
                continue;
            }
            let name = short(id);
            let owner = known.map_or_else(|| "nobody".to_owned(), |k| k.coldkey.to_string());
            self.change(
                &format!("Owner of the hotkey {name}"),
                owner,
                now.coldkey.to_string(),
            );
            let take = known.map_or_else(|| "none".to_owned(), |known| percent(known.take));
            self.change(&format!("Take of {name}"), take, percent(now.take));
        }
    }

    fn flags(&mut self) {
        for id in self.accounts() {
            let (before, after) = (self.tried.before, self.tried.after);
            let of = |state: &State| state.accounts.get(&id).cloned().unwrap_or_default();
            let (old, new) = (of(before), of(after));
            let word = |account: &Account| match account.accepts_locked {
                true => "accepted".to_owned(),
                false => "refused".to_owned(),
            };
            let label = self.whose("Locked alpha from others", &id);
            self.change(&label, word(&old), word(&new));
            let swap = |account: &Account| {
                account.swap.map_or_else(
                    || "none".to_owned(),
                    |swap| {
                        let (hash, ready) = (swap.new_coldkey_hash, when(before, swap.ready));
                        format!("to the account with hash {hash}, possible from {ready}")
                    },
                )
            };
            let label = self.whose("Announced move", &id);
            self.change(&label, swap(&old), swap(&new));
        }
        let (before, after) = (self.tried.before, self.tried.after);
        for id in self.accounts() {
            for netuid in after.subnets.keys() {
                let share = |state: &State| match state.partners.share(*netuid, &id) {
                    Some(share) => format!("{} to {}", percent(share.share), share.partner),
                    None => "none".to_owned(),
                };
                let what = format!("Share of earnings{}", on_subnet(*netuid));
                self.change(&self.whose(&what, &id), share(before), share(after));
            }
        }
        for (key, session) in after.sessions.iter() {
            let known = before.sessions.get(key);
            if known.is_some_and(|known| known.coldkey != session.coldkey) {
                let label = format!("Earnings of the session key {}", short(key));
                let old = known.map_or_else(String::new, |known| known.coldkey.to_string());
                self.change(&label, old, session.coldkey.to_string());
            }
        }
    }

    fn governance(&mut self) {
        let (before, after) = (self.tried.before, self.tried.after);
        let list = |set: &covey_ledger::map::Set<AccountId>| {
            let names: Vec<String> = set.iter().map(AccountId::to_string).collect();
            names.join(", ")
        };
        let (old, new) = (&before.governance, &after.governance);
        self.change("Council", list(&old.council), list(&new.council));
        for (role, holders) in new.roles.iter() {
            let known = old.roles.get(role);
            let word = |text: String| match text.is_empty() {
                true => "nobody".to_owned(),
                false => text,
            };
            let known = word(known.map_or_else(String::new, list));
            let mut name = role.name().to_owned();
            name.get_mut(..1).map(str::make_ascii_uppercase);
            self.change(&name, known, word(list(holders)));
        }
        for (id, proposal) in new.proposals.iter() {
            let known = old.proposals.get(id);
            let count = |governance: &covey_ledger::governance::Governance, of| {
                let counted = governance.counted(of);
                format!("{counted} of {} needed", governance.threshold)
            };
            let approvals = known.map_or_else(|| "none".to_owned(), |known| count(old, known));
            let label = format!("Approvals of proposal {id}");
            self.change(&label, approvals, count(new, proposal));
            let ready = |ready: Option<u64>| {
                ready.map_or_else(
                    || "not enough approvals".to_owned(),
                    |height| when(before, height),
                )
            };
            let was = ready(known.and_then(|known| known.ready));
            let label = format!("Proposal {id} takes effect");
            self.change(&label, was, ready(proposal.ready));
        }
    }

    /// Notices that everybody will see because of this.
    fn announcements(&mut self) {
        let (before, after) = (self.tried.before, self.tried.after);
        for notice in after.notices.iter() {
            match before.notices.get(notice.id) {
                None => self.say("Public notice", notices::title(notice)),
                Some(known) if known.status != notice.status => {
                    self.say("Public notice withdrawn", notices::title(notice));
                }
                Some(_) => {}
            }
        }
    }
}

/// Rao per alpha, rounded against whoever trades.
fn average(tao: Rao, alpha: Alpha, up: bool) -> String {
    let (above, below) = (
        u128::from(tao.0) * u128::from(UNIT),
        u128::from(alpha.0.max(1)),
    );
    let price = if up {
        above.div_ceil(below)
    } else {
        above / below
    };
    amount::price(u64::try_from(price).unwrap_or(u64::MAX))
}
