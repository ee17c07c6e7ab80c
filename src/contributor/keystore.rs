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

/// What lies in the file.
#[derive(Debug, PartialEq)]
enum Stored<'a> {
    Plain([u8; 32]),
    Sealed(&'a [u8]),
}

impl<'a> Stored<'a> {
    /// The length comes first: a secret may begin with any bytes, and a sealed one is longer.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes.try_into() {
            Ok(secret) => Some(Self::Plain(secret)),
            Err(_) => bytes.strip_prefix(SEALED).map(Self::Sealed),
        }
    }
}

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
        let sealed = match Stored::read(stored).ok_or_else(damaged)? {
            Stored::Plain(secret) => return Ok((secret, false)),
            Stored::Sealed(sealed) => sealed,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_from_a_sealed_one_by_its_length() {
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(SEALED);
        assert_eq!(Stored::read(&secret), Some(Stored::Plain(secret)));
        let sealed = [SEALED.as_slice(), &[9; 60]].concat();
        assert_eq!(Stored::read(&sealed), Some(Stored::Sealed(&[9; 60])));
    }

    #[test]
    fn nothing_else_of_any_length_is_an_identity() {
        for length in (0..200).filter(|length| *length != 32) {
            assert_eq!(Stored::read(&vec![7; length]), None, "{length}");
        }
    }
}
