import { once } from "node:events";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";

export interface ProxyHabits {
  /** How many bytes of the server's a connection lets pass before it is cut; asked for each connection. */
  readonly cutAfter?: (() => number) | undefined;
  /** What would be cut is left open, and nothing more comes. */
  readonly isHanging?: boolean | undefined;
  /** Of each connection. */
  readonly bytesPerSecond?: number | undefined;
}

const TICK_MS = 10;

/** Passes connections on to a port of this machine, slowly or not for long. */
export class CuttingProxy implements AsyncDisposable {
  readonly port: number;
  habits: ProxyHabits = {};
  /** Connections that were cut. */
  cuts = 0;
  /** What clients were sent. */
  passedBytes = 0;
  readonly #close: () => Promise<void>;

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.#close = close;
  }

  static async start(targetPort: number, habits: ProxyHabits = {}): Promise<CuttingProxy> {
    const sockets = new Set<Socket>();
    let proxy: CuttingProxy | undefined;
    const server = createServer((client) => {
      const target = createConnection({ port: targetPort, host: "127.0.0.1" });
      for (const socket of [client, target]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          sockets.delete(socket);
          (socket === client ? target : client).destroySoon();
        });
      }
      client.pipe(target);
      void proxy?.pass(target, client);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    proxy = new CuttingProxy((server.address() as AddressInfo).port, async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    proxy.habits = habits;
    return proxy;
  }

  async pass(target: Socket, client: Socket): Promise<void> {
    let left = this.habits.cutAfter?.() ?? Infinity;
    try {
      for await (const chunk of target as AsyncIterable<Buffer>)
        for (let rest = chunk; rest.length > 0;) {
          const { bytesPerSecond } = this.habits;
          const share =
            bytesPerSecond === undefined ? rest.length : Math.ceil((bytesPerSecond * TICK_MS) / 1000);
          const part = rest.subarray(0, Math.min(share, left));
          rest = rest.subarray(part.length);
          left -= part.length;
          this.passedBytes += part.length;
          await new Promise((resolve) => client.write(part, resolve));
          if (left <= 0) {
            this.cuts++;
            if (this.habits.isHanging === true) await once(client, "close");
            client.destroy();
            return;
          }
          if (bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
        }
      client.end();
    } catch {
      client.destroy();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

/** Numbers that look random and are the same in every run. */
export function numbersFrom(seed: number): (least: number, most: number) => number {
  let state = seed;
  return (least, most) => {
    state = (state * 16_807) % 2_147_483_647;
    return least + (state % (most - least));
  };
}
