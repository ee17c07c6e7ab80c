//! A checked copy of the ledger: opened from a snapshot that the journal vouches for, kept up with new
//! entries, and asked for views.
//!
//! What a reader would get wrong: heights. The page's clock runs on between entries, so a view may be
//! asked for a height past the last entry. Locks are rolled to it; what only an epoch changes is as the
//! last epoch left it. A draft goes further and runs the epochs that are due first, on a copy.

use std::borrow::Cow;

use covey_ledger::{
    AccountId, Height, KeyType, Ledger,
    call::{Action, Call, SignedAction},
    journal::{Body, JournalError, Line, MAX_LINE},
    state::State,
};
use serde::Serialize;

use crate::{
    error::WalletError,
    session::wallet_signature_of,
    view::{
        self,
        draft::Draft,
        head::Head,
        history::{self, LogItem},
        managers::Manager,
        notices::Notices,
        overview::Overview,
        ownership::Ownership,
        projection::Projection,
        quote::{Quote, Side},
    },
};

/// Most epochs a draft runs on its copy before it gives up: about three months of an idle coordinator.
const MOST_EPOCHS: u64 = 2000;

/// The copy.
#[derive(Clone, Debug)]
pub struct Wallet {
    ledger: Ledger,
}

/// What [`Wallet::apply`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// How many entries.
    pub entries: u64,
    pub log: Vec<LogItem>,
}

impl Wallet {
    /// Opens the body of `GET /v1/ledger/snapshot`: an entry's line, a line feed, the snapshot's bytes.
    ///
    /// # Errors
    /// When it is not that, or the entry does not vouch for the bytes.
    pub fn open(snapshot: &[u8]) -> Result<Self, WalletError> {
        let unreadable = |why: &str| WalletError::Unreadable(why.to_owned());
        let searched = snapshot.get(..=MAX_LINE).unwrap_or(snapshot);
        let end = searched
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| unreadable("a snapshot begins with a line of the journal"))?;
        let (line, rest) = snapshot.split_at(end);
        let bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
        let text = str::from_utf8(line).map_err(|_| unreadable("the entry's line is not text"))?;
        let Line { entry, .. } = read_line(text)?;
        let ledger = match &entry.body {
            Body::Genesis(_) if bytes.is_empty() => Ledger::from_genesis(&entry)?,
            _ => Ledger::from_snapshot(bytes, &entry)?,
        };
        Ok(Self { ledger })
    }

    /// A copy of a ledger that is at hand.
    #[must_use]
    pub fn from_ledger(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn state(&self) -> &State {
        self.ledger.state()
    }

    /// Applies lines of the journal in order, checking every hash, signature and rule. Lines it has
    /// already are passed over, so that the socket and a fetch may overlap.
    ///
    /// # Errors
    /// The first wrong line; those before it stay applied.
    pub fn apply(&mut self, lines: &str) -> Result<Applied, WalletError> {
        let mut log = Vec::new();
        for text in lines.split('\n').filter(|line| !line.is_empty()) {
            let expected = self.ledger.len();
            let line = match Line::parse(text, expected) {
                Err(JournalError::Order { found, .. }) if found < expected => {
                    let line = Line::parse(text, found)?;
                    // Of the lines passed over, the last is the one whose hash is still known.
                    if found.saturating_add(1) == expected && line.hash != self.ledger.head() {
                        return Err(JournalError::Hash(found).into());
                    }
                    continue;
                }
                line => line?,
            };
            let applied = self.ledger.replay(&line.entry)?;
            log.push(history::log_item(&applied));
        }
        Ok(Applied {
            entries: log.len() as u64,
            log,
        })
    }

    /// Where the copy is.
    #[must_use]
    pub fn head(&self) -> Head {
        Head::of(&self.ledger)
    }

    /// What an account has.
    #[must_use]
    pub fn overview(&self, account: &AccountId, height: Height) -> Overview {
        view::overview::of(&self.at(height), account)
    }

    /// Everybody who can be staked on.
    #[must_use]
    pub fn managers(&self, height: Height) -> Vec<Manager> {
        view::managers::of(&self.at(height))
    }

    /// Who owns the run and who could.
    #[must_use]
    pub fn ownership(&self, height: Height) -> Ownership {
        view::ownership::of(&self.at(height))
    }

    /// Everything that was announced.
    #[must_use]
    pub fn notices(&self, height: Height) -> Notices {
        view::notices::of(&self.at(height))
    }

    /// What a trade would bring; `amount` in base units of what is given.
    ///
    /// # Errors
    /// Why the pool refuses it.
    pub fn quote(&self, side: Side, amount: u64, tolerance: f64) -> Result<Quote, WalletError> {
        view::quote::of(self.state(), side, amount, tolerance)
    }

    /// A lock over time, with and without a call.
    ///
    /// # Errors
    /// Why the ledger refuses the call.
    pub fn projection(
        &self,
        account: AccountId,
        call: Option<&Call>,
        height: Height,
        span: u64,
    ) -> Result<Projection, WalletError> {
        let (state, _) = self.foresee(height)?;
        view::projection::of(&state, account, call, span)
    }

    /// What a call would do, and the action to sign for it.
    ///
    /// # Errors
    /// Why the ledger refuses it; [`WalletError::Behind`].
    pub fn draft(
        &self,
        account: AccountId,
        call: Call,
        height: Height,
    ) -> Result<Draft, WalletError> {
        let (state, epochs) = self.foresee(height)?;
        view::draft::of(&state, account, call, epochs)
    }

    /// Puts a wallet's signature to a draft's action and checks it; gives the body to post.
    ///
    /// # Errors
    /// When the signature is none or not this action's.
    pub fn seal(
        &self,
        action: Action,
        key: KeyType,
        signature: &str,
    ) -> Result<String, WalletError> {
        if action.chain != self.state().chain {
            return Err(WalletError::Chain);
        }
        let (key, signature) = wallet_signature_of(key, signature)?;
        let signed = SignedAction {
            action,
            key,
            signature,
        };
        signed.verify()?;
        Ok(serde_json::to_string(&signed)?)
    }

    /// The state at a height, as far as locks go.
    fn at(&self, height: Height) -> Cow<'_, State> {
        let state = self.state();
        if height <= state.height {
            return Cow::Borrowed(state);
        }
        Cow::Owned(State {
            height,
            ..state.clone()
        })
    }

    /// The state that an action would meet, and the epochs before it.
    fn foresee(&self, height: Height) -> Result<(State, u64), WalletError> {
        let foreseen = self.ledger.state_at(height, MOST_EPOCHS);
        foreseen.ok_or_else(|| {
            let state = self.state();
            let behind = height.saturating_sub(state.epoch) / state.schedule.tempo.max(1);
            WalletError::Behind(behind)
        })
    }
}

/// Reads a line of whatever index and checks its hash.
pub(crate) fn read_line(text: &str) -> Result<Line, WalletError> {
    match Line::parse(text, 0) {
        Err(JournalError::Order { found, .. }) => Ok(Line::parse(text, found)?),
        line => Ok(line?),
    }
}
