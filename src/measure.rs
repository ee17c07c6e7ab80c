//! What one device does with given work, measured where it will run: for benchmarks in a real browser.
//!
//! [`measure_step`] asks how fast it is, [`measure_packets`] what it computes: the same work on two devices
//! gives packets that differ by rounding alone ([`covey_training::repeat`]).

use covey_protocol::{
    Hash, Round,
    model::Preset,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
    socket::Backend,
};
use covey_training::{
    Device, TrainingError,
    data::Batch,
    device,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
    repeat::{Work, packets},
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::contributor::platform::{now_ms, sleep};

async fn open(backend: Backend) -> Result<(Device, Option<String>), TrainingError> {
    Ok(match backend {
        Backend::Flex => (device::cpu(), None),
        Backend::WebGpu => {
            let (device, adapter) = device::webgpu().await?;
            (device, Some(adapter))
        }
    })
}

#[derive(Deserialize)]
struct Request {
    preset: Preset,
    backend: Backend,
    /// How long to repeat warm steps; there is always at least one.
    seconds: f64,
    /// Sequences in a step: fewer where a full batch would take many minutes.
    batch: u32,
}

#[derive(Serialize)]
struct Measurement {
    /// Milliseconds of the first step, kernels compiled on the way.
    first_ms: f64,
    tokens_per_second: f64,
    adapter: Option<String>,
}

/// Takes inner steps on synthetic tokens: `{preset, backend, seconds, batch}` to
/// `{first_ms, tokens_per_second, adapter}`.
#[wasm_bindgen]
pub async fn measure_step(request: JsValue) -> Result<JsValue, JsError> {
    let request: Request = serde_wasm_bindgen::from_value(request)?;
    let (device, adapter) = open(request.backend).await?;
    let (first_ms, tokens_per_second) = measure(&request, &device).await?;
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    let measurement = Measurement {
        first_ms,
        tokens_per_second,
        adapter,
    };
    Ok(measurement.serialize(&serializer)?)
}

async fn measure(request: &Request, device: &Device) -> Result<(f64, f64), TrainingError> {
    let spec = RunSpec {
        name: "step".into(),
        seed: Hash([0; 32]),
        model: request.preset.config(),
        corpus: Hash([0; 32]),
        inner: InnerSpec {
            batch: request.batch,
            ..InnerSpec::default()
        },
        compression: CompressionSpec::default(),
        outer: OuterSpec::default(),
        rounds: RoundSpec::default(),
    };
    let mut batch = Batch::empty(spec.model.context);
    for row in 0..spec.inner.batch as usize {
        let tokens: Vec<u16> = (0..=spec.model.context)
            .map(|i| ((row * 31 + i * 37) % 251) as u16)
            .collect();
        batch.push(&tokens);
    }
    let start = now_ms();
    let mut inner = InnerLoop::new(&spec, device, &OptimiserState::default())?;
    inner.begin(Round(0), &initial_weights(&spec.seed, &spec.model))?;
    inner.step(&batch);
    inner.read_losses().await?;
    let first_ms = now_ms() - start;
    let start = now_ms();
    let mut steps = 0u32;
    while now_ms() - start < request.seconds * 1000.0 || steps == 0 {
        inner.step(&batch);
        inner.read_losses().await?;
        sleep(0.0).await;
        steps += 1;
    }
    let elapsed = (now_ms() - start) / 1000.0;
    Ok((first_ms, f64::from(steps) * batch.tokens() as f64 / elapsed))
}

/// [`packets`] of a [`Work`] given as JSON, and the weights it starts from, to a list as JSON.
#[wasm_bindgen]
pub async fn measure_packets(
    work: String,
    theta: Vec<f32>,
    backend: JsValue,
) -> Result<String, JsError> {
    let work: Work = serde_json::from_str(&work)?;
    let (device, _) = open(serde_wasm_bindgen::from_value(backend)?).await?;
    let measured = packets(&work, &theta, &device).await?;
    Ok(serde_json::to_string(&measured)?)
}
