//! Choosing what to compute on: a self-check first, then speed.
//!
//! Matrix products alone come first: they tell a software adapter, 35 times slower than the CPU, within
//! a second or two, where a training step would first compile shaders for most of a minute.
//!
//! Browsers only log a shader they reject and then hand back garbage, so WebGPU is used only after its
//! loss and gradients for one short sequence agreed with the CPU's. Then both are timed on the run's own
//! model, since a tiny one may be faster on any machine's CPU. The reason is shown in words.

use covey_protocol::{Hash, Round, run::RunSpec, socket::Backend};
use covey_training::{
    Device, TrainingError,
    data::Batch,
    device,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
};
use futures::{FutureExt, select_biased};

use super::{
    intents::BackendChoice,
    pacing::device_retry_ms,
    platform::{adapter_words, now_ms, sleep},
    view::BackendView,
};

/// Longest wait for WebGPU's first gradients, shader compilation included.
const PATIENCE_MS: f64 = 30_000.0;
/// The same when WebGPU was asked for: slow adapters need most of a minute.
const FORCED_PATIENCE_MS: f64 = 300_000.0;
/// Times slower than the CPU at matrix products from which a whole step need not be tried.
const HOPELESS: f64 = 4.0;
/// Largest relative difference of the gradients' direction and of the loss that rounding explains.
const TOLERANCE: f64 = 0.02;

/// The device to work on.
pub struct Choice {
    pub device: Device,
    pub backend: Backend,
    pub view: BackendView,
}

/// One short training sequence at the initial weights.
struct Check {
    loss: f32,
    gradient: Vec<f32>,
    /// Milliseconds of the second, warm evaluation.
    warm_ms: f64,
}

/// Probes and chooses. Never fails: the CPU is always there. `devices_lost` of this visit in a row may
/// forbid WebGPU.
pub async fn choose(spec: &RunSpec, wish: BackendChoice, devices_lost: u32) -> Choice {
    if wish == BackendChoice::Flex {
        return cpu("You chose the CPU.".into(), None, None, None, true);
    }
    if device_retry_ms(devices_lost).is_none() {
        let reason = format!(
            "WebGPU lost its device {devices_lost} times in a row, so the CPU is used for the rest of this visit."
        );
        return cpu(reason, None, None, None, false);
    }
    let forced = wish == BackendChoice::WebGpu;
    let (device, adapter) = match device::webgpu().await {
        Ok((device, name)) => (device, adapter_words().await.unwrap_or(name)),
        Err(error) => {
            log::info!("no WebGPU: {error}");
            let reason = if forced {
                "You chose WebGPU, but this browser offers no adapter, so the CPU is used."
            } else {
                "This browser offers no WebGPU adapter, so the CPU is used."
            };
            return cpu(reason.into(), None, None, None, false);
        }
    };
    if !forced {
        let ratio = match compare_products(&device).await {
            Ok(ratio) => ratio,
            Err(words) => {
                let reason = format!(
                    "WebGPU ({adapter}) failed its self-check, so the CPU is used: {words}"
                );
                return cpu(reason, Some(adapter), None, None, false);
            }
        };
        if ratio >= HOPELESS {
            let reason = format!(
                "The CPU multiplies matrices {ratio:.0} times faster than WebGPU ({adapter}), so the CPU is used."
            );
            return cpu(reason, Some(adapter), None, None, false);
        }
    }
    let expected = match check(spec, &device::cpu()).await {
        Ok(check) => check,
        Err(error) => {
            return cpu(
                format!("The CPU is used; the self-check failed: {error}"),
                Some(adapter),
                None,
                None,
                false,
            );
        }
    };
    let cpu_ms = expected.warm_ms;
    let patience = if forced {
        FORCED_PATIENCE_MS
    } else {
        PATIENCE_MS
    };
    let candidate = device.clone();
    let mut attempt = Box::pin(check(spec, &candidate).fuse());
    let mut late = Box::pin(sleep(patience).fuse());
    let actual = select_biased! {
        check = attempt => check,
        () = late => {
            let seconds = patience / 1000.0;
            return cpu(
                format!("WebGPU ({adapter}) did not finish a first step in {seconds} s, so the CPU is used."),
                Some(adapter.clone()), None, Some(cpu_ms), false,
            );
        }
    };
    let actual = match actual {
        Ok(check) => check,
        Err(error) => {
            return cpu(
                format!("WebGPU ({adapter}) failed its self-check, so the CPU is used: {error}"),
                Some(adapter.clone()),
                None,
                Some(cpu_ms),
                false,
            );
        }
    };
    let gpu_ms = actual.warm_ms;
    if let Err(words) = agree(&expected, &actual) {
        return cpu(
            format!("WebGPU ({adapter}) computes wrong results ({words}), so the CPU is used."),
            Some(adapter),
            Some(gpu_ms),
            Some(cpu_ms),
            false,
        );
    }
    if !forced && gpu_ms >= cpu_ms {
        let ratio = gpu_ms / cpu_ms.max(0.1);
        return cpu(
            format!("The CPU is {ratio:.1} times faster than WebGPU ({adapter}) for this model."),
            Some(adapter),
            Some(gpu_ms),
            Some(cpu_ms),
            false,
        );
    }
    let reason = if forced {
        format!("You chose WebGPU ({adapter}); its results agree with the CPU's.")
    } else {
        let ratio = cpu_ms / gpu_ms.max(0.1);
        format!("WebGPU ({adapter}) is {ratio:.1} times faster than the CPU and its results agree.")
    };
    Choice {
        device,
        backend: Backend::WebGpu,
        view: BackendView {
            name: Backend::WebGpu,
            reason,
            adapter: Some(adapter),
            webgpu_ms: Some(gpu_ms),
            flex_ms: Some(cpu_ms),
            forced,
        },
    }
}

