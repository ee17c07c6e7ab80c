//! The parameters of the judgement: Gauntlet's where the paper or the Templar code has one, and the few
//! that a run of browser tabs needs beside them, each with its reason.

use serde::{Deserialize, Serialize};

use crate::{Emission, PlackettLuce, computation};

/// Settings of a [`Book`](crate::Book).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    pub rating: PlackettLuce,
    pub emission: Emission,
    /// Most packets merged in a round (the gather).
    pub gather: usize,
    /// Weight of the newest yes or no in the proof of computation.
    pub computation_alpha: f64,
    /// Averages below this earn nothing once a peer is known.
    pub computation_threshold: f64,
    /// Positive evaluations before a volunteer earns anything: identities are free in a browser.
    pub earns_after: u32,
    /// Positive evaluations before a volunteer's packets are *merged*. The spec asks for three (2.7),
    /// which would stop a young run dead: nobody has three when it starts, nothing is merged, and no
    /// later evaluation means anything. So the default is 0, and a newcomer is merged when its own
    /// evaluation in that very round is not negative.
    pub merges_after: u32,
    /// Any packet is left out at once when it costs more than this many times what the median packet
    /// gains: three bad rounds in a row (the spec's rule) are too many if they are very bad.
    pub turncoat: f64,
    /// The packet of a volunteer that is not known yet is left out below this share of the median gain,
    /// times the share of steps it claims: where averaging divides by the senders of an entry, random
    /// values are applied in full, and half of them look good by chance.
    pub useful: f64,
    /// Changes of the loss below this share of it are not told from rounding: they count as none. In the
    /// first rounds of a run, while the learning rate warms up, everyone's are.
    pub resolution: f64,
    /// An evaluation counts as positive from this share of the median gain, times the share of a full
    /// round's steps that the sender claims. It tells less work than claimed from bad luck.
    pub worthwhile: f64,
    /// Idle windows after which a volunteer is forgotten.
    pub forget_after: u32,
    /// Most volunteers remembered; those idle for longest are forgotten first.
    pub capacity: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rating: PlackettLuce::default(),
            emission: Emission::default(),
            gather: 20,
            computation_alpha: computation::ALPHA,
            computation_threshold: computation::THRESHOLD,
            earns_after: 3,
            merges_after: 0,
            turncoat: 0.5,
            useful: 0.1,
            resolution: 1e-5,
            worthwhile: 1.0 / 3.0,
            forget_after: 256,
            capacity: 1024,
        }
    }
}
