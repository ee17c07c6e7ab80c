// @ts-check
// Locks: what is locked, what is on its way out, and a form whose effect over time is plotted while it
// is filled in, by the same code that the ledger runs. What a reader would get wrong: conviction falls
// the moment an unlock is asked for; the stake itself follows only after the cliff.

import { find, make, setText, show } from "../../app/dom.js";
import { ALPHA, amount, picture, plain, words } from "../amounts.js";
import * as calls from "../calls.js";
import { amountIn, amountOrNull, chosen, field, filled, onSubmit } from "../form.js";
import { account, at, cell, choices, mode, modeKind, named, pair, rebuild, tag } from "../nodes.js";
import { TimePlot } from "../plot.js";
import { refusal } from "../refusals.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").Overview} Overview */
/** @typedef {import("../types.js").LockView} LockView */
/** @typedef {import("../calls.js").Call} Call */

/** How far the plot looks ahead, in whole ways out: cliff and release. A run's own measure of time. */
const SPANS = [1, 4, 12];

export class LocksView {
  #form = find("#lock-form", HTMLFormElement);
  #span = find("#projection-span", HTMLSelectElement);

  /** @param {App} app */
  constructor(app) {
    this.app = app;
    onSubmit(app, this.#form, () => this.#call(), () => {
      field(this.#form, "amount").value = "";
      app.redraw();
    });
    this.#span.addEventListener("change", () => app.redraw());
    find("[data-act=max]", HTMLButtonElement, this.#form).addEventListener("click", () => {
      field(this.#form, "amount").value = plain(this.#most());
      field(this.#form, "amount").dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  get what() {
    return /** @type {"lock" | "move" | "mode" | "unlock"} */ (chosen(this.#form, "what"));
  }

  #most() {
    const overview = this.app.model.overview();
    return this.what === "unlock" ? overview?.lock?.mass ?? "0" : overview?.available ?? "0";
  }

  /** @returns {Call} */
  #call() {
    const input = field(this.#form, "amount");
    switch (this.what) {
      case "lock": return calls.lock(chosen(this.#form, "hotkey"), filled(amountIn(this.app, input)));
      case "move": return calls.moveLock(chosen(this.#form, "hotkey"));
      case "mode": return calls.perpetual(chosen(this.#form, "perpetual") === "true");
      case "unlock": return calls.unlock(filled(amountIn(this.app, input)));
    }
  }

  /** The call as far as it is filled in, for the plot. */
  #draft() {
    const needs = this.what === "lock" || this.what === "unlock";
    if (needs && amountOrNull(this.app, field(this.#form, "amount")) === null) return null;
    if (this.what === "move" && !chosen(this.#form, "hotkey")) return null;
    return this.#call();
  }

  draw() {
    let overview = null;
    try {
      overview = this.app.model.overview();
    } catch {
      // The overview says why; here it is an account without locks.
    }
    this.#lock(overview);
    this.#drawForm(overview);
    this.#project(overview);
  }

  /** @param {Overview | null} overview */
  #lock(overview) {
    const { when } = this.app.model;
    const lock = overview?.lock ?? null;
    setText(find("#lock-words", HTMLElement), !overview ? "Choose an account to see its lock."
      : lock ? "One lock per account, to one manager. It gives that manager conviction." : "Nothing is locked. A lock gives a manager conviction, and conviction decides who owns the subnet.");
    rebuild(find("#lock-facts", HTMLElement), [lock, overview?.available, mode(lock, when)], () => !lock || !overview ? [] : [
      pair("To the manager", account(lock.hotkey)),
      pair("Locked", amount(lock.mass, ALPHA)),
      pair("Conviction now", amount(lock.conviction)),
      pair("Mode", tag(mode(lock, when), modeKind(lock))),
      pair("Conviction ripens with a time constant of", when.span(lock.maturityRate)),
      ...(lock.mode === "perpetual" ? [] : [pair("A decaying lock melts with a time constant of", when.span(lock.unlockRate))]),
      pair("Still free to sell or lock", amount(overview.available, ALPHA)),
    ]);
    const unlocks = lock?.unlocks ?? [];
    show(find("#unlocks-box", HTMLElement), unlocks.length > 0);
    rebuild(find("#unlocks", HTMLElement), unlocks.map((unlock) => [unlock, when.until(unlock.cliff), when.until(unlock.end)]), () => unlocks.map((unlock) =>
      make("tr", {}, cell(amount(unlock.amount, ALPHA), "num"), cell(amount(unlock.bound, ALPHA), "num"),
        cell(due(unlock.cliff, when)), cell(due(unlock.end, when)))));
  }

  /** @param {Overview | null} overview */
  #drawForm(overview) {
    const { model } = this.app;
    const { what } = this;
    const lock = overview?.lock ?? null;
    setText(find("#lock-verb", HTMLElement), lock ? "Top up" : "Lock");
    for (const part of this.#form.querySelectorAll("[data-for]")) {
      if (part instanceof HTMLElement) show(part, (part.dataset.for ?? "").split(" ").includes(what));
    }
    const managers = model.managers().filter(({ hotkey }) => !lock || (what === "lock" ? hotkey === lock.hotkey : hotkey !== lock.hotkey));
    const options = managers.map(({ hotkey }) => ({ value: hotkey, text: named(hotkey) }));
    // A lock may name a hotkey that manages nothing any more; it can still be topped up.
    if (what === "lock" && lock && options.length === 0) options.push({ value: lock.hotkey, text: named(lock.hotkey) });
    choices(field(this.#form, "hotkey"), options);
    const exit = `Getting it back takes ${model.when.span(model.head.unlockCliff)} from the moment you ask, and is then spread over ${model.when.span(model.head.unlockRelease)}.`;
    setText(find("#lock-explain", HTMLElement), {
      lock: `Locked stake cannot be sold, and still earns. ${exit}`,
      move: "Takes the whole lock to another manager. What that does to its conviction is in the plot and in the review.",
      mode: "A perpetual lock keeps its mass until you unlock it. A decaying one loses mass all the time. A change to decaying is announced before it begins.",
      unlock: `Conviction falls at once, and everyone sees the request. ${exit}`,
    }[what]);
    setText(find("#lock-have", HTMLElement), !overview ? "Choose an account to see what you have."
      : what === "unlock" ? `${words(lock?.mass ?? "0", ALPHA)} is locked.` : `${words(overview.available, ALPHA)} is free to be locked.`);
  }

  /** @param {Overview | null} overview */
  #project(overview) {
    const { model } = this.app;
    const note = find("#projection-words", HTMLElement);
    const plot = find("#projection", TimePlot);
    const exit = Math.max(1, model.head.unlockCliff + model.head.unlockRelease);
    choices(this.#span, SPANS.map((times) => ({ value: String(times), text: model.when.span(times * exit) })), String(SPANS[1]));
    const span = Number(this.#span.value) * exit;
    let draft = null;
    let trouble = "";
    let projection = null;
    if (overview) {
      try {
        draft = this.#draft();
        projection = model.projection(draft, span);
      } catch (error) {
        trouble = refusal(error).message;
        draft = null;
        try {
          projection = model.projection(null, span);
        } catch {
          // Nothing to project for an account that the ledger does not know.
        }
      }
    }
    if (!projection || !overview || (!overview.lock && !draft)) {
      setText(note, trouble || "Fill in the form above to see what it would do.");
      plot.draw(null);
      return;
    }
    setText(note, trouble ? `${trouble} Shown is the lock as it is.` : draft ? "Dashed: as it is. Solid: with what you are about to sign." : "The lock as it is. Fill in the form above to see what that would change.");
    const { now, draft: then, gate } = projection;
    const points = draft ? then : now;
    const mass = (/** @type {typeof now} */ list) => list.map((point) => picture(point.mass));
    const conviction = (/** @type {typeof now} */ list) => list.map((point) => picture(point.conviction));
    const bound = points.map((point) => picture(point.unlocking));
    const highest = Math.max(...conviction(now), ...conviction(then), ...mass(now), ...mass(then));
    const mark = picture(gate);
    plot.draw({
      times: points.map(({ height }) => Math.round(model.when.ms(height) / 1000) * 1000),
      unit: "",
      words: sentence(points, Boolean(draft)),
      lines: [
        ...(draft ? [
          { name: "Locked now", colour: /** @type {const} */ ("own"), dashed: true, values: mass(now) },
          { name: "Conviction now", colour: /** @type {const} */ ("held"), dashed: true, values: conviction(now) },
        ] : []),
        { name: draft ? "Locked then" : "Locked", colour: /** @type {const} */ ("own"), values: mass(points) },
        { name: draft ? "Conviction then" : "Conviction", colour: /** @type {const} */ ("held"), values: conviction(points) },
        ...(bound.some((value) => value > 0) ? [{ name: "Still bound by unlocking", colour: /** @type {const} */ ("faint"), values: bound }] : []),
        // A gate far above everything would flatten what is looked at; the ownership view has it anyway.
        ...(mark <= highest * 4 ? [{ name: "Gate for ownership", colour: /** @type {const} */ ("reference"), dashed: true, values: points.map(() => mark) }] : []),
      ],
    });
  }
}

/** @param {number} height @param {import("../when.js").Heights} when */
function due(height, when) {
  const until = when.until(height);
  return make("span", { text: until === "now" ? "reached" : until, title: at(height, when) });
}

/** @param {import("../types.js").ProjectionPoint[]} points @param {boolean} draft */
function sentence(points, draft) {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "";
  return `${draft ? "With this action: " : ""}locked from ${words(first.mass)} to ${words(last.mass)}, conviction from ${words(first.conviction)} to ${words(last.conviction)}.`;
}
