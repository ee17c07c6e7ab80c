// Stands where the wallet module's wasm-bindgen output would be, in tests of the page only. It knows no
// rule of the ledger: the "snapshot" it opens is the answers themselves, as JSON, and an "entry" may
// change them (`set`) or be one that does not hold (`bad`). Every draft it was asked for is kept in
// `globalThis.scripted.drafts`, every call that was projected in `projections`.

const UNIT = 1_000_000_000n;
const ACCOUNTS = {
  "//Alice": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
  "//Bob": "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty",
};

class WalletError extends Error {
  constructor(name, message, index) {
    super(message);
    this.name = name;
    if (index !== undefined) this.index = index;
  }
}

export default async function init({ module_or_path }) {
  await WebAssembly.instantiateStreaming(await module_or_path, {});
  globalThis.scripted = { drafts: [], projections: [], sealed: [] };
}

export const formatAmount = (base) => {
  if (!/^\d+$/.test(base)) throw new WalletError("Amount", `not base units: ${base}`);
  const digits = base.padStart(10, "0");
  const fraction = digits.slice(-9).replace(/0+$/, "");
  return digits.slice(0, -9).replace(/^0+(?=\d)/, "") + (fraction ? `.${fraction}` : "");
};

export const parseAmount = (text) => {
  const found = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (!found) throw new WalletError("Amount", "an amount is digits with at most nine decimals");
  return (BigInt(found[1]) * UNIT + BigInt((found[2] ?? "").padEnd(9, "0"))).toString();
};

export const accountOf = (address) => {
  if (!/^5[1-9A-HJ-NP-Za-km-z]{47}$/.test(address)) throw new WalletError("Account", "this is no address: was it copied whole?");
  return address;
};

const tokens = (base, unit) => `${formatAmount(String(base))} ${unit}`;

export class Wallet {
  static open(bytes) {
    const text = new TextDecoder().decode(bytes);
    const wallet = new Wallet();
    try {
      wallet.state = JSON.parse(text.slice(text.indexOf("\n") + 1));
    } catch {
      throw new WalletError("StateHashMismatch", "the state's hash is not the recorded one");
    }
    return wallet;
  }

  apply(lines) {
    const log = [];
    for (const text of lines.split("\n").filter(Boolean)) {
      const line = JSON.parse(text);
      if (line.index !== this.state.head.entries) throw new WalletError("Order", `entry ${this.state.head.entries} was expected, but ${line.index} came`, line.index);
      if (line.bad) throw new WalletError("BadSignature", `entry ${line.index} breaks the rules: the signature does not fit`, line.index);
      merge(this.state, line.set ?? {});
      Object.assign(this.state.head, { entries: line.index + 1, head: line.hash, height: line.height });
      log.push({ index: line.index, height: line.height, hash: line.hash, account: line.account ?? null, title: line.title ?? "" });
    }
    return { entries: log.length, log };
  }

  head() {
    return structuredClone(this.state.head);
  }

  overview(account) {
    return structuredClone(this.state.overviews[account] ?? this.state.nobody);
  }

  managers() {
    return structuredClone(this.state.managers);
  }

  ownership() {
    return structuredClone(this.state.ownership);
  }

  notices() {
    return structuredClone(this.state.notices);
  }

  quote(side, amount, tolerance) {
    const price = BigInt(this.state.price);
    const input = BigInt(amount);
    const fee = input / 2000n;
    const output = side === "buy" ? ((input - fee) * UNIT) / price : ((input - fee) * price) / UNIT;
    const slippage = Number(input) / Number(this.state.pool);
    const worse = BigInt(Math.round(tolerance * 1e6));
    const limit = side === "buy" ? (price * (1_000_000n + worse)) / 1_000_000n : (price * (1_000_000n - worse)) / 1_000_000n;
    return {
      input: amount, fee: String(fee), output: String(output), spot: String(price), average: String(price), after: String(price), slippage,
      limitPrice: String(limit), worst: String((output * (1_000_000n - worse)) / 1_000_000n),
      maxInput: String((BigInt(this.state.pool) * worse) / 1_000_000n),
    };
  }

