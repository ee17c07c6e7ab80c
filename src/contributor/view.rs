//! The snapshot a page shows: plain data, sent whole when something changed.

use covey_protocol::{
    Hash, Round, VolunteerId,
    http::{HeldOut, RunInfo},
    partner::NoCredit,
    socket::{Backend, Presence},
};
use serde::Serialize;

use super::intents::PauseReason;

/// Where the volunteer's tab is in its cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Idle,
    Probing,
    Connecting,
    CatchingUp,
    Waiting,
    Training,
    Validating,
    Uploading,
    Applying,
    Paused,
    Recovering,
    Stopped,
    Failed,
}

/// Everything on the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    pub state: State,
    /// What is going on, as a sentence.
    pub status: String,
    pub pauses: Vec<PauseView>,
    pub overrides: Vec<PauseReason>,
    pub backend: Option<BackendView>,
    pub volunteer: Option<VolunteerId>,
    pub run: Option<RunView>,
    pub round: Option<Round>,
    pub step: u32,
    pub steps: u32,
    /// Milliseconds since 1970 by [`now_ms`](super::platform::now_ms).
    pub deadline_ms: Option<f64>,
    pub theta: Option<Hash>,
    /// The round `theta` is the base of.
    pub theta_round: Option<Round>,
    pub tokens_per_second: f32,
    pub tokens_total: u64,
    pub rounds_contributed: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    pub share: u8,
    pub unigram_entropy: Option<f64>,
    pub held_out: Vec<HeldOut>,
    pub peers: PeersView,
    pub connection: ConnectionView,
    pub validation: ValidationView,
    /// The site the page named; absent when it named none or the coordinator has not answered.
    pub credit: Option<CreditView>,
    pub resumed: Option<String>,
    /// The run's newest change of coordinator.
    pub handover: Option<HandoverView>,
    /// What this tab recomputed and found otherwise, as a sentence.
    pub disagreement: Option<String>,
}

/// A change of coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandoverView {
    pub old: VolunteerId,
    pub new: VolunteerId,
    /// The first round of the new one.
    pub round: Round,
    /// Whether this browser knew the old one.
    pub changed_here: bool,
}

/// One reason for not working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseView {
    pub reason: PauseReason,
    pub text: &'static str,
    /// Whether the volunteer may work anyway.
    #[serde(rename = "override")]
    pub may_override: bool,
}

/// What the tab computes on and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendView {
    pub name: Backend,
    pub reason: String,
    pub adapter: Option<String>,
    /// Milliseconds of one inner step of one sequence in the probe.
    pub webgpu_ms: Option<f64>,
    pub flex_ms: Option<f64>,
    pub forced: bool,
}

/// The run in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunView {
    pub id: Hash,
    pub coordinator: VolunteerId,
    pub name: String,
    pub parameters: u64,
    pub context: usize,
    pub vocabulary: usize,
    pub inner_steps: u32,
    pub summary: String,
}

impl RunView {
    pub fn of(info: &RunInfo) -> Self {
        let model = &info.spec.model;
        Self {
            id: info.run,
            coordinator: info.coordinator,
            name: info.spec.name.clone(),
            parameters: model.parameters(),
            context: model.context,
            vocabulary: model.vocabulary,
            inner_steps: info.spec.inner.steps,
            summary: format!(
                "{} layers x {} wide, {} query and {} key heads",
                model.layers, model.width, model.heads, model.kv_heads
            ),
        }
    }
}

/// Who else is here.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PeersView {
    pub total: u32,
    pub volunteers: Vec<Presence>,
}

/// Scoring others' work.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ValidationView {
    pub on: bool,
    /// Nothing is trained here.
    pub only: bool,
    /// Whether the key has stake and a permit.
    pub active: bool,
    /// Why it is active or not, as a sentence; empty while it is off.
    pub status: String,
    /// On this tab's key, in base units.
    pub stake: Option<String>,
    /// Rounds and packets scored in this visit.
    pub rounds: u64,
    pub packets: u64,
    /// Height at which its key last set weights.
    pub weights_set: Option<u64>,
}

/// Whether the site that the page named is credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreditView {
    pub partner: String,
    /// Why it is not.
    pub refused: Option<NoCredit>,
    /// That in words.
    pub message: Option<&'static str>,
}

impl CreditView {
    pub fn of(partner: String, refused: Option<NoCredit>) -> Self {
        Self {
            partner,
            refused,
            message: refused.map(NoCredit::explanation),
        }
    }
}

/// The control socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConnectionView {
    pub url: Option<String>,
    pub connected: bool,
    pub attempt: u32,
    /// Milliseconds since 1970 by [`now_ms`](super::platform::now_ms).
    pub retry_at_ms: Option<f64>,
    pub error: Option<String>,
}
