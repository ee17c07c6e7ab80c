//! Tokens per second of one inner step on the native CPU backend, for `tiny` and `small`.
//!
//! The browser's numbers come from the same inner loop in Chromium; see `cargo xtask bench step`.
//! `[--seconds N] [--json FILE]`

mod common;

use std::{path::PathBuf, time::Instant};

use common::{Failure, Row, argument, report};
use covey_protocol::{
    Hash, Round,
    model::Preset,
    run::{CompressionSpec, InnerSpec, OuterSpec, RoundSpec, RunSpec},
};
use covey_training::{
    data::Batch,
    device,
    init::initial_weights,
    inner::{InnerLoop, OptimiserState},
};

fn measure(preset: Preset, seconds: f64) -> Result<f64, Failure> {
    let spec = RunSpec {
        name: "step".into(),
        seed: Hash([0; 32]),
        model: preset.config(),
        corpus: Hash([0; 32]),
        inner: InnerSpec::default(),
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
    let mut inner = InnerLoop::new(&spec, &device::cpu(), &OptimiserState::default())?;
    inner.begin(Round(0), &initial_weights(&spec.seed, &spec.model))?;
    inner.step(&batch);
    pollster::block_on(inner.read_losses())?;
    let start = Instant::now();
    let mut steps = 0;
    while start.elapsed().as_secs_f64() < seconds || steps < 3 {
        inner.step(&batch);
        pollster::block_on(inner.read_losses())?;
        steps += 1;
    }
    Ok((steps * batch.tokens()) as f64 / start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Failure> {
    let seconds = argument("--seconds").map_or(Ok(10.0), |n| n.parse())?;
    let mut rows = Vec::new();
    for (name, preset) in [("tiny", Preset::Tiny), ("small", Preset::Small)] {
        rows.push(Row {
            name: format!("{name}, native flex"),
            value: measure(preset, seconds)?,
            unit: "tokens/s",
            against: None,
            ratio: None,
        });
    }
    report(&rows, argument("--json").map(PathBuf::from).as_deref())
}
