import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, textOfBytes, type ByteString } from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";
import { showReference, type FlakeReference } from "../../lang/index.ts";
import { locate } from "../fetch/index.ts";

/** Where a reference's files can be written: a path, or a Git work tree on this machine. */
export function sourceDirectoryOf({ attributes }: FlakeReference): string | undefined {
  const path = attributes.get("path");
  if (attributes.get("type") === "path" && typeof path === "string" && path.startsWith("/"))
    return textOfBytes(path);
  const url = attributes.get("url");
  if (attributes.get("type") !== "git" || typeof url !== "string") return undefined;
  const location = locate(url);
  return location.kind === "local" ? location.directory : undefined;
}

/**
 * Writes a file of a flake; in a Git work tree it is then tracked, unless it is ignored.
 * @param options.commitMessage commits it, too
 * @throws {DevshellError} `FLAKE_WRITE`
 */
export function writeFlakeFile(
  reference: FlakeReference,
  name: string,
  bytes: ByteString,
  options: { readonly commitMessage?: string | undefined } = {},
): void {
  const directory = sourceDirectoryOf(reference);
  if (directory === undefined)
    throw new DevshellError(
      "FLAKE_WRITE",
      `input '${textOfBytes(showReference(reference))}' does not support modifying file '${name}'`,
    );
  const file = join(directory, name);
  refuseLinkOut(directory, file);
  writeFileSync(file, bytes, "latin1");
  if (reference.attributes.get("type") !== "git") return;
  if (git(directory, ["check-ignore", "--quiet", "--", name]) === 0) return;
  runGit(directory, ["add", "--intent-to-add", "--", name]);
  if (options.commitMessage !== undefined)
    runGit(directory, ["commit", "--quiet", "-F", "-", "--", name], options.commitMessage);
}

/** A flake of somebody else's must not choose which file of the user's is overwritten. */
function refuseLinkOut(directory: string, file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  const target = existsSync(file) ? realpathSync(file) : undefined;
  if (target?.startsWith(`${realpathSync(directory)}/`) === true) return;
  throw new DevshellError("FLAKE_WRITE", `Cannot write "${file}": it is a link that leads out of the flake`, {
    hint: "replace the link by a file",
  });
}

function runGit(directory: string, args: readonly string[], input?: string): void {
  const status = git(directory, args, input);
  if (status !== 0) throw new DevshellError("FLAKE_WRITE", `program 'git' failed with exit code ${status}`);
}

/** With the user's own configuration and hooks: it is the user's repository that changes. */
function git(directory: string, args: readonly string[], input = ""): number {
  const program = findProgram("git");
  if (program === undefined)
    throw new DevshellError("FLAKE_WRITE", "Cannot write into a Git repository: there is no program 'git'", {
      hint: "install Git, or put it in PATH",
    });
  const result = spawnSync(program, ["-C", directory, ...args], {
    input,
    stdio: ["pipe", "ignore", "inherit"],
  });
  if (result.error !== undefined) throw result.error;
  return result.status ?? 1;
}
