// @ts-check
// A test wallet extension: puts itself into `window.injectedWeb3` as real ones do, under any name, and
// signs with keys that stay in Node. Its owner's mood can be changed while the page runs:
//
//   await wallet.mood(page, { enable: "refuse" })   ready | refuse | locked | pending | silent
//   await wallet.mood(page, { sign: "silent" })     ready | refuse | silent
//
// What it was asked to sign is in `wallet.asked`. With {@link developmentKeys} the signatures are real:
// the wallet module itself, loaded in Node, signs `<Bytes>` ‖ data ‖ `</Bytes>` as `signRaw` does.

import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** @typedef {{address: string, name?: string, type?: string}} Account */
/** @typedef {(address: string, data: string) => string | Promise<string>} Sign */
/** @typedef {import("playwright-core").Page | import("playwright-core").BrowserContext} Target */

/**
 * Installs one in a page, or in every page of a context.
 * @param {Target} target
 * @param {{name?: string, version?: string, accounts: Account[], sign: Sign, enable?: string, lateMs?: number}} options
 */
export async function injectWallet(target, { name = "covey-test", version = "1.2.3", accounts, sign, enable = "ready", lateMs = 0 }) {
  /** @type {{address: string, data: string, type: string}[]} */
  const asked = [];
  const bridge = `coveyTestSign_${name.replace(/\W/g, "_")}`;
  await target.exposeFunction(bridge, async (/** @type {{address: string, data: string, type: string}} */ request) => {
    asked.push(request);
    return sign(request.address, request.data);
  });
  await target.addInitScript(({ name, version, accounts, bridge, enable, lateMs }) => {
    // Extensions are not injected into frames.
    if (window.top !== window) return;
    const moods = /** @type {any} */ (window.coveyTestMoods ??= {});
    const mood = (moods[name] = { enable, sign: "ready", accounts, enabled: 0, /** @type {((accounts: unknown) => void)[]} */ heard: [] });
    const never = new Promise(() => {});
    const install = () => {
      const all = /** @type {any} */ (window.injectedWeb3 ??= {});
      all[name] = {
        version,
        async enable(/** @type {string} */ origin) {
          mood.enabled += 1;
          /** @type {any} */ (mood).origin = origin;
          if (mood.enable === "refuse") throw new Error(`The source ${location.origin} is not allowed to interact with this extension`);
          if (mood.enable === "locked") throw new Error("Wallet is locked");
          if (mood.enable === "pending") throw new Error("You have a pending authorization request for this site");
          if (mood.enable === "silent") await never;
          return {
            accounts: {
              get: async () => structuredClone(mood.accounts),
              subscribe: (/** @type {(accounts: unknown) => void} */ hear) => mood.heard.push(hear),
            },
            signer: {
              async signRaw(/** @type {object} */ request) {
                if (mood.sign === "refuse") throw new Error("Cancelled");
                if (mood.sign === "silent") await never;
                return { id: 1, signature: await /** @type {any} */ (window)[bridge](request) };
              },
            },
          };
        },
      };
    };
    if (lateMs > 0) setTimeout(install, lateMs);
    else install();
  }, { name, version, accounts, bridge, enable, lateMs });
  return {
    asked,
    /** @param {import("playwright-core").Page} page @param {{enable?: string, sign?: string, accounts?: Account[]}} changes */
    mood: (page, changes) => page.evaluate(({ name, changes }) => {
      const mood = /** @type {any} */ (window).coveyTestMoods[name];
      Object.assign(mood, changes);
      if (changes.accounts) for (const hear of mood.heard) hear(structuredClone(changes.accounts));
    }, { name, changes }),
    /** How often the page asked for access. @param {import("playwright-core").Page} page */
    enabled: (page) => page.evaluate((name) => /** @type {number} */ (/** @type {any} */ (window).coveyTestMoods[name].enabled), name),
  };
}

/**
 * Real sr25519 keys: the well-known development ones, signed with by the built wallet module in Node.
 * @param {string} www the folder that holds module/wallet.js
 * @param {...string} names "//Alice", ...
 * @returns {Promise<{accounts: Required<Account>[], sign: Sign, module: import("../../../www/wallet/types.js").WalletModule}>}
 */
export async function developmentKeys(www, ...names) {
  // Outside a package of modules Node takes .js for CommonJS, so the glue gets a name that says what it is.
  const file = join(await mkdtemp(join(tmpdir(), "covey-wallet-")), "wallet.mjs");
  await writeFile(file, await readFile(join(www, "module/wallet.js")));
  const module = await import(pathToFileURL(file).href);
  await module.default({ module_or_path: await readFile(join(www, "module/wallet_bg.wasm")) });
  const keys = new Map(names.map((name) => {
    const wallet = new module.DevelopmentWallet(name);
    return [wallet.account(), { name, wallet }];
  }));
  return {
    module,
    accounts: [...keys].map(([address, { name }]) => ({ address, name, type: "sr25519" })),
    sign: (address, data) => {
      const key = keys.get(address);
      if (!key) throw new Error(`no key for ${address}`);
      return key.wallet.sign(data);
    },
  };
}
