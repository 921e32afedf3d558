import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import {
  DevshellError,
  bytesOfText,
  encodeNix32,
  fsPath,
  hashBytes,
  textOfBytes,
  type ByteString,
  shownUrl,
  withoutLogins,
} from "../../core/index.ts";
import { findProgram } from "../../io/index.ts";
import { parseUrl } from "../../lang/index.ts";
import { deleteTree, type StorePath } from "../../store/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import { workTreeFilter } from "./gitWorkTree.ts";
import { serveMercurial } from "./mercurialServer.ts";
import { NETWORK_TIMEOUT_MS, gitPath } from "./runGit.ts";
import { splitLogin } from "./splitLogin.ts";
import { stringOf, tell, ttlMs, type FetchContext, type FetchedTree, type InputAttributes } from "./types.ts";

const DEFAULT_BRANCH = "default";
const MAX_OUTPUT_BYTES = 256 << 20;
/** Nothing that could be taken for an option, or for an expression of Mercurial's own language. */
const REF = /^[a-zA-Z0-9@][a-zA-Z0-9_./@+-]*$/;

/** Fetches a Mercurial input. @throws {DevshellError} `FETCH_MERCURIAL`, `FETCH_NO_MERCURIAL` */
export async function fetchMercurialTree(
  attributes: InputAttributes,
  context: FetchContext,
): Promise<FetchedTree> {
  const { url, directory } = locate(stringOf(attributes, "url") ?? "");
  if (stringOf(attributes, "rev")?.length === 64)
    throw new DevshellError("FETCH_MERCURIAL", "Cannot fetch a Mercurial revision by a SHA-256 hash");
  const ref = stringOf(attributes, "ref");
  if (ref !== undefined && !REF.test(ref))
    throw new DevshellError("FETCH_MERCURIAL", `invalid Mercurial branch/tag name '${textOfBytes(ref)}'`);
  const isFollowing = !attributes.has("ref") && !attributes.has("rev");
  const hasWorkTree = isFollowing && directory !== undefined && existsSync(join(directory, ".hg"));
  const work = hasWorkTree ? await readWorkTree(directory, context) : undefined;
  if (work !== undefined && work.isDirty) {
    if (context.setting("allow-dirty") === "false")
      throw new DevshellError("FETCH_MERCURIAL", `Mercurial tree "${work.directory}" is unclean`);
    if (context.setting("warn-dirty") !== "false")
      context.warn(`Mercurial tree "${work.directory}" is unclean`);
    attributes.set("ref", (await runHg(["-R", work.directory, "branch"], context)).trim());
    const root = bytesOfText(work.directory);
    const filter = workTreeFilter(root, work.files);
    const storePath = context.store.addPath(root, { name: nameOf(attributes), method: "nar", filter });
    return { storePath, attributes, inputs: work.inputs };
  }
  const storePath = await fetchRevision(url, attributes, context);
  return { storePath, attributes, inputs: work?.inputs ?? [] };
}

/** @returns the tree; `rev`, `ref` and `revCount` are put into the attributes */
async function fetchRevision(
  url: string,
  attributes: InputAttributes,
  context: FetchContext,
): Promise<StorePath> {
  const { store, signal } = context;
  const ref = stringOf(attributes, "ref") ?? DEFAULT_BRANCH;
  attributes.set("ref", ref);
  const asked = stringOf(attributes, "rev")?.toLowerCase();
  const stamp = recordFile("hg-ref", url, ref);
  const recent =
    asked ??
    readRecord<{ rev: string; atMs: number }>(stamp, ({ atMs }) => Date.now() - atMs < ttlMs(context))?.rev;
  if (recent !== undefined) {
    const known = knownTree(recent, attributes, context);
    if (known !== undefined) return known;
  }
  const clone = join(cacheDirectory(), "hg", encodeNix32(hashBytes("sha256", bytesOfText(url)).digest));
  const hasRevision =
    recent !== undefined &&
    (await tryHg(["-R", clone, "log", "-r", recent, "--template", "1"], context)) === "1";
  if (!hasRevision) await updateClone(url, clone, context);
  const told = await runHg(
    ["-R", clone, "log", "-r", recent ?? textOfBytes(ref), "--template", "{node} {rev} {branch}"],
    context,
  );
  const [, rev, number, branch] = /^([0-9a-f]{40}) (\d+) (.+)$/s.exec(told) ?? [];
  if (rev === undefined || number === undefined || branch === undefined)
    throw new DevshellError(
      "FETCH_MERCURIAL",
      `Cannot fetch '${shownUrl(url)}': 'hg log' answered "${textOfBytes(told)}"`,
    );
  attributes.set("ref", branch);
  if (asked === undefined) writeRecord(stamp, { rev, atMs: Date.now() });
  const known = knownTree(rev, attributes, context);
  if (known !== undefined) return known;
  const scratch = mkdtempSync(join(tmpdir(), "devshell-hg-"));
  try {
    const tree = join(scratch, "tree");
    await runHg(["-R", clone, "archive", "-r", rev, tree], context);
    signal.throwIfAborted();
    rmSync(join(tree, ".hg_archival.txt"), { force: true });
    const storePath = store.addPath(bytesOfText(tree), { name: nameOf(attributes), method: "nar" });
    writeRecord(treeRecord(rev, attributes, context), { storePath, revCount: Number(number) });
    attributes.set("rev", rev).set("revCount", BigInt(number));
    return storePath;
  } finally {
    deleteTree(bytesOfText(scratch));
  }
}

