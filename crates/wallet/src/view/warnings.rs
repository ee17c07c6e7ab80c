//! What cannot be taken back, and for how long: said before the wallet is asked to sign.
//!
//! The lengths are those of the rules and of the lock as the call left it, read from the state.

use covey_ledger::{
    NetUid,
    call::Call,
    event::Event,
    fixed::U64F64,
    lock::{Lock, LockMode},
    state::State,
};

use super::{
    draft::Tried,
    lock, whole,
    words::{alpha, short, span, tao, when},
};

/// Sentences, most important first.
pub(crate) fn of(tried: &Tried) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(text);
    let state = tried.before;
    match tried.call {
        Call::AddStake { .. } => {
            warn(no_limit("buys"));
            warn(both_ways());
        }
        Call::AddStakeLimit { allow_partial, .. } => {
            if *allow_partial {
                warn(in_part());
            }
            warn(both_ways());
        }
        Call::RemoveStake { .. }
        | Call::RemoveStakeFullLimit {
            limit_price: None, ..
        }
        | Call::UnstakeAll { .. } => warn(no_limit("sells")),
        Call::RemoveStakeLimit { allow_partial, .. } if *allow_partial => warn(in_part()),
        Call::RemoveStakeLimit { .. } | Call::RemoveStakeFullLimit { .. } => {}
        Call::MoveStake {
            origin_netuid,
            destination_netuid,
            ..
        } => {
            if origin_netuid == destination_netuid {
                locks_stay(tried, *origin_netuid, &mut warn);
            } else {
                warn(no_limit("trades"));
            }
        }
        Call::SwapStake { .. } => warn(no_limit("trades")),
        Call::SwapStakeLimit { allow_partial, .. } => {
            if *allow_partial {
                warn(in_part());
            }
            warn(both_ways());
        }
        Call::TransferStake {
            destination_coldkey,
            origin_netuid,
            destination_netuid,
            ..
        } => {
            warn(gone(&short(destination_coldkey)));
            if origin_netuid != destination_netuid {
                warn(no_limit("trades"));
            }
        }
        Call::TransferKeepAlive { dest, .. } => warn(gone(&short(dest))),
        Call::LockStake { netuid, .. } | Call::MoveLock { netuid, .. } => {
            conviction_lost(tried, *netuid, &mut warn);
            bound(tried, *netuid, &mut warn);
        }
        Call::SetPerpetualLock { netuid, enabled } => {
            perpetual(tried, *netuid, *enabled, &mut warn);
        }
        Call::UnlockStake { netuid, .. } => {
            conviction_lost(tried, *netuid, &mut warn);
            warn("The request is public from the moment it is made, and there is no call that takes \
                 it back: to lock the alpha again it must first be liquid."
                .to_owned());
            warn(format!(
                "Nothing of it can be sold before {}; then it becomes liquid evenly, over {}.",
                when(state, state.height.saturating_add(state.rules.unlock_cliff)),
                span(state, state.rules.unlock_release)
            ));
        }
        Call::SetRejectLockedAlpha { enabled: false } => warn(
            "Anybody can then give this account alpha that is locked, with its conviction and its \
             terms."
                .to_owned(),
        ),
        Call::SetRejectLockedAlpha { enabled: true } | Call::CancelColdkeySwap {} => {}
        Call::BurnedRegister { .. } => warn(
            "The price is burned and never returned. It rises with every registration, so it may \
             be higher when this is carried out."
                .to_owned(),
        ),
        Call::RegisterNetwork { .. } => warn(
            "The cost becomes the new subnet's pool and is never returned. It falls and rises with \
             time and other registrations. What its owner holds of it is locked perpetually."
                .to_owned(),
        ),
        Call::IncreaseTake { .. } => warn(format!(
            "It cannot be raised again for {}; lowering it is always possible. Stakers see it.",
            span(state, state.rules.take_raise_interval)
        )),
        Call::DecreaseTake { .. } => warn(format!(
            "It can be raised again only {} after the last time it was raised.",
            span(state, state.rules.take_raise_interval)
        )),
        Call::AnnounceColdkeySwap { .. } => {
            let ready = state.height.saturating_add(state.rules.coldkey_swap_delay);
            warn(format!(
                "Balance, stake, locks, hotkeys, roles and sessions can move to that account from \
                 {}. Until it is carried out it can be taken back. Make sure that you hold its key.",
                when(state, ready)
            ));
        }
        Call::SwapColdkeyAnnounced { new_coldkey } => warn(format!(
            "Everything this account has moves to {}. It cannot be taken back from here.",
            short(new_coldkey)
        )),
        Call::SetWeights { .. } => warn(format!(
            "Weights are public and decide who is paid at the next epochs; after {} they are too \
             old to count.",
            span(state, state.schedule.activity_cutoff)
        )),
        Call::SetRevenueShare {
            partner: Some(partner),
            share: 1..,
            ..
        } => warn(format!(
            "From the next epoch on, {} gets this part of everything your account's keys earn by \
             contributing, on whatever site they work, until you sign another share or none. What \
             was paid does not come back.",
            short(partner)
        )),
        Call::SetRevenueShare { .. } => {}
        Call::Propose { .. } => warn(format!(
            "The proposal is public at once and cannot be removed; without enough approvals it is \
             void after {}.",
            span(state, state.rules.proposal_lifetime)
        )),
        Call::Approve { .. } => warn(format!(
            "With enough approvals the change takes effect after a notice of {}. Until then an \
             approval can be taken back.",
            span(state, state.rules.governance_notice)
        )),
        Call::WithdrawApproval { .. } => warn(
            "If too few approvals are left, the proposal's notice begins anew when it has enough \
             again."
                .to_owned(),
        ),
        Call::ResignRole { .. } => warn(format!(
            "It takes effect at once. Only the council can give the role back, after a notice of \
             {}.",
            span(state, state.rules.governance_notice)
        )),
    }
    carried(tried, &mut warn);
    warnings
}

