// @ts-check
// Seals the identity at rest with AES-GCM and a key that this browser keeps and never gives out: it
// is created non-extractable and lives in IndexedDB, where only this origin can use it. The module
// stores what `seal` returns; without WebCrypto or IndexedDB there is no keystore, and it says so.

const DATABASE = "covey";
const STORE = "keys";
const KEY = "identity";
const IV_BYTES = 12;

/** @typedef {{seal(bytes: Uint8Array): Promise<Uint8Array>, open(bytes: Uint8Array): Promise<Uint8Array>}} Keystore */

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB refused"));
  });

/** @returns {Promise<IDBDatabase>} */
function database() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return done(request);
}

/** The browser's key, made on first use. Two tabs that make one at once agree on the first. */
async function key() {
  const opened = await database();
  try {
    const found = await done(opened.transaction(STORE).objectStore(STORE).get(KEY));
    if (found) return /** @type {CryptoKey} */ (found);
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const store = opened.transaction(STORE, "readwrite", { durability: "strict" }).objectStore(STORE);
    // `add` fails where another tab was first; reading again then gives its key.
    await done(store.add(fresh, KEY)).catch(() => {});
    const kept = await done(opened.transaction(STORE).objectStore(STORE).get(KEY));
    if (!kept) throw new Error("the browser did not keep the key");
    return /** @type {CryptoKey} */ (kept);
  } finally {
    opened.close();
  }
}

/** @returns {Keystore | undefined} */
export function keystore() {
  if (!globalThis.crypto?.subtle || !globalThis.indexedDB) return undefined;
  return {
    async seal(bytes) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key(), new Uint8Array(bytes));
      const all = new Uint8Array(IV_BYTES + sealed.byteLength);
      all.set(iv);
      all.set(new Uint8Array(sealed), IV_BYTES);
      return all;
    },
    async open(bytes) {
      const data = new Uint8Array(bytes);
      const iv = data.slice(0, IV_BYTES);
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await key(), data.slice(IV_BYTES)));
    },
  };
}

/** Deletes the browser's key. @returns {Promise<boolean>} whether it is gone */
export function forgetKey() {
  return new Promise((resolve) => {
    if (!globalThis.indexedDB) return resolve(true);
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = () => resolve(true);
    request.onerror = () => resolve(false);
    request.onblocked = () => resolve(false);
  });
}
