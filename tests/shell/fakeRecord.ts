import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeRecord } from "../../env/cache/cacheRecord.ts";
import type { BuildEnvironment, CapturedVariable } from "../../env/types.ts";
import type { StorePath } from "../../store/index.ts";

/** An environment made by hand. */
export function fakeEnvironment(
  root: string,
  variables: Readonly<Record<string, string>>,
  overrides: Partial<BuildEnvironment> = {},
): BuildEnvironment {
  return {
    version: 1,
    name: "fake",
    drvPath: "/nix/store/00000000000000000000000000000000-fake.drv" as StorePath,
    storeDir: "/nix/store",
    spec: { kind: "file", path: join(root, "shell.nix"), root },
    isPure: false,
    keep: ["HOME", "TERM"],
    variables: new Map(
      Object.entries(variables).map(([name, value]): [string, CapturedVariable] => [
        name,
        { kind: "exported", value },
      ]),
    ),
    functions: new Map([["greet", 'greet () \n{ \n    echo "greetings from $GREETER"\n}']]),
    appended: ["PATH"],
    unset: [],
    shellHook: "",
    exitHook: "",
    scripts: new Map(),
    shell: "/bin/bash",
    origins: new Map(),
    roots: [],
    ...overrides,
  };
}

/** Writes a record of it into the cache that `DEVSHELL_CACHE_DIR` names. @returns its directory */
export function fakeRecord(
  root: string,
  environment: BuildEnvironment,
  selection: readonly string[] = [],
): string {
  mkdirSync(root, { recursive: true });
  return writeRecord({
    request: { directory: root, selection },
    environment,
    inputs: [],
    startedMs: Date.now(),
    rung: "given",
    addRoot: () => undefined,
  });
}
