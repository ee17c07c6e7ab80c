// @ts-check
// The frame inside a partner's page: terms first, and after the visitor's click the work, with its
// stop. Before that click nothing but this small page is fetched, and the public description of the
// operator's run, because the terms name it.
//
// What a reader would get wrong: consent belongs to this frame, not to the page around it. Only
// `consented`, in the click's own handler, leads to `begin`; a stop, whoever asks for it, ends the
// consent. Docs: docs/embedding.md.

import { Payout } from "../app/payout.js";
import { find, Frame, setText, show } from "../app/dom.js";
import { bytes, count, host } from "../app/format.js";
import { nearestShare } from "../app/settings.js";
import { Channel, partnerOf } from "./channel.js";
import { Gesture } from "./gesture.js";
import { progress, reduced } from "./reduced.js";
import { Sight } from "./sight.js";
import { direction, english, fill, load, pick } from "./words.js";

/** @typedef {import("./words.js").Words} Words */
/** @typedef {import("./channel.js").Wishes} Wishes */
/** @typedef {import("./work.js").Work} Work */
/** @typedef {import("./reduced.js").EmbedState} EmbedState */

/** Milliseconds that the stop may be covered while work goes on: a passing menu is no attack. */
const COVERED_MS = 3000;
/** Milliseconds between two reports of progress to the page. */
const PROGRESS_MS = 1000;
/** Milliseconds that the operator may take to say what it trains, and until it is asked again. */
const RUN_WITHIN = 8000;
const ASK_AGAIN = 20_000;

const terms = find("#terms", HTMLElement);
const panel = find("#panel", HTMLElement);
const controls = find("#controls", HTMLElement);
const contribute = find("#contribute", HTMLButtonElement);
const pause = find("#pause", HTMLButtonElement);
const stop = find("#stop", HTMLButtonElement);
const power = find("#power", HTMLInputElement);
const override = find("#override", HTMLButtonElement);
const note = find("#note", HTMLElement);
const text = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);

/** @type {Words} */
let words = english;
/** @type {Wishes | null} */
let wishes = null;
/** @type {{id: string, name: string, round: number, weights: number | null} | null} */
let run = null;
/** Whose frame this is, and what the operator says of that partner. */
const named = partnerOf(location.search);
/** @type {{id: string, name: string, suspended: boolean, account: boolean} | null} */
let partner = null;
/** Why nothing can begin, as a word; null when it can. @type {keyof Words | null} */
let barred = "loading_run";
/** Said under the button until something else happens. @type {keyof Words | null} */
let hint = null;
/** Highest share the page allows; the visitor's own is `power`. */
let ceiling = 100;
let consented = false;
/** Counts the consents: one that was taken back while the program was fetched begins nothing later. */
let consents = 0;
let accepted = 0;
/** Whom the newest receipt names. @type {string | null} */
let credited = null;
/** @type {Work | null} */
let work = null;
let told = "";
let progressTold = "";
let progressAt = -Infinity;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let coveredSince;

const drawing = new Frame(draw);
const sight = new Sight(looked);
const gesture = new Gesture(sight, contribute);
const payout = new Payout((text) => work?.sign(text), () => ({
  done: (account) => fill(words.wallet_done, { account }), change: words.wallet_change, blocked: words.wallet_blocked,
}));
const channel = new Channel({
  hello(wished, ignored) {
    wishes = wished;
    ceiling = 100;
    power.value = String(wished.power);
    for (const name of ignored) channel.tell({ type: "error", code: `${name}_invalid`, message: `The ${name} attribute has characters that are not allowed; it is ignored.` });
    theme(wished.theme);
    speak(wished.lang).then(introduce);
  },
  nameless() {
    setText(text("lonely"), words.nameless);
    text("lonely").dataset.word = "nameless";
    show(text("lonely"), true);
  },
  command(name) {
    if (name === "pause") work?.pause("host");
    if (name === "resume") work?.resume("host");
    if (name === "stop") end();
    if (name === "attention" && !consented) attend();
  },
  set(change) {
    if (change.theme) theme(change.theme);
    if (change.lang) speak(change.lang);
    if (change.power) {
      // Before consent it is a proposal. After it the page may ask for less, never for more than the
      // visitor agreed to.
      if (consented) ceiling = change.power;
      else power.value = String(change.power);
      if (work) work.share = share();
      drawing.request();
    }
  },
});

