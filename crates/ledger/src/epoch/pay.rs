//! One subnet's epoch in alpha: the owner's cut, then Yuma consensus, then everybody's part (economics
//! sections 2.4 and 3).
//!
//! Every rao of what is divided goes to a stake, is burned, or waits for the next epoch. What a reader
//! would get wrong: a contributor needs no registration. A key that validators give weight to is paid to
//! the coldkey that it authorised, or to itself until it has one.

use std::collections::BTreeMap;

use crate::{
    account::AccountId,
    apply::{self, hotkeys, locks, stake},
    emission::EpochReport,
    event::Event,
    fixed::U64F64,
    lock::{Lock, LockMode},
    params::Schedule,
    shares::SharePool,
    state::{EARNINGS, Earning, State, Subnet},
    units::{Alpha, Height, NetUid, Rao},
    wide::share_of,
    yuma::{self, Outcome, U16_UNIT, Validator},
};

/// What accounts earn in this epoch.
type Earnings = BTreeMap<AccountId, Earning>;

/// Divides everything pending.
pub(super) fn divide(state: &mut State, netuid: NetUid, tao: Rao, events: &mut Vec<Event>) {
    let Some(place) = state.subnets.get_mut(&netuid) else {
        return;
    };
    let pending = std::mem::take(&mut place.pending);
    let (owner, owner_hotkey) = (place.owner, place.owner_hotkey);
    let electorate = Electorate::of(place, state.height, &state.schedule);
    let outcome = yuma::epoch(
        u32::try_from(electorate.miners.len()).unwrap_or(u32::MAX),
        &electorate.validators,
        &state.schedule.yuma,
    );
    remember_bonds(place, &electorate, &outcome);

    let cut = Alpha(share_of(
        pending.0,
        u64::from(state.schedule.owner_cut),
        u64::from(U16_UNIT),
    ));
    let rest = pending.saturating_sub(cut).0;
    let (miners, validators, left) = yuma::share_out(
        rest,
        &outcome.incentive,
        &outcome.dividends,
        &electorate.stakes,
    );

    let mut payments = Payments {
        state,
        netuid,
        owner,
        earnings: Earnings::new(),
        unpaid: left,
        events: &mut *events,
    };
    payments.owner_cut(owner_hotkey, cut);
    let incentive = named(&electorate.miners, &miners);
    for (hotkey, amount) in &incentive {
        payments.contributor(*hotkey, *amount);
    }
    let dividends = named(&electorate.hotkeys, &validators);
    for (hotkey, amount) in &dividends {
        payments.validator(*hotkey, *amount);
    }
    let Payments {
        earnings, unpaid, ..
    } = payments;

    remember_earnings(state, earnings);
    let height = state.height;
    let sum = |parts: &[(AccountId, Alpha)]| Alpha(parts.iter().map(|(_, part)| part.0).sum());
    events.push(Event::EpochPaid {
        netuid,
        height,
        owner_cut: cut,
        incentive: sum(&incentive),
        dividends: sum(&dividends),
        tao,
    });
    if let Some(place) = state.subnets.get_mut(&netuid) {
        place.pending = Alpha(place.pending.0.saturating_add(unpaid));
        place.report = Some(EpochReport {
            height,
            tao,
            owner_cut: cut,
            incentive,
            dividends,
            pending: place.pending,
        });
    }
}

/// Hotkeys that an epoch at `now` would ask: with a permit, stake and fresh weights. Ascending.
#[must_use]
pub fn validators(place: &Subnet, now: u64, schedule: &Schedule) -> Vec<AccountId> {
    let electorate = Electorate::of(place, now, schedule);
    let asked = electorate.hotkeys.iter().zip(&electorate.validators);
    asked
        .filter(|(_, validator)| validator.permit && validator.stake > 0)
        .map(|(hotkey, _)| *hotkey)
        .collect()
}

/// All stake on a hotkey.
fn stake_on(place: &Subnet, hotkey: &AccountId) -> Alpha {
    let pool = place.stakes.get(hotkey);
    pool.map_or(Alpha::ZERO, SharePool::value)
}

/// The largest registered hotkeys by stake, which have permits; of equals the lesser account. The owner
/// has one besides.
fn permitted(place: &Subnet, schedule: &Schedule) -> Vec<AccountId> {
    let mut ranked: Vec<AccountId> = place.neurons.iter().copied().collect();
    ranked.retain(|hotkey| !stake_on(place, hotkey).is_zero());
    ranked.sort_by_key(|hotkey| std::cmp::Reverse(stake_on(place, hotkey)));
    ranked.truncate(usize::from(schedule.validators));
    ranked
}

/// What a hotkey lacks before its weights can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is registered here.
    pub registered: bool,
    /// All stake on it.
    pub stake: Alpha,
    /// Whether an epoch would listen to it: it has stake, and a permit by it or as the owner's.
    pub permit: bool,
    /// When it last set weights.
    pub said: Option<Height>,
}

