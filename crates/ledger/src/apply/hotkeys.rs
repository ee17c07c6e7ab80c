//! Hotkeys and subnets: registration, take, session keys (economics section 2.4).

use super::{account, debit, recycle, stake, subnet, subnet_mut};
use crate::{
    account::AccountId,
    error::LedgerError,
    event::Event,
    fixed::{U64F64, decay},
    map::{Map, Set},
    params::EIGHTEEN_PERCENT,
    pool::Pool,
    signing::session::SignedSession,
    state::{Hotkey, Session, State, Subnet},
    units::{Alpha, Height, NetUid, Rao},
    wide::mul_div,
};

/// Most subnets.
const MAX_SUBNETS: usize = 128;

/// A registration raises the next one's price by 26 %.
const BURN_STEP: (u64, u64) = (126, 100);

/// 360 blocks / ln 2, in thousandths of a block: the price halves every 360 blocks.
const BURN_TAU: u64 = 519_370;

/// Blocks over which a subnet's registration cost falls back by what it was.
const COST_INTERVAL: u64 = 100_800;

/// Price of the next registration of a hotkey.
#[must_use]
pub fn burn(subnet: &Subnet, bounds: (Rao, Rao), now: Height) -> Rao {
    let (price, at) = subnet.burn;
    let blocks = now.saturating_sub(at).saturating_mul(1000);
    let left = mul_div(
        u128::from(price.0),
        decay(blocks, BURN_TAU).to_bits(),
        1 << 64,
    );
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    Rao(left.min(bounds.1.0).max(bounds.0.0))
}

/// `burned_register`: a new hotkey becomes the signer's, and can set weights.
pub fn register(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let place = subnet(state, netuid)?;
    if place.neurons.contains(&hotkey) {
        return Err(LedgerError::HotKeyAlreadyRegisteredInSubNet);
    }
    let (now, bounds) = (state.height, state.rules.registration_burn);
    let burned = burn(place, bounds, now);
    own(state, coldkey, hotkey)?;
    debit(state, coldkey, burned)?;
    recycle(state, burned)?;
    // It will sign its weights itself, which takes a nonce.
    account(state, hotkey);
    let subnet = subnet_mut(state, netuid)?;
    let next = mul_div(u128::from(burned.0), BURN_STEP.0.into(), BURN_STEP.1.into());
    let next = u64::try_from(next).unwrap_or(u64::MAX).min(bounds.1.0);
    subnet.burn = (Rao(next), now);
    subnet.neurons.insert_mut(hotkey);
    events.push(Event::NeuronRegistered {
        netuid,
        hotkey,
        coldkey,
        burned,
    });
    Ok(())
}

/// Cost of the next subnet: twice the last, falling back linearly (section 2.4).
#[must_use]
pub fn network_cost(state: &State) -> Rao {
    let least = state.rules.subnet_cost;
    let last = state
        .subnets
        .values()
        .max_by_key(|subnet| subnet.registered);
    let cost = last.map_or(0, |last| {
        let fall = (last.cost.0 / COST_INTERVAL)
            .saturating_mul(state.height.saturating_sub(last.registered));
        last.cost.0.saturating_mul(2).saturating_sub(fall)
    });
    least.max(Rao(cost))
}

/// `register_network`: the cost becomes the pool; its owner gets no alpha.
pub fn register_network(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    if state.subnets.size() >= MAX_SUBNETS {
        return Err(LedgerError::SubnetLimitReached);
    }
    let last = state.subnets.last().map_or(0, |(netuid, _)| netuid.0);
    let netuid = NetUid(last.checked_add(1).ok_or(LedgerError::SubnetLimitReached)?);
    let cost = network_cost(state);
    own(state, coldkey, hotkey)?;
    debit(state, coldkey, cost)?;
    let pool = Pool::new(cost.0, cost.0, crate::pool::DEFAULT_QUOTE)?;
    let mut subnet = new_subnet(state, pool, cost, coldkey, hotkey);
    // Its share of emission has to be earned: the average starts at nothing, not at the price that the
    // cost alone made.
    subnet.price_average = U64F64::ZERO;
    state.subnets.insert_mut(netuid, subnet);
    events.push(Event::NetworkAdded {
        netuid,
        owner: coldkey,
        cost,
    });
    super::locks::make_perpetual(state, &coldkey);
    Ok(())
}

/// A subnet as it is on its first block.
pub(crate) fn new_subnet(
    state: &State,
    pool: Pool,
    cost: Rao,
    owner: AccountId,
    owner_hotkey: AccountId,
) -> Subnet {
    let mut neurons = Set::new_sync();
    neurons.insert_mut(owner_hotkey);
    Subnet {
        price_average: pool.price(),
        pool,
        registered: state.height,
        cost,
        owner,
        owner_hotkey,
        alpha_out: Alpha::ZERO,
        protocol_alpha: Alpha::ZERO,
        alpha_burned: Alpha::ZERO,
        pending: Alpha::ZERO,
        neurons,
        burn: (state.rules.registration_burn.0, state.height),
        stakes: Map::new_sync(),
        lock_choice: Map::new_sync(),
        locks: Map::new_sync(),
        weights: Map::new_sync(),
        bonds: Map::new_sync(),
        takeover: None,
        report: None,
    }
}

