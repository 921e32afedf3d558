import type { EnvironmentReport, VariableReport } from "../../cli/protocol/types.ts";

/** A report made by hand. */
export function reportOf(overrides: Partial<EnvironmentReport> = {}): EnvironmentReport {
  return {
    protocol: 1,
    state: "ready",
    id: "0".repeat(64),
    name: "devshell",
    directory: "/project",
    selection: [],
    spec: { kind: "data", path: "/project/devshell.yaml", root: "/project" },
    drvPath: "/nix/store/00000000000000000000000000000000-devshell.drv",
    storeDir: "/nix/store",
    isPure: false,
    keep: [],
    variables: [],
    searchPaths: { programs: [], headers: [], libraries: [], pkgConfig: [] },
    scripts: [],
    packages: [],
    roots: [],
    hook: { state: "none" },
    watch: [],
    warnings: [],
    durationMs: 1234,
    ...overrides,
  };
}

const facts = { isSecret: false, origin: { by: "spec" } } as const;

export const setTo = (name: string, value: string): VariableReport => ({
  ...facts,
  name,
  action: "set",
  value,
});
export const prependTo = (name: string, value: string): VariableReport => ({
  ...facts,
  name,
  action: "prepend",
  value,
  separator: ":",
});
export const unset = (name: string): VariableReport => ({ ...facts, name, action: "unset" });
