//! Random play: abstract moves that are made concrete against the state they meet, so that sequences reach
//! deep places (exact balances, open proposals, announced swaps), and what must hold after every one.
//!
//! Everything goes through signed entries: there is no way in for a test that others do not have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, NetUid, Rao,
    apply::coldkey::hash_of,
    call::{APP, Action, Call, SignedAction},
    conviction::Rates,
    event::Event,
    fixed::U64F64,
    governance::{Effect, Role, RuleChange},
    journal::Entry,
    lock::LockMode,
    notice::Subject,
    params::{Rules, Schedule},
    signing::{
        keys::Keypair,
        session::{Scope, SessionAuthorisation, SignedSession},
    },
};
use covey_protocol::{Hash, Identity};
use proptest::prelude::*;

use crate::common::{RUN, T, check, genesis, hotkey};

/// Six people of the genesis, on both curves, and three that nobody has heard of.
const KEYS: usize = 9;
const TEMPO: u64 = 60;

pub fn keys() -> &'static [Keypair] {
    static KEYS_ONCE: OnceLock<Vec<Keypair>> = OnceLock::new();
    KEYS_ONCE.get_or_init(|| {
        let named = [
            "//Alice",
            "//Bob",
            "//Charlie",
            "//Dave",
            "//Eve",
            "//Ferdie",
        ];
        let named = named.map(|name| Keypair::from_suri(KeyType::Sr25519, name).unwrap());
        let others = [KeyType::Sr25519, KeyType::Ed25519, KeyType::Ed25519];
        let others = (50..).zip(others);
        let others = others.map(|(n, kind)| Keypair::from_seed(kind, [n; 32]));
        named.into_iter().chain(others).collect()
    })
}

pub fn who(n: u8) -> AccountId {
    keys()[usize::from(n) % KEYS].account()
}

fn tab(n: u8) -> Identity {
    Identity::from_secret([100 + n % 3; 32])
}

/// Managers, people as their own hotkeys, tabs, and keys nobody has registered.
fn manager(n: u8) -> AccountId {
    match n % 16 {
        n @ 0..=3 => hotkey(n + 1),
        n @ 4..=12 => who(n - 4),
        n @ 13..=14 => AccountId(tab(n).id().0),
        _ => hotkey(77),
    }
}

/// How much, where it is not known yet of what.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Exactly(u64),
    /// Everything there is, and a bit more or less.
    All(i8),
    /// A part of everything, in 256ths.
    Part(u8),
}

impl Amount {
    fn of(self, all: u64) -> u64 {
        match self {
            Self::Exactly(amount) => amount,
            Self::All(more) => all.saturating_add_signed(more.into()),
            Self::Part(part) => (u128::from(all) * u128::from(part) / 256) as u64,
        }
    }
}

/// One abstract move.
#[derive(Clone, Debug)]
pub enum Move {
    Call {
        by: u8,
        kind: u8,
        a: u8,
        b: u8,
        c: u8,
        amount: Amount,
        flag: bool,
    },
    Session {
        wallet: u8,
        tab: u8,
    },
    /// Blocks to let pass.
    Wait(u64),
}

pub fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        2 => prop_oneof![Just(0), Just(1), Just(99), Just(2_000_000), Just(u64::MAX), any::<u64>()]
            .prop_map(Amount::Exactly),
        2 => (1..2000_u64).prop_map(|whole| Amount::Exactly(whole * T / 4)),
        3 => (-1..=1_i8).prop_map(Amount::All),
        5 => (1..=255_u8).prop_map(Amount::Part),
    ]
}

pub const KINDS: u8 = 30;

pub fn moves(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Move>> {
    let call = |kinds: std::ops::Range<u8>| {
        (
            0..KEYS as u8,
            kinds,
            any::<[u8; 3]>(),
            amounts(),
            any::<bool>(),
        )
            .prop_map(|(by, kind, [a, b, c], amount, flag)| Move::Call {
                by,
                kind,
                a,
                b,
                c,
                amount,
                flag,
            })
    };
    let step = prop_oneof![
        16 => call(0..KINDS),
        // Proposals need several keys to agree before anything happens.
        4 => call(24..27),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(wallet, tab)| Move::Session { wallet, tab }),
        4 => prop_oneof![1..10_u64, 30..200_u64, Just(TEMPO), 1000..3000_u64].prop_map(Move::Wait),
    ];
    prop::collection::vec(step, length)
}