/// Makes sure the coldkey owns the hotkey; a new hotkey becomes its own.
pub(crate) fn own(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
) -> Result<(), LedgerError> {
    match state.owner_of(&hotkey) {
        Some(owner) if owner != coldkey => Err(LedgerError::NonAssociatedColdKey),
        Some(_) => Ok(()),
        None => {
            let take = EIGHTEEN_PERCENT.min(state.rules.max_take);
            let take_raised = None;
            state.hotkeys.insert_mut(
                hotkey,
                Hotkey {
                    coldkey,
                    take,
                    take_raised,
                },
            );
            account(state, coldkey);
            Ok(())
        }
    }
}

/// `increase_take`.
pub fn raise_take(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    take: u16,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let (now, most) = (state.height, state.rules.max_take);
    let interval = state.rules.take_raise_interval;
    let manager = owned(state, coldkey, hotkey)?;
    if take > most {
        return Err(LedgerError::DelegateTakeTooHigh);
    }
    if take <= manager.take {
        return Err(LedgerError::DelegateTakeTooLow);
    }
    if manager
        .take_raised
        .is_some_and(|at| now < at.saturating_add(interval))
    {
        return Err(LedgerError::DelegateTxRateLimitExceeded);
    }
    manager.take = take;
    manager.take_raised = Some(now);
    events.push(Event::TakeIncreased {
        coldkey,
        hotkey,
        take,
    });
    Ok(())
}

/// `decrease_take`, at any time.
pub fn lower_take(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
    take: u16,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let manager = owned(state, coldkey, hotkey)?;
    if take >= manager.take {
        return Err(LedgerError::DelegateTakeTooLow);
    }
    manager.take = take;
    events.push(Event::TakeDecreased {
        coldkey,
        hotkey,
        take,
    });
    Ok(())
}

fn owned(
    state: &mut State,
    coldkey: AccountId,
    hotkey: AccountId,
) -> Result<&mut Hotkey, LedgerError> {
    let manager = state.hotkeys.get_mut(&hotkey);
    let manager = manager.ok_or(LedgerError::HotKeyAccountNotExists(hotkey))?;
    if manager.coldkey != coldkey {
        return Err(LedgerError::NonAssociatedColdKey);
    }
    Ok(manager)
}

/// A session key that a wallet authorised, and that agreed with its own signature, works for that wallet
/// from now on. What the key had earned for itself goes along: this is how a page's own key hands over.
pub fn authorise(
    state: &mut State,
    signed: &SignedSession,
    events: &mut Vec<Event>,
) -> Result<(), LedgerError> {
    let session = &signed.authorisation;
    signed
        .verify_signatures(&state.chain)
        .map_err(|error| LedgerError::BadSession(error.to_string()))?;
    let (key, coldkey) = (session.session_key, session.coldkey);
    let issued_at_ms = session.issued_at_ms;
    let known = state.sessions.get(&key);
    if known.is_some_and(|known| known.issued_at_ms >= issued_at_ms) {
        let why = "a later authorisation of this key is in force".to_owned();
        return Err(LedgerError::BadSession(why));
    }
    // A hotkey that owns a subnet is a manager and not a tab's key.
    if state
        .subnets
        .values()
        .any(|subnet| subnet.owner_hotkey == key)
    {
        return Err(LedgerError::NonAssociatedColdKey);
    }
    account(state, coldkey);
    let alpha = hand_over(state, key, coldkey)?;
    // A registered hotkey is a manager, which people chose with its owner and its take: the session says
    // where it is paid for work, and nothing else.
    let manager = state.subnets.values().any(|s| s.neurons.contains(&key));
    if !manager {
        let (take, take_raised) = (0, None);
        state.hotkeys.insert_mut(
            key,
            Hotkey {
                coldkey,
                take,
                take_raised,
            },
        );
    }
    let expires_at_ms = session.expires_at_ms;
    let session = Session {
        coldkey,
        issued_at_ms,
        expires_at_ms,
    };
    state.sessions.insert_mut(key, session);
    events.push(Event::SessionAuthorised {
        session_key: key,
        coldkey,
        expires_at_ms,
        alpha,
    });
    Ok(())
}

/// Moves what a key earned on itself to a coldkey.
fn hand_over(state: &mut State, key: AccountId, coldkey: AccountId) -> Result<Alpha, LedgerError> {
    let netuids: Vec<NetUid> = state.subnets.keys().copied().collect();
    let mut sum = Alpha::ZERO;
    for netuid in netuids {
        let place = subnet(state, netuid)?;
        if place.locks.contains_key(&key) {
            return Err(LedgerError::ActiveLockExists);
        }
        let stake = place.stake(&key, &key);
        if !stake.is_zero() {
            stake::withdraw(state, netuid, key, key, stake)?;
            stake::deposit(state, netuid, key, coldkey, stake)?;
            sum = sum.checked_add(stake).ok_or(LedgerError::Overflow)?;
        }
    }
    Ok(sum)
}