/// How a hotkey stands as a validator.
#[must_use]
pub fn standing(place: &Subnet, hotkey: &AccountId, schedule: &Schedule) -> Standing {
    let stake = stake_on(place, hotkey);
    let owner = *hotkey == place.owner_hotkey;
    let said = place.weights.get(hotkey);
    Standing {
        registered: place.neurons.contains(hotkey),
        stake,
        permit: !stake.is_zero() && (owner || permitted(place, schedule).contains(hotkey)),
        said: said.map(|weights| weights.set),
    }
}

/// Who votes and who is voted on, in ascending order.
struct Electorate {
    hotkeys: Vec<AccountId>,
    validators: Vec<Validator>,
    /// Validators' whole stake: who is paid when nobody has judged anybody.
    stakes: Vec<u64>,
    miners: Vec<AccountId>,
}

impl Electorate {
    fn of(place: &Subnet, now: u64, schedule: &Schedule) -> Self {
        let fresh = |set: u64| now <= set.saturating_add(schedule.activity_cutoff);
        let stake = |hotkey: &AccountId| stake_on(place, hotkey).0;
        let hotkeys: Vec<AccountId> = place.neurons.iter().copied().collect();
        let mut miners: Vec<AccountId> = place
            .weights
            .iter()
            .filter(|(_, weights)| fresh(weights.set))
            .flat_map(|(_, weights)| weights.targets.iter().map(|(target, _)| *target))
            .collect();
        miners.sort_unstable();
        miners.dedup();
        let number = |target: &AccountId| -> Option<u32> {
            miners
                .binary_search(target)
                .ok()
                .and_then(|at| u32::try_from(at).ok())
        };
        let ranked = permitted(place, schedule);
        let validators = hotkeys
            .iter()
            .map(|hotkey| {
                let weights = place
                    .weights
                    .get(hotkey)
                    .filter(|weights| fresh(weights.set));
                let owner = *hotkey == place.owner_hotkey;
                Validator {
                    stake: if weights.is_some() { stake(hotkey) } else { 0 },
                    permit: owner || ranked.contains(hotkey),
                    owner,
                    miner: number(hotkey),
                    weights: weights.map_or_else(Vec::new, |weights| {
                        let targets = weights.targets.iter();
                        targets
                            .filter_map(|(target, weight)| Some((number(target)?, *weight)))
                            .collect()
                    }),
                    bonds: place.bonds.get(hotkey).map_or_else(Vec::new, |bonds| {
                        let bonds = bonds.iter();
                        bonds
                            .filter_map(|(miner, bits)| {
                                Some((number(miner)?, U64F64::from_bits(*bits)))
                            })
                            .collect()
                    }),
                }
            })
            .collect();
        let stakes = hotkeys.iter().map(stake).collect();
        Self {
            hotkeys,
            validators,
            stakes,
            miners,
        }
    }
}

fn remember_bonds(place: &mut Subnet, electorate: &Electorate, outcome: &Outcome) {
    let mut all = crate::map::Map::new_sync();
    for (hotkey, bonds) in electorate.hotkeys.iter().zip(&outcome.bonds) {
        let bonds: Vec<(AccountId, u128)> = bonds
            .iter()
            .filter_map(|(miner, bond)| {
                let account = electorate.miners.get(usize::try_from(*miner).ok()?)?;
                Some((*account, bond.to_bits()))
            })
            .collect();
        if !bonds.is_empty() {
            all.insert_mut(*hotkey, bonds);
        }
    }
    place.bonds = all;
}

fn named(accounts: &[AccountId], amounts: &[u64]) -> Vec<(AccountId, Alpha)> {
    let amounts = amounts.iter().map(|amount| Alpha(*amount));
    let pairs = accounts.iter().copied().zip(amounts);
    pairs.filter(|(_, amount)| !amount.is_zero()).collect()
}

/// Payments of one subnet's epoch.
struct Payments<'a> {
    state: &'a mut State,
    netuid: NetUid,
    owner: AccountId,
    earnings: Earnings,
    /// What could not be paid.
    unpaid: u64,
    events: &'a mut Vec<Event>,
}