/// A run in which everything happens soon, with three subnets and several managers.
pub fn base() -> (Ledger, Vec<Entry>) {
    static BASE: OnceLock<(Ledger, Vec<Entry>)> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut genesis = genesis();
        genesis.schedule = Schedule {
            tempo: TEMPO,
            ownership_age: 200,
            least_notice: 10,
            ..Schedule::default()
        };
        genesis.rules = Rules {
            lock_rates: Rates {
                unlock: 900,
                maturity: 300,
            },
            unlock_cliff: 90,
            unlock_release: 200,
            takeover_notice: 120,
            governance_notice: 50,
            proposal_lifetime: 1500,
            take_raise_interval: 100,
            coldkey_swap_delay: 40,
            subnet_cost: Rao(10 * T),
            ..Rules::default()
        };
        // Enough for subnets of their own.
        for (_, balance) in &mut genesis.accounts {
            balance.0 *= 1000;
        }
        genesis.roles.push((Role::ParameterSetter, who(1)));
        let (ledger, first) = Ledger::new(genesis).unwrap();
        let mut play = Play::new(ledger, vec![first]);
        for (by, netuid_owner_key) in [(1, hotkey(2)), (2, hotkey(3))] {
            let done = play.call(
                by,
                Call::RegisterNetwork {
                    hotkey: netuid_owner_key,
                },
            );
            assert_eq!(done, Ok(()));
        }
        // Dave and Eve validate under their own keys.
        for by in [3, 4] {
            for netuid in [RUN, NetUid(2)] {
                let hotkey = who(by);
                assert_eq!(
                    play.call(by, Call::BurnedRegister { netuid, hotkey }),
                    Ok(())
                );
                let amount_staked = Rao(100 * T);
                assert_eq!(
                    play.call(
                        by,
                        Call::AddStake {
                            hotkey,
                            netuid,
                            amount_staked
                        }
                    ),
                    Ok(())
                );
            }
        }
        for by in 0..4 {
            let done = play.call(by, Call::SetRejectLockedAlpha { enabled: false });
            assert_eq!(done, Ok(()));
        }
        (play.ledger, play.entries)
    })
    .clone()
}

/// A game being played, and what an observer of its events knows.
pub struct Play {
    pub ledger: Ledger,
    pub entries: Vec<Entry>,
    /// Successes by name of call.
    pub done: BTreeMap<String, usize>,
    /// TAO and alpha of each epoch that was paid, by height and subnet.
    pub paid: Vec<(u64, NetUid, Rao, Alpha)>,
    /// Whom a coldkey swap was announced to.
    announced: BTreeMap<AccountId, AccountId>,
    sessions: u64,
    /// Who has approved a proposal, and since when it can be carried out.
    approvals: BTreeMap<u64, BTreeSet<AccountId>>,
    ready: BTreeMap<u64, u64>,
    /// Whose lock on a subnet may have decayed.
    decayed: BTreeSet<(NetUid, AccountId)>,
    pub takeovers: usize,
    pub executed: usize,
    pub locked_transfers: usize,
}

impl Play {
    pub fn new(ledger: Ledger, entries: Vec<Entry>) -> Self {
        Self {
            ledger,
            entries,
            done: BTreeMap::new(),
            paid: Vec::new(),
            announced: BTreeMap::new(),
            sessions: 0,
            approvals: BTreeMap::new(),
            ready: BTreeMap::new(),
            decayed: BTreeSet::new(),
            takeovers: 0,
            executed: 0,
            locked_transfers: 0,
        }
    }

    pub fn step(&mut self, step: &Move) {
        match step {
            Move::Wait(blocks) => self.wait(*blocks),
            Move::Session { wallet, tab: key } => self.session(*wallet, *key),
            Move::Call {
                by,
                kind,
                a,
                b,
                c,
                amount,
                flag,
            } => {
                let call = self.concrete(*by, *kind, [*a, *b, *c], *amount, *flag);
                let target = match call {
                    Call::AnnounceColdkeySwap { .. } => Some(who(*a)),
                    _ => None,
                };
                if let (Ok(()), Some(target)) = (self.call(*by, call), target) {
                    self.announced.insert(who(*by), target);
                }
            }
        }
    }

