//! People with wallets, who stake, lock, unlock and move over the same bad network. They sign once and send
//! the same bytes until they have an answer; some also send what is not signed rightly, or old.

use std::rc::Rc;

use covey_ledger::{
    AccountId, Alpha, KeyType, Ledger, Rao,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN as SUBNET,
    signing::keys::Keypair,
    units::UNIT,
};
use covey_protocol::Hash;

use crate::world::{Event, Peer, Reply, Request, World};

const ANSWER_MS: u64 = 8_000;
const PAUSE_MS: u64 = 240_000;

pub struct Wallet {
    me: usize,
    key: Keypair,
    pending: Option<(Hash, Rc<SignedAction>)>,
    /// An action that is done with, to be sent again out of malice.
    old: Option<(Hash, Rc<SignedAction>)>,
    /// Whether the pending action bears a signature that belongs to nothing.
    forged: bool,
    pub recorded: u64,
    pub declined: u64,
    /// Forged actions that are in the journal all the same.
    pub forgeries: u64,
}

pub fn key(number: usize) -> Keypair {
    let mut seed = [11; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Keypair::from_seed(KeyType::Ed25519, seed)
}

/// A hotkey that people stake on and nobody signs with.
pub fn manager(number: u8) -> AccountId {
    AccountId([0x20 + number; 32])
}

pub fn signed(key: &Keypair, action: Action) -> SignedAction {
    let message = action.message().unwrap_or_default();
    SignedAction {
        key: key.kind(),
        signature: key.sign_raw(&message),
        action,
    }
}

impl Wallet {
    pub fn new(me: usize, world: &mut World) -> Self {
        let first = world.dice.below(PAUSE_MS);
        world.after(first, Event::Wallet { who: me });
        Self {
            me,
            key: key(me),
            pending: None,
            old: None,
            forged: false,
            recorded: 0,
            declined: 0,
            forgeries: 0,
        }
    }

    /// It is time to do something, or to ask again. `ledger` is what the coordinator shows, if it is there.
    pub fn turn(&mut self, world: &mut World, ledger: Option<&Ledger>) {
        if self.pending.is_none()
            && let Some(ledger) = ledger
        {
            self.pending = self.wish(world, ledger);
        }
        if let Some((id, action)) = &self.pending {
            let (id, action) = (*id, Rc::clone(action));
            world.request(Peer::Wallet(self.me), Request::Act { id, action });
        }
        if world.dice.one_in(8)
            && let Some((id, action)) = &self.old
        {
            let (id, action) = (*id, Rc::clone(action));
            world.request(Peer::Wallet(self.me), Request::Act { id, action });
        }
        let wait = world.dice.delay(ANSWER_MS);
        world.after(wait, Event::Wallet { who: self.me });
    }

    pub fn told(&mut self, reply: &Reply) {
        let (id, recorded) = match reply {
            Reply::Recorded { id } => (id, true),
            Reply::Declined { id } => (id, false),
            _ => return,
        };
        if self.pending.as_ref().is_some_and(|(own, _)| own == id) {
            self.old = self.pending.take();
            self.forgeries += u64::from(recorded && self.forged);
            match recorded {
                true => self.recorded += 1,
                false => self.declined += 1,
            }
        }
    }

    fn wish(&mut self, world: &mut World, ledger: &Ledger) -> Option<(Hash, Rc<SignedAction>)> {
        if !world.dice.one_in(PAUSE_MS / ANSWER_MS) {
            return None;
        }
        let state = ledger.state();
        let account = self.key.account();
        let call = self.call(world);
        let action = Action {
            app: APP.to_owned(),
            chain: state.chain,
            account,
            nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
            expires: state.height.saturating_add(100),
            call,
        };
        let mut action = signed(&self.key, action);
        self.forged = world.dice.one_in(10);
        if self.forged {
            action.signature.0[5] ^= 1;
        }
        let mut name = self.me.to_le_bytes().to_vec();
        name.extend(world.now.to_le_bytes());
        name.extend(action.signature.0);
        Some((Hash::of(&name), Rc::new(action)))
    }

    fn call(&self, world: &mut World) -> Call {
        let netuid = SUBNET;
        let hotkeys = [
            crate::founding::coordinator().account(),
            manager(0),
            manager(1),
        ];
        let hotkey = *world.dice.pick(&hotkeys).unwrap_or(&hotkeys[0]);
        let other = *world.dice.pick(&hotkeys).unwrap_or(&hotkeys[1]);
        let amount = world.dice.between(1, 20) * UNIT + world.dice.below(UNIT);
        match world.dice.below(8) {
            0 | 1 => Call::AddStake {
                hotkey,
                netuid,
                amount_staked: Rao(amount),
            },
            2 => Call::RemoveStake {
                hotkey,
                netuid,
                amount_unstaked: Alpha(amount),
            },
            3 => Call::LockStake {
                hotkey,
                netuid,
                amount: Alpha(amount),
            },
            4 => Call::UnlockStake {
                netuid,
                amount: Alpha(amount / 2),
            },
            5 => Call::MoveStake {
                origin_hotkey: hotkey,
                destination_hotkey: other,
                origin_netuid: netuid,
                destination_netuid: netuid,
                alpha_amount: Alpha(amount),
            },
            6 => Call::MoveLock {
                destination_hotkey: other,
                netuid,
            },
            _ => Call::TransferKeepAlive {
                dest: key(world.dice.below(8) as usize).account(),
                value: Rao(amount),
            },
        }
    }
}
