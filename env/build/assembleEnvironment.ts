import { bytesOfText, textOfBytes, type ByteString, type SourcePos } from "../../core/index.ts";
import type { StorePath } from "../../store/index.ts";
import { isVariableName } from "../render/quote.ts";
import type { BuildEnvironment, CapturedVariable, DataSpec, DevSpec, VariableOrigin } from "../types.ts";
import type { CapturedSetup } from "./captureSetup.ts";
import { APPENDED_VARIABLES, CALLER_VARIABLES, IGNORED_VARIABLES, PURE_KEEP } from "./keepVariables.ts";
import { developerSearchPaths } from "./searchPaths.ts";

export interface AssembleRequest {
  readonly spec: DevSpec;
  readonly drvPath: StorePath;
  readonly name: string;
  readonly storeDir: string;
  /** Where a store path's files really lie: the path itself but in a private namespace. */
  readonly physicalPath: (path: string) => string;
  /** The derivation's variables, as the setup was given them. */
  readonly derivationVariables: ReadonlyMap<string, ByteString>;
  readonly captured: CapturedSetup;
  readonly shell: string;
  readonly isPure: boolean;
  readonly keep: readonly string[];
  readonly roots: readonly StorePath[];
}

/** Turns what the setup left into the environment a developer enters. */
export function assembleEnvironment(request: AssembleRequest): BuildEnvironment {
  const { spec, storeDir, derivationVariables } = request;
  const data = spec.kind === "data" ? spec.data : undefined;
  const variables = new Map<string, CapturedVariable>();
  const origins = new Map<string, VariableOrigin>();
  for (const { name, variable } of request.captured.declarations) {
    if (variable === undefined || isIgnored(name, variable, derivationVariables)) continue;
    variables.set(name, variable);
    origins.set(name, originOf(name, variable, derivationVariables, storeDir));
  }
  const set = (name: string, value: ByteString, origin: VariableOrigin): void => {
    variables.set(name, { kind: "exported", value });
    origins.set(name, origin);
  };
  set("PATH", environmentPath(variables.get("PATH"), request.shell, storeDir), {
    by: "setup",
    detail: ownersOf(variables.get("PATH"), storeDir),
  });
  set("SHELL", bytesOfText(request.shell), { by: "devshell" });
  set("IN_NIX_SHELL", request.isPure ? "pure" : "impure", { by: "devshell" });
  for (const [name, value] of developerSearchPaths(variables, storeDir, request.physicalPath))
    set(name, value, { by: "searchPath", detail: ownersOf({ kind: "exported", value }, storeDir) });
  applyDataSpec(data, variables, origins, set);
  const shellHook = variables.get("shellHook");
  return {
    version: 1,
    name: request.name,
    drvPath: request.drvPath,
    storeDir,
    spec: { kind: spec.kind, path: "path" in spec ? spec.path : undefined, root: spec.root },
    isPure: request.isPure,
    keep: [...new Set([...PURE_KEEP, ...request.keep])],
    variables,
    functions: request.captured.functions,
    appended: APPENDED_VARIABLES.filter((name) => variables.has(name)),
    unset: [...new Set([...(data?.unset ?? []), ...request.captured.unset])].filter(
      (name) => !variables.has(name),
    ),
    shellHook: shellHook?.kind === "exported" || shellHook?.kind === "var" ? shellHook.value : "",
    exitHook: bytesOfText(data?.exitHook ?? ""),
    scripts: data?.scripts ?? new Map(),
    scriptPositions: data === undefined ? undefined : positionsOf(data, "scripts"),
    shell: request.shell,
    origins,
    packages: packagesOf(spec, derivationVariables, storeDir),
    roots: request.roots,
  };
}

