import { execFile } from "node:child_process";
import { lstatSync, realpathSync } from "node:fs";
import { normalize } from "node:path";
import { promisify } from "node:util";
import { DevshellError } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import type { StoreSettings } from "../../types.ts";

export interface SandboxPath {
  readonly source: string;
  readonly target: string;
}

/**
 * `sandbox-paths` and `extra-sandbox-paths` (`target`, `target=source`, `?` for optional), and a `/bin/sh`.
 * @param more words as in these options
 * @throws {DevshellError} `SANDBOX_PATH` where a target is no place below the root
 */
export async function sandboxPaths(
  { config }: StoreSettings,
  more: readonly string[],
): Promise<readonly SandboxPath[]> {
  const words = ["sandbox-paths", "extra-sandbox-paths"].flatMap((option) =>
    (config.raw.get(option) ?? "").split(/\s+/).filter((word) => word !== ""),
  );
  const paths: SandboxPath[] = [];
  for (const word of [...words, ...more]) {
    const isOptional = word.endsWith("?");
    const [target = "", source = target] = (isOptional ? word.slice(0, -1) : word).split("=", 2);
    const isThere = lstatSync(source, { throwIfNoEntry: false }) !== undefined;
    if (isOptional && !isThere) continue;
    checkTarget(target);
    if (!isThere)
      throw new DevshellError("SANDBOX_PATH", `Cannot show '${source}' to builders: it does not exist`, {
        hint: "a sandbox path that need not be there ends with a question mark",
      });
    paths.push({ source, target: normalize(target) });
  }
  if (!paths.some(({ target }) => target === "/bin/sh")) paths.push(...(await hostShell()));
  // Links last: nothing is to be made through them, which would lead out.
  return paths.sort((a, b) => Number(isLink(a.source)) - Number(isLink(b.source)));
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function checkTarget(target: string): void {
  const names = target.split("/");
  const leaf = names.at(-1) ?? "";
  if (leaf === "." || leaf === "..")
    throw new DevshellError("SANDBOX_PATH", `sandbox path '${target}' has the invalid filename '${leaf}'`);
  const isLeaving = names.some((_, index) => {
    const depth = names.slice(0, index + 1).reduce((sum, name) => sum + depthOf(name), 0);
    return depth < 0;
  });
  if (isLeaving || !target.startsWith("/"))
    throw new DevshellError("SANDBOX_PATH", `sandbox path '${target}' escapes the chroot`);
  if (normalize(target) === "/")
    throw new DevshellError("SANDBOX_PATH", `sandbox path '${target}' escapes the chroot: it is its root`);
}

function depthOf(name: string): number {
  if (name === "" || name === ".") return 0;
  return name === ".." ? -1 : 1;
}

let shell: Promise<readonly SandboxPath[]> | undefined;

/** A static busybox where the host has one; else the host's shell with the libraries that it needs. */
function hostShell(): Promise<readonly SandboxPath[]> {
  shell ??= findShell();
  return shell;
}

async function findShell(): Promise<readonly SandboxPath[]> {
  const busybox = findProgram("busybox");
  if (busybox !== undefined && (await librariesOf(busybox)).length === 0)
    return [{ source: realpathSync(busybox), target: "/bin/sh" }];
  const sh = findProgram("dash") ?? findProgram("sh");
  if (sh === undefined) return [];
  const libraries = await librariesOf(realpathSync(sh));
  return [
    { source: realpathSync(sh), target: "/bin/sh" },
    ...libraries.map((library) => ({ source: realpathSync(library), target: library })),
  ];
}

async function librariesOf(program: string): Promise<readonly string[]> {
  const ldd = findProgram("ldd");
  if (ldd === undefined) return [];
  try {
    const { stdout } = await promisify(execFile)(ldd, [program], { env: {} });
    return [...stdout.matchAll(/(?:=>\s+)?(\/\S+)\s+\(0x/g)].flatMap((match) => match[1] ?? []);
  } catch {
    return []; // "not a dynamic executable"
  }
}
