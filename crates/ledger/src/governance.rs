//! Roles, council keys and privileged changes (economics section 4.2).
//!
//! A privileged change is proposed by a council key, approved by `threshold` distinct council keys, and
//! takes effect `governance_notice` blocks after the approval that made it enough, at an epoch. It is a
//! public notice from the moment it is proposed. What a reader would get wrong: the approval of somebody
//! the change benefits does not count, and nothing here can reach emission, stakes, locks or balances.

use covey_protocol::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    apply::locks,
    conviction::Rates,
    error::LedgerError,
    event::Event,
    map::{Map, Set},
    notice::{Status, Subject},
    params::{EIGHTEEN_PERCENT, Rules},
    state::State,
    units::{Height, Rao, UNIT},
};

/// Most council keys.
pub const MAX_COUNCIL: usize = 64;

/// Proposals that can be open at once.
const MAX_PROPOSALS: usize = 64;

/// An office in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs coordinators.
    Operator,
    /// Keeps order in the run's channels.
    Moderator,
    /// Proposes changes of parameters.
    ParameterSetter,
}

impl Role {
    /// The role in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Moderator => "moderator",
            Self::ParameterSetter => "parameter setter",
        }
    }
}

/// A privileged change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    AssignRole {
        role: Role,
        holder: AccountId,
    },
    RemoveRole {
        role: Role,
        holder: AccountId,
    },
    ChangeCouncil {
        members: Vec<AccountId>,
        threshold: u16,
    },
    SetRule(RuleChange),
    /// Says publicly that something content-addressed will no longer be served by the run. Nothing is
    /// unpublished: no key can do that.
    Deprecate {
        what: Hash,
    },
}

/// One rule and its new value. Existing locks keep what they were made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleChange {
    LockRates(Rates),
    NewLocksDecay(bool),
    UnlockCliff(u64),
    UnlockRelease(u64),
    TakeoverNotice(u64),
    GovernanceNotice(u64),
    MinStake(Rao),
    MaxTake(u16),
    ColdkeySwapDelay(u64),
    RegistrationBurn { min: Rao, max: Rao },
    SubnetCost(Rao),
}

/// The council, the roles and what is proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    pub council: Set<AccountId>,
    /// Distinct approvals a change needs; at least two.
    pub threshold: u16,
    pub roles: Map<Role, Set<AccountId>>,
    pub proposals: Map<u64, Proposal>,
    pub next: u64,
}

/// A proposed change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub effect: Effect,
    /// Hash of the published reason.
    pub reason: Hash,
    pub proposed: Height,
    pub approvals: Set<AccountId>,
    /// First height at which it takes effect, once enough keys have approved.
    pub ready: Option<Height>,
    pub notice: u64,
}

impl Governance {
    /// Whether the account holds any role.
    #[must_use]
    pub fn holds_any_role(&self, account: &AccountId) -> bool {
        self.roles.values().any(|holders| holders.contains(account))
    }

    /// Approvals that count: of present council members that the change does not benefit.
    #[must_use]
    pub fn counted(&self, proposal: &Proposal) -> usize {
        let counts = |key: &&AccountId| {
            self.council.contains(key) && !benefits(&proposal.effect, key, &self.council)
        };
        proposal.approvals.iter().filter(counts).count()
    }

    fn is_enough(&self, proposal: &Proposal) -> bool {
        self.counted(proposal) >= usize::from(self.threshold)
    }

    /// Follows a person to a new key.
    pub(crate) fn swap(&mut self, old: &AccountId, new: AccountId) {
        if self.council.remove_mut(old) {
            self.council.insert_mut(new);
        }
        let held: Vec<Role> = self
            .roles
            .iter()
            .filter(|(_, holders)| holders.contains(old))
            .map(|(role, _)| *role)
            .collect();
        for role in held {
            if let Some(holders) = self.roles.get_mut(&role) {
                holders.remove_mut(old);
                holders.insert_mut(new);
            }
        }
    }
}

/// Whether a key gains by a change, so that its approval of it does not count.
fn benefits(effect: &Effect, key: &AccountId, council: &Set<AccountId>) -> bool {
    match effect {
        Effect::AssignRole { holder, .. } => holder == key,
        // A seat in a smaller council, or in one with a lower threshold, is worth more: what counts as a
        // gain is only a seat that the key does not have today.
        Effect::ChangeCouncil { members, .. } => members.contains(key) && !council.contains(key),
        Effect::RemoveRole { .. } | Effect::SetRule(_) | Effect::Deprecate { .. } => false,
    }
}

