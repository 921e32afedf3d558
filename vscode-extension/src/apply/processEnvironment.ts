import type { EnvironmentReport, VariableReport } from "../../../cli/protocol/types.ts";
import type { LaunchChange } from "../environment/launch.ts";
import { applyVariables, own, prepended, usableVariables, type Environment } from "./applyVariables.ts";

/** What `process.env` looks like. */
export type MutableEnvironment = Record<string, string | undefined>;

/** What was done to one variable. */
interface PatchedVariable {
  readonly variable: VariableReport;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Patches an environment that others read and write, too: `process.env` of the extension host. What others change
 * meanwhile stays; all else is as before after {@link restore}.
 */
export class ProcessEnvironment {
  readonly #target: MutableEnvironment;
  #patched = new Map<string, PatchedVariable>();

  /** @param entered what an environment has changed there already: as if {@link patch} had done it */
  constructor(target: MutableEnvironment, entered: readonly LaunchChange[] = []) {
    this.#target = target;
    for (const { name, before, after } of entered) {
      const facts = { name, isSecret: false, origin: { by: "devshell" } } as const;
      const variable: VariableReport =
        after === undefined
          ? { ...facts, action: "unset" }
          : { ...facts, action: "prepend", value: after, separator: ":" };
      this.#patched.set(name, { variable, before, after: after ?? own(target as Environment, name) });
    }
  }

  /** The environment as it would be without the patch. */
  base(): Environment {
    const base = new Map<string, string>();
    for (const [name, value] of Object.entries(this.#target)) if (value !== undefined) base.set(name, value);
    for (const [name, patched] of this.#patched) {
      const value = withoutPatch(patched, base.get(name));
      if (value === undefined) base.delete(name);
      else base.set(name, value);
    }
    return Object.fromEntries(base);
  }

  /**
   * Replaces the former patch, if any; `undefined`: none.
   * @returns the names whose values changed
   */
  patch(report: EnvironmentReport | undefined): string[] {
    const base = this.base();
    const variables = report === undefined ? [] : usableVariables(report, base).variables;
    const result = applyVariables(variables, base);
    const patched = new Map<string, PatchedVariable>();
    const kept = new Set<string>();
    for (const variable of variables) {
      const { name } = variable;
      const former = this.#patched.get(name);
      if (former !== undefined && isStillIn(own(this.#target as Environment, name), former, variable)) {
        patched.set(name, { ...former, variable });
        kept.add(name);
        continue;
      }
      const before = own(base, name);
      const after = own(result, name);
      if (before !== after) patched.set(name, { variable, before, after });
    }
    const changed: string[] = [];
    for (const name of new Set([...this.#patched.keys(), ...patched.keys()]))
      if (!kept.has(name) && this.#write(name, own(result, name))) changed.push(name);
    this.#patched = patched;
    return changed;
  }

  /** Takes the patch away. */
  restore(): string[] {
    return this.patch(undefined);
  }

  #write(name: string, value: string | undefined): boolean {
    if (own(this.#target as Environment, name) === value) return false;
    if (value === undefined) delete this.#target[name];
    else
      Object.defineProperty(this.#target, name, {
        value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    return true;
  }
}

/** Others have only put something around what we put before the variable's own value, and it would be the same again. */
function isStillIn(
  current: string | undefined,
  { variable: former, before, after }: PatchedVariable,
  variable: VariableReport,
): boolean {
  return (
    variable.action === "prepend" &&
    former.action === "prepend" &&
    after !== undefined &&
    // Or joined as the CLI does it, which leaves what is named twice.
    (after === prepended(variable, before) || after === variable.value + variable.separator + before) &&
    current?.includes(after) === true
  );
}

/** What others made of a variable is kept, without our part of it where that can be told. */
function withoutPatch(
  { variable, before, after }: PatchedVariable,
  current: string | undefined,
): string | undefined {
  if (current === after) return before;
  if (variable.action !== "prepend" || current === undefined || after === undefined) return current;
  // Put before or after what we wrote: the same is put around what was there.
  const at = current.indexOf(after);
  if (at < 0) return current;
  const head = current.slice(0, at);
  const tail = current.slice(at + after.length);
  if (before !== undefined && before !== "") return head + before + tail;
  // Nothing was there, so a separator between us and others goes as well.
  const { separator } = variable;
  if (head !== "") return (head.endsWith(separator) ? head.slice(0, -separator.length) : head) + tail;
  return tail.startsWith(separator) ? tail.slice(separator.length) : tail;
}
