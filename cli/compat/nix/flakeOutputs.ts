import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DevshellError, bytesOfText } from "../../../core/index.ts";
import { workingDirectory, type StoreContext } from "../../../env/index.ts";
import { AttrSet, type Slot } from "../../../lang/index.ts";
import type { CompatEvaluation } from "../evaluate.ts";

/** What the command line says of flakes: their locks, the registries. */
export interface FlakeFlags {
  /** Input path → reference. */
  readonly overrides: Map<string, string>;
  readonly updates: string[];
  isUpdated: boolean;
  isWritten: boolean;
}

export interface FlakeOutputs {
  readonly outputs: Slot;
  /** All that it is: its inputs, too. */
  readonly flake: AttrSet;
  /** The directory it was read from, of a local one. */
  readonly sourcePath: string | undefined;
  /** The reference, for messages. */
  readonly shown: string;
}

export function newFlakeFlags(): FlakeFlags {
  return { overrides: new Map(), updates: [], isUpdated: true, isWritten: true };
}

export function takeFlakeFlag(flags: FlakeFlags, word: string, next: () => string): boolean {
  if (word === "--no-write-lock-file") flags.isWritten = false;
  else if (word === "--no-update-lock-file") flags.isUpdated = false;
  else if (word === "--override-input") {
    flags.overrides.set(next(), next());
    flags.isWritten = false;
  } else if (word === "--update-input") flags.updates.push(next());
  else return false;
  return true;
}

/** `reference#fragment`. */
export function splitReference(word: string): { readonly reference: string; readonly fragment: string } {
  const at = word.indexOf("#");
  if (at < 0) return { reference: word, fragment: "" };
  return { reference: word.slice(0, at), fragment: decodeURIComponent(word.slice(at + 1)) };
}

export function openFlakeOutputs(
  context: StoreContext,
  evaluation: CompatEvaluation,
  reference: string,
  flags: FlakeFlags,
): FlakeOutputs {
  let path = resolve(workingDirectory(), reference);
  while (!existsSync(`${path}/flake.nix`) && path !== "/") path = dirname(path);
  if (path === "/") throw new DevshellError("X", `no flake ${reference}`);
  const flake = evaluation.evaluate({ kind: "text", text: `builtins.getFlake "path:${path}"` });
  if (!(flake instanceof AttrSet)) throw new Error("no set");
  return { outputs: flake.get("outputs") ?? null, flake, sourcePath: path, shown: `path:${path}` };
}
