// @ts-check
// What is announced. The list is the module's, newest first; the sentence above it says how much of what
// insiders hold is on its way out. A notice that arrives while the page is open is also spoken.

import { find, make, setText, show } from "../../app/dom.js";
import { ALPHA, percent, share, words } from "../amounts.js";
import { at, rebuild, tag } from "../nodes.js";

/** @typedef {import("../model.js").App} App */
/** @typedef {import("../types.js").Notices} Notices */
/** @typedef {import("../types.js").NoticeView} NoticeView */
/** @typedef {import("../when.js").Heights} Heights */

/** @type {Record<string, string>} */
const KINDS = {
  unlock: "unlock", decay: "decay", locked_transfer: "locked transfer", takeover: "takeover",
  governance: "governance", coldkey_swap: "coldkey swap", resignation: "resignation", partnership: "partner",
};

export class NoticesView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
  }

  /** The number beside the tab, drawn whatever is shown. */
  badge() {
    const pending = this.app.model.notices().notices.filter(({ status }) => status === "pending").length;
    const badge = find("#notices-count", HTMLElement);
    setText(badge, String(pending));
    badge.setAttribute("aria-label", `${pending} pending`);
    show(badge, pending > 0);
  }

  draw() {
    const { when } = this.app.model;
    const all = this.app.model.notices();
    setText(find("#insiders", HTMLElement), insiders(all, when));
    show(find("#no-notices", HTMLElement), all.notices.length === 0);
    rebuild(find("#notices", HTMLElement), all.notices.map((notice) => [notice, due(notice, when), when.since(notice.announced)]), () => all.notices.map((notice) => {
      const { id, kind, title, insider, announced, status } = notice;
      const row = make("li", {},
        make("div", {}, make("p", { class: "what", text: title }),
          make("p", {}, tag(KINDS[kind] ?? kind), ...(insider ? [tag("insider", "warn")] : []),
            make("span", { class: "soft", text: `announced ${when.since(announced)}`, title: at(announced, when) }))),
        make("p", { class: "when", text: due(notice, when), title: notice.earliest === null ? "" : at(notice.earliest, when) }));
      row.dataset.status = status;
      row.dataset.notice = String(id);
      return row;
    }));
  }

  /** One that just came over the socket. @param {NoticeView} notice */
  hear(notice) {
    if (typeof notice?.title === "string" && notice.status === "pending") this.app.announce(`New notice: ${notice.title}`);
  }
}

/** @param {Notices} notices @param {Heights} when */
function insiders({ insiderStake, insiderUnlocking, firstLiquid }, when) {
  if (insiderUnlocking === "0") return `Nothing of the ${words(insiderStake, ALPHA)} insider stake is unlocking.`;
  const part = `${words(insiderUnlocking, ALPHA)} of ${words(insiderStake, ALPHA)} insider stake (${percent(share(insiderUnlocking, insiderStake), 1)}) is unlocking`;
  return firstLiquid === null ? `${part}.` : `${part}, first liquid ${when.until(firstLiquid) === "now" ? "already" : `at ${at(firstLiquid, when)}, ${when.until(firstLiquid)}`}.`;
}

/** @param {NoticeView} notice @param {Heights} when */
function due({ status, earliest, end }, when) {
  if (status === "done") return "done";
  if (status === "void") return "did not happen";
  if (earliest === null) return "pending";
  const first = when.until(earliest);
  if (first !== "now") return first;
  return end !== null && when.until(end) !== "now" ? `in effect, complete ${when.until(end)}` : "in effect";
}
