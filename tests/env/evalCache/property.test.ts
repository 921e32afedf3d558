import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { evalCacheDirectory } from "../../../env/evalCache/evalKey.ts";
import { createStoreContext } from "../../../env/index.ts";
import { ask, evaluateAndKeep, type Command } from "./evaluateIn.ts";
import { Random } from "./random.ts";
import { ATTRIBUTES, World, damageOneFile } from "./world.ts";

// Kept evaluations are never stale: the world changes at random, and what the cache answers is what a cold evaluation
// gives. DEVSHELL_EVAL_CACHE_SEEDS=FROM-TO runs that many worlds, each with 200 steps.
const [from = 1, to = 6] = (process.env["DEVSHELL_EVAL_CACHE_SEEDS"] ?? "1-6").split("-").map(Number);
const STEPS = process.env["DEVSHELL_EVAL_CACHE_SEEDS"] === undefined ? 25 : 200;
/** Longer than a record is for Node alone. */
const SETTLING_MS = 25;

describe("kept evaluations", { timeout: 600_000 }, () => {
  let root: string;
  let saved: NodeJS.ProcessEnv;
  beforeEach(() => {
    saved = { ...process.env };
    root = realpathSync(mkdtempSync(join(tmpdir(), "devshell-property-")));
    for (const name of ["STORE", "STATE", "LOG", "CONF"])
      process.env[`NIX_${name}_DIR`] = join(root, name.toLowerCase());
    process.env["NIX_CONFIG"] = "substitute = false";
    process.env["DEVSHELL_CACHE_DIR"] = join(root, "cache");
    process.env["HOME"] = root;
  });
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (saved[name] === undefined) delete process.env[name];
    Object.assign(process.env, saved);
    execFileSync("chmod", ["-R", "u+w", root]);
    rmSync(root, { recursive: true, force: true });
  });

  const answers = { shell: 0, node: 0, none: 0, failed: 0 };

  for (let seed = from; seed <= to; seed++)
    it(`are what a cold evaluation gives, whatever changes (seed ${seed})`, async () => {
      const random = new Random(seed);
      const project = join(root, "project");
      mkdirSync(project);
      const world = new World(project, random);
      const attributes = random.some(ATTRIBUTES, 6);
      const commands = Array.from({ length: 5 }, (_, n): Command => ({
        attributes:
          n === 4 ? ["time"] : Array.from({ length: 1 + random.below(4) }, () => random.pick(attributes)),
        arg: random.pick([undefined, "x", "y"]),
      }));
      for (let step = 0; step < STEPS; step++) {
        const isCollected = random.below(12) === 0;
        if (isCollected) await collectGarbage();
        else world.mutate();
        if (random.below(15) === 0) world.history.push(damageOneFile(evalCacheDirectory(), random));
        if (random.below(2) === 0) wait(SETTLING_MS);
        const command = random.pick(commands);
        const answer = ask(project, command);
        const missing = (answer?.output.match(/\/[^" ]*\.drv/g) ?? []).filter((path) => !existsSync(path));
        const cold = evaluateAndKeep(world.expression, project, command);
        const about = `step ${step}, ${JSON.stringify(command)}, after ${world.history.slice(-8).join("; ")}`;
        if (answer !== undefined) expect(`${about}\n${answer.output}`).toBe(`${about}\n${cold.output}`);
        expect(missing, about).toEqual([]);
        if (command.attributes.includes("time")) expect(answer, about).toBeUndefined();
        answers[answer?.by ?? "none"]++;
        if (cold.output === undefined) answers.failed++;
      }
    });

  it("answer often enough for this to say something", () => {
    expect(answers.shell).toBeGreaterThan(0.04 * STEPS * (to - from + 1));
    expect(answers.node).toBeGreaterThan(0.02 * STEPS * (to - from + 1));
    expect(answers.failed).toBeLessThan(0.8 * STEPS * (to - from + 1));
  });
});

async function collectGarbage(): Promise<void> {
  using context = createStoreContext();
  await context.store.collectGarbage({ action: "deleteDead" });
}

function wait(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
