import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  DevshellError,
  bytesOfText,
  encodeNix32,
  hashBytes,
  textOfBytes,
  shownUrl,
  withoutLogins,
  type ByteString,
} from "../../core/index.ts";
import { cacheDirectory } from "../cache/recordPaths.ts";
import { gitAddress } from "./gitLogin.ts";
import { NETWORK_TIMEOUT_MS, runGit, tryGit } from "./runGit.ts";
import { splitLogin } from "./splitLogin.ts";
import { ttlMs, type FetchContext } from "./types.ts";

export interface RevisionRequest {
  readonly ref: string | undefined;
  readonly rev: string | undefined;
  readonly allRefs: boolean;
  readonly shallow: boolean;
}

/** What a clone remembers: when each ref was last asked for, and which one is the server's HEAD. */
interface Stamps {
  readonly head?: string | undefined;
  readonly fetchedAtMs: Readonly<Record<string, number>>;
}

const STAMPS = "devshell-stamps.json";

/**
 * Has a revision of a server's repository in a bare clone of ours, fetching what is missing or older than
 * `tarball-ttl`. Without the network, the clone's last state serves.
 */
export async function cachedRevision(
  url: string,
  request: RevisionRequest,
  context: FetchContext,
): Promise<{ directory: string; rev: string }> {
  const { signal } = context;
  const directory = await openClone(url, request.shallow, signal);
  const stamps = readStamps(directory);
  if (request.rev !== undefined) {
    if (!(await hasCommit(directory, request.rev, signal)))
      await fetchRevision(directory, url, request, context);
    return { directory, rev: request.rev };
  }
  const asked = request.ref === undefined || request.ref === "HEAD" ? undefined : textOfBytes(request.ref);
  const ref = asked ?? (await defaultRef(url, stamps, context));
  const full = ref.startsWith("refs/") ? ref : `refs/heads/${ref}`;
  const known = await commitOf(directory, full, signal);
  const isRecent = Date.now() - (stamps.fetchedAtMs[full] ?? 0) < ttlMs(context);
  if (known !== undefined && isRecent && !request.allRefs) return { directory, rev: known };
  try {
    const refspec = request.allRefs ? "refs/*:refs/*" : `${full}:${full}`;
    await fetchInto(directory, url, refspec, request.shallow, context);
    const head = asked === undefined ? full : stamps.head;
    writeStamps(directory, { head, fetchedAtMs: { ...stamps.fetchedAtMs, [full]: Date.now() } });
  } catch (error) {
    if (known === undefined || signal.aborted || !(error instanceof DevshellError)) throw error;
    context.note?.(`error: ${error.message}`);
    context.warn(
      `could not update local clone of Git repository '${shownUrl(url)}'; continuing with the most recent version`,
    );
  }
  const rev = await commitOf(directory, full, signal);
  if (rev === undefined) throw new DevshellError("FETCH_GIT", missingRef(full));
  return { directory, rev };
}

async function openClone(url: string, shallow: boolean, signal: AbortSignal): Promise<string> {
  const key = encodeNix32(hashBytes("sha256", bytesOfText(url)).digest);
  const directory = join(cloneDirectory(), `${key}${shallow ? "-shallow" : ""}`);
  if (!existsSync(join(directory, "HEAD"))) {
    mkdirSync(directory, { recursive: true });
    await runGit(["init", "--quiet", "--bare", "--template=", "--", directory], { signal });
  }
  await runGit(["-C", directory, "config", "remote.origin.url", splitLogin(url).url], { signal });
  return directory;
}

/**
 * Bare clones lie where Nix has them, under the same names: a clone of a large repository serves both. A cache of our
 * own that was asked for (`DEVSHELL_CACHE_DIR`) holds them all.
 */
function cloneDirectory(): string {
  const given = process.env["NIX_CACHE_HOME"];
  if (given !== undefined && given !== "") return join(given, "gitv3");
  if ((process.env["DEVSHELL_CACHE_DIR"] ?? "") !== "") return join(cacheDirectory(), "gitv3");
  return join(cacheDirectory(), "..", "nix", "gitv3");
}

