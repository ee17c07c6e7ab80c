//! What happens by itself, every `tempo` blocks: privileged changes that are due, emission, dividends,
//! and who owns each subnet (economics sections 1.6, 2.4 and 3).
//!
//! An epoch reads nothing but the state. What a reader would get wrong: it cannot be skipped. The journal
//! takes no later entry before the epoch's own, so an operator that wants to go on must pay everyone.

mod ownership;
mod pay;

pub use pay::{Standing, standing, validators};

use crate::{
    emission,
    event::Event,
    governance,
    state::State,
    units::{Alpha, Height, NetUid, Rao},
};

/// Runs the epoch at `height`.
pub(crate) fn run(state: &mut State, height: Height) -> Vec<Event> {
    let blocks = height.saturating_sub(state.epoch);
    state.height = height;
    state.epoch = height;
    let mut events = Vec::new();
    governance::settle(state, height, &mut events);
    state.notices.sweep(height);

    let schedule = &state.schedule;
    let tao = emission::minted(
        state.issuance.0,
        schedule.supply_limit,
        schedule.tao_per_block.0,
        blocks,
    );
    for (netuid, tao) in emission::divide(state, Rao(tao)) {
        subnet(state, netuid, tao, blocks, &mut events);
        ownership::decide(state, netuid, &mut events);
    }
    events
}

fn subnet(state: &mut State, netuid: NetUid, tao: Rao, blocks: u64, events: &mut Vec<Event>) {
    let (limit, per_block) = (
        state.schedule.supply_limit,
        state.schedule.alpha_per_block.0,
    );
    let height = state.height;
    let Some(place) = state.subnets.get_mut(&netuid) else {
        return;
    };
    let age = height.saturating_sub(place.registered);
    let price = place.pool.price();
    place.price_average = emission::price_average(place.price_average, price, age, blocks);
    // Dust that rolled to nothing since it was last touched.
    let owner_hotkey = place.owner_hotkey;
    let over: Vec<_> = place
        .locks
        .iter()
        .filter(|(_, lock)| lock.at(height, lock.hotkey == owner_hotkey).is_over())
        .map(|(coldkey, _)| *coldkey)
        .collect();
    for coldkey in over {
        place.locks.remove_mut(&coldkey);
    }

    let issued = place.pool.alpha.saturating_add(place.alpha_out.0);
    let alpha = Alpha(emission::minted(issued, limit, per_block, blocks));
    let tao = emission::inject(state, netuid, tao, alpha);
    if let Some(place) = state.subnets.get_mut(&netuid) {
        let out = place.alpha_out.checked_add(alpha);
        let pending = place.pending.checked_add(alpha);
        if let (Some(out), Some(pending)) = (out, pending) {
            (place.alpha_out, place.pending) = (out, pending);
        }
    }
    pay::divide(state, netuid, tao, events);
}
