import { mkdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fsPath } from "../../../../core/index.ts";
import { mergeUsr } from "../archive/treePath.ts";
import type { DebianArchitecture } from "../architecture.ts";
import { HIDDEN_DIRECTORY } from "../manifest.ts";
import { SHIM_LIBRARY, isShimmedProgram } from "../shim/shimmedPrograms.ts";
import { chooseAlternatives, parseAlternatives } from "./alternatives.ts";
import { writeClangFiles } from "./clangFiles.ts";
import { writeGccSpecs } from "./gccSpecs.ts";
import { runHooks } from "./hooks.ts";
import { makeLink, mergeTree, resolveInTree, writeNode, type Tree } from "./mergeTree.ts";
import { rewriteTexts } from "./rewriteTexts.ts";
import { programRunner } from "./runProgram.ts";

export interface EnvironmentRequest {
  /** The directory to make; texts and caches name it. */
  readonly out: string;
  /** Unpacked packages, in the closure's order. */
  readonly packages: readonly string[];
  readonly loader: string;
  readonly suite: string;
  readonly architecture: DebianArchitecture;
  /** The compiled shim, where there is one. */
  readonly shim: string | undefined;
  /** `setup` and the default builder: absolute paths or the scripts themselves. */
  readonly setup: string | undefined;
  readonly defaultBuilder: string | undefined;
  readonly tmpDir: string;
}

/**
 * Makes the tree of an environment. The result depends only on the request: directory entries are made in the
 * packages' order, programs run with a fixed environment.
 */
export function buildEnvironment(request: EnvironmentRequest, log: (line: string) => void): void {
  const { out, architecture, packages } = request;
  const started = performance.now();
  const tree = mergeTree(out, packages);
  const merged = performance.now();
  linkAlternatives(tree, packages);
  if (!tree.nodes.has("/usr/bin/sh") && tree.nodes.has("/usr/bin/dash"))
    makeLink(tree, "/usr/bin/sh", "dash", "devshell");
  addShim(tree, request);
  if (request.shim === undefined) warnOfShimmed(tree, log);
  const textCount = rewriteTexts(tree);
  relocateCmake(tree);
  relocateFonts(tree);
  writeNode(tree, "/etc/ld.so.conf", `${out}/usr/lib/${architecture.triplet}\n${out}/usr/lib\n`);
  const written = performance.now();
  const run = programRunner(out, privateDirectory(request.tmpDir), log);
  writeGccSpecs(tree, architecture, request.loader, run);
  writeClangFiles(tree, architecture);
  runHooks(tree, architecture, run);
  writeScripts(tree, request);
  const seconds = (from: number, to: number): string => ((to - from) / 1000).toFixed(2);
  log(
    `${packages.length} packages, ${tree.nodes.size} entries in ${seconds(started, merged)} s, ` +
      `${textCount} texts in ${seconds(merged, written)} s, hooks in ${seconds(written, performance.now())} s`,
  );
}

function linkAlternatives(tree: Tree, packages: readonly string[]): void {
  const all = packages.flatMap((packagePath) => {
    const script = readIfThere(`${packagePath}/${HIDDEN_DIRECTORY}/postinst`);
    if (script === undefined || !script.includes("update-alternatives")) return [];
    const control = readIfThere(`${packagePath}/${HIDDEN_DIRECTORY}/control`) ?? "";
    return parseAlternatives(script, /^Package:\s*(\S+)/m.exec(control)?.[1] ?? "");
  });
  for (const { link, name, target, followers } of chooseAlternatives(all)) {
    if (!linkAlternative(tree, link, name, target)) continue;
    for (const follower of followers) linkAlternative(tree, follower.link, follower.name, follower.target);
  }
}

function linkAlternative(tree: Tree, link: string, name: string, target: string): boolean {
  const place = mergeUsr(link);
  const provider = mergeUsr(target);
  if (resolveInTree(tree, provider) === undefined || place === provider) return false;
  makeLink(tree, `/etc/alternatives/${name}`, posix.relative("/etc/alternatives", provider), "devshell");
  makeLink(tree, place, posix.relative(posix.dirname(place), provider), "devshell");
  return true;
}

/**
 * Copies the shim. Its run path, the tree of the compiler that made it, becomes its own directory: an environment
 * must not keep that tree alive.
 */
function addShim(tree: Tree, { shim, architecture }: EnvironmentRequest): void {
  if (shim === undefined) return;
  const storeDir = posix.dirname(tree.root).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const foreign = new RegExp(`${storeDir}/[0-9a-z]{32}-[^\\0:]*`, "g");
  const bytes = readFileSync(fsPath(shim), "latin1");
  const own = bytes.replace(foreign, (path) => "$ORIGIN".padEnd(path.length, "\0"));
  writeNode(tree, `/usr/lib/${architecture.triplet}/${SHIM_LIBRARY}`, own);
}

function warnOfShimmed(tree: Tree, log: (line: string) => void): void {
  const programs = [...tree.nodes].filter(
    ([path, node]) => node.kind === "file" && !node.file.isText && isShimmedProgram(path),
  );
  if (programs.length > 0)
    log(`no shim was given: ${programs.map(([path]) => posix.basename(path)).join(", ")} will not start`);
}

/** cmake looks into the machine's /usr, /usr/X11R6, /opt … by a list of its own: it gets the environment's only. */
function relocateCmake(tree: Tree): void {
  for (const path of tree.nodes.keys()) {
    if (!/^\/usr\/share\/cmake-[\d.]+\/Modules\/Platform\/UnixPaths\.cmake$/.test(path)) continue;
    const text = readFileSync(fsPath(tree.root + path), "latin1")
      .replace(/^ {2}\/usr\/local \/usr \/$/m, () => `  ${tree.root}/usr`)
      .replace(/^ {2}\/(?:usr\/X11R6|usr\/pkg|opt)$/gm, "")
      .replace(/^ {2}\/usr\/(include|lib)\/X11$/gm, (_, name: string) => `  ${tree.root}/usr/${name}/X11`);
    writeNode(tree, path, text);
  }
}

/** fontconfig's cache below /var is the machine's; the user's own (the next entry) is used instead. */
function relocateFonts(tree: Tree): void {
  const path = "/etc/fonts/fonts.conf";
  if (tree.nodes.get(path)?.kind !== "file") return;
  const text = readFileSync(fsPath(tree.root + path), "latin1");
  const changed = text.replace("<cachedir>/var/cache/fontconfig</cachedir>", "");
  if (changed !== text) writeNode(tree, path, changed);
}

function writeScripts(tree: Tree, request: EnvironmentRequest): void {
  const fill = (script: string): string =>
    (script.startsWith("/") && !script.includes("\n") ? readFileSync(fsPath(script), "latin1") : script)
      .replaceAll("@env@", () => request.out)
      .replaceAll("@loader@", () => request.loader)
      .replaceAll("@triplet@", () => request.architecture.triplet);
  if (request.setup !== undefined) writeNode(tree, "/setup", fill(request.setup));
  if (request.defaultBuilder !== undefined)
    writeNode(tree, "/default-builder.sh", fill(request.defaultBuilder));
}

function privateDirectory(tmpDir: string): string {
  const directory = `${tmpDir}/home`;
  mkdirSync(fsPath(directory), { recursive: true });
  return directory;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(fsPath(path), "latin1");
  } catch {
    return undefined;
  }
}
