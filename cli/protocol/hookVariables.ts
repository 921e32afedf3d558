import { bytesOfText, textOfBytes, type ByteString } from "../../core/index.ts";
import { isSecret, type HookChanges } from "../../env/index.ts";
import { bytesOfReport, describeValue, inOrder } from "./describeVariables.ts";
import type { OriginReport, VariableReport } from "./types.ts";

/** What Bash itself keeps up to date, and what a set-up leaves for a build alone. */
const NOISE: ReadonlySet<string> = new Set([
  "_",
  "SHLVL",
  "PWD",
  "OLDPWD",
  "SHELLOPTS",
  "BASHOPTS",
  "NIX_ENFORCE_PURITY",
]);
const SEPARATORS = [":", " "];
const BY_HOOK: OriginReport = { by: "shellHook" };

/**
 * An environment's variables with what its shell hook changed. A value that ends in the caller's own becomes one that
 * comes before it: the reader's may be another.
 */
export function withHookChanges(
  variables: readonly VariableReport[],
  { before, after }: HookChanges,
  caller: NodeJS.ProcessEnv,
  isPure: boolean,
): VariableReport[] {
  const reports = new Map(variables.map((variable) => [variable.name, variable]));
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const value = after.get(name);
    if (NOISE.has(name) || value === before.get(name)) continue;
    const own = isPure ? "" : bytesOfText(caller[name] ?? "");
    reports.set(textOfBytes(name), changed(textOfBytes(name), value, own, reports.get(name)));
  }
  return inOrder(reports.values());
}

function changed(
  name: string,
  value: ByteString | undefined,
  own: ByteString,
  previous: VariableReport | undefined,
): VariableReport {
  if (value === undefined)
    return { name, action: "unset", isSecret: isSecret(name, undefined), origin: BY_HOOK };
  if (own !== "") {
    const separator = SEPARATORS.find((known) => value.endsWith(`${known}${own}`));
    if (separator !== undefined)
      return describeValue(name, value.slice(0, -own.length - 1), BY_HOOK, separator);
    return describeValue(name, value, BY_HOOK);
  }
  // The caller has none: it still follows where it did before, and the hook only put more in front.
  const isFollowed =
    previous?.action === "prepend" && value.endsWith(`${previous.separator}${bytesOfReport(previous)}`);
  return describeValue(name, value, BY_HOOK, isFollowed ? previous.separator : undefined);
}
