import { createHash } from "node:crypto";
import { text } from "node:stream/consumers";
import { parentPort } from "node:worker_threads";
import { DevshellError } from "../../../core/index.ts";
import { decompress, type Compression } from "../../../io/index.ts";
import { fetchFromMirror, isOnMirror, streamFromMirror } from "./fetch.ts";
import { writePackageTables, writeSourceTable } from "./indexTables.ts";
import type {
  ArchiveState,
  DebianEvent,
  IndexAnswer,
  IndexFile,
  IndexTask,
  WorkOrder,
  WorkReply,
} from "./indexWork.ts";
import { MAX_INDEX_BYTES, isReleaseOf, parseRelease, type Release } from "./release.ts";
import { verifyClearsigned } from "./signature.ts";

const MAX_RELEASE_BYTES = 8 << 20;
const ALIVE_MS = 2_000;
const PROGRESS_BYTES = 256 << 10;

type ReleaseTask = Extract<IndexTask, { kind: "release" }>;
type TableTask = Extract<IndexTask, { kind: "index" }>;
type OnEvent = (event: DebianEvent) => void;

if (parentPort === null) void serveStandardInput();
else
  parentPort.once("message", ({ tasks, port, wake }: WorkOrder) => {
    void work(tasks, (reply) => {
      port.postMessage(reply);
      Atomics.add(wake, 0, 1);
      Atomics.notify(wake, 0);
    });
  });

/** As a process of its own: tasks on standard input, a reply on each line of standard output. */
async function serveStandardInput(): Promise<void> {
  const tasks = JSON.parse(await text(process.stdin)) as readonly IndexTask[];
  await work(tasks, (reply) => void process.stdout.write(`${JSON.stringify(reply)}\n`));
}

async function work(tasks: readonly IndexTask[], post: (reply: WorkReply) => void): Promise<void> {
  const alive = setInterval(() => post({ kind: "alive" }), ALIVE_MS);
  try {
    const answers = await Promise.all(
      tasks.map((task) => perform(task, (event) => post({ kind: "event", event }))),
    );
    post({ kind: "done", answers });
  } catch (error) {
    post(describeFailure(error));
  } finally {
    clearInterval(alive);
  }
}

function perform(task: IndexTask, onEvent: OnEvent): Promise<IndexAnswer> {
  switch (task.kind) {
    case "release":
      return fetchRelease(task, onEvent);
    case "index":
      return fetchTables(task, onEvent);
    case "probe":
      return probe(task.urls);
  }
}

function describeFailure(error: unknown): WorkReply {
  const isKnown = error instanceof DevshellError;
  return {
    kind: "failed",
    code: isKnown ? error.code : undefined,
    message: isKnown
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error),
    hint: isKnown ? error.hint : undefined,
  };
}

/** The first mirror whose InRelease is good; an expired one only where allowed and no mirror has a newer. */
async function fetchRelease(task: ReleaseTask, onEvent: OnEvent): Promise<ArchiveState | undefined> {
  const failures: DevshellError[] = [];
  let stale: { readonly release: Release; readonly url: string } | undefined;
  for (const mirror of task.mirrors) {
    const url = `${mirror}/dists/${task.dist}/InRelease`;
    try {
      onEvent({ kind: "fetch", what: `${task.dist} InRelease`, doneBytes: 0, totalBytes: undefined });
      const signed = await fetchFromMirror(url, MAX_RELEASE_BYTES);
      const release = parseRelease(await verifyClearsigned(signed, task.keyrings, url));
      checkIdentity(release, task, url);
      if (!isExpired(release)) return describe(release, task);
      if (task.whenExpired === "refuse") throw expired(release, url);
      stale ??= { release, url };
    } catch (error) {
      if (!(error instanceof DevshellError)) throw error;
      failures.push(error);
    }
  }
  if (stale !== undefined) {
    onEvent({
      kind: "warning",
      message: `${expired(stale.release, stale.url).message}; it is used all the same`,
    });
    return describe(stale.release, task);
  }
  const isMissing = failures.every(({ code }) => code === "DEBIAN_FETCH_MISSING");
  if (isMissing && task.isOptional) return undefined;
  if (isMissing)
    throw new DevshellError(
      "DEBIAN_SUITE_UNKNOWN",
      `Cannot find suite "${task.dist}": no mirror has it (tried ${task.mirrors.join(", ")})`,
      { hint: "suites are called bookworm, trixie, sid, …" },
    );
  throw allFailed(failures, `the index of "${task.dist}"`);
}

