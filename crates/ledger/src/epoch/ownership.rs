//! Who owns a subnet: the hotkey with the most conviction, if that passes 18 % of eligible alpha
//! (economics section 1.6), and has stayed above for the notice period (sections 1.9 and 4.2).
//!
//! On the chain ownership flips in the epoch in which the gate clears. Here the first such epoch only
//! announces it; the challenger must be the most convicted and above the gate at every epoch until the
//! notice is over. One epoch below and it starts again.

use crate::{
    account::AccountId,
    apply::locks,
    conviction::gate,
    event::Event,
    notice::{Status, Subject},
    state::{State, Takeover},
    units::NetUid,
};

/// Announces, voids or carries out a takeover.
pub(super) fn decide(state: &mut State, netuid: NetUid, events: &mut Vec<Event>) {
    let now = state.height;
    let Some(place) = state.subnets.get(&netuid) else {
        return;
    };
    let candidate = challenger(state, netuid);
    let mut takeover = place.takeover;
    if let Some(before) = takeover
        && candidate != Some(before.king)
    {
        state.notices.close(before.notice, Status::Void { at: now });
        let king = before.king;
        events.push(Event::TakeoverVoid { netuid, king });
        takeover = None;
    }
    if let (None, Some(king)) = (takeover, candidate) {
        let ready = now.saturating_add(state.rules.takeover_notice);
        let subject = Subject::Takeover { netuid, king };
        let notice = state.notices.announce(now, Some(ready), true, subject);
        takeover = Some(Takeover {
            king,
            since: now,
            ready,
            notice,
        });
        events.push(Event::TakeoverAnnounced {
            netuid,
            king,
            ready,
        });
    }
    let due = takeover.filter(|takeover| takeover.ready <= now);
    if let Some(place) = state.subnets.get_mut(&netuid) {
        place.takeover = if due.is_some() { None } else { takeover };
    }
    if let Some(takeover) = due {
        state
            .notices
            .close(takeover.notice, Status::Done { at: now });
        crown(state, netuid, takeover.king, events);
    }
}

/// The hotkey that would own the subnet if there were no notice.
fn challenger(state: &State, netuid: NetUid) -> Option<AccountId> {
    let now = state.height;
    let place = state.subnets.get(&netuid)?;
    if now
        < place
            .registered
            .saturating_add(state.schedule.ownership_age)
    {
        return None;
    }
    // Of equals the greater account: `max_by` keeps the last, and the map is ascending.
    let convictions = place.convictions(now);
    let (king, conviction) = convictions.into_iter().max_by(|(_, a), (_, b)| a.cmp(b))?;
    if !gate(conviction, place.eligible().0) {
        return None;
    }
    let coldkey = state.owner_of(&king)?;
    (coldkey != place.owner).then_some(king)
}

/// Makes a hotkey and its coldkey the owner.
fn crown(state: &mut State, netuid: NetUid, king: AccountId, events: &mut Vec<Event>) {
    let now = state.height;
    let Some(coldkey) = state.owner_of(&king) else {
        return;
    };
    let Some(place) = state.subnets.get_mut(&netuid) else {
        return;
    };
    // The old owner's locks keep the conviction they have as such, which is their mass; from here on they
    // grow and shrink like anybody's. The new owner's locks count in full at once.
    let concerned: Vec<AccountId> = place
        .locks
        .iter()
        .filter(|(_, lock)| lock.hotkey == place.owner_hotkey || lock.hotkey == king)
        .map(|(coldkey, _)| *coldkey)
        .collect();
    for id in concerned {
        if let Some(lock) = place.locks.get_mut(&id) {
            let owner = lock.hotkey == place.owner_hotkey;
            lock.roll(now, owner);
            lock.roll(now, owner || lock.hotkey == king);
        }
    }
    let old_coldkey = place.owner;
    place.owner = coldkey;
    place.owner_hotkey = king;
    place.neurons.insert_mut(king);
    events.push(Event::SubnetOwnerChanged {
        netuid,
        old_coldkey,
        new_coldkey: coldkey,
    });
    locks::make_perpetual(state, &coldkey);
}
