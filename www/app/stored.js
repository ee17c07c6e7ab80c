// @ts-check
// What this browser keeps: whether there is anything, deleting it, and saving the identity to a
// file. The module deletes its own folder when it runs; this page-side deletion covers the time
// before the module is loaded and whatever a crashed worker left. Only names that start with
// "covey" are touched: other pages of the same origin may store things of their own.

import { forgetKey } from "./keystore.js";

/** @returns {Promise<string[]>} names in the private file system that are ours */
async function ours() {
  /** @type {string[]} */
  const names = [];
  if (!navigator.storage?.getDirectory) return names;
  const root = await navigator.storage.getDirectory();
  for await (const name of /** @type {any} */ (root).keys()) {
    if (name.startsWith("covey")) names.push(name);
  }
  return names;
}

/** Whether an identity or training state may be stored here. */
export async function anythingStored() {
  try {
    return (await ours()).length > 0;
  } catch {
    return false;
  }
}

/**
 * Deletes everything of ours. Files in use by a worker of another tab cannot be deleted.
 * @returns {Promise<boolean>} whether all of it is gone
 */
export async function deleteStored() {
  let complete = true;
  try {
    const root = await navigator.storage?.getDirectory?.();
    for (const name of await ours()) {
      try {
        await root.removeEntry(name, { recursive: true });
      } catch (error) {
        console.warn(`${name} could not be deleted`, error);
        complete = false;
      }
    }
  } catch (error) {
    console.warn("private storage could not be read", error);
    complete = false;
  }
  // Last: without it a copy of the stored identity opens nothing.
  if (!(await forgetKey())) complete = false;
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("covey.")) localStorage.removeItem(key);
  } catch {
    // Blocked storage holds nothing.
  }
  return complete;
}

/** Saves the secret key as a file. @param {string} secret @param {string | null} volunteer */
export function saveIdentity(secret, volunteer) {
  const text = `Covey volunteer identity. Keep it secret: whoever has it can contribute in your name.\nvolunteer ${volunteer ?? "unknown"}\nsecret ${secret}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `covey-identity-${(volunteer ?? "unknown").slice(0, 8)}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
