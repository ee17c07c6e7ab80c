// @ts-check
// The worker of the package. It does what worker.js of the page does, with one thing more: nothing
// runs whose SHA-384 is not the one that came with the package. The browser checks it (`integrity` of
// fetch) before it hands out a single byte.
//
// What a reader would get wrong: checking a script and then importing its address would run whatever
// the server sends the second time. From the package's own origin that is no loss, since that origin
// sends this file as well; from any other origin the checked bytes themselves are imported, as a blob.

import { keystore } from "./keystore.js";

/** @type {object[] | null} */
let queue = [];
/** @type {{send(intent: object): void} | null} */
let contributor = null;

/** @param {object} message */
const report = (message) => postMessage(message);
/** @param {unknown} error */
const describe = (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));

class LoadError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * A file of the package, checked.
 * @param {string} base @param {string} path @param {Record<string, string>} integrity
 */
async function checked(base, path, integrity) {
  const hash = integrity[path];
  if (!hash?.startsWith("sha384-")) throw new LoadError("integrity", `the package has no hash for ${path}`);
  const url = new URL(path, base);
  let response;
  try {
    response = await fetch(url, { integrity: hash, credentials: "omit" });
  } catch (error) {
    // A wrong hash, a missing file and a broken connection look alike; a second look tells them apart.
    const there = await fetch(url, { method: "HEAD", credentials: "omit" }).catch(() => null);
    if (!there) throw new LoadError("network", describe(error));
    if (there.ok) throw new LoadError("integrity", `${url.href} is not the file this package was made with`);
    throw new LoadError(there.status === 404 ? "module_missing" : "module_http", `${there.status} for ${url.pathname}`);
  }
  return { url, response };
}

/** @param {string} base @param {Record<string, string>} integrity */
async function load(base, integrity) {
  const { url, response } = await checked(base, "module/covey.js", integrity);
  let glue;
  if (url.origin === location.origin) {
    glue = await import(url.href);
  } else {
    const blob = URL.createObjectURL(new Blob([await response.text()], { type: "text/javascript" }));
    glue = await import(blob).catch((error) => {
      throw new LoadError("csp_blob", `a program from another origin needs blob: in script-src (${describe(error)})`);
    });
    URL.revokeObjectURL(blob);
  }
  const wasm = await checked(base, "module/covey_bg.wasm", integrity);
  try {
    await glue.default({ module_or_path: wasm.response });
    contributor = new glue.Contributor(report, keystore());
  } catch (error) {
    throw new LoadError(/content security policy|unsafe-eval/i.test(describe(error)) ? "csp_wasm" : "wasm_invalid", describe(error));
  }
  report({ type: "ready" });
  const waiting = queue ?? [];
  queue = null;
  for (const intent of waiting) deliver(intent);
}

/** @param {object} intent */
function deliver(intent) {
  try {
    contributor?.send(intent);
  } catch (error) {
    crash(error);
  }
}

/** @param {unknown} error */
function crash(error) {
  report({ type: "fatal", code: "panic", message: describe(error), remedy: "Start it again: it goes on from its saved state." });
}

addEventListener("message", ({ data }) => {
  if (data?.type === "load") {
    load(data.base, data.integrity).catch((error) => {
      report({ type: "load_error", code: error instanceof LoadError ? error.code : "module_mismatch", message: describe(error) });
    });
  } else if (queue) queue.push(data);
  else deliver(data);
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) crash(event.reason);
});