/// The CPU, with the reason for it.
pub fn cpu(
    reason: String,
    adapter: Option<String>,
    webgpu_ms: Option<f64>,
    flex_ms: Option<f64>,
    forced: bool,
) -> Choice {
    Choice {
        device: device::cpu(),
        backend: Backend::Flex,
        view: BackendView {
            name: Backend::Flex,
            reason,
            adapter,
            webgpu_ms,
            flex_ms,
            forced,
        },
    }
}

/// WebGPU's time for matrix products in units of the CPU's, after checking the results.
async fn compare_products(device: &Device) -> Result<f64, String> {
    let timed = async |device: &Device| {
        device::matrix_products(device).await?;
        let start = now_ms();
        let values = device::matrix_products(device).await?;
        Ok::<_, TrainingError>((values, (now_ms() - start).max(1.0)))
    };
    let cpu = device::cpu();
    let (expected, cpu_ms) = timed(&cpu).await.map_err(|error| error.to_string())?;
    let mut attempt = Box::pin(timed(device).fuse());
    let mut late = Box::pin(sleep(PATIENCE_MS).fuse());
    let (actual, gpu_ms) = select_biased! {
        result = attempt => result.map_err(|error| error.to_string())?,
        () = late => return Ok(f64::INFINITY),
    };
    let difference = relative_difference(&expected, &actual);
    if difference <= TOLERANCE {
        Ok(gpu_ms / cpu_ms)
    } else {
        Err(format!(
            "matrix products differ by {:.1} %",
            difference * 100.0
        ))
    }
}

/// Loss and gradients of one sequence, twice; the second time is the warm one.
async fn check(spec: &RunSpec, device: &Device) -> Result<Check, TrainingError> {
    let theta = initial_weights(&Hash([0x5e; 32]), &spec.model);
    let mut inner = InnerLoop::new(spec, device, &OptimiserState::default())?;
    inner.begin(Round(0), &theta)?;
    let mut batch = Batch::empty(spec.model.context);
    let tokens: Vec<u16> = (0..=spec.model.context)
        .map(|i| (i * 37 % spec.model.vocabulary.min(251)) as u16)
        .collect();
    batch.push(&tokens);
    inner.probe(&batch).await?;
    // Let messages through: on the CPU each evaluation blocks the worker.
    sleep(0.0).await;
    let start = now_ms();
    let (loss, gradient) = inner.probe(&batch).await?;
    Ok(Check {
        loss,
        gradient,
        warm_ms: now_ms() - start,
    })
}

/// Whether two devices computed the same thing up to rounding.
fn agree(expected: &Check, actual: &Check) -> Result<(), String> {
    let loss = f64::from((expected.loss - actual.loss).abs() / expected.loss.abs().max(1e-6));
    if !actual.loss.is_finite() || loss > TOLERANCE {
        return Err(format!("loss {} instead of {}", actual.loss, expected.loss));
    }
    let difference = relative_difference(&expected.gradient, &actual.gradient);
    if difference <= TOLERANCE {
        Ok(())
    } else {
        Err(format!("gradients differ by {:.1} %", difference * 100.0))
    }
}

/// |expected - actual| / |expected|; infinite when it is not a number.
fn relative_difference(expected: &[f32], actual: &[f32]) -> f64 {
    if expected.len() != actual.len() {
        return f64::INFINITY;
    }
    let (mut apart, mut size) = (0f64, 1e-30f64);
    for (a, b) in expected.iter().zip(actual) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        apart += (a - b) * (a - b);
        size += a * a;
    }
    let difference = (apart / size).sqrt();
    if difference.is_nan() {
        f64::INFINITY
    } else {
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(loss: f32, gradient: &[f32]) -> Check {
        Check {
            loss,
            gradient: gradient.to_vec(),
            warm_ms: 1.0,
        }
    }

    #[test]
    fn rounding_passes_and_garbage_does_not() {
        let right = check(5.5, &[1.0, -2.0, 0.5]);
        assert!(agree(&right, &check(5.501, &[1.001, -2.002, 0.5])).is_ok());
        assert!(agree(&right, &check(f32::NAN, &[1.0, -2.0, 0.5])).is_err());
        assert!(agree(&right, &check(5.5, &[0.0, 0.0, 0.0])).is_err());
        assert!(agree(&right, &check(5.5, &[1.0, 2.0, 0.5])).is_err());
        assert!(agree(&right, &check(9.0, &[1.0, -2.0, 0.5])).is_err());
    }
}
