// @ts-check
// Loads the wallet module, once, for the page and for the audit's worker. Whatever goes wrong becomes a
// Trouble whose code has words in problems.js. The WebAssembly is fetched here, not by the generated
// glue, because only an answer that is looked at tells a missing file from a wrong type.

import { describe, Trouble } from "./problems.js";

/** @typedef {import("./types.js").WalletModule} WalletModule */

const GLUE = new URL("../module/wallet.js", import.meta.url);
const WASM = new URL("../module/wallet_bg.wasm", import.meta.url);

/** @type {Promise<WalletModule> | null} */
let loading = null;

/** @returns {Promise<WalletModule>} */
export function loadModule() {
  return (loading ??= load());
}

async function load() {
  if (typeof WebAssembly !== "object" || typeof WebAssembly.instantiate !== "function") throw new Trouble("no_wasm");
  /** @type {WalletModule & {default: (options: {module_or_path: Response}) => Promise<unknown>}} */
  let glue;
  try {
    glue = await import(GLUE.href);
  } catch (error) {
    throw await importFailure(error);
  }
  const response = await fetchWasm();
  try {
    await glue.default({ module_or_path: response });
  } catch (error) {
    throw compileFailure(error);
  }
  return glue;
}

/** Why a script could not be imported, by what the server answers for it. @param {unknown} error */
async function importFailure(error) {
  let response;
  try {
    response = await fetch(GLUE, { method: "HEAD", cache: "no-store" });
  } catch (failure) {
    return new Trouble("network", describe(failure));
  }
  const type = response.headers.get("content-type") ?? "no type";
  if (response.status === 404) return new Trouble("module_missing", `404 for ${GLUE.pathname}`);
  if (!response.ok) return new Trouble("module_http", `${response.status} for ${GLUE.pathname}`);
  if (!/javascript|ecmascript/.test(type)) return new Trouble("module_mime", `${GLUE.pathname} came as ${type}`);
  return new Trouble("module_mismatch", describe(error));
}

async function fetchWasm() {
  let response;
  try {
    response = await fetch(WASM);
  } catch (error) {
    throw new Trouble("network", describe(error));
  }
  if (response.status === 404) throw new Trouble("module_missing", `404 for ${WASM.pathname}`);
  if (!response.ok) throw new Trouble("module_http", `${response.status} for ${WASM.pathname}`);
  const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() || "no type";
  if (type !== "application/wasm") throw new Trouble("module_mime", `${WASM.pathname} came as ${type}`);
  return response;
}

/** @param {unknown} error */
function compileFailure(error) {
  const message = describe(error);
  if (/content security policy|unsafe-eval|disallowed by embedder/i.test(message)) return new Trouble("csp_wasm", message);
  if (error instanceof WebAssembly.LinkError) return new Trouble("module_mismatch", message);
  if (error instanceof WebAssembly.RuntimeError) return new Trouble("panic", message);
  if (error instanceof WebAssembly.CompileError) return new Trouble("wasm_invalid", message);
  return new Trouble(error instanceof TypeError ? "network" : "module_mismatch", message);
}
