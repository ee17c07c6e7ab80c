// @ts-check
// Which tab works, when several of one browser are open. Two kinds of Web Locks, both freed by the
// browser itself when a tab goes away, however it goes:
//
// 1. `covey-slot-N`, held for the tab's whole life: the number of its own identity and state
//    folder, so two tabs never write to the same files.
// 2. `covey-working`, held while contributing. A tab that cannot have it is told that another tab
//    works, and keeps waiting: it goes on by itself when the other one stops.
//
// Where the browser has no Web Locks, or denies them (a frame in another site's page, when the visitor
// blocks what third parties store), every tab believes it is alone, in slot 0.

/** @param {string} name @returns {Promise<(() => void) | null>} release, or null when taken */
function tryHold(name) {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) =>
        lock === null ? resolve(null) : new Promise((release) => resolve(() => release(undefined))))
      .catch(reject);
  });
}

/** Takes the first free slot for the life of this tab. */
export async function holdSlot() {
  if (!("locks" in navigator)) return 0;
  try {
    for (let slot = 0; ; slot += 1) {
      if (await tryHold(`covey-slot-${slot}`)) return slot;
    }
  } catch (error) {
    console.warn("locks are denied: other tabs cannot be seen", error);
    return 0;
  }
}

/** The wish to be the tab that works. */
export class WorkingLock {
  /** @type {(() => void) | null} */
  #release = null;
  /** @type {AbortController | null} */
  #waiting = null;

  /** @param {() => void} changed called when another tab frees the lock for this one */
  constructor(changed) {
    this.changed = changed;
  }

  /** Another tab works. */
  get elsewhere() {
    return this.#waiting !== null;
  }

  /** Takes the lock or starts waiting for it; returns when it is known which. */
  async want() {
    if (!("locks" in navigator) || this.#release || this.#waiting) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    let release;
    try {
      release = await tryHold("covey-working");
    } catch {
      // Denied: alone, as far as can be known.
      this.#waiting = null;
      return;
    }
    if (waiting.signal.aborted) {
      release?.();
      return;
    }
    if (release) {
      this.#release = release;
      this.#waiting = null;
      return;
    }
    navigator.locks
      .request("covey-working", { signal: waiting.signal }, () => {
        this.#waiting = null;
        const held = new Promise((resolve) => (this.#release = () => resolve(undefined)));
        this.changed();
        return held;
      })
      .catch((error) => {
        if (error?.name !== "AbortError") throw error;
      });
  }

  /** Lets another tab work, or stops waiting. */
  release() {
    this.#waiting?.abort();
    this.#waiting = null;
    this.#release?.();
    this.#release = null;
  }
}
