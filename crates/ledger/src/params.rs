//! What a run decides before its first block, and which of it can change later.
//!
//! Two kinds, and the difference is the point. A [`Schedule`] is fixed for ever: what is emitted, how it
//! is divided, and how old a subnet must be before its ownership can be contested. No action reaches it,
//! so emission cannot be paused or redirected (economics section 4.2). [`Rules`] can change, each change
//! under notice and by several keys, and never for a lock that already exists.

use serde::{Deserialize, Serialize};

use crate::{
    conviction::{ONE_YEAR, Rates},
    units::{Alpha, Height, Rao, UNIT},
    yuma,
};

/// 18 % of 65535: the owner's cut and the highest take.
pub const EIGHTEEN_PERCENT: u16 = 11_796;

/// Most of what somebody earns that a revenue share can give away, of 65535: just below half. It is no
/// rule that anybody could change.
pub const MAX_REVENUE_SHARE: u16 = 32_767;

/// Fixed at genesis for the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Seconds a block stands for.
    pub block_seconds: u32,
    /// Blocks per epoch.
    pub tempo: u64,
    /// TAO per block before the first halving.
    pub tao_per_block: Rao,
    /// Alpha per block and subnet before its first halving.
    pub alpha_per_block: Alpha,
    /// The limit both curves halve towards, in base units.
    #[serde(with = "crate::units::base_units")]
    pub supply_limit: u64,
    /// The owner's cut of a subnet's alpha, of 65535.
    pub owner_cut: u16,
    /// How validators' weights become incentive and dividends (section 3).
    pub yuma: yuma::Params,
    /// Validators whose weights count: the largest by stake.
    pub validators: u16,
    /// Blocks after which a validator's weights are too old to count.
    pub activity_cutoff: u64,
    /// Age in blocks from which a subnet's ownership follows conviction (section 1.6).
    pub ownership_age: u64,
    /// Governance can set no notice, cliff or delay below this many blocks.
    pub least_notice: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            block_seconds: 12,
            tempo: 360,
            tao_per_block: Rao(UNIT),
            alpha_per_block: Alpha(UNIT),
            supply_limit: 21_000_000 * UNIT,
            owner_cut: EIGHTEEN_PERCENT,
            yuma: yuma::Params::default(),
            validators: 64,
            activity_cutoff: 5000,
            ownership_age: ONE_YEAR,
            least_notice: DAY,
        }
    }
}

/// What governance can change, under notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Time constants that new locks get.
    pub lock_rates: Rates,
    /// Whether new locks of people who are not insiders decay. Insiders' never do.
    pub new_locks_decay: bool,
    /// Blocks between an announced exit (an unlock request, a change to decaying) and its first effect.
    pub unlock_cliff: u64,
    /// Blocks over which a requested unlock is released after its cliff.
    pub unlock_release: u64,
    /// Blocks a challenger must stay above the gate before it owns the subnet.
    pub takeover_notice: u64,
    /// Blocks between enough approvals of a privileged change and its effect.
    pub governance_notice: u64,
    /// Blocks after which a proposal without enough approvals is void.
    pub proposal_lifetime: u64,
    /// Smallest stake, unstake or move.
    pub min_stake: Rao,
    /// Highest take, of 65535.
    pub max_take: u16,
    /// Blocks between two raises of a take.
    pub take_raise_interval: u64,
    /// Blocks between the announcement of a coldkey swap and the swap.
    pub coldkey_swap_delay: u64,
    /// Bounds of the price of a hotkey's registration, which the state moves between.
    pub registration_burn: (Rao, Rao),
    /// Least cost of a new subnet.
    pub subnet_cost: Rao,
    /// Longest life of a signed action in blocks.
    pub max_action_lifetime: u64,
}

const DAY: Height = 7200;

impl Default for Rules {
    fn default() -> Self {
        Self {
            lock_rates: Rates::default(),
            new_locks_decay: false,
            unlock_cliff: 14 * DAY,
            unlock_release: 30 * DAY,
            takeover_notice: 7 * DAY,
            governance_notice: 7 * DAY,
            proposal_lifetime: 30 * DAY,
            min_stake: Rao(2_000_000),
            max_take: EIGHTEEN_PERCENT,
            take_raise_interval: 216_000,
            coldkey_swap_delay: 5 * DAY,
            registration_burn: (Rao(500_000), Rao(100 * UNIT)),
            subnet_cost: Rao(1000 * UNIT),
            max_action_lifetime: DAY,
        }
    }
}
