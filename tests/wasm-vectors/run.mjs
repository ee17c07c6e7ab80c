// @ts-check
// Runs the vector cases inside WebAssembly:
//   node run.mjs MODULE.wasm SPARSELOCO.json CONVICTION.txt ECONOMICS.json SIGNATURES.json
// Prints one line per case and three "bit identity" lines, which must equal those that the native tests
// print. Exits with 1 when a case fails, 2 when it cannot run.

import { readFile } from "node:fs/promises";
import process from "node:process";

/**
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {(file: number, len: number) => number} alloc
 * @property {() => number} report_ptr
 * @property {() => number} report_len
 * @property {() => number} run_compression
 * @property {() => number} run_scoring
 * @property {() => number} run_ledger
 * @property {() => number} run_signatures
 * @property {() => number} run_identity
 */

// The files, in the order of their numbers at alloc().
const FILES = ["SPARSELOCO.json", "CONVICTION.txt", "ECONOMICS.json", "SIGNATURES.json"];

const [modulePath, ...vectorPaths] = process.argv.slice(2);
if (!modulePath || vectorPaths.length !== FILES.length) {
  console.error(`usage: node run.mjs MODULE.wasm ${FILES.join(" ")}`);
  process.exit(2);
}
try {
  process.exitCode = (await main(modulePath, vectorPaths)) ? 0 : 1;
} catch (problem) {
  console.error(problem instanceof Error ? problem.message : problem);
  process.exitCode = 2;
}

/**
 * @param {string} modulePath
 * @param {string[]} vectorPaths
 * @returns {Promise<boolean>} whether every case passed
 */
async function main(modulePath, vectorPaths) {
  const [code, ...files] = await Promise.all([modulePath, ...vectorPaths].map((path) => readFile(path)));
  const module = await WebAssembly.compile(code);
  const wanted = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
  if (wanted.length > 0) {
    throw new Error(`the module must import nothing, but wants ${wanted.join(", ")}`);
  }
  const instance = await WebAssembly.instantiate(module, {});
  const wasm = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));

  files.forEach((file, number) => {
    const start = wasm.alloc(number, file.length);
    // The memory may have moved while it grew, so the view is made after the call.
    new Uint8Array(wasm.memory.buffer, start, file.length).set(file);
  });

  const passed = [
    report(wasm, "compression", wasm.run_compression),
    report(wasm, "scoring", wasm.run_scoring),
    report(wasm, "ledger", wasm.run_ledger),
    report(wasm, "signatures", wasm.run_signatures),
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
