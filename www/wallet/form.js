// @ts-check
// What the forms share: reading an exact amount, showing a refusal beside the form that caused it, and
// telling who cannot sign why. A form's own submit never leaves the page.

import { find } from "../app/dom.js";
import { say } from "./nodes.js";
import { inWords } from "./refusals.js";

/** @typedef {import("./model.js").App} App */
/** @typedef {import("./calls.js").Call} Call */

/** @param {HTMLFormElement} form @param {string} name */
export const field = (form, name) => /** @type {HTMLInputElement & HTMLSelectElement} */ (form.elements.namedItem(name));

/** The chosen one of a group. @param {HTMLFormElement} form @param {string} name */
export const chosen = (form, name) => String(new FormData(form).get(name) ?? "");

/** The amount in base units, or null while the field is empty. Throws the module's "Amount".
 * @param {App} app @param {HTMLInputElement} input */
export function amountIn(app, input) {
  const text = input.value.trim().replace(/[\u202f\u00a0 ]/g, "");
  return text === "" ? null : app.model.module.parseAmount(text);
}

/** The same, for drawing: null as well when it cannot be read. @param {App} app @param {HTMLInputElement} input */
export function amountOrNull(app, input) {
  try {
    return amountIn(app, input);
  } catch {
    return null;
  }
}

/**
 * Has a call signed; a refusal before that is shown at `error`.
 * @param {App} app @param {HTMLElement} error @param {() => Call} make
 */
export async function request(app, error, make) {
  say(error, "");
  const { people } = app.model;
  if (!people.canSign) {
    say(error, people.person ? "This account is only being looked at. Connect its wallet under Account to sign for it." : "Choose an account first, under Account.");
    return null;
  }
  try {
    return await app.signing.ask(make);
  } catch (failure) {
    say(error, inWords(failure));
    return null;
  }
}

/** @param {App} app @param {HTMLFormElement} form @param {() => Call} make @param {() => void} [after] */
export function onSubmit(app, form, make, after) {
  const error = find(".form-error", HTMLElement, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await request(app, error, make)) after?.();
  });
  form.addEventListener("input", () => {
    say(error, "");
    app.redraw();
  });
}

/** An input that must be filled. @param {string | null} amount */
export function filled(amount) {
  if (amount === null) throw new Error("Enter an amount.");
  return amount;
}
