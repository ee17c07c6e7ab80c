//! Before a signature: a call run on a copy of the state, and what it changed, exactly.
//!
//! What a reader would get wrong: the effects are not a description of the call. They are the difference
//! between two states ([`effects`](super::effects)), so what a call does to anybody's balance, stake or
//! lock is shown whether or not somebody thought of it. And what is signed is the action that was run.

use covey_ledger::{
    AccountId, Height, LedgerError, apply,
    call::{APP, Action, Call},
    event::Event,
    state::State,
};
use serde::Serialize;

use super::{effects, warnings, words};
use crate::error::WalletError;

/// How long an action should be good, in seconds: long enough to find the wallet's password.
const LIFETIME_SECONDS: u64 = 600;

/// One line of before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectLine {
    pub label: String,
    pub before: String,
    pub after: String,
}

/// See `Draft` in `types.js`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    pub title: String,
    pub effects: Vec<EffectLine>,
    pub warnings: Vec<String>,
    /// What is signed.
    pub message: String,
    pub action: Action,
    pub expires: Height,
    /// The state after it, for whoever wants to look closer.
    #[serde(skip)]
    pub after: State,
}

/// A call as it was tried: what the texts are made from.
pub(crate) struct Tried<'a> {
    pub before: &'a State,
    pub after: &'a State,
    pub by: AccountId,
    pub call: &'a Call,
    pub events: &'a [Event],
}

/// Runs a call on a copy. `state` is at the height at which it would happen; `epochs` were run for that.
pub(crate) fn of(
    state: &State,
    account: AccountId,
    call: Call,
    epochs: u64,
) -> Result<Draft, WalletError> {
    let known = state.accounts.get(&account);
    let nonce = known.ok_or(LedgerError::UnknownAccount(account))?.nonce;
    let seconds = u64::from(state.schedule.block_seconds.max(1));
    let lifetime = (LIFETIME_SECONDS / seconds).max(2);
    let lifetime = lifetime.min(state.rules.max_action_lifetime);
    let expires = state.height.saturating_add(lifetime);
    let action = Action {
        app: APP.to_owned(),
        chain: state.chain,
        account,
        nonce,
        expires,
        call,
    };
    let message = action
        .message()
        .map_err(|error| WalletError::Unreadable(error.to_string()))?;
    let message = String::from_utf8(message)
        .map_err(|_| WalletError::Unreadable("the message is not text".to_owned()))?;
    let mut after = state.clone();
    let events = apply::action(&mut after, &action)?;
    let tried = Tried {
        before: state,
        after: &after,
        by: account,
        call: &action.call,
        events: &events,
    };
    let mut warnings = warnings::of(&tried);
    if epochs > 0 {
        let plural = if epochs == 1 { " is" } else { "s are" };
        warnings.push(format!(
            "{epochs} epoch{plural} due before this and not recorded yet; the numbers assume that \
             nothing else happens until then."
        ));
    }
    Ok(Draft {
        title: words::call(&action.call),
        effects: effects::of(&tried),
        warnings,
        message,
        action,
        expires,
        after,
    })
}
