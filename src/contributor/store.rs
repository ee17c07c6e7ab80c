//! The browser's private file system (OPFS): identity and progress, per slot.
//!
//! `covey/slot-N/identity` holds the secret, sealed by the [`Keystore`]; `covey/slot-N/<run>-a` and `-b` hold progress,
//! written in turn. Synchronous access handles are used because they exist in workers of all engines
//! and their flush reaches the disk. Where the file system is refused (some private windows), the tab
//! works from memory and says so.

use covey_protocol::{Hash, Identity};
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle,
};

use super::{
    keystore::Keystore,
    lineage::Known,
    platform::{random, scope, words},
    progress::Progress,
};

const ROOT: &str = "covey";
const IDENTITY: &str = "identity";
const KNOWN: &str = "known";

/// Storage of one slot; without a folder when the browser refuses.
pub struct Store {
    folder: Option<FileSystemDirectoryHandle>,
    keystore: Keystore,
}

async fn wait<T: JsCast>(promise: Promise) -> Result<T, String> {
    JsFuture::from(promise)
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

impl Store {
    /// Opens a slot's folder.
    pub async fn open(slot: u32, keystore: Keystore) -> Self {
        let folder = async {
            let covey = subfolder(&root().await?, ROOT).await?;
            subfolder(&covey, &format!("slot-{slot}")).await
        };
        match folder.await {
            Ok(folder) => Self {
                folder: Some(folder),
                keystore,
            },
            Err(error) => {
                log::warn!("the private file system is not available: {error}");
                Self {
                    folder: None,
                    keystore,
                }
            }
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
        JsFuture::from(removal.unchecked_into::<Promise>())
            .await
            .map(|_| ())
            .map_err(|error| words(&error))
    }

    /// This slot's identity, made on first use.
    ///
    /// # Errors
    /// When the browser has no entropy or the file cannot be written or is damaged: a volunteer must
    /// not silently become somebody else.
    pub async fn identity(&self) -> Result<Identity, String> {
        if let Some(bytes) = self.read(IDENTITY).await? {
            let (secret, sealed) = self.keystore.open(&bytes).await?;
            if !sealed {
                // From before secrets were sealed, or from a visit without WebCrypto.
                let bytes = self.keystore.seal(&secret).await?;
                self.write(IDENTITY, &bytes).await?;
            }
            return Ok(Identity::from_secret(secret));
        }
        let secret = random().ok_or("the browser gave no random numbers")?;
        let bytes = self.keystore.seal(&secret).await?;
        self.write(IDENTITY, &bytes).await?;
        Ok(Identity::from_secret(secret))
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

    /// Saves progress under the next sequence number.
    pub async fn save(&self, run: &Hash, progress: &mut Progress) -> Result<(), String> {
        progress.sequence += 1;
        let name = file_name(run, progress.sequence % 2);
        self.write(&name, &progress.to_bytes(run)).await
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
        let handle: FileSystemFileHandle = match JsFuture::from(promise).await {
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
        result.map(Some).map_err(|error: JsValue| words(&error))
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let Some(file) = self.file(name, true).await? else {
            return Ok(());
        };
        let result = (|| {
            file.truncate_with_f64(0.0)?;
            let written = file.write_with_u8_array(bytes)? as usize;
            file.flush()?;
            Ok(written)
        })();
        file.close();
        match result {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(written) => Err(format!("only {written} of {} bytes fit", bytes.len())),
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
