//! The calls a wallet signs: `SubtensorModule`'s, with their numbers and arguments in the chain's
//! order (economics spec, sections 1.4 and 2.3).
//!
//! Names are the chain's. Amounts are rao, or the same fraction of alpha, and can exceed 2^53: in a
//! page they are BigInts, never plain numbers.

use blake2::{Blake2b256, Digest};
use covey_ledger::AccountId;
use serde::{Deserialize, Serialize};

/// Index of `SubtensorModule` in the runtime.
const PALLET: u8 = 7;

/// One action. The JSON form is that of the chain's tools: `{"call": "SubtensorModule.lock_stake",
/// "params": {"hotkey": "5…", "netuid": 3, "amount": 1}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", content = "params", deny_unknown_fields)]
pub enum Call {
    /// Buys alpha for TAO at any price. Amount in rao of TAO.
    #[serde(rename = "SubtensorModule.add_stake")]
    AddStake {
        hotkey: AccountId,
        netuid: u16,
        amount_staked: u64,
    },
    /// Sells alpha for TAO at any price. Amount in alpha.
    #[serde(rename = "SubtensorModule.remove_stake")]
    RemoveStake {
        hotkey: AccountId,
        netuid: u16,
        amount_unstaked: u64,
    },
    /// Registers a hotkey on a subnet for its burn price.
    #[serde(rename = "SubtensorModule.burned_register")]
    BurnedRegister { netuid: u16, hotkey: AccountId },
    /// Moves stake to another hotkey; within one subnet without a swap or a fee.
    #[serde(rename = "SubtensorModule.move_stake")]
    MoveStake {
        origin_hotkey: AccountId,
        destination_hotkey: AccountId,
        origin_netuid: u16,
        destination_netuid: u16,
        alpha_amount: u64,
    },
    /// Swaps one subnet's alpha for another's at the same hotkey, at any price.
    #[serde(rename = "SubtensorModule.swap_stake")]
    SwapStake {
        hotkey: AccountId,
        origin_netuid: u16,
        destination_netuid: u16,
        alpha_amount: u64,
    },
    /// Creates or adds to a lock. There is no unlock: a lock that is not perpetual decays.
    #[serde(rename = "SubtensorModule.lock_stake")]
    LockStake {
        hotkey: AccountId,
        netuid: u16,
        amount: u64,
    },
    /// Whether the signer's lock on a subnet keeps its mass or decays.
    #[serde(rename = "SubtensorModule.set_perpetual_lock")]
    SetPerpetualLock { netuid: u16, enabled: bool },
    /// Whether the signer refuses locked alpha; `false` opts in to receive it.
    #[serde(rename = "SubtensorModule.set_reject_locked_alpha")]
    SetRejectLockedAlpha { enabled: bool },
}

impl Call {
    /// The call's number within the pallet.
    pub fn index(&self) -> u8 {
        match self {
            Self::AddStake { .. } => 2,
            Self::RemoveStake { .. } => 3,
            Self::BurnedRegister { .. } => 7,
            Self::MoveStake { .. } => 85,
            Self::SwapStake { .. } => 87,
            Self::LockStake { .. } => 136,
            Self::SetPerpetualLock { .. } => 138,
            Self::SetRejectLockedAlpha { .. } => 142,
        }
    }

    /// SCALE bytes: pallet, call, arguments.
    pub fn encode(&self) -> Vec<u8> {
        let args = Arguments(vec![PALLET, self.index()]);
        match self {
            Self::AddStake {
                hotkey,
                netuid,
                amount_staked: amount,
            }
            | Self::RemoveStake {
                hotkey,
                netuid,
                amount_unstaked: amount,
            }
            | Self::LockStake {
                hotkey,
                netuid,
                amount,
            } => args.account(hotkey).netuid(*netuid).amount(*amount),
            Self::BurnedRegister { netuid, hotkey } => args.netuid(*netuid).account(hotkey),
            Self::MoveStake {
                origin_hotkey,
                destination_hotkey,
                origin_netuid,
                destination_netuid,
                alpha_amount,
            } => args
                .account(origin_hotkey)
                .account(destination_hotkey)
                .netuid(*origin_netuid)
                .netuid(*destination_netuid)
                .amount(*alpha_amount),
            Self::SwapStake {
                hotkey,
                origin_netuid,
                destination_netuid,
                alpha_amount,
            } => args
                .account(hotkey)
                .netuid(*origin_netuid)
                .netuid(*destination_netuid)
                .amount(*alpha_amount),
            Self::SetPerpetualLock { netuid, enabled } => args.netuid(*netuid).flag(*enabled),
            Self::SetRejectLockedAlpha { enabled } => args.flag(*enabled),
        }
        .0
    }

    /// BLAKE2b-256 of the bytes: what a multisig or a proxy announcement names the call by.
    pub fn hash(&self) -> [u8; 32] {
        Blake2b256::digest(self.encode()).into()
    }
}

/// Arguments written one after the other, each in its fixed width.
struct Arguments(Vec<u8>);

impl Arguments {
    fn account(mut self, account: &AccountId) -> Self {
        self.0.extend_from_slice(&account.0);
        self
    }

    fn netuid(mut self, netuid: u16) -> Self {
        self.0.extend_from_slice(&netuid.to_le_bytes());
        self
    }

    fn amount(mut self, amount: u64) -> Self {
        self.0.extend_from_slice(&amount.to_le_bytes());
        self
    }

    fn flag(mut self, flag: bool) -> Self {
        self.0.push(u8::from(flag));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_an_unknown_name_or_argument_is_refused() {
        let read = |text: &str| serde_json::from_str::<Call>(text);
        let good =
            r#"{"call":"SubtensorModule.set_reject_locked_alpha","params":{"enabled":false}}"#;
        assert_eq!(
            read(good).unwrap(),
            Call::SetRejectLockedAlpha { enabled: false }
        );
        for (from, to) in [
            ("set_reject_locked_alpha", "unlock_stake"),
            ("enabled\":false", "enabled\":false,\"netuid\":3"),
            ("false", "0"),
            ("\"enabled\":false", ""),
        ] {
            assert!(read(&good.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn the_largest_amount_survives_json() {
        let call = Call::LockStake {
            hotkey: AccountId([9; 32]),
            netuid: u16::MAX,
            amount: u64::MAX,
        };
        let json = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<Call>(&json).unwrap(), call);
        assert!(call.encode().ends_with(&[0xff; 10]));
    }
}
