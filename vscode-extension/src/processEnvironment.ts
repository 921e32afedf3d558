import type { EnvironmentReport, VariableReport } from "../../cli/protocol/types.ts";
import { applyVariables, own, usableVariables, type Environment } from "./applyVariables.ts";

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

  constructor(target: MutableEnvironment) {
    this.#target = target;
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
    for (const variable of variables) {
      const before = own(base, variable.name);
      const after = own(result, variable.name);
      if (before !== after) patched.set(variable.name, { variable, before, after });
    }
    const changed: string[] = [];
    for (const name of new Set([...this.#patched.keys(), ...patched.keys()]))
      if (this.#write(name, own(result, name))) changed.push(name);
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
