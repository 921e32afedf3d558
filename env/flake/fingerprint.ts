import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import { formatHash, fsPath, hashBytes, textOfBytes, type ByteString } from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";
import { isLockedReference, printLockFile, type FlakeReference, type LockedFlake } from "../../lang/index.ts";
import { dumpNar } from "../../store/index.ts";
import { gitEnvironment } from "../fetch/index.ts";
import { sourceDirectoryOf } from "./writeFlakeFile.ts";

/**
 * A hash that says whether evaluating a locked flake can give anything new, as Nix computes it.
 * @returns `undefined` where the flake's tree is not pinned
 */
export function fingerprintOf({ flake, lock }: LockedFlake): string | undefined {
  const tree = treeFingerprint(flake.locked);
  if (tree === undefined) return undefined;
  const parts = [tree, flake.locked.dir, printLockFile(lock).trimEnd()];
  for (const name of ["revCount", "lastModified"]) {
    const value = flake.locked.attributes.get(name);
    if (value !== undefined) parts.push(`${name}=${String(value)}`);
  }
  return formatHash(hashBytes("sha256", parts.join(";")), "base16");
}

function treeFingerprint(reference: FlakeReference): string | undefined {
  const { attributes } = reference;
  const type = String(attributes.get("type"));
  if (!isLockedReference(reference)) return type === "git" ? dirtyFingerprint(reference) : undefined;
  const rev = attributes.get("rev");
  const narHash = attributes.get("narHash");
  const isByHash = type === "path" || type === "tarball" || type === "file";
  return `${type}:${String(isByHash ? (narHash ?? rev) : (rev ?? narHash))}${gitFlags(reference)}`;
}

function gitFlags({ attributes }: FlakeReference): string {
  if (attributes.get("type") !== "git") return "";
  return (["submodules", "exportIgnore", "lfs"] as const)
    .filter((name) => attributes.get(name) === true)
    .map((name) => `;${name.charAt(0)}`)
    .join("");
}

/** Of a work tree with changes: its last commit, and what differs from it. */
function dirtyFingerprint(reference: FlakeReference): string | undefined {
  const directory = sourceDirectoryOf(reference);
  const program = findProgram("git");
  if (directory === undefined || program === undefined) return undefined;
  const status = spawnSync(
    program,
    ["-C", directory, "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames"],
    { env: gitEnvironment(process.env), encoding: "latin1", maxBuffer: MAX_STATUS_BYTES },
  );
  if (status.status !== 0) return undefined;
  const files = status.stdout
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => line.slice(3))
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  const hash = createHash("sha512");
  const real = (file: ByteString): ByteString => `${Buffer.from(directory).toString("latin1")}/${file}`;
  const isThere = (file: ByteString): boolean =>
    lstatSync(fsPath(real(file)), { throwIfNoEntry: false }) !== undefined;
  for (const file of files.filter(isThere)) {
    hash.update(wireString("modified:")).update(wireString(`/${file}`));
    dumpNar(real(file), (chunk) => void hash.update(chunk));
  }
  for (const file of files.filter((each) => !isThere(each)))
    hash.update(wireString("deleted:")).update(wireString(`/${file}`));
  const dirtyRev = reference.attributes.get("dirtyRev");
  const head = typeof dirtyRev === "string" ? textOfBytes(dirtyRev).replace(/-dirty$/, "") : NO_REVISION;
  return `git:${head}${gitFlags(reference)};d=${hash.digest("hex")}`;
}

const MAX_STATUS_BYTES = 64 << 20;
const NO_REVISION = "0".repeat(40);

/** Directories sort before what only begins like them. */
function sortKey(path: ByteString): ByteString {
  return path.replaceAll("/", "\0");
}

/** A string as Nix's protocol has it: its length, its bytes, zeros up to a multiple of eight. */
function wireString(text: ByteString): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const framed = Buffer.alloc(8 + Math.ceil(bytes.length / 8) * 8);
  framed.writeBigUInt64LE(BigInt(bytes.length));
  bytes.copy(framed, 8);
  return framed;
}
