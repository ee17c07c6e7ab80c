// @ts-check
// A static server for the page without a coordinator, which a test can make misbehave: an answer for
// a path replaces the file. In place of the built modules it serves scripted-module.js and
// scripted-wallet.js and the smallest valid WebAssembly, so the page's own behaviour is tested without building anything.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const WWW = process.env.COVEY_WWW ?? fileURLToPath(new URL("../../../www", import.meta.url));
/** What stands where the built modules would be. @type {Record<string, string>} */
const SCRIPTED = {
  "/module/covey.js": fileURLToPath(new URL("./scripted-module.js", import.meta.url)),
  "/module/wallet.js": fileURLToPath(new URL("./scripted-wallet.js", import.meta.url)),
};

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css",
  ".svg": "image/svg+xml", ".json": "application/json", ".wasm": "application/wasm",
};

/** The empty module, with a custom section so that there is something to download. */
export const WASM = Buffer.concat([
  Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, 0x82, 0x80, 0x04, 1, 0x78]),
  Buffer.alloc(65_536),
]);

/**
 * @typedef {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => void} Answer
 */

/** Starts a site. `requests` lists every path asked for. */
export async function site(/** @type {Record<string, Answer>} */ answers = {}) {
  /** @type {string[]} */
  const requests = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://site");
    requests.push(pathname);
    const answer = answers[pathname];
    if (answer) return answer(request, response);
    if (/^\/module\/(covey|wallet)_bg\.wasm$/.test(pathname)) return send(response, WASM, TYPES[".wasm"]);
    const file = SCRIPTED[pathname] ?? join(WWW, normalize(pathname === "/" ? "/index.html" : pathname));
    try {
      send(response, await readFile(file), TYPES[extname(file)]);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://localhost:${port}`,
    port,
    requests,
    answers,
    server,
    /** Answers nobody any more, but keeps the port: no later site of this process gets the same origin. */
    rest: () => {
      server.removeAllListeners("request");
      server.removeAllListeners("upgrade");
      server.on("request", (request) => request.socket.destroy());
      server.on("upgrade", (_, socket) => socket.destroy());
      server.closeAllConnections();
      server.unref();
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * @param {import("node:http").ServerResponse} response
 * @param {Buffer | string} body
 * @param {string | undefined} type
 * @param {Record<string, string>} [headers]
 */
export function send(response, body, type, headers = {}) {
  response.writeHead(200, {
    ...(type ? { "content-type": type } : {}),
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...headers,
  });
  response.end(body);
}

/** The file as it is, with other headers. @param {string} path @param {Record<string, string>} headers @returns {Answer} */
export const withHeaders = (path, headers) => async (_, response) =>
  send(response, await readFile(join(WWW, path)), TYPES[extname(path)], headers);
