//! Roles, council keys and privileged changes (economics section 4.2).
//!
//! A privileged change is proposed by a council key, approved by `threshold` distinct council keys, and
//! takes effect `governance_notice` blocks after the approval that made it enough, at an epoch. It is a
//! public notice from the moment it is proposed. What a reader would get wrong: the approval of somebody
//! the change benefits does not count, and nothing here can reach emission, stakes, locks or balances.
//!
//! [`process`] is how a change comes about; [`rules`] is which values a rule can take.

use covey_protocol::Hash;
use serde::{Deserialize, Serialize};

mod process;
mod rules;

use crate::{
    account::AccountId,
    conviction::Rates,
    error::LedgerError,
    map::{Map, Set},
    units::{Height, Rao},
};

pub(crate) use process::{approve, follow, propose, resign, settle, withdraw};

/// Most council keys.
pub const MAX_COUNCIL: usize = 64;

/// Proposals that one key can have open at once. There is no limit for all of them together: with one, a
/// single key could fill it and so keep everybody else from proposing anything.
const MAX_OPEN: usize = 8;

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
    /// Whose proposal it is.
    pub by: AccountId,
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
