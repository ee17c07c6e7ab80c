// @ts-check
// The page's entry: consent first, then the worker, then drawing what it reports. Nothing of the
// training program is requested before the click on Contribute; everything imported here is the page
// itself. Reports only change plain data and ask for a frame, so a burst of them costs one drawing.
//
// For tests and automation, `window.covey` gives read access: {view, losses, heldOut, receipts}.

import { find, Frame, show } from "./app/dom.js";
import { Environment } from "./app/environment.js";
import { host } from "./app/format.js";
import { Curve, spread } from "./app/history.js";
import { holdSlot, WorkingLock } from "./app/locks.js";
import { Panel } from "./app/panel.js";
import { Payout } from "./app/payout.js";
import { preflight } from "./app/problems.js";
import { coordinators, readSettings, store } from "./app/settings.js";
import { anythingStored, deleteStored, saveIdentity } from "./app/stored.js";
import { Trainer } from "./app/trainer.js";
import { Validating } from "./app/validating.js";
import { ReceiptList } from "./elements/lists.js";
import { RunPreview } from "./elements/run-preview.js";
import { ShareSlider } from "./elements/small.js";

/** @typedef {import("./app/types.js").Report} Report */
/** @typedef {import("./app/types.js").BackendChoice} BackendChoice */
/** @typedef {import("./elements/loss-chart.js").LossChart} LossChart */

/** Most own losses kept for automation; the chart keeps a thinned history of all. */
const MAX_LOSSES = 10_000;
/** Longest that a stop or a deletion may take inside the worker before the page goes on without it. */
const PATIENCE_MS = 15_000;

const settings = readSettings();
/** @type {import("./app/panel.js").Situation} */
const situation = { view: null, loading: null, ready: false, slow: false, mimeNotice: null, replaced: null, problem: null, switching: false };
/** @type {import("./app/types.js").Loss[]} */
const losses = [];
/** @type {Map<number, number>} */
const heldOut = new Map();
/** @type {import("./app/types.js").Receipt[]} */
const receipts = [];
const own = new Curve();
let chartStale = false;
let slot = 0;
/** @type {string[]} */
let addresses = [];
/** @type {LossChart | null} */
let chart = null;
/** @type {{condition: (view: import("./app/types.js").View) => boolean, done: () => void}[]} */
let waiters = [];

const panel = new Panel((reason, on) => {
  trainer.send({ type: "override", reason: /** @type {any} */ (reason), on });
});
const payout = new Payout((text) => trainer.send({ type: "sign_session", text }));
const validating = new Validating((on, only) => trainer.send({ type: "validate", on, only }));
const receiptList = find("#receipts", ReceiptList);
const frame = new Frame(draw);
const working = new WorkingLock(() => environment.update());
const environment = new Environment(() => working.elsewhere, (facts) => trainer.send({ type: "environment", ...facts }));
const trainer = new Trainer({
  report: hear,
  slow: (slow) => change({ slow }),
  replaced: (replaced) => {
    panel.sample.interrupt();
    change({ view: null, loading: null, ready: false, replaced });
  },
  cancelled: () => {
    for (const waiter of waiters) waiter.done();
    backToConsent();
  },
  failed: (problem) => {
    working.release();
    panel.sample.interrupt();
    change({ problem, switching: false });
    for (const waiter of waiters) waiter.done();
  },
});

Object.defineProperty(window, "covey", {
  value: Object.freeze({
    get view() { return situation.view; },
    get losses() { return [...losses]; },
    get heldOut() { return heldOutList(); },
    get receipts() { return [...receipts]; },
  }),
});

function heldOutList() {
  return [...heldOut].map(([round, loss]) => ({ round, loss })).sort((a, b) => a.round - b.round);
}

/** @param {Partial<import("./app/panel.js").Situation>} changes */
function change(changes) {
  Object.assign(situation, changes);
  frame.request();
}