const share = () => nearestShare(Math.min(Number(power.value), ceiling));

/** @param {string} theme */
function theme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** @param {string} wish */
async function speak(wish) {
  const language = pick(wish);
  words = await load(language);
  document.documentElement.lang = language;
  document.documentElement.dir = direction(language);
  for (const node of document.querySelectorAll("[data-word]")) {
    setText(node, words[/** @type {keyof Words} */ (/** @type {HTMLElement} */ (node).dataset.word)] ?? "");
  }
  drawing.request();
}

/** Shows the terms and asks what they are about. */
async function introduce() {
  document.body.dataset.phase = "consent";
  show(terms, true);
  show(controls, true);
  sight.watch([terms, contribute]);
  setText(text("operator"), location.host);
  find("#more", HTMLAnchorElement).href = new URL("/", location.href).href;
  // Both lead to pages of their own: no share of anybody's earnings is set in a frame.
  find("#partner-page", HTMLAnchorElement).href = `partners.html?id=${named ?? ""}`;
  find("#partner-share", HTMLAnchorElement).href = `wallet.html?partner=${named ?? ""}#overview`;
  await ask();
}

/** Learns what would be trained; without that nobody can agree to it. */
async function ask() {
  drawing.request();
  tell();
  [run, partner] = await Promise.all([describe(), describePartner()]);
  const wanted = wishes?.run;
  barred = run === null ? "no_run" : wanted && wanted !== run.name && !run.id.startsWith(wanted.toLowerCase()) ? "wrong_run" : partner?.suspended ? "partner_suspended" : null;
  if (barred) channel.tell({ type: "error", code: barred, message: fill(words[barred], { run: run?.name ?? "", partner: partner?.name ?? "" }) });
  else channel.tell({ type: "ready", run: run?.name ?? null });
  if (barred === "no_run" || barred === "partner_suspended") setTimeout(ask, ASK_AGAIN);
  // Drawn before it is told: whoever hears that consent is asked for may lead the visitor here at once.
  draw();
  tell();
}

/** The operator's run, as its coordinator publishes it; null when it does not. */
async function describe() {
  try {
    const response = await fetch("/v1/run", { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(RUN_WITHIN) });
    const said = await response.json();
    if (!response.ok || typeof said?.spec?.name !== "string") return null;
    const weights = Number(said.checkpoint?.len);
    return {
      id: String(said.run ?? ""), name: said.spec.name.slice(0, 64), round: Number(said.round) || 0,
      weights: Number.isFinite(weights) && weights > 0 ? weights : null,
    };
  } catch {
    return null;
  }
}

/** Whose frame this is, as the operator knows that partner; null when it does not. */
async function describePartner() {
  if (named === null) return null;
  try {
    const response = await fetch(`/v1/partners/${named}`, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(RUN_WITHIN) });
    const said = await response.json();
    if (!response.ok || typeof said?.name !== "string") return null;
    return { id: named, name: said.name.slice(0, 64), suspended: said.suspended === true, account: typeof said.account === "string" };
  } catch {
    return null;
  }
}

/** The page asks for the visitor's attention. The focus moves here, so keys count a moment later. */
function attend() {
  gesture.moved();
  hint = "asked";
  contribute.focus({ preventScroll: true });
  drawing.request();
}

