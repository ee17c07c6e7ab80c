//! What an account can ask for: Subtensor's calls under their names and argument names (economics
//! sections 1.4 and 2.3), and Covey's own for what the chain lacks.
//!
//! What is signed is the canonical JSON of an [`Action`], wrapped as wallets' `signRaw` wraps it, so it
//! can never be an extrinsic of a chain. It names the run, the account, its nonce and the last height at
//! which it is good: it cannot be replayed in another run, by another account, twice, or later.

use covey_protocol::{Hash, Identity, SignatureBytes};
use serde::{Deserialize, Serialize};

use crate::{
    account::{AccountId, KeyType},
    error::LedgerError,
    governance::{Effect, Role},
    signing::{
        self,
        canonical::{self, CanonicalError},
        keys::Keypair,
    },
    units::{Alpha, Height, NetUid, Rao},
};

/// The word every signed action begins with, so that people see what they sign for.
pub const APP: &str = "covey";

/// Most hotkeys one `set_weights` can name.
pub const MAX_WEIGHTS: usize = 1024;

/// A call with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    tag = "call",
    content = "args",
    deny_unknown_fields
)]
pub enum Call {
    // Staking (section 2.3).
    /// Buys alpha with TAO and stakes it on a hotkey, at whatever price.
    AddStake {
        hotkey: AccountId,
        netuid: NetUid,
        amount_staked: Rao,
    },
    /// Sells staked alpha for TAO, at whatever price.
    RemoveStake {
        hotkey: AccountId,
        netuid: NetUid,
        amount_unstaked: Alpha,
    },
    /// [`Call::AddStake`] up to a price in rao per alpha; all or nothing unless partial.
    AddStakeLimit {
        hotkey: AccountId,
        netuid: NetUid,
        amount_staked: Rao,
        limit_price: Rao,
        allow_partial: bool,
    },
    /// [`Call::RemoveStake`] down to a price in rao per alpha; all or nothing unless partial.
    RemoveStakeLimit {
        hotkey: AccountId,
        netuid: NetUid,
        amount_unstaked: Alpha,
        limit_price: Rao,
        allow_partial: bool,
    },
    /// Sells everything on one hotkey, if the price stays above the limit.
    RemoveStakeFullLimit {
        hotkey: AccountId,
        netuid: NetUid,
        limit_price: Option<Rao>,
    },
    /// Changes the manager. Inside a subnet nothing is traded and nothing is charged.
    MoveStake {
        origin_hotkey: AccountId,
        destination_hotkey: AccountId,
        origin_netuid: NetUid,
        destination_netuid: NetUid,
        alpha_amount: Alpha,
    },
    /// Takes stake to another subnet under the same hotkey.
    SwapStake {
        hotkey: AccountId,
        origin_netuid: NetUid,
        destination_netuid: NetUid,
        alpha_amount: Alpha,
    },
    /// [`Call::SwapStake`] with a limit: destination alpha per origin alpha, in billionths.
    SwapStakeLimit {
        hotkey: AccountId,
        origin_netuid: NetUid,
        destination_netuid: NetUid,
        alpha_amount: Alpha,
        limit_price: Rao,
        allow_partial: bool,
    },
    /// Gives stake to another coldkey.
    TransferStake {
        destination_coldkey: AccountId,
        hotkey: AccountId,
        origin_netuid: NetUid,
        destination_netuid: NetUid,
        alpha_amount: Alpha,
    },
    /// Sells everything that is available under a hotkey, on every subnet.
    UnstakeAll { hotkey: AccountId },
    /// Gives TAO to another account (`Balances.transfer_keep_alive`).
    TransferKeepAlive { dest: AccountId, value: Rao },