function draw() {
  panel.draw(situation);
  if (situation.view) {
    payout.draw(situation.view);
    validating.draw(situation.view);
  }
  const steps = situation.view?.run?.inner_steps;
  if (chart && chartStale && steps) {
    chartStale = false;
    const points = spread(heldOutList());
    show(find("#no-losses", HTMLElement), points.length + own.xs.length === 0);
    show(chart, points.length + own.xs.length > 0);
    chart.draw({
      own: { xs: own.xs.map((x) => x / steps), ys: own.ys },
      heldOut: { xs: points.map((p) => p.round), ys: points.map((p) => p.loss) },
      unigram: situation.view?.unigram_entropy ?? null,
    });
  }
}

/** @param {Report} report */
function hear(report) {
  switch (report.type) {
    case "view": {
      const { view } = report;
      if (view.unigram_entropy !== situation.view?.unigram_entropy) chartStale = true;
      for (const point of view.held_out) addHeldOut(point.round, point.loss);
      situation.view = view;
      for (const waiter of waiters.filter((waiter) => waiter.condition(view))) waiter.done();
      break;
    }
    case "loss":
      losses.push({ step: report.step, loss: report.loss, tokens: report.tokens });
      if (losses.length > MAX_LOSSES) losses.splice(0, losses.length - MAX_LOSSES);
      own.push(report.step, report.loss);
      chartStale = true;
      break;
    case "held_out":
      addHeldOut(report.round, report.loss);
      break;
    case "receipt":
      receipts.push(report.receipt);
      receiptList.add(report.receipt);
      panel.announce(`Contribution to round ${report.receipt.round} accepted`);
      break;
    case "rejected":
      receiptList.reject(report);
      panel.announce(`Contribution to round ${report.round} not accepted`);
      break;
    case "left_out":
      receiptList.leaveOut(report);
      panel.announce(`Contribution to round ${report.round} received but not merged`);
      break;
    case "sample":
      panel.sample.hear(report);
      break;
    case "session_signature":
      payout.signed(report);
      break;
    case "identity":
      saveIdentity(report.secret_hex, situation.view?.volunteer ?? null);
      break;
    case "loading":
      situation.loading = { loaded: report.loaded, total: report.total };
      break;
    case "ready":
      situation.ready = true;
      break;
    case "notice":
      situation.mimeNotice = report.message;
      break;
  }
  frame.request();
}

/** @param {number} round @param {number} loss */
function addHeldOut(round, loss) {
  if (heldOut.get(round) === loss) return;
  heldOut.set(round, loss);
  chartStale = true;
}

/**
 * Waits until a view satisfies a condition, the worker fails, or the page's patience ends.
 * @param {(view: import("./app/types.js").View) => boolean} condition
 * @returns {Promise<void>}
 */
function until(condition) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      waiters = waiters.filter((waiter) => waiter.done !== done);
      resolve();
    };
    const timer = setTimeout(done, PATIENCE_MS);
    waiters.push({ condition, done });
  });
}

/** Starts, or starts again, with the settings as they are now. */
async function start() {
  const lacking = preflight();
  change({ problem: lacking, slow: false });
  if (lacking) return;
  await working.want();
  if (!trainer.running) {
    change({ view: null, loading: null, ready: false, mimeNotice: null, replaced: null });
    trainer.launch();
  }
  environment.tell();
  if (validating.on.checked) validating.tell();
  trainer.send({ type: "start", coordinators: addresses, backend: settings.backend, share: settings.share, slot });
}

/** What the first start needs and later ones keep: slot, addresses, facts, chart. */
async function begin() {
  setInterval(() => {
    if (document.visibilityState === "visible") frame.request();
  }, 1000);
  import("./elements/loss-chart.js").then(() => {
    chart = /** @type {LossChart} */ (document.querySelector("#chart"));
    chartStale = true;
    frame.request();
  });
  [slot, addresses] = await Promise.all([holdSlot(), coordinators(settings.linked), environment.observe()]);
}

/** Another backend means another start: the module chooses it once. @param {BackendChoice} backend */
async function changeBackend(backend) {
  settings.backend = backend;
  const ended = () => situation.view?.state === "stopped";
  if (trainer.running && situation.view && !ended()) {
    change({ switching: true });
    trainer.send({ type: "stop" });
    await until((view) => view.state === "stopped");
    // A worker that does not come to an end is replaced; its round is lost, its saved state is not.
    if (!ended()) trainer.end();
    change({ switching: false });
    await start();
  } else if (!trainer.running) {
    await start();
  }
}

