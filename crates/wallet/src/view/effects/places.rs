//! What changed on subnets: pools, stakes, locks, registrations, ownership.

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, Alpha, Rao,
    lock::{Lock, LockMode},
    shares::SharePool,
    state::{State, Subnet},
};

use super::Lines;
use crate::{
    amount,
    view::{
        conviction as conviction_units, lock,
        words::{alpha, on_subnet, short, when},
    },
};

/// Adds the lines of every subnet that changed.
pub(super) fn add(lines: &mut Lines) {
    let (before, after) = (lines.tried.before, lines.tried.after);
    for (netuid, new) in after.subnets.iter() {
        match before.subnets.get(netuid) {
            Some(old) if old == new => {}
            Some(old) => {
                let mut place = Place {
                    lines,
                    suffix: on_subnet(*netuid),
                    old,
                    new,
                };
                place.pool();
                place.stakes();
                place.locks();
                place.registry();
            }
            None => lines.say("New subnet", format!("{netuid}, owned by {}", new.owner)),
        }
    }
}

struct Place<'a, 'b> {
    lines: &'a mut Lines<'b>,
    suffix: String,
    old: &'a Subnet,
    new: &'a Subnet,
}

impl Place<'_, '_> {
    fn now(&self) -> u64 {
        self.lines.tried.before.height
    }

    fn change(&mut self, label: &str, before: String, after: String) {
        let label = format!("{label}{}", self.suffix);
        self.lines.change(&label, before, after);
    }

    fn pool(&mut self) {
        let (old, new) = (self.old.pool, self.new.pool);
        let price = |rao: u64| amount::price(rao);
        self.change("Pool price", price(old.price_rao()), price(new.price_rao()));
        let burned = |place: &Subnet| place.alpha_burned;
        let fee = burned(self.new).saturating_sub(burned(self.old));
        let swapped = self.lines.tried.events.iter().any(|event| {
            use covey_ledger::event::Event;
            matches!(
                event,
                Event::StakeMoved { .. } | Event::StakeTransferred { .. }
            )
        });
        if swapped && !fee.is_zero() {
            let label = format!("Fee{}", self.suffix);
            self.lines.say(&label, alpha(fee));
        }
    }

    /// Every position that is another one now.
    fn stakes(&mut self) {
        for (hotkey, staker) in self.moved() {
            let stake = |place: &Subnet| alpha(place.stake(&hotkey, &staker));
            let (before, after) = (stake(self.old), stake(self.new));
            let label = format!("Stake on {}", short(&hotkey));
            let label = self.lines.whose(&label, &staker);
            self.change(&label, before, after);
        }
    }

    /// Hotkeys and the stakers whose stake on them changed.
    fn moved(&self) -> BTreeSet<(AccountId, AccountId)> {
        let mut moved = BTreeSet::new();
        for hotkey in keys(&self.old.stakes, &self.new.stakes) {
            let (old, new) = (self.old.stakes.get(&hotkey), self.new.stakes.get(&hotkey));
            if old == new {
                continue;
            }
            for (staker, _) in [old, new].into_iter().flatten().flat_map(SharePool::stakes) {
                if self.old.stake(&hotkey, staker) != self.new.stake(&hotkey, staker) {
                    moved.insert((hotkey, *staker));
                }
            }
        }
        moved
    }

    /// Every lock that is another one now, and what is available of everybody's stake.
    fn locks(&mut self) {
        let (old, new, now) = (self.old, self.new, self.now());
        for coldkey in keys(&old.locks, &new.locks) {
            if old.locks.get(&coldkey) == new.locks.get(&coldkey) {
                continue;
            }
            let before = lock::current(old, &coldkey, now);
            let after = lock::current(new, &coldkey, now);
            self.lock(&coldkey, before.as_ref(), after.as_ref());
        }
        let choices = keys(&old.lock_choice, &new.lock_choice);
        for coldkey in choices {
            let (before, after) = (self.lines.tried.before, self.lines.tried.after);
            let choice =
                |state: &State, place: &Subnet| match state.default_lock_mode(place, &coldkey) {
                    LockMode::Decaying => "decay".to_owned(),
                    _ => "perpetual".to_owned(),
                };
            let label = self.lines.whose("New locks", &coldkey);
            self.change(&label, choice(before, old), choice(after, new));
        }
        let concerned = self.concerned();
        for coldkey in concerned {
            let available = |place: &Subnet| alpha(place.available(&coldkey, now));
            let label = self.lines.whose("Available", &coldkey);
            self.change(&label, available(old), available(new));
        }
    }

