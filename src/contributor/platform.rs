//! The worker's clock, timers and entropy, in one place.

use futures::{FutureExt, select_biased};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::DedicatedWorkerGlobalScope;

/// Milliseconds since 1970 by a clock that only runs forward: what the system's clock said when this worker
/// began, and what has passed since. Deadlines must not move when somebody sets the time.
pub fn now_ms() -> f64 {
    let clock = scope().performance();
    clock.map_or_else(js_sys::Date::now, |clock| clock.time_origin() + clock.now())
}

/// Waits; also lets the worker handle messages, since a timer is a macrotask.
pub async fn sleep(ms: f64) {
    TimeoutFuture::new(ms.clamp(0.0, 3_600_000.0) as u32).await;
}

/// Longest wait for an answer of the browser's storage, in milliseconds.
const STORAGE_MS: f64 = 30_000.0;

/// What a promise of the browser's storage gives. Storage that is emptied just while it is asked may never
/// answer, and work must not wait for it for ever.
///
/// # Errors
/// What the browser refuses with, or that it did not answer.
pub async fn answer(promise: Promise) -> Result<JsValue, JsValue> {
    let mut answer = Box::pin(JsFuture::from(promise).fuse());
    let mut late = Box::pin(sleep(STORAGE_MS).fuse());
    select_biased! {
        result = answer => result,
        () = late => Err(js_sys::Error::new("the browser's storage did not answer").into()),
    }
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

/// What the browser says about its default WebGPU adapter, for people; wgpu leaves it out on the web.
pub async fn adapter_words() -> Option<String> {
    let get = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let gpu = get(&get(&scope(), "navigator")?, "gpu")?;
    let request: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let info = get(&JsFuture::from(promise).await.ok()?, "info")?;
    let words: Vec<String> = ["vendor", "architecture", "device", "description"]
        .into_iter()
        .filter_map(|field| get(&info, field)?.as_string())
        .filter(|word| !word.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A JavaScript error in words.
pub fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    )
}
