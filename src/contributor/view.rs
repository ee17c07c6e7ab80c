//! The snapshot a page shows: plain data, sent whole when something changed.

use covey_protocol::{
    Hash, Round, VolunteerId,
    http::{HeldOut, RunInfo},
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
    pub resumed: Option<String>,
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
