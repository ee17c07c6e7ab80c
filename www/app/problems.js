// @ts-check
// Every way in which starting or going on can fail, each with its own words and remedy. Codes come
// from the page's checks, from worker.js (loading) and from the module (`fatal`); a fatal report
// brings its own message and remedy, and the words here are the title and the fall-back. What a
// reader would get wrong: "no coordinator" is not an end, the module keeps trying meanwhile.

/**
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} title
 * @property {string} text what happened
 * @property {string[]} remedy what to do, one step each
 * @property {"reload" | "restart" | null} action the button offered
 * @property {string} [detail] the technical message, shown small
 */

/** @type {Record<string, Omit<Problem, "code" | "detail">>} */
const WORDS = {
  insecure_context: {
    title: "The connection to this page is not secure",
    text: "Browsers allow workers with WebGPU, private storage and locks only on https:// pages and on http://localhost.",
    remedy: ["Open this page with https://, or on the machine itself as http://localhost.",
      "If you run this server: put it behind TLS."],
    action: null,
  },
  no_wasm: {
    title: "WebAssembly is switched off",
    text: "The training program is WebAssembly, and this browser does not offer it. It is either very old, or a security setting turns it off.",
    remedy: ["Use a current Chrome, Edge, Firefox or Safari.",
      "On Apple devices, Lockdown Mode turns it off: allow this site in the mode\u2019s settings. In Firefox, see javascript.options.wasm in about:config."],
    action: "reload",
  },
  no_simd: {
    title: "This browser\u2019s WebAssembly is too old",
    text: "The training program uses 128-bit SIMD instructions, which this browser cannot compile.",
    remedy: ["Update the browser: Chrome and Edge 91, Firefox 89 and Safari 16.4 were the first to have them."],
    action: "reload",
  },
  no_module_workers: {
    title: "This browser cannot run module workers",
    text: "All computing happens in a background worker that is a JavaScript module, and this browser only knows older ones.",
    remedy: ["Update the browser: Chrome and Edge 80, Firefox 114 and Safari 15 were the first to have them."],
    action: "reload",
  },
  csp_worker: {
    title: "This site\u2019s security policy forbids the worker",
    text: "The page\u2019s Content-Security-Policy does not let it start its own background worker.",
    remedy: ["Whoever runs this server must add to the policy: worker-src 'self'; script-src 'self' 'wasm-unsafe-eval'."],
    action: "reload",
  },
  csp_wasm: {
    title: "This site\u2019s security policy forbids WebAssembly",
    text: "The program was downloaded, but the Content-Security-Policy does not let the browser compile it.",
    remedy: ["Whoever runs this server must add 'wasm-unsafe-eval' to script-src in the policy sent with worker.js."],
    action: "reload",
  },
  module_missing: {
    title: "The module has not been built",
    text: "This server has the page, but not the training program in www/module/.",
    remedy: ["If you run this server: the module has not been built: run `cargo xtask start`.", "Otherwise tell whoever runs it, and try again later."],
    action: "reload",
  },
  module_http: {
    title: "The server did not hand out the program",
    text: "It answered the request for the training program with an error.",
    remedy: ["Try again in a minute. If it stays, whoever runs this server finds the reason in its log."],
    action: "reload",
  },
  module_mime: {
    title: "The server sends the program as the wrong type",
    text: "A file of the training program did not come as JavaScript, so the browser refuses to run it.",
    remedy: ["Whoever runs this server must send .js files as text/javascript.", "A server that answers missing files with its start page also causes this: then run `cargo xtask start` to build the module."],
    action: "reload",
  },
  wasm_mime: {
    title: "The server sends something else instead of WebAssembly",
    text: "The file covey_bg.wasm came, but it is not WebAssembly and is labelled as something else.",
    remedy: ["Whoever runs this server must send .wasm files as application/wasm, unchanged.", "A server that answers missing files with its start page also causes this: then run `cargo xtask start` to build the module."],
    action: "reload",
  },
  wasm_invalid: {
    title: "The program arrived damaged",
    text: "The downloaded file is not valid WebAssembly: cut short on the way, or changed by something in between.",
    remedy: ["Reload the page without the cache (Ctrl or Cmd + Shift + R).", "If it stays, whoever runs this server should build the module again."],
    action: "reload",
  },
  module_mismatch: {
    title: "Two parts of the program do not fit together",
    text: "The browser has files from two different builds of the training program, probably because one came from its cache.",
    remedy: ["Reload the page without the cache (Ctrl or Cmd + Shift + R)."],
    action: "reload",
  },
  network: {
    title: "The program could not be downloaded",
    text: "The connection broke or was refused while the training program was on its way.",
    remedy: ["Check the connection, then try again.", "If this server is yours: is it still running?"],
    action: "restart",
  },
  worker_script: {
    title: "The background worker did not load",
    text: "The browser could not load worker.js from this server.",
    remedy: ["Reload the page.", "Whoever runs this server: worker.js must be there, sent as text/javascript, and allowed by the policy (worker-src 'self')."],
    action: "reload",
  },
  panic: {
    title: "The training program stopped unexpectedly",
    text: "This is a fault in the program, not in your machine. What was accepted is safe; at most the round in flight is lost.",
    remedy: ["Start it again: it goes on from its saved state.", "If it happens again, choose the CPU under \u201cThis machine\u201d, and report the message below."],
    action: "restart",
  },
  worker_gone: {
    title: "The browser keeps ending the training program",
    text: "It was ended from outside several times without finishing a round, as browsers do when memory runs out. What was accepted is safe; at most the round in flight is lost.",
    remedy: ["Close other tabs and programs, then start again: it goes on from its saved state."],
    action: "restart",
  },
  worker_replaced: {
    title: "The training program was started again",
    text: "The browser had ended it, as browsers do when memory runs out. It goes on from its saved state; at most the round in flight was lost.",
    remedy: [],
    action: null,
  },
  device_lost: {
    title: "The graphics device was lost",
    text: "A new one is tried.",
    remedy: ["What was accepted is safe; at most the round in flight was lost."],
    action: null,
  },
  protocol_old: {
    title: "This page is older than the coordinator",
    text: "The coordinator speaks a newer protocol than this page.",
    remedy: ["Reload the page to get the current version."],
    action: "reload",
  },
  protocol_new: {
    title: "The coordinator is older than this page",
    text: "The coordinator speaks an older protocol than this page.",
    remedy: ["Whoever runs the coordinator must update it. Try again later."],
    action: "restart",
  },
  wrong_run: {
    title: "This is another run",
    text: "The coordinator trains another model than the one this tab joined.",
    remedy: ["Start again to join the model it trains now."],
    action: "restart",
  },
  two_coordinators: {
    title: "Two coordinators claim this run",
    text: "The coordinator that this browser knew is gone, and two others go on with the run from what you agreed to. Nothing here chooses between them.",
    remedy: ["Read who they are below, and open the page of the one you trust.", "Mirrors and witnesses of the run can tell you what they recomputed."],
    action: "restart",
  },
  replaced: {
    title: "This volunteer went on somewhere else",
    text: "A newer tab or browser connected with the same identity, so this one stopped.",
    remedy: ["Go on in the newer one.", "Or close it and start again here."],
    action: "restart",
  },
  storage: {
    title: "The browser\u2019s private storage does not work",
    text: "Identity and training state are kept in it, and reading or writing failed.",
    remedy: ["Leave private browsing, free some disk space, or allow this site to store data, then start again.",
      "If it stays, delete what this browser stored (at the bottom of the page)."],
    action: "restart",
  },
  no_backend: {
    title: "No way to compute was found",
    text: "Neither WebGPU nor the CPU passed the self-check.",
    remedy: ["Set \u201cComputes on\u201d to Auto and start again.", "Update the browser and the graphics driver."],
    action: "restart",
  },
  no_coordinator: {
    title: "No coordinator can be reached",
    text: "The program runs, but nobody answers who hands out the work. It keeps trying.",
    remedy: [],
    action: null,
  },
  slow_start: {
    title: "Starting takes unusually long",
    text: "It may still succeed; nothing is broken yet.",
    remedy: ["In Microsoft Edge, \u201cEnhance your security on the web\u201d makes WebAssembly many times slower on unfamiliar sites: add this site as an exception (Settings, Privacy, Security) and reload.",
      "A graphics card that is only emulated in software is slow to test: choose CPU under \u201cComputes on\u201d, or add ?backend=flex to the address."],
    action: null,
  },
  wasm_mime_notice: {
    title: "Small fault of this server",
    text: "It labels the program wrongly. It was loaded all the same.",
    remedy: ["Whoever runs this server should send .wasm files as application/wasm."],
    action: null,
  },
};