    /// Signs and sends; gives the refusal's name.
    pub fn call(&mut self, by: u8, call: Call) -> Result<(), String> {
        let state = self.ledger.state();
        let key = &keys()[usize::from(by) % KEYS];
        let account = key.account();
        let action = Action {
            app: APP.to_owned(),
            chain: state.chain,
            account,
            nonce: state
                .accounts
                .get(&account)
                .map_or(0, |account| account.nonce),
            expires: state.height + 10,
            call,
        };
        let signature = key.sign_raw(&action.message().unwrap());
        let name = serde_json::to_value(&action.call).unwrap()["call"]
            .as_str()
            .unwrap()
            .to_owned();
        let signed = SignedAction {
            action,
            key: key.kind(),
            signature,
        };
        let before = self.ledger.clone();
        match self.ledger.action(before.state().height, signed) {
            Ok(applied) => {
                *self.done.entry(name).or_default() += 1;
                self.entries.push(applied.entry);
                self.observe(&before, &applied.events);
                self.nothing_minted(&before);
                Ok(())
            }
            Err(error) => {
                assert_eq!(self.ledger, before, "a refusal changes nothing: {error}");
                Err(error.name())
            }
        }
    }

    fn session(&mut self, wallet: u8, key: u8) {
        let (key, wallet) = (tab(key), &keys()[usize::from(wallet) % KEYS]);
        self.sessions += 1;
        let authorisation = SessionAuthorisation {
            domain: "covey.run".to_owned(),
            run: self.ledger.state().chain,
            coldkey: wallet.account(),
            session_key: AccountId(key.id().0),
            scope: Scope::Contribute,
            issued_at_ms: self.sessions,
            expires_at_ms: self.sessions + 1000,
            nonce: "a1".to_owned(),
        };
        let signed = SignedSession {
            wallet: wallet.kind(),
            wallet_signature: wallet.sign_raw(authorisation.message().as_bytes()),
            key_signature: authorisation.sign_with_key(&key),
            authorisation,
        };
        let before = self.ledger.clone();
        match self.ledger.session(before.state().height, signed) {
            Ok(applied) => {
                *self.done.entry("session".to_owned()).or_default() += 1;
                self.entries.push(applied.entry);
                self.observe(&before, &applied.events);
                self.nothing_minted(&before);
            }
            Err(_) => assert_eq!(self.ledger, before),
        }
    }

    pub fn wait(&mut self, blocks: u64) {
        let height = self.ledger.state().height + blocks;
        while self.ledger.next_epoch() <= height {
            let before = self.ledger.clone();
            let applied = self.ledger.epoch(height).unwrap();
            self.entries.push(applied.entry);
            self.observe(&before, &applied.events);
            self.minted(&before, &applied.events);
        }
        if self.ledger.state().height < height {
            let applied = self.ledger.clock(height).unwrap();
            self.entries.push(applied.entry);
        }
        check(&self.ledger);
    }

    /// No action makes TAO or alpha.
    fn nothing_minted(&self, before: &Ledger) {
        let gross = |ledger: &Ledger| ledger.state().issuance.0 + ledger.state().recycled.0;
        assert_eq!(gross(&self.ledger), gross(before), "an action minted TAO");
        for (netuid, was) in before.state().subnets.iter() {
            let is = self.ledger.state().subnets.get(netuid).unwrap();
            let alpha = |s: &covey_ledger::state::Subnet| s.pool.alpha + s.alpha_out.0;
            assert_eq!(alpha(is), alpha(was), "an action minted alpha");
        }
    }

    /// An epoch mints what the schedule says, and says what it minted.
    fn minted(&mut self, before: &Ledger, events: &[Event]) {
        use covey_ledger::emission::minted;
        let (was, is) = (before.state(), self.ledger.state());
        let schedule = &is.schedule;
        let mut tao = 0;
        for event in events {
            let Event::EpochPaid {
                netuid,
                height,
                owner_cut,
                incentive,
                dividends,
                tao: part,
            } = event
            else {
                continue;
            };
            tao += part.0;
            let old = &was.subnets.get(netuid).unwrap();
            let new = &is.subnets.get(netuid).unwrap();
            let issued = old.pool.alpha + old.alpha_out.0;
            let due = minted(
                issued,
                schedule.supply_limit,
                schedule.alpha_per_block.0,
                TEMPO,
            );
            let divided = owner_cut.0 + incentive.0 + dividends.0;
            assert!(
                divided <= old.pending.0 + due,
                "no more than the curve gives"
            );
            let outside = new.alpha_out.0 - old.alpha_out.0;
            assert!(outside >= due, "alpha is minted whatever happens");
            self.paid.push((*height, *netuid, *part, Alpha(due)));
        }
        assert_eq!(
            is.issuance.0 + is.recycled.0,
            was.issuance.0 + was.recycled.0 + tao
        );
        let due = minted(
            was.issuance.0,
            schedule.supply_limit,
            schedule.tao_per_block.0,
            TEMPO,
        );
        assert!(tao <= due, "no more than the curve gives");
    }

