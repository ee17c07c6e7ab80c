// @ts-check
// The coordinator's binary as a test drives it: started on embedded storage, asked over HTTP, killed
// without warning, and started again on the same port and data.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { until } from "./browser.mjs";

/** A setting the test cannot run without. @param {string} name */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this test needs COVEY_COORDINATOR_BIN, COVEY_WWW (with the module built) and COVEY_CORPUS`);
  return value;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Coordinators of this test so far: each has a log of its own. */
let made = 0;

export class Coordinator {
  /** @type {import("node:child_process").ChildProcess | null} */
  #process = null;

  /** @param {number} port @param {number} operatorPort @param {string} config */
  constructor(port, operatorPort, config) {
    this.port = port;
    this.url = `http://localhost:${port}`;
    this.operator = `http://127.0.0.1:${operatorPort}`;
    this.folder = mkdtempSync(join(tmpdir(), "covey-e2e-"));
    this.config = join(this.folder, "coordinator.toml");
    writeFileSync(this.config, config);
    const out = process.env.COVEY_OUT ?? this.folder;
    mkdirSync(out, { recursive: true });
    made += 1;
    this.logFile = join(out, `coordinator-${basename(process.argv[1] ?? "", ".test.mjs")}-${made}.log`);
    this.log = createWriteStream(this.logFile);
  }

  /** @param {string} config TOML */
  static async create(config) {
    return new Coordinator(await freePort(), await freePort(), config);
  }

  /** Starts and waits until it answers. */
  start() {
    return this.#start(["--listen", `127.0.0.1:${this.port}`, "--admin-listen", new URL(this.operator).host, "--corpus", required("COVEY_CORPUS"), "--model", "tiny"]);
  }

  /** Follows another server and serves what it agrees to. @param {string} url @param {string} name */
  follow(url, name) {
    return this.#start(["follow", url, "--listen", `127.0.0.1:${this.port}`, "--every", "1", "--name", name]);
  }

  /** Makes the mirror in this folder the run's coordinator. */
  takeOver() {
    return this.#start(["--listen", `127.0.0.1:${this.port}`, "--admin-listen", new URL(this.operator).host, "takeover"]);
  }

  /** @param {string[]} words */
  async #start(words) {
    const child = spawn(required("COVEY_COORDINATOR_BIN"), [
      "--data-dir", join(this.folder, "data"), "--www", required("COVEY_WWW"), "--config", this.config, ...words,
    ], { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    child.stdout?.pipe(this.log, { end: false });
    child.stderr?.pipe(this.log, { end: false });
    await until(`the coordinator answers (its log: ${this.logFile})`, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return this.run();
    }, 120_000);
  }

  /** Ends it between any two instructions. */
  async kill() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** @param {string} path */
  async #get(path) {
    const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response.json();
  }

  /** @returns {Promise<{round: number, base: string, held_out: {round: number, loss: number}[], unigram_entropy: number, spec: any, coordinator: string}>} */
  run() {
    return this.#get("/v1/run");
  }

  /** Where the ledger stands. @returns {Promise<{entries: number, head: string}>} */
  ledger() {
    return this.#get("/v1/ledger");
  }

  /** Who recomputed the run. @returns {Promise<{servers: any[], tabs: {agree: number, whole: number, round: number}, disagreements: any[]}>} */
  witnesses() {
    return this.#get("/v1/witnesses");
  }

  /** Every record so far. @returns {Promise<{round: number, theta_after: string, base: string, contributions: {volunteer: string, packet: string, tokens: number}[]}[]>} */
  async records() {
    const records = [];
    for (;;) {
      /** @type {{record: any}[]} */
      const signed = (await this.#get(`/v1/records?from=${records.length}`)).records;
      if (signed.length === 0) return records;
      records.push(...signed.map(({ record }) => record));
    }
  }
}
