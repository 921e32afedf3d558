import { defineConfig } from "vitest/config";

const exclude = ["tests/bench/**", "**/fixtures/**", "node_modules/**"];

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
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "editor",
          include: ["tests/editor/**/*.test.ts"],
          exclude,
          pool: "forks",
          testTimeout: 180_000,
          hookTimeout: 180_000,
          globalSetup: "tests/editor/harness/editorSetup.ts",
          setupFiles: "tests/editor/harness/setupFile.ts",
          // An editor and its browser fill two cores: one file at a time, and after all other tests.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
