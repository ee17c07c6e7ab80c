//! Training, the part that needs a tensor library: the model, the inner loop on a volunteer's
//! device, and what turns merged bytes back into weights.
//!
//! burn appears in this crate alone. Weights live twice: the master copy is a flat `Vec<f32>` in
//! canonical tensor order ([`covey_protocol::model`]), hashed and changed only by [`outer`]; the
//! working copy lives on the device for the length of one round ([`inner`]).
//!
//! Everything a browser may call is `async` where the device is read: on WebGPU a synchronous read
//! panics. Nothing here reads the device more than once a step, and the inner loop only every few
//! steps.

pub mod adamw;
pub mod assess;
pub mod checkpoint;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod generate;
pub mod init;
pub mod inner;
pub mod model;
pub mod outer;
pub mod repeat;
pub mod sampling;
pub mod schedule;

pub use burn::tensor::Device;
pub use error::TrainingError;
