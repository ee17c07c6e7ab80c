//! How a tensor is cut into chunks, and how many entries of a chunk are kept (SparseLoCo, section on
//! chunked top-k; block sides as in the Templar code).
//!
//! A matrix is cut into blocks whose sides are the largest divisors of its dimensions that are at most
//! 64; a vector into equal runs. Order is part of the format: blocks row by row, and inside a block
//! row-major. What a reader would get wrong: a dimension without a good divisor is a trap (97 gives side
//! 1), so a run's dimensions should be multiples of 64. Chunks shorter than two values cannot be
//! packed in pairs and are refused.

/// Longest chunk: an index has 12 bits.
pub const MAX_CHUNK_LEN: usize = 4096;

/// Longest side of a block of a matrix.
pub const MAX_BLOCK_SIDE: usize = 64;

/// The largest divisor of `n` that is at most `limit`; 1 when nothing better exists.
#[must_use]
pub fn largest_divisor(n: usize, limit: usize) -> usize {
    (1..=limit.min(n))
        .rev()
        .find(|side| n.is_multiple_of(*side))
        .unwrap_or(1)
}

/// How many entries of a chunk of `chunk_len` values are kept, if a full chunk keeps `k`.
///
/// The result is even, because 12-bit indices travel in pairs, and at least 2. With `scale_k` it is
/// proportional to the length, otherwise `min(k, chunk_len)`.
#[must_use]
pub fn effective_k(chunk_len: usize, k: usize, scale_k: bool) -> usize {
    let wanted = if scale_k {
        // Half rounds up. Half to even would give the same: the next line removes the difference.
        (2 * chunk_len * k + MAX_CHUNK_LEN) / (2 * MAX_CHUNK_LEN)
    } else {
        k
    };
    let kept = wanted.min(chunk_len);
    (kept - kept % 2).max(2)
}

/// The cut of one tensor. A vector is a matrix of one row whose blocks are one row high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    cols: usize,
    block_rows: usize,
    block_cols: usize,
    blocks_across: usize,
    chunks: usize,
}

impl Chunking {
    /// A vector cut into runs of its largest divisor up to `limit`.
    #[must_use]
    pub fn vector(len: usize, limit: usize) -> Self {
        Self::blocks(1, len, 1, largest_divisor(len, limit))
    }

    /// A matrix cut into blocks whose sides are the largest divisors up to `limit`.
    #[must_use]
    pub fn matrix(rows: usize, cols: usize, limit: usize) -> Self {
        Self::blocks(
            rows,
            cols,
            largest_divisor(rows, limit),
            largest_divisor(cols, limit),
        )
    }

    fn blocks(rows: usize, cols: usize, block_rows: usize, block_cols: usize) -> Self {
        let chunks = (rows / block_rows) * (cols / block_cols);
        Self {
            cols,
            block_rows,
            block_cols,
            blocks_across: (cols / block_cols).max(1),
            chunks,
        }
    }

    /// Number of chunks.
    #[must_use]
    pub const fn chunks(&self) -> usize {
        self.chunks
    }

    /// Values in each chunk.
    #[must_use]
    pub const fn chunk_len(&self) -> usize {
        self.block_rows * self.block_cols
    }

    /// Height and width of a block.
    #[must_use]
    pub const fn block_sides(&self) -> (usize, usize) {
        (self.block_rows, self.block_cols)
    }

    /// Values in the tensor.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.chunks * self.chunk_len()
    }

    /// Whether the tensor has no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    /// Where a chunk's first value lies in the row-major tensor.
    #[must_use]
    pub const fn origin(&self, chunk: usize) -> usize {
        let (down, across) = (chunk / self.blocks_across, chunk % self.blocks_across);
        down * self.block_rows * self.cols + across * self.block_cols
    }

    /// Where value `index` of a chunk lies, counted from the chunk's [`origin`](Self::origin).
    #[must_use]
    pub const fn offset(&self, index: usize) -> usize {
        index / self.block_cols * self.cols + index % self.block_cols
    }

    /// The parts of the row-major tensor that make up a chunk, in the chunk's order.
    pub fn rows(&self, chunk: usize) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (origin, cols, width) = (self.origin(chunk), self.cols, self.block_cols);
        (0..self.block_rows).map(move |row| {
            let start = origin + row * cols;
            start..start + width
        })
    }

    /// Replaces `out` by a chunk's values.
    pub fn gather(&self, tensor: &[f32], chunk: usize, out: &mut Vec<f32>) {
        out.clear();
        for row in self.rows(chunk) {
            out.extend_from_slice(tensor.get(row).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prime_dimension_gives_thin_chunks() {
        let chunking = Chunking::matrix(97, 128, MAX_BLOCK_SIDE);
        assert_eq!(chunking.block_sides(), (1, 64));
        assert_eq!(chunking.chunks(), 97 * 2);
    }

    #[test]
    fn a_long_vector_is_cut_into_runs_of_4096() {
        let chunking = Chunking::vector(8192, MAX_CHUNK_LEN);
        assert_eq!((chunking.chunks(), chunking.chunk_len()), (2, 4096));
        assert_eq!(Chunking::vector(5000, MAX_CHUNK_LEN).chunk_len(), 2500);
    }

    proptest! {
        #[test]
        fn chunks_visit_every_value_once(rows in 1usize..200, cols in 1usize..200) {
            let chunking = Chunking::matrix(rows, cols, MAX_BLOCK_SIDE);
            let tensor: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
            let mut seen = vec![false; rows * cols];
            let mut values = Vec::new();
            for chunk in 0..chunking.chunks() {
                chunking.gather(&tensor, chunk, &mut values);
                prop_assert_eq!(values.len(), chunking.chunk_len());
                for (index, value) in values.iter().enumerate() {
                    let at = chunking.origin(chunk) + chunking.offset(index);
                    prop_assert_eq!(tensor[at], *value);
                    prop_assert!(!std::mem::replace(&mut seen[at], true));
                }
            }
            prop_assert!(seen.iter().all(|s| *s));
            prop_assert_eq!(chunking.len(), rows * cols);
        }

        #[test]
        fn kept_entries_are_even_and_fit(len in 2usize..=4096, k in 2usize..=4096, scale in any::<bool>()) {
            let kept = effective_k(len, k, scale);
            prop_assert!(kept.is_multiple_of(2) && (2..=len).contains(&kept));
        }
    }
}
