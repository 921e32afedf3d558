import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalStore } from "../../../store/local/localStore.ts";
import { factsOf, findLeftovers, findProblems, type Facts } from "./checks.ts";
import { CrashedProcesses, type Disturbance, type Outcome } from "./crashedProcess.ts";
import { OPERATIONS, type Operation } from "./operations.ts";
import { createWorld, openStore, settingsOf, type Sync, type World } from "./world.ts";

/*
 * Operations of the store are disturbed at a random point: by SIGKILL, by a power cut, by one change of the file
 * system that fails (EIO), by a disk that is full from then on (ENOSPC). Afterwards the store verifies, nothing that
 * was valid is lost or damaged, the operation can be done again, and the collector leaves nothing that is left over.
 *
 * A power cut (injector.c) is played by undoing, before the process kills itself:
 * - Directories, links and modes: the file system notes changes in one log, in order. An fsync of a file or directory
 *   brings all to the disk that came before its last noted change, that included; of what came later a random part at
 *   the end is lost. (So do ext4 and XFS, which keep more; btrfs keeps single directories apart, which is not played.)
 * - Data: what was written to a file since its last fsync is lost or not, file by file, at random; there are no torn
 *   writes. SQLite's log is such a file.
 * What a builder writes itself is not seen, and so never lost.
 *
 * By default devshell syncs as Nix does: the database, not the paths. Then a power cut may damage what was added since
 * the kernel last wrote back, but nothing older; there a rename over a file brings the new one's data to the disk, as
 * with ext4 and btrfs (optimising replaces old files). With `fsync-store-paths = true` nothing that is registered may be
 * damaged.
 *
 * More points, from another seed: DEVSHELL_CRASH_POINTS=500 DEVSHELL_CRASH_SEED=7 (points for each test below).
 */
const POINTS = process.env["DEVSHELL_CRASH_POINTS"];
const SEED = Number(process.env["DEVSHELL_CRASH_SEED"] ?? 1);

/** xorshift32 */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761) | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  return next;
}

interface Series {
  readonly kind: Disturbance["kind"];
  readonly points: number;
  /** The operation that comes first. */
  readonly from: number;
  readonly sync: Sync;
  /** What came since may be damaged. */
  readonly isNewAtRisk?: boolean;
}

