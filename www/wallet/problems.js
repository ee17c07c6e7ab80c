// @ts-check
// Every way in which the wallet page can fail to start or to go on, with its own words and remedy, shown
// by the same card as on the contributing page. What a reader would get wrong: these are faults of the
// page's surroundings. A refusal by the ledger is no problem of this kind; refusals.js has its words.

/** @typedef {import("../app/problems.js").Problem} Problem */

/** @type {Record<string, Omit<Problem, "code" | "detail">>} */
const WORDS = {
  no_wasm: {
    title: "WebAssembly is switched off",
    text: "The wallet checks the ledger with a WebAssembly program, and this browser does not offer it.",
    remedy: ["Use a current Chrome, Edge, Firefox or Safari.",
      "On Apple devices, Lockdown Mode turns it off: allow this site in the mode\u2019s settings."],
    action: "reload",
  },
  csp_wasm: {
    title: "This site\u2019s security policy forbids WebAssembly",
    text: "The wallet program was downloaded, but the Content-Security-Policy does not let the browser compile it.",
    remedy: ["Whoever runs this server must add 'wasm-unsafe-eval' to script-src in the policy sent with wallet.html."],
    action: "reload",
  },
  module_missing: {
    title: "The wallet program has not been built",
    text: "This server has the page, but not the wallet program in www/module/.",
    remedy: ["If you run this server: run `cargo xtask start`, which builds it.", "Otherwise tell whoever runs it, and try again later."],
    action: "reload",
  },
  module_http: {
    title: "The server did not hand out the wallet program",
    text: "It answered the request for it with an error.",
    remedy: ["Try again in a minute. If it stays, whoever runs this server finds the reason in its log."],
    action: "reload",
  },
  module_mime: {
    title: "The server sends the wallet program as the wrong type",
    text: "A file of it did not come as what it is, so the browser refuses to run it.",
    remedy: ["Whoever runs this server must send .js files as text/javascript and .wasm files as application/wasm.",
      "A server that answers missing files with its start page also causes this: then run `cargo xtask start`."],
    action: "reload",
  },
  wasm_invalid: {
    title: "The wallet program arrived damaged",
    text: "What came is not WebAssembly that this browser can compile.",
    remedy: ["Reload the page.", "If it stays: update the browser, or whoever runs this server must build the program again."],
    action: "reload",
  },
  module_mismatch: {
    title: "The parts of the wallet program do not fit together",
    text: "Script and WebAssembly come from different builds, or a browser extension changed one of them.",
    remedy: ["Reload the page, holding Shift.", "Whoever runs this server must copy all of www/module/ at once."],
    action: "reload",
  },
  network: {
    title: "The download broke off",
    text: "The wallet program could not be fetched completely.",
    remedy: ["Check the connection and reload the page."],
    action: "reload",
  },
  panic: {
    title: "The wallet program stopped unexpectedly",
    text: "This is a fault in the program. Nothing was signed or sent by it on its own.",
    remedy: ["Reload the page.", "If it happens again, report the message below."],
    action: "reload",
  },
  ledger_missing: {
    title: "This server keeps no ledger",
    text: "The page is here, but nobody answers for the ledger: the coordinator is older than this page, or another program serves the files.",
    remedy: ["Whoever runs the coordinator must update it.", "Check that the address is the coordinator\u2019s own."],
    action: "reload",
  },
  ledger_network: {
    title: "The ledger cannot be reached",
    text: "The coordinator does not answer. This page keeps trying.",
    remedy: ["Check the connection.", "Is the coordinator running? On your own machine, `cargo xtask start` starts it."],
    action: "reload",
  },
  ledger_http: {
    title: "The coordinator did not hand out its ledger",
    text: "It answered with an error. This page keeps trying.",
    remedy: ["Wait a minute. If it stays, whoever runs the coordinator finds the reason in its log."],
    action: "reload",
  },
  snapshot: {
    title: "The ledger\u2019s snapshot is not what it claims to be",
    text: "Its contents do not have the hash that the ledger recorded, so nothing from it is shown.",
    remedy: ["Reload the page once.", "If it stays, do not sign anything here, and tell others: the server sends a false or an older format of ledger."],
    action: "reload",
  },
  wrong_entry: {
    title: "The ledger broke its own rules",
    text: "The coordinator sent an entry that this page, which checks every one, does not accept. What is shown is the last state that holds.",
    remedy: ["Do not sign anything until this is explained.", "Verify the whole journal under History, and keep the file: it is the evidence."],
    action: "reload",
  },
  other_run: {
    title: "Another run is served here now",
    text: "The coordinator keeps the ledger of another run than when this page was opened.",
    remedy: ["Reload the page to see the new run."],
    action: "reload",
  },
};

/** @param {string} code @param {string} [detail] @param {string} [text] @returns {Problem} */
export function problem(code, detail, text) {
  const words = WORDS[code] ?? { title: "The wallet stopped", text: "Something went wrong that this page has no words for.", remedy: ["Reload the page, and report the message below."], action: /** @type {const} */ ("reload") };
  return { code, ...words, ...(text ? { text } : {}), detail };
}

/** Something that has a code of this file. */
export class Trouble extends Error {
  /** @param {string} code @param {string} [detail] */
  constructor(code, detail = "") {
    super(detail || code);
    this.code = code;
    this.detail = detail;
  }
}

/** A message of whatever was thrown. @param {unknown} error */
export function describe(error) {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return String(error);
}
