import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DevshellError, textOfBytes, type ByteString, shownUrl } from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";
import { showReference, type FlakeReference } from "../../lang/index.ts";
import { locate, mercurialDirectory } from "../fetch/index.ts";

/** Where a reference's files can be written: a path, or a work tree of Git or Mercurial on this machine. */
export function sourceDirectoryOf({ attributes }: FlakeReference): string | undefined {
  const path = attributes.get("path");
  const type = attributes.get("type");
  if (type === "path" && typeof path === "string" && path.startsWith("/")) return textOfBytes(path);
  const url = attributes.get("url");
  if (typeof url !== "string") return undefined;
  if (type === "hg")
    return attributes.has("ref") || attributes.has("rev") ? undefined : mercurialDirectory(url);
  if (type !== "git") return undefined;
  const location = locate(url);
  return location.kind === "local" ? location.directory : undefined;
}

/**
 * Writes a file of a flake; in a work tree it is then tracked (with Git, unless it is ignored).
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
      `input '${textOfBytes(shownUrl(showReference(reference)))}' does not support modifying file '${name}'`,
    );
  const file = join(directory, name);
  refuseLinkOut(directory, file);
  writeFileSync(file, bytes, "latin1");
  const { commitMessage } = options;
  const type = reference.attributes.get("type");
  if (type === "git") trackInGit(directory, name, commitMessage);
  else if (type === "hg") trackInMercurial(directory, name, commitMessage);
}

function trackInGit(directory: string, name: string, commitMessage: string | undefined): void {
  if (run("git", directory, ["check-ignore", "--quiet", "--", name]).status === 0) return;
  runWell("git", directory, ["add", "--intent-to-add", "--", name]);
  if (commitMessage !== undefined)
    runWell("git", directory, ["commit", "--quiet", "-F", "-", "--", name], commitMessage);
}

function trackInMercurial(directory: string, name: string, commitMessage: string | undefined): void {
  // Of what is tracked already, `add` would complain.
  const status = ["status", "--unknown", "--ignored", "--no-status", "--", name];
  if (runWell("hg", directory, status) !== "") runWell("hg", directory, ["add", "--quiet", "--", name]);
  if (commitMessage !== undefined)
    runWell("hg", directory, ["commit", "--quiet", "--logfile", "-", "--", name], commitMessage);
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

const NAMES = { git: "Git", hg: "Mercurial" };
const MAX_OUTPUT_BYTES = 64 << 20;

/** @returns what it printed */
function runWell(
  name: keyof typeof NAMES,
  directory: string,
  args: readonly string[],
  input?: string,
): string {
  const { status, output } = run(name, directory, args, input);
  if (status !== 0)
    throw new DevshellError("FLAKE_WRITE", `program '${name}' failed with exit code ${status}`);
  return output;
}

/** With the user's own configuration and hooks: it is the user's repository that changes. */
function run(
  name: keyof typeof NAMES,
  directory: string,
  args: readonly string[],
  input = "",
): { readonly status: number; readonly output: string } {
  const program = findProgram(name);
  if (program === undefined)
    throw new DevshellError(
      "FLAKE_WRITE",
      `Cannot write into a ${NAMES[name]} repository: there is no program '${name}'`,
      { hint: `install ${NAMES[name]}, or put it in PATH` },
    );
  const result = spawnSync(program, args, {
    cwd: directory,
    env: name === "hg" ? { ...process.env, HGPLAIN: "" } : process.env,
    input,
    stdio: ["pipe", "pipe", "inherit"],
    encoding: "latin1",
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  if (result.error !== undefined) throw result.error;
  return { status: result.status ?? 1, output: result.stdout };
}