/// A council of `members` with a threshold that no single key passes.
///
/// # Errors
/// Fewer than two keys or approvals, or more approvals than keys.
pub fn council(members: &[AccountId], threshold: u16) -> Result<Set<AccountId>, LedgerError> {
    let unfit = |why| Err(LedgerError::UnfitChange(why));
    let mut set = Set::new_sync();
    for member in members {
        if set.contains(member) {
            return unfit("a council key is named twice");
        }
        set.insert_mut(*member);
    }
    match (set.size(), usize::from(threshold)) {
        (size, _) if size > MAX_COUNCIL => unfit("the council has too many keys"),
        (_, 0..=1) => unfit("one key alone must not be enough"),
        (size, needed) if needed > size => unfit("the threshold is above the number of keys"),
        _ => Ok(set),
    }
}

/// Proposes a change. Council keys may propose anything and approve it by that; a parameter setter may
/// propose rules, and needs the council's approvals like anybody.
pub(crate) fn propose(
    state: &mut State,
    by: AccountId,
    effect: &Effect,
    reason: Hash,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let setters = state.governance.roles.get(&Role::ParameterSetter);
    let setter = setters.is_some_and(|holders| holders.contains(&by));
    let member = state.governance.council.contains(&by);
    if !(member || setter && matches!(effect, Effect::SetRule(_))) {
        return Err(LedgerError::NotACouncilKey);
    }
    if state.governance.proposals.size() >= MAX_PROPOSALS {
        return Err(LedgerError::UnfitChange("too many proposals are open"));
    }
    check(state, effect)?;
    let proposal = state.governance.next;
    let subject = Subject::Governance {
        proposal,
        effect: effect.clone(),
        reason,
    };
    let notice = state.notices.announce(state.height, None, true, subject);
    state.governance.next = proposal.saturating_add(1);
    state.governance.proposals.insert_mut(
        proposal,
        Proposal {
            effect: effect.clone(),
            reason,
            proposed: state.height,
            approvals: Set::new_sync(),
            ready: None,
            notice,
        },
    );
    events.push(Event::Proposed {
        proposal,
        effect: effect.clone(),
        by,
    });
    if member {
        approve(state, by, proposal, events)?;
    }
    Ok(())
}

/// Approves an open proposal.
pub(crate) fn approve(
    state: &mut State,
    by: AccountId,
    id: u64,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let (height, notice) = (state.height, state.rules.governance_notice);
    if !state.governance.council.contains(&by) {
        return Err(LedgerError::NotACouncilKey);
    }
    let mut proposal = open(state, id)?;
    if proposal.approvals.contains(&by) {
        return Err(LedgerError::AlreadyApproved);
    }
    proposal.approvals.insert_mut(by);
    events.push(Event::Approved { proposal: id, by });
    if proposal.ready.is_none() && state.governance.is_enough(&proposal) {
        let earliest = height.saturating_add(notice);
        proposal.ready = Some(earliest);
        state.notices.schedule(proposal.notice, earliest);
        events.push(Event::ProposalReady {
            proposal: id,
            earliest,
        });
    }
    state.governance.proposals.insert_mut(id, proposal);
    Ok(())
}

/// Takes an approval back. A proposal that falls below the threshold starts its notice again when it
/// reaches it anew.
pub(crate) fn withdraw(
    state: &mut State,
    by: AccountId,
    id: u64,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let mut proposal = open(state, id)?;
    if !proposal.approvals.remove_mut(&by) {
        return Err(LedgerError::NotACouncilKey);
    }
    if !state.governance.is_enough(&proposal) {
        proposal.ready = None;
    }
    state.governance.proposals.insert_mut(id, proposal);
    events.push(Event::ApprovalWithdrawn { proposal: id, by });
    Ok(())
}

/// Gives up a role at once: the one change that concerns nobody else.
pub(crate) fn resign(
    state: &mut State,
    by: AccountId,
    role: Role,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let holders = state.governance.roles.get_mut(&role);
    if !holders.is_some_and(|holders| holders.remove_mut(&by)) {
        return Err(LedgerError::NoSuchRole);
    }
    let subject = Subject::Resignation {
        holder: by,
        role: role.name().to_owned(),
    };
    state
        .notices
        .announce(state.height, Some(state.height), true, subject);
    events.push(Event::RoleResigned { role, holder: by });
    Ok(())
}

fn open(state: &State, id: u64) -> Result<Proposal, LedgerError> {
    let proposal = state.governance.proposals.get(&id);
    proposal.cloned().ok_or(LedgerError::NoSuchProposal)
}

