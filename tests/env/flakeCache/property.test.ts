import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadCachedEnvironment, writeRecord } from "../../../env/cache/cacheRecord.ts";
import { prepareCache } from "../../../env/cache/recordPaths.ts";
import { createStoreContext } from "../../../env/index.ts";
import { DevshellError } from "../../../core/index.ts";
import { runSyncTask } from "../../../env/host/syncTask.ts";
import { instantiateSpec } from "../../../env/instantiateSpec.ts";
import type { BuildEnvironment, TrackedInput } from "../../../env/types.ts";
import type { StorePath } from "../../../store/index.ts";
import { Random } from "../evalCache/random.ts";
import { OUTPUTS } from "./flakeProgram.ts";
import { FlakeWorld } from "./flakeWorld.ts";
import { TaskThread } from "./taskThread.ts";

vi.mock("../../../env/host/syncTask.ts", { spy: true });

// A flake's kept environment is never stale, though not all of its tree counts: the tree changes at random, and while
// the record says that nothing has, a cold evaluation gives the same derivation.
// DEVSHELL_FLAKE_CACHE_SEEDS=FROM-TO runs that many worlds, each with 200 steps; every third is a Git work tree.
const [from = 1, to = 5] = (process.env["DEVSHELL_FLAKE_CACHE_SEEDS"] ?? "1-4").split("-").map(Number);
const STEPS = process.env["DEVSHELL_FLAKE_CACHE_SEEDS"] === undefined ? 16 : 200;
/** Longer than a record is for Node alone. */
const SETTLING_MS = 25;

interface Evaluated {
  readonly drvPath: StorePath;
  readonly inputs: readonly TrackedInput[];
  readonly startedMs: number;
}

describe("kept environments of flakes", { timeout: 3_600_000 }, () => {
  let root: string;
  let saved: NodeJS.ProcessEnv;
  const thread = new TaskThread();
  vi.mocked(runSyncTask).mockImplementation((request) => {
    const reply = thread.run(request);
    if (reply.kind === "failed") throw new DevshellError(reply.code ?? "EVAL_TASK", reply.message);
    return reply;
  });
  afterAll(() => thread.close());
  beforeEach(() => {
    saved = { ...process.env };
    root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-flakes-")));
    for (const name of ["STORE", "STATE", "LOG", "CONF"])
      process.env[`NIX_${name}_DIR`] = join(root, name.toLowerCase());
    process.env["NIX_CONFIG"] = "substitute = false\nflake-registry =\nsystem = x86_64-linux";
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
    process.env["HOME"] = root;
    process.env["NIX_PATH"] = "";
  });
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (saved[name] === undefined) delete process.env[name];
    Object.assign(process.env, saved);
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  });

  const answers = { shell: 0, node: 0, stale: 0, failed: 0 };

  for (let seed = from; seed <= to; seed++)
    it(`are what a cold evaluation gives, whatever changes (seed ${seed})`, async () => {
      const random = new Random(seed);
      const project = join(root, "project");
      mkdirSync(project);
      const world = new FlakeWorld(project, random, seed % 3 === 0);
      for (let step = 0; step < STEPS; step++) {
        world.mutate();
        if (random.below(3) === 0) wait(SETTLING_MS);
        const records = OUTPUTS.map((name) => [name, loadCachedEnvironment(project, [name])] as const);
        const fresh = records.filter(([, record]) => record?.changed.length === 0);
        const [output, known] = random.pick(fresh.length > 0 ? fresh : records);
        const isFresh = known?.changed.length === 0;
        const isFreshForShell = known !== undefined && random.below(3) === 0 && passesCheck(known.record);
        const cold = await evaluate(project, output);
        const about = `step ${step}, ${world.asked(output)}, after ${world.history.slice(-8).join("; ")}`;
        if (isFreshForShell || isFresh)
          expect(`${about}: ${known?.environment.drvPath}`).toBe(`${about}: ${String(cold?.drvPath)}`);
        answers[isFreshForShell ? "shell" : isFresh ? "node" : cold === undefined ? "failed" : "stale"]++;
        if (cold !== undefined && !isFresh) keep(project, output, cold);
      }
    });

  it("are kept often enough for this to say something", () => {
    const steps = STEPS * (to - from + 1);
    expect(answers.node + answers.shell).toBeGreaterThan(0.1 * steps);
    expect(answers.stale).toBeGreaterThan(0.05 * steps);
  });
});

/** From nothing, as an entry does. @returns `undefined` where it fails */
async function evaluate(project: string, output: string): Promise<Evaluated | undefined> {
  const startedMs = Date.now();
  using context = createStoreContext({ onEvent: () => undefined, followsTrees: true });
  try {
    const { drvPath } = await instantiateSpec(context, { directory: project, attributes: [output] });
    return { drvPath, inputs: context.tracker.inputsOfEnvironment, startedMs };
  } catch {
    return undefined;
  }
}

function keep(project: string, output: string, { drvPath, inputs, startedMs }: Evaluated): void {
  prepareCache();
  const environment: BuildEnvironment = { ...NOTHING, drvPath };
  const request = { directory: project, selection: [output] };
  writeRecord({ request, environment, inputs, startedMs, rung: "prefix", addRoot: () => undefined });
}

/** As the launcher looks at a record. */
function passesCheck(record: string): boolean {
  const script = 'devshell_record=$1; . "$1/check.sh"; devshell_check';
  return spawnSync("/bin/sh", ["-c", script, "sh", record]).status === 0;
}

const NOTHING: Omit<BuildEnvironment, "drvPath"> = {
  version: 1,
  name: "asked",
  storeDir: "/nix/store",
  spec: { kind: "flake", path: undefined, root: "/" },
  isPure: false,
  keep: [],
  variables: new Map(),
  functions: new Map(),
  appended: [],
  unset: [],
  shellHook: "",
  exitHook: "",
  scripts: new Map(),
  shell: "/bin/sh",
  origins: new Map(),
  roots: [],
};

function wait(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
