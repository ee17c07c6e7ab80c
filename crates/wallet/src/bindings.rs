//! What JavaScript sees: the classes and functions of `www/wallet/types.js`, and nothing else.
//!
//! Data crosses as JSON text that the browser itself reads and writes; it is small, and one writer less
//! than a second set of conversions. Errors cross as `Error` objects with the ledger's name.

use std::fmt::Display;

use covey_ledger::{
    AccountId, KeyType,
    call::Call,
    signing::keys::{DEVELOPMENT_NAMES, Keypair},
};
use js_sys::{Error, JSON, Reflect};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::prelude::*;

use crate::{amount, audit, error::WalletError, session, view::history, view::quote::Side, wallet};

/// A result for JavaScript.
type Thrown<T> = Result<T, JsValue>;

/// Panics are bugs; without this they would only say "unreachable".
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// A `WalletError` as the page knows it.
fn thrown(error: WalletError) -> JsValue {
    let shown = Error::new(&error.to_string());
    shown.set_name(&error.name());
    if let Some(index) = error.index() {
        // Setting a property of a fresh object does not fail.
        let _ = Reflect::set(&shown, &"index".into(), &JsValue::from_f64(index as f64));
    }
    shown.into()
}

fn unreadable(what: impl Display) -> JsValue {
    thrown(WalletError::Unreadable(what.to_string()))
}

/// Plain data as a plain object.
fn give<T: Serialize>(value: &T) -> Thrown<JsValue> {
    let text = serde_json::to_string(value).map_err(unreadable)?;
    JSON::parse(&text)
}

/// A plain object as plain data.
fn take<T: DeserializeOwned>(value: &JsValue) -> Thrown<T> {
    let text = JSON::stringify(value)
        .ok()
        .and_then(|text| text.as_string())
        .ok_or_else(|| unreadable("this is not a plain object"))?;
    serde_json::from_str(&text).map_err(unreadable)
}

fn account(text: &str) -> Thrown<AccountId> {
    amount::account(text).map_err(thrown)
}

/// A height as the page counts; a fraction is cut off.
fn height(number: f64) -> u64 {
    // Saturating: negative and not-a-number are 0.
    number as u64
}

fn key_type(name: &str) -> Thrown<KeyType> {
    match name {
        "sr25519" => Ok(KeyType::Sr25519),
        "ed25519" => Ok(KeyType::Ed25519),
        other => Err(unreadable(format_args!(
            "an account with a {other} key cannot sign here: use an sr25519 or ed25519 account"
        ))),
    }
}

/// A checked copy of the ledger.
#[wasm_bindgen]
pub struct Wallet(wallet::Wallet);

#[wasm_bindgen]
impl Wallet {
    pub fn open(snapshot: &[u8]) -> Thrown<Wallet> {
        wallet::Wallet::open(snapshot).map(Self).map_err(thrown)
    }

    pub fn apply(&mut self, lines: &str) -> Thrown<JsValue> {
        give(&self.0.apply(lines).map_err(thrown)?)
    }

    pub fn head(&self) -> Thrown<JsValue> {
        give(&self.0.head())
    }

    pub fn overview(&self, account_id: &str, at: f64) -> Thrown<JsValue> {
        give(&self.0.overview(&account(account_id)?, height(at)))
    }

    pub fn managers(&self, at: f64) -> Thrown<JsValue> {
        give(&self.0.managers(height(at)))
    }

    pub fn ownership(&self, at: f64) -> Thrown<JsValue> {
        give(&self.0.ownership(height(at)))
    }

    pub fn notices(&self, at: f64) -> Thrown<JsValue> {
        give(&self.0.notices(height(at)))
    }

    pub fn quote(&self, side: &str, base_units: &str, tolerance: f64) -> Thrown<JsValue> {
        let side = match side {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(unreadable("a quote is to buy or to sell")),
        };
        let units = amount::read(base_units).map_err(thrown)?;
        give(&self.0.quote(side, units, tolerance).map_err(thrown)?)
    }

    pub fn projection(
        &self,
        account_id: &str,
        call: &JsValue,
        at: f64,
        span: f64,
    ) -> Thrown<JsValue> {
        let call: Option<Call> = if call.is_undefined() {
            None
        } else {
            take(call)?
        };
        let account = account(account_id)?;
        let projection = self
            .0
            .projection(account, call.as_ref(), height(at), height(span));
        give(&projection.map_err(thrown)?)
    }

    pub fn draft(&self, account_id: &str, call: &JsValue, at: f64) -> Thrown<JsValue> {
        let draft = self.0.draft(account(account_id)?, take(call)?, height(at));
        give(&draft.map_err(thrown)?)
    }

    pub fn seal(&self, action: &JsValue, key: &str, signature: &str) -> Thrown<String> {
        let sealed = self.0.seal(take(action)?, key_type(key)?, signature);
        sealed.map_err(thrown)
    }

    pub fn describe(&self, line: &str) -> Thrown<JsValue> {
        give(&history::describe(line).map_err(thrown)?)
    }
}

/// Replays a whole journal from its genesis.
#[wasm_bindgen]
#[derive(Default)]
pub struct Audit(audit::Audit);

#[wasm_bindgen]
impl Audit {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn feed(&mut self, chunk: &str) -> Thrown<JsValue> {
        give(&self.0.feed(chunk).map_err(thrown)?)
    }

    pub fn finish(&mut self) -> Thrown<JsValue> {
        give(&self.0.finish().map_err(thrown)?)
    }
}

/// A well-known key, for runs marked as development runs.
#[wasm_bindgen]
pub struct DevelopmentWallet(Keypair);

#[wasm_bindgen]
impl DevelopmentWallet {
    pub fn names() -> Vec<String> {
        DEVELOPMENT_NAMES.map(str::to_owned).to_vec()
    }

    #[wasm_bindgen(constructor)]
    pub fn new(name: &str) -> Thrown<DevelopmentWallet> {
        let pair = Keypair::from_suri(KeyType::Sr25519, name);
        pair.map(Self).map_err(|_| thrown(WalletError::UnknownName))
    }

    pub fn account(&self) -> String {
        self.0.account().to_string()
    }

    pub fn sign(&self, message: &str) -> String {
        format!("0x{}", self.0.sign_raw(message.as_bytes()))
    }
}

/// One signature that lets a tab's key contribute for an account.
#[wasm_bindgen]
pub struct Session(session::Session);

#[wasm_bindgen]
impl Session {
    #[wasm_bindgen(constructor)]
    pub fn new(terms: &JsValue) -> Thrown<Session> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(unreadable)?;
        let session = session::Session::new(&take(terms)?, random);
        session.map(Self).map_err(thrown)
    }

    pub fn text(&self) -> String {
        self.0.text()
    }

    pub fn seal(&self, key: &str, wallet_signature: &str, key_signature: &str) -> Thrown<String> {
        let sealed = self.0.seal(key_type(key)?, wallet_signature, key_signature);
        sealed.map_err(thrown)
    }
}

/// `1.5` for `1500000000`.
#[wasm_bindgen(js_name = formatAmount)]
pub fn format_amount(base_units: &str) -> Thrown<String> {
    amount::format(base_units).map_err(thrown)
}

/// `1500000000` for `1.5`, exactly.
#[wasm_bindgen(js_name = parseAmount)]
pub fn parse_amount(decimal: &str) -> Thrown<String> {
    amount::parse(decimal).map_err(thrown)
}

/// Any address or `0x` hex as the run's address.
#[wasm_bindgen(js_name = accountOf)]
pub fn account_of(address: &str) -> Thrown<String> {
    Ok(account(address)?.to_string())
}
