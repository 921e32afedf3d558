import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { openStore, realise, type StorePath, type StoreSettings } from "../../../store/index.ts";
import { TestDirectory } from "../testStore.ts";
import { shellDerivation } from "./daemonFixture.ts";
import { TestDaemon } from "./testDaemon.ts";

// Real Nix at the other end: PEER_NIX and PEER_NIX_OLD name directories of its programs.
const { PEER_NIX = "", PEER_NIX_OLD = "" } = process.env;
const peers = [PEER_NIX, PEER_NIX_OLD].filter((directory) => existsSync(join(directory, "nix-daemon")));
const run = promisify(execFile);

function environmentOf(settings: StoreSettings, directory: string): NodeJS.ProcessEnv {
  mkdirSync(join(directory, "conf"), { recursive: true });
  writeFileSync(
    join(directory, "conf", "nix.conf"),
    "sandbox = false\nsubstituters =\nbuild-users-group =\nexperimental-features = nix-command\n",
  );
  return {
    PATH: process.env["PATH"],
    HOME: directory,
    NIX_STORE_DIR: settings.storeDir,
    NIX_STATE_DIR: settings.stateDir,
    NIX_LOG_DIR: settings.logDir,
    NIX_CONF_DIR: join(directory, "conf"),
    NIX_DAEMON_SOCKET_PATH: join(directory, "socket"),
  };
}

const EXPRESSION = `derivation {
  name = "greeting"; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-c" "echo building; echo hello > $out" ]; source = ./source.txt;
}`;

describe.skipIf(peers.length === 0).each(peers.length === 0 ? ["PEER_NIX"] : peers)(
  "with the Nix at %s",
  (peer) => {
    it("it builds, queries, adds and collects through our daemon", { timeout: 60_000 }, async () => {
      await using daemon = await TestDaemon.start();
      const { path } = daemon.directory;
      const socket = daemon.settings.daemon?.address;
      if (socket?.kind !== "socket") throw new Error("no socket");
      const env = {
        ...environmentOf(daemon.local, path),
        NIX_DAEMON_SOCKET_PATH: socket.path,
        NIX_REMOTE: "daemon",
      };
      writeFileSync(join(path, "source.txt"), "text");
      writeFileSync(join(path, "default.nix"), EXPRESSION);
      const nix = async (program: string, ...args: string[]): Promise<string> =>
        (await run(join(peer, program), args, { env, cwd: path })).stdout.trim();
      const output = await nix("nix-build", "default.nix", "-o", "result");
      expect(readFileSync(output, "utf8")).toBe("hello\n");
      expect(
        await nix("nix-store", "-q", "--references", await nix("nix-instantiate", "default.nix")),
      ).toContain("source.txt");
      expect(await nix("nix-store", "--gc", "--print-roots")).toMatch(/result"? -> .*-greeting/);
      await nix("nix-store", "--gc");
      expect(await nix("nix-store", "--verify", "--check-contents")).toBe("");
      using real = daemon.store();
      expect(real.isValidPath(output as StorePath)).toBe(true);
      await expect(
        nix(
          "nix-build",
          "-E",
          '(import ./default.nix).overrideMe or (derivation { name = "bad"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "exit 7" ]; })',
        ),
      ).rejects.toThrow("exit code 7");
      const dumped = await nix("nix-store", "--dump-db");
      expect(dumped).toContain(output);
    });

    it("we evaluate into, build with and query its daemon", { timeout: 60_000 }, async () => {
      using directory = new TestDirectory();
      const local = directory.settings({ sandbox: "false", substituters: "" });
      const env = environmentOf(local, directory.path);
      // Without it the daemon of Nix 2.8 takes the store for another daemon's: its own, without end.
      mkdirSync(local.stateDir);
      const socketPath = join(directory.path, "socket");
      const daemon: ChildProcess = spawn(join(peer, "nix-daemon"), [], { env, stdio: "ignore" });
      try {
        await expect.poll(() => existsSync(socketPath), { timeout: 10_000 }).toBe(true);
        const address = { kind: "socket", path: socketPath } as const;
        const settings: StoreSettings = {
          ...local,
          rung: "daemon",
          daemon: { url: "daemon", address, isHere: true, isFound: false },
        };
        using store = openStore(settings);
        writeFileSync(join(directory.path, "source.txt"), "text");
        const source = store.addPath(join(directory.path, "source.txt"), {
          name: "source.txt",
          method: "nar",
        });
        expect(readFileSync(source, "utf8")).toBe("text");
        const made = Array.from({ length: 20 }, (_, index) =>
          shellDerivation(store, `d${index}`, `echo said; echo ${index} > $out`),
        );
        store.writeDerivations(made);
        const bad = shellDerivation(store, "bad", "exit 7");
        store.writeDerivation(bad);
        const targets = made.map(({ drvPath }) => ({ kind: "built", drvPath, outputs: "*" }) as const);
        const lines: string[] = [];
        const report = await realise(store, targets, {
          onEvent: (event) => {
            if (event.kind === "log") lines.push(event.line);
          },
        });
        expect(report.failures).toEqual([]);
        expect(lines).toContain("said");
        const output = made[3]?.outputs.get("out") as StorePath;
        expect(readFileSync(output, "utf8")).toBe("3\n");
        expect(store.pathInfo(output).deriver).toBe(made[3]?.drvPath);
        const failed = await realise(store, [{ kind: "built", drvPath: bad.drvPath, outputs: "*" }]);
        expect(failed.failures[0]?.message).toContain("exit code 7");
        const link = join(directory.path, "result");
        store.addRoot(link, output);
        expect(store.findRoots().get(output)).toContain(link);
        expect((await store.verify({ checkContents: true })).problems).toEqual([]);
        expect(store.closureOf(output)).toEqual([output]);
        const collected = await store.collectGarbage({ action: "returnDead" });
        expect(collected.paths).not.toContain(output);
      } finally {
        daemon.kill();
      }
    });
  },
);