/** What the spec names; of an expression, the build inputs by their store path names. */
function packagesOf(
  spec: DevSpec,
  derivationVariables: ReadonlyMap<string, ByteString>,
  storeDir: string,
): string[] {
  if (spec.kind === "packages") return [...spec.names];
  if (spec.kind === "data")
    return spec.data.packages.map(({ name, version }) =>
      version === undefined ? name : `${name} ${version}`,
    );
  const inputs = ["nativeBuildInputs", "buildInputs"].flatMap((name) =>
    (derivationVariables.get(name) ?? "").split(/\s+/),
  );
  return inputs
    .filter((path) => path.startsWith(`${storeDir}/`))
    .map((path) => textOfBytes(path.slice(storeDir.length + 34)));
}

function applyDataSpec(
  data: DataSpec | undefined,
  variables: Map<string, CapturedVariable>,
  origins: Map<string, VariableOrigin>,
  set: (name: string, value: ByteString, origin: VariableOrigin) => void,
): void {
  if (data === undefined) return;
  for (const [name, value] of data.env)
    set(name, bytesOfText(value), { by: "spec", pos: data.positions.get(`env/${name}`) });
  data.unset.forEach((name, n) => {
    variables.delete(name);
    origins.set(name, { by: "spec", pos: data.positions.get(`unset/${n}`) });
  });
}

function positionsOf(data: DataSpec, field: "scripts"): Map<string, SourcePos> {
  const found = [...data[field].keys()].flatMap((name): [string, SourcePos][] => {
    const pos = data.positions.get(`${field}/${name}`);
    return pos === undefined ? [] : [[name, pos]];
  });
  return new Map(found);
}

function isIgnored(
  name: string,
  variable: CapturedVariable,
  derivationVariables: ReadonlyMap<string, ByteString>,
): boolean {
  if (!isVariableName(name) || /^(BASH_|COMP_|__devshell)/.test(name)) return true;
  if (derivationVariables.has(name) && !/^(TMP|TEMP|TMPDIR|TEMPDIR|NIX_BUILD_TOP)$/.test(name)) return false;
  if (IGNORED_VARIABLES.has(name) || CALLER_VARIABLES.has(name)) return true;
  const isPlaceholder = name === "SSL_CERT_FILE" || name === "NIX_SSL_CERT_FILE";
  return isPlaceholder && "value" in variable && variable.value === "/no-cert-file.crt";
}

function originOf(
  name: string,
  variable: CapturedVariable,
  derivationVariables: ReadonlyMap<string, ByteString>,
  storeDir: string,
): VariableOrigin {
  const given = derivationVariables.get(name);
  const isGiven =
    (variable.kind === "exported" || variable.kind === "var") &&
    given !== undefined &&
    given === variable.value;
  const detail = ownersOf(variable, storeDir);
  return { by: isGiven ? "derivation" : "setup", ...(detail !== undefined && { detail }) };
}

/** The packages a value names, by their store paths: "zlib-1.2.13, gcc-12.2.0". */
function ownersOf(variable: CapturedVariable | undefined, storeDir: string): string | undefined {
  if (variable?.kind !== "exported" && variable?.kind !== "var") return undefined;
  const names = new Set<string>();
  let at = variable.value.indexOf(`${storeDir}/`);
  while (at >= 0 && names.size < 50) {
    const base = /^[0-9a-z]{32}-([A-Za-z0-9+._?=-]+)/.exec(
      variable.value.slice(at + storeDir.length + 1, at + 300),
    );
    if (base?.[1] !== undefined) names.add(base[1]);
    at = variable.value.indexOf(`${storeDir}/`, at + 1);
  }
  return names.size === 0 ? undefined : textOfBytes([...names].join(", "));
}

/** The setup's PATH, after the shell's own directory where that comes from the store, as nix-shell has it. */
function environmentPath(path: CapturedVariable | undefined, shell: string, storeDir: string): ByteString {
  const value = path?.kind === "exported" || path?.kind === "var" ? path.value : "";
  const entries = value.split(":").filter((entry) => entry !== "" && entry !== "/path-not-set");
  if (shell.startsWith(`${storeDir}/`)) entries.unshift(bytesOfText(shell.slice(0, shell.lastIndexOf("/"))));
  return [...new Set(entries)].join(":");
}
