import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { formatHash, hashBytes } from "../../core/index.ts";
import { narOfBytes } from "../../store/format/nar.ts";
import { TestCommands } from "./testCommands.ts";

const NAR = narOfBytes(Buffer.alloc(1 << 22, "x"));

/** A binary cache that sends half of its only NAR and then nothing more. */
async function serveHalf(storeDir: string, path: string): Promise<Server> {
  const server = createServer(({ url = "" }, response) => {
    if (url === "/nix-cache-info") response.end(`StoreDir: ${storeDir}\n`);
    else if (url.endsWith(".narinfo"))
      response.end(
        `StorePath: ${path}\nURL: nar/x.nar\nCompression: none\nNarHash: sha256:${formatHash(hashBytes("sha256", NAR), "nix32")}\nNarSize: ${NAR.length}\n`,
      );
    else response.writeHead(200, { "content-length": NAR.length }).write(NAR.subarray(0, NAR.length / 2));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

it("nix copy leaves nothing half written when it is interrupted, nor what a killed one left", async () => {
  using t = new TestCommands();
  const path = join(t.root, "store", `${"a".repeat(32)}-large`);
  const server = await serveHalf(join(t.root, "store"), path);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cache = join(t.root, "cache-here");
  const spools = (): string[] => {
    try {
      return readdirSync(join(cache, "nar")).filter((name) => name.startsWith("."));
    } catch {
      return [];
    }
  };
  const children: ChildProcess[] = [];
  /** Until it has a spool file, and only its own is there. */
  const begin = async (before: readonly string[]): Promise<ChildProcess> => {
    const args = ["copy", "--no-check-sigs", "--from", url, "--to", `file://${cache}?compression=none`, path];
    // As a shell starts it: Ctrl-C reaches all of its group.
    const child = spawn(join(t.root, "bin/nix"), args, {
      env: t.environment(),
      detached: true,
      stdio: "ignore",
    });
    children.push(child);
    const endMs = Date.now() + 25_000;
    while (spools().length !== 1 || spools().some((name) => before.includes(name))) {
      expect(child.exitCode).toBeNull();
      expect(Date.now(), `waiting for a spool other than ${String(before)}`).toBeLessThan(endMs);
      await sleep(20);
    }
    return child;
  };
  const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> => {
    const exited = once(child, "exit");
    process.kill(-(child.pid ?? 0), signal);
    return (await exited)[0];
  };
  try {
    await end(await begin([]), "SIGKILL");
    const left = spools();
    expect(left).toHaveLength(1);
    // It would be continued, and nothing compressed before its end.
    rmSync(join(t.root, "var/devshell/downloads"), { recursive: true });
    expect(await end(await begin(left), "SIGINT")).toBe(130);
    expect(spools()).toEqual([]);
  } finally {
    for (const { pid, exitCode, signalCode } of children)
      if (exitCode === null && signalCode === null) process.kill(-(pid ?? 0), "SIGKILL");
    server.closeAllConnections();
    server.close();
  }
}, 60_000);
