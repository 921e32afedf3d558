import { statSync } from "node:fs";
import type {
  EnvironmentReport,
  PrependVariable,
  SetVariable,
  VariableReport,
} from "../../../cli/protocol/types.ts";

/** Variables by name. */
export type Environment = Readonly<Record<string, string>>;

/** A variable that is not passed on, and why. */
export interface SkippedVariable {
  readonly name: string;
  readonly reason: "protected" | "tooLarge" | "totalTooLarge" | "notText" | "invalid" | "noDirectory";
  readonly sizeBytes: number;
}

export interface UsableVariables {
  readonly variables: readonly VariableReport[];
  readonly skipped: readonly SkippedVariable[];
}

/** Linux's MAX_ARG_STRLEN: `NAME=VALUE` with its NUL; a longer one lets no process start. */
const VARIABLE_LIMIT_BYTES = 128 * 1024;
/** Linux gives arguments and environment a quarter of the stack's limit, 2 MiB as a rule; some is left for others. */
const TOTAL_LIMIT_BYTES = 1536 * 1024;
const POINTER_BYTES = 8;

/** They belong to the editor, the session or the user, whatever an environment says. */
const PROTECTED = new Set(["_", "HOME", "OLDPWD", "PWD", "SHELL", "SHLVL", "TERM"]);
const PROTECTED_PREFIXES = ["VSCODE_", "ELECTRON_"];
/** Only passed on where the directory is there: builds remove theirs. */
const TEMPORARY = new Set(["TEMP", "TEMPDIR", "TMP", "TMPDIR"]);

/**
 * The variables of a report that other processes can be given.
 * @param base what they are applied to: it counts against the system's limits
 */
export function usableVariables(report: EnvironmentReport, base: Environment): UsableVariables {
  const skipped: SkippedVariable[] = [];
  const usable: { readonly variable: VariableReport; readonly sizeBytes: number }[] = [];
  for (const variable of report.variables) {
    const sizeBytes = sizeOf(variable, base);
    const reason = reasonToSkip(variable, sizeBytes);
    if (reason === undefined) usable.push({ variable, sizeBytes });
    else skipped.push({ name: variable.name, reason, sizeBytes });
  }

  let totalBytes = 0;
  for (const [name, value] of Object.entries(base)) totalBytes += entrySize(name, value) + POINTER_BYTES;
  for (const { variable, sizeBytes } of usable) {
    const current = own(base, variable.name);
    if (current !== undefined) totalBytes -= entrySize(variable.name, current) + POINTER_BYTES;
    if (variable.action !== "unset") totalBytes += sizeBytes + POINTER_BYTES;
  }
  const tooMuch = new Set<VariableReport>();
  if (totalBytes > TOTAL_LIMIT_BYTES)
    for (const { variable, sizeBytes } of usable.toSorted((a, b) => b.sizeBytes - a.sizeBytes)) {
      if (totalBytes <= TOTAL_LIMIT_BYTES) break;
      totalBytes -= sizeBytes + POINTER_BYTES;
      tooMuch.add(variable);
      skipped.push({ name: variable.name, reason: "totalTooLarge", sizeBytes });
    }
  return {
    variables: usable.map(({ variable }) => variable).filter((variable) => !tooMuch.has(variable)),
    skipped,
  };
}

/** The environment that a child gets: `base` with the variables set, prepended and taken away. */
export function applyVariables(variables: readonly VariableReport[], base: Environment): Environment {
  const result = new Map(Object.entries(base));
  for (const variable of variables)
    switch (variable.action) {
      case "set":
        result.set(variable.name, variable.value);
        break;
      case "prepend":
        result.set(variable.name, prepended(variable, own(base, variable.name)));
        break;
      case "unset":
        result.delete(variable.name);
        break;
    }
  // A variable may be called `__proto__`: assignment would lose it, this does not.
  return Object.fromEntries(result);
}

/** The value with `variable` first; elements of a search path that it brings are not named twice. */
export function prepended(variable: PrependVariable, current: string | undefined): string {
  const { value, separator } = variable;
  if (current === undefined || current === "" || current === value) return value;
  if (separator !== ":") return current.startsWith(value + separator) ? current : value + separator + current;
  const brought = new Set(value.split(separator));
  const rest = current.split(separator).filter((element) => element === "" || !brought.has(element));
  return [value, ...rest].join(separator);
}

/** A variable of its own, not one of Object's. */
export function own(environment: Environment, name: string): string | undefined {
  return Object.hasOwn(environment, name) ? environment[name] : undefined;
}

function reasonToSkip(variable: VariableReport, sizeBytes: number): SkippedVariable["reason"] | undefined {
  const { name } = variable;
  if (name === "" || name.includes("=") || name.includes("\0")) return "invalid";
  if (PROTECTED.has(name) || PROTECTED_PREFIXES.some((prefix) => name.startsWith(prefix))) return "protected";
  if (variable.action === "unset") return TEMPORARY.has(name) ? "protected" : undefined;
  if (variable.value.includes("\0")) return "invalid";
  if (!isText(variable)) return "notText";
  if (sizeBytes > VARIABLE_LIMIT_BYTES) return "tooLarge";
  if (TEMPORARY.has(name) && !isDirectory(variable.value)) return "noDirectory";
  return undefined;
}

/** Node passes a process only text: bytes that are not UTF-8, and halves of surrogate pairs, would be altered. */
function isText(variable: SetVariable | PrependVariable): boolean {
  return variable.base64 === undefined && variable.value.isWellFormed() && variable.name.isWellFormed();
}

function isDirectory(path: string): boolean {
  return path.startsWith("/") && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

function sizeOf(variable: VariableReport, base: Environment): number {
  switch (variable.action) {
    case "set":
      return entrySize(variable.name, variable.value);
    case "prepend":
      return entrySize(variable.name, prepended(variable, own(base, variable.name)));
    case "unset":
      return 0;
  }
}

function entrySize(name: string, value: string): number {
  return Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
}
