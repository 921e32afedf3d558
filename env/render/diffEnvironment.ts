import { textOfBytes } from "../../core/index.ts";
import type { BuildEnvironment } from "../types.ts";
import { applyEnvironment, type RenderOptions } from "./renderShell.ts";

/** What entering changes of one variable. PATH-like values are told as their new elements. */
export interface VariableChange {
  readonly name: string;
  readonly kind: "set" | "changed" | "unset" | "prepended";
  /** Text; masked when the name tells that it is a secret. */
  readonly value?: string | undefined;
  readonly previous?: string | undefined;
  readonly isMasked: boolean;
}

const SECRET_NAME =
  /(^|_)(TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?|AUTH|COOKIE|SESSION)(_|$)/i;
const SECRET_VALUE = /^(gh[pousr]_|github_pat_|sk-|xox[abprs]-|AKIA|eyJ[A-Za-z0-9_-]+\.|-----BEGIN )/;
const URL_PASSWORD = /:\/\/[^/\s:@]+:[^/\s@]+@/;

/** What entering an environment changes of the caller's variables, by name. */
export function diffEnvironment(
  environment: BuildEnvironment,
  caller: NodeJS.ProcessEnv,
  options: RenderOptions = {},
): VariableChange[] {
  const after = applyEnvironment(environment, caller, options);
  const before = new Map(
    Object.entries(caller).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
  return diffVariables(before, new Map([...after].map(([name, value]) => [name, textOfBytes(value)])));
}

function diffVariables(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): VariableChange[] {
  const changes: VariableChange[] = [];
  for (const name of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const previous = before.get(name);
    const value = after.get(name);
    if (previous === value) continue;
    const isMasked = isSecret(name, value) || isSecret(name, previous);
    const show = (text: string | undefined): string | undefined =>
      text === undefined ? undefined : isMasked ? "********" : text;
    if (value === undefined) changes.push({ name, kind: "unset", previous: show(previous), isMasked });
    else if (previous === undefined) changes.push({ name, kind: "set", value: show(value), isMasked });
    else if (previous !== "" && value.endsWith(`:${previous}`))
      changes.push({
        name,
        kind: "prepended",
        value: show(value.slice(0, -previous.length - 1)),
        isMasked,
      });
    else changes.push({ name, kind: "changed", value: show(value), previous: show(previous), isMasked });
  }
  return changes;
}

/** Whether a value must not be shown: by its name, or because it looks like a token. */
export function isSecret(name: string, value: string | undefined): boolean {
  if (SECRET_NAME.test(name)) return true;
  return value !== undefined && (SECRET_VALUE.test(value) || URL_PASSWORD.test(value));
}