    // Locks (section 1.4).
    /// Locks alpha to a hotkey, or adds to the lock.
    LockStake {
        hotkey: AccountId,
        netuid: NetUid,
        amount: Alpha,
    },
    /// Takes the whole lock to another hotkey.
    MoveLock {
        destination_hotkey: AccountId,
        netuid: NetUid,
    },
    /// Switches between a lock that stays and one that decays; a change to decaying is announced.
    SetPerpetualLock { netuid: NetUid, enabled: bool },
    /// Whether to refuse locked alpha from others.
    SetRejectLockedAlpha { enabled: bool },
    /// Asks for locked alpha back: conviction falls at once, the alpha follows after the cliff
    /// (section 1.8, with the cliff of 4.2).
    UnlockStake { netuid: NetUid, amount: Alpha },

    // Partners.
    /// Gives a part of what the signer earns by contributing, of 65535, to a partner's account from the
    /// next epoch on; nobody or nothing ends that.
    SetRevenueShare {
        netuid: NetUid,
        partner: Option<AccountId>,
        share: u16,
    },

    // Keys.
    /// Registers a hotkey on a subnet for the current burn, making it the signer's if it is new.
    BurnedRegister { netuid: NetUid, hotkey: AccountId },
    /// Registers a subnet that the hotkey's coldkey, the signer, will own.
    RegisterNetwork { hotkey: AccountId },
    /// Raises a hotkey's take.
    IncreaseTake { hotkey: AccountId, take: u16 },
    /// Lowers a hotkey's take.
    DecreaseTake { hotkey: AccountId, take: u16 },
    /// Announces that everything will move to the coldkey with this hash.
    AnnounceColdkeySwap { new_coldkey_hash: Hash },
    /// Takes an announcement back.
    CancelColdkeySwap {},
    /// Carries an announced swap out.
    SwapColdkeyAnnounced { new_coldkey: AccountId },

    // Validating.
    /// A validator's judgement, signed by its hotkey.
    SetWeights {
        netuid: NetUid,
        weights: Vec<(AccountId, u16)>,
    },

    // Governance (section 4.2).
    /// Proposes a privileged change; the proposer's key counts as the first approval.
    Propose { effect: Effect, reason: Hash },
    /// Approves a proposal.
    Approve { proposal: u64 },
    /// Takes an approval back.
    WithdrawApproval { proposal: u64 },
    /// Gives up a role.
    ResignRole { role: Role },
}

/// What an account signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Always [`APP`].
    pub app: String,
    /// The run.
    pub chain: Hash,
    pub account: AccountId,
    /// The account's next nonce.
    pub nonce: u64,
    /// Last height at which the action is good.
    pub expires: Height,
    #[serde(flatten)]
    pub call: Call,
}

impl Action {
    /// The bytes that a wallet is asked to sign, before its wrapper.
    ///
    /// # Errors
    /// When a number in it cannot be written exactly.
    pub fn message(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::canonical_of(self)
    }
}

/// An action with its account's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAction {
    pub action: Action,
    /// The curve the account's key is on.
    pub key: KeyType,
    /// Over the wrapped message.
    pub signature: SignatureBytes,
}

impl SignedAction {
    /// A validator's judgement, signed with its own key: the one action that a hotkey signs for itself,
    /// and one that moves nothing. `weights` are ascending by account, at most [`MAX_WEIGHTS`].
    ///
    /// # Errors
    /// When a number in it cannot be written exactly.
    pub fn set_weights(
        identity: &Identity,
        chain: Hash,
        nonce: u64,
        expires: Height,
        netuid: NetUid,
        weights: Vec<(AccountId, u16)>,
    ) -> Result<Self, CanonicalError> {
        let key = Keypair::from_seed(KeyType::Ed25519, identity.secret());
        let action = Action {
            app: APP.to_owned(),
            chain,
            account: key.account(),
            nonce,
            expires,
            call: Call::SetWeights { netuid, weights },
        };
        Ok(Self {
            key: key.kind(),
            signature: key.sign_raw(&action.message()?),
            action,
        })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn verify(&self) -> Result<(), LedgerError> {
        let refused = LedgerError::BadSignature;
        let message = self.action.message().map_err(|_| refused.clone())?;
        signing::verify(&self.action.account, self.key, &message, &self.signature.0)
            .map_err(|_| refused)
    }
}
