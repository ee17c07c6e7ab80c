//! Opening a device. Adapters differ in everything but results within rounding, so a device is
//! only used after the self-check of the browser module compared it with the CPU.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{TrainingError, inner::read_all};

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

/// A chain of matrix products of a tiny model's size, read back: enough to tell a software adapter from
/// a real one within a second or two, where a whole training step would first compile for most of a
/// minute.
pub async fn matrix_products(device: &Device) -> Result<Vec<f32>, TrainingError> {
    const ROWS: usize = 512;
    const WIDTH: usize = 128;
    const REPEATS: usize = 8;
    let fill = |count: usize, scale: f32| -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * scale)
            .collect()
    };
    let mut x: Tensor<2> = Tensor::from_data(
        TensorData::new(fill(ROWS * WIDTH, 1.0), [ROWS, WIDTH]),
        device,
    );
    let weight: Tensor<2> = Tensor::from_data(
        TensorData::new(fill(WIDTH * WIDTH, 0.3), [WIDTH, WIDTH]),
        device,
    );
    for _ in 0..REPEATS {
        x = x.matmul(weight.clone());
    }
    Ok(read_all(vec![x]).await?.concat())
}