function checkIdentity(release: Release, task: ReleaseTask, url: string): void {
  if (!isReleaseOf(release, task.dist))
    throw new DevshellError(
      "DEBIAN_RELEASE_INVALID",
      `Cannot use "${url}": it is the index of "${release.codename}", not of "${task.dist}"`,
      { hint: "the mirror serves a broken archive: try another one" },
    );
  if (task.notBeforeSeconds !== undefined && release.dateSeconds < task.notBeforeSeconds)
    throw new DevshellError(
      "DEBIAN_RELEASE_OLDER",
      `Cannot use "${url}": its date, ${release.date}, is before that of the index used until now`,
      { hint: "the mirror lags behind or withholds updates: try another one" },
    );
}

function isExpired({ validUntilSeconds }: Release): boolean {
  return validUntilSeconds !== undefined && validUntilSeconds * 1000 < Date.now();
}

function expired(release: Release, url: string): DevshellError {
  const days = Math.floor((Date.now() / 1000 - (release.validUntilSeconds ?? 0)) / 86_400);
  return new DevshellError(
    "DEBIAN_RELEASE_EXPIRED",
    `"${url}" was made on ${release.date} and expired ${days} days ago`,
    {
      hint: "the mirror lags behind or withholds updates: try another one, or accept it with DEVSHELL_DEBIAN_VALID_UNTIL=ignore",
    },
  );
}

function describe(release: Release, task: ReleaseTask): ArchiveState {
  const packages = findIndex(release, `main/binary-${task.architecture}/Packages`);
  const sources = findIndex(release, "main/source/Sources");
  if (packages === undefined)
    throw new DevshellError(
      "DEBIAN_RELEASE_INVALID",
      `Cannot use suite "${task.dist}": it has no packages for ${task.architecture}`,
    );
  return {
    dist: task.dist,
    role: task.role,
    codename: release.codename,
    date: release.date,
    hasByHash: release.hasByHash,
    ...(isExpired(release) && { isExpired: true }),
    packages,
    ...(sources !== undefined && { sources }),
  };
}

function findIndex({ files }: Release, path: string): IndexFile | undefined {
  const raw = files.get(path);
  if (raw === undefined) return undefined;
  for (const extension of [".xz", ".gz", ""]) {
    const file = files.get(path + extension);
    if (file !== undefined)
      return { path: path + extension, ...file, rawSizeBytes: raw.sizeBytes, rawSha256: raw.sha256 };
  }
  return undefined;
}

async function fetchTables(task: TableTask, onEvent: OnEvent): Promise<undefined> {
  const { file, dist } = task;
  const directory = file.path.slice(0, file.path.lastIndexOf("/"));
  const places = [...(task.hasByHash ? [`${directory}/by-hash/SHA256/${file.sha256}`] : []), file.path];
  const failures: DevshellError[] = [];
  for (const mirror of task.mirrors)
    for (const place of places) {
      const url = `${mirror}/dists/${dist}/${place}`;
      let text: Buffer;
      try {
        text = await fetchIndex(url, task, onEvent);
      } catch (error) {
        if (!(error instanceof DevshellError)) throw error;
        const isTold = place !== places[0] && error.code === "DEBIAN_FETCH_MISSING";
        if (!isTold) failures.push(error);
        // A mirror that cannot be reached need not be asked for the same thing by its other name.
        if (error.code === "DEBIAN_FETCH_FAILED") break;
        continue;
      }
      if (task.content === "packages") writePackageTables(text, task.base, task.architecture);
      else writeSourceTable(text, task.base);
      return undefined;
    }
  throw allFailed(failures, `the list of ${task.content} of "${dist}"`);
}

