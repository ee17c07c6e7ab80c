//! The identity at rest: sealed with a key that the browser keeps and never gives out.
//!
//! The worker hands the module an object with `seal` and `open`, made from WebCrypto and a non-extractable
//! key in IndexedDB (`www/app/keystore.js`). What lies in the private file system is then useless without
//! this very browser profile. What a reader would get wrong: this guards a copied disk or backup, not a
//! script on our own origin, which could ask for the same key. Without such an object (WebCrypto exists on
//! secure pages only) the secret is stored as it is, and the volunteer is told.

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::platform::{answer, words};

/// First bytes of a sealed secret. An unsealed one is 32 bytes of nothing else.
const SEALED: &[u8; 4] = b"CVI1";

/// The browser's key, or nothing.
#[derive(Clone)]
pub struct Keystore(JsValue);

impl Keystore {
    /// `object` has two methods from bytes to a promise of bytes, or is `undefined`.
    pub fn new(object: JsValue) -> Self {
        Self(object)
    }

    /// Bytes to store for a secret.
    ///
    /// # Errors
    /// When the browser has a key but refuses to use it.
    pub async fn seal(&self, secret: &[u8; 32]) -> Result<Vec<u8>, String> {
        let Some(sealed) = self.call("seal", secret).await? else {
            log::warn!("this browser cannot encrypt the identity; it is stored as it is");
            return Ok(secret.to_vec());
        };
        Ok([SEALED.as_slice(), &sealed].concat())
    }

    /// The secret in stored bytes, and whether it was sealed.
    ///
    /// # Errors
    /// When the bytes are damaged or the browser's key for them is gone.
    pub async fn open(&self, stored: &[u8]) -> Result<([u8; 32], bool), String> {
        let damaged = || "the stored identity is damaged".to_owned();
        let Some(sealed) = stored.strip_prefix(SEALED) else {
            return Ok((stored.try_into().map_err(|_| damaged())?, false));
        };
        let lost = "the key that opens the stored identity is gone from this browser";
        let opened = self.call("open", sealed).await;
        let secret = opened.ok().flatten().ok_or(lost)?;
        Ok((secret.try_into().map_err(|_| damaged())?, true))
    }

    async fn call(&self, method: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        if !self.0.is_object() {
            return Ok(None);
        }
        let call = async {
            let function: Function = Reflect::get(&self.0, &method.into())?.dyn_into()?;
            let promise: Promise = function
                .call1(&self.0, &Uint8Array::from(bytes))?
                .dyn_into()?;
            answer(promise).await
        };
        let answer = call.await.map_err(|error| words(&error))?;
        let bytes = answer.dyn_into::<Uint8Array>().ok();
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }
}