  projection(account, call, height, span) {
    globalThis.scripted.projections.push(call);
    if (call && this.state.refuse?.[call.call]) throw new WalletError(...this.state.refuse[call.call]);
    const points = (mass, target) => Array.from({ length: 40 }, (_, i) => ({
      height: height + Math.round((span * i) / 39), mass: String(mass), unlocking: "0",
      conviction: String(BigInt(Math.round(Number(target) * (1 - Math.exp(-i / 15))))),
    }));
    const locked = this.state.overviews[account]?.lock?.mass ?? "0";
    const then = String(BigInt(locked) + BigInt(call?.args.amount ?? "0"));
    return { now: points(locked, locked), draft: points(then, then), gate: this.state.ownership.gate };
  }

  draft(account, call, height) {
    if (this.state.refuse?.[call.call]) throw new WalletError(...this.state.refuse[call.call]);
    const { nonce, balance } = this.overview(account);
    const action = { app: "covey", chain: this.state.head.chain, account, nonce, expires: height + 300, call: call.call, args: call.args };
    const input = call.args.amount_staked ?? call.args.amount ?? call.args.alpha_amount ?? call.args.amount_unstaked ?? "0";
    const draft = {
      title: `${call.call.replaceAll("_", " ")} ${tokens(input, call.args.amount_staked ? "TAO" : "\u03b1")}`,
      effects: [
        { label: "Balance", before: tokens(balance, "TAO"), after: tokens(BigInt(balance) - BigInt(call.args.amount_staked ?? 0), "TAO") },
        { label: "Price", before: tokens(this.state.price, "TAO/\u03b1"), after: tokens(this.state.price, "TAO/\u03b1") },
      ],
      warnings: /lock/.test(call.call) ? ["Locked stake cannot be sold. Getting it back takes 14 days from the day you ask."] : [],
      message: JSON.stringify(action), action, expires: height + 300,
    };
    globalThis.scripted.drafts.push({ call, draft });
    return draft;
  }

  seal(action, key, signature) {
    if (!/^(0x)?([0-9a-f]{128}|[0-9a-f]{130})$/.test(signature)) throw new WalletError("BadSignature", "the signature is not hex of 64 bytes");
    globalThis.scripted.sealed.push({ action, key, signature });
    return JSON.stringify({ action, key, signature });
  }

  describe(text) {
    const line = JSON.parse(text);
    return { index: line.index, height: line.height, hash: line.hash, title: line.title ?? "Something" };
  }
}

/** Objects are merged, everything else is replaced. */
function merge(target, changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value && typeof value === "object" && !Array.isArray(value) && target[key] && typeof target[key] === "object") merge(target[key], value);
    else target[key] = value;
  }
}

export class Audit {
  #rest = "";
  #progress = { entries: 0, height: 0, head: "", state: "", epochs: 0 };

  feed(chunk) {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop();
    for (const text of lines) {
      const index = this.#progress.entries;
      let line;
      try {
        line = JSON.parse(text);
      } catch {
        throw new WalletError("Unreadable", `entry ${index} cannot be read`, index);
      }
      if (line.bad) throw new WalletError("Hash", `entry ${index} does not have the hash it claims`, index);
      this.#progress = { entries: index + 1, height: line.height, head: line.hash, state: "5a".repeat(32), epochs: Math.floor(index / 10) };
    }
    return { ...this.#progress };
  }

  finish() {
    if (this.#rest) throw new WalletError("Unreadable", "the last entry is cut off", this.#progress.entries);
    return { ...this.#progress };
  }
}

export class DevelopmentWallet {
  static names() {
    return Object.keys(ACCOUNTS);
  }

  constructor(name) {
    if (!ACCOUNTS[name]) throw new WalletError("Account", "nobody is called that");
    this.name = name;
  }

  account() {
    return ACCOUNTS[this.name];
  }

  sign() {
    return `0x${"ab".repeat(64)}`;
  }
}

export class Session {
  constructor(terms) {
    this.terms = terms;
  }

  text() {
    const { domain, account, sessionKey, run, days } = this.terms;
    return `${domain} wants you to authorise a key to contribute with your account:\n${account}\n\nThe key can sign training work whose earnings go to your account. It cannot move, stake or lock anything.\n\nVersion: 1\nRun: ${run}\nSession Key: ${sessionKey}\nScope: contribute\nDays: ${days}`;
  }

  seal(key, walletSignature, keySignature) {
    return JSON.stringify({ authorisation: this.terms, key, walletSignature, keySignature });
  }
}
