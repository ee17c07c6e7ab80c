// A server that renders pages imports every entry, and nothing happens: no element, no worker, no
// error. Run by `cargo xtask package` in a project that has the package installed.
import assert from "node:assert/strict";
import { createElement } from "react";
import { renderToString } from "react-dom/server";

const covey = await import("covey");
const { CoveyContribute } = await import("covey/react");
const { walletUrl } = await import("covey/wallet");
const { register } = await import("covey/embed");

register();
assert.ok(new covey.Contributor({ coordinators: ["https://covey.example"] }));
assert.throws(() => new covey.Contributor({ coordinators: [] }), (error) => error.code === "no_coordinator");
assert.match(covey.INTEGRITY["module/covey_bg.wasm"], /^sha384-[A-Za-z0-9+/]{64}$/);
assert.equal(walletUrl("https://covey.example", { authorise: "a1", run: "d4" }), "https://covey.example/wallet.html?authorise=a1&run=d4");
assert.equal(
  renderToString(createElement(CoveyContribute, { run: "shakespeare", power: 75, onState: () => {} })),
  '<covey-contribute run="shakespeare" power="75"></covey-contribute>',
);
console.log(`covey ${covey.VERSION}: every entry can be imported on a server`);
