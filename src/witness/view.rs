//! What the page shows of a run that is recomputed here.

use std::cell::RefCell;

use covey_protocol::{Hash, Round, VolunteerId, witness::Verdict};
use serde::Serialize;

use crate::contributor::intents::{Message, tell};

/// Where the replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody answered yet.
    #[default]
    Connecting,
    Rounds,
    Ledger,
    /// Everything there is was recomputed; it goes on with what comes.
    Level,
    /// Nobody answers; it is tried again.
    Waiting,
    /// Something is not so. Final.
    Disagrees,
    /// The run cannot be recomputed in a tab. Final.
    Refused,
    Stopped,
}

/// The whole of it, sent when it changed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WitnessView {
    pub state: State,
    /// One sentence in plain words.
    pub status: String,
    /// Signs the statements.
    pub witness: Option<VolunteerId>,
    /// Whether the next visit goes on where this one ends.
    pub durable: bool,
    pub run: Option<Hash>,
    pub name: String,
    pub parameters: u64,
    pub coordinator: Option<VolunteerId>,
    /// The round at which an earlier visit ended.
    pub resumed: Option<Round>,
    /// Rounds before this one are recomputed, of those that are closed.
    pub round: Round,
    pub rounds: Round,
    pub packets: u64,
    pub theta: Option<Hash>,
    pub entries: u64,
    pub entries_of: u64,
    pub bytes: u64,
    pub verdict: Option<Verdict>,
    /// The signed statement as JSON.
    pub statement: Option<String>,
    /// Whether the coordinator took the statement, and why it did not.
    pub listed: bool,
    pub refusal: Option<String>,
    /// Two signed records for one round, as JSON: they convict their signer by themselves.
    pub proof: Option<String>,
}

/// Shows the view to the page.
pub struct Show {
    listener: js_sys::Function,
    view: RefCell<WitnessView>,
}

impl Show {
    pub fn new(listener: js_sys::Function) -> Self {
        Self {
            listener,
            view: RefCell::default(),
        }
    }

    pub fn tell(&self, message: &Message) {
        tell(&self.listener, message);
    }

    pub fn change(&self, change: impl FnOnce(&mut WitnessView)) {
        change(&mut self.view.borrow_mut());
    }

    pub fn publish(&self) {
        let witness = Box::new(self.view.borrow().clone());
        self.tell(&Message::Witness { witness });
    }

    /// Says where it is, at once.
    pub fn enter(&self, state: State, status: impl Into<String>) {
        self.change(|view| {
            view.state = state;
            view.status = status.into();
        });
        self.publish();
    }
}