impl Payments<'_> {
    /// The owner's cut is an insider's stake: it is locked as it arrives, to the hotkey that the owner's
    /// lock is on.
    fn owner_cut(&mut self, hotkey: AccountId, amount: Alpha) {
        let (owner, now) = (self.owner, self.state.height);
        if amount.is_zero() || !self.pay(hotkey, owner, amount) {
            return;
        }
        self.earned(owner).owner_cut = amount;
        let Some(place) = self.state.subnets.get(&self.netuid) else {
            return;
        };
        let known = place.lock(&owner, now).filter(|lock| !lock.is_over());
        let rules = &self.state.rules;
        let fresh = || Lock::new(hotkey, LockMode::Perpetual, rules, now);
        let mut lock = known.unwrap_or_else(fresh);
        lock.mass = Alpha(lock.mass.0.saturating_add(amount.0));
        // The subnet exists: it was just read.
        let _ = locks::store(self.state, self.netuid, owner, lock);
    }

    fn contributor(&mut self, hotkey: AccountId, amount: Alpha) {
        // Not to whoever registered the key: anybody can register a key that they saw at work.
        let session = self.state.sessions.get(&hotkey);
        let coldkey = session.map_or(hotkey, |session| session.coldkey);
        if self.state.owner_of(&hotkey).is_none() {
            // Nobody owns it, so this cannot fail.
            let _ = hotkeys::own(self.state, hotkey, hotkey);
        }
        let judge = self.state.subnets.get(&self.netuid);
        let judge = judge.is_some_and(|place| place.owner_hotkey == hotkey);
        if judge || coldkey == self.owner {
            // The owner judges contributors; it cannot pay itself as one (section 2.4).
            if let Some(place) = self.state.subnets.get_mut(&self.netuid) {
                place.alpha_burned = Alpha(place.alpha_burned.0.saturating_add(amount.0));
            }
        } else {
            let shared = self.share(hotkey, coldkey, amount);
            self.incentive(hotkey, coldkey, amount.saturating_sub(shared));
        }
    }

    /// The part of a contributor's earnings that it signed away, rounded down; gives how much that was.
    /// It is staked on the partner's own account, and not among the contributor's places.
    fn share(&mut self, hotkey: AccountId, coldkey: AccountId, amount: Alpha) -> Alpha {
        let (netuid, partners) = (self.netuid, &self.state.partners);
        let Some((partner, part)) = partners.part_of(netuid, &coldkey, amount) else {
            return Alpha::ZERO;
        };
        if self.state.owner_of(&partner).is_none() {
            // Nobody owns it, so this cannot fail.
            let _ = hotkeys::own(self.state, partner, partner);
        }
        self.incentive(partner, partner, part);
        self.events.push(Event::RevenueShared {
            netuid,
            hotkey,
            coldkey,
            partner,
            amount: part,
        });
        part
    }

    fn incentive(&mut self, hotkey: AccountId, coldkey: AccountId, amount: Alpha) {
        if !amount.is_zero() && self.pay(hotkey, coldkey, amount) {
            let earned = self.earned(coldkey);
            earned.incentive = Alpha(earned.incentive.0.saturating_add(amount.0));
        }
    }

    /// The hotkey's owner takes its take; the rest raises every stake on it pro rata.
    fn validator(&mut self, hotkey: AccountId, amount: Alpha) {
        let Some(manager) = self.state.hotkeys.get(&hotkey) else {
            self.unpaid = self.unpaid.saturating_add(amount.0);
            return;
        };
        let (coldkey, take) = (manager.coldkey, manager.take);
        let take = Alpha(share_of(amount.0, u64::from(take), u64::from(U16_UNIT)));
        let mut own = take;
        let rest = amount.saturating_sub(take);
        let pool = self
            .state
            .subnets
            .get_mut(&self.netuid)
            .and_then(|place| place.stakes.get_mut(&hotkey));
        let mut gains = Vec::new();
        match pool {
            Some(pool) => {
                let before = pool.clone();
                if pool.dividend(rest) {
                    let gain = |(coldkey, stake): (&AccountId, Alpha)| {
                        (*coldkey, stake.saturating_sub(before.stake(coldkey)))
                    };
                    gains = pool.stakes().map(gain).collect();
                } else {
                    // It waits: nobody may gain from a pool that can hold no more.
                    self.unpaid = self.unpaid.saturating_add(rest.0);
                }
            }
            None => own = amount,
        }
        for (staker, gain) in gains {
            let earned = self.earned(staker);
            earned.dividends = Alpha(earned.dividends.0.saturating_add(gain.0));
        }
        if !own.is_zero() && self.pay(hotkey, coldkey, own) {
            let earned = self.earned(coldkey);
            earned.dividends = Alpha(earned.dividends.0.saturating_add(own.0));
        }
    }

    /// Stakes alpha on a hotkey for a coldkey; what cannot be staked waits.
    fn pay(&mut self, hotkey: AccountId, coldkey: AccountId, amount: Alpha) -> bool {
        apply::account(self.state, coldkey);
        let paid = stake::deposit(self.state, self.netuid, hotkey, coldkey, amount).is_ok();
        if !paid {
            self.unpaid = self.unpaid.saturating_add(amount.0);
        }
        paid
    }

    fn earned(&mut self, coldkey: AccountId) -> &mut Earning {
        let (height, netuid) = (self.state.height, self.netuid);
        self.earnings.entry(coldkey).or_insert(Earning {
            height,
            netuid,
            incentive: Alpha::ZERO,
            dividends: Alpha::ZERO,
            owner_cut: Alpha::ZERO,
        })
    }
}

fn remember_earnings(state: &mut State, earnings: Earnings) {
    for (coldkey, earning) in earnings {
        let nothing = earning.incentive.is_zero()
            && earning.dividends.is_zero()
            && earning.owner_cut.is_zero();
        if nothing {
            continue;
        }
        let account = apply::account(state, coldkey);
        account.earnings.push(earning);
        let excess = account.earnings.len().saturating_sub(EARNINGS);
        account.earnings.drain(..excess);
    }
}
