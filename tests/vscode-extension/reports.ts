import type { EnvironmentReport, VariableReport } from "../../cli/protocol/types.ts";

export function set(name: string, value: string): VariableReport {
  return { action: "set", name, value, isSecret: false, origin: { by: "spec" } };
}

export function prepend(name: string, value: string, separator = ":"): VariableReport {
  return { action: "prepend", name, value, separator, isSecret: false, origin: { by: "devshell" } };
}

export function unset(name: string): VariableReport {
  return { action: "unset", name, isSecret: false, origin: { by: "spec" } };
}

export function reportOf(
  variables: readonly VariableReport[],
  change: Partial<EnvironmentReport> = {},
): EnvironmentReport {
  return {
    protocol: 1,
    state: "ready",
    id: "id-1",
    name: "test",
    directory: "/project",
    selection: [],
    spec: { kind: "data", path: "/project/devshell.yaml", root: "/project" },
    drvPath: "/nix/store/00000000000000000000000000000000-test.drv",
    storeDir: "/nix/store",
    isPure: false,
    keep: [],
    variables,
    searchPaths: { programs: [], headers: [], libraries: [], pkgConfig: [] },
    scripts: [],
    packages: [],
    roots: [],
    hook: { state: "none" },
    watch: ["/project/devshell.yaml"],
    warnings: [],
    durationMs: 1,
    ...change,
  };
}