describe("an operation of the store that is disturbed", () => {
  let processes: CrashedProcesses;
  beforeAll(async () => {
    processes = await CrashedProcesses.create();
    await using world = await createWorld();
    await processes.measure({ ...world, sync: "metadata" });
  });
  afterAll(() => processes[Symbol.dispose]());

  function choose(kind: Disturbance["kind"], { name }: Operation, random: () => number): Disturbance {
    const { calls, ms } = processes.measureOf(name);
    if (kind === "kill after") return { kind, ms: random() * ms * 1.5 };
    return { kind, at: 1 + Math.floor(random() * calls), seed: Math.floor(random() * 2 ** 31) };
  }

  async function runSeries({ kind, points, from, sync, isNewAtRisk = false }: Series): Promise<void> {
    const random = randomNumbers(SEED * 1000 + from);
    const outcomes = { done: 0, crashed: 0, failed: 0 };
    const problems: string[] = [];
    const count = POINTS === undefined ? points : Number(POINTS);
    for (let point = 0; point < count;) {
      await using world = await createWorld();
      let isWhole = true;
      // A world has a history; one that is damaged is not used any longer.
      for (let age = 0; age < OPERATIONS.length && point < count && isWhole; age++, point++) {
        const operation = OPERATIONS[(from + point) % OPERATIONS.length] as Operation;
        const disturbance = choose(kind, operation, random);
        const found = await disturb({ ...world, sync }, operation, disturbance, isNewAtRisk, outcomes);
        isWhole = found.length === 0 && !isNewAtRisk;
        const where = `${operation.name}, ${JSON.stringify(disturbance)}`;
        problems.push(...found.map((problem) => `${where}: ${problem}`));
      }
    }
    if (POINTS !== undefined) process.stdout.write(`${kind}, syncing ${sync}: ${JSON.stringify(outcomes)}\n`);
    expect(problems).toEqual([]);
  }

  async function disturb(
    disturbed: World,
    operation: Operation,
    disturbance: Disturbance,
    isNewAtRisk: boolean,
    outcomes: Record<Outcome["kind"], number>,
  ): Promise<string[]> {
    const world: World = { ...disturbed, sync: "nothing" };
    const before = await prepare(world, operation);
    const outcome = await processes.run(disturbed, operation.name, disturbance);
    outcomes[outcome.kind]++;
    const problems: string[] = [];
    if (outcome.kind === "failed" && outcome.failure.code === undefined)
      problems.push(`the error is not clear: ${outcome.failure.message}`);
    const tolerance = { forDead: operation.isCollecting ?? false, forNew: isNewAtRisk };
    problems.push(...(await findProblems(world, before, tolerance)));
    if (isNewAtRisk || problems.length > 0) return problems;
    problems.push(...(await runAgain(world, operation)));
    problems.push(...(await findProblems(world, before, tolerance)));
    problems.push(...(await findLeftovers(world)));
    return problems;
  }

  async function prepare(world: World, operation: Operation): Promise<Facts> {
    if (operation.prepare !== undefined) {
      using store = openStore(world);
      await operation.prepare(store, world);
    }
    using store = openStore(world);
    return factsOf(store);
  }

  /** Nobody minds what the first run left. */
  async function runAgain(world: World, operation: Operation): Promise<string[]> {
    try {
      using store = openStore(world);
      const made = await operation.run(store, world);
      const invalid = made.filter((path) => !store.isValidPath(path));
      return [
        ...invalid.map((path) => `"${path}" is not valid after another run`),
        ...(await checkFresh(world)),
      ];
    } catch (error) {
      return [`another run fails: ${error instanceof Error ? error.message : String(error)}`];
    }
  }

  /** The store that one of the operations creates. */
  async function checkFresh(world: World): Promise<string[]> {
    const settings = settingsOf(world, "fresh");
    if (!existsSync(settings.stateDir)) return [];
    using store = LocalStore.open(settings);
    const { problems, checkedPaths } = await store.verify({ checkContents: true });
    return checkedPaths === 1 ? [...problems] : [...problems, `the fresh store has ${checkedPaths} paths`];
  }

  const timeout = 60_000 + Number(POINTS ?? 0) * 5000;

  it("by a kill after some time", { timeout }, () =>
    runSeries({ kind: "kill after", points: 2, from: 0, sync: "metadata" }),
  );

  describe("at a change of the file system", () => {
    it("by a kill", { timeout }, async (context) => {
      if (!processes.canChooseCalls) context.skip("there is no C compiler");
      await runSeries({ kind: "kill", points: 5, from: 3, sync: "metadata" });
    });

    it("by a power cut, where paths are synced", { timeout }, async (context) => {
      if (!processes.canChooseCalls) context.skip("there is no C compiler");
      await runSeries({ kind: "power-cut", points: 5, from: 8, sync: "paths" });
    });

    it(
      "by a power cut, which may damage what is new where paths are not synced",
      { timeout },
      async (context) => {
        if (!processes.canChooseCalls) context.skip("there is no C compiler");
        await runSeries({ kind: "power-cut", points: 1, from: 5, sync: "metadata", isNewAtRisk: true });
      },
    );

    it("by an error of the disk", { timeout }, async (context) => {
      if (!processes.canChooseCalls) context.skip("there is no C compiler");
      await runSeries({ kind: "EIO", points: 2, from: 7, sync: "metadata" });
    });

    it("by a full disk", { timeout }, async (context) => {
      if (!processes.canChooseCalls) context.skip("there is no C compiler");
      await runSeries({ kind: "ENOSPC", points: 2, from: 1, sync: "metadata" });
    });
  });
});