/// Whether a change is possible as things stand.
fn check(state: &State, effect: &Effect) -> Result<(), LedgerError> {
    let unfit = |why| Err(LedgerError::UnfitChange(why));
    let holds = |role: &Role, holder: &AccountId| {
        let holders = state.governance.roles.get(role);
        holders.is_some_and(|holders| holders.contains(holder))
    };
    match effect {
        Effect::AssignRole { role, holder } if holds(role, holder) => {
            unfit("the account holds this role already")
        }
        Effect::RemoveRole { role, holder } if !holds(role, holder) => Err(LedgerError::NoSuchRole),
        Effect::ChangeCouncil { members, threshold } => council(members, *threshold).map(|_| ()),
        Effect::SetRule(change) => change.check(state.schedule.least_notice),
        Effect::AssignRole { .. } | Effect::RemoveRole { .. } | Effect::Deprecate { .. } => Ok(()),
    }
}

/// Carries out what is due and voids what has waited too long. Called at every epoch.
pub(crate) fn settle(state: &mut State, now: Height, events: &mut Vec<Event>) {
    let ids: Vec<u64> = state.governance.proposals.keys().copied().collect();
    for id in ids {
        let Ok(proposal) = open(state, id) else {
            continue;
        };
        let due = proposal.ready.is_some_and(|ready| ready <= now);
        // Asked again: a key may have left the council, or the world may have changed, since.
        let stands =
            state.governance.is_enough(&proposal) && check(state, &proposal.effect).is_ok();
        let old = now
            >= proposal
                .proposed
                .saturating_add(state.rules.proposal_lifetime);
        let status = if due && stands {
            carry_out(state, &proposal.effect);
            events.push(Event::Executed {
                proposal: id,
                effect: proposal.effect,
            });
            Status::Done { at: now }
        } else if due || (old && proposal.ready.is_none()) {
            events.push(Event::ProposalVoid { proposal: id });
            Status::Void { at: now }
        } else {
            continue;
        };
        state.notices.close(proposal.notice, status);
        state.governance.proposals.remove_mut(&id);
    }
}

fn carry_out(state: &mut State, effect: &Effect) {
    let governance = &mut state.governance;
    match effect {
        Effect::AssignRole { role, holder } => {
            let mut holders = governance.roles.get(role).cloned();
            let holders = holders.get_or_insert_with(Set::new_sync);
            holders.insert_mut(*holder);
            governance.roles.insert_mut(*role, holders.clone());
            locks::make_perpetual(state, holder);
        }
        Effect::RemoveRole { role, holder } => {
            if let Some(holders) = governance.roles.get_mut(role) {
                holders.remove_mut(holder);
            }
        }
        Effect::ChangeCouncil { members, threshold } => {
            if let Ok(members) = council(members, *threshold) {
                governance.council = members;
                governance.threshold = *threshold;
            }
        }
        Effect::SetRule(change) => change.set(&mut state.rules),
        Effect::Deprecate { .. } => {}
    }
}

impl RuleChange {
    /// Nothing may be set below the least notice the run was founded with, or beyond reason.
    fn check(&self, least_notice: u64) -> Result<(), LedgerError> {
        const FOREVER: u64 = 7200 * 365 * 100;
        let (low, high, value) = match self {
            Self::UnlockCliff(blocks)
            | Self::TakeoverNotice(blocks)
            | Self::GovernanceNotice(blocks)
            | Self::ColdkeySwapDelay(blocks) => (least_notice, FOREVER, *blocks),
            Self::UnlockRelease(blocks) => (0, FOREVER, *blocks),
            Self::MaxTake(take) => (0, u64::from(EIGHTEEN_PERCENT), u64::from(*take)),
            Self::LockRates(rates) => (1, FOREVER, rates.unlock.min(rates.maturity)),
            Self::RegistrationBurn { min, max } => (min.0, 1000 * UNIT, max.0),
            // Above this nobody with little could leave any more.
            Self::MinStake(least) => (0, UNIT, least.0),
            Self::NewLocksDecay(_) | Self::SubnetCost(_) => return Ok(()),
        };
        if (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(LedgerError::UnfitChange("the value is out of bounds"))
        }
    }

    fn set(&self, rules: &mut Rules) {
        match self {
            Self::LockRates(rates) => rules.lock_rates = *rates,
            Self::NewLocksDecay(decay) => rules.new_locks_decay = *decay,
            Self::UnlockCliff(blocks) => rules.unlock_cliff = *blocks,
            Self::UnlockRelease(blocks) => rules.unlock_release = *blocks,
            Self::TakeoverNotice(blocks) => rules.takeover_notice = *blocks,
            Self::GovernanceNotice(blocks) => rules.governance_notice = *blocks,
            Self::MinStake(least) => rules.min_stake = *least,
            Self::MaxTake(take) => rules.max_take = *take,
            Self::ColdkeySwapDelay(blocks) => rules.coldkey_swap_delay = *blocks,
            Self::RegistrationBurn { min, max } => rules.registration_burn = (*min, *max),
            Self::SubnetCost(least) => rules.subnet_cost = *least,
        }
    }
}
