import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const exclude = ["tests/bench/**", "**/fixtures/**", "node_modules/**"];
/** Changes the tree: only when it is asked to. */
const pictures = process.env["DEVSHELL_PICTURES"] === undefined ? ["tests/editor/pictures.test.ts"] : [];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"],
          exclude: [...exclude, "tests/editor/**"],
          pool: "forks",
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Much of the time they wait for programs: vitest's own choice, one where there are two cores, is too few.
          maxWorkers: availableParallelism() + 1,
          // Threads and programs that run from source begin with types stripped and code compiled: .2 s instead of .8.
          env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/devshell-tests") },
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "editor",
          include: ["tests/editor/**/*.test.ts"],
          exclude: [...exclude, ...pictures],
          pool: "forks",
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // A loaded machine takes its time to draw; the second that is the default is no sign of an error.
          expect: { poll: { timeout: 20_000 } },
          globalSetup: "tests/editor/harness/editorSetup.ts",
          setupFiles: "tests/editor/harness/setupFile.ts",
          // An editor mostly waits for its browser, and the reverse: two files at a time, and after all other tests.
          maxWorkers: 2,
          // CI alone asks for one: what is looked for there is a change that breaks something.
          retry: Number(process.env["DEVSHELL_EDITOR_RETRY"] ?? 0),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
