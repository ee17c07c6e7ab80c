//! How a caller watches the work, which takes minutes for a large input.

/// Told about each stage as it happens. Called from one thread.
pub trait Progress {
    /// A stage begins. `bytes` is how much it will read, 0 when that is not known.
    fn stage(&self, name: &'static str, bytes: u64);
    /// So many more bytes of the stage are done.
    fn advance(&self, bytes: u64);
    /// The last stage is over.
    fn finish(&self) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn stage(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
}