    fn observe(&mut self, before: &Ledger, events: &[Event]) {
        check(&self.ledger);
        let height = self.ledger.state().height;
        for event in events {
            match event {
                Event::Approved { proposal, by } => {
                    self.approvals.entry(*proposal).or_default().insert(*by);
                }
                Event::ApprovalWithdrawn { proposal, by } => {
                    self.approvals.entry(*proposal).or_default().remove(by);
                }
                Event::ProposalReady { proposal, earliest } => {
                    let notice = before.state().rules.governance_notice;
                    // An epoch may carry out a shorter notice first.
                    let now = self.ledger.state().rules.governance_notice;
                    assert!(*earliest >= height + notice.min(now));
                    self.ready.insert(*proposal, *earliest);
                }
                Event::Executed { proposal, effect } => {
                    self.executed += 1;
                    let keys = self.approvals.get(proposal).map_or(0, BTreeSet::len);
                    assert!(keys >= 2, "one key carried {effect:?} out");
                    assert!(keys >= usize::from(before.state().governance.threshold.min(2)));
                    assert!(self.ready[proposal] <= height, "{effect:?} came early");
                    let old = before.state().governance.proposals.get(proposal).unwrap();
                    let notice = before.state().notices.get(old.notice).unwrap();
                    assert_eq!(notice.earliest, Some(self.ready[proposal]));
                    assert!(matches!(notice.subject, Subject::Governance { .. }));
                }
                Event::ColdkeySwapped {
                    old_coldkey,
                    new_coldkey,
                } => {
                    for keys in self.approvals.values_mut() {
                        if keys.remove(old_coldkey) {
                            keys.insert(*new_coldkey);
                        }
                    }
                    for netuid in self.ledger.state().subnets.keys() {
                        if self.decayed.contains(&(*netuid, *old_coldkey)) {
                            self.decayed.insert((*netuid, *new_coldkey));
                        }
                    }
                }
                Event::StakeTransferred {
                    origin_coldkey,
                    destination_coldkey,
                    netuid,
                    locked,
                    ..
                } if !locked.is_zero() => {
                    self.locked_transfers += 1;
                    if self.decayed.contains(&(*netuid, *origin_coldkey)) {
                        self.decayed.insert((*netuid, *destination_coldkey));
                    }
                    let notice = |subject: &Subject| matches!(subject, Subject::LockedTransfer { amount, .. } if amount == locked);
                    assert!(
                        self.ledger
                            .state()
                            .notices
                            .iter()
                            .any(|n| notice(&n.subject))
                    );
                }
                Event::StakeUnlocked {
                    coldkey,
                    netuid,
                    amount,
                    cliff,
                    end,
                    ..
                } => {
                    let subject = Subject::Unlock {
                        netuid: *netuid,
                        coldkey: *coldkey,
                        amount: *amount,
                        end: *end,
                    };
                    let notice = self.ledger.state().notices.iter().next_back().unwrap();
                    assert_eq!((&notice.subject, notice.earliest), (&subject, Some(*cliff)));
                }
                Event::SubnetOwnerChanged { .. } => self.takeovers += 1,
                _ => {}
            }
        }
        self.privileges(before, events);
        self.convictions();
    }

    /// Rules, council and roles change by what governance carried out and by nothing else.
    fn privileges(&self, before: &Ledger, events: &[Event]) {
        let (was, is) = (before.state(), self.ledger.state());
        let executed = |wanted: fn(&Effect) -> bool| {
            events
                .iter()
                .any(|event| matches!(event, Event::Executed { effect, .. } if wanted(effect)))
        };
        let swapped = events
            .iter()
            .any(|event| matches!(event, Event::ColdkeySwapped { .. }));
        let resigned = events
            .iter()
            .any(|event| matches!(event, Event::RoleResigned { .. }));
        assert_eq!(is.schedule, was.schedule, "the schedule is for ever");
        if is.rules != was.rules {
            assert!(executed(|effect| matches!(effect, Effect::SetRule(_))));
        }
        let (new, old) = (&is.governance, &was.governance);
        assert!(new.threshold >= 2);
        if new.threshold != old.threshold || (new.council != old.council && !swapped) {
            assert!(executed(|effect| matches!(
                effect,
                Effect::ChangeCouncil { .. }
            )));
        }
        if new.roles != old.roles && !swapped && !resigned {
            let role = |effect: &Effect| {
                matches!(
                    effect,
                    Effect::AssignRole { .. } | Effect::RemoveRole { .. }
                )
            };
            assert!(executed(role));
        }
    }

