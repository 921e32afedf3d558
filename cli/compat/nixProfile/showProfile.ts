import { bytesOfText, textOfBytes } from "../../../core/index.ts";
import { showReference } from "../../../lang/index.ts";
import { readGenerations } from "../../../store/index.ts";
import { printClosureDiff } from "../nix/closureDiff.ts";
import { printJsonLine, type JsonLayout } from "../nix/prettyJson.ts";
import { printLine } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { manifestOf, type ProfileRun } from "./changeProfile.ts";
import { identifierOf, versionsOf } from "./elementName.ts";
import { printManifest } from "./manifest.ts";
import type { ProfileManifest } from "./types.ts";

const BOLD = "\u001B[1m";
const GREEN = "\u001B[32;1m";
const RED = "\u001B[31;1m";
const PLAIN = "\u001B[0m";

/** `nix profile list`. */
export function listPackages(run: ProfileRun, json: JsonLayout | undefined): number {
  const manifest = manifestOf(run);
  if (json !== undefined) {
    printJsonLine(printManifest(manifest), json);
    return 0;
  }
  let isFirst = true;
  for (const [name, { source, storePaths, isActive }] of manifest) {
    if (!isFirst) printLine("");
    isFirst = false;
    const mark = isActive ? "" : ` ${RED}(inactive)${PLAIN}`;
    printLine(bytesOfText(`Name:               ${BOLD}${name}${PLAIN}${mark}`));
    if (source !== undefined) {
      const { outputs } = source;
      const suffix = outputs === undefined ? "" : `^${outputs === "*" ? outputs : outputs.join()}`;
      printLine(bytesOfText(`Flake attribute:    ${source.attrPath}${suffix}`));
      printLine(`Original flake URL: ${showReference(source.original)}`);
      printLine(`Locked flake URL:   ${showReference(source.locked)}`);
    }
    printLine(`Store paths:        ${storePaths.join(" ")}`);
  }
  return 0;
}

/** `nix profile history`: what each generation changed. */
export function printHistory(run: ProfileRun): number {
  const { all, current } = readGenerations(bytesOfText(run.profile));
  let before: { readonly number: number; readonly manifest: ProfileManifest } | undefined;
  for (const { number, link, madeMs } of all) {
    const manifest = manifestOf(run, textOfBytes(link));
    if (before !== undefined) printLine("");
    const colour = number === current ? GREEN : BOLD;
    const since = before === undefined ? "" : ` <- ${before.number}`;
    const day = new Date(madeMs).toISOString().slice(0, 10);
    printLine(`Version ${colour}${number}${PLAIN} (${day})${since}:`);
    for (const line of changesBetween(before?.manifest ?? new Map(), manifest))
      printLine(bytesOfText(`  ${line}`));
    before = { number, manifest };
  }
  return 0;
}

/** `nix profile diff-closures`. */
export function printClosureDiffs({ context, profile }: ProfileRun): number {
  const { all } = readGenerations(bytesOfText(profile));
  const { store } = context;
  for (const [index, { number, link }] of all.entries()) {
    const before = all[index - 1];
    if (before === undefined) continue;
    if (index > 1) printLine("");
    printLine(`Version ${before.number} -> ${number}:`);
    const [from, to] = [before.link, link].map((each) => storePathOf(store.storeDir, textOfBytes(each)));
    if (from !== undefined && to !== undefined) printClosureDiff(store, from, to, "  ");
  }
  return 0;
}

/** `foo: 1.0 -> 2.0` for each package that came, went or changed. */
export function changesBetween(before: ProfileManifest, after: ProfileManifest): readonly string[] {
  const names = new Map([...before, ...after].map(([name]) => [bytesOfText(name), name]));
  const lines: string[] = [];
  for (const [, name] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [old, now] = [before.get(name), after.get(name)];
    const [from, to] = [old, now].map((element) => (element === undefined ? "∅" : versionsOf(element)));
    const element = old ?? now;
    if (element !== undefined && (old === undefined || now === undefined || from !== to))
      lines.push(`${identifierOf(element)}: ${from} -> ${to}`);
  }
  return lines.length === 0 ? ["No changes."] : lines;
}
