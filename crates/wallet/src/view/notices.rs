//! Everything that was announced, and how much of what insiders hold is on its way out.

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, Height,
    notice::{Notice, Status, Subject},
    state::State,
};
use serde::Serialize;

use super::{
    lock, units,
    words::{alpha, effect, on_subnet, short},
};

/// See `NoticeView` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NoticeView {
    pub id: u64,
    pub kind: &'static str,
    pub title: String,
    pub account: String,
    pub insider: bool,
    pub announced: Height,
    pub earliest: Option<Height>,
    pub end: Option<Height>,
    pub status: &'static str,
}

/// See `Notices` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notices {
    /// Newest first.
    pub notices: Vec<NoticeView>,
    /// What insiders hold.
    pub insider_stake: String,
    /// What of it is unlocking.
    pub insider_unlocking: String,
    /// The first height at which some of that is liquid.
    pub first_liquid: Option<Height>,
}

/// At the state's height.
pub(crate) fn of(state: &State) -> Notices {
    let notices = state.notices.iter().rev().map(view).collect();
    let (mut stake, mut unlocking, mut first_liquid) = (0_u64, 0_u64, None);
    if let Some(place) = super::run(state) {
        for insider in insiders(state) {
            stake = stake.saturating_add(place.total_stake(&insider).0);
            let Some(lock) = lock::current(place, &insider, state.height) else {
                continue;
            };
            unlocking = unlocking.saturating_add(lock.unlocking(state.height).0);
            let cliff = lock.unlocks.iter().map(|unlock| unlock.cliff).min();
            first_liquid = first_liquid.into_iter().chain(cliff).min();
        }
    }
    Notices {
        notices,
        insider_stake: units(stake),
        insider_unlocking: units(unlocking),
        first_liquid,
    }
}

/// The owner and everybody with a role: those whom [`State::is_insider`] says.
fn insiders(state: &State) -> BTreeSet<AccountId> {
    let owners = state.subnets.values().map(|place| place.owner);
    let holders = state.governance.roles.values().flat_map(|set| set.iter());
    owners.chain(holders.copied()).collect()
}

fn view(notice: &Notice) -> NoticeView {
    let (kind, account) = match &notice.subject {
        Subject::Unlock { coldkey, .. } => ("unlock", Some(coldkey)),
        Subject::Decay { coldkey, .. } => ("decay", Some(coldkey)),
        Subject::LockedTransfer { from, .. } => ("locked_transfer", Some(from)),
        Subject::Takeover { king, .. } => ("takeover", Some(king)),
        Subject::Governance { .. } => ("governance", None),
        Subject::ColdkeySwap { coldkey } => ("coldkey_swap", Some(coldkey)),
        Subject::Resignation { holder, .. } => ("resignation", Some(holder)),
        Subject::Partnership { .. } => ("partnership", None),
    };
    let end = match &notice.subject {
        Subject::Unlock { end, .. } => Some(*end),
        _ => None,
    };
    NoticeView {
        id: notice.id,
        kind,
        title: title(notice),
        account: account.map_or_else(String::new, AccountId::to_string),
        insider: notice.insider,
        announced: notice.announced,
        earliest: notice.earliest,
        end,
        status: match notice.status {
            Status::Pending => "pending",
            Status::Done { .. } => "done",
            Status::Void { .. } => "void",
        },
    }
}

/// One sentence, without its full stop.
pub(crate) fn title(notice: &Notice) -> String {
    let who = |account: &AccountId| {
        let insider = if notice.insider { "Insider " } else { "" };
        format!("{insider}{}", short(account))
    };
    match &notice.subject {
        Subject::Unlock {
            netuid,
            coldkey,
            amount,
            end,
        } => {
            let (who, amount) = (who(coldkey), alpha(*amount));
            let first = notice.earliest.unwrap_or(*end);
            let place = on_subnet(*netuid);
            format!(
                "{who} unlocks {amount}{place}: first liquid at height {first}, all of it at {end}"
            )
        }
        Subject::Decay {
            netuid,
            coldkey,
            mass,
        } => {
            let (who, mass) = (who(coldkey), alpha(*mass));
            format!("{who} lets a lock of {mass} decay{}", on_subnet(*netuid))
        }
        Subject::LockedTransfer {
            netuid,
            from,
            to,
            amount,
        } => {
            let (who, amount) = (short(from), alpha(*amount));
            let place = on_subnet(*netuid);
            format!(
                "{who} gave {amount} that are locked to {}{place}",
                short(to)
            )
        }
        Subject::Takeover { netuid, king } => {
            let (king, place) = (short(king), on_subnet(*netuid));
            format!(
                "The hotkey {king} has passed the gate and will own the subnet{place} if it stays above"
            )
        }
        Subject::Governance {
            proposal,
            effect: change,
            ..
        } => format!("Proposal {proposal}: {}", effect(change)),
        Subject::ColdkeySwap { coldkey } => {
            format!("{} will move everything to another account", who(coldkey))
        }
        Subject::Resignation { holder, role } => {
            format!("{} gave up the role of {role}", short(holder))
        }
        Subject::Partnership {
            partner,
            suspended: true,
        } => format!("The operator suspended the partner {partner}"),
        Subject::Partnership { partner, .. } => {
            format!("The operator restored the partner {partner}")
        }
    }
}