/** Nothing of it is used before both digests are as the signed file says. */
async function fetchIndex(url: string, task: TableTask, onEvent: OnEvent): Promise<Buffer> {
  if (task.file.rawSizeBytes > MAX_INDEX_BYTES) throw mismatch(url, "it is too large");
  return streamFromMirror(url, MAX_INDEX_BYTES, (body) => readIndex(url, body, task, onEvent));
}

/** Decompresses while it arrives. */
async function readIndex(
  url: string,
  body: AsyncIterable<Buffer>,
  { file, dist, content }: TableTask,
  onEvent: OnEvent,
): Promise<Buffer> {
  const packed = createHash("sha256");
  let packedBytes = 0;
  let reported = 0;
  const what = `${dist} ${content === "packages" ? "Packages" : "Sources"}`;
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of body) {
      packedBytes += chunk.length;
      if (packedBytes > file.sizeBytes) throw mismatch(url, `it is longer than ${file.sizeBytes} bytes`);
      packed.update(chunk);
      if (packedBytes - reported >= PROGRESS_BYTES) {
        reported = packedBytes;
        onEvent({ kind: "fetch", what, doneBytes: packedBytes, totalBytes: file.sizeBytes });
      }
      yield chunk;
    }
  }
  const raw = Buffer.allocUnsafe(file.rawSizeBytes);
  let rawBytes = 0;
  try {
    for await (const chunk of decompress(compressionOf(file.path), hashed())) {
      if (rawBytes + chunk.length > raw.length)
        throw mismatch(url, `it unpacks to more than ${raw.length} bytes`);
      raw.set(chunk, rawBytes);
      rawBytes += chunk.length;
    }
  } catch (error) {
    const isDamaged = error instanceof DevshellError && error.code === "DECOMPRESS_FAILED";
    throw isDamaged ? mismatch(url, error.message) : error;
  }
  if (packed.digest("hex") !== file.sha256) throw mismatch(url, "its SHA256 is not the one that was signed");
  if (rawBytes !== raw.length || createHash("sha256").update(raw).digest("hex") !== file.rawSha256)
    throw mismatch(url, "its unpacked SHA256 is not the one that was signed");
  onEvent({ kind: "fetch", what, doneBytes: packedBytes, totalBytes: packedBytes });
  return raw;
}

function compressionOf(path: string): Compression {
  return path.endsWith(".xz") ? "xz" : path.endsWith(".gz") ? "gzip" : "none";
}

/** Only a server's plain no is a no; `undefined` where some mirror could not be asked. */
async function probe(urls: readonly string[]): Promise<boolean | undefined> {
  let isKnown = true;
  for (const url of urls)
    try {
      if (await isOnMirror(url)) return true;
    } catch {
      isKnown = false;
    }
  return isKnown ? false : undefined;
}

function mismatch(url: string, why: string): DevshellError {
  return new DevshellError("DEBIAN_INDEX_MISMATCH", `Cannot use "${url}": ${why}`, {
    hint: "the mirror serves an altered or half-updated index: try again later or another mirror",
  });
}

/** Every mirror's own reason, and the first one's code and hint. */
function allFailed(failures: readonly DevshellError[], what: string): DevshellError {
  const [first] = failures;
  const distinct = [...new Set(failures.map(({ message }) => message))];
  // What a mirror lacks says less than what went wrong with one that has it.
  const telling = failures.find(({ code }) => code !== "DEBIAN_FETCH_MISSING") ?? first;
  return new DevshellError(
    telling?.code ?? "DEBIAN_NO_MIRROR",
    distinct.length === 1
      ? (distinct[0] ?? "")
      : `Cannot get ${what} from any mirror: ${distinct.join("; ")}`,
    { hint: telling?.hint },
  );
}