/** Every code there are words for. */
export const CODES = Object.keys(WORDS);

/**
 * The problem with a code; a report's own message and remedy win over the general words.
 * @param {string} code
 * @param {{message?: string, remedy?: string, detail?: string}} [report]
 * @returns {Problem}
 */
export function problem(code, report = {}) {
  const words = WORDS[code] ?? {
    title: "Contributing stopped",
    text: "Something went wrong that this page has no words for.",
    remedy: ["Start again. If it stays, report the message below."],
    action: /** @type {const} */ ("restart"),
  };
  return {
    code,
    title: words.title,
    text: report.message || words.text,
    remedy: report.remedy ? [report.remedy] : words.remedy,
    action: words.action,
    detail: report.detail,
  };
}

/**
 * What this browser lacks, found before anything is fetched; null when nothing.
 * @returns {Problem | null}
 */
export function preflight() {
  if (!isSecureContext) return problem("insecure_context");
  if (typeof WebAssembly !== "object" || typeof WebAssembly.instantiate !== "function") return problem("no_wasm");
  if (typeof Worker !== "function") return problem("no_module_workers");
  return null;
}

/**
 * What to check while no coordinator answers, for the address that failed last.
 * @param {string | null} url
 * @returns {Problem}
 */
export function unreachable(url) {
  const found = problem("no_coordinator");
  const steps = [];
  if (!navigator.onLine) steps.push("This device is offline: connect it to a network.");
  if (url && location.protocol === "https:" && /^(http|ws):\/\/(?!localhost|127\.|\[::1\])/.test(url)) {
    steps.push("This page came over https, so the browser blocks a coordinator on plain http: it needs TLS as well.");
  }
  steps.push("Is the coordinator running? On your own machine, `cargo xtask start` starts it.");
  steps.push("Is the address right, and open in the firewall? A coordinator of another site must also allow this one.");
  return { ...found, remedy: steps };
}
