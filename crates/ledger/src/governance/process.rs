//! How a privileged change comes about: proposed, approved, on notice, carried out or void (economics
//! section 4.2).
//!
//! What a reader would get wrong: having enough approvals is not a thing of the past. Whenever the council
//! or a key changes, every proposal is counted anew, and one that lost its majority starts its notice again
//! when it has one.

use covey_protocol::Hash;

use super::{Effect, Governance, MAX_OPEN, Proposal, Role, council};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    map::Set,
    notice::{Status, Subject},
    state::State,
    units::Height,
};

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
    let proposals = state.governance.proposals.values();
    if proposals.filter(|proposal| proposal.by == by).count() >= MAX_OPEN {
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
            by,
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
    if !state.governance.council.contains(&by) {
        return Err(LedgerError::NotACouncilKey);
    }
    let mut proposal = open(state, id)?;
    if proposal.approvals.contains(&by) {
        return Err(LedgerError::AlreadyApproved);
    }
    proposal.approvals.insert_mut(by);
    events.push(Event::Approved { proposal: id, by });
    count(state, id, proposal, events);
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
    events.push(Event::ApprovalWithdrawn { proposal: id, by });
    count(state, id, proposal, events);
    Ok(())
}

/// Stores a proposal after its approvals or the council changed: its notice begins when there are enough,
/// and is off when there no longer are.
fn count(state: &mut State, id: u64, mut proposal: Proposal, events: &mut Vec<Event>) {
    match (state.governance.is_enough(&proposal), proposal.ready) {
        (true, None) => {
            let earliest = state.height.saturating_add(state.rules.governance_notice);
            proposal.ready = Some(earliest);
            state.notices.schedule(proposal.notice, earliest);
            events.push(Event::ProposalReady {
                proposal: id,
                earliest,
            });
        }
        (false, Some(_)) => {
            proposal.ready = None;
            state.notices.unschedule(proposal.notice);
        }
        (true, Some(_)) | (false, None) => {}
    }
    state.governance.proposals.insert_mut(id, proposal);
}

fn count_all(state: &mut State, events: &mut Vec<Event>) {
    for (id, proposal) in all(state) {
        count(state, id, proposal, events);
    }
}

fn all(state: &State) -> Vec<(u64, Proposal)> {
    let proposals = state.governance.proposals.iter();
    proposals
        .map(|(id, proposal)| (*id, proposal.clone()))
        .collect()
}

/// Follows a person to a new key: the seat, the roles, and what is proposed by or about them. A role holder
/// does not escape a removal by a new key, and nobody approves their own advancement with one.
///
/// # Errors
/// When both keys have a seat: one of two would be lost.
pub(crate) fn follow(
    state: &mut State,
    old: &AccountId,
    new: AccountId,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let Governance { council, roles, .. } = &mut state.governance;
    let replace = |keys: &mut Set<AccountId>| {
        if keys.remove_mut(old) {
            keys.insert_mut(new);
        }
    };
    if council.contains(old) && council.contains(&new) {
        return Err(LedgerError::UnfitChange(
            "both keys have a seat in the council",
        ));
    }
    replace(council);
    let offices: Vec<Role> = roles.keys().copied().collect();
    for role in offices {
        if let Some(holders) = roles.get_mut(&role) {
            replace(holders);
        }
    }
    for (id, mut proposal) in all(state) {
        replace(&mut proposal.approvals);
        if proposal.by == *old {
            proposal.by = new;
        }
        match &mut proposal.effect {
            Effect::AssignRole { holder, .. } | Effect::RemoveRole { holder, .. } => {
                if holder == old {
                    *holder = new;
                }
            }
            Effect::ChangeCouncil { members, .. } => {
                for member in members.iter_mut().filter(|member| **member == *old) {
                    *member = new;
                }
            }
            Effect::SetRule(_) | Effect::Deprecate { .. } => {}
        }
        count(state, id, proposal, events);
    }
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
                effect: proposal.effect.clone(),
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
        if matches!(proposal.effect, Effect::ChangeCouncil { .. }) {
            count_all(state, events);
        }
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
            // Existing locks keep their mode: an office must not be a way to hold somebody's stake.
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
