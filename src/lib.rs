//! placeholder
pub use covey_training as training;