/** A revision that was fetched before, and is in the store still. */
function knownTree(rev: string, attributes: InputAttributes, context: FetchContext): StorePath | undefined {
  const record = readRecord<{ storePath: StorePath; revCount: number }>(
    treeRecord(rev, attributes, context),
    (found) => context.store.isValidPath(found.storePath),
  );
  if (record === undefined) return undefined;
  attributes.set("rev", rev).set("revCount", BigInt(record.revCount));
  return record.storePath;
}

async function updateClone(url: string, clone: string, context: FetchContext): Promise<void> {
  tell(context, "talkative", `fetching Mercurial repository '${shownUrl(url)}'`);
  if (!existsSync(clone)) {
    mkdirSync(dirname(clone), { recursive: true });
    const scratch = mkdtempSync(`${clone}.tmp-`);
    try {
      // Whole, or not there: a clone that was cut would be pulled into for ever.
      await runHg(["clone", "--noupdate", "--", url, join(scratch, "clone")], context);
      if (!existsSync(clone)) renameSync(join(scratch, "clone"), clone);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
    return;
  }
  try {
    await runHg(["-R", clone, "pull", "--", url], context);
  } catch (error) {
    context.signal.throwIfAborted();
    // Who was interrupted in a transaction left it open.
    if (!existsSync(join(clone, ".hg/store/journal"))) throw error;
    await runHg(["-R", clone, "recover"], context);
    await runHg(["-R", clone, "pull", "--", url], context);
  }
}

interface WorkTree {
  readonly directory: string;
  readonly files: ReadonlySet<ByteString>;
  readonly isDirty: boolean;
  /** What tells whether this is still so. */
  readonly inputs: readonly ByteString[];
}

async function readWorkTree(directory: string, context: FetchContext): Promise<WorkTree> {
  const status = ["-R", directory, "status"];
  const changes = await runHg([...status, "--modified", "--added", "--removed"], context);
  const listing = [...status, "--clean", "--modified", "--added", "--deleted", "--no-status", "--print0"];
  const tracked = (await runHg(listing, context)).split("\0").filter((file) => file !== "");
  const root = bytesOfText(directory);
  const isThere = (file: ByteString): boolean =>
    lstatSync(fsPath(`${root}/${file}`), { throwIfNoEntry: false }) !== undefined;
  // What is gone may come back without a word to Mercurial.
  const files = new Set(tracked.filter(isThere));
  const own = [".hg/dirstate", ".hg/branch", ".hg/bookmarks", ".hg/store/00changelog.i"];
  const inputs = [...own, ...tracked].map((file) => `${root}/${file}`);
  return { directory, files, isDirty: changes !== "", inputs };
}

/** Where a reference's repository lies, if it is one of this machine. */
export function mercurialDirectory(url: ByteString): string | undefined {
  return locate(url).directory;
}

/** @param url what `hg` is given; a directory of this machine is one for it, too */
function locate(given: ByteString): { readonly url: string; readonly directory: string | undefined } {
  const { scheme, path } = parseUrl(given);
  if (scheme !== "file") return { url: textOfBytes(given), directory: undefined };
  const directory = gitPath(path);
  return { url: directory, directory };
}

function nameOf(attributes: InputAttributes): ByteString {
  return stringOf(attributes, "name") ?? "source";
}

/** Runs Mercurial without prompts, and without what a repository's own configuration could have it start. */
async function runHg(args: readonly string[], { signal }: FetchContext): Promise<ByteString> {
  const program = findProgram("hg");
  if (program === undefined)
    throw new DevshellError(
      "FETCH_NO_MERCURIAL",
      "Cannot fetch a Mercurial repository: there is no program 'hg'",
      { hint: "install Mercurial, or put it in PATH" },
    );
  signal.throwIfAborted();
  try {
    const hasLogin = args.some((word) => splitLogin(word).login !== undefined);
    const words = ["--noninteractive", ...(hasLogin ? args : args.map((word) => splitLogin(word).url))];
    const env = { ...process.env, HGPLAIN: "+strictflags", HGRCSKIPREPO: "1", LC_ALL: "C.UTF-8" };
    if (hasLogin) {
      const { status, said } = await serveMercurial(program, words, {
        env,
        timeoutMs: NETWORK_TIMEOUT_MS,
        signal,
      });
      if (status !== 0) throw Object.assign(new Error(), { code: status, stderr: said });
      return "";
    }
    const { stdout } = await promisify(execFile)(program, words, {
      env,
      encoding: "latin1",
      maxBuffer: MAX_OUTPUT_BYTES,
      timeout: NETWORK_TIMEOUT_MS,
      signal,
    });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    const { code, stderr = "" } = error as { readonly code?: number | string; readonly stderr?: string };
    const said = withoutLogins(textOfBytes(stderr)).trim().split("\n").slice(-4).join("; ");
    throw new DevshellError(
      "FETCH_MERCURIAL",
      `program 'hg' failed with ${code ?? "a signal"}: ${said || "it did not say why"}`,
      {
        cause: error,
      },
    );
  }
}

async function tryHg(args: readonly string[], context: FetchContext): Promise<ByteString | undefined> {
  try {
    return await runHg(args, context);
  } catch (error) {
    if (error instanceof DevshellError && error.code === "FETCH_MERCURIAL") return undefined;
    throw error;
  }
}

function treeRecord(rev: string, attributes: InputAttributes, { store }: FetchContext): string {
  return recordFile("hg-rev", `${store.storeDir}\0${nameOf(attributes)}`, rev);
}

function recordFile(kind: string, ...words: string[]): string {
  const key = createHash("sha256")
    .update([kind, ...words].join("\0"))
    .digest("hex");
  return join(cacheDirectory(), "fetch", key);
}

/** What was remembered, where it still counts. */
function readRecord<T>(file: string, counts: (record: T) => boolean): T | undefined {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as T;
    return counts(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function writeRecord(file: string, record: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(record));
}
