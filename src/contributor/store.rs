//! The browser's private file system (OPFS): identity and progress, per slot.
//!
//! `covey/slot-N/identity` holds the secret, sealed by the [`Keystore`]; `covey/slot-N/<run>-a` and `-b` hold progress,
//! written in turn. `covey/witness` is the same for a tab that only recomputes. Synchronous access handles
//! are used because they exist in workers of all engines and their flush reaches the disk. Where the file system is refused (some private windows, no space), the
//! tab works from memory and says so.
//!
//! What a reader would get wrong: files vanish while they are in use. A visitor, or a browser short of space,
//! empties the storage under a running tab; then [`Store::save`] writes the identity again, too, or the
//! next visit would be somebody else's.

use covey_protocol::{Hash, Identity};
use covey_witness::kept::Kept;
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle,
};

use super::{
    keystore::Keystore,
    lineage::Known,
    platform::{answer, random, scope, words},
    progress::Progress,
};

const ROOT: &str = "covey";
const IDENTITY: &str = "identity";
const KNOWN: &str = "known";

/// Where a tab that recomputes a run keeps its own key and how far it is.
const WITNESS: &str = "witness";

/// Storage of one slot; without a folder when the browser refuses.
pub struct Store {
    /// Name of the folder.
    name: String,
    folder: Option<FileSystemDirectoryHandle>,
    keystore: Keystore,
}

/// What was needed to save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The identity was gone and was stored again.
    pub anew: bool,
}

async fn wait<T: JsCast>(promise: Promise) -> Result<T, String> {
    answer(promise)
        .await
        .map_err(|error| words(&error))?
        .dyn_into()
        .map_err(|_| "an unexpected kind of object".to_owned())
}

async fn subfolder(
    parent: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<FileSystemDirectoryHandle, String> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    wait(
        parent
            .get_directory_handle_with_options(name, &options)
            .unchecked_into(),
    )
    .await
}

async fn root() -> Result<FileSystemDirectoryHandle, String> {
    wait(
        scope()
            .navigator()
            .storage()
            .get_directory()
            .unchecked_into(),
    )
    .await
}

async fn own_folder(name: &str) -> Result<FileSystemDirectoryHandle, String> {
    let covey = subfolder(&root().await?, ROOT).await?;
    subfolder(&covey, name).await
}

impl Store {
    /// Opens a slot's folder.
    pub async fn open(slot: u32, keystore: Keystore) -> Self {
        Self::named(format!("slot-{slot}"), keystore).await
    }

    /// Opens the folder of who recomputes runs, which is no volunteer.
    pub async fn witness(keystore: Keystore) -> Self {
        Self::named(WITNESS.to_owned(), keystore).await
    }

    async fn named(name: String, keystore: Keystore) -> Self {
        let folder = own_folder(&name).await;
        if let Err(error) = &folder {
            log::warn!("the private file system is not available: {error}");
        }
        Self {
            name,
            folder: folder.ok(),
            keystore,
        }
    }

    /// Whether anything outlives the tab.
    pub fn is_durable(&self) -> bool {
        self.folder.is_some()
    }

    /// Deletes everything Covey stored in this browser.
    pub async fn forget() -> Result<(), String> {
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        let removal = root().await?.remove_entry_with_options(ROOT, &options);
        answer(removal.unchecked_into())
            .await
            .map(|_| ())
            .map_err(|error| words(&error))
    }

    /// This slot's identity, made on first use. A new one that cannot be stored lives in memory, and
    /// [`is_durable`](Self::is_durable) says so from then on.
    ///
    /// # Errors
    /// When the browser has no entropy or the file cannot be read or is damaged: a volunteer must not
    /// silently become somebody else.
    pub async fn identity(&mut self) -> Result<Identity, String> {
        if let Some(bytes) = self.read(IDENTITY).await? {
            let (secret, sealed) = self.keystore.open(&bytes).await?;
            if !sealed {
                // From before secrets were sealed, or from a visit without WebCrypto.
                let bytes = self.keystore.seal(&secret).await?;
                self.write(IDENTITY, &bytes).await?;
            }
            return Ok(Identity::from_secret(secret));
        }
        let identity = Identity::from_secret(random().ok_or("the browser gave no random numbers")?);
        if let Err(error) = self.put(&identity).await {
            log::warn!("the new identity was not stored: {error}");
            self.folder = None;
        }
        Ok(identity)
    }

    async fn put(&self, identity: &Identity) -> Result<(), String> {
        let bytes = self.keystore.seal(&identity.secret()).await?;
        self.write(IDENTITY, &bytes).await
    }

    /// Stores the identity if there is none that can be opened; whether that was needed.
    async fn keep(&self, identity: &Identity) -> Result<bool, String> {
        if let Some(bytes) = self.read(IDENTITY).await?
            && self.keystore.open(&bytes).await.is_ok()
        {
            return Ok(false);
        }
        self.put(identity).await?;
        Ok(true)
    }

