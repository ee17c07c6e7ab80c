// @ts-check
// Runs the vector cases inside WebAssembly: node run.mjs MODULE.wasm VECTORS.json
// Prints one line per case and two "bit identity" lines, which must equal those that the native tests
// print. Exits with 1 when a case fails, 2 when it cannot run.

import { readFile } from "node:fs/promises";
import process from "node:process";

/**
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {(len: number) => number} alloc
 * @property {() => number} report_ptr
 * @property {() => number} report_len
 * @property {() => number} run_compression
 * @property {() => number} run_scoring
 * @property {() => number} run_identity
 */

const [modulePath, vectorsPath] = process.argv.slice(2);
if (!modulePath || !vectorsPath) {
  console.error("usage: node run.mjs MODULE.wasm VECTORS.json");
  process.exit(2);
}
try {
  process.exitCode = (await main(modulePath, vectorsPath)) ? 0 : 1;
} catch (problem) {
  console.error(problem instanceof Error ? problem.message : problem);
  process.exitCode = 2;
}

/**
 * @param {string} modulePath
 * @param {string} vectorsPath
 * @returns {Promise<boolean>} whether every case passed
 */
async function main(modulePath, vectorsPath) {
  const [code, vectors] = await Promise.all([readFile(modulePath), readFile(vectorsPath)]);
  const module = await WebAssembly.compile(code);
  const wanted = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
  if (wanted.length > 0) {
    throw new Error(`the module must import nothing, but wants ${wanted.join(", ")}`);
  }
  const instance = await WebAssembly.instantiate(module, {});
  const wasm = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));

  const start = wasm.alloc(vectors.length);
  // The memory may have moved while it grew, so the view is made after the call.
  new Uint8Array(wasm.memory.buffer, start, vectors.length).set(vectors);

  const passed = [
    report(wasm, "compression", wasm.run_compression),
    report(wasm, "scoring", wasm.run_scoring),
    report(wasm, "identity", wasm.run_identity),
  ];
  return passed.every(Boolean);
}

/**
 * Runs one check and prints what it left behind.
 *
 * @param {Exports} wasm
 * @param {string} name
 * @param {() => number} run
 */
function report(wasm, name, run) {
  const passed = run() === 0;
  const bytes = new Uint8Array(wasm.memory.buffer, wasm.report_ptr(), wasm.report_len());
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (!passed) console.error(`FAILED ${name}: ${line}`);
    else console.log(name === "identity" ? line : `ok ${name}: ${line}`);
  }
  return passed;
}
