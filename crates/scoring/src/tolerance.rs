//! How far two honest devices may disagree when both did the same work (spec 2.7: replay by a second
//! volunteer).
//!
//! Devices sum in different orders, so the same inner steps from the same weights, the same sequences and
//! the same state of optimiser and error feedback end in pseudo-gradients that differ by rounding. AdamW
//! divides by the size of the gradient and top-k cuts at a rank, so a little of that rounding becomes another
//! index or another sign: never compare bits. [`Agreement`] measures two decoded packets, [`Tolerance`] says
//! what is left to rounding between two classes of hardware.
//!
//! Both measures are needed: after a single AdamW step every change has the same size, so ties decide the
//! indices and packets of other text share 0.99 of them, with a cosine below 0.2.
//!
//! What a reader would get wrong: this is a comparison of *repeated* work. Two volunteers that did
//! different work resemble each other far less, and packets of the same work made with another error
//! feedback or optimiser state are other packets: whoever repeats must start from the same state.

use covey_compression::SparseUpdate;
use covey_protocol::socket::Backend;

/// How alike two decoded pseudo-gradients are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Share of entries that both sent, in `0..=1`.
    pub overlap: f64,
    /// Cosine of the whole vectors, where an entry that was not sent is 0; in `-1..=1`, and 0 when one of
    /// them is nothing but zeros.
    pub cosine: f64,
}

impl Agreement {
    /// Compares two updates; of different models it is zero agreement.
    #[must_use]
    pub fn of(left: &SparseUpdate, right: &SparseUpdate) -> Self {
        let (a, b) = (left.decompress(), right.decompress());
        if a.len() != b.len() {
            return Self::default();
        }
        let (mut dot, mut left_squared, mut right_squared) = (0f64, 0f64, 0f64);
        for (a, b) in a.into_iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            dot += a * b;
            left_squared += a * a;
            right_squared += b * b;
        }
        let norms = (left_squared * right_squared).sqrt();
        Self {
            overlap: left.index_overlap(right),
            cosine: if norms > 0.0 {
                (dot / norms).clamp(-1.0, 1.0)
            } else {
                0.0
            },
        }
    }
}

/// The least agreement that counts as the same work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub overlap: f64,
    pub cosine: f64,
}

/// Both on the CPU backend, natively or in a browser. Measured on `tiny` after 1, 5 and 20 inner steps
/// from fresh and from trained weights: the same build agrees with itself bit for bit, native and
/// WebAssembly share more than 0.9999 of the entries with a cosine above 0.9999. The margin is for
/// other vector widths.
pub const FLEX: Tolerance = Tolerance {
    overlap: 0.95,
    cosine: 0.95,
};

/// At least one on WebGPU, whose drivers choose the order of every sum. Measured against SwiftShader, the
/// same as for the CPU: above 0.9999 of the entries and of the cosine. Real graphics processors fuse
/// multiplications and were not measured, so the margin is wide. It still is far from dishonest packets
/// of 20 steps: other text shares at most 0.32 with a cosine of 0.31, a tenth of the steps 0.05 and 0.05.
pub const WEBGPU: Tolerance = Tolerance {
    overlap: 0.8,
    cosine: 0.8,
};

impl Tolerance {
    /// What applies between two classes of hardware.
    #[must_use]
    pub const fn between(left: Backend, right: Backend) -> Self {
        match (left, right) {
            (Backend::Flex, Backend::Flex) => FLEX,
            _ => WEBGPU,
        }
    }

    /// Whether rounding explains the difference.
    #[must_use]
    pub fn admits(&self, found: &Agreement) -> bool {
        found.overlap >= self.overlap && found.cosine >= self.cosine
    }
}
