// @ts-check
// The manual's playground: the snippet, written from the settings, and the same element live beside
// it. The preview is the real thing and lends this machine if its Contribute is pressed.

import { find, make, setText } from "../app/dom.js";
import "../embed.js";

/** @typedef {import("../embed.js").CoveyContribute} CoveyContribute */

/** Events kept on screen. */
const MAX_EVENTS = 100;
const KINDS = ["ready", "state", "progress", "receipt", "error"];

const form = find("#settings", HTMLFormElement);
const events = find("#events", HTMLOListElement);
const loader = new URL("../embed.js", import.meta.url);
const versioned = /\/v\d[^/]*\/embed\.js$/.test(loader.pathname);
const element = /** @type {CoveyContribute} */ (document.createElement("covey-contribute"));
let integrity = "";

/** @returns {[string, string][]} the attributes that differ from saying nothing */
function attributes() {
  const defaults = { power: "50", theme: "auto" };
  return [...new FormData(form)]
    .map(([name, value]) => /** @type {[string, string]} */ ([name, String(value).trim()]))
    .filter(([name, value]) => value !== "" && value !== /** @type {Record<string, string>} */ (defaults)[name]);
}

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

function write() {
  const chosen = attributes();
  const check = versioned && integrity ? ` integrity="${integrity}" crossorigin` : "";
  const words = chosen.map(([name, value]) => ` ${name}="${escaped(value)}"`).join("");
  setText(find("#snippet", HTMLElement), `<script type="module" src="${loader.href}"${check}></script>\n<covey-contribute${words}></covey-contribute>`);
  setText(find("#policy", HTMLElement), `script-src ${loader.origin}; frame-src ${loader.origin}`);
  for (const name of ["run", "partner", "power", "theme", "lang"]) {
    const value = chosen.find(([chosen]) => chosen === name)?.[1];
    if (value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
}

/** The hash that a snippet with a versioned address carries. */
async function hash() {
  const bytes = await (await fetch(loader)).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-384", bytes));
  integrity = `sha384-${btoa(String.fromCharCode(...digest))}`;
  write();
}

for (const kind of KINDS) {
  document.addEventListener(`covey-${kind}`, (event) => {
    const time = new Date().toLocaleTimeString();
    events.prepend(make("li", { text: `${time}  covey-${kind}  ${JSON.stringify(/** @type {CustomEvent} */ (event).detail)}` }));
    while (events.childElementCount > MAX_EVENTS) events.lastElementChild?.remove();
  });
}
form.addEventListener("input", write);
form.addEventListener("submit", (event) => event.preventDefault());
find("#methods", HTMLElement).addEventListener("click", (event) => {
  const method = /** @type {HTMLElement} */ (event.target).dataset.method;
  if (method === "start" || method === "pause" || method === "resume" || method === "stop") element[method]();
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = find(`#${/** @type {HTMLElement} */ (button).dataset.copy}`, HTMLElement);
    const note = find("#copied", HTMLElement);
    try {
      await navigator.clipboard.writeText(source.textContent ?? "");
      setText(note, "Copied");
    } catch {
      getSelection()?.selectAllChildren(source);
      setText(note, "Selected: copy it with the keyboard");
    }
  });
}
write();
find("#preview", HTMLElement).append(element);
hash().catch((error) => console.warn("the hash could not be computed", error));
