//! The worker's clock, timers and entropy, in one place.

use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::JsCast;
use web_sys::DedicatedWorkerGlobalScope;

/// Milliseconds since 1970.
pub fn now_ms() -> f64 {
    js_sys::Date::now()
}

/// Waits; also lets the worker handle messages, since a timer is a macrotask.
pub async fn sleep(ms: f64) {
    TimeoutFuture::new(ms.clamp(0.0, 3_600_000.0) as u32).await;
}

/// Bytes from the browser's cryptographic generator; `None` when it refuses.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A number in [0, 1) for spreading retries.
pub fn jitter() -> f64 {
    js_sys::Math::random()
}

/// The worker's global object.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// A JavaScript error in words.
pub fn words(error: &wasm_bindgen::JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    )
}
