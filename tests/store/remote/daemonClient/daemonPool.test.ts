import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { serveConnection } from "../../../../store/daemon/serveConnection.ts";
import { DaemonPool } from "../../../../store/remote/daemonClient/daemonPool.ts";
import type { DaemonPlace } from "../../../../store/types.ts";
import { TestDirectory } from "../../testStore.ts";

/** What listens where a daemon would. */
class TestSocket implements AsyncDisposable {
  readonly directory = new TestDirectory();
  readonly place: DaemonPlace;
  readonly #server: Server;
  readonly #path = join(this.directory.path, "socket");

  constructor(onConnection: (socket: Socket) => void) {
    this.place = {
      url: `unix://${this.#path}`,
      address: { kind: "socket", path: this.#path },
      isHere: true,
      isFound: false,
    };
    this.#server = createServer(onConnection);
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#path);
    await once(this.#server, "listening");
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
    this.directory[Symbol.dispose]();
  }
}

describe("connections to a daemon", () => {
  it("are given up where the daemon says nothing", async () => {
    const stop = new AbortController();
    const silent = new TestSocket((socket) => {
      socket.on("error", () => undefined).resume();
      stop.abort(new Error("enough"));
    });
    await using socket = await silent.listen();
    using pool = new DaemonPool(socket.directory.settings(), socket.place);
    await expect(pool.use(() => Promise.resolve(), { signal: stop.signal })).rejects.toThrow("enough");
  });

  it("are closed with the pool, those in use once they are free", async () => {
    const served: Promise<void>[] = [];
    const daemon = new TestSocket((socket) => {
      const settings = daemon.directory.settings();
      served.push(serveConnection(socket, socket, { settings, isTrusted: true }));
      socket.on("close", () => socket.destroy());
    });
    await using socket = await daemon.listen();
    const pool = new DaemonPool(socket.directory.settings(), socket.place);
    await pool.use(() => {
      pool[Symbol.dispose]();
      return Promise.resolve();
    });
    expect(served).toHaveLength(1);
    await Promise.all(served);
  });
});
