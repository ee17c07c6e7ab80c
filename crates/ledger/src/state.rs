//! Everything the ledger knows, as one value.
//!
//! State is a function of the journal: two replays of the same entries give equal states and equal
//! hashes. It is made of ordered, persistent maps, so a copy is cheap and its bytes are the same
//! everywhere. Nothing here is a rule; rules are in [`apply`](crate::apply), [`epoch`](crate::epoch) and
//! [`governance`](crate::governance).

use covey_protocol::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    emission::EpochReport,
    fixed::{U64F64, bits},
    governance::Governance,
    lock::{Lock, LockMode},
    map::{Map, Set},
    notice::Notices,
    params::{Rules, Schedule},
    partner::{self, Partners},
    pool::Pool,
    shares::SharePool,
    units::{Alpha, Height, NetUid, Rao},
};

/// The ledger at one height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The run; part of every signed action.
    pub chain: Hash,
    /// Whether the operator may move the clock.
    pub development: bool,
    /// Unix time of height 0 in milliseconds.
    pub started_ms: u64,
    /// Fixed for ever.
    pub schedule: Schedule,
    /// Changed by governance only.
    pub rules: Rules,
    /// Height of the last entry.
    pub height: Height,
    /// Height of the last epoch.
    pub epoch: Height,
    /// TAO in existence: what was given at genesis and emitted, less what was recycled.
    pub issuance: Rao,
    /// TAO taken out of existence by fees and registrations.
    pub recycled: Rao,
    pub accounts: Map<AccountId, Account>,
    pub hotkeys: Map<AccountId, Hotkey>,
    pub subnets: Map<NetUid, Subnet>,
    /// Session keys that may sign work for a coldkey.
    pub sessions: Map<AccountId, Session>,
    pub governance: Governance,
    pub notices: Notices,
    /// Last, and not written while it is empty: states from before there were partners keep their hashes.
    #[serde(
        default,
        skip_serializing_if = "Partners::is_empty",
        deserialize_with = "partner::or_none"
    )]
    pub partners: Partners,
}

/// A coldkey.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// TAO that is not staked.
    pub balance: Rao,
    /// The next action's nonce.
    pub nonce: u64,
    /// Whether it accepts locked alpha from others (`AccountFlags` bit 0).
    pub accepts_locked: bool,
    /// An announced coldkey swap.
    pub swap: Option<AnnouncedSwap>,
    /// Alpha earned at the last epochs, newest last.
    pub earnings: Vec<Earning>,
}

/// Epochs of earnings an account remembers.
pub const EARNINGS: usize = 96;

/// What an account earned in one epoch of one subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earning {
    pub height: Height,
    pub netuid: NetUid,
    /// For contributing, with its own hotkeys, and what others share of that with it.
    pub incentive: Alpha,
    /// For validating and for stake on validators.
    pub dividends: Alpha,
    /// For owning the subnet.
    pub owner_cut: Alpha,
}

/// An announced coldkey swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedSwap {
    /// BLAKE3 of the new coldkey's 32 bytes.
    pub new_coldkey_hash: Hash,
    /// First height at which it can be carried out.
    pub ready: Height,
    /// The notice that shows it.
    pub notice: u64,
}

/// A manager of stake: a validator or a contributor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hotkey {
    /// Who owns it.
    pub coldkey: AccountId,
    /// Its part of its stakers' dividends, of 65535.
    pub take: u16,
    /// When the take was last raised.
    pub take_raised: Option<Height>,
}

/// An authorised session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub coldkey: AccountId,
    /// Unix time in milliseconds; a later authorisation replaces an earlier one.
    pub issued_at_ms: u64,
    /// Unix time in milliseconds. The gateway holds tabs to it; the ledger has no clock.
    pub expires_at_ms: u64,
}

/// One subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub pool: Pool,
    pub registered: Height,
    /// What its registration cost.
    pub cost: Rao,
    pub owner: AccountId,
    pub owner_hotkey: AccountId,
    /// Alpha outside the pool.
    pub alpha_out: Alpha,
    /// Of that, what the protocol bought.
    pub protocol_alpha: Alpha,
    /// Of that, what nobody can spend any more.
    pub alpha_burned: Alpha,
    /// Of that, emission that could not be divided yet.
    pub pending: Alpha,
    /// Moving average of the price, which divides TAO emission between subnets.
    #[serde(with = "bits")]
    pub price_average: U64F64,
    /// Hotkeys registered here.
    pub neurons: Set<AccountId>,
    /// Price of the next registration and when it was last set.
    pub burn: (Rao, Height),
    /// Stake by hotkey.
    pub stakes: Map<AccountId, SharePool>,
    /// What people chose for the locks they do not have yet: true is perpetual.
    pub lock_choice: Map<AccountId, bool>,
    /// At most one lock per coldkey.
    pub locks: Map<AccountId, Lock>,
    /// Validators' weights.
    pub weights: Map<AccountId, Weights>,
    /// Validators' bonds in contributors after the last epoch, as 64.64 bits.
    pub bonds: Map<AccountId, Vec<(AccountId, u128)>>,
    /// A challenger above the gate.
    pub takeover: Option<Takeover>,
    /// The last epoch's division.
    pub report: Option<EpochReport>,
}