    /// Conviction of a lock that never decayed stays within its mass.
    fn convictions(&mut self) {
        let state = self.ledger.state();
        for (netuid, subnet) in state.subnets.iter() {
            for (coldkey, lock) in subnet.locks.iter() {
                let id = (*netuid, *coldkey);
                if lock.mode != LockMode::Perpetual {
                    self.decayed.insert(id);
                }
                let lock = subnet.lock(coldkey, state.height).unwrap();
                if !self.decayed.contains(&id) {
                    assert!(lock.conviction <= U64F64::from_num(lock.mass.0), "{lock:?}");
                }
            }
        }
    }

    fn concrete(&self, by: u8, kind: u8, [a, b, c]: [u8; 3], amount: Amount, flag: bool) -> Call {
        let state = self.ledger.state();
        let me = who(by);
        // Mostly what exists.
        let netuid = |n: u8| {
            NetUid(if n.is_multiple_of(32) {
                9
            } else {
                u16::from(n % 3) + 1
            })
        };
        let hotkeys: Vec<AccountId> = state.hotkeys.keys().copied().collect();
        let known = |n: u8| match hotkeys.get(usize::from(n) % hotkeys.len()) {
            Some(hotkey) if !n.is_multiple_of(16) => *hotkey,
            _ => manager(n),
        };
        let balance = state
            .accounts
            .get(&me)
            .map_or(0, |account| account.balance.0);
        // Mostly a place where the account has something.
        let places: Vec<(NetUid, AccountId, u64)> = state
            .subnets
            .iter()
            .flat_map(|(netuid, subnet)| {
                let stakes = subnet.stakes.iter();
                stakes.map(move |(hotkey, pool)| (*netuid, *hotkey, pool.stake(&me).0))
            })
            .filter(|(_, _, stake)| *stake > 0)
            .collect();
        let somewhere = (netuid(a), manager(b), 1_000_000);
        let (at, hotkey, staked) = match places.len() {
            0 => somewhere,
            _ if c % 8 == 0 => somewhere,
            n => places[usize::from(b) % n],
        };
        let place = state.subnets.get(&at);
        let lock = place.and_then(|place| place.lock(&me, state.height));
        let mass = lock.as_ref().map_or(0, |lock| lock.mass.0);
        let free = place.map_or(0, |place| place.available(&me, state.height).0);
        let price = place.map_or(0, |place| place.pool.price_rao());
        let above = Rao(price + price / 100 * u64::from(c % 64));
        let below = Rao(price - price / 100 * u64::from(c % 64));
        let tao = Rao(amount.of(balance));
        let alpha = Alpha(amount.of(if flag { free.min(staked) } else { staked }));
        let allow_partial = flag;
        match kind % KINDS {
            0 => Call::AddStake {
                hotkey: known(b),
                netuid: netuid(a),
                amount_staked: tao,
            },
            1 => Call::RemoveStake {
                hotkey,
                netuid: at,
                amount_unstaked: alpha,
            },
            2 => Call::AddStakeLimit {
                hotkey,
                netuid: at,
                amount_staked: tao,
                limit_price: above,
                allow_partial,
            },
            3 => Call::RemoveStakeLimit {
                hotkey,
                netuid: at,
                amount_unstaked: alpha,
                limit_price: below,
                allow_partial,
            },
            4 => Call::RemoveStakeFullLimit {
                hotkey,
                netuid: at,
                limit_price: flag.then_some(below),
            },
            5 => Call::MoveStake {
                origin_hotkey: hotkey,
                destination_hotkey: known(c),
                origin_netuid: at,
                destination_netuid: if flag { at } else { netuid(a) },
                alpha_amount: alpha,
            },
            6 => Call::SwapStake {
                hotkey,
                origin_netuid: at,
                destination_netuid: netuid(a),
                alpha_amount: alpha,
            },
            7 => Call::SwapStakeLimit {
                hotkey,
                origin_netuid: at,
                destination_netuid: netuid(a),
                alpha_amount: alpha,
                limit_price: Rao(u64::from(c) * T / 64),
                allow_partial,
            },
            8 => Call::TransferStake {
                destination_coldkey: who(c),
                hotkey,
                origin_netuid: at,
                destination_netuid: if flag { netuid(a) } else { at },
                alpha_amount: Alpha(amount.of(staked)),
            },
            9 => Call::UnstakeAll { hotkey },
            10 => Call::TransferKeepAlive {
                dest: who(a),
                value: tao,
            },
            11 | 12 => {
                let target = lock.filter(|_| !flag).map_or(hotkey, |lock| lock.hotkey);
                Call::LockStake {
                    hotkey: target,
                    netuid: at,
                    amount: Alpha(amount.of(free)),
                }
            }
            13 => Call::MoveLock {
                destination_hotkey: known(c),
                netuid: at,
            },
            14 => Call::SetPerpetualLock {
                netuid: at,
                enabled: flag,
            },
            15 => Call::SetRejectLockedAlpha {
                enabled: c % 4 == 0,
            },
            16 => Call::UnlockStake {
                netuid: at,
                amount: Alpha(amount.of(mass)),
            },
            17 => Call::BurnedRegister {
                netuid: netuid(a),
                hotkey: if flag { me } else { manager(b) },
            },
            18 => Call::RegisterNetwork { hotkey: manager(b) },
            19 => Call::IncreaseTake {
                hotkey: known(b),
                take: u16::from(c) * 47,
            },
            20 => Call::DecreaseTake {
                hotkey: known(b),
                take: u16::from(c) * 47,
            },
            21 => Call::AnnounceColdkeySwap {
                new_coldkey_hash: hash_of(&who(a)),
            },
            28 => Call::SetRevenueShare {
                netuid: netuid(a),
                partner: (!flag || c % 4 > 0).then(|| who(b)),
                share: u16::from(c) * 150,
            },
            22 => match c % 4 {
                0 => Call::CancelColdkeySwap {},
                _ => Call::SwapColdkeyAnnounced {
                    new_coldkey: self.announced.get(&me).copied().unwrap_or(who(a)),
                },
            },
            23 => {
                let mut weights: Vec<_> = [a, b, c].map(|n| (manager(n), u16::from(n))).to_vec();
                weights.sort();
                weights.dedup_by_key(|(key, _)| *key);
                if c % 16 == 0 {
                    weights.reverse();
                }
                Call::SetWeights {
                    netuid: netuid(a),
                    weights,
                }
            }
            24 => Call::Propose {
                effect: self.effect(a, b, c),
                reason: Hash([c; 32]),
            },
            25 | 26 => {
                let open: Vec<u64> = state.governance.proposals.keys().copied().collect();
                let proposal = match open.len() {
                    0 => u64::from(a),
                    n => open[usize::from(a) % n],
                };
                if b % 8 == 0 {
                    Call::WithdrawApproval { proposal }
                } else {
                    Call::Approve { proposal }
                }
            }
            27 => Call::ResignRole { role: role(a) },
            _ => Call::SwapColdkeyAnnounced {
                new_coldkey: self.announced.get(&me).copied().unwrap_or(who(a)),
            },
        }
    }

