// @ts-check
// What partners' visitors contributed: one partner (`?id=`), or all of them. Everything shown comes from
// the coordinator's public answer under /v1/partners.
//
// What a reader would get wrong: names and addresses are the operator's words, so they are put in as text,
// and an address leads somewhere only if it is one of the web.

import { find, make, setText, show } from "./app/dom.js";
import { count, host } from "./app/format.js";
import "./elements/small.js";

/**
 * @typedef {{id: string, name: string, url: string, suspended: boolean, rounds: number, packets: number, tokens: number,
 *   volunteers: number, last_activity_ms: number | null, account?: string, received: string}} Partner
 */

const WITHIN_MS = 15_000;
/** The page is kept as fresh as rounds are. */
const EVERY_MS = 15_000;
const DECIMALS = 9;

const node = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
const id = new URLSearchParams(location.search).get("id");
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
let drawn = false;

/** Base units as an exact decimal, large and small. @param {string} base */
function alpha(base) {
  const digits = /^\d{1,20}$/.test(base) ? base.padStart(DECIMALS + 1, "0") : "0".padStart(DECIMALS + 1, "0");
  const rest = digits.slice(-DECIMALS).replace(/0+$/, "");
  const whole = digits.slice(0, -DECIMALS).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return [whole, make("small", { text: `${rest ? `.${rest}` : ""}\u00a0\u03b1` })];
}

/** @param {string} path */
async function fetched(path) {
  const response = await fetch(path, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the operator answered with status ${response.status}`);
  return response.json();
}

/** @param {HTMLTimeElement} time @param {number | null} ms */
function when(time, ms) {
  setText(time, ms === null ? "None yet" : day.format(new Date(ms)));
  if (ms !== null) time.dateTime = new Date(ms).toISOString();
}

/** @param {Partner} partner */
function drawOne(partner) {
  document.title = `${partner.name} \u00b7 Covey partners`;
  setText(node("id"), partner.id);
  setText(node("name"), partner.name);
  const link = find("#url", HTMLAnchorElement);
  setText(link, host(partner.url));
  if (/^https?:\/\//.test(partner.url)) link.href = partner.url;
  show(node("suspended"), partner.suspended);
  for (const key of /** @type {const} */ (["rounds", "packets", "tokens", "volunteers"])) setText(node(key), count(partner[key]));
  when(find("#last", HTMLTimeElement), partner.last_activity_ms);
  const received = find("#received", HTMLDataElement);
  if (received.value !== partner.received || !drawn) {
    received.value = partner.received;
    received.replaceChildren(...alpha(partner.received));
  }
  setText(node("account-words"), partner.account
    ? `Volunteers can share what they earn with its account ${partner.account}. Only their own signature can set that, and only they can end it.`
    : "It has named no account, so nothing can be shared with it.");
  const share = find("#share", HTMLAnchorElement);
  share.href = `wallet.html?partner=${encodeURIComponent(partner.id)}#overview`;
  show(share, partner.account !== undefined);
}

/** @param {Partner[]} partners */
function drawAll(partners) {
  setText(node("all-words"), partners.length === 0 ? "This operator has no partners."
    : "Sites whose visitors lend a tab to this run, and what came of it.");
  show(node("all-box"), partners.length > 0);
  node("rows").replaceChildren(...partners.map((partner) => {
    const name = make("a", { text: partner.name });
    name.href = `partners.html?id=${encodeURIComponent(partner.id)}`;
    const head = make("th", {}, name);
    head.scope = "row";
    if (partner.suspended) head.append(make("span", { class: "tag", text: "Suspended" }));
    const time = make("time");
    when(time, partner.last_activity_ms);
    const numbers = [partner.rounds, partner.packets, partner.tokens, partner.volunteers];
    return make("tr", {}, head, ...numbers.map((value) => make("td", { class: "num", text: count(value) })), make("td", {}, time));
  }));
}

/** @param {string} title @param {string} words */
function trouble(title, words) {
  setText(node("problem-title"), title);
  setText(node("problem-words"), words);
  show(node("problem"), true);
}

async function draw() {
  try {
    const said = await fetched(id === null ? "/v1/partners" : `/v1/partners/${encodeURIComponent(id)}`);
    show(node("problem"), false);
    if (said === null) trouble("No such partner", "This operator has no partner of that name.");
    else if (id === null) {
      // Rows are made anew only when something changed, so that reading in them is not disturbed.
      const key = JSON.stringify(said);
      if (node("rows").dataset.key !== key) drawAll(said.partners);
      node("rows").dataset.key = key;
    } else drawOne(said);
    show(node(id === null ? "all" : "one"), said !== null);
    drawn = true;
  } catch (error) {
    // What was read before stays: an operator that is away for a moment is no news.
    if (!drawn) trouble("The operator does not answer", `Try again in a moment. (${error instanceof Error ? error.message : error})`);
  }
  show(node("loading"), false);
}

draw();
setInterval(() => {
  if (document.visibilityState === "visible") draw();
}, EVERY_MS);
