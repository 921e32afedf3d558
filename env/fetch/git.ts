import { existsSync, mkdtempSync, rmSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  DevshellError,
  bytesOfText,
  fsPath,
  textOfBytes,
  type ByteString,
  shownUrl,
} from "../../core/index.ts";
import { fixGitUrl, parseUrl } from "../../lang/index.ts";
import { exportCommit } from "./exportCommit.ts";
import { cachedRevision, defaultRefOf, missingRef, missingRevision } from "./gitCache.ts";
import { submodulesOf } from "./gitSubmodules.ts";
import { readWorkTree, workTreeFilter } from "./gitWorkTree.ts";
import { gitPath, runGit, tryGit } from "./runGit.ts";
import { stringOf, tell, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";
import { checkVerificationIsOn, verifyCommit } from "./verifyCommit.ts";

/** Where a repository is: a work tree on this machine, or what Git is to fetch from. */
export type GitLocation =
  | { readonly kind: "local"; readonly directory: string }
  | { readonly kind: "remote"; readonly url: string };

const NO_REVISION = "0".repeat(40);
const MAX_SUBMODULE_DEPTH = 16;

/** Fetches a Git input. @throws {DevshellError} `FETCH_GIT`, `FETCH_NO_GIT` */
export async function fetchGitTree(attributes: InputAttributes, context: FetchContext): Promise<FetchedTree> {
  const flag = (name: string): boolean => attributes.get(name) === true;
  if (flag("lfs"))
    throw new DevshellError("FETCH_GIT", "Cannot fetch files of Git LFS: that is not built yet", {
      hint: "leave out 'lfs = true': the tree then holds LFS's pointers",
    });
  if (flag("exportIgnore") && flag("submodules"))
    throw new DevshellError("FETCH_GIT", "exportIgnore and submodules are not supported together yet");
  checkVerificationIsOn(attributes, context);
  const location = locate(stringOf(attributes, "url") ?? "");
  attributes.set("submodules", flag("submodules"));
  const isPinned = attributes.has("ref") || attributes.has("rev");
  const tree =
    location.kind === "local" && !isPinned
      ? await fetchWorkTree(location.directory, attributes, context)
      : await fetchCommit(location, attributes, context);
  if (context.isLocking !== true) return tree;
  if (!isPinned && tree.attributes.has("rev") && location.kind === "local") {
    const ref = await branchOf(location.directory, context);
    if (ref !== undefined) tree.attributes.set("ref", ref);
  } else if (tree.attributes.has("rev") && !tree.attributes.has("ref"))
    tree.attributes.set("ref", await defaultRef(location, attributes, context));
  const { history } = tree;
  // What a shallow clone cannot count, a lock goes without.
  if (history !== undefined && !(await isShallow(history.directory, context.signal)))
    tree.attributes.set("revCount", await countRevisions(history.directory, history.rev, context.signal));
  return { ...tree, history: undefined };
}

/** The branch that a work tree is on. */
async function branchOf(directory: string, { signal }: FetchContext): Promise<ByteString | undefined> {
  return (await tryGit(["-C", directory, "symbolic-ref", "--quiet", "HEAD"], { signal }))?.trim();
}

/** The ref that is fetched where none is named. */
async function defaultRef(
  location: GitLocation,
  attributes: InputAttributes,
  context: FetchContext,
): Promise<ByteString> {
  if (location.kind === "remote")
    return bytesOfText(await defaultRefOf(location.url, attributes.get("shallow") === true, context));
  const ref = await branchOf(location.directory, context);
  if (ref === undefined)
    context.warn(`could not read HEAD ref from repo at '${location.directory}', using 'master'`);
  return ref ?? "master";
}

/** @param url as `fixGitUrl` writes it */
export function locate(url: ByteString): GitLocation {
  const { scheme, authority, path } = parseUrl(url);
  if ((authority ?? "").replace(/^[^@]*@/, "").startsWith("-"))
    throw new DevshellError("FETCH_GIT", `Cannot fetch '${shownUrl(url)}': its host begins with a dash`);
  const withoutDir = url.replace(/([?&])dir=[^&]*&?/, "$1").replace(/[?&]$/, "");
  if (scheme !== "file") return { kind: "remote", url: textOfBytes(withoutDir) };
  const directory = resolve(gitPath(path));
  // a bare repository is fetched from; so is every one, where Nix's own tests ask for it
  const isBare = existsSync(directory) && !existsSync(join(directory, ".git"));
  if (isBare || process.env["_NIX_FORCE_HTTP"] === "1")
    return { kind: "remote", url: textOfBytes(url.replace(/\?.*$/s, "")) };
  return { kind: "local", directory };
}

async function fetchCommit(
  location: GitLocation,
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const { directory, rev, inputs } = await revisionOf(location, attributes, context);
  attributes.set("rev", rev);
  await verifyCommit(directory, rev, attributes, context);
  if (!attributes.has("lastModified"))
    attributes.set("lastModified", await commitTime(directory, rev, context));
  const scratch = mkdtempSync(join(tmpdir(), "devshell-git-"));
  try {
    const tree = bytesOfText(join(scratch, "tree"));
    await exportWithSubmodules(location, directory, rev, tree, attributes, context, 0);
    const storePath = context.store.addPath(tree, {
      name: stringOf(attributes, "name") ?? "source",
      method: "nar",
    });
    const isCounted = attributes.get("shallow") !== true && !attributes.has("revCount");
    return { storePath, attributes, inputs, history: isCounted ? { directory, rev } : undefined };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A repository on this machine that has the revision, and which one it is. */
async function revisionOf(
  location: GitLocation,
  attributes: InputAttributes,
  context: FetchContext,
): Promise<{ directory: string; rev: string; inputs: readonly ByteString[] }> {
  const rev = stringOf(attributes, "rev")?.toLowerCase();
  const ref = stringOf(attributes, "ref");
  if (location.kind === "remote") {
    const options = {
      allRefs: attributes.get("allRefs") === true,
      shallow: attributes.get("shallow") === true,
    };
    const found = await cachedRevision(location.url, { ref, rev, ...options }, context);
    return { ...found, inputs: [] };
  }
  const { directory } = location;
  checkWorkTree(directory);
  const { signal } = context;
  const wanted = rev ?? textOfBytes(ref ?? "HEAD");
  const known = await tryGit(
    ["-C", directory, "rev-parse", "--verify", "--quiet", "--end-of-options", `${wanted}^{commit}`],
    { signal },
  );
  if (known === undefined)
    throw new DevshellError("FETCH_GIT", rev === undefined ? missingRef(wanted) : missingRevision(rev));
  const inputs = rev === undefined ? await refFiles(directory, wanted, context) : [];
  return { directory, rev: known.trim(), inputs };
}

/** The files that decide what a ref means. */
async function refFiles(directory: string, ref: string, { signal }: FetchContext): Promise<ByteString[]> {
  const places = await tryGit(["-C", directory, "rev-parse", "--absolute-git-dir", "--git-common-dir"], {
    signal,
  });
  const [gitDir = "", common = ""] = (places ?? "").split("\n");
  const shared = resolve(directory, textOfBytes(common));
  const full = await tryGit(["-C", directory, "rev-parse", "--symbolic-full-name", "--end-of-options", ref], {
    signal,
  });
  const name = textOfBytes((full ?? "").split("\n")[0] ?? "");
  const files = [`${textOfBytes(gitDir)}/HEAD`, `${shared}/packed-refs`];
  if (name.startsWith("refs/")) files.push(`${shared}/${name}`);
  return files.map(bytesOfText);
}

async function exportWithSubmodules(
  location: GitLocation,
  directory: string,
  rev: string,
  target: ByteString,
  attributes: InputAttributes,
  context: FetchContext,
  depth: number,
): Promise<void> {
  if (depth > MAX_SUBMODULE_DEPTH)
    throw new DevshellError("FETCH_GIT", "Cannot fetch Git submodules: they are nested too deeply");
  const { signal } = context;
  await exportCommit(directory, rev, target, {
    signal,
    exportIgnore: attributes.get("exportIgnore") === true,
  });
  if (attributes.get("submodules") !== true) return;
  const origin = location.kind === "remote" ? location.url : undefined;
  for (const submodule of await submodulesOf(directory, rev, origin, signal)) {
    const from = locate(fixGitUrl(submodule.url));
    if (location.kind === "remote" && !location.url.startsWith("file:") && isOnThisMachine(from))
      throw new DevshellError(
        "FETCH_GIT",
        `Cannot fetch submodule '${submodule.path}' of '${shownUrl(location.url)}': it points into this machine`,
      );
    const inner: InputAttributes = new Map<string, string | boolean>([
      ["rev", submodule.rev],
      ["submodules", true],
      ["allRefs", true],
    ]);
    const branch = submodule.branch === "." ? stringOf(attributes, "ref") : submodule.branch;
    if (branch !== undefined) inner.set("ref", branch);
    const found = await revisionOf(from, inner, context);
    const mount = `${target}/${submodule.path}`;
    rmdirSync(fsPath(mount));
    await exportWithSubmodules(from, found.directory, found.rev, mount, inner, context, depth + 1);
  }
}

function isOnThisMachine(location: GitLocation): boolean {
  return location.kind === "local" || location.url.startsWith("file:");
}

async function fetchWorkTree(
  directory: string,
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  checkWorkTree(directory);
  const { store, signal } = context;
  const work = await readWorkTree(directory, {
    signal,
    submodules: attributes.get("submodules") === true,
    exportIgnore: attributes.get("exportIgnore") === true,
  });
  if (work.isDirty) {
    if (context.setting("allow-dirty") === "false")
      throw new DevshellError("FETCH_GIT", `Git tree '${directory}' is dirty`);
    if (context.setting("warn-dirty") !== "false") context.warn(`Git tree '${directory}' is dirty`);
    if (work.head !== undefined) {
      attributes.set("dirtyRev", `${work.head}-dirty`);
      attributes.set("dirtyShortRev", `${work.head.slice(0, 7)}-dirty`);
    }
    await verifyCommit(directory, undefined, attributes, context);
  } else {
    await verifyCommit(directory, work.head, attributes, context);
    attributes.set("rev", work.head ?? NO_REVISION);
    if (work.head === undefined && attributes.get("shallow") !== true) attributes.set("revCount", 0n);
  }
  attributes.set(
    "lastModified",
    work.head === undefined ? 0n : await commitTime(directory, work.head, context),
  );
  const root = bytesOfText(directory);
  tell(context, "chatty", `copying '${directory}' to the store`);
  const storePath = store.addPath(root, {
    name: stringOf(attributes, "name") ?? "source",
    method: "nar",
    filter: workTreeFilter(root, work.files),
  });
  const isCounted = !work.isDirty && work.head !== undefined && attributes.get("shallow") !== true;
  const inputs = [
    ...(await refFiles(directory, "HEAD", context)),
    ...work.indexFiles,
    ...[...work.files, ...work.missing].map((path) => `${root}/${path}`),
  ];
  return {
    storePath,
    attributes,
    inputs,
    history: isCounted && work.head !== undefined ? { directory, rev: work.head } : undefined,
  };
}

function checkWorkTree(directory: string): void {
  if (!existsSync(join(directory, ".git")))
    throw new DevshellError("FETCH_GIT", `Git repository "${directory}" does not exist.`);
}

async function commitTime(directory: string, rev: string, { signal }: FetchContext): Promise<bigint> {
  const args = [
    "-C",
    directory,
    "show",
    "--no-show-signature",
    "--no-patch",
    "--format=%ct",
    "--end-of-options",
  ];
  const output = await runGit([...args, `${rev}^{commit}`], { signal });
  return BigInt(output.trim().split("\n").pop() ?? "0");
}

/** Counts a revision's ancestors and itself. @throws {DevshellError} `FETCH_GIT` in a shallow repository */
export async function countRevisions(directory: string, rev: string, signal: AbortSignal): Promise<bigint> {
  if (await isShallow(directory, signal))
    throw new DevshellError(
      "FETCH_GIT",
      `'${directory}' is a shallow Git repository, so 'revCount' is not available`,
    );
  return BigInt((await runGit(["-C", directory, "rev-list", "--count", rev, "--"], { signal })).trim());
}

async function isShallow(directory: string, signal: AbortSignal): Promise<boolean> {
  const answer = await runGit(["-C", directory, "rev-parse", "--is-shallow-repository"], { signal });
  return answer.trim() === "true";
}
