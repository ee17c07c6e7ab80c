// Stands where wasm-bindgen's output would be, in tests of the page only. It computes nothing: it
// loads the WebAssembly that the server gives as the real glue does, keeps the intents it is sent,
// and lets a test say what the module would say, through `globalThis.scripted` in the worker.

export default async function init({ module_or_path }) {
  await WebAssembly.instantiateStreaming(await module_or_path, {});
}

export class Contributor {
  constructor(listener) {
    globalThis.scripted = { tell: listener, intents: [] };
  }

  send(intent) {
    globalThis.scripted.intents.push(intent);
  }
}
