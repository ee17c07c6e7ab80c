// @ts-check
// The page on which a tab recomputes a whole run. It starts the same worker as contributing does and asks
// the module for something else; what comes back is shown and nothing is decided here.
//
// What a reader would get wrong: there is no result before everything there is was recomputed. Until then
// "so far it agrees" would be read as "it agrees".
//
// For tests and automation, `window.covey.witness` gives what the module last said.

import { find, Frame, setText, show } from "./app/dom.js";
import { bytes, count } from "./app/format.js";
import { preflight } from "./app/problems.js";
import { coordinators, readSettings } from "./app/settings.js";
import { Trainer } from "./app/trainer.js";
import { PLACES } from "./elements/places.js";
import { HashText, ProblemCard } from "./elements/small.js";

/** @typedef {import("./app/types.js").WitnessView} WitnessView */

const LOCK = "covey-witness";
/** @type {Record<WitnessView["state"] | "loading" | "none", string>} */
const TITLES = {
  none: "Nothing is recomputed yet",
  loading: "Fetching the program",
  connecting: "Looking for the coordinator",
  rounds: "Recomputing the rounds",
  ledger: "Replaying the ledger",
  level: "Level with the coordinator",
  waiting: "The coordinator does not answer as it should",
  disagrees: "This tab disagrees",
  refused: "This run cannot be recomputed in a tab",
  stopped: "Stopped",
};

const node = (/** @type {string} */ id) => find(`#${id}`, HTMLElement);
const bar = (/** @type {string} */ id) => find(`#${id}`, HTMLProgressElement);
const hash = (/** @type {string} */ id) => find(`#${id}`, HashText);
const startButton = find("#start", HTMLButtonElement);
const stopButton = find("#stop", HTMLButtonElement);
const problemCard = find("#problem", ProblemCard);

/** @type {WitnessView | null} */
let view = null;
const lacking = preflight();
let problem = lacking;
/** @type {{loaded: number, total: number | null} | null} */
let loading = null;
let slow = false;
let running = false;
/** Another tab of this browser already does it. */
let elsewhere = false;
/** Lets another tab begin. @type {(() => void) | null} */
let release = null;
let announced = "";

const frame = new Frame(draw);
const trainer = new Trainer({
  report(report) {
    if (report.type === "witness") {
      view = report.witness;
      loading = null;
      if (["stopped", "disagrees", "refused"].includes(view.state)) end();
    } else if (report.type === "loading") loading = report;
    frame.request();
  },
  slow(now) {
    slow = now;
    frame.request();
  },
  failed(failure) {
    problem = failure;
    end();
  },
  // The worker that takes its place is told the same, and goes on from what was kept.
  replaced() {
    view = null;
    frame.request();
  },
  cancelled: end,
});

Object.defineProperty(window, "covey", { value: Object.freeze({ get witness() { return view; } }) });

/** Whether this tab may be the one that recomputes; two would do the same work over the same files. */
async function alone() {
  if (!("locks" in navigator)) return true;
  return new Promise((resolve) => {
    navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      if (lock) return new Promise((free) => (release = () => free(undefined)));
    }).catch(() => resolve(true));
  });
}

async function begin() {
  if (!running) {
    running = true;
    elsewhere = !(await alone());
    if (elsewhere) return end();
  }
  problem = null;
  view = null;
  frame.request();
  trainer.launch();
  trainer.send({ type: "witness", coordinators: await coordinators(readSettings().linked) });
}

/** The worker is done, or gone. */
function end() {
  running = false;
  loading = null;
  slow = false;
  trainer.end();
  release?.();
  release = null;
  frame.request();
}

/** @param {HTMLProgressElement} progress @param {number} done @param {number} of */
function fill(progress, done, of) {
  progress.max = Math.max(1, of);
  progress.value = Math.min(done, of);
}

