//! Did two volunteers compute the same thing? (spec 2.7, replay; browser guide 4.)
//!
//! Both packets come from the same weights, the same data and no memory of earlier rounds, so on one
//! machine they would be equal. Adapters round differently, and twenty AdamW steps make much of little, so
//! the entries they choose and the values they send are compared, not their bytes.
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

/// One tolerance for each pair of hardware classes. PROVISIONAL: on the safe side of chance (1.6 % of the
/// entries) and of what different honest work of one round shares (at most 0.2 of the entries measured on
/// `tiny`), until adapters have been measured against each other.
impl Tolerance {
    /// Two CPUs: native or WebAssembly, the same arithmetic but for the width of the vectors.
    pub const CPUS: Self = Self {
        overlap: 0.5,
        cosine: 0.8,
        far_overlap: 0.25,
        far_cosine: 0.4,
    };
    /// Anything with a GPU in it, or unknown.
    pub const OTHERS: Self = Self {
        overlap: 0.4,
        cosine: 0.7,
        far_overlap: 0.12,
        far_cosine: 0.2,
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