/// What a validator thinks of contributors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    pub set: Height,
    /// By hotkey, ascending, each at most once.
    pub targets: Vec<(AccountId, u16)>,
}

/// A challenger that passed the gate and must stay above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    pub king: AccountId,
    pub since: Height,
    /// First epoch height at which ownership changes.
    pub ready: Height,
    pub notice: u64,
}

impl State {
    /// The state's hash: of its snapshot bytes.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("covey ledger state v1");
        hasher.update(&self.to_bytes());
        Hash(*hasher.finalize().as_bytes())
    }

    /// The state's snapshot bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Fails only for maps whose length is not known before they are written; ours is.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Whether an account's stake may leave only by notice: the owner's and role holders'.
    #[must_use]
    pub fn is_insider(&self, coldkey: &AccountId) -> bool {
        self.governance.holds_any_role(coldkey)
            || self.subnets.values().any(|subnet| subnet.owner == *coldkey)
    }

    /// The coldkey that owns a hotkey.
    #[must_use]
    pub fn owner_of(&self, hotkey: &AccountId) -> Option<AccountId> {
        self.hotkeys.get(hotkey).map(|hotkey| hotkey.coldkey)
    }

    /// The mode a new lock of this coldkey gets. Insiders' never decay by themselves.
    #[must_use]
    pub fn default_lock_mode(&self, subnet: &Subnet, coldkey: &AccountId) -> LockMode {
        let chosen = subnet.lock_choice.get(coldkey).copied();
        let perpetual = chosen.unwrap_or(!self.rules.new_locks_decay);
        if perpetual || self.is_insider(coldkey) {
            LockMode::Perpetual
        } else {
            LockMode::Decaying
        }
    }
}

impl Subnet {
    /// Alpha that counts for the ownership gate (section 1.6).
    #[must_use]
    pub fn eligible(&self) -> Alpha {
        self.alpha_out
            .saturating_sub(self.protocol_alpha)
            .saturating_sub(self.alpha_burned)
    }

    /// Everything a coldkey has staked here, over all hotkeys.
    #[must_use]
    pub fn total_stake(&self, coldkey: &AccountId) -> Alpha {
        let stakes = self.stakes.values().map(|pool| pool.stake(coldkey).0);
        Alpha(stakes.fold(0, u64::saturating_add))
    }

    /// A coldkey's stake on one hotkey.
    #[must_use]
    pub fn stake(&self, hotkey: &AccountId, coldkey: &AccountId) -> Alpha {
        let pool = self.stakes.get(hotkey);
        pool.map_or(Alpha::ZERO, |pool| pool.stake(coldkey))
    }

    /// A coldkey's lock, rolled to `now`.
    #[must_use]
    pub fn lock(&self, coldkey: &AccountId, now: Height) -> Option<Lock> {
        let lock = self.locks.get(coldkey)?;
        Some(lock.at(now, lock.hotkey == self.owner_hotkey))
    }

    /// What a coldkey can sell or take elsewhere: total less locked and unlocking (section 1.5).
    #[must_use]
    pub fn available(&self, coldkey: &AccountId, now: Height) -> Alpha {
        let bound = self.lock(coldkey, now).map(|lock| lock.bound(now));
        self.total_stake(coldkey)
            .saturating_sub(bound.unwrap_or_default())
    }

    /// A hotkey's conviction: the sum over the locks that name it.
    #[must_use]
    pub fn conviction(&self, hotkey: &AccountId, now: Height) -> U64F64 {
        let owner = *hotkey == self.owner_hotkey;
        self.locks
            .values()
            .filter(|lock| lock.hotkey == *hotkey)
            .map(|lock| lock.at(now, owner).conviction)
            .fold(U64F64::ZERO, U64F64::saturating_add)
    }

    /// Conviction of every hotkey that has any, in one pass.
    #[must_use]
    pub fn convictions(&self, now: Height) -> std::collections::BTreeMap<AccountId, U64F64> {
        let mut all = std::collections::BTreeMap::new();
        for lock in self.locks.values() {
            let conviction = lock.at(now, lock.hotkey == self.owner_hotkey).conviction;
            let sum: &mut U64F64 = all.entry(lock.hotkey).or_default();
            *sum = sum.saturating_add(conviction);
        }
        all
    }
}