function draw() {
  const state = view?.state ?? (running ? "loading" : "none");
  problemCard.problem = problem;
  node("dot").dataset.state = state;
  setText(node("status"), TITLES[state]);
  setText(node("words"), words());
  startButton.disabled = running || lacking !== null;
  setText(startButton, view === null ? "Recompute it here" : "Go on");
  show(startButton, !running && state !== "disagrees" && state !== "refused");
  show(stopButton, running);
  show(node("running"), view !== null && view.run !== null);
  if (view) drawView(view);
  if (TITLES[state] !== announced && (view || running)) setText(node("live"), TITLES[state]);
  announced = TITLES[state];
}

function words() {
  if (elsewhere) return "Another tab of this browser already recomputes this run. It shows there how far it is.";
  if (loading) {
    const of = loading.total ? ` of ${bytes(loading.total)}` : "";
    return `${bytes(loading.loaded)}${of} of the program.${slow ? " This takes longer than usual." : ""}`;
  }
  if (!view) return running ? "" : "The program is fetched when you press the button, not before.";
  if (view.state === "level") return "Everything there is was recomputed. It goes on with every new round while this tab is open.";
  if (view.state === "stopped" && !view.durable) return "Stopped. This browser keeps nothing between visits, so the next one begins anew.";
  if (view.state === "disagrees") return "What it found is below. Nothing after it is looked at.";
  const from = view.resumed ? ` An earlier visit of this browser had recomputed the rounds before ${count(view.resumed)}.` : "";
  return `${view.status}${view.state === "rounds" ? from : ""}`;
}

/** @param {WitnessView} view */
function drawView(view) {
  const rounds = Math.max(view.rounds, view.round);
  setText(node("rounds-words"), rounds > 0 ? `${count(view.round)} of ${count(rounds)}` : "");
  fill(bar("rounds"), view.round, rounds);
  setText(node("entries-words"), view.entries_of > 0 ? `${count(view.entries)} of ${count(view.entries_of)} entries` : "after the rounds");
  fill(bar("entries"), view.entries, view.entries_of);
  setText(node("name"), view.name);
  hash("run").value = view.run;
  hash("coordinator").value = view.coordinator;
  hash("theta").value = view.theta;
  hash("witness").value = view.witness;
  setText(node("packets"), count(view.packets));
  setText(node("bytes"), bytes(view.bytes));

  const { verdict } = view;
  show(node("result"), verdict !== null);
  if (!verdict) return;
  node("result").dataset.verdict = verdict.is;
  show(node("difference"), verdict.is === "disagrees");
  if (verdict.is === "disagrees") {
    const ledger = ["ledger_entry", "ledger_head", "payment"].includes(verdict.place);
    setText(node("verdict"), `${ledger ? "Ledger entry" : "Round"} ${count(verdict.number)} is not so`);
    setText(node("verdict-words"), `Recomputed in this tab: ${PLACES[verdict.place] ?? verdict.place}. Everything before it agrees; nothing after it was looked at, and this browser does not change its mind by itself.`);
    setText(node("expected"), verdict.expected);
    setText(node("found"), verdict.found);
  } else {
    setText(node("verdict"), "Everything is so");
    setText(node("verdict-words"), `Every round from the first on (${count(view.round)}) and every entry of the ledger (${count(view.entries)}) was recomputed in this tab. They give exactly the weights and the balances that the coordinator signed.`);
  }
  setText(node("told"), view.listed ? "The coordinator has this tab\u2019s signed statement, and everybody can ask for it under /v1/witnesses."
    : `The coordinator did not take the statement${view.refusal ? ` (${view.refusal})` : ""}. You have it all the same.`);
  show(node("save-statement"), view.statement !== null);
  show(node("save-proof"), view.proof !== null);
}

/** @param {string} name @param {string | null | undefined} json */
function save(name, json) {
  if (!json) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

startButton.addEventListener("click", () => void begin());
stopButton.addEventListener("click", () => {
  // The module keeps how far it is first; one that is still loading has nothing to keep.
  if (view) trainer.send({ type: "stop" });
  else end();
});
node("save-statement").addEventListener("click", () => save(`covey-statement-${view?.round ?? 0}.json`, view?.statement));
node("save-proof").addEventListener("click", () => save("covey-two-records.json", view?.proof));
problemCard.addEventListener("reload", () => location.reload());
problemCard.addEventListener("restart", () => void begin());

draw();
