//! One volunteer in one worker: probe, join, train, upload, apply, recover.
//!
//! [`Contribution`] takes the page's intents; `session` is the one task that computes. It does one
//! thing at a time in a fixed order (follow the run, pause if asked, work on the open round, wait) and
//! after any failure starts that order again, so there is no path on which it gives up silently.

pub mod client;
pub mod follower;
pub mod intents;
pub mod keystore;
pub mod lineage;
pub mod link;
pub mod pacing;
pub mod platform;
pub mod probe;
pub mod progress;
pub mod sample;
pub mod session;
pub mod shared;
pub mod store;
pub mod texts;
pub mod validator;
pub mod view;
pub mod work;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use covey_protocol::{Identity, SESSION_KEY_DOMAIN, SignatureBytes, limits::MAX_SESSION_TEXT};
use wasm_bindgen_futures::spawn_local;

use self::{
    intents::{Intent, Message},
    keystore::Keystore,
    platform::sleep,
    session::Start,
    shared::{SampleRequest, Shared},
    store::Store,
    view::State,
};
use crate::witness;

/// Milliseconds between two looks at whether the view changed.
const PUBLISH_MS: f64 = 250.0;

/// The volunteer's side of the page.
pub struct Contribution {
    listener: js_sys::Function,
    keystore: Keystore,
    shared: RefCell<Rc<Shared>>,
    /// Set while the run is recomputed here; tells that task to stop.
    witnessing: RefCell<Option<Rc<Cell<bool>>>>,
}

impl Contribution {
    pub fn new(listener: js_sys::Function, keystore: Keystore) -> Self {
        Self {
            keystore,
            shared: RefCell::new(Rc::new(Shared::new(listener.clone()))),
            witnessing: RefCell::default(),
            listener,
        }
    }

    /// Acts on an intent.
    pub fn take(&self, intent: Intent) {
        let shared = self.shared.borrow().clone();
        match intent {
            Intent::Start {
                coordinators,
                backend,
                share,
                slot,
                partner,
                devices_lost,
            } => self.start(Start {
                coordinators,
                backend,
                share,
                slot,
                partner,
                devices_lost,
            }),
            Intent::Pause => shared.user_pause.set(true),
            Intent::Resume => shared.user_pause.set(false),
            Intent::Stop => {
                shared.stopping.set(true);
                self.stop_witnessing();
            }
            Intent::Witness { coordinators } => self.witness(coordinators),
            Intent::Share { value } => shared.share.set(value.clamp(1, 100)),
            Intent::Environment(environment) => {
                let before = shared.environment.replace(environment);
                if environment.online && !before.online {
                    shared.online.set();
                }
            }
            Intent::Override { reason, on } => {
                let mut overrides = shared.overrides.borrow_mut();
                if on {
                    overrides.insert(reason);
                } else {
                    overrides.remove(&reason);
                }
            }
            Intent::Validate { on, only } => {
                shared.validate.set(on);
                shared.only_validate.set(on && only);
                shared.show(|view| {
                    view.validation.on = on;
                    view.validation.only = on && only;
                    view.validation.active &= on;
                    let asking = "Asking the coordinator how this tab\u{2019}s key stands.";
                    view.validation.status = if on { asking } else { "" }.to_owned();
                });
            }
            Intent::Sample {
                prompt,
                tokens,
                temperature,
            } => shared.samples.borrow_mut().push_back(SampleRequest {
                prompt: prompt.chars().take(2_000).collect(),
                tokens,
                temperature,
            }),
            Intent::Forget => {
                self.stop_witnessing();
                spawn_local(forget(shared));
            }
            Intent::ExportIdentity => match shared.identity.get() {
                Some(identity) => shared.tell(&Message::Identity {
                    secret_hex: covey_protocol::Hash(identity.secret()).to_string(),
                }),
                None => log::error!("there is no identity yet"),
            },
            Intent::SignSession { text } => {
                let identity = shared.identity.get().ok_or("there is no identity yet");
                let signature = identity
                    .map_err(str::to_owned)
                    .and_then(|identity| sign_session(identity, &text));
                let (signature, error) = match signature {
                    Ok(signature) => (Some(signature), None),
                    Err(error) => (None, Some(error)),
                };
                shared.tell(&Message::SessionSignature { signature, error });
            }
        }
        let shared = self.shared.borrow();
        shared.pauses();
        shared.changed.set();
    }

    /// Begins to recompute the run; a replay that runs is told to stop first.
    fn witness(&self, coordinators: Vec<String>) {
        self.stop_witnessing();
        let stopping = Rc::new(Cell::new(false));
        self.witnessing.replace(Some(stopping.clone()));
        let (listener, keystore) = (self.listener.clone(), self.keystore.clone());
        spawn_local(witness::run(listener, keystore, coordinators, stopping));
    }

    fn stop_witnessing(&self) {
        if let Some(stopping) = self.witnessing.take() {
            stopping.set(true);
        }
    }

    /// Starts a session; one that runs goes on.
    fn start(&self, start: Start) {
        let before = self.shared.borrow().clone();
        let state = before.view.borrow().state;
        if !matches!(state, State::Idle | State::Stopped | State::Failed) {
            return;
        }
        // A fresh start keeps what the page already told about the device and the volunteer's wishes.
        let shared = Rc::new(Shared::new(self.listener.clone()));
        shared.environment.set(before.environment.get());
        shared.overrides.swap(&before.overrides);
        shared.share.set(start.share.clamp(1, 100));
        shared.validate.set(before.validate.get());
        shared.only_validate.set(before.only_validate.get());
        let validation = before.view.borrow().validation.clone();
        shared.show(|view| view.validation = validation);
        self.shared.replace(shared.clone());
        shared.enter(State::Connecting, "Looking for a coordinator.");
        spawn_local(session::run(shared.clone(), start, self.keystore.clone()));
        spawn_local(async move {
            while !matches!(shared.view.borrow().state, State::Stopped | State::Failed) {
                sleep(PUBLISH_MS).await;
                shared.publish();
            }
            shared.publish();
        });
    }
}

/// Ends the work and deletes everything that is stored.
async fn forget(shared: Rc<Shared>) {
    shared.stopping.set(true);
    shared.changed.set();
    if let Err(error) = Store::forget().await {
        shared.tell(&Message::Fatal {
            code: "storage",
            message: format!("What this browser stored could not be deleted: {error}"),
            remedy: "Close other tabs of this page and try again, or clear the site's data in the browser's settings.",
        });
    }
}

/// This key's agreement to work for a wallet. The text says which key it is about: another key's
/// authorisation is not ours to sign.
fn sign_session(identity: &Identity, text: &str) -> Result<SignatureBytes, String> {
    let line = format!("Session Key: {}", identity.id());
    if text.len() > MAX_SESSION_TEXT || !text.lines().any(|found| found == line) {
        return Err("the authorisation is for another key".to_owned());
    }
    Ok(identity.sign(SESSION_KEY_DOMAIN, text.as_bytes()))
}
