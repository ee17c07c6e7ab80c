// @ts-check
// The wallet page's entry: loads the module, opens a checked copy of the ledger, follows it, and shows
// one view at a time by the address's hash. Changes ask for a frame; a frame draws what is visible.
// Nothing here knows a rule of the ledger.
//
// For tests and automation, `window.coveyWallet` gives read access: {head, height, person, connected}.

import { find, Frame, setText, show } from "../app/dom.js";
import { count } from "../app/format.js";
import { ProblemCard } from "../elements/small.js";
import { useDecimals } from "./amounts.js";
import { asked, AuthoriseView } from "./authorise.js";
import { Follower } from "./follow.js";
import { loadModule } from "./load.js";
import { Model } from "./model.js";
import { account, button, known, rebuild, say } from "./nodes.js";
import { People } from "./people.js";
import { describe, problem, Trouble } from "./problems.js";
import { inWords } from "./refusals.js";
import { Signing } from "./signing.js";
import { AccountView } from "./views/account.js";
import { HistoryView } from "./views/history.js";
import { LocksView } from "./views/locks.js";
import { NoticesView } from "./views/notices.js";
import { OverviewView } from "./views/overview.js";
import { OwnershipView } from "./views/ownership.js";
import { ShareView } from "./views/share.js";
import { StakeView } from "./views/stake.js";

/** @typedef {import("./model.js").App} App */

const ROUTES = ["wallet", "overview", "stake", "locks", "ownership", "notices", "history"];
/** While the ledger does not answer at the start, it is asked again so often. */
const RETRY_MS = 3_000;

const card = find("#problem", ProblemCard);
const live = find("#live", HTMLElement);

/** @param {unknown} error */
function fail(error) {
  const code = error instanceof Trouble ? error.code : error instanceof WebAssembly.RuntimeError ? "panic" : "unknown";
  card.problem = problem(code, error instanceof Trouble ? error.detail : describe(error));
  show(find("#loading", HTMLElement), false);
}

/** @param {string} words */
function announce(words) {
  // The same words twice would not be spoken twice.
  setText(live, live.textContent === words ? `${words} ` : words);
}

/** The route that the address names. */
function route() {
  const name = location.hash.slice(1);
  return ROUTES.includes(name) ? name : "wallet";
}

/** @param {Follower} follower */
function drawBar(follower) {
  const { head, connected, retryAt, broken } = follower;
  setText(find("#height", HTMLElement), `Height ${count(follower.height)}`);
  const epoch = Math.max(head.nextEpoch, follower.told.next_epoch);
  const left = epoch - follower.height;
  setText(find("#next-epoch", HTMLElement), left > 0 ? `\u00b7 next epoch in ${count(left)} blocks` : "\u00b7 an epoch is due");
  const line = find("#connection", HTMLElement);
  const state = broken ? "off" : connected ? "on" : "trying";
  if (line.dataset.state !== state) line.dataset.state = state;
  setText(line, broken ? "Not following the ledger any more"
    : connected ? `${count(head.entries)} entries checked, following`
    : retryAt && retryAt > Date.now() ? `Connection lost. Trying again in ${Math.ceil((retryAt - Date.now()) / 1000)} s`
    : `${count(head.entries)} entries checked, connecting\u2026`);
}

/** @param {People} people @param {(route: string) => void} go */
function drawWho(people, go) {
  const { person } = people;
  rebuild(find("#who", HTMLElement), person, () => person === null
    ? [button("Choose an account", () => go("wallet"), { class: "primary", focus: "who" })]
    : [account(person.account, person.kind === "reader" ? "reading only" : person.label), button("Change", () => go("wallet"), { focus: "who", label: "Change the account" })]);
}

/** A link may name an account to look at (`?account=`), as the contributing page's does. @param {People} people */
function look(people) {
  const address = new URLSearchParams(location.search).get("account");
  if (address === null) return;
  try {
    people.look(address);
  } catch {
    // A damaged link shows the usual page.
  }
}