async function forget() {
  const note = find("#stored-note", HTMLElement);
  if (trainer.running) {
    // The worker saves once more as it ends, so what it left is deleted after it is gone.
    trainer.send({ type: "forget" });
    await until((view) => view.state === "stopped");
    trainer.end();
  }
  working.release();
  const complete = await deleteStored();
  document.documentElement.removeAttribute("data-theme");
  note.textContent = complete
    ? "Deleted. This browser stores nothing of Covey any more."
    : "Some of it could not be deleted, because another tab is using it. Close the other tabs of this site and delete again.";
  show(find("#known-here", HTMLElement), false);
  backToConsent();
}

function backToConsent() {
  change({ view: null, loading: null, ready: false, problem: null, slow: false, mimeNotice: null, replaced: null });
  show(find("#panel", HTMLElement), false);
  document.body.dataset.phase = "consent";
  document.title = "Covey";
}

function connectControls() {
  const contribute = find("#contribute", HTMLButtonElement);
  const consentShare = find("#consent-share", ShareSlider);
  consentShare.value = settings.share;
  /** @type {Promise<void> | null} */
  let begun = null;
  contribute.addEventListener("click", async () => {
    document.body.dataset.phase = "panel";
    const section = find("#panel", HTMLElement);
    show(section, true);
    scrollTo({ top: 0, behavior: "instant" });
    section.focus({ preventScroll: true });
    panel.share.value = settings.share;
    panel.backend.value = settings.backend;
    frame.request();
    await (begun ??= begin());
    await start();
  });
  for (const slider of [consentShare, panel.share]) {
    slider.addEventListener("share", () => {
      settings.share = slider.value;
      store("share", String(slider.value));
      trainer.send({ type: "share", value: slider.value });
    });
  }
  panel.pause.addEventListener("click", async () => {
    if (situation.view?.pauses.some((pause) => pause.reason === "user")) {
      await working.want();
      environment.update();
      trainer.send({ type: "resume" });
    } else {
      trainer.send({ type: "pause" });
      working.release();
      environment.update();
    }
  });
  panel.stop.addEventListener("click", () => {
    working.release();
    if (situation.view) {
      trainer.send({ type: "stop" });
    } else {
      // Still loading: there is nothing to save or to leave.
      trainer.end();
      backToConsent();
    }
  });
  panel.again.addEventListener("click", () => start());
  panel.backend.addEventListener("change", () => changeBackend(/** @type {BackendChoice} */ (panel.backend.value)));
  panel.sample.addEventListener("sample", (event) => {
    trainer.send({ type: "sample", .../** @type {CustomEvent} */ (event).detail });
    frame.request();
  });
  panel.problemCard.addEventListener("restart", () => start());
  panel.problemCard.addEventListener("reload", () => location.reload());

  /** @param {string} dialog @param {string} button @param {string} answer @param {() => void} act */
  const confirmed = (dialog, button, answer, act) => {
    const box = find(dialog, HTMLDialogElement);
    const opener = find(button, HTMLButtonElement);
    opener.addEventListener("click", () => {
      box.returnValue = "";
      box.showModal();
    });
    box.addEventListener("close", () => {
      if (box.returnValue === answer) act();
    });
  };
  confirmed("#forget-dialog", "#forget", "forget", forget);
  confirmed("#export-dialog", "#export", "export", () => trainer.send({ type: "export_identity" }));
  find("#forget", HTMLButtonElement).disabled = false;
  contribute.disabled = false;
}

connectControls();
if (settings.linked) {
  find("#consent-where", HTMLElement).textContent = settings.linked.map(host).join(", ");
}
const lacking = preflight();
if (lacking) {
  // Said before the click, too: nobody should read the terms of something that cannot start.
  const card = /** @type {import("./elements/small.js").ProblemCard} */ (document.createElement("covey-problem"));
  find("#main", HTMLElement).prepend(card);
  card.problem = lacking;
}
anythingStored().then((stored) => show(find("#known-here", HTMLElement), stored));
if (!settings.linked) {
  find("covey-run-preview", RunPreview).load(location.origin).then((run) => {
    if (run?.weights) find("#consent-weights", HTMLElement).textContent = `the model\u2019s weights (${run.weights})`;
  });
}
