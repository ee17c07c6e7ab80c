//! Why an action is refused. Names that the chain has are the chain's (economics sections 1.4 and 2.3);
//! a refused action changes nothing.

use covey_protocol::PartnerId;
use thiserror::Error;

use crate::{account::AccountId, pool::PoolError, units::NetUid};

/// A refusal. [`name`](LedgerError::name) is what crosses the network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "every variant's message says what it is")]
pub enum LedgerError {
    // Signatures and replay.
    #[error("the signature does not fit the message and the account")]
    BadSignature,
    #[error("the action is for another run")]
    WrongChain,
    #[error("the account's next nonce is {expected}, not {got}: reload and sign again")]
    BadNonce { expected: u64, got: u64 },
    #[error("the action expired at height {0}: sign it again")]
    Expired(u64),
    #[error("an action may live at most {0} blocks")]
    LifetimeTooLong(u64),
    #[error("the account {0} has nothing in this ledger yet")]
    UnknownAccount(AccountId),
    #[error("the session authorisation is not valid: {0}")]
    BadSession(String),

    // Amounts.
    #[error("the amount is below the minimum")]
    AmountTooLow,
    #[error("the amounts add up to more than the ledger can hold")]
    Overflow,
    #[error("the balance is too small")]
    NotEnoughBalanceToStake,
    #[error("the stake on this manager is smaller than that")]
    NotEnoughStakeToWithdraw,
    #[error("part of that is locked or unlocking and cannot leave yet")]
    StakeUnavailable,

    // Pools.
    #[error("the pool is too small for that")]
    InsufficientLiquidity,
    #[error("the price already is past the limit")]
    PriceLimitExceeded,
    #[error("the whole amount cannot be traded within the limit")]
    SlippageTooHigh,

    // Keys and subnets.
    #[error("subnet {0} does not exist")]
    SubnetNotExists(NetUid),
    #[error("no manager has the hotkey {0}")]
    HotKeyAccountNotExists(AccountId),
    #[error("the hotkey is not registered on this subnet")]
    HotKeyNotRegisteredInSubNet,
    #[error("the hotkey belongs to another coldkey")]
    NonAssociatedColdKey,
    #[error("the hotkey is registered on this subnet already")]
    HotKeyAlreadyRegisteredInSubNet,
    #[error("there is no room for another subnet")]
    SubnetLimitReached,
    #[error("origin and destination are the same")]
    SameDestination,

    // Locks.
    #[error("the lock is on another hotkey: move it first")]
    LockHotkeyMismatch,
    #[error("the stake on this subnet is smaller than the lock would be")]
    InsufficientStakeForLock,
    #[error("there is no lock to do that with")]
    NoExistingLock,
    #[error("the receiving account has a lock of its own")]
    ActiveLockExists,
    #[error("more than the lock's mass cannot be unlocked")]
    UnlockAmountTooHigh,
    #[error("too many unlock requests are pending: wait for one to end")]
    TooManyUnlocks,
    #[error("the receiving account does not accept locked alpha")]
    AccountRejectsLockedAlpha,
    #[error(
        "the owner's and role holders' locks do not decay: request an unlock, which is announced"
    )]
    InsiderLockMustBeAnnounced,

    // Take.
    #[error("the take is above the maximum")]
    DelegateTakeTooHigh,
    #[error("the take would not change in that direction")]
    DelegateTakeTooLow,
    #[error("the take was raised a short time ago")]
    DelegateTxRateLimitExceeded,

    // Partners.
    #[error("a revenue share is at most {0} of 65535")]
    RevenueShareTooHigh(u16),
    #[error("the partner {0} is suspended already")]
    PartnerSuspended(PartnerId),
    #[error("the partner {0} is not suspended")]
    PartnerNotSuspended(PartnerId),
    #[error("more partners than {0} cannot be suspended at once")]
    TooManySuspended(usize),

    // Coldkey swaps.
    #[error("no coldkey swap was announced")]
    ColdkeySwapNotAnnounced,
    #[error("a coldkey swap is announced already")]
    ColdkeySwapAnnounced,
    #[error("the announced delay is not over: first possible at height {0}")]
    ColdkeySwapTooEarly(u64),
    #[error("the new coldkey is not the one that was announced")]
    AnnouncedColdkeyHashDoesNotMatch,

    // Validators.
    #[error("weights name at most {0} hotkeys, each once, in ascending order")]
    MalformedWeights(usize),

    // Governance.
    #[error("only a council key can do that")]
    NotACouncilKey,
    #[error("there is no such open proposal")]
    NoSuchProposal,
    #[error("this key has approved already")]
    AlreadyApproved,
    #[error("the account does not hold this role")]
    NoSuchRole,
    #[error("the change is not possible: {0}")]
    UnfitChange(&'static str),

    // The clock and the journal.
    #[error("height {got} is before the last entry's {last}")]
    HeightInThePast { last: u64, got: u64 },
    #[error("the epoch at height {0} must be recorded first")]
    EpochDue(u64),
    #[error("no epoch is due at this height")]
    EpochNotDue,
    #[error("the state's hash is not the recorded one")]
    StateHashMismatch,
    #[error("the clock of this run cannot be moved")]
    NotADevelopmentRun,
}

impl LedgerError {
    /// The variant's name, as the chain and the wallet know it.
    #[must_use]
    pub fn name(&self) -> String {
        let debug = format!("{self:?}");
        let end = debug.find(|c: char| !c.is_alphanumeric());
        debug[..end.unwrap_or(debug.len())].to_owned()
    }
}

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::PriceLimitExceeded => Self::PriceLimitExceeded,
            _ => Self::InsufficientLiquidity,
        }
    }
}
