//! Comparison of what the crate computes with what a vectors file says: exact for integers and bytes,
//! within the file's stated tolerance for floats (relative 1e-5, absolute 1e-9).

use sha2::{Digest, Sha256};

pub type Outcome<T = ()> = Result<T, String>;

pub const RELATIVE: f64 = 1e-5;
pub const ABSOLUTE: f64 = 1e-9;

pub fn exact<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, ours: &T, theirs: &T) -> Outcome {
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{what}: got {ours:?}, expected {theirs:?}"))
    }
}

pub fn close(what: &str, ours: f64, theirs: f64) -> Outcome {
    let tolerance = ABSOLUTE + RELATIVE * theirs.abs();
    if (ours - theirs).abs() <= tolerance {
        Ok(())
    } else {
        Err(format!("{what}: got {ours}, expected {theirs}"))
    }
}

pub fn all_close<A: Copy + Into<f64>, B: Copy + Into<f64>>(
    what: &str,
    ours: &[A],
    theirs: &[B],
) -> Outcome {
    exact(&format!("{what}, how many"), &ours.len(), &theirs.len())?;
    let mut pairs = ours.iter().zip(theirs).enumerate();
    pairs.try_for_each(|(i, (a, b))| close(&format!("{what}[{i}]"), (*a).into(), (*b).into()))
}

/// The first values only, as many as the file gives.
pub fn starts_close(what: &str, ours: &[f32], theirs: &[f32]) -> Outcome {
    let start = ours
        .get(..theirs.len())
        .ok_or_else(|| format!("{what}: too short"))?;
    all_close(what, start, theirs)
}

pub fn l2(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|v| f64::from(*v) * f64::from(*v))
        .sum::<f64>()
        .sqrt()
}

pub fn sum_abs(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(v.abs())).sum()
}

/// Positions and values of what is not zero.
pub fn nonzero(values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    values
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, v)| *v != 0.0)
        .unzip()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Raw little-endian f32, the form in which the file hashes and encodes arrays.
pub fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
