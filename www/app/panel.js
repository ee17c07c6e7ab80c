// @ts-check
// Draws the worker's newest view into the panel. It holds no state of its own beyond what is on
// screen and knows no rule of training: every sentence about the work comes from the module. Called
// in an animation frame, at most a few times a second, plus once a second for the countdowns.

import { find, make, setText, show } from "./dom.js";
import { backendName, bytes, count, host, large, now, remaining, speed } from "./format.js";
import { problem, unreachable } from "./problems.js";
import { HashText, ProblemCard, ShareSlider } from "../elements/small.js";
import { PeerTable } from "../elements/lists.js";
import { WitnessList } from "../elements/witnesses.js";
import { SampleBox } from "../elements/sample.js";

/** @typedef {import("./types.js").View} View */
/** @typedef {import("./problems.js").Problem} Problem */

/**
 * Everything the panel shows that is not in the view.
 * @typedef {object} Situation
 * @property {View | null} view
 * @property {{loaded: number, total: number | null} | null} loading
 * @property {boolean} ready the module runs
 * @property {boolean} slow
 * @property {string | null} mimeNotice
 * @property {Problem | null} replaced why another worker took over
 * @property {Problem | null} problem the worker is gone
 * @property {boolean} switching the backend is being changed
 */

/** What an override is called once it is on. @type {Record<string, string>} */
const OVERRIDDEN = {
  battery: "You chose to contribute on battery.",
  metered: "You chose to contribute on a metered connection.",
  other_tab: "You chose to contribute here although another tab does, too.",
};

/** States that are worth telling a screen reader, in words that do not change with every step. */
const SPOKEN = /** @type {Record<string, string>} */ ({
  probing: "Testing how fast this machine computes",
  connecting: "Connecting",
  catching_up: "Fetching the current model",
  waiting: "Waiting for the next round",
  training: "Training",
  validating: "Scoring others\u2019 work",
  paused: "Paused",
  recovering: "Recovering",
  stopped: "Stopped",
});

/** Letters beyond which a status is a text and not a heading. */
const LONG_STATUS = 60;

export class Panel {
  status = find("#status", HTMLElement);
  live = find("#live", HTMLElement);
  dot = find("#dot", HTMLElement);
  progress = find("#progress", HTMLProgressElement);
  progressWords = find("#progress-words", HTMLElement);
  foot = find("#status-foot", HTMLElement);
  deadline = find("#deadline", HTMLElement);
  resumed = find("#resumed", HTMLElement);
  connection = find("#connection", HTMLElement);
  notices = find("#notices", HTMLElement);
  problemCard = find("#problem", ProblemCard);
  grid = find("#live-grid", HTMLElement);
  pause = find("#pause", HTMLButtonElement);
  stop = find("#stop", HTMLButtonElement);
  again = find("#again", HTMLButtonElement);
  share = find("#share", ShareSlider);
  backend = find("#backend", HTMLSelectElement);
  backendName = find("#backend-name", HTMLElement);
  backendReason = find("#backend-reason", HTMLElement);
  backendTimes = find("#backend-times", HTMLElement);
  tokensPerSecond = find("#tokens-per-second", HTMLElement);
  rounds = find("#rounds", HTMLElement);
  tokensTotal = find("#tokens-total", HTMLElement);
  round = find("#round", HTMLElement);
  bytesUp = find("#bytes-up", HTMLElement);
  bytesDown = find("#bytes-down", HTMLElement);
  runName = find("#run-name", HTMLElement);
  runShape = find("#run-shape", HTMLElement);
  theta = find("#theta", HashText);
  thetaRound = find("#theta-round", HTMLElement);
  volunteer = find("#volunteer", HashText);
  download = find("#download-model", HTMLAnchorElement);
  peers = find("#peers", PeerTable);
  witnesses = find("#witnesses", WitnessList);
  sample = find("#sample", SampleBox);
  exportButton = find("#export", HTMLButtonElement);
  #spoken = "";
  #noticeKey = "";

  /** @param {(reason: string, on: boolean) => void} override the visitor's answer to a pause */
  constructor(override) {
    this.override = override;
  }

  /** Says something to screen readers, once. @param {string} words */
  announce(words) {
    setText(this.live, words);
  }

