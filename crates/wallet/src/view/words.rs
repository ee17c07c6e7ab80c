//! Words for things: amounts with their unit, accounts in short, lengths of time, and the sentence that
//! says what a call asks for.
//!
//! Short forms of accounts are for reading only. Where an account decides who gets something, the draft
//! shows it whole beside the sentence.

use covey_ledger::{
    AccountId, Alpha, Height, NetUid, Rao,
    call::Call,
    genesis::RUN,
    governance::{Effect, RuleChange},
    state::State,
    units::decimal,
};

use crate::amount;

/// `1.5 TAO`.
pub(crate) fn tao(amount: Rao) -> String {
    format!("{amount} TAO")
}

/// `1.5 alpha`.
pub(crate) fn alpha(amount: Alpha) -> String {
    format!("{amount} alpha")
}

/// `5Grwva…GKutQY`.
pub(crate) fn short(account: &AccountId) -> String {
    let text = account.to_string();
    match (text.get(..6), text.get(text.len().saturating_sub(6)..)) {
        (Some(start), Some(end)) => format!("{start}…{end}"),
        _ => text,
    }
}

/// ` on subnet 2`, or nothing for the run's own.
pub(crate) fn on_subnet(netuid: NetUid) -> String {
    if netuid == RUN {
        String::new()
    } else {
        format!(" on subnet {netuid}")
    }
}

/// `100800 blocks (about 14 days)`.
pub(crate) fn span(state: &State, blocks: u64) -> String {
    let seconds = blocks.saturating_mul(u64::from(state.schedule.block_seconds));
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let blocks_plural = if blocks == 1 { "" } else { "s" };
    format!("{blocks} block{blocks_plural} (about {count} {unit}{plural})")
}

/// `height 100800, in 100800 blocks (about 14 days)`.
pub(crate) fn when(state: &State, height: Height) -> String {
    match height.checked_sub(state.height) {
        None | Some(0) => format!("height {height}"),
        Some(blocks) => format!("height {height}, in {}", span(state, blocks)),
    }
}