/** The one way in which work begins. @param {MouseEvent} event */
async function consent(event) {
  if (consented || barred || !wishes) return;
  const refusal = gesture.refusal(event);
  hint = refusal;
  drawing.request();
  if (refusal) return channel.tell({ type: "error", code: `consent_${refusal}`, message: words[refusal] });
  consented = true;
  consents += 1;
  const mine = consents;
  accepted = 0;
  credited = null;
  show(terms, false);
  show(panel, true);
  document.body.dataset.phase = "work";
  panel.focus({ preventScroll: true });
  draw();
  sight.watch([stop]);
  const { Work } = await import("./work.js");
  work ??= new Work({
    changed() {
      if (work?.view?.credit?.refused === "suspended") suspended();
      tell();
      drawing.request();
      if (work?.problem) finish();
    },
    receipt(receipt) {
      accepted += 1;
      credited = receipt.partner;
      channel.tell({ type: "receipt", round: receipt.round, tokens: receipt.tokens, partner: receipt.partner });
    },
    signed: (answer) => payout.signed(answer),
  });
  if (consented && mine === consents) await work.begin({ share: share(), partner: named });
}

/** Stops, and takes the consent back: the next start is another click. */
async function end() {
  if (!consented) return;
  const stopping = work?.stop();
  tell();
  await stopping;
  finish();
}

/** The operator suspended this site's partnership while we worked: what the frame was agreed to for is over. */
function suspended() {
  if (!consented || barred === "partner_suspended") return;
  barred = "partner_suspended";
  channel.tell({ type: "error", code: barred, message: fill(words[barred], { partner: partner?.name ?? "" }) });
  setTimeout(ask, ASK_AGAIN);
  end();
}

/** Back to the terms, with the reason if something failed. */
function finish() {
  if (!consented) return;
  consented = false;
  clearTimeout(coveredSince);
  coveredSince = undefined;
  ceiling = 100;
  hint = work?.problem ? null : "again";
  if (work?.problem) channel.tell({ type: "error", code: work.problem.code, message: work.problem.title });
  document.body.dataset.phase = "consent";
  const focused = panel.contains(document.activeElement) || controls.contains(document.activeElement);
  show(panel, false);
  show(terms, true);
  sight.watch([terms, contribute]);
  draw();
  if (focused && document.hasFocus()) contribute.focus({ preventScroll: true });
  tell();
}

/** Something came into sight or went out of it. */
function looked() {
  if (!consented) {
    if (hint && hint === sight.unseen) return;
    // A hint about being unseen is over once all can be seen.
    if (sight.unseen === null && ["covered", "small", "away"].includes(hint ?? "")) hint = null;
    drawing.request();
    return;
  }
  const hidden = sight.unseen === "covered" || sight.unseen === "small";
  if (!hidden) {
    clearTimeout(coveredSince);
    coveredSince = undefined;
    work?.resume("covered");
  } else {
    coveredSince ??= setTimeout(() => work?.pause("covered"), COVERED_MS);
  }
}

/** @returns {{state: EmbedState, reason: string | null}} */
function situation() {
  if (work?.problem) return { state: "failed", reason: work.problem.code };
  if (!consented) {
    if (barred && barred !== "loading_run") return { state: "failed", reason: barred };
    return barred ? { state: "loading", reason: null } : hint === "again" ? { state: "stopped", reason: null } : { state: "consent_needed", reason: null };
  }
  if (!work) return { state: "starting", reason: "loading" };
  return work.stopping ? { state: "stopping", reason: null } : reduced(work.view, work.causes);
}

/** Tells the page what changed: states at once, progress now and then. */
function tell() {
  const { state, reason } = situation();
  const key = `${state}|${reason}`;
  if (key !== told && state !== "loading") {
    told = key;
    channel.tell({ type: "state", state, reason });
  }
  const said = work?.view && consented ? progress(work.view, accepted) : null;
  const now = JSON.stringify(said);
  if (!said || now === progressTold || performance.now() - progressAt < PROGRESS_MS) return;
  progressTold = now;
  progressAt = performance.now();
  channel.tell(said);
}

/** What went wrong, as a title. @param {import("../app/problems.js").Problem} problem */
const titled = ({ code, title }) => words[`x_${code}`] ?? title;

