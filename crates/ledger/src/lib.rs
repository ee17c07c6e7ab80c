//!

pub mod conviction;
pub mod fixed;
