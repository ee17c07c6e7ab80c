//! The published numbers that concern training: AdamW, the learning-rate schedule, data assignment.
//!
//! Reads `$COVEY_VECTORS_DIR/sparseloco_vectors.json` when that is set, else the copy beside this
//! file. Every seed, shape and expected value comes from the file.

use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};
use covey_training::{
    adamw::{AdamW, AdamWConfig},
    device,
    sampling::{assign, distinct, receipt, templar_seed},
    schedule::Schedule,
};
use serde_json::Value;

fn vectors() -> Value {
    let folder = std::env::var_os("COVEY_VECTORS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"),
        PathBuf::from,
    );
    let path = folder.join("sparseloco_vectors.json");
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect()
}

fn close(actual: f64, expected: f64, what: &str) {
    let tolerance = 1e-9 + 1e-5 * expected.abs();
    assert!(
        (actual - expected).abs() <= tolerance,
        "{what}: {actual} where {expected} is expected"
    );
}

#[test]
fn adamw_reaches_the_published_parameters() {
    let case = &vectors()["adamw"];
    let betas = numbers(&case["betas"]);
    let mut optimiser = AdamW::new(AdamWConfig {
        beta1: betas[0] as f32,
        beta2: betas[1] as f32,
        eps: case["eps"].as_f64().unwrap() as f32,
        weight_decay: case["wd"].as_f64().unwrap() as f32,
    });
    let device = device::cpu();
    let row = |values: &Value| -> Tensor<2> {
        let values: Vec<f32> = numbers(values).iter().map(|x| *x as f32).collect();
        let shape = [1, values.len()];
        Tensor::from_data(TensorData::new(values, shape), &device)
    };
    let mut theta = vec![row(&case["theta0"])];
    let gradients = case["grads"].as_array().unwrap();
    for (gradient, lr) in gradients.iter().zip(numbers(&case["lr"])) {
        theta = optimiser.step(theta, vec![row(gradient)], lr);
    }
    let key = format!("theta{}", gradients.len());
    let actual = theta.remove(0).into_data().try_into_vec::<f32>().unwrap();
    let expected = numbers(&case[&key]);
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        close(f64::from(*actual), expected, &key);
    }
}

#[test]
fn schedule_passes_through_the_published_points() {
    let points = vectors()["lr_schedule_covenant_like"].clone();
    assert!(!points.as_array().unwrap().is_empty());
    for point in points.as_array().unwrap() {
        let step = point["inner_step"].as_u64().unwrap();
        let lr = point["lr"].as_f64().unwrap();
        let actual = Schedule::COVENANT_72B.at(step);
        assert!(
            (actual / lr - 1.0).abs() < 1e-5,
            "step {step}: {actual} where {lr} is expected"
        );
    }
}

#[test]
fn assignments_and_their_receipts_are_the_published_ones() {
    let cases = vectors()["assignment"]["ours"].clone();
    assert!(!cases.as_array().unwrap().is_empty());
    for case in cases.as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let count = case["count"].as_u64().unwrap() as usize;
        let ids = assign(
            text("domain"),
            text("run_seed").as_bytes(),
            text("peer_id").as_bytes(),
            case["window"].as_u64().unwrap(),
            case["n"].as_u64().unwrap(),
            count,
        );
        assert_eq!(ids.len(), count);
        assert!(distinct(&ids));
        let first: Vec<u64> = case["first8"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .collect();
        assert_eq!(ids[..first.len()], first);
        let digest: String = receipt(&ids).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, text("receipt_blake2b128"));
    }
}

#[test]
fn templar_seeds_are_the_published_ones() {
    let cases = vectors()["assignment"]["templar_seed"].clone();
    assert!(!cases.as_array().unwrap().is_empty());
    for case in cases.as_array().unwrap() {
        let number = |key: &str| case[key].as_u64().unwrap();
        let actual = templar_seed(number("uid"), number("window"));
        assert_eq!(u64::from(actual), number("seed"));
    }
}