    /// The run this browser last worked for, and who coordinates it.
    pub async fn known(&self) -> Option<Known> {
        let bytes = self.read(KNOWN).await.ok().flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Remembers it. A write that is cut short is as if nothing was known.
    pub async fn keep_known(&self, known: &Known) -> Result<(), String> {
        let json = serde_json::to_vec(known).map_err(|error| error.to_string())?;
        self.write(KNOWN, &json).await
    }

    /// The newest intact progress in a run.
    pub async fn load(&self, run: &Hash, parameters: usize) -> Option<Progress> {
        let mut newest: Option<Progress> = None;
        for turn in 0..2 {
            let bytes = match self.read(&file_name(run, turn)).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(error) => {
                    log::warn!("stored progress cannot be read: {error}");
                    continue;
                }
            };
            let progress = Progress::from_bytes(run, parameters, &bytes);
            if progress.as_ref().map(|p| p.sequence) > newest.as_ref().map(|p| p.sequence) {
                newest = progress;
            }
        }
        newest
    }

    /// Saves progress under the next sequence number, and the identity if it is gone. Only a save that
    /// succeeds counts: the next one after a failure must not overwrite the only intact file.
    ///
    /// # Errors
    /// When the browser refuses. The save before this one is then still there.
    pub async fn save(
        &mut self,
        run: &Hash,
        progress: &mut Progress,
        identity: &Identity,
    ) -> Result<Saved, String> {
        if self.folder.is_none() {
            return Ok(Saved { anew: false });
        }
        let before = progress.sequence;
        progress.sequence += 1;
        let name = file_name(run, progress.sequence % 2);
        let bytes = progress.to_bytes(run);
        let mut saved = self.try_save(&name, &bytes, identity).await;
        if saved.is_err() {
            // The handle of a folder that was deleted is dead; a new one may work.
            if let Ok(folder) = own_folder(&self.name).await {
                self.folder = Some(folder);
                saved = self.try_save(&name, &bytes, identity).await;
            }
        }
        if saved.is_err() {
            progress.sequence = before;
        }
        saved
    }

    /// How far a run was recomputed, the furthest intact one of two.
    pub async fn witnessed(&self, run: &Hash, parameters: usize) -> Option<Kept> {
        let mut furthest: Option<Kept> = None;
        for turn in 0..2 {
            let bytes = self.read(&file_name(run, turn)).await.ok().flatten();
            let kept = bytes.and_then(|bytes| Kept::from_bytes(run, parameters, &bytes));
            let round = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.chain.round);
            if round(&kept) > round(&furthest) {
                furthest = kept;
            }
        }
        furthest
    }

    /// Keeps how far it is, in the other of two files than the time before: `turn` counts.
    ///
    /// # Errors
    /// When the browser refuses. What was kept before is then still there.
    pub async fn keep_witnessed(&self, kept: &Kept, turn: u64) -> Result<(), String> {
        self.write(&file_name(&kept.chain.run, turn), &kept.to_bytes())
            .await
    }

    async fn try_save(
        &self,
        name: &str,
        bytes: &[u8],
        identity: &Identity,
    ) -> Result<Saved, String> {
        let anew = self.keep(identity).await?;
        self.write(name, bytes).await?;
        Ok(Saved { anew })
    }

    async fn file(
        &self,
        name: &str,
        create: bool,
    ) -> Result<Option<FileSystemSyncAccessHandle>, String> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        let promise: Promise = folder
            .get_file_handle_with_options(name, &options)
            .unchecked_into();
        let handle: FileSystemFileHandle = match answer(promise).await {
            Ok(handle) => handle.unchecked_into(),
            Err(error) if !create && is_not_found(&error) => return Ok(None),
            Err(error) => return Err(words(&error)),
        };
        wait(handle.create_sync_access_handle().unchecked_into())
            .await
            .map(Some)
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(file) = self.file(name, false).await? else {
            return Ok(None);
        };
        let result = (|| {
            let mut bytes = vec![0; file.get_size()? as usize];
            let read = file.read_with_u8_array(&mut bytes)? as usize;
            bytes.truncate(read);
            Ok(bytes)
        })();
        file.close();
        // Empty is what a write that failed leaves behind.
        result
            .map(|bytes: Vec<u8>| (!bytes.is_empty()).then_some(bytes))
            .map_err(|error: JsValue| words(&error))
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let Some(file) = self.file(name, true).await? else {
            return Ok(());
        };
        let result: Result<usize, JsValue> = (|| {
            file.truncate_with_f64(0.0)?;
            let written = file.write_with_u8_array(bytes)? as usize;
            file.flush()?;
            Ok(written)
        })();
        if result.as_ref().ok() != Some(&bytes.len()) {
            // Half a file helps nobody; if even this fails, its hash says that it is torn.
            let _ = file.truncate_with_f64(0.0);
        }
        file.close();
        match result {
            Ok(written) if written == bytes.len() => Ok(()),
            // Chromium has been seen to answer with an error's number here, so it is not told.
            Ok(_) => Err("there is not enough space".to_owned()),
            Err(error) => Err(words(&error)),
        }
    }
}

fn is_not_found(error: &JsValue) -> bool {
    error
        .dyn_ref::<web_sys::DomException>()
        .is_some_and(|error| error.name() == "NotFoundError")
}

fn file_name(run: &Hash, turn: u64) -> String {
    let side = if turn.is_multiple_of(2) { 'a' } else { 'b' };
    format!("{run}-{side}")
}