/** The state as a sentence. @param {string} state @param {string | null} reason */
function sentence(state, reason) {
  const view = work?.view;
  if (state === "working") return view?.state === "waiting" ? words.s_waiting : words.s_working;
  if (state !== "starting") return /** @type {Record<string, string>} */ (words)[`s_${state}`] ?? "";
  if (reason === "connecting") return words.s_connecting;
  return /** @type {Record<string, string>} */ (words)[`s_${reason}`] ?? words.s_starting;
}

/** A number with its unit stays together in a text that runs the other way. @param {string} text */
const isolated = (text) => `\u2068${text}\u2069`;

function draw() {
  const { state, reason } = situation();
  const values = { partner: partner?.name ?? named ?? "", run: run?.name ?? "", round: count(run?.round ?? 0), weights: run?.weights ? isolated(bytes(run.weights)) : "" };
  setText(text("run-name"), run?.name ?? "");
  setText(text("run-words"), run ? fill(words.run_size, values) : barred === "loading_run" ? words.loading_run : words.no_run);
  setText(text("data"), run?.weights ? fill(words.data, values) : words.data_unsized);
  const where = host(channel.origin ?? "");
  setText(text("credit"), fill(partner ? words.credit : named ? words.credit_unknown : words.credit_none, { host: where, partner: isolated(values.partner) }));
  setText(text("power-value"), `${share()} %`);
  power.setAttribute("aria-valuetext", `${share()} %`);

  show(contribute, !consented);
  show(pause, consented);
  show(stop, consented);
  contribute.disabled = barred !== null;
  pause.disabled = state === "stopping" || !work;
  stop.disabled = state === "stopping";
  setText(pause, work?.causes.has("visitor") ? words.resume : words.pause);
  setText(note, consented ? "" : work?.problem ? `${words.s_failed}. ${titled(work.problem)}.` : barred && barred !== "loading_run" ? fill(words[barred], values) : hint ? words[hint] : "");

  if (!consented) return;
  const said = sentence(state, reason);
  setText(text("status"), said);
  setText(text("spoken"), said);
  const view = work?.view ?? null;
  const bar = find("#progress", HTMLProgressElement);
  if (view && view.steps > 0) {
    bar.max = view.steps;
    bar.value = Math.min(view.step, view.steps);
  } else bar.removeAttribute("value");
  setText(text("numbers"), !view ? (work?.loaded ? fill(words.loaded, { bytes: isolated(bytes(work.loaded)) }) : "")
    : view.round === null ? "" : fill(words.step, { round: count(view.round), step: count(view.step), steps: count(view.steps) }));
  setText(text("accepted"), fill(words.accepted, { n: count(accepted) }));
  setText(text("credited"), credited ? fill(words.credited, { partner: isolated(values.partner) }) : "");
  for (const [id, there] of /** @type {const} */ ([["partner-page", partner !== null], ["partner-share", partner?.account === true]])) show(text(id), there);
  const paused = state === "paused" && reason ? /** @type {Record<string, string>} */ (words)[`p_${reason}`] : undefined;
  show(text("notice"), Boolean(paused));
  setText(text("notice-words"), paused ?? "");
  const offered = view?.pauses.find((pause) => pause.reason === reason && pause.override);
  show(override, Boolean(offered));
  override.dataset.reason = offered?.reason ?? "";
  show(text("earnings"), view?.run != null);
  if (view) payout.draw(view);
}

contribute.addEventListener("click", consent);
stop.addEventListener("click", (event) => {
  if (event.isTrusted) end();
});
pause.addEventListener("click", (event) => {
  if (!event.isTrusted || !work) return;
  if (work.causes.has("visitor")) work.resume("visitor");
  else work.pause("visitor");
});
override.addEventListener("click", (event) => {
  if (event.isTrusted && override.dataset.reason) work?.override(override.dataset.reason);
});
power.addEventListener("input", () => {
  if (work) work.share = share();
  drawing.request();
});
if (window.parent === window) show(text("lonely"), true);
speak(navigator.language);
