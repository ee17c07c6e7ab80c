// @ts-check
// Replays a journal away from the page, so that it stays smooth: reads a stream, feeds it to the module
// in slices, and tells how far it is. Cancelling ends the worker. It reports the first entry that does
// not hold and stops there, since everything after it stands on it.

import { loadModule } from "./load.js";
import { describe, problem, Trouble } from "./problems.js";

/** @typedef {import("./types.js").AuditProgress} AuditProgress */
/** @typedef {import("./verify.js").AuditReport} AuditReport */

/** Text fed at once: small enough that progress moves. */
const SLICE = 64 * 1024;
/** Most of a wrong entry that is shown. */
const MAX_SHOWN = 4000;
const REPORT_EVERY_MS = 120;

/** @param {AuditReport} report */
const tell = (report) => self.postMessage(report);

/** @param {{url: string} | {file: File}} source @returns {Promise<{stream: ReadableStream<Uint8Array>, total: number | null}>} */
async function open(source) {
  if ("file" in source) return { stream: source.file.stream(), total: source.file.size };
  const response = await fetch(source.url, { credentials: "omit", cache: "no-store" });
  if (!response.ok || !response.body) throw new Error(`The coordinator answered ${response.status} for its journal.`);
  const length = Number(response.headers.get("content-length"));
  // A compressed answer is counted unpacked, so its Content-Length says nothing about the end.
  return { stream: response.body, total: length > 0 && !response.headers.get("content-encoding") ? length : null };
}

/** @param {{url: string} | {file: File}} source */
async function run(source) {
  const module = await loadModule();
  const audit = new module.Audit();
  const { stream, total } = await open(source);
  // Not fatal: a byte that is no text becomes a character that no entry has, and the module says where.
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  /** @type {AuditProgress | null} */
  let progress = null;
  let read = 0;
  let toldAt = -REPORT_EVERY_MS;
  // What was fed since the last entry that is known to hold, so that a wrong one can be shown.
  let unsettled = "";
  let holds = 0;

  /** @param {string} text */
  const feed = (text) => {
    for (let at = 0; at < text.length; at += SLICE) {
      const slice = text.slice(at, at + SLICE);
      unsettled += slice;
      progress = audit.feed(slice);
      holds = progress.entries;
      unsettled = unsettled.slice(unsettled.lastIndexOf("\n") + 1);
      if (performance.now() - toldAt < REPORT_EVERY_MS) continue;
      toldAt = performance.now();
      tell({ type: "progress", progress, read, total });
    }
  };
  try {
    for (;;) {
      const { done, value } = await within(reader.read());
      if (done) break;
      read += value.byteLength;
      feed(decoder.decode(value, { stream: true }));
    }
    feed(decoder.decode());
    tell({ type: "done", progress: audit.finish(), read });
  } catch (error) {
    if (error instanceof Trouble || error instanceof WebAssembly.RuntimeError) throw error;
    const { name, message, index } = /** @type {{name?: unknown, message?: unknown, index?: unknown}} */ (error ?? {});
    const line = typeof index === "number" ? (unsettled.split("\n")[index - holds] ?? "").slice(0, MAX_SHOWN) : "";
    tell({ type: "wrong", index: typeof index === "number" ? index : null, name: String(name ?? ""), message: String(message ?? error), line });
  }
}

/** A download that breaks off is no fault of the journal. @template T @param {Promise<T>} reading */
async function within(reading) {
  try {
    return await reading;
  } catch (error) {
    throw new Trouble("network", describe(error));
  }
}

addEventListener("message", ({ data }) => {
  run(data).catch((error) => {
    const message = error instanceof Trouble ? problem(error.code).text : describe(error);
    tell({ type: "failed", message });
  });
});
