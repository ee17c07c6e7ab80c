//! `a * b / c` without overflow in between.

use ruint::aliases::U256;

/// `floor(a * b / c)`, at most `u128::MAX`; `u128::MAX` where `c` is zero.
#[must_use]
pub fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    if c == 0 {
        return u128::MAX;
    }
    // Two u128 always fit into 256 bits.
    let product = U256::from(a).wrapping_mul(U256::from(b));
    u128::try_from(product / U256::from(c)).unwrap_or(u128::MAX)
}

/// [`mul_div`] for amounts.
#[must_use]
pub fn share_of(total: u64, part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 0;
    }
    let share = u128::from(total) * u128::from(part) / u128::from(whole);
    u64::try_from(share).unwrap_or(u64::MAX)
}
