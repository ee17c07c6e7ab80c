//! The coordinator's HTTP surface: paths and bodies.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | GET [`RUN`] | | [`RunInfo`] |
//! | GET [`RECORDS`]`?from=N` | | up to 64 [`SignedRecord`]s from round N |
//! | GET [`BLOBS`]`/{hash}` | | the bytes, immutable; ranges allowed |
//! | POST [`PACKETS`] | a sealed packet, committed to on the control socket | [`Receipt`](crate::record::Receipt), or [`ErrorBody`] with a 4xx or 5xx |
//! | GET [`MODEL`] | | the current weights as SafeTensors |
//! | GET [`SCORES`] | | [`Scores`]: what everyone's work was worth |
//! | GET [`VALIDATORS`]`/{id}` | | [`Task`](crate::validation::Task): how a key stands as a validator, and what it is to score |
//! | POST [`VALIDATIONS`] | a signed sheet of scores | `{sheet}`, its hash, or [`ErrorBody`] |
//! | GET [`VALIDATIONS`]`?from=N&validator=ID` | | [`Validations`](crate::validation::Validations) of rounds from N that take no more; of everyone or of one |
//! | GET [`WITNESSES`] | | [`Witnesses`](crate::witness::Witnesses): who recomputed the run, and how far |
//! | POST [`WITNESSES`] | [`SignedStatement`](crate::witness::SignedStatement) | nothing, or [`ErrorBody`] |
//! | GET [`PARTNERS`] | | [`Partners`](crate::partner::Partners): every partner and what its visitors did |
//! | GET [`PARTNERS`]`/{id}` | | [`PartnerView`](crate::partner::PartnerView) of one |
//! | GET [`SOCKET`] | | upgrade to the control socket |
//! | GET [`LEDGER`] | | [`LedgerHead`](crate::ledger::LedgerHead) |
//! | GET [`LEDGER_ENTRIES`]`?from=N` | | journal lines from entry N, at most [`MAX_LINES`](crate::limits::MAX_LINES) of them and [`MAX_LINES_BYTES`](crate::limits::MAX_LINES_BYTES); empty at the end |
//! | GET [`LEDGER_JOURNAL`] | | the whole journal as a file |
//! | GET [`LEDGER_SNAPSHOT`] | | the last epoch's line, a line feed, the state after it |
//! | POST [`LEDGER_ACTIONS`] | a signed action | `{line, events}`, or [`ErrorBody`] with the refusal's name |
//! | POST [`LEDGER_SESSIONS`] | a signed session | the same |
//! | GET [`LEDGER_HISTORY`]`?account=A&before=N` | | `{items: [{line, events}]}`, newest first |
//! | GET [`LEDGER_NOTICES`] | | Atom feed of what is announced |
//! | GET [`LEDGER_SOCKET`] | | upgrade to a socket that only tells |
//!
//! A mirror answers every GET and refuses everything else with [`ErrorCode::Mirror`].
//!
//! Posting the same packet, action or session again answers the same. The ledger's own formats are in
//! `covey-ledger`.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Round, VolunteerId,
    handover::SignedHandover,
    record::{Checkpoint, ExclusionReason, SignedRecord},
    run::RunSpec,
};

pub const RUN: &str = "/v1/run";
pub const RECORDS: &str = "/v1/records";
pub const BLOBS: &str = "/v1/blobs";
pub const PACKETS: &str = "/v1/packets";
pub const SCORES: &str = "/v1/scores";
pub const VALIDATORS: &str = "/v1/validators";
pub const VALIDATIONS: &str = "/v1/validations";
pub const PARTNERS: &str = "/v1/partners";
pub const MODEL: &str = "/v1/model.safetensors";
pub const WITNESSES: &str = "/v1/witnesses";
pub const SOCKET: &str = "/v1/socket";
pub const LEDGER: &str = "/v1/ledger";
pub const LEDGER_ENTRIES: &str = "/v1/ledger/entries";
pub const LEDGER_JOURNAL: &str = "/v1/ledger/journal";
pub const LEDGER_SNAPSHOT: &str = "/v1/ledger/snapshot";
pub const LEDGER_ACTIONS: &str = "/v1/ledger/actions";
pub const LEDGER_SESSIONS: &str = "/v1/ledger/sessions";
pub const LEDGER_HISTORY: &str = "/v1/ledger/history";
pub const LEDGER_NOTICES: &str = "/v1/ledger/notices.atom";
pub const LEDGER_SOCKET: &str = "/v1/ledger/socket";

/// A run as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    pub protocol: u16,
    /// Hash of `spec`.
    pub run: Hash,
    pub spec: RunSpec,
    /// Signs records and receipts.
    pub coordinator: VolunteerId,
    /// How it came to be the coordinator, oldest first; empty for a run's first coordinator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handovers: Vec<SignedHandover>,
    /// Present where this is not the coordinator's own answer but a mirror's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
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

/// A copy of a run that serves newcomers and coordinates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Address of what it follows.
    pub of: String,
    /// Signs the mirror's statements as a witness.
    pub witness: VolunteerId,
    /// As its operator calls it; may be empty.
    pub name: String,
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
    /// With [`ErrorCode::Ledger`], the rule's name, such as `StakeUnavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happened and what to do next, in one or two sentences.
    pub message: String,
}

impl ErrorBody {
    /// A refusal without a rule's name.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            name: None,
            message: message.into(),
        }
    }
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
    /// This volunteer has committed to another packet in this round.
    Duplicate,
    /// The packet is not the one its volunteer committed to for the round, or there is no commitment.
    NotCommitted,
    /// The round has all the contributions it may merge.
    RoundFull,
    /// The identity has contributed as much as it may for now; the message says until which round.
    Quota,
    /// A newer session of the same identity took over: do not reconnect by yourself.
    Replaced,
    NotFound,
    /// The key is no validator with stake and a permit.
    NotValidator,
    /// Scores for packets that this validator was not assigned, or that are not the round's.
    NotAssigned,
    /// Too many requests: wait and try again.
    Busy,
    /// The coordinator is stopping or its disk fails; nothing was accepted.
    Unavailable,
    /// This is a mirror, which takes nothing: send it to the coordinator that the message names.
    Mirror,
    /// A rule of the ledger; [`ErrorBody::name`] says which.
    Ledger,
}
