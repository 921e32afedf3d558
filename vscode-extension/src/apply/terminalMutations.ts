import type {
  EnvironmentReport,
  PrependVariable,
  SetVariable,
  VariableReport,
} from "../../../cli/protocol/types.ts";
import { own, usableVariables, type Environment } from "./applyVariables.ts";

/** How one variable of new terminals is changed. */
export interface Mutation {
  readonly kind: "replace" | "prepend";
  readonly value: string;
  readonly options: {
    /** In the terminal's environment from the start: exact, but the shell's own files come after it. */
    readonly applyAtProcessCreation: boolean;
    /** Once more after the shell's own files; the editor's script for it alters some values. */
    readonly applyAtShellIntegration: boolean;
  };
}

/** The editor hands these in one variable to the shell, which has the system's limit of 128 KiB. */
const INTEGRATION_LIMIT_BYTES = 64 * 1024;
const INTEGRATION_VALUE_BYTES = 4 * 1024;
/**
 * For each the editor's script starts two programs, and Bash makes the whole environment anew, in time that grows with
 * the square of its size: 5 ms of 1,000 variables, 0.5 s of 10,000. A large one gets PATH alone.
 */
const INTEGRATION_VARIABLES = 32;
const LARGE_ENVIRONMENT = 1_000;

/**
 * What a report means for terminals. A variable cannot be unset there.
 * @param base what terminals have without us
 */
export function mutationsOf(report: EnvironmentReport, base: Environment): Map<string, Mutation> {
  const mutations = new Map<string, Mutation>();
  let integrationBytes = 0;
  let integrationVariables = 0;
  const variables = usableVariables(report, base).variables.toSorted(
    (a, b) => needOf(b, base) - needOf(a, base),
  );
  const limit = variables.length > LARGE_ENVIRONMENT ? 1 : INTEGRATION_VARIABLES;
  for (const variable of variables) {
    if (variable.action === "unset") continue;
    const current = variable.action === "prepend" ? own(base, variable.name) : undefined;
    const isPrepended = current !== undefined && current !== "" && variable.action === "prepend";
    const value = withoutReferences(isPrepended ? variable.value + variable.separator : variable.value);
    const sizeBytes = 2 * Buffer.byteLength(value) + Buffer.byteLength(variable.name);
    const applyAtShellIntegration =
      survivesIntegration(variable) &&
      integrationVariables < limit &&
      integrationBytes + sizeBytes <= INTEGRATION_LIMIT_BYTES;
    if (applyAtShellIntegration) {
      integrationBytes += sizeBytes;
      integrationVariables++;
    }
    // A window that was opened from within the environment: terminals have it already.
    const isThere =
      isPrepended &&
      applyAtShellIntegration &&
      `${variable.separator}${current}${variable.separator}`.includes(
        `${variable.separator}${variable.value}${variable.separator}`,
      );
    mutations.set(variable.name, {
      kind: isPrepended ? "prepend" : "replace",
      value,
      options: { applyAtProcessCreation: !isThere, applyAtShellIntegration },
    });
  }
  return mutations;
}

/**
 * The editor replaces `${file}`, `${env:HOME}` and the like in what it gives to terminals and tasks, and starts none
 * where it cannot. With a reference that gives nothing in each `${` the value is what it was.
 */
export function withoutReferences(value: string): string {
  return value.split("${").join("$${env:DEVSHELL_NOTHING}{");
}

/** What a shell's own files are likely to change: PATH before all, then what is there without us. */
function needOf({ name }: VariableReport, base: Environment): number {
  if (name === "PATH") return 2;
  return own(base, name) === undefined ? 0 : 1;
}

function survivesIntegration({ name, value }: SetVariable | PrependVariable): boolean {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return false;
  return name === "PATH" ? isSimple(value) : isSimple(value) && value.length <= INTEGRATION_VALUE_BYTES;
}

/** One line of printable characters without backslash. */
function isSimple(value: string): boolean {
  return !/[\\\p{Cc}\p{Zl}\p{Zp}]/u.test(value);
}
