// @ts-check
// The one dedicated worker: loads the module, then passes messages between the page and it. All
// computing happens in here. Intents that come while loading wait in a queue.
//
// Loading tells the page the bytes that have come, and turns every way it can fail into a code that
// the page has words for. The module is imported when the worker runs rather than by a static
// import, because a static import that fails tells nobody why.

/** @typedef {import("./app/types.js").Report} Report */
/** @typedef {import("./app/types.js").Intent} Intent */
/** @typedef {{send(intent: Intent): void}} Contributor */
/**
 * @typedef {{default(input: {module_or_path: Response | Promise<Response>}): Promise<unknown>,
 *   Contributor: new (report: (message: Report) => void, keystore: import("./app/keystore.js").Keystore | undefined) => Contributor}} Glue
 */

import { keystore } from "./app/keystore.js";

const GLUE = new URL("module/covey.js", import.meta.url);
const WASM = new URL("module/covey_bg.wasm", import.meta.url);
/** Milliseconds between two progress reports. */
const PROGRESS_EVERY = 100;
/** A function that returns a v128: valid only where SIMD is known. */
const SIMD_PROBE = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);

/** A loading failure with its code. */
class LoadError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** @param {Report} message */
const report = (message) => postMessage(message);

/** @type {Intent[] | null} */
let queue = [];
/** @type {Contributor | null} */
let contributor = null;
let crashed = false;

/** What the module last printed about a panic: the trap that follows only says "unreachable". */
let panic = "";
const { error: print } = console;
console.error = (...words) => {
  if (/panicked at/.test(String(words[0]))) panic = String(words[0]).split("\n\nStack:")[0] ?? "";
  print.apply(console, words);
};

/** @param {unknown} error */
function crash(error) {
  if (crashed) return;
  crashed = true;
  const detail = [panic, describe(error)].filter(Boolean).join("\n");
  report({ type: "fatal", code: "panic", message: "", remedy: "", detail });
}

/** @param {unknown} error */
const describe = (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));

/** @param {Intent} intent */
function deliver(intent) {
  if (crashed || !contributor) return;
  try {
    contributor.send(intent);
  } catch (error) {
    // `send` never throws by contract, so this is a trap inside WebAssembly.
    crash(error);
  }
}

addEventListener("message", (event) => {
  if (queue) queue.push(event.data);
  else deliver(event.data);
});
addEventListener("error", (event) => crash(event.error ?? event.message));
addEventListener("unhandledrejection", (event) => {
  // A trap inside a future ends the program; any other rejection is only logged by the browser.
  if (event.reason instanceof WebAssembly.RuntimeError) crash(event.reason);
});

/**
 * Says why a script could not be imported, by looking at what the server answers for it.
 * @param {URL} url
 * @param {unknown} error
 */
async function importFailure(url, error) {
  let response;
  try {
    response = await fetch(url, { method: "HEAD", cache: "no-store" });
  } catch (failure) {
    return new LoadError("network", describe(failure));
  }
  const type = response.headers.get("content-type") ?? "no type";
  if (response.status === 404) return new LoadError("module_missing", `404 for ${url.pathname}`);
  if (!response.ok) return new LoadError("module_http", `${response.status} for ${url.pathname}`);
  if (!/javascript|ecmascript/.test(type)) return new LoadError("module_mime", `${url.pathname} came as ${type}`);
  return new LoadError("module_mismatch", describe(error));
}

/**
 * Fetches the module, reporting the bytes that come.
 *
 * The bytes are counted on a clone, and the browser's own answer goes to the compiler: Chromium keeps
 * compiled code between visits only for an answer that it fetched itself, so wrapping the body to
 * count it would make every later visit compile from scratch.
 * @returns {Promise<Response>}
 */
async function fetchModule() {
  let response;
  try {
    response = await fetch(WASM);
  } catch (error) {
    throw new LoadError("network", describe(error));
  }
  if (response.status === 404) throw new LoadError("module_missing", `404 for ${WASM.pathname}`);
  if (!response.ok) throw new LoadError("module_http", `${response.status} for ${WASM.pathname}`);

  // A compressed answer is counted unpacked, so its Content-Length says nothing about the end.
  const length = Number(response.headers.get("content-length"));
  const total = !response.headers.get("content-encoding") && length > 0 ? length : null;
  const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() || "no type";
  const counted = response.clone().body?.getReader();
  if (!counted) throw new LoadError("wasm_invalid", "the answer is empty");

  let loaded = 0;
  if (type !== "application/wasm") {
    // A wrong label alone is harmless once corrected; anything but WebAssembly under it is not.
    const { value } = await counted.read();
    if (!value || value[0] !== 0 || value[1] !== 0x61) throw new LoadError("wasm_mime", `covey_bg.wasm came as ${type}`);
    report({ type: "notice", code: "wasm_mime_notice", message: `covey_bg.wasm came as ${type} instead of application/wasm.` });
    loaded = value.byteLength;
    response = new Response(response.body, { headers: { "content-type": "application/wasm" } });
  }
  // Errors while counting are the compiler's to report: it reads the same bytes.
  count(counted, loaded, total).catch(() => {});
  return response;
}

/**
 * @param {ReadableStreamDefaultReader<Uint8Array>} reader
 * @param {number} loaded
 * @param {number | null} total
 */
async function count(reader, loaded, total) {
  let toldAt = -PROGRESS_EVERY;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    loaded += value.byteLength;
    if (performance.now() - toldAt < PROGRESS_EVERY) continue;
    toldAt = performance.now();
    report({ type: "loading", loaded, total });
  }
  report({ type: "loading", loaded, total: loaded });
}

/** Says why the module could not be compiled or linked. @param {unknown} error */
function initFailure(error) {
  if (error instanceof LoadError) return error;
  const message = describe(error);
  if (/content security policy|unsafe-eval|disallowed by embedder/i.test(message)) return new LoadError("csp_wasm", message);
  if (error instanceof WebAssembly.LinkError) return new LoadError("module_mismatch", message);
  if (error instanceof WebAssembly.RuntimeError) return new LoadError("panic", message);
  if (error instanceof WebAssembly.CompileError) {
    return new LoadError(WebAssembly.validate(SIMD_PROBE) ? "wasm_invalid" : "no_simd", message);
  }
  return new LoadError(error instanceof TypeError ? "network" : "module_mismatch", message);
}

/** Holds a lock for as long as this worker lives, by which the page sees that it does. */
async function showLife() {
  if (!("locks" in navigator)) return;
  await new Promise((resolve) => {
    const held = () => {
      resolve(undefined);
      return new Promise(() => {});
    };
    // Denied where the visitor blocks storage in other sites' frames: then nobody watches.
    navigator.locks.request(self.name, held).catch(resolve);
  });
}

async function load() {
  await showLife();
  report({ type: "script_running" });
  /** @type {Glue} */
  let glue;
  try {
    glue = await import(GLUE.href);
  } catch (error) {
    throw await importFailure(GLUE, error);
  }
  try {
    await glue.default({ module_or_path: await fetchModule() });
    contributor = new glue.Contributor(report, keystore());
  } catch (error) {
    throw initFailure(error);
  }
  report({ type: "ready" });
  const waiting = queue ?? [];
  queue = null;
  waiting.forEach(deliver);
}

load().catch((error) => {
  crashed = true;
  report({ type: "load_error", code: error instanceof LoadError ? error.code : "panic", message: error?.message ?? String(error) });
});
