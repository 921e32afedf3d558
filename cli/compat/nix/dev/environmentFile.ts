import { readFileSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../../../core/index.ts";

/** What a build's Bash holds after its setup, as `nix print-dev-env --json` has it. Byte strings. */
export interface EnvironmentFile {
  /** Name → value, sorted. */
  readonly variables: ReadonlyMap<string, BashVariable>;
  /** Name → what stands between the braces, sorted. */
  readonly functions: ReadonlyMap<string, ByteString>;
  readonly structured: { readonly json: ByteString; readonly sh: ByteString } | undefined;
}

export type BashVariable =
  | { readonly kind: "exported" | "var"; readonly value: ByteString }
  | { readonly kind: "array"; readonly value: readonly ByteString[] }
  | { readonly kind: "associative"; readonly value: ReadonlyMap<string, ByteString> };

/** @throws {DevshellError} `ENV_FILE_INVALID` */
export function readEnvironmentFile(path: ByteString): EnvironmentFile {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(fsPath(path), "latin1"));
  } catch (cause) {
    throw invalid(path, "it is no JSON", cause);
  }
  const file = objectOf(json, path);
  const structured = file["structuredAttrs"];
  const attrs = structured === undefined ? undefined : objectOf(structured, path);
  return {
    variables: new Map(
      sortedEntries(file["variables"], path).flatMap(([name, variable]) => {
        const read = variableOf(objectOf(variable, path), path);
        return read === undefined ? [] : [[name, read] as const];
      }),
    ),
    functions: new Map(
      sortedEntries(file["bashFunctions"], path).map(([name, body]) => [name, textIn(body, path)]),
    ),
    structured:
      attrs === undefined
        ? undefined
        : { json: textIn(attrs[".attrs.json"], path), sh: textIn(attrs[".attrs.sh"], path) },
  };
}

/** As JSON, without spaces between its words. */
export function environmentJson(file: EnvironmentFile): ByteString {
  const variables = [...file.variables].map(([name, { kind, value }]) => [
    name,
    { type: kind, value: value instanceof Map ? Object.fromEntries(value) : value },
  ]);
  return JSON.stringify({
    bashFunctions: Object.fromEntries(file.functions),
    ...(file.structured === undefined
      ? {}
      : { structuredAttrs: { ".attrs.json": file.structured.json, ".attrs.sh": file.structured.sh } }),
    variables: Object.fromEntries(variables),
  });
}

/** The outputs' names with the places that stand for them in the environment. */
export function outputPlaces(file: EnvironmentFile): Map<string, ByteString> {
  // A derivation that names no outputs has the one.
  const outputs = file.variables.get("outputs") ?? { kind: "var", value: "out" };
  if (outputs.kind === "associative") return new Map(outputs.value);
  const names =
    outputs.kind === "array" ? outputs.value : outputs.value.split(/\s+/).filter((name) => name !== "");
  return new Map(
    names.flatMap((name) => {
      const place = file.variables.get(name);
      return place !== undefined && (place.kind === "exported" || place.kind === "var")
        ? [[name, place.value]]
        : [];
    }),
  );
}

/** What stays the caller's own. */
const IGNORED = new Set([
  "BASHOPTS",
  "HOME",
  "NIX_BUILD_TOP",
  "NIX_ENFORCE_PURITY",
  "NIX_LOG_FD",
  "NIX_REMOTE",
  "PPID",
  "SHELLOPTS",
  "SSL_CERT_FILE",
  "TEMP",
  "TEMPDIR",
  "TERM",
  "TMP",
  "TMPDIR",
  "TZ",
  "UID",
]);

/** What comes before the caller's value, instead of in its place. */
const PREPENDED = ["PATH", "XDG_DATA_DIRS"];

/** A Bash script that makes the environment where it is sourced. */
export function environmentScript(file: EnvironmentFile): ByteString {
  const lines = ["unset shellHook"];
  for (const name of PREPENDED) lines.push(`${name}=\${${name}:-}`, `nix_saved_${name}="$${name}"`);
  for (const [name, variable] of file.variables)
    if (!IGNORED.has(name)) lines.push(...declaration(name, variable));
  for (const [name, body] of file.functions) lines.push(`${name} ()`, "{", `${body}}`);
  for (const name of PREPENDED) lines.push(`${name}="$${name}\${nix_saved_${name}:+:$nix_saved_${name}}"`);
  lines.push('export NIX_BUILD_TOP="$(mktemp -d -t nix-shell.XXXXXX)"');
  for (const name of ["TMP", "TMPDIR", "TEMP", "TEMPDIR"]) lines.push(`export ${name}="$NIX_BUILD_TOP"`);
  lines.push('eval "${shellHook:-}"');
  return `${lines.join("\n")}\n`;
}

/** Replaces every key by its value, in one pass: what was put in is not looked at again. */
export function rewriteText(text: ByteString, rewrites: ReadonlyMap<ByteString, ByteString>): ByteString {
  const keys = [...rewrites.keys()].filter((key) => key !== "");
  if (keys.length === 0) return text;
  const pattern = new RegExp(keys.map((key) => key.replace(/[\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
  return text.replace(pattern, (key) => rewrites.get(key) ?? key);
}

/** A word of shell, in single quotes whatever it is. */
export function quoteAlways(word: ByteString): ByteString {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function declaration(name: string, variable: BashVariable): string[] {
  switch (variable.kind) {
    case "var":
      return [`${name}=${quoteAlways(variable.value)}`];
    case "exported":
      return [`${name}=${quoteAlways(variable.value)}`, `export ${name}`];
    case "array":
      return [`declare -a ${name}=(${variable.value.map((item) => `${quoteAlways(item)} `).join("")})`];
    case "associative": {
      const items = [...variable.value].map(([key, item]) => `[${quoteAlways(key)}]=${quoteAlways(item)} `);
      return [`declare -A ${name}=(${items.join("")})`];
    }
  }
}

function variableOf(variable: Record<string, unknown>, path: ByteString): BashVariable | undefined {
  const { type, value } = variable;
  switch (type) {
    case "exported":
    case "var":
      return { kind: type, value: textIn(value, path) };
    case "array":
      if (!Array.isArray(value)) throw invalid(path, "an array's value is none");
      return { kind: type, value: value.map((item) => textIn(item, path)) };
    case "associative":
      return {
        kind: type,
        value: new Map(sortedEntries(value, path).map(([key, item]) => [key, textIn(item, path)])),
      };
    default:
      return undefined;
  }
}

function sortedEntries(value: unknown, path: ByteString): [string, unknown][] {
  return Object.entries(objectOf(value, path)).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function objectOf(value: unknown, path: ByteString): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(path, "something that is no object stands where one is needed");
  return value as Record<string, unknown>;
}

function textIn(value: unknown, path: ByteString): ByteString {
  if (typeof value !== "string") throw invalid(path, "something that is no text stands where one is needed");
  return value;
}

function invalid(path: ByteString, why: string, cause?: unknown): DevshellError {
  return new DevshellError("ENV_FILE_INVALID", `Cannot read the environment "${path}": ${why}`, {
    hint: "name a derivation, or a file that `nix develop --profile` or `nix print-dev-env` made",
    cause,
  });
}
