//!

pub mod conviction;
pub mod fixed;
pub mod pool;
pub mod yuma;
