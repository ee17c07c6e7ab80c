//! The coordinator's HTTP surface: paths and bodies.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | GET [`RUN`] | | [`RunInfo`] |
//! | GET [`RECORDS`]`?from=N` | | up to 64 [`SignedRecord`]s from round N |
//! | GET [`BLOBS`]`/{hash}` | | the bytes, immutable; ranges allowed |
//! | POST [`PACKETS`] | a sealed packet | [`Receipt`](crate::record::Receipt), or [`ErrorBody`] with a 4xx or 5xx |
//! | GET [`MODEL`] | | the current weights as SafeTensors |
//! | GET [`SCORES`] | | [`Scores`]: what everyone's work was worth |
//! | GET [`SOCKET`] | | upgrade to the control socket |
//!
//! Posting the same packet again answers with the same receipt.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Round, VolunteerId,
    record::{Checkpoint, ExclusionReason, SignedRecord},
    run::RunSpec,
};

pub const RUN: &str = "/v1/run";
pub const RECORDS: &str = "/v1/records";
pub const BLOBS: &str = "/v1/blobs";
pub const PACKETS: &str = "/v1/packets";
pub const SCORES: &str = "/v1/scores";
pub const MODEL: &str = "/v1/model.safetensors";
pub const SOCKET: &str = "/v1/socket";

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    pub protocol: u16,
    /// Hash of `spec`.
    pub run: Hash,
    pub spec: RunSpec,
    /// Signs records and receipts.
    pub coordinator: VolunteerId,
    /// The open round.
    pub round: Round,
    /// Its base weights.
    pub base: Hash,
    /// Newest weights that can be fetched whole.
    pub checkpoint: Checkpoint,
    /// Held-out loss after rounds, oldest first, thinned to at most 512 points.
    pub held_out: Vec<HeldOut>,
    /// Entropy of the held-out tokens' frequencies, nats per token.
    pub unigram_entropy: f64,
}

/// Loss on text nobody trains on, measured by the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// The round these weights are the base of.
    pub round: Round,
    /// Mean cross-entropy, nats per token.
    pub loss: f32,
}

/// Answer to [`RECORDS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Records {
    pub records: Vec<SignedRecord>,
}

/// Answer to [`SCORES`]: the coordinator's book, best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Rounds before this one are taken into account.
    pub round: Round,
    pub volunteers: Vec<Score>,
}

/// What one volunteer's work was worth so far (Gauntlet).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub volunteer: VolunteerId,
    /// Skill: mean and deviation of the rating.
    pub mu: f64,
    pub sigma: f64,
    /// Moving average of the proof of computation, in `-1..=1`.
    pub computation: f64,
    /// The final score, never negative.
    pub score: f64,
    /// Share of the incentive, the largest being 65535.
    pub weight: u16,
    /// Packets merged and left out.
    pub merged: u64,
    pub excluded: u64,
    /// Why its newest packet was left out; nothing if that was merged.
    pub last: Option<ExclusionReason>,
    /// Its packets are left out before this round.
    pub banned_until: Option<Round>,
    /// Rounds since it last took part.
    pub idle: u32,
}

/// Why something was refused, for a program and for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub code: ErrorCode,
    /// What happened and what to do next, in one or two sentences.
    pub message: String,
}

/// Everything a coordinator can refuse for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a valid message or packet.
    Malformed,
    TooLarge,
    /// The protocol is older or newer than this coordinator speaks.
    Protocol,
    /// A signature does not verify.
    Signature,
    /// The packet is for another run.
    WrongRun,
    /// The packet's round is closed: fetch the records and go on with the open one.
    StaleRound,
    /// The packet's round is not open yet.
    FutureRound,
    /// The packet was computed from other weights than the round's base: resynchronise.
    WrongBase,
    /// Another packet of this volunteer was already accepted in this round.
    Duplicate,
    /// The round has all the contributions it may merge.
    RoundFull,
    /// A newer session of the same identity took over: do not reconnect by yourself.
    Replaced,
    NotFound,
    /// Too many requests: wait and try again.
    Busy,
    /// The coordinator is stopping or its disk fails; nothing was accepted.
    Unavailable,
}