/// `18.00 %` of a take in 65535ths, exact to a hundredth of a percent, rounded.
pub(crate) fn percent(of_65535: u16) -> String {
    let hundredths = (u64::from(of_65535) * 10_000 + 32_767) / 65_535;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn limit(word: &str, price: Rao, partial: bool) -> String {
    let part = if partial {
        ", or as much of it as fits"
    } else {
        ""
    };
    format!(", at {word} {}{part}", amount::price(price.0))
}

/// The rate of a swap between subnets, in destination alpha per origin alpha.
fn rate(price: Rao, partial: bool) -> String {
    let part = if partial {
        ", or as much of it as fits"
    } else {
        ""
    };
    let rate = decimal(price.0);
    format!(", for at least {rate} alpha there per alpha here{part}")
}

/// What a call asks for, in one sentence without its full stop.
#[allow(clippy::too_many_lines, reason = "one sentence per call")]
pub(crate) fn call(call: &Call) -> String {
    match call {
        Call::AddStake {
            hotkey,
            netuid,
            amount_staked,
        } => {
            let (amount, hotkey) = (tao(*amount_staked), short(hotkey));
            format!(
                "Stake {amount} on {hotkey}{}, at whatever price",
                on_subnet(*netuid)
            )
        }
        Call::AddStakeLimit {
            hotkey,
            netuid,
            amount_staked,
            limit_price,
            allow_partial,
        } => {
            let (amount, hotkey) = (tao(*amount_staked), short(hotkey));
            let limit = limit("no more than", *limit_price, *allow_partial);
            format!("Stake {amount} on {hotkey}{}{limit}", on_subnet(*netuid))
        }
        Call::RemoveStake {
            hotkey,
            netuid,
            amount_unstaked,
        } => {
            let (amount, hotkey) = (alpha(*amount_unstaked), short(hotkey));
            format!(
                "Sell {amount} from {hotkey}{}, at whatever price",
                on_subnet(*netuid)
            )
        }
        Call::RemoveStakeLimit {
            hotkey,
            netuid,
            amount_unstaked,
            limit_price,
            allow_partial,
        } => {
            let (amount, hotkey) = (alpha(*amount_unstaked), short(hotkey));
            let limit = limit("no less than", *limit_price, *allow_partial);
            format!("Sell {amount} from {hotkey}{}{limit}", on_subnet(*netuid))
        }
        Call::RemoveStakeFullLimit {
            hotkey,
            netuid,
            limit_price,
        } => {
            let limit = match limit_price {
                Some(price) => limit("no less than", *price, false),
                None => ", at whatever price".to_owned(),
            };
            let hotkey = short(hotkey);
            format!(
                "Sell the whole stake on {hotkey}{}{limit}",
                on_subnet(*netuid)
            )
        }
        Call::UnstakeAll { hotkey } => {
            let hotkey = short(hotkey);
            format!("Sell the whole stake on {hotkey}, on every subnet, at whatever price")
        }
        Call::MoveStake {
            origin_hotkey,
            destination_hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => {
            let (from, to) = (short(origin_hotkey), short(destination_hotkey));
            let amount = alpha(*alpha_amount);
            if origin_netuid == destination_netuid {
                let place = on_subnet(*origin_netuid);
                format!("Change the manager of {amount} from {from} to {to}{place}")
            } else {
                format!(
                    "Move {amount} from {from} on subnet {origin_netuid} to {to} on subnet \
                     {destination_netuid}, at whatever price"
                )
            }
        }
        Call::SwapStake {
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => format!(
            "Move {} on {} from subnet {origin_netuid} to subnet {destination_netuid}, at whatever \
             price",
            alpha(*alpha_amount),
            short(hotkey)
        ),
        Call::SwapStakeLimit {
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
            limit_price,
            allow_partial,
        } => format!(
            "Move {} on {} from subnet {origin_netuid} to subnet {destination_netuid}{}",
            alpha(*alpha_amount),
            short(hotkey),
            rate(*limit_price, *allow_partial)
        ),
        Call::TransferStake {
            destination_coldkey,
            hotkey,
            origin_netuid,
            destination_netuid,
            alpha_amount,
        } => {
            let (amount, to) = (alpha(*alpha_amount), short(destination_coldkey));
            let hotkey = short(hotkey);
            if origin_netuid == destination_netuid {
                let place = on_subnet(*origin_netuid);
                format!("Give {amount} staked on {hotkey}{place} to {to}")
            } else {
                format!(
                    "Give {amount} staked on {hotkey} on subnet {origin_netuid} to {to} on subnet \
                     {destination_netuid}, at whatever price"
                )
            }
        }
        Call::TransferKeepAlive { dest, value } => {
            format!("Give {} to {}", tao(*value), short(dest))
        }
        Call::LockStake {
            hotkey,
            netuid,
            amount,
        } => format!(
            "Lock {} to {}{}",
            alpha(*amount),
            short(hotkey),
            on_subnet(*netuid)
        ),
        Call::MoveLock {
            destination_hotkey,
            netuid,
        } => format!(
            "Move the whole lock to {}{}",
            short(destination_hotkey),
            on_subnet(*netuid)
        ),
        Call::SetPerpetualLock {
            netuid,
            enabled: true,
        } => format!("Make the lock perpetual{}", on_subnet(*netuid)),
        Call::SetPerpetualLock {
            netuid,
            enabled: false,
        } => format!("Let the lock decay{}", on_subnet(*netuid)),
        Call::UnlockStake { netuid, amount } => format!(
            "Request the unlock of {}{}",
            alpha(*amount),
            on_subnet(*netuid)
        ),
        Call::SetRejectLockedAlpha { enabled: true } => {
            "Refuse locked alpha from others".to_owned()
        }
        Call::SetRejectLockedAlpha { enabled: false } => {
            "Accept locked alpha from others".to_owned()
        }
        Call::SetRevenueShare {
            netuid,
            partner: Some(partner),
            share: share @ 1..,
        } => format!(
            "Give {} of what contributing earns{} to {}",
            percent(*share),
            on_subnet(*netuid),
            short(partner)
        ),
        Call::SetRevenueShare { netuid, .. } => format!(
            "Share nothing of what contributing earns{}",
            on_subnet(*netuid)
        ),
        Call::BurnedRegister { netuid, hotkey } => {
            format!(
                "Register the hotkey {}{}",
                short(hotkey),
                on_subnet(*netuid)
            )
        }
        Call::RegisterNetwork { hotkey } => {
            format!("Register a new subnet with the hotkey {}", short(hotkey))
        }
        Call::IncreaseTake { hotkey, take } => {
            format!("Raise the take of {} to {}", short(hotkey), percent(*take))
        }
        Call::DecreaseTake { hotkey, take } => {
            format!("Lower the take of {} to {}", short(hotkey), percent(*take))
        }
        Call::AnnounceColdkeySwap { new_coldkey_hash } => format!(
            "Announce that everything will move to the account with hash {new_coldkey_hash}"
        ),
        Call::CancelColdkeySwap {} => "Take the announced move to another account back".to_owned(),
        Call::SwapColdkeyAnnounced { new_coldkey } => {
            format!("Move everything to the account {}", short(new_coldkey))
        }
        Call::SetWeights { netuid, weights } => {
            let many = if weights.len() == 1 { "" } else { "s" };
            format!(
                "Set weights for {} hotkey{many}{}",
                weights.len(),
                on_subnet(*netuid)
            )
        }
        Call::Propose { effect: change, .. } => format!("Propose: {}", effect(change)),
        Call::Approve { proposal } => format!("Approve proposal {proposal}"),
        Call::WithdrawApproval { proposal } => {
            format!("Take the approval of proposal {proposal} back")
        }
        Call::ResignRole { role } => format!("Give up the role of {}", role.name()),
    }
}

/// A privileged change in words, as it goes on after a colon.
pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::AssignRole { role, holder } => {
            format!("make {} a {}", short(holder), role.name())
        }
        Effect::RemoveRole { role, holder } => {
            format!("take the role of {} from {}", role.name(), short(holder))
        }
        Effect::ChangeCouncil { members, threshold } => {
            let names: Vec<String> = members.iter().map(short).collect();
            let (count, names) = (members.len(), names.join(", "));
            format!("a council of {threshold} of {count}: {names}")
        }
        Effect::SetRule(change) => rule(change),
        Effect::Deprecate { what } => format!("stop serving {what}"),
    }
}

fn rule(change: &RuleChange) -> String {
    match change {
        RuleChange::LockRates(rates) => format!(
            "time constants of new locks: {} blocks to unlock, {} to mature",
            rates.unlock, rates.maturity
        ),
        RuleChange::NewLocksDecay(true) => "new locks decay".to_owned(),
        RuleChange::NewLocksDecay(false) => "new locks are perpetual".to_owned(),
        RuleChange::UnlockCliff(blocks) => {
            format!("an announced exit waits {blocks} blocks")
        }
        RuleChange::UnlockRelease(blocks) => {
            format!("an unlock is released over {blocks} blocks")
        }
        RuleChange::TakeoverNotice(blocks) => {
            format!("a takeover needs a notice of {blocks} blocks")
        }
        RuleChange::GovernanceNotice(blocks) => {
            format!("a privileged change needs a notice of {blocks} blocks")
        }
        RuleChange::MinStake(least) => format!("least stake: {}", tao(*least)),
        RuleChange::MaxTake(take) => format!("highest take: {}", percent(*take)),
        RuleChange::ColdkeySwapDelay(blocks) => {
            format!("a move to another account waits {blocks} blocks")
        }
        RuleChange::RegistrationBurn { min, max } => {
            format!("a registration costs {} to {}", tao(*min), tao(*max))
        }
        RuleChange::SubnetCost(least) => {
            format!("a new subnet costs at least {}", tao(*least))
        }
    }
}