    fn effect(&self, a: u8, b: u8, c: u8) -> Effect {
        let holder = who(b);
        match a % 16 {
            0 | 1 => Effect::AssignRole {
                role: role(c),
                holder,
            },
            2 | 3 => Effect::RemoveRole {
                role: role(c),
                holder,
            },
            4 | 5 => Effect::ChangeCouncil {
                members: (b..b.saturating_add(3 + c % 3)).map(who).collect(),
                threshold: u16::from(c % 4),
            },
            6 => Effect::Deprecate {
                what: Hash([b; 32]),
            },
            n => Effect::SetRule(match n {
                7 => RuleChange::LockRates(Rates {
                    unlock: u64::from(b) * 9,
                    maturity: u64::from(c) * 3,
                }),
                8 => RuleChange::NewLocksDecay(b.is_multiple_of(2)),
                9 => RuleChange::UnlockCliff(u64::from(b)),
                10 => RuleChange::UnlockRelease(u64::from(b)),
                11 => RuleChange::TakeoverNotice(u64::from(b)),
                12 => RuleChange::GovernanceNotice(u64::from(b)),
                13 => RuleChange::MaxTake(u16::from(b) * 64),
                14 => RuleChange::RegistrationBurn {
                    min: Rao(u64::from(b)),
                    max: Rao(u64::from(c) * T),
                },
                _ => RuleChange::ColdkeySwapDelay(u64::from(b)),
            }),
        }
    }
}

fn role(n: u8) -> Role {
    [Role::Operator, Role::Moderator, Role::ParameterSetter][usize::from(n % 3)]
}