fn no_limit(does: &str) -> String {
    format!(
        "This {does} at whatever price the pool has when it is carried out; there is no limit. The \
         amounts shown are those of now."
    )
}

fn both_ways() -> String {
    "The fee is not returned, and selling again costs it again.".to_owned()
}

fn in_part() -> String {
    "It may be carried out in part: as much as the limit allows at that moment.".to_owned()
}

fn gone(to: &str) -> String {
    format!("It cannot be taken back: only {to} can give it away again.")
}

/// How the lock that is there after the call can leave.
fn bound(tried: &Tried, netuid: NetUid, warn: &mut impl FnMut(String)) {
    let state = tried.after;
    let Some(lock) = lock_of(state, tried, netuid) else {
        return;
    };
    let cliff = state.rules.unlock_cliff;
    match lock.mode {
        LockMode::Perpetual => warn(format!(
            "The lock is perpetual: it can leave only by a public unlock request, of which nothing \
             is liquid before {}, and everything only after {}.",
            span(state, cliff),
            span(state, cliff.saturating_add(state.rules.unlock_release))
        )),
        LockMode::PerpetualUntil(height) => warn(format!(
            "The lock begins to decay at {}. Before that nothing of it is free.",
            when(state, height)
        )),
        LockMode::Decaying => warn(format!(
            "The lock decays with a time constant of {}: so much later 37 % of it are still locked. \
             A public unlock request is the other way out, with nothing liquid before {}.",
            span(state, lock.rates.unlock),
            span(state, cliff)
        )),
    }
    if matches!(tried.call, Call::LockStake { .. }) {
        let owner = state
            .subnets
            .get(&netuid)
            .is_some_and(|place| place.owner_hotkey == lock.hotkey);
        if !owner {
            warn(format!(
                "Conviction of what is locked now begins at nothing and grows with a time constant \
                 of {}.",
                span(state, lock.rates.maturity)
            ));
        }
    }
}

fn perpetual(tried: &Tried, netuid: NetUid, enabled: bool, warn: &mut impl FnMut(String)) {
    let Some(lock) = lock_of(tried.after, tried, netuid) else {
        warn("There is no lock now; this is how the next one will begin.".to_owned());
        return;
    };
    if enabled {
        bound(tried, netuid, warn);
    } else if let LockMode::PerpetualUntil(height) = lock.mode {
        warn(format!(
            "The change is public from the moment it is made. The lock begins to decay at {}, with \
             a time constant of {}; conviction then fades, too.",
            when(tried.before, height),
            span(tried.before, lock.rates.unlock)
        ));
    }
}

/// Conviction that the call destroys.
fn conviction_lost(tried: &Tried, netuid: NetUid, warn: &mut impl FnMut(String)) {
    let conviction = |state: &State| {
        let lock = lock_of(state, tried, netuid);
        lock.map_or(U64F64::ZERO, |lock| lock.conviction)
    };
    let (before, after) = (conviction(tried.before), conviction(tried.after));
    let lost = whole(before.saturating_sub(after));
    if lost > 0 {
        warn(format!(
            "{} of conviction are lost at once and come back only with time.",
            alpha(covey_ledger::Alpha(lost))
        ));
    }
}

/// A lock names a hotkey of its own; stake that changes its manager does not take it along.
fn locks_stay(tried: &Tried, netuid: NetUid, warn: &mut impl FnMut(String)) {
    if let Some(lock) = lock_of(tried.after, tried, netuid)
        && !lock.mass.is_zero()
    {
        warn(format!(
            "The lock of {} stays as it is, with its conviction for {}; only the stake changes its \
             manager.",
            alpha(lock.mass),
            short(&lock.hotkey)
        ));
    }
}

/// Locked alpha that went along with a transfer, and TAO that is gone for good.
fn carried(tried: &Tried, warn: &mut impl FnMut(String)) {
    for event in tried.events {
        match event {
            Event::StakeTransferred {
                destination_coldkey,
                locked,
                ..
            } if !locked.is_zero() => warn(format!(
                "{} of it are locked: they go to {} still locked, with their conviction, as a \
                 public notice.",
                alpha(*locked),
                short(destination_coldkey)
            )),
            Event::NeuronRegistered { burned, .. } => {
                warn(format!("{} are burned now.", tao(*burned)));
            }
            _ => {}
        }
    }
}

fn lock_of(state: &State, tried: &Tried, netuid: NetUid) -> Option<Lock> {
    let place = state.subnets.get(&netuid)?;
    lock::current(place, &tried.by, state.height)
}