async function fetchRevision(
  directory: string,
  url: string,
  { rev = "", ref, allRefs, shallow }: RevisionRequest,
  context: FetchContext,
): Promise<void> {
  const { signal } = context;
  const refspecs: string[] = allRefs && !shallow ? ["refs/*:refs/*"] : [rev];
  // servers that give no commit by its name give it with a branch
  if (refspecs[0] === rev) {
    const name = ref === undefined ? undefined : textOfBytes(ref);
    const full = name === undefined || name.startsWith("refs/") ? name : `refs/heads/${name}`;
    refspecs.push(full === undefined ? "HEAD" : `${full}:${full}`);
  }
  let failure: unknown;
  for (const refspec of refspecs) {
    try {
      await fetchInto(directory, url, refspec, shallow && refspec === rev, context);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
      continue;
    }
    if (await hasCommit(directory, rev, signal)) return;
  }
  if (
    failure !== undefined &&
    !(failure instanceof DevshellError && /not our ref|unadvertised/.test(String(failure.cause)))
  )
    throw failure;
  throw new DevshellError(
    "FETCH_GIT",
    `Cannot find Git revision '${rev}' in ref '${ref ?? "HEAD"}' of repository '${shownUrl(url)}'! Please make sure that the rev exists on the ref you've specified or add allRefs = true; to fetchGit.`,
  );
}

async function fetchInto(
  directory: string,
  url: string,
  refspec: string,
  shallow: boolean,
  context: FetchContext,
): Promise<void> {
  const { signal } = context;
  const depth = shallow ? ["--depth", "1"] : [];
  const args = [
    "-C",
    directory,
    "fetch",
    "--quiet",
    "--force",
    "--no-write-fetch-head",
    "--update-head-ok",
    ...depth,
  ];
  const { url: address, env } = gitAddress(url);
  const options = { signal, env, timeoutMs: NETWORK_TIMEOUT_MS, onMessages: passOn(context) };
  try {
    await runGit([...args, "--", address, refspec], options);
  } catch (cause) {
    signal.throwIfAborted();
    if (!(cause instanceof DevshellError && cause.code === "FETCH_GIT")) throw cause;
    throw new DevshellError("FETCH_GIT", `Failed to fetch git repository '${shownUrl(url)}'`, { cause });
  }
}

/** What Git says to the user of a server. */
function passOn({ note }: FetchContext): (said: ByteString) => void {
  return (said) => {
    const text = withoutLogins(textOfBytes(said)).trimEnd();
    if (text !== "") note?.(text);
  };
}

/** As the library words it that Nix reads repositories with. */
export function missingRef(ref: string): string {
  return `resolving Git reference '${ref}': revspec '${ref}' not found (libgit2 error code = 4)`;
}

/** See {@link missingRef}. */
export function missingRevision(rev: string): string {
  return `getting Git object '${rev}': object not found - no match for id (${rev}) (libgit2 error code = 9)`;
}

/** The ref that is fetched from a server where none is named. */
export async function defaultRefOf(url: string, shallow: boolean, context: FetchContext): Promise<string> {
  const directory = await openClone(url, shallow, context.signal);
  return defaultRef(url, readStamps(directory), context);
}

/** The branch that the server's HEAD names. */
async function defaultRef(url: string, stamps: Stamps, context: FetchContext): Promise<string> {
  const known = stamps.head;
  if (known !== undefined && Date.now() - (stamps.fetchedAtMs[known] ?? 0) < ttlMs(context)) return known;
  const { signal } = context;
  const { url: address, env } = gitAddress(url);
  const answer = await tryGit(["ls-remote", "--symref", "--", address, "HEAD"], {
    signal,
    env,
    onMessages: passOn(context),
  });
  const match = /^ref: (refs\/[^\t\n]+)\tHEAD$/m.exec(answer ?? "");
  if (match !== null) return textOfBytes(match[1]!);
  if (known !== undefined) {
    context.warn(
      `could not get HEAD ref for repository '${shownUrl(url)}'; using expired cached ref '${known}'`,
    );
    return known;
  }
  context.warn(`could not read HEAD ref from repo at '${shownUrl(url)}', using 'master'`);
  return "master";
}

async function hasCommit(directory: string, rev: string, signal: AbortSignal): Promise<boolean> {
  return (await tryGit(["-C", directory, "cat-file", "-e", `${rev}^{commit}`], { signal })) !== undefined;
}

async function commitOf(directory: string, ref: string, signal: AbortSignal): Promise<string | undefined> {
  const args = ["-C", directory, "rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`];
  return (await tryGit(args, { signal }))?.trim();
}

function readStamps(directory: string): Stamps {
  try {
    const stamps = JSON.parse(readFileSync(join(directory, STAMPS), "utf8")) as Stamps;
    return typeof stamps.fetchedAtMs === "object" ? stamps : { fetchedAtMs: {} };
  } catch {
    return { fetchedAtMs: {} };
  }
}

function writeStamps(directory: string, stamps: Stamps): void {
  const file = join(directory, STAMPS);
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(stamps));
  renameSync(`${file}.${process.pid}`, file);
}
