import {
  DevshellError,
  bytesOfText,
  textOfBytes,
  type ByteString,
  type SourcePos,
} from "../../core/index.ts";
import type { StorePath } from "../../store/index.ts";
import type { BuildEnvironment, CapturedVariable, DevSpec, VariableOrigin } from "../types.ts";

/** A record's `env.json`. `version` changes when a field changes its meaning. */
export interface EnvironmentJson {
  readonly version: 1;
  readonly name: string;
  readonly drvPath: string;
  readonly storeDir: string;
  readonly spec: { readonly kind: string; readonly path?: string | undefined; readonly root: string };
  readonly pure: boolean;
  readonly keep: readonly string[];
  readonly shell: string;
  readonly variables: Readonly<Record<string, VariableJson>>;
  readonly bashFunctions: Readonly<Record<string, string>>;
  /** Names of exported variables that the caller's own value follows. */
  readonly appended: readonly string[];
  readonly unset: readonly string[];
  readonly shellHook: string;
  readonly exitHook: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly scriptPositions?: Readonly<Record<string, SourcePos>> | undefined;
  readonly origins: Readonly<Record<string, VariableOrigin>>;
  readonly packages?: readonly string[] | undefined;
  readonly roots: readonly string[];
  /** Files and directories to watch. */
  readonly watch: readonly string[];
}

export type VariableJson =
  | {
      readonly type: "exported" | "var";
      readonly value: string;
      /** The bytes, where they are not UTF-8. */
      readonly base64?: string;
    }
  | { readonly type: "array"; readonly value: readonly string[]; readonly indices?: readonly number[] }
  | { readonly type: "associative"; readonly value: Readonly<Record<string, string>> };

export function environmentToJson(
  environment: BuildEnvironment,
  watched: readonly ByteString[] = [],
): EnvironmentJson {
  return {
    version: 1,
    name: environment.name,
    drvPath: environment.drvPath,
    storeDir: environment.storeDir,
    spec: environment.spec,
    pure: environment.isPure,
    keep: environment.keep,
    shell: environment.shell,
    variables: Object.fromEntries(
      [...environment.variables].map(([name, variable]) => [name, variableToJson(variable)]),
    ),
    bashFunctions: Object.fromEntries(
      [...environment.functions].map(([name, text]) => [textOfBytes(name), textOfBytes(text)]),
    ),
    appended: environment.appended,
    unset: environment.unset,
    shellHook: textOfBytes(environment.shellHook),
    exitHook: textOfBytes(environment.exitHook),
    scripts: Object.fromEntries(environment.scripts),
    scriptPositions: Object.fromEntries(environment.scriptPositions ?? []),
    origins: Object.fromEntries(environment.origins),
    packages: environment.packages,
    roots: environment.roots,
    watch: watched.map(textOfBytes),
  };
}

/** @throws {DevshellError} `ENV_JSON_VERSION` */
export function environmentFromJson(json: EnvironmentJson): BuildEnvironment {
  if (json.version !== 1)
    throw new DevshellError("ENV_JSON_VERSION", `Cannot read environment of version ${String(json.version)}`);
  return {
    version: 1,
    name: json.name,
    drvPath: json.drvPath as StorePath,
    storeDir: json.storeDir,
    spec: { kind: json.spec.kind as DevSpec["kind"], path: json.spec.path, root: json.spec.root },
    isPure: json.pure,
    keep: json.keep,
    shell: json.shell,
    variables: new Map(
      Object.entries(json.variables).map(([name, variable]) => [name, variableFromJson(variable)]),
    ),
    functions: new Map(
      Object.entries(json.bashFunctions).map(([name, text]) => [bytesOfText(name), bytesOfText(text)]),
    ),
    appended: json.appended,
    unset: json.unset,
    shellHook: bytesOfText(json.shellHook),
    exitHook: bytesOfText(json.exitHook),
    scripts: new Map(Object.entries(json.scripts)),
    scriptPositions: new Map(Object.entries(json.scriptPositions ?? {})),
    origins: new Map(Object.entries(json.origins)),
    packages: json.packages,
    roots: json.roots as readonly StorePath[],
  };
}

function variableToJson(variable: CapturedVariable): VariableJson {
  switch (variable.kind) {
    case "exported":
    case "var": {
      const value = textOfBytes(variable.value);
      return bytesOfText(value) === variable.value
        ? { type: variable.kind, value }
        : { type: variable.kind, value, base64: Buffer.from(variable.value, "latin1").toString("base64") };
    }
    case "array":
      return {
        type: "array",
        value: variable.value.map(textOfBytes),
        ...(variable.indices !== undefined && { indices: variable.indices }),
      };
    case "associative":
      return {
        type: "associative",
        value: Object.fromEntries(
          [...variable.value].map(([key, value]) => [textOfBytes(key), textOfBytes(value)]),
        ),
      };
  }
}

function variableFromJson(json: VariableJson): CapturedVariable {
  switch (json.type) {
    case "exported":
    case "var":
      return {
        kind: json.type,
        value:
          json.base64 === undefined
            ? bytesOfText(json.value)
            : Buffer.from(json.base64, "base64").toString("latin1"),
      };
    case "array":
      return {
        kind: "array",
        value: json.value.map(bytesOfText),
        ...(json.indices !== undefined && { indices: json.indices }),
      };
    case "associative":
      return {
        kind: "associative",
        value: new Map(
          Object.entries(json.value).map(([key, value]) => [bytesOfText(key), bytesOfText(value)]),
        ),
      };
  }
}
