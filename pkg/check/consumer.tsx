// A project that uses the package, checked by the type checker and never run: what must compile does,
// and what must not is marked so, which fails if it ever compiles.
import { Contributor, CoveyError, INTEGRITY, VERSION, type View } from "covey";
import { CoveyContribute, register, type StateDetail } from "covey/embed";
import { authorise, walletUrl } from "covey/wallet";
import { CoveyContribute as Element } from "covey/react";
import { createRef } from "react";

register();
const node = document.createElement("covey-contribute");
const same: CoveyContribute = node;
same.run = "shakespeare";
same.power = 40;
const read: 25 | 50 | 75 | 100 = same.power;
// @ts-expect-error the state is read only
same.state = "working";
// @ts-expect-error not a theme
same.theme = "plaid";
node.addEventListener("covey-state", ({ detail }) => {
  const { state, reason }: StateDetail = detail;
  if (state === "paused") console.log(reason?.toUpperCase());
  // @ts-expect-error the page is told no key
  detail.volunteer;
});
node.addEventListener("click", (event) => event.clientX);
document.addEventListener("covey-receipt", () => node.stop());

// @ts-expect-error a coordinator is needed
new Contributor({});
const contributor = new Contributor({ coordinators: ["https://covey.example"], base: "https://cdn.example/v1/", share: 25, backend: "webgpu" });
contributor.addEventListener("view", ({ detail }) => {
  const view: View = detail;
  console.log(view.run?.name, view.tokens_per_second.toFixed(0));
});
contributor.addEventListener("problem", ({ detail }) => {
  const error: CoveyError = detail;
  console.log(error.code, error.remedy);
});
// @ts-expect-error not a share
contributor.share = 33;
await contributor.start();
const text: string = await contributor.sample("To be", { tokens: 50 });
const { account } = await authorise({
  operator: location.origin, volunteer: contributor.view?.volunteer ?? "", run: contributor.view?.run?.id ?? "", sign: (text) => contributor.sign(text),
});
console.log(text, account, read, VERSION, INTEGRITY["module/covey_bg.wasm"], walletUrl("https://covey.example", { run: "d4" }));

const ref = createRef<CoveyContribute>();
export const page = <Element ref={ref} run="shakespeare" power={50} className="wide" onState={({ state }) => console.log(state)} />;
// @ts-expect-error not a power
export const wrong = <Element power={10} />;
