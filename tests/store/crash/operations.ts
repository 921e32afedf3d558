import { readFileSync } from "node:fs";
import { LocalStore } from "../../../store/local/localStore.ts";
import { addGeneration, deleteGenerations, switchGeneration } from "../../../store/local/profiles.ts";
import { realise } from "../../../store/realise/index.ts";
import type { DerivedPath, StorePath } from "../../../store/types.ts";
import { makeTestDerivation, type TestDerivation } from "../realiseFixture.ts";
import { linksOf, profileOf, settingsOf, type World } from "./world.ts";

/** Something that a crash may interrupt, and that can be done again after it. */
export interface Operation {
  readonly name: string;
  /** Whether it may delete what no root reaches. */
  readonly isCollecting?: boolean;
  /** Makes what it needs; nothing disturbs that. */
  readonly prepare?: (store: LocalStore, world: World) => void | Promise<void>;
  /** @returns paths that are valid from then on */
  readonly run: (store: LocalStore, world: World) => readonly StorePath[] | Promise<readonly StorePath[]>;
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: "add",
    run: (store, world) => {
      const tree = store.addPath(`${world.inputs}/other`, { name: "added", method: "nar" });
      const text = store.addText("added-text", `about ${tree}\n`, [tree]);
      store.addRoot(`${linksOf(world)}/added`, text);
      return [tree, text];
    },
  },
  {
    name: "register many",
    run: (store) => {
      const all = ["a", "b", "c", "d", "e"].map((name) =>
        makeTestDerivation(store, { name: `many-${name}` }),
      );
      store.writeDerivations(all);
      return all.map(({ drvPath }) => drvPath);
    },
  },
  {
    name: "substitute",
    run: (store, world) => {
      const path = readFileSync(`${world.inputs}/wanted`, "latin1") as StorePath;
      return make(store, [{ kind: "opaque", path }]);
    },
  },
  {
    name: "build",
    run: (store) => {
      const lower = write(store, {
        name: "lower",
        outputs: ["out", "dev"],
        script: "/bin/mkdir $out $dev; echo some text > $out/file; echo $out > $dev/file",
      });
      const upper = write(store, {
        name: "upper",
        inputs: [lower],
        env: { lower: outputOf(store, lower) },
        script: "echo built; echo $lower > $out",
      });
      return make(store, [{ kind: "built", drvPath: upper, outputs: "*" }]);
    },
  },
  {
    name: "build what is addressed by its content",
    run: (store) => {
      const drvPath = write(store, {
        name: "addressed",
        floating: "contentAddressed",
        outputs: ["out", "dev"],
        script: "/bin/mkdir $out; echo $out > $out/self; echo $out > $dev",
      });
      return make(store, [{ kind: "built", drvPath, outputs: "*" }]);
    },
  },
  {
    name: "collect",
    isCollecting: true,
    prepare: async (store, world) => {
      addGarbage(store, world, "collected");
      await store.optimise();
    },
    run: async (store) => {
      await store.collectGarbage({ action: "deleteDead" });
      return [];
    },
  },
  {
    name: "delete",
    isCollecting: true,
    prepare: (store, world) => addGarbage(store, world, "deleted"),
    run: async (store) => {
      const doomed = store.allValidPaths().filter((path) => path.includes("-deleted"));
      await store.deletePaths(doomed);
      return [];
    },
  },
  {
    name: "optimise",
    run: async (store, world) => {
      const path = store.addPath(`${world.inputs}/other`, { name: "optimised", method: "nar" });
      await store.optimise();
      return [path];
    },
  },
  {
    name: "switch a profile",
    run: (store, world) => {
      const profile = profileOf(world);
      const add = (name: string): StorePath => store.addText(`generation-${name}`, `content ${name}\n`, []);
      const [first, second] = [add("a"), add("b")];
      addGeneration(store, profile, first);
      switchGeneration(store, profile, undefined, { isDryRun: false, onSwitch: () => undefined });
      addGeneration(store, profile, second);
      deleteGenerations(store, profile, { kind: "old" }, { isDryRun: false, onDelete: () => undefined });
      return [second];
    },
  },
  {
    name: "repair",
    run: (store, world) => [
      store.addPath(`${world.inputs}/tree`, { name: "kept", method: "nar", isRepair: true }),
    ],
  },
  {
    name: "create a store",
    run: (_store, world) => {
      using fresh = LocalStore.open(settingsOf(world, "fresh"));
      fresh.addText("first", "the first of all\n", []);
      return [];
    },
  },
];

/** A tree, and two texts that refer to it. */
function addGarbage(store: LocalStore, world: World, name: string): void {
  const tree = store.addPath(`${world.inputs}/other`, { name: `${name}-tree`, method: "nar" });
  const text = store.addText(`${name}-text`, `about ${tree}\n`, [tree]);
  store.addText(`${name}-user`, `about ${text}\n`, [text]);
}

function write(store: LocalStore, test: TestDerivation): StorePath {
  return store.writeDerivation(makeTestDerivation(store, test));
}

function outputOf(store: LocalStore, drvPath: StorePath): StorePath {
  const output = store.readDerivation(drvPath).outputs.get("out");
  if (output === undefined || !("path" in output)) throw new Error(`${drvPath} has no known output`);
  return output.path;
}

async function make(store: LocalStore, targets: readonly DerivedPath[]): Promise<readonly StorePath[]> {
  const { failures, results } = await realise(store, targets);
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return results.flatMap(({ outputs }) => [...outputs.values()]);
}
