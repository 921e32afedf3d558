import { fingerprintOf } from "../../../../env/index.ts";
import {
  attributesOf,
  isFollowed,
  isLockedReference,
  lockJson,
  printLockJson,
  showInputPath,
  showReference,
  sortedInputs,
  type FlakeAttributes,
  type LockJson,
  type LockNode,
  type LockedFlake,
} from "../../../../lang/index.ts";
import { bytesOfText } from "../../../../core/index.ts";
import { printLine } from "../../output.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "../prettyJson.ts";
import { FlakeCommand, parseFlakeRequest } from "./flakeCommand.ts";

const BOLD = "\u001B[1m";
const PLAIN = "\u001B[0m";
export const TREE = { branch: "├───", last: "└───", line: "│   ", none: "    " };

/** `nix flake metadata`. */
export function metadata(argv: readonly string[]): number {
  let isJson = false;
  const layout: JsonLayout = { isPretty: undefined };
  const request = parseFlakeRequest("nix flake metadata", argv, (word) => {
    if (word === "--json") isJson = true;
    else return takeJsonLayout(layout, word);
    return true;
  });
  using command = new FlakeCommand(request);
  const locked = command.lock();
  if (isJson) printJsonLine(printLockJson(jsonOf(command, locked), "compact"), layout);
  else printText(command, locked);
  return 0;
}

/** The store path that a flake lies in. */
function treeOf(command: FlakeCommand, { flake }: LockedFlake): string {
  const { storeDir } = command.context.settings;
  return `${storeDir}/${flake.directory.slice(storeDir.length + 1).split("/")[0] ?? ""}`;
}

function jsonOf(command: FlakeCommand, locked: LockedFlake): LockJson {
  const { flake, lock } = locked;
  const found = attributesOf(flake.locked);
  const fields = new Map<string, LockJson>();
  if (flake.description !== undefined) fields.set("description", flake.description);
  fields.set("originalUrl", showReference(flake.original)).set("original", attributesOf(flake.original));
  fields.set("resolvedUrl", showReference(flake.resolved)).set("resolved", attributesOf(flake.resolved));
  fields.set("url", showReference(flake.locked)).set("locked", new Map(found).set("__final", true));
  const copy = (name: string, key: string): void => {
    const value = found.get(name);
    if (value !== undefined) fields.set(key, value);
  };
  copy("rev", "revision");
  copy("dirtyRev", "dirtyRevision");
  copy("revCount", "revCount");
  copy("lastModified", "lastModified");
  fields.set("path", treeOf(command, locked)).set("locks", lockJson(lock).json);
  const fingerprint = fingerprintOf(locked);
  if (fingerprint !== undefined) fields.set("fingerprint", fingerprint);
  return fields;
}

function printText(command: FlakeCommand, locked: LockedFlake): void {
  const { flake, lock } = locked;
  const line = (title: string, value: string | bigint | boolean | undefined): void => {
    if (value !== undefined)
      printLine(`${BOLD}${title}:${PLAIN}${" ".repeat(14 - title.length)}${String(value)}`);
  };
  const found: FlakeAttributes = flake.locked.attributes;
  line("Resolved URL", showReference(flake.resolved));
  if (isLockedReference(flake.locked)) line("Locked URL", showReference(flake.locked));
  line("Description", flake.description);
  line("Path", treeOf(command, locked));
  line("Revision", found.get("rev"));
  line("Revision", found.get("dirtyRev"));
  line("Revisions", found.get("revCount"));
  const lastModified = found.get("lastModified");
  if (typeof lastModified === "bigint") line("Last modified", localTime(lastModified));
  line("Fingerprint", fingerprintOf(locked));
  if (lock.inputs.size > 0) printLine(`${BOLD}Inputs:${PLAIN}`);
  printInputs(lock, "", new Set([lock]));
}

function printInputs(node: LockNode, prefix: string, seen: Set<LockNode>): void {
  const inputs = sortedInputs(node);
  inputs.forEach(([name, edge], index) => {
    const isLast = index === inputs.length - 1;
    const head = `${bytesOfText(prefix + (isLast ? TREE.last : TREE.branch))}${BOLD}${name}${PLAIN}`;
    if (isFollowed(edge)) return printLine(`${head} follows input '${showInputPath(edge)}'`);
    if (edge.pin === undefined) return undefined;
    const lastModified = edge.pin.locked.attributes.get("lastModified");
    const time =
      typeof lastModified === "bigint"
        ? ` (${new Date(Number(lastModified) * 1000).toISOString().slice(0, 19).replace("T", " ")})`
        : "";
    printLine(`${head}: ${showReference(edge.pin.locked)}${time}`);
    if (seen.has(edge)) return undefined;
    seen.add(edge);
    return printInputs(edge, prefix + (isLast ? TREE.none : TREE.line), seen);
  });
}

/** `2026-11-23 03:26:46`, by the clock of this place. */
function localTime(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
