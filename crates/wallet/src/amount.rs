//! Amounts and accounts between what people write and what the ledger takes. Both directions are exact:
//! an amount that does not fit nine decimals is refused, never rounded.

use covey_ledger::{
    AccountId, Rao,
    units::{UNIT, decimal},
};

use crate::error::WalletError;

/// `1.5` for `1500000000`.
///
/// # Errors
/// [`WalletError::Amount`] for anything but digits of a `u64`.
pub fn format(base_units: &str) -> Result<String, WalletError> {
    read(base_units).map(decimal)
}

/// `1500000000` for `1.5`.
///
/// # Errors
/// [`WalletError::Amount`] for anything but digits with at most nine decimals, up to what a `u64` holds.
pub fn parse(text: &str) -> Result<String, WalletError> {
    let Rao(units) = text.trim().parse().map_err(|_| {
        WalletError::Amount("an amount is digits with at most nine decimals, such as 1.25")
    })?;
    Ok(units.to_string())
}

/// Base units from a page's string.
///
/// # Errors
/// As [`format`].
pub fn read(base_units: &str) -> Result<u64, WalletError> {
    let refused =
        WalletError::Amount("an amount of base units is digits, up to 18446744073709551615");
    if base_units.is_empty() || !base_units.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused);
    }
    base_units.parse().map_err(|_| refused)
}

/// An account from whatever a person pastes or a wallet answers: an address of any Substrate network, or
/// the key itself as `0x` hex.
///
/// # Errors
/// [`WalletError::Account`], with what is wrong.
pub fn account(text: &str) -> Result<AccountId, WalletError> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        let key: covey_protocol::Hash = hex.to_ascii_lowercase().parse().map_err(|_| {
            WalletError::Account("a public key is 0x and 64 digits of hex".to_owned())
        })?;
        return Ok(AccountId(key.0));
    }
    AccountId::from_any_network(text).map_err(|error| WalletError::Account(error.to_string()))
}

/// A price in TAO per alpha, as words.
pub(crate) fn price(rao_per_alpha: u64) -> String {
    format!("{} TAO per alpha", decimal(rao_per_alpha))
}

/// `amount · price` in rao, rounded down, for a price in rao per alpha.
pub(crate) fn at_price(amount: u64, rao_per_alpha: u64) -> u64 {
    covey_ledger::wide::share_of(amount, rao_per_alpha, UNIT)
}
