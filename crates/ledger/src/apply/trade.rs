//! Trades with a subnet's pool, with everything that follows for supply (economics section 2.1).
//!
//! Fees are recycled: TAO fees leave the issuance and alpha fees are burned, since this ledger has no
//! block author to pay. Nobody gains by other people's trading.

use super::{recycle, subnet, subnet_mut};
use crate::{
    error::LedgerError,
    pool::{MAXIMUM_INPUT_RATIO, MINIMUM_RESERVE, Pool, PoolError, Swap},
    state::State,
    units::{Alpha, NetUid, Rao},
};

/// A price limit in rao per alpha, and whether part of the amount may do.
pub type Limit = Option<(Rao, bool)>;

/// Gives TAO to the pool; the alpha is outside it afterwards. The TAO was taken from somewhere before.
pub fn buy(state: &mut State, netuid: NetUid, tao: Rao) -> Result<Swap, LedgerError> {
    let swap = subnet(state, netuid)?.pool.buy(tao.0)?;
    bought(state, netuid, swap)
}

/// [`buy`] without a fee: the second half of a swap, and the protocol's own buying.
pub fn buy_free(state: &mut State, netuid: NetUid, tao: Rao) -> Result<Swap, LedgerError> {
    let swap = buy_free_of(&subnet(state, netuid)?.pool, tao.0)?;
    bought(state, netuid, swap)
}

/// What buying without a fee would do, behind the same guards as buying with one.
pub fn buy_free_of(pool: &Pool, tao: u64) -> Result<Swap, PoolError> {
    if pool.alpha < MINIMUM_RESERVE {
        return Err(PoolError::ReservesTooLow);
    }
    if tao > pool.tao.saturating_mul(MAXIMUM_INPUT_RATIO) {
        return Err(PoolError::InsufficientLiquidity);
    }
    let output = pool.curve_buy(tao)?;
    if output == 0 {
        return Err(PoolError::InsufficientInputAmount);
    }
    let left = pool.alpha.checked_sub(output);
    let left = left.filter(|left| *left >= MINIMUM_RESERVE);
    let after = Pool {
        alpha: left.ok_or(PoolError::InsufficientLiquidity)?,
        tao: pool
            .tao
            .checked_add(tao)
            .ok_or(PoolError::ReserveOverflow)?,
        ..*pool
    };
    Ok(Swap {
        input: tao,
        fee: 0,
        output,
        after,
    })
}

fn bought(state: &mut State, netuid: NetUid, swap: Swap) -> Result<Swap, LedgerError> {
    recycle(state, Rao(swap.fee))?;
    let subnet = subnet_mut(state, netuid)?;
    subnet.pool = swap.after;
    let out = subnet.alpha_out.checked_add(Alpha(swap.output));
    subnet.alpha_out = out.ok_or(LedgerError::Overflow)?;
    Ok(swap)
}

/// Gives alpha to the pool; the TAO is outside it afterwards.
pub fn sell(state: &mut State, netuid: NetUid, alpha: Alpha) -> Result<Swap, LedgerError> {
    let subnet = subnet_mut(state, netuid)?;
    let swap = subnet.pool.sell(alpha.0)?;
    subnet.pool = swap.after;
    // The fee stays outside the pool, where nobody can spend it.
    let into_pool = alpha.saturating_sub(Alpha(swap.fee));
    let out = subnet.alpha_out.checked_sub(into_pool);
    subnet.alpha_out = out.ok_or(LedgerError::Overflow)?;
    let burned = subnet.alpha_burned.checked_add(Alpha(swap.fee));
    subnet.alpha_burned = burned.ok_or(LedgerError::Overflow)?;
    Ok(swap)
}

/// How much of `amount` a limit allows, given the most it allows.
pub fn within(amount: u64, most: u64, partial: bool) -> Result<u64, LedgerError> {
    match amount.min(most) {
        0 => Err(LedgerError::PriceLimitExceeded),
        fits if fits == amount || partial => Ok(fits),
        _ => Err(LedgerError::SlippageTooHigh),
    }
}
