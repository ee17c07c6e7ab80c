//! What happened: events under the chain's names where it has them (economics section 1.4). Events are
//! derived when an entry is applied; they are shown, never stored as truth.

use covey_protocol::{Hash, PartnerId};
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountId,
    governance::Effect,
    units::{Alpha, Height, NetUid, Rao},
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    StakeAdded {
        coldkey: AccountId,
        hotkey: AccountId,
        netuid: NetUid,
        tao: Rao,
        alpha: Alpha,
        fee: Rao,
    },
    StakeRemoved {
        coldkey: AccountId,
        hotkey: AccountId,
        netuid: NetUid,
        tao: Rao,
        alpha: Alpha,
        fee: Alpha,
    },
    StakeMoved {
        coldkey: AccountId,
        origin_hotkey: AccountId,
        origin_netuid: NetUid,
        destination_hotkey: AccountId,
        destination_netuid: NetUid,
        alpha: Alpha,
    },
    StakeTransferred {
        origin_coldkey: AccountId,
        destination_coldkey: AccountId,
        hotkey: AccountId,
        netuid: NetUid,
        alpha: Alpha,
        /// Of that, locked alpha that took its conviction along.
        locked: Alpha,
    },
    Transfer {
        from: AccountId,
        to: AccountId,
        amount: Rao,
    },
    StakeLocked {
        coldkey: AccountId,
        hotkey: AccountId,
        netuid: NetUid,
        amount: Alpha,
    },
    LockMoved {
        coldkey: AccountId,
        origin_hotkey: AccountId,
        destination_hotkey: AccountId,
        netuid: NetUid,
    },
    PerpetualLockUpdated {
        coldkey: AccountId,
        netuid: NetUid,
        enabled: bool,
        from: Height,
    },
    RejectLockedAlphaUpdated {
        coldkey: AccountId,
        enabled: bool,
    },
    StakeUnlocked {
        coldkey: AccountId,
        hotkey: AccountId,
        netuid: NetUid,
        amount: Alpha,
        cliff: Height,
        end: Height,
    },
    /// From now on a part of what `coldkey` earns by contributing goes to `partner`.
    RevenueShareSet {
        netuid: NetUid,
        coldkey: AccountId,
        partner: Option<AccountId>,
        share: u16,
    },
    /// What that part was in one epoch, of what one hotkey earned.
    RevenueShared {
        netuid: NetUid,
        hotkey: AccountId,
        coldkey: AccountId,
        partner: AccountId,
        amount: Alpha,
    },
    /// The operator no longer credits a partner, or does so again.
    PartnershipChanged {
        partner: PartnerId,
        suspended: bool,
    },
    NeuronRegistered {
        netuid: NetUid,
        hotkey: AccountId,
        coldkey: AccountId,
        burned: Rao,
    },
    NetworkAdded {
        netuid: NetUid,
        owner: AccountId,
        cost: Rao,
    },
    TakeIncreased {
        coldkey: AccountId,
        hotkey: AccountId,
        take: u16,
    },
    TakeDecreased {
        coldkey: AccountId,
        hotkey: AccountId,
        take: u16,
    },
    ColdkeySwapAnnounced {
        coldkey: AccountId,
        new_coldkey_hash: Hash,
        ready: Height,
    },
    ColdkeySwapCancelled {
        coldkey: AccountId,
    },
    ColdkeySwapped {
        old_coldkey: AccountId,
        new_coldkey: AccountId,
    },
    /// A session key works for a coldkey; what the key had earned on its own went along.
    SessionAuthorised {
        session_key: AccountId,
        coldkey: AccountId,
        expires_at_ms: u64,
        alpha: Alpha,
    },
    WeightsSet {
        netuid: NetUid,
        hotkey: AccountId,
    },
    EpochPaid {
        netuid: NetUid,
        height: Height,
        owner_cut: Alpha,
        incentive: Alpha,
        dividends: Alpha,
        tao: Rao,
    },
    TakeoverAnnounced {
        netuid: NetUid,
        king: AccountId,
        ready: Height,
    },
    TakeoverVoid {
        netuid: NetUid,
        king: AccountId,
    },
    SubnetOwnerChanged {
        netuid: NetUid,
        old_coldkey: AccountId,
        new_coldkey: AccountId,
    },
    Proposed {
        proposal: u64,
        effect: Effect,
        by: AccountId,
    },
    Approved {
        proposal: u64,
        by: AccountId,
    },
    ApprovalWithdrawn {
        proposal: u64,
        by: AccountId,
    },
    ProposalReady {
        proposal: u64,
        earliest: Height,
    },
    Executed {
        proposal: u64,
        effect: Effect,
    },
    ProposalVoid {
        proposal: u64,
    },
    RoleResigned {
        role: crate::governance::Role,
        holder: AccountId,
    },
}
