//! What volunteers share with the sites that brought them, and which sites the operator no longer credits.
//!
//! A revenue share is a coldkey's own signed wish: a part of what it earns by contributing goes to a
//! partner's account, at the epoch's payment. What a reader would get wrong: nobody else has a say in it.
//! No page and no operator can set one, and suspending a partner ends none: it is the volunteer's money,
//! and the volunteer's signature that ends it.

use covey_protocol::PartnerId;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    account::AccountId,
    apply,
    error::LedgerError,
    event::Event,
    map::{Map, Set},
    notice::Subject,
    params::MAX_REVENUE_SHARE,
    state::State,
    units::{Alpha, NetUid},
    wide::share_of,
    yuma::U16_UNIT,
};

/// Most partners that are suspended at once: more than any operator's list.
pub const MAX_SUSPENDED: usize = 1024;

/// Everything the ledger knows about partners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partners {
    /// By subnet and coldkey: at most one for each account that exists.
    shares: Map<NetUid, Map<AccountId, RevenueShare>>,
    suspended: Set<PartnerId>,
}

/// Where a part of somebody's earnings goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevenueShare {
    pub partner: AccountId,
    /// Of 65535, above 0 and at most [`MAX_REVENUE_SHARE`].
    pub share: u16,
}

impl Default for Partners {
    fn default() -> Self {
        Self {
            shares: Map::new_sync(),
            suspended: Set::new_sync(),
        }
    }
}

impl Partners {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.suspended.is_empty()
    }

    /// What a coldkey has signed for a subnet.
    #[must_use]
    pub fn share(&self, netuid: NetUid, coldkey: &AccountId) -> Option<RevenueShare> {
        self.shares.get(&netuid)?.get(coldkey).copied()
    }

    /// Whether the operator has suspended a partner.
    #[must_use]
    pub fn is_suspended(&self, partner: &PartnerId) -> bool {
        self.suspended.contains(partner)
    }

    /// Who gets a part of an amount that a coldkey earns, and how much: rounded down, never nothing.
    pub(crate) fn part_of(
        &self,
        netuid: NetUid,
        coldkey: &AccountId,
        amount: Alpha,
    ) -> Option<(AccountId, Alpha)> {
        let RevenueShare { partner, share } = self.share(netuid, coldkey)?;
        let part = Alpha(share_of(amount.0, u64::from(share), u64::from(U16_UNIT)));
        (!part.is_zero()).then_some((partner, part))
    }

    fn set(&mut self, netuid: NetUid, coldkey: AccountId, share: Option<RevenueShare>) {
        let known = self.shares.get(&netuid).cloned();
        let mut all = known.unwrap_or_else(Map::new_sync);
        match share {
            Some(share) => all.insert_mut(coldkey, share),
            None => {
                all.remove_mut(&coldkey);
            }
        }
        // Nothing is left behind: a state in which everybody took theirs back is the one before.
        if all.is_empty() {
            self.shares.remove_mut(&netuid);
        } else {
            self.shares.insert_mut(netuid, all);
        }
    }

    /// Takes a coldkey's shares to its new key, given and received. A share that the new key signed
    /// itself stays; one that would go to its own giver ends.
    pub(crate) fn follow(&mut self, old: AccountId, new: AccountId) {
        let mut changes = Vec::new();
        for (netuid, all) in self.shares.iter() {
            for (coldkey, share) in all.iter() {
                let giver = if *coldkey == old { new } else { *coldkey };
                let partner = if share.partner == old {
                    new
                } else {
                    share.partner
                };
                if giver == *coldkey && partner == share.partner {
                    continue;
                }
                changes.push((*netuid, *coldkey, None));
                let own = giver == new && *coldkey == old && all.contains_key(&new);
                if giver != partner && !own {
                    let share = share.share;
                    changes.push((*netuid, giver, Some(RevenueShare { partner, share })));
                }
            }
        }
        for (netuid, coldkey, share) in changes {
            self.set(netuid, coldkey, share);
        }
    }
}

/// The field's value where a state's bytes go on, and none where they end. Other bytes are no snapshot,
/// which is found when they are compared with those of the state that was read.
pub(crate) fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Partners, D::Error> {
    Ok(Partners::deserialize(deserializer).unwrap_or_default())
}

/// `set_revenue_share`.
pub(crate) fn set_share(
    state: &mut State,
    coldkey: AccountId,
    netuid: NetUid,
    partner: Option<AccountId>,
    share: u16,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    apply::subnet(state, netuid)?;
    if share > MAX_REVENUE_SHARE {
        return Err(LedgerError::RevenueShareTooHigh(MAX_REVENUE_SHARE));
    }
    let wish = partner.filter(|_| share > 0);
    if wish == Some(coldkey) {
        return Err(LedgerError::SameDestination);
    }
    if let Some(partner) = wish.filter(|partner| !state.accounts.contains_key(partner)) {
        // A slip in an address must not send earnings where nobody has a key.
        return Err(LedgerError::UnknownAccount(partner));
    }
    let wish = wish.map(|partner| RevenueShare { partner, share });
    state.partners.set(netuid, coldkey, wish);
    events.push(Event::RevenueShareSet {
        netuid,
        coldkey,
        partner: wish.map(|wish| wish.partner),
        share: wish.map_or(0, |wish| wish.share),
    });
    Ok(())
}

/// Suspends a partner or restores it, and says so publicly.
pub(crate) fn change(
    state: &mut State,
    partner: PartnerId,
    suspended: bool,
) -> Result<Vec<Event>, LedgerError> {
    let known = &mut state.partners.suspended;
    match (suspended, known.contains(&partner)) {
        (true, true) => return Err(LedgerError::PartnerSuspended(partner)),
        (false, false) => return Err(LedgerError::PartnerNotSuspended(partner)),
        (true, false) if known.size() >= MAX_SUSPENDED => {
            return Err(LedgerError::TooManySuspended(MAX_SUSPENDED));
        }
        (true, false) => known.insert_mut(partner),
        (false, true) => {
            known.remove_mut(&partner);
        }
    }
    let subject = Subject::Partnership { partner, suspended };
    let now = state.height;
    state.notices.announce(now, Some(now), false, subject);
    Ok(vec![Event::PartnershipChanged { partner, suspended }])
}