/** Opens the copy; asks again while nobody answers. @param {import("./types.js").WalletModule} module @param {Follower["hear"]} hear */
async function opened(module, hear) {
  for (;;) {
    try {
      const follower = await Follower.open(module, hear);
      card.problem = null;
      return follower;
    } catch (error) {
      fail(error);
      if (!(error instanceof Trouble) || !["ledger_network", "ledger_http"].includes(error.code)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function start() {
  const module = await loadModule();
  useDecimals(module);
  /** @type {(() => void) | null} */
  let changed = null;
  /** @type {NoticesView | null} */
  let notices = null;
  const follower = await opened(module, {
    changed: () => changed?.(),
    notice: (notice) => notices?.hear(notice),
    broken: (trouble) => fail(trouble),
  });
  const development = follower.head.development && follower.told.development;
  if (development) for (const name of module.DevelopmentWallet.names()) known.set(new module.DevelopmentWallet(name).account(), name);

  const frame = new Frame(draw);
  const people = new People(module, development, () => frame.request());
  look(people);
  const model = new Model(module, follower, people);
  const signing = new Signing(model, announce);
  /** @param {string} name */
  const go = (name) => {
    location.hash = name;
  };
  /** @type {App} */
  const app = { model, signing, announce, go, redraw: () => frame.request() };
  notices = new NoticesView(app);
  const request = asked();
  const authorise = request ? new AuthoriseView(app, request) : null;
  const [overview, share] = [new OverviewView(app), new ShareView(app)];
  /** @type {Record<string, {draw: () => void}>} */
  const views = {
    wallet: new AccountView(app), overview: { draw: () => [overview, share].forEach((view) => view.draw()) }, stake: new StakeView(app), locks: new LocksView(app),
    ownership: new OwnershipView(app), notices, history: new HistoryView(app),
  };
  let shown = "";

  function draw() {
    const at = authorise ? "wallet" : route();
    if (at !== shown) {
      shown = at;
      for (const section of document.querySelectorAll(".view")) {
        const { route: name } = /** @type {HTMLElement} */ (section).dataset;
        show(/** @type {HTMLElement} */ (section), name === at || (authorise !== null && name === "authorise"));
      }
      for (const link of document.querySelectorAll("#tabs a")) {
        if (link.getAttribute("href") === `#${at}`) {
          link.setAttribute("aria-current", "page");
          link.scrollIntoView({ block: "nearest", inline: "nearest" });
        } else link.removeAttribute("aria-current");
      }
    }
    drawBar(follower);
    drawWho(people, go);
    let trouble = "";
    for (const draw of [() => notices?.badge(), () => authorise?.draw(), () => views[at]?.draw(), () => signing.draw()]) {
      try {
        draw();
      } catch (error) {
        // The copy may be too far behind the clock to be read as of now; its words say so.
        if (error instanceof TypeError) throw error;
        trouble ||= inWords(error);
      }
    }
    say(find("#view-trouble", HTMLElement), trouble);
  }

  changed = () => frame.request();
  // Where an address without a route leads is decided once, so that choosing an account moves nothing.
  if (!authorise && location.hash === "") history.replaceState(null, "", people.person ? "#overview" : "#wallet");
  addEventListener("hashchange", () => {
    frame.request();
    // The new view is where reading goes on; the next Tab leads into it.
    requestAnimationFrame(() => requestAnimationFrame(() => find(`#view-${route()}`, HTMLElement).focus({ preventScroll: true })));
  });
  setInterval(() => {
    if (document.visibilityState === "visible") frame.request();
  }, 1000);
  Object.defineProperty(window, "coveyWallet", { value: Object.freeze({
    get head() { return { ...follower.head }; },
    get height() { return follower.height; },
    get person() { return people.person && { ...people.person }; },
    get connected() { return follower.connected; },
  }) });

  show(find("#loading", HTMLElement), false);
  show(find("#bar", HTMLElement), true);
  show(find("#tabs", HTMLElement), authorise === null);
  document.body.classList.toggle("authorising", authorise !== null);
  show(find("#development", HTMLElement), development);
  draw();
  follower.follow();
}

card.addEventListener("reload", () => location.reload());
card.addEventListener("restart", () => location.reload());
addEventListener("error", (event) => {
  if (event.error instanceof WebAssembly.RuntimeError) fail(event.error);
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) fail(event.reason);
});

if (window.top !== window) {
  // Another page could lie over a signing dialog that is in its frame.
  document.body.classList.add("framed");
  const link = find("#unframe", HTMLAnchorElement);
  link.href = location.href;
  show(find("#framed", HTMLElement), true);
} else {
  start().catch(fail);
}
