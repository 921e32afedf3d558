import { spawn } from "node:child_process";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
  statfsSync,
} from "node:fs";
import { DevshellError, bytesOfText, fsPath, type ByteString, shownUrl } from "../../core/index.ts";

export interface Unpacked {
  /** The archive's one directory, or where there is more than that, the whole. Its name may be no text. */
  readonly tree: ByteString;
  /** Seconds; the newest time in the archive. */
  readonly lastModified: bigint;
}

const TIMEOUT_MS = 2 * 3600_000;
const MAX_REASON_LENGTH = 4000;
/** How much a file system that compresses may hold of what it has room for. */
const PACKED_AT_MOST = 4;

/** Unpacks a tarball or zip into a new directory. @throws {DevshellError} `FETCH_UNPACK` */
export async function unpackArchive(
  file: string,
  directory: string,
  source: string,
  signal?: AbortSignal,
): Promise<Unpacked> {
  const url = shownUrl(source);
  if (statSync(file).size === 0)
    throw new DevshellError("FETCH_UNPACK", `Cannot unpack '${url}': archive '${url}' is empty`);
  mkdirSync(directory);
  const isZip = firstBytes(file, 2) === "PK";
  const safe = ["--no-same-owner", "--no-same-permissions", "--delay-directory-restore", "--force-local"];
  const listed = ["-vv", "--full-time", "--utc", "--numeric-owner", "--quoting-style=escape"];
  const command: Command = isZip
    ? // Where names occur twice or something is encrypted it would ask.
      { program: "unzip", args: ["-q", "-o", "-P", "unknown", file, "-d", directory], signal }
    : {
        program: "tar",
        args: ["--extract", ...listed, ...safe, "--file", file, "--directory", directory],
        signal,
      };
  const listing = new Listing(PACKED_AT_MOST * freeBytes(directory));
  const failure = await run(command, (text) => listing.push(text));
  signal?.throwIfAborted();
  if (listing.isTooLarge)
    throw new DevshellError(
      "FETCH_UNPACK",
      `Cannot unpack '${url}': it holds at least ${listing.sizeBytes} bytes, more than there is room for`,
      { hint: `make room where "${directory}" is, or set TMPDIR to a larger disk` },
    );
  if (failure !== undefined)
    throw new DevshellError("FETCH_UNPACK", `Cannot unpack '${url}': ${failure.split("\n")[0] ?? ""}`);
  const whole = bytesOfText(directory);
  const [first, ...others] = readdirSync(directory, "latin1");
  const single = first !== undefined && others.length === 0 ? `${whole}/${first}` : undefined;
  const tree = single !== undefined && lstatSync(fsPath(single)).isDirectory() ? single : whole;
  return { tree, lastModified: (isZip ? undefined : listing.newest) ?? newestFile(whole) };
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** @param onOutput says whether to go on @returns why it failed */
function run(
  { program, args, signal }: Command,
  onOutput: (text: string) => boolean,
): Promise<string | undefined> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    signal,
  });
  let said = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    if (!onOutput(text)) child.kill("SIGKILL");
  });
  child.stderr.setEncoding("latin1").on("data", (text: string) => {
    if (said.length < MAX_REASON_LENGTH) said += text;
  });
  return new Promise((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "ENOENT" ? `the program "${program}" is not installed` : error.message),
    );
    child.once("close", (status, killedBy) =>
      resolve(status === 0 ? undefined : said.trim() || `${program} ended with ${killedBy ?? status}`),
    );
  });
}

/** A line of GNU tar's listing: mode, owner, size, date. Of longer lines the beginning is enough. */
const LISTED = /^[-dlhbcps]\S* +\S+ +(\S+) (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/;
const LINE_START_LENGTH = 200;

/** What tar says of the members while it unpacks them: their newest time, and how much they hold. */
class Listing {
  sizeBytes = 0;
  readonly #maxBytes: number;
  #newest: number | undefined;
  #line = "";

  /** @param maxBytes more cannot be there in truth: what claims to be has holes, which a store does not keep */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Seconds. */
  get newest(): bigint | undefined {
    return this.#newest === undefined || Number.isNaN(this.#newest) ? undefined : BigInt(this.#newest);
  }

  get isTooLarge(): boolean {
    return this.sizeBytes > this.#maxBytes;
  }

  push(text: string): boolean {
    const lines = text.split("\n");
    for (const [index, part] of lines.entries()) {
      if (this.#line.length < LINE_START_LENGTH) this.#line += part.slice(0, LINE_START_LENGTH);
      if (index < lines.length - 1) this.#end();
    }
    return !this.isTooLarge;
  }

  #end(): void {
    const match = LISTED.exec(this.#line);
    this.#line = "";
    if (match === null) return;
    const [, size, day, time] = match;
    this.#newest = Math.max(this.#newest ?? 0, Date.parse(`${day}T${time}Z`) / 1000);
    // Of devices it says their numbers.
    if (/^\d+$/.test(size ?? "")) this.sizeBytes += Number(size);
  }
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  // Some file systems do not say; on one that is full tar itself fails.
  return bavail === 0 ? Infinity : bavail * bsize;
}

/** Directories are left out: those that the archive does not name have the time of unpacking. */
function newestFile(top: ByteString): bigint {
  let newest = 0;
  const directories = [top];
  for (let path = directories.pop(); path !== undefined; path = directories.pop())
    for (const name of readdirSync(fsPath(path), "latin1")) {
      const stats = lstatSync(fsPath(`${path}/${name}`));
      if (stats.isDirectory()) directories.push(`${path}/${name}`);
      else newest = Math.max(newest, Math.floor(stats.mtimeMs / 1000));
    }
  return BigInt(newest);
}

function firstBytes(file: string, count: number): string {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(count);
    return bytes.toString("latin1", 0, readSync(descriptor, bytes, 0, count, 0));
  } finally {
    closeSync(descriptor);
  }
}
