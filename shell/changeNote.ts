import type { BuildEnvironment } from "../env/index.ts";

const MAX_NAMES = 6;

/**
 * One line that says what differs between two environments: packages by name and version, then variables, scripts
 * and hooks; "nothing" when all that is visible is equal.
 */
export function changeNote(before: BuildEnvironment, after: BuildEnvironment): string {
  const parts = [
    ...(before.packages === undefined ? [] : packageChanges(packageNames(before), packageNames(after))),
    ...listed("variables", variableChanges(before, after)),
    ...listed("scripts", keyChanges(before.scripts, after.scripts)),
  ];
  if (before.shellHook !== after.shellHook) parts.push("shellHook changed");
  if (before.exitHook !== after.exitHook) parts.push("exitHook changed");
  if (before.isPure !== after.isPure) parts.push(after.isPure ? "now pure" : "no longer pure");
  return parts.length === 0 ? "nothing that shows" : parts.join("; ");
}

/** Package names with their versions: `gcc 12`, or a store path's name. */
function packageNames({ packages = [] }: BuildEnvironment): Map<string, string> {
  return new Map(
    packages.map((text) => {
      const match = /^(.*?)[ -]([0-9].*)$/.exec(text);
      return [match?.[1] ?? text, match?.[2] ?? ""];
    }),
  );
}

function packageChanges(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const changes: string[] = [];
  for (const [name, version] of after)
    if (!before.has(name)) changes.push(`+${name}`);
    else if (before.get(name) !== version) changes.push(`${name} ${before.get(name)} → ${version}`);
  for (const name of before.keys()) if (!after.has(name)) changes.push(`-${name}`);
  return changes.length === 0 ? [] : [shorten(changes)];
}

/** Variables that say nothing to a user: they change with every store path. */
const NOISE =
  /^(?:out|outputs?|builder|NIX_.*|PATH|.*_PATH|.*PATH|.*[Ii]nputs|stdenv|TEMP|TMP|TMPDIR|TEMPDIR|buildCommandPath|name|SHELL|CONFIG_SHELL|HOST_PATH|shellHook|exitHook)$/;

function variableChanges(before: BuildEnvironment, after: BuildEnvironment): string[] {
  const changes: string[] = [];
  for (const [name, variable] of after.variables) {
    if (NOISE.test(name)) continue;
    const old = before.variables.get(name);
    if (old === undefined) changes.push(`+${name}`);
    else if (variable.kind !== old.kind || plain(variable.value) !== plain(old.value)) {
      // A value that moved with its store path alone is not news.
      if (withoutHashes(plain(variable.value)) !== withoutHashes(plain(old.value))) changes.push(`~${name}`);
    }
  }
  for (const name of before.variables.keys())
    if (!after.variables.has(name) && !NOISE.test(name)) changes.push(`-${name}`);
  return changes;
}

function keyChanges(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const changes: string[] = [];
  for (const [name, text] of after)
    if (!before.has(name)) changes.push(`+${name}`);
    else if (before.get(name) !== text) changes.push(`~${name}`);
  for (const name of before.keys()) if (!after.has(name)) changes.push(`-${name}`);
  return changes;
}

function listed(label: string, changes: readonly string[]): string[] {
  return changes.length === 0 ? [] : [`${label} ${shorten(changes)}`];
}

function shorten(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).join(" ");
  return names.length > MAX_NAMES ? `${shown} and ${names.length - MAX_NAMES} more` : shown;
}

function plain(value: string | readonly string[] | ReadonlyMap<string, string>): string {
  return typeof value === "string"
    ? value
    : JSON.stringify(Array.isArray(value) ? value : [...value.entries()]);
}

function withoutHashes(text: string): string {
  return text.replace(/[0-9abcdfghijklmnpqrsvwxyz]{32}-/g, "");
}
