//! The browser module: what runs in a volunteer's tab.
//!
//! A thin `wasm-bindgen` surface over the crates. The page loads it inside one dedicated Worker,
//! constructs a [`Contributor`], sends it intents as plain objects and shows the messages it gets
//! back; all rules live on this side. Everything runs on the worker's single thread: GPU work is
//! ordered per thread, and a tab must never block the page.

pub mod contributor;
pub mod measure;
pub mod witness;

use wasm_bindgen::prelude::*;

use crate::contributor::{Contribution, intents::Intent, keystore::Keystore};

/// Runs once when the module is instantiated: panics become readable errors in the console.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    // Fails only when a logger is already set.
    let _ = console_log::init_with_level(log::Level::Warn);
}

/// One volunteer in this worker.
#[wasm_bindgen]
pub struct Contributor {
    inner: Contribution,
}

#[wasm_bindgen]
impl Contributor {
    /// `listener` is called with every message for the page, a plain object with a `type`. `keystore`
    /// seals and opens the identity; see [`Keystore`](contributor::keystore::Keystore).
    #[wasm_bindgen(constructor)]
    pub fn new(listener: js_sys::Function, keystore: JsValue) -> Self {
        Self {
            inner: Contribution::new(listener, Keystore::new(keystore)),
        }
    }

    /// Takes an intent, a plain object with a `type`. Never throws: an intent that cannot be read is
    /// logged and ignored.
    pub fn send(&self, intent: JsValue) {
        match serde_wasm_bindgen::from_value::<Intent>(intent) {
            Ok(intent) => self.inner.take(intent),
            Err(error) => log::warn!("an intent was ignored: {error}"),
        }
    }
}
