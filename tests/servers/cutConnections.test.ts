import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DEVSHELL, TestCommands } from "../cli/testCommands.ts";
import { CuttingProxy, numbersFrom } from "./cuttingProxy.ts";
import { addChain, addRandom, runCommand, startCommand, succeed } from "./runCommand.ts";

// A client and a server in processes of their own, and a proxy between them that is a bad network.
// DEVSHELL_TEST_FULL=1: larger files, more kills, and what other tests show within one process.
const isFull = process.env["DEVSHELL_TEST_FULL"] === "1";
const LARGE_MIB = isFull ? 64 : 3;
const KILLS = isFull ? 12 : 2;

interface Cache extends AsyncDisposable {
  readonly port: number;
  readonly paths: readonly string[];
}

/** A store with one large path and a chain of small ones, served. */
async function startCache(commands: TestCommands): Promise<Cache> {
  const paths = [await addRandom(commands, "large", LARGE_MIB), await addChain(commands, 12)];
  const child = spawn(DEVSHELL, ["cache", "serve", "--listen", "127.0.0.1:0"], {
    env: commands.environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const line = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  return {
    port: Number(/ at http:\S+:(\d+)$/.exec(String(line.value))?.[1]),
    paths,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** A client with a store of its own for the same directory's name. */
class Client {
  readonly env: Readonly<Record<string, string>>;
  readonly #commands: TestCommands;
  readonly #place: string;

  constructor(commands: TestCommands, name: string) {
    this.#commands = commands;
    this.#place = join(commands.root, name);
    this.env = {
      NIX_REMOTE: `${this.#place}?store=${commands.root}/store&real=${this.#place}/store&state=${this.#place}/var`,
      DEVSHELL_CACHE_DIR: join(this.#place, "cache"),
    };
  }

  copy(port: number, paths: readonly string[], options: readonly string[] = []) {
    const from = ["--from", `http://127.0.0.1:${port}`];
    const words = ["nix", "copy", "--no-check-sigs", ...from, ...options, ...paths];
    return startCommand(this.#commands, words, this.env);
  }

  /** What of a download has arrived. */
  partBytes(): number {
    const sizes = this.parts().map(
      (name) => statSync(join(this.#downloads, name), { throwIfNoEntry: false })?.size ?? 0,
    );
    return Math.max(0, ...sizes);
  }

  parts(): string[] {
    return existsSync(this.#downloads) ? readdirSync(this.#downloads) : [];
  }

  async checkWhole(paths: readonly string[]): Promise<void> {
    await succeed(runCommand(this.#commands, ["nix-store", "--check-validity", ...paths], this.env));
    await succeed(runCommand(this.#commands, ["nix-store", "--verify", "--check-contents"], this.env));
    expect(this.parts()).toEqual([]);
  }

  get #downloads(): string {
    return join(this.#place, "var/devshell/downloads");
  }
}

describe("downloads over a bad network", { timeout: 300_000 }, () => {
  it.skipIf(!isFull)("complete though connections are cut at random points", async () => {
    using commands = new TestCommands();
    await using cache = await startCache(commands);
    const random = numbersFrom(11);
    await using proxy = await CuttingProxy.start(cache.port, { cutAfter: () => random(40_000, 700_000) });
    const client = new Client(commands, "client");
    const { status, err } = await client.copy(proxy.port, cache.paths).done;
    expect(status, err).toBe(0);
    expect(err).toMatch(/warning: unable to download '.*': the connection was cut off; retrying in \d+ ms/);
    expect(proxy.cuts).toBeGreaterThan(LARGE_MIB);
    // What had arrived was not fetched again.
    expect(proxy.passedBytes).toBeLessThan(LARGE_MIB * 1.3 * 2 ** 20);
    await client.checkWhole(cache.paths);
  });

  it.skipIf(!isFull)("complete though connections fall silent", async () => {
    using commands = new TestCommands();
    await using cache = await startCache(commands);
    const random = numbersFrom(5);
    const habits = { cutAfter: () => random(20 << 20, 30 << 20), isHanging: true };
    await using proxy = await CuttingProxy.start(cache.port, habits);
    const client = new Client(commands, "client");
    const patience = ["--option", "stalled-download-timeout", "1"];
    const { status, err } = await client.copy(proxy.port, cache.paths, patience).done;
    expect(status, err).toBe(0);
    expect(err).toMatch(/nothing has come for 1 s; retrying/);
    expect(proxy.cuts).toBeGreaterThan(1);
    await client.checkWhole(cache.paths);
  });

  it("are continued after their client is killed", async () => {
    using commands = new TestCommands();
    await using cache = await startCache(commands);
    await using proxy = await CuttingProxy.start(cache.port, { bytesPerSecond: LARGE_MIB * 2 ** 20 });
    const client = new Client(commands, "client");
    const step = Math.floor((LARGE_MIB * 2 ** 20) / (KILLS + 2));
    for (let kills = 1; kills <= KILLS; kills++) {
      const running = client.copy(proxy.port, cache.paths);
      while (client.partBytes() < kills * step) await sleep(10);
      running.kill();
      expect((await running.done).status).toBeNull();
      // It stands there for the next one.
      expect(client.partBytes()).toBeGreaterThanOrEqual(kills * step);
    }
    const kept = client.partBytes();
    const passedBytes = proxy.passedBytes;
    proxy.habits = {};
    await succeed(client.copy(proxy.port, cache.paths).done);
    // The rest, and the small paths.
    expect(proxy.passedBytes - passedBytes).toBeLessThan(LARGE_MIB * 2 ** 20 - kept + 200_000);
    await client.checkWhole(cache.paths);
  });

  it.skipIf(!isFull)(
    "that never get anywhere end with what is wrong, and leave nothing that counts",
    async () => {
      using commands = new TestCommands();
      await using cache = await startCache(commands);
      await using proxy = await CuttingProxy.start(cache.port, { cutAfter: () => 100 });
      const client = new Client(commands, "client");
      const { status, err } = await client.copy(proxy.port, cache.paths).done;
      expect(status).toBe(1);
      expect(err).toMatch(/error: .*unable to download 'http:\/\/127\.0\.0\.1:\d+\/nix-cache-info': /);
      // It was cut within the answer's first lines, and asked again.
      expect(proxy.cuts).toBeGreaterThan(1);
      proxy.habits = {};
      await succeed(client.copy(proxy.port, cache.paths).done);
      await client.checkWhole(cache.paths);
    },
  );
});
