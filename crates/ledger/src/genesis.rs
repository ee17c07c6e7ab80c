//! A run's first entry: who has what before the first block.
//!
//! What insiders (the subnet's owner and role holders) are given as stake is locked to the owner's hotkey
//! from the start, perpetually: it can leave by a public request only.

use covey_protocol::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    apply::{self, hotkeys, locks, stake},
    conviction::ONE_YEAR,
    error::LedgerError,
    governance::{Governance, Role, council},
    lock::{Lock, LockMode},
    map::{Map, Set},
    notice::Notices,
    params::{Rules, Schedule},
    partner::Partners,
    pool::Pool,
    signing::canonical,
    state::State,
    units::{Alpha, NetUid, Rao},
};

/// The subnet of the run itself.
pub const RUN: NetUid = NetUid(1);

/// Everything that is decided before the first block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The run's id.
    pub chain: Hash,
    /// Whether the operator may move the clock. People see this before they sign anything.
    pub development: bool,
    /// Unix time of height 0 in milliseconds.
    pub started_ms: u64,
    #[serde(default)]
    pub schedule: Schedule,
    #[serde(default)]
    pub rules: Rules,
    pub accounts: Vec<(AccountId, Rao)>,
    pub subnet: GenesisSubnet,
    pub council: Vec<AccountId>,
    /// Distinct council keys a privileged change needs.
    pub threshold: u16,
    #[serde(default)]
    pub roles: Vec<(Role, AccountId)>,
}

/// The run's subnet as it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisSubnet {
    pub owner: AccountId,
    pub owner_hotkey: AccountId,
    /// The pool's reserves.
    pub tao: Rao,
    pub alpha: Alpha,
    #[serde(default)]
    pub stakes: Vec<GenesisStake>,
}

/// Alpha somebody starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisStake {
    pub coldkey: AccountId,
    /// A new hotkey becomes the coldkey's and is registered.
    pub hotkey: AccountId,
    pub alpha: Alpha,
}

impl Genesis {
    /// The state at height 0.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn state(&self) -> Result<State, LedgerError> {
        let unfit = |why| Err(LedgerError::UnfitChange(why));
        if self.schedule.block_seconds == 0 || !(1..=ONE_YEAR).contains(&self.schedule.tempo) {
            return unfit("a block lasts some time and an epoch a year at most");
        }
        if canonical::canonical_of(self).is_err() {
            // Its entry would have no hash, and its bytes nothing that vouches for them.
            return unfit("a number is too large to be written exactly");
        }
        let mut state = State {
            chain: self.chain,
            development: self.development,
            started_ms: self.started_ms,
            schedule: self.schedule.clone(),
            rules: self.rules.clone(),
            height: 0,
            epoch: 0,
            issuance: Rao::ZERO,
            recycled: Rao::ZERO,
            accounts: Map::new_sync(),
            hotkeys: Map::new_sync(),
            subnets: Map::new_sync(),
            sessions: Map::new_sync(),
            governance: Governance {
                council: council(&self.council, self.threshold)?,
                threshold: self.threshold,
                roles: self.roles(),
                proposals: Map::new_sync(),
                next: 0,
            },
            notices: Notices::default(),
            partners: Partners::default(),
        };
        for (account, balance) in &self.accounts {
            apply::credit(&mut state, *account, *balance)?;
            state.issuance = sum(state.issuance, *balance)?;
        }
        for (_, holder) in &self.roles {
            apply::account(&mut state, *holder);
        }
        for member in &self.council {
            apply::account(&mut state, *member);
        }
        self.add_subnet(&mut state)?;
        Ok(state)
    }

    fn roles(&self) -> Map<Role, Set<AccountId>> {
        let mut roles: Map<Role, Set<AccountId>> = Map::new_sync();
        for (role, holder) in &self.roles {
            let mut holders = roles.get(role).cloned().unwrap_or_else(Set::new_sync);
            holders.insert_mut(*holder);
            roles.insert_mut(*role, holders);
        }
        roles
    }

    fn add_subnet(&self, state: &mut State) -> Result<(), LedgerError> {
        let terms = &self.subnet;
        hotkeys::own(state, terms.owner, terms.owner_hotkey)?;
        let pool = Pool::new(terms.alpha.0, terms.tao.0, crate::pool::DEFAULT_QUOTE)?;
        state.issuance = sum(state.issuance, terms.tao)?;
        let subnet = hotkeys::new_subnet(state, pool, terms.tao, terms.owner, terms.owner_hotkey);
        state.subnets.insert_mut(RUN, subnet);
        for given in &terms.stakes {
            if state.owner_of(&given.hotkey).is_none() {
                hotkeys::own(state, given.coldkey, given.hotkey)?;
            }
            stake::deposit(state, RUN, given.hotkey, given.coldkey, given.alpha)?;
            if let Some(subnet) = state.subnets.get_mut(&RUN) {
                let out = subnet.alpha_out.checked_add(given.alpha);
                subnet.alpha_out = out.ok_or(LedgerError::Overflow)?;
                subnet.neurons.insert_mut(given.hotkey);
            }
            if state.is_insider(&given.coldkey) {
                let known = state
                    .subnets
                    .get(&RUN)
                    .and_then(|s| s.lock(&given.coldkey, 0));
                let rules = &state.rules;
                let fresh = || Lock::new(terms.owner_hotkey, LockMode::Perpetual, rules, 0);
                let mut lock = known.unwrap_or_else(fresh);
                let mass = lock.mass.checked_add(given.alpha);
                lock.mass = mass.ok_or(LedgerError::Overflow)?;
                locks::store(state, RUN, given.coldkey, lock)?;
            }
        }
        Ok(())
    }
}

fn sum(a: Rao, b: Rao) -> Result<Rao, LedgerError> {
    a.checked_add(b).ok_or(LedgerError::Overflow)
}