    /// Coldkeys whose stake or lock changed, and with it perhaps what is available.
    fn concerned(&self) -> BTreeSet<AccountId> {
        let locks = keys(&self.old.locks, &self.new.locks);
        let changed = |id: &AccountId| self.old.locks.get(id) != self.new.locks.get(id);
        let stakers = self.moved().into_iter().map(|(_, staker)| staker);
        locks.into_iter().filter(changed).chain(stakers).collect()
    }

    fn lock(&mut self, coldkey: &AccountId, old: Option<&Lock>, new: Option<&Lock>) {
        let (now, state) = (self.now(), self.lines.tried.before);
        let mut change = |what: &str, of: &dyn Fn(&Lock) -> String, none: &str| {
            let text = |lock: Option<&Lock>| lock.map_or_else(|| none.to_owned(), of);
            let label = self.lines.whose(what, coldkey);
            self.change(&label, text(old), text(new));
        };
        change("Locked to", &|lock| lock.hotkey.to_string(), "nobody");
        change("Locked", &|lock| alpha(lock.mass), "0 alpha");
        change(
            "Conviction",
            &|lock| {
                let units = conviction_units(lock.conviction).parse().unwrap_or(0);
                alpha(Alpha(units))
            },
            "0 alpha",
        );
        change("Lock", &|lock| mode(state, lock), "none");
        change("Unlocking", &|lock| alpha(lock.unlocking(now)), "0 alpha");
        change(
            "First liquid",
            &|lock| {
                let cliff = lock.unlocks.iter().map(|unlock| unlock.cliff).min();
                cliff.map_or_else(|| "never".to_owned(), |height| when(state, height))
            },
            "never",
        );
        change(
            "All of it liquid",
            &|lock| {
                let end = lock.unlocks.iter().map(|unlock| unlock.end).max();
                end.map_or_else(|| "never".to_owned(), |height| when(state, height))
            },
            "never",
        );
    }

    fn registry(&mut self) {
        let (old, new) = (self.old, self.new);
        self.change("Owner", old.owner.to_string(), new.owner.to_string());
        for hotkey in new.neurons.iter().filter(|id| !old.neurons.contains(id)) {
            let label = format!("Registration of {}", short(hotkey));
            self.change(&label, "none".to_owned(), "registered".to_owned());
        }
        if old.burn != new.burn {
            let (before, after) = (self.lines.tried.before, self.lines.tried.after);
            let price = |state: &State, place: &Subnet| -> Rao {
                let bounds = state.rules.registration_burn;
                covey_ledger::apply::hotkeys::burn(place, bounds, state.height)
            };
            let (was, is) = (price(before, old), price(after, new));
            self.change(
                "Price of a registration",
                format!("{was} TAO"),
                format!("{is} TAO"),
            );
        }
        for (hotkey, weights) in new.weights.iter() {
            if old.weights.get(hotkey) == Some(weights) {
                continue;
            }
            for (target, weight) in &weights.targets {
                let known = old.weights.get(hotkey);
                let known = known.and_then(|known| {
                    let found = known.targets.iter().find(|(id, _)| id == target);
                    found.map(|(_, weight)| *weight)
                });
                let before = known.map_or_else(|| "none".to_owned(), |weight| weight.to_string());
                let label = format!("Weight of {}", short(target));
                self.change(&label, before, weight.to_string());
            }
            for (target, weight) in old.weights.get(hotkey).iter().flat_map(|w| &w.targets) {
                if !weights.targets.iter().any(|(id, _)| id == target) {
                    let label = format!("Weight of {}", short(target));
                    self.change(&label, weight.to_string(), "none".to_owned());
                }
            }
        }
    }
}

fn mode(state: &State, lock: &Lock) -> String {
    match lock.mode {
        LockMode::Perpetual => "perpetual".to_owned(),
        LockMode::PerpetualUntil(height) => format!("decays from {}", when(state, height)),
        LockMode::Decaying => "decaying".to_owned(),
    }
}

fn keys<V>(
    old: &covey_ledger::map::Map<AccountId, V>,
    new: &covey_ledger::map::Map<AccountId, V>,
) -> BTreeSet<AccountId> {
    old.keys().chain(new.keys()).copied().collect()
}
