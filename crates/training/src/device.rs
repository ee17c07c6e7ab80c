//! Opening a device. Adapters differ in everything but results within rounding, so a device is
//! only used after the self-check of the browser module compared it with the CPU.

use burn::tensor::Device;

use crate::TrainingError;

/// burn's pure Rust CPU backend; SIMD where the target has it.
#[cfg(feature = "flex")]
pub fn cpu() -> Device {
    Device::flex()
}

/// The platform's WebGPU adapter, and what it calls itself.
///
/// # Errors
/// When there is no adapter or it refuses a device; the caller falls back to [`cpu`].
#[cfg(feature = "webgpu")]
pub async fn webgpu() -> Result<(Device, String), TrainingError> {
    let (device, setup) = Device::wgpu_options()
        .init_with_setup_async()
        .await
        .map_err(|error| TrainingError::Device(error.to_string()))?;
    let info = setup.adapter.get_info();
    let words: Vec<String> = [info.name, info.driver, info.driver_info]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    let name = if words.is_empty() {
        "unnamed adapter".to_owned()
    } else {
        words.join(" ")
    };
    Ok((device, name))
}

/// Fails everywhere: this build has no WebGPU.
#[cfg(not(feature = "webgpu"))]
pub async fn webgpu() -> Result<(Device, String), TrainingError> {
    Err(TrainingError::Device(
        "this build has no WebGPU backend".into(),
    ))
}
