//! What lowers a score beside the formula, and what throws a peer out (Gauntlet, and the Templar code's
//! constants).
//!
//! Factors are multiplied into the final score; a [`Verdict`] stands for what a factor cannot say. The
//! caller counts windows; nothing here remembers.

/// Windows that the histories below look back.
pub const HISTORY: usize = 8;

/// Windows for which an offender stays out.
pub const BAN_WINDOWS: u32 = 20;

/// Outer step from which overlap is judged: before, everyone sends much the same.
pub const OVERLAP_FROM_STEP: u64 = 20;

/// Consecutive negative evaluations after which a peer leaves the gather.
pub const NEGATIVE_STREAK: u32 = 3;

/// Place from the top whose score tells a bad window from a bad peer.
pub const WINDOW_GUARD_PLACE: usize = 5;

/// What happens to a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The score is multiplied, by 1 where nothing is wrong.
    Scale(f64),
    /// Rating and averages start over.
    Reset,
    /// They start over, and the peer is out for that many windows.
    ResetAndBan(u32),
}

/// Factor after `missed` payloads in a row.
#[must_use]
pub const fn missing_factor(missed: u32) -> f64 {
    match missed {
        0 => 1.0,
        1 => 0.75,
        2 => 0.5,
        _ => 0.0,
    }
}

/// Judges the newest windows (`true` where a payload was missing, newest last): half of the last eight
/// missing resets and bans. A younger peer is not judged yet.
#[must_use]
pub fn missing_verdict(missing: &[bool]) -> Verdict {
    match last_window(missing) {
        Some(count) if 2 * count >= HISTORY => Verdict::ResetAndBan(BAN_WINDOWS),
        _ => Verdict::Scale(1.0),
    }
}

/// Factor for evaluations (`true` where negative, newest last): more than half of the last eight.
#[must_use]
pub fn negative_factor(negative: &[bool]) -> f64 {
    match last_window(negative) {
        Some(count) if 2 * count > HISTORY => 0.25,
        _ => 1.0,
    }
}

fn last_window(history: &[bool]) -> Option<usize> {
    let (_, last) = history.split_last_chunk::<HISTORY>()?;
    Some(last.iter().filter(|flag| **flag).count())
}

/// Whether a peer with this many negative evaluations in a row is left out of the gather. When even the
/// fifth best of the window's loss scores is negative, the window is to blame and nobody is left out.
#[must_use]
pub fn excluded_for_negatives(streak: u32, window_scores: &[f64]) -> bool {
    let mut sorted = window_scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let bad_window = sorted
        .get(WINDOW_GUARD_PLACE - 1)
        .is_some_and(|score| *score < 0.0);
    streak >= NEGATIVE_STREAK && !bad_window
}

/// Factor for the share of a peer's payloads that the gather could use.
#[must_use]
pub fn gather_rate_factor(success_rate: f64) -> f64 {
    if success_rate >= 0.4 { 1.0 } else { 0.0 }
}

/// What becomes of a peer that has been inactive for that many windows: three quarters for each, and a new
/// start after three.
#[must_use]
pub fn inactivity_verdict(windows: u32) -> Verdict {
    match windows {
        0 => Verdict::Scale(1.0),
        1 => Verdict::Scale(0.75),
        2 => Verdict::Scale(0.75 * 0.75),
        3 => Verdict::Scale(0.75 * 0.75 * 0.75),
        _ => Verdict::Reset,
    }
}

/// Factor for a peer that many outer steps behind; `None` when it gave no samples to tell.
#[must_use]
pub fn desync_factor(steps_behind: Option<f64>) -> f64 {
    if steps_behind.is_some_and(|steps| steps <= 2.0) {
        1.0
    } else {
        0.75
    }
}

/// What becomes of the *later* uploader of two payloads that share this much of their indices.
#[must_use]
pub fn overlap_verdict(overlap: f64, outer_step: u64) -> Verdict {
    match overlap {
        _ if outer_step < OVERLAP_FROM_STEP => Verdict::Scale(1.0),
        o if o >= 0.6 => Verdict::ResetAndBan(BAN_WINDOWS),
        o if o >= 0.5 => Verdict::Reset,
        o if o >= 0.4 => Verdict::Scale(0.5),
        _ => Verdict::Scale(1.0),
    }
}