  /** @param {Situation} situation */
  draw(situation) {
    const { view, problem: failure, ready } = situation;
    this.problemCard.problem = failure ?? (view && lost(view) ? unreachable(view.connection.url) : null);
    const phase = failure ? "failed" : (view?.state ?? "loading");
    if (this.dot.dataset.state !== phase) this.dot.dataset.state = phase;
    show(this.grid, view !== null);
    const has = view?.run ? "run" : "nothing";
    if (this.grid.dataset.has !== has) this.grid.dataset.has = has;
    this.#controls(situation);
    this.#notices(situation);
    if (failure) {
      setText(this.status, "Stopped: something needs attention");
      this.#speak("failed", failure.title);
    } else if (view) {
      setText(this.status, situation.switching ? "Changing where it computes" : view.status);
      const spoken = view.state === "paused" ? (view.pauses[0]?.text ?? SPOKEN.paused) : SPOKEN[view.state];
      this.#speak(view.state, spoken);
    } else {
      setText(this.status, ready ? "Starting the program" : "Loading the program");
      this.#speak("loading", "Loading the program");
    }
    this.status.toggleAttribute("data-long", (this.status.textContent ?? "").length > LONG_STATUS);
    this.#step(situation);
    if (!view) return;
    this.#connection(view);
    this.#numbers(view);
    this.#machine(view);
    this.#model(view);
    this.peers.update(view.peers, view.volunteer);
    this.witnesses.update(view);
    this.sample.possible = !failure && view.theta !== null && view.state !== "stopped" && view.state !== "failed";
    this.sample.draw();
    const title = failure ? "Stopped" : view.state === "paused" ? "Paused" : view.round === null ? "Starting" : `Round ${count(view.round)}`;
    if (document.title !== `${title} \u00b7 Covey`) document.title = `${title} \u00b7 Covey`;
  }

  /** @param {string} key @param {string | undefined} words */
  #speak(key, words) {
    if (!words || this.#spoken === `${key}|${words}`) return;
    this.#spoken = `${key}|${words}`;
    this.announce(words);
  }

