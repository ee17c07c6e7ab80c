// @ts-check
// Browser wallets: whatever extension has put itself into `window.injectedWeb3`, under any name
// (economics section 5.1). An extension appears some time after the page has loaded, is not injected
// into frames, and may keep a question open for ever, because its owner has not looked at it.
//
// Only sr25519 and ed25519 accounts can sign for the ledger; the others are listed with the reason.

import { describe } from "./problems.js";

/**
 * The part of an extension's interface that is used.
 * @typedef {{address: string, name?: string, type?: string, genesisHash?: string | null}} Injected
 * @typedef {{address: string, data: string, type: "bytes"}} RawRequest
 * @typedef {object} Enabled
 * @property {{get: () => Promise<Injected[]>, subscribe?: (hear: (accounts: Injected[]) => void) => unknown}} accounts
 * @property {{signRaw?: (request: RawRequest) => Promise<{signature: string}>}} signer
 * @typedef {{version?: string, enable?: (origin: string) => Promise<Enabled>, connect?: (origin: string) => Promise<Enabled>}} Extension
 */

/** @typedef {{account: string, address: string, label: string, key: "sr25519" | "ed25519"}} Usable */
/** @typedef {{address: string, label: string, why: string}} Unusable */
/** @typedef {{id: string, name: string, version: string}} Found */

/** What the page calls itself to a wallet. */
const ORIGIN = "Covey";

/** Names as their makers write them; any other wallet is called what it calls itself. @type {Record<string, string>} */
const NAMES = {
  "polkadot-js": "Polkadot.js", talisman: "Talisman", "subwallet-js": "SubWallet", "bittensor-wallet": "Bittensor Wallet",
  nova: "Nova Wallet", "fearless-wallet": "Fearless Wallet", enkrypt: "Enkrypt", polkagate: "PolkaGate",
};

/** @param {string} id */
export const walletName = (id) => NAMES[id] ?? id;

/** A wallet did not do what was asked. `code` has words in {@link TROUBLE}. */
export class WalletTrouble extends Error {
  /** @param {"absent" | "refused" | "locked" | "pending" | "none" | "cannot_sign" | "gone" | "failed"} code @param {string} wallet @param {string} [detail] */
  constructor(code, wallet, detail = "") {
    super(TROUBLE[code](wallet) + (detail && code === "failed" ? ` It said: ${detail}` : ""));
    this.code = code;
  }
}

/** @type {Record<WalletTrouble["code"], (wallet: string) => string>} */
const TROUBLE = {
  absent: (wallet) => `${wallet} is not in this browser any more. Install or switch on its extension, then look again.`,
  refused: (wallet) => `${wallet} refused. If that was not you: open it and allow this site under its connected sites, then try again.`,
  locked: (wallet) => `${wallet} is locked. Open it, enter its password, then try again.`,
  pending: (wallet) => `${wallet} already has a question open for this site. Answer it in its window, then try again.`,
  none: (wallet) => `${wallet} is connected but offers no account to this site. Make an account in it, or allow one for this site, then look again.`,
  cannot_sign: (wallet) => `${wallet} cannot sign messages, only transactions of a chain. Use another wallet.`,
  gone: (wallet) => `${wallet} does not offer this account to this site any more. Allow it there, or choose another account.`,
  failed: (wallet) => `${wallet} did not work.`,
};

/** @returns {Record<string, Extension>} */
const injected = () => /** @type {any} */ (window).injectedWeb3 ?? {};

/** Every wallet there is now. @returns {Found[]} */
export const installed = () =>
  Object.entries(injected()).filter(([, extension]) => extension && typeof (extension.enable ?? extension.connect) === "function")
    .map(([id, extension]) => ({ id, name: walletName(id), version: String(extension.version ?? "") }));

/** What a wallet's own error means. @param {string} wallet @param {unknown} error */
function trouble(wallet, error) {
  if (error instanceof WalletTrouble) return error;
  const text = describe(error);
  const code = /pending/i.test(text) ? "pending"
    : /\block(ed)?\b|unlock|password/i.test(text) ? "locked"
    : /reject|denied|deny|cancel|refus|not allowed|not authori|declin|unauthori/i.test(text) ? "refused" : "failed";
  return new WalletTrouble(code, wallet, text);
}

/** A connection to one extension. */
export class Connection {
  /** @param {string} id @param {Enabled} enabled @param {(address: string) => string} accountOf */
  constructor(id, enabled, accountOf) {
    this.id = id;
    this.name = walletName(id);
    this.enabled = enabled;
    this.accountOf = accountOf;
  }

  /**
   * Asks a wallet for access. May take for ever: its owner has to answer.
   * @param {string} id @param {(address: string) => string} accountOf
   */
  static async open(id, accountOf) {
    const extension = injected()[id];
    if (!extension) throw new WalletTrouble("absent", walletName(id));
    try {
      const enabled = await (extension.enable ? extension.enable(ORIGIN) : extension.connect?.(ORIGIN));
      if (!enabled) throw new WalletTrouble("failed", walletName(id), "no answer");
      return new Connection(id, enabled, accountOf);
    } catch (error) {
      throw trouble(walletName(id), error);
    }
  }

  /** Its accounts now. @returns {Promise<{usable: Usable[], unusable: Unusable[]}>} */
  async accounts() {
    try {
      return this.sort(await this.enabled.accounts.get());
    } catch (error) {
      throw trouble(this.name, error);
    }
  }

  /** Hears of changes, where the wallet tells. @param {(accounts: {usable: Usable[], unusable: Unusable[]}) => void} hear */
  subscribe(hear) {
    try {
      this.enabled.accounts.subscribe?.((accounts) => hear(this.sort(accounts)));
    } catch (error) {
      console.warn(`${this.id} tells no changes of accounts`, error);
    }
  }

  /** @param {Injected[]} accounts */
  sort(accounts) {
    /** @type {Usable[]} */
    const usable = [];
    /** @type {Unusable[]} */
    const unusable = [];
    for (const { address, name, type } of accounts) {
      const label = name ?? "";
      // Wallets older than the field have sr25519 keys; a wrong guess is found before anything is sent.
      const key = type ?? "sr25519";
      if (key !== "sr25519" && key !== "ed25519") {
        unusable.push({ address, label, why: `An ${key} key. The ledger knows sr25519 and ed25519 only.` });
        continue;
      }
      try {
        usable.push({ account: this.accountOf(address), address, label, key });
      } catch (error) {
        unusable.push({ address, label, why: `Not an address that the ledger can read: ${describe(error)}` });
      }
    }
    return { usable, unusable };
  }

  /** Has the wallet sign a text as `signRaw` does. @param {string} address @param {string} text @returns {Promise<string>} hex */
  async sign(address, text) {
    const sign = this.enabled.signer?.signRaw;
    if (!sign) throw new WalletTrouble("cannot_sign", this.name);
    try {
      // The text itself, not its hex: a wallet shows it as it is, and signs its UTF-8 in the wrapper.
      const { signature } = await sign.call(this.enabled.signer, { address, data: text, type: "bytes" });
      return signature;
    } catch (error) {
      throw trouble(this.name, error);
    }
  }
}
