import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { LocalStore, type StorePath } from "../../../store/index.ts";
import { removeTree } from "../../../store/realise/builder/scratch.ts";
import { copyPaths } from "../../../store/remote/copyPaths.ts";
import { openRemoteStore } from "../../../store/remote/openRemoteStore.ts";
import { StoreEndpoint } from "../../../store/remote/storeEndpoint.ts";
import { temporaryDirectory, testSettings } from "../realiseFixture.ts";
import type { ProcessRequest } from "./concurrentProcess.ts";
import { NAMES, settingsIn, writeSources } from "./operations.ts";

/** A hunt takes `DEVSHELL_CONCURRENT_SECONDS=600`. With PEER_NIX, real Nix works on the store too, and verifies it. */
const SECONDS = Number(process.env["DEVSHELL_CONCURRENT_SECONDS"] ?? "2");
const PROCESSES = Number(process.env["DEVSHELL_CONCURRENT_PROCESSES"] ?? (SECONDS > 10 ? "16" : "4"));
const SEED = Number(process.env["DEVSHELL_CONCURRENT_SEED"] ?? "1");
const { PEER_NIX: peer = "" } = process.env;
const OFFERED = 20;

/** A cache of paths that refer to those before them. */
async function writeCache(dir: string, storeDir: string): Promise<readonly StorePath[]> {
  const settings = { ...testSettings(`${dir}/origin`), storeDir, realStoreDir: `${dir}/origin/store` };
  using origin = LocalStore.open(settings);
  const paths: StorePath[] = [];
  for (let number = 0; number < OFFERED; number++) {
    const references = [paths[number - 1], paths[number >> 1]].filter((path) => path !== undefined);
    paths.push(origin.addText(`offered-${number}`, `${number} ${references.join(" ")}`, references));
  }
  await using target = await openRemoteStore(settings, `file://${dir}/cache?compression=none`, {
    isTarget: true,
  });
  await copyPaths({ source: new StoreEndpoint(origin), target, paths, isRecursive: false });
  return paths;
}

function run(request: ProcessRequest): Promise<{ readonly status: number | null; readonly done: string }> {
  const program = join(import.meta.dirname, "concurrentProcess.ts");
  const flags = ["--disable-warning=ExperimentalWarning"];
  const child = spawn(process.execPath, [...flags, program, JSON.stringify(request)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let done = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (done += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, done }));
  });
}

function peerEnvironment(dir: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    HOME: dir,
    NIX_REMOTE: "",
    NIX_STORE_DIR: `${dir}/store`,
    NIX_STATE_DIR: `${dir}/state`,
    NIX_LOG_DIR: `${dir}/log`,
    NIX_CONF_DIR: `${dir}/conf`,
    NIX_CONFIG: "substituters =\nsandbox = false\nbuild-users-group =",
  };
}

/** Real Nix at the same store. @returns what it failed at */
async function runPeer(dir: string, endMs: number): Promise<readonly string[]> {
  const failures: string[] = [];
  const commands = [
    ["--add", `${dir}/sources/tree-1`],
    ["--gc", "--max-freed", "20000"],
    ["--optimise"],
    ["--gc", "--print-roots"],
  ];
  for (let number = 0; Date.now() < endMs; number++) {
    const args = commands[number % commands.length] ?? [];
    const child = spawn(join(peer, "nix-store"), args, {
      env: peerEnvironment(dir),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    const status = await new Promise((resolve) => child.once("close", resolve));
    if (status !== 0) failures.push(`${args.join(" ")}: ${said}`);
    await sleep(20);
  }
  return failures;
}

it(
  `${PROCESSES} processes that do anything at once leave a store that is whole`,
  { timeout: SECONDS * 1000 + 120_000 },
  async () => {
    const dir = temporaryDirectory();
    try {
      mkdirSync(`${dir}/sources`);
      writeSources(`${dir}/sources`);
      const settings = settingsIn(dir, `${dir}/cache`);
      LocalStore.open(settings)[Symbol.dispose]();
      const offered = await writeCache(dir, settings.storeDir);
      const hasPeer = existsSync(join(peer, "nix-store"));
      const endMs = Date.now() + SECONDS * 1000 + 1000;
      const running = Array.from({ length: PROCESSES }, (_, index) =>
        run({
          dir,
          cache: `${dir}/cache`,
          offered,
          seed: SEED * 1000 + index,
          endMs,
          hasDaemons: SECONDS > 10,
        }),
      );
      const [outcomes, peerFailures] = await Promise.all([
        Promise.all(running),
        hasPeer ? runPeer(dir, endMs) : [],
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 0));
      expect(peerFailures).toEqual([]);
      const totals = new Map<string, number>();
      for (const { done } of outcomes)
        for (const [name, count] of Object.entries(JSON.parse(done) as Record<string, number>))
          totals.set(name, (totals.get(name) ?? 0) + count);
      if (SECONDS > 10) process.stderr.write(`${JSON.stringify(Object.fromEntries(totals))}\n`);
      for (const name of NAMES)
        expect((totals.get(name) ?? 0) + (totals.get(`${name} (refused)`) ?? 0), name).toBeGreaterThan(0);
      using store = LocalStore.open(settings);
      expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [], forgotten: [] });
      if (hasPeer) {
        const verified = spawnSync(join(peer, "nix-store"), ["--verify", "--check-contents"], {
          env: peerEnvironment(dir),
          encoding: "utf8",
        });
        expect(verified).toMatchObject({ status: 0 });
        expect(verified.stderr).not.toMatch(/error|disappeared|modified/);
      }
      // Nothing is left but what is valid: no scratch directory, no lock whose owner is gone.
      await store.collectGarbage({ action: "deleteDead" });
      expect(await store.verify({ checkContents: true })).toMatchObject({ problems: [], forgotten: [] });
    } finally {
      await removeTree(dir);
    }
  },
);
