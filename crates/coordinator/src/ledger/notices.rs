//! Notices in words, for the feed and for the operator.
//!
//! What a reader would get wrong: amounts are exact decimals of whole tokens, and a height is a height;
//! feed readers have no wallet to convert them.

use covey_ledger::{
    Alpha, Height,
    genesis::RUN,
    governance::{Effect, RuleChange},
    notice::{Notice, Status, Subject},
    state::State,
};

/// One sentence with amounts and names.
#[must_use]
pub fn title(notice: &Notice) -> String {
    let from = notice
        .earliest
        .map_or_else(String::new, |earliest| format!(" from height {earliest}"));
    let words = match &notice.subject {
        Subject::Unlock {
            coldkey,
            amount,
            end,
            ..
        } => format!("{coldkey} unlocks {amount} alpha: liquid{from}, all of it at height {end}"),
        Subject::Decay { coldkey, mass, .. } => {
            format!("The lock of {coldkey} over {mass} alpha decays{from}")
        }
        Subject::LockedTransfer {
            from, to, amount, ..
        } => format!("{from} gave {amount} locked alpha to {to}"),
        Subject::Takeover { netuid, king } => {
            format!("{king} passed the gate and owns subnet {netuid}{from} if it stays above")
        }
        Subject::Governance {
            proposal, effect, ..
        } => {
            let when = if from.is_empty() {
                "; it needs more approvals".to_owned()
            } else {
                format!(", in force{from}")
            };
            format!("Proposal {proposal}: {}{when}", self::effect(effect))
        }
        Subject::ColdkeySwap { coldkey } => {
            format!("{coldkey} moves everything it has to another key{from}")
        }
        Subject::Resignation { holder, role } => format!("{holder} gave up the role of {role}"),
        Subject::Partnership {
            partner,
            suspended: true,
        } => format!(
            "The operator suspended the partner {partner}: its visitors' work is credited to nobody"
        ),
        Subject::Partnership { partner, .. } => {
            format!("The operator restored the partner {partner}")
        }
    };
    if notice.insider {
        format!("Insider: {words}")
    } else {
        words
    }
}

/// What became of a notice.
#[must_use]
pub fn status(notice: &Notice) -> String {
    match notice.status {
        Status::Pending => "Pending.".to_owned(),
        Status::Done { at } => format!("Done at height {at}."),
        Status::Void { at } => format!("Void at height {at}: it will not happen."),
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::AssignRole { role, holder } => {
            format!("{holder} becomes {}", role.name())
        }
        Effect::RemoveRole { role, holder } => {
            format!("{holder} is no longer {}", role.name())
        }
        Effect::ChangeCouncil { members, threshold } => format!(
            "a council of {} keys, {threshold} of which decide",
            members.len()
        ),
        Effect::Deprecate { what } => format!("{what} will no longer be served by the run"),
        Effect::SetRule(change) => rule(change),
    }
}

fn rule(change: &RuleChange) -> String {
    match change {
        RuleChange::LockRates(rates) => format!(
            "new locks decay with {} and mature with {} blocks",
            rates.unlock, rates.maturity
        ),
        RuleChange::NewLocksDecay(true) => "new locks decay".to_owned(),
        RuleChange::NewLocksDecay(false) => "new locks stay until they are unlocked".to_owned(),
        RuleChange::UnlockCliff(blocks) => format!("unlocks wait {blocks} blocks"),
        RuleChange::UnlockRelease(blocks) => format!("unlocks are released over {blocks} blocks"),
        RuleChange::TakeoverNotice(blocks) => format!("takeovers wait {blocks} blocks"),
        RuleChange::GovernanceNotice(blocks) => format!("approved changes wait {blocks} blocks"),
        RuleChange::MinStake(least) => format!("the smallest stake is {least} TAO"),
        RuleChange::MaxTake(take) => format!("the highest take is {take} of 65535"),
        RuleChange::ColdkeySwapDelay(blocks) => format!("coldkey swaps wait {blocks} blocks"),
        RuleChange::RegistrationBurn { min, max } => {
            format!("registering a hotkey costs {min} to {max} TAO")
        }
        RuleChange::SubnetCost(least) => format!("a subnet costs at least {least} TAO"),
    }
}

/// What insiders hold, what of it is unlocking, and when the first of that is liquid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insiders {
    pub stake: Alpha,
    pub unlocking: Alpha,
    pub first_liquid: Option<Height>,
}

/// Sums over the subnet's owner and role holders.
#[must_use]
pub fn insiders(state: &State, now: Height) -> Insiders {
    let mut sum = Insiders::default();
    let Some(subnet) = state.subnets.get(&RUN) else {
        return sum;
    };
    let mut people: Vec<_> = state.governance.roles.values().flatten().copied().collect();
    people.push(subnet.owner);
    people.sort_unstable();
    people.dedup();
    let plus = |a: Alpha, b: Alpha| Alpha(a.0.saturating_add(b.0));
    for person in people {
        sum.stake = plus(sum.stake, subnet.total_stake(&person));
        let Some(lock) = subnet.lock(&person, now) else {
            continue;
        };
        for unlock in &lock.unlocks {
            let bound = unlock.bound(now);
            if bound.is_zero() {
                continue;
            }
            sum.unlocking = plus(sum.unlocking, bound);
            let liquid = unlock.cliff;
            sum.first_liquid = Some(sum.first_liquid.map_or(liquid, |first| first.min(liquid)));
        }
    }
    sum
}

impl Insiders {
    /// "X of Y insider stake is unlocking, first liquid at …"
    #[must_use]
    pub fn words(&self) -> String {
        let Self {
            stake, unlocking, ..
        } = self;
        match self.first_liquid {
            None => format!("{stake} alpha of insider stake, none of it unlocking"),
            Some(first) => format!(
                "{unlocking} of {stake} alpha of insider stake is unlocking, first liquid at height \
                 {first}"
            ),
        }
    }
}
