//! Did two volunteers compute the same thing? (spec 2.7, replay; browser guide 4.)
//!
//! Both packets come from the same weights, the same data and no memory of earlier rounds, so on one
//! machine they would be equal. Adapters round differently, and twenty AdamW steps make much of little, so
//! the entries they choose and the values they send are compared, not their bytes. Both are needed: after a
//! single AdamW step every change has the same size, ties decide the indices, and packets of other text
//! share 0.99 of them, but not their values.
//!
//! `cargo xtask bench adapters` measures what the tolerances rest on: `tiny`, 1, 5 and 20 inner steps, fresh and
//! trained weights. The same build repeats itself bit for bit. Native, WebAssembly and SwiftShader on WebGPU
//! differ from each other in bytes, but sent the same entries every time, with values whose cosine is 1 to
//! twelve digits. After 20 steps other text shares at most 0.32 of the entries, a tenth of the steps 0.05.
//!
//! What a reader would get wrong: there are three outcomes. What is neither clearly the same nor clearly
//! another result is left open; an adapter that rounds wildly must not make a cheat of its owner.

use covey_compression::{Similarity, SparseUpdate};
use covey_protocol::{record::Agreement, socket::Backend};

/// How alike two packets of the same work are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// From this share of common entries, and
    pub overlap: f64,
    /// from this agreement of their values on, they agree.
    pub cosine: f64,
    /// Below this share of common entries, or
    pub far_overlap: f64,
    /// below this agreement of their values, they are different work.
    pub far_cosine: f64,
}

/// One tolerance for each pair of hardware classes, between what was measured of the same work and of other
/// work, with most of the room given to the honest.
impl Tolerance {
    /// Two CPUs: native or WebAssembly, the same arithmetic but for the width of the vectors. Measured: every
    /// entry.
    pub const CPUS: Self = Self {
        overlap: 0.9,
        cosine: 0.9,
        far_overlap: 0.5,
        far_cosine: 0.5,
    };
    /// Anything with a GPU in it, or unknown. Measured: every entry, but on SwiftShader alone. Real
    /// graphics processors fuse multiplications and order sums as they like, hence the width.
    pub const OTHERS: Self = Self {
        overlap: 0.75,
        cosine: 0.8,
        far_overlap: 0.4,
        far_cosine: 0.4,
    };

    /// The tolerance for two volunteers' backends, as far as they are known.
    #[must_use]
    pub fn between(backends: [Option<Backend>; 2]) -> Self {
        match backends {
            [Some(Backend::Flex), Some(Backend::Flex)] => Self::CPUS,
            _ => Self::OTHERS,
        }
    }

    /// Judges two packets of the same work.
    #[must_use]
    pub fn compare(&self, one: &SparseUpdate, other: &SparseUpdate) -> Agreement {
        self.judge(one.similarity(other))
    }

    /// Judges a measured similarity. What is not a number is open.
    #[must_use]
    pub fn judge(&self, found: Similarity) -> Agreement {
        if found.overlap >= self.overlap && found.cosine >= self.cosine {
            Agreement::Agreed
        } else if found.overlap < self.far_overlap || found.cosine < self.far_cosine {
            Agreement::Disputed
        } else {
            Agreement::Open
        }
    }
}
