//! What the page may ask for, and what it is told.

use covey_protocol::{
    Hash, PartnerId, Round, SignatureBytes,
    http::{ErrorCode, HeldOut},
    record::ExclusionReason,
};
use serde::{Deserialize, Serialize};

use super::view::View;
use crate::witness::WitnessView;

/// From the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Intent {
    Start {
        /// Base URLs, tried in turn.
        coordinators: Vec<String>,
        #[serde(default)]
        backend: BackendChoice,
        #[serde(default = "full")]
        share: u8,
        /// Which of this browser's identities to use; tabs hold different ones.
        #[serde(default)]
        slot: u32,
        /// The site to credit. One that is no id, or that the operator does not know, is credited with
        /// nothing; the work is the same.
        #[serde(default)]
        partner: Option<String>,
        /// What [`Message::DeviceLost`] of the worker before this one said; else 0.
        #[serde(default)]
        devices_lost: u32,
    },
    Pause,
    Resume,
    Stop,
    Share {
        value: u8,
    },
    Environment(Environment),
    Override {
        reason: PauseReason,
        on: bool,
    },
    /// Score others' work, too, or nothing but that.
    Validate {
        on: bool,
        #[serde(default)]
        only: bool,
    },
    Sample {
        prompt: String,
        tokens: u32,
        temperature: f32,
    },
    /// Recompute the whole run, in place of contributing to it.
    Witness {
        /// Base URLs, tried in turn.
        coordinators: Vec<String>,
    },
    Forget,
    ExportIdentity,
    /// Sign a session authorisation with this tab's key.
    SignSession {
        text: String,
    },
}

fn full() -> u8 {
    100
}

/// What the volunteer wants to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    #[default]
    Auto,
    WebGpu,
    Flex,
}

/// Facts only the page can observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub on_battery: bool,
    pub metered: bool,
    /// Another tab of this browser holds the right to work.
    pub other_tab: bool,
    pub hidden: bool,
    pub online: bool,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            on_battery: false,
            metered: false,
            other_tab: false,
            hidden: false,
            online: true,
        }
    }
}

/// Why no work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    User,
    Battery,
    Metered,
    OtherTab,
    Offline,
}

/// To the page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    View {
        view: Box<View>,
    },
    /// The volunteer's own training loss.
    Loss {
        /// Counted over the run.
        step: u64,
        loss: f32,
        tokens: u64,
    },
    HeldOut(HeldOut),
    /// Where a replay of the whole run is.
    Witness {
        witness: Box<WitnessView>,
    },
    Receipt {
        receipt: ReceiptView,
    },
    Rejected {
        round: Round,
        code: ErrorCode,
        message: String,
    },
    /// A contribution with a receipt was left out of the merge.
    LeftOut {
        round: Round,
        packet: Hash,
        reason: ExclusionReason,
        message: &'static str,
    },
    Sample {
        text: String,
        done: bool,
        error: Option<String>,
    },
    Identity {
        secret_hex: String,
    },
    SessionSignature {
        signature: Option<SignatureBytes>,
        error: Option<String>,
    },
    /// The graphics device is gone, and no worker can open a second one: the page starts another worker
    /// with the same wishes. Everything up to the last finished round is stored.
    DeviceLost {
        /// Milliseconds to wait first.
        retry_in_ms: f64,
        /// For the next worker's [`Intent::Start`].
        devices_lost: u32,
        message: String,
    },
    /// Nothing more will happen until the volunteer acts.
    Fatal {
        code: &'static str,
        message: String,
        remedy: &'static str,
    },
}

/// Sends a message to the page, as plain objects and numbers: no Map, no BigInt.
pub fn tell(listener: &js_sys::Function, message: &Message) {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    match message.serialize(&serializer) {
        Ok(value) => {
            if let Err(error) = listener.call1(&wasm_bindgen::JsValue::NULL, &value) {
                log::warn!("the page's listener failed: {error:?}");
            }
        }
        Err(error) => log::error!("a message could not be written: {error}"),
    }
}

/// A receipt as shown.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptView {
    pub round: Round,
    pub packet: Hash,
    pub tokens: u32,
    pub received_at_ms: u64,
    /// The site it is credited to.
    pub partner: Option<PartnerId>,
}
