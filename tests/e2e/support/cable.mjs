// @ts-check
// The network between browsers and a coordinator, as something that can be cut: a TCP relay. While it is
// cut, what was connected is reset and what knocks is turned away at once, as on a device without network,
// and every knock is counted. It can also lead elsewhere, and change what passes.

import { connect, createServer } from "node:net";

export class Cable {
  /** @type {Set<import("node:net").Socket>} */
  #sockets = new Set();
  #cut = false;
  /** @type {number} */
  #to;
  /** Connections asked for while it was cut. */
  knocks = 0;
  port = 0;
  /** Changes what the coordinator says, on its way. @type {((bytes: Buffer) => Buffer) | null} */
  alter = null;

  /** @param {number} to port of the coordinator */
  constructor(to) {
    this.#to = to;
    this.server = createServer((near) => {
      near.on("error", () => near.destroy());
      if (this.#cut) {
        this.knocks += 1;
        near.resetAndDestroy();
        return;
      }
      const far = connect(this.#to, "127.0.0.1");
      for (const [socket, other] of [[near, far], [far, near]]) {
        this.#sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
      near.pipe(far);
      far.on("data", (bytes) => {
        if (near.write(this.alter?.(bytes) ?? bytes)) return;
        far.pause();
        near.once("drain", () => far.resume());
      });
      far.on("end", () => near.end());
    });
  }

  /** @param {number} to */
  static async lay(to) {
    const cable = new Cable(to);
    await new Promise((resolve) => cable.server.listen(0, "127.0.0.1", () => resolve(undefined)));
    cable.port = /** @type {import("node:net").AddressInfo} */ (cable.server.address()).port;
    return cable;
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  cut() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Leads somewhere else from now on. @param {number} to */
  lead(to) {
    this.#to = to;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend() {
    this.#cut = false;
  }

  close() {
    this.cut();
    this.server.close();
  }
}