  /** @param {Situation} situation */
  #controls({ view, problem: failure, switching }) {
    const stopped = view?.state === "stopped" && !switching;
    const paused = view?.pauses.some((pause) => pause.reason === "user") ?? false;
    setText(this.pause, paused ? "Resume" : "Pause");
    const can = view !== null && !failure && !stopped && !switching && view.state !== "failed";
    enable(this.pause, can);
    enable(this.stop, !stopped && !failure && !switching);
    enable(this.exportButton, view !== null && !failure && view.volunteer !== null);
    enable(this.backend, !switching && (view !== null || failure !== null));
    show(this.pause, !stopped && !failure);
    show(this.stop, !stopped && !failure);
    show(this.again, stopped && !failure);
  }

  /** Pauses, overrides and notices: rebuilt only when they change, so buttons keep their focus. */
  #notices(/** @type {Situation} */ { view, slow, mimeNotice, replaced, problem: failure }) {
    const pauses = failure ? [] : (view?.pauses ?? []);
    const overrides = failure ? [] : (view?.overrides ?? []);
    const key = JSON.stringify([pauses, overrides, slow, mimeNotice, replaced, failure !== null]);
    if (key === this.#noticeKey) return;
    this.#noticeKey = key;
    const items = [];
    for (const pause of pauses) {
      const item = make("div", { class: "notice" }, make("p", { text: pause.text }));
      if (pause.override) item.append(this.#button("Contribute anyway", pause.reason, true));
      items.push(item);
    }
    for (const reason of overrides) {
      items.push(make("div", { class: "notice calm" }, make("p", { text: OVERRIDDEN[reason] ?? `You chose to contribute all the same (${reason}).` }),
        this.#button("Pause instead", reason, false)));
    }
    if (replaced && !failure) items.push(words(replaced));
    if (slow) items.push(words(problem("slow_start")));
    if (mimeNotice) items.push(words(problem("wasm_mime_notice", { message: mimeNotice })));
    this.notices.replaceChildren(...items);
  }

  /** @param {string} label @param {string} reason @param {boolean} on */
  #button(label, reason, on) {
    const button = make("button", { text: label });
    button.type = "button";
    button.dataset.override = reason;
    button.addEventListener("click", () => this.override(reason, on));
    return button;
  }

  /** The bar: bytes while loading, inner steps while training. @param {Situation} situation */
  #step({ view, loading, ready, problem: failure }) {
    show(this.progress, !failure && (!view || (view.steps > 0 && view.state !== "stopped")));
    show(this.foot, !failure);
    show(this.resumed, !failure && Boolean(view?.resumed));
    if (!view) {
      if (ready || !loading || !loading.total) this.progress.removeAttribute("value");
      else setProgress(this.progress, loading.loaded, loading.total);
      setText(this.progressWords, failure ? "" : ready ? "Downloaded. Getting ready\u2026"
        : !loading ? "Asking the server\u2026"
        : loading.total ? `${bytes(loading.loaded)} of ${bytes(loading.total)}` : `${bytes(loading.loaded)} so far`);
      setText(this.deadline, "");
      return;
    }
    if (view.steps > 0) setProgress(this.progress, view.step, view.steps);
    setText(this.progressWords, "");
    setText(this.deadline, !failure && view.deadline_ms !== null && view.state !== "stopped"
      ? `Round ${view.round ?? ""} closes in ${remaining(view.deadline_ms - now())}` : "");
    setText(this.resumed, view.resumed ?? "");
  }

  /** @param {View} view */
  #connection(view) {
    const { url, connected, attempt, retry_at_ms, error } = view.connection;
    const where = url ? host(url) : "a coordinator";
    const state = connected ? "on" : view.state === "stopped" ? "off" : "trying";
    if (this.connection.dataset.state !== state) this.connection.dataset.state = state;
    const why = error ? error.replace(/\.$/, "") : "no answer";
    setText(this.connection,
      state === "on" ? `Connected to ${where}`
      : state === "off" ? "Not connected"
      : retry_at_ms !== null && retry_at_ms > now()
        ? `${where}: ${why}. Trying again in ${Math.ceil((retry_at_ms - now()) / 1000)} s (attempt ${count(attempt + 1)})`
        : `Connecting to ${where}${attempt > 0 ? ` (attempt ${count(attempt + 1)})` : ""}\u2026`);
  }

  /** @param {View} view */
  #numbers(view) {
    setText(this.tokensPerSecond, speed(view.tokens_per_second));
    setText(this.rounds, count(view.rounds_contributed));
    setText(this.tokensTotal, view.tokens_total >= 1e5 ? large(view.tokens_total) : count(view.tokens_total));
    setText(this.round, view.round === null ? "\u2013" : count(view.round));
    setText(this.bytesUp, bytes(view.bytes_up));
    setText(this.bytesDown, bytes(view.bytes_down));
  }

  /** @param {View} view */
  #machine(view) {
    const { backend } = view;
    setText(this.backendName, backend ? `Now: ${backendName(backend.name)}${backend.forced ? " (your choice)" : ""}` : "Not chosen yet");
    setText(this.backendReason, backend?.reason ?? "");
    const times = !backend ? [] : [
      backend.adapter,
      backend.webgpu_ms !== null ? `WebGPU ${backend.webgpu_ms.toFixed(0)} ms a step` : null,
      backend.flex_ms !== null ? `CPU ${backend.flex_ms.toFixed(0)} ms a step` : null,
    ];
    setText(this.backendTimes, times.filter(Boolean).join(" \u00b7 "));
  }

  /** @param {View} view */
  #model(view) {
    const { run } = view;
    setText(this.runName, run?.name ?? "\u2013");
    setText(this.runShape, run ? `${large(run.parameters)} parameters (${run.summary}), context ${count(run.context)}, vocabulary ${count(run.vocabulary)}` : "");
    this.theta.value = view.theta;
    setText(this.thetaRound, view.theta_round === null ? "\u2013" : count(view.theta_round));
    this.volunteer.value = view.volunteer;
    show(this.download, view.connection.url !== null && run !== null);
    if (view.connection.url && run) {
      const href = `${view.connection.url.replace(/^ws/, "http").replace(/\/$/, "")}/v1/model.safetensors`;
      if (this.download.href !== href) this.download.href = href;
    }
  }
}

/** Several attempts have failed: say what to check. @param {View} view */
function lost(view) {
  return !view.connection.connected && view.connection.error !== null && view.connection.attempt >= 2 && view.state !== "stopped";
}

/** @param {Problem} found */
function words(found) {
  const node = make("div", { class: "notice calm words" }, make("h2", { text: found.title }), make("p", { text: found.text }),
    make("ul", { class: "remedy" }, ...found.remedy.map((text) => make("li", { text }))));
  node.dataset.code = found.code;
  return node;
}

/** @param {HTMLButtonElement | HTMLSelectElement} control @param {boolean} enabled */
function enable(control, enabled) {
  if (control.disabled === enabled) control.disabled = !enabled;
}

/** @param {HTMLProgressElement} bar @param {number} value @param {number} max */
function setProgress(bar, value, max) {
  if (bar.max !== max) bar.max = max;
  const bounded = Math.min(value, max);
  if (!bar.hasAttribute("value") || bar.value !== bounded) bar.value = bounded;
}

