import { closeSync, mkdirSync, openSync, symlinkSync, writeSync } from "node:fs";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import { exportIgnored } from "./exportIgnored.ts";
import { runGit } from "./runGit.ts";

export interface ExportOptions {
  readonly signal: AbortSignal;
  /** Leave out what `.gitattributes` marks `export-ignore`. */
  readonly exportIgnore: boolean;
}

interface TreeEntry {
  readonly mode: string;
  readonly object: string;
  readonly path: ByteString;
}

const MAX_LINK_BYTES = 1 << 16;

/**
 * Writes a revision's tree as Git holds it: no line endings changed, no filters, no substitutions; a submodule is an
 * empty directory. The tree is hostile: nothing is written outside `target`, which must not exist yet.
 */
export async function exportCommit(
  directory: string,
  rev: string,
  target: ByteString,
  options: ExportOptions,
): Promise<void> {
  const { signal } = options;
  const listing = await runGit(["-C", directory, "ls-tree", "-r", "-t", "-z", "--full-tree", rev], {
    signal,
  });
  let entries = listing
    .split("\0")
    .filter((line) => line !== "")
    .map(parseEntry);
  if (options.exportIgnore && entries.some(({ path }) => /(?:^|\/)\.gitattributes$/.test(path))) {
    const ignored = await exportIgnored(
      directory,
      rev,
      entries.map((entry) => entry.path),
      signal,
    );
    entries = entries.filter(({ path }) => !isBelow(ignored, path));
  }
  mkdirSync(fsPath(target));
  const blobs = entries.filter(({ mode }) => mode.startsWith("100") || mode === "120000");
  // a directory is made by us, once: a link in its place would make this fail
  for (const { mode, path } of entries)
    if (mode === "040000" || mode === "160000") mkdirSync(fsPath(`${target}/${path}`));
  if (blobs.length === 0) return;
  await runGit(["-C", directory, "cat-file", "--batch"], {
    signal,
    input: blobs.map(({ object }) => `${object}\n`).join(""),
    onOutput: async (output) => {
      const reader = new ByteReader(output);
      for (const blob of blobs) await writeBlob(reader, blob, `${target}/${blob.path}`);
    },
  });
}

function parseEntry(line: string): TreeEntry {
  const match = /^(\d{6}) \w+ ([0-9a-f]{40,64})\t(.+)$/s.exec(line);
  if (match === null)
    throw new DevshellError("FETCH_GIT", `Cannot read Git tree: found "${line.slice(0, 80)}"`);
  const [, mode = "", object = "", path = ""] = match;
  for (const part of path.split("/"))
    if (part === "" || part === "." || part === "..")
      throw new DevshellError("FETCH_GIT", `Cannot use Git tree: it has an entry '${path}'`);
  return { mode, object, path };
}

/** Whether a path or a directory above it is in a set. */
export function isBelow(set: ReadonlySet<ByteString>, path: ByteString): boolean {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("/"))))
    if (set.has(at)) return true;
  return false;
}

async function writeBlob(reader: ByteReader, { mode, object }: TreeEntry, path: ByteString): Promise<void> {
  const header = await reader.line();
  const match = /^[0-9a-f]+ blob (\d+)$/.exec(header);
  if (match === null)
    throw new DevshellError("FETCH_GIT", `Cannot read Git object ${object}: found "${header}"`);
  const sizeBytes = Number(match[1]);
  if (mode === "120000") {
    if (sizeBytes > MAX_LINK_BYTES)
      throw new DevshellError("FETCH_GIT", `Cannot use Git tree: the link '${path}' is too long`);
    const parts: Buffer[] = [];
    await reader.take(sizeBytes, (part) => parts.push(Buffer.from(part)));
    symlinkSync(Buffer.concat(parts), fsPath(path));
  } else {
    const file = openSync(fsPath(path), "wx", mode === "100755" ? 0o755 : 0o644);
    try {
      await reader.take(sizeBytes, (part) => {
        for (let at = 0; at < part.length;) at += writeSync(file, part, at);
      });
    } finally {
      closeSync(file);
    }
  }
  await reader.take(1, () => undefined);
}

/** Reads lines and counted bytes from a stream. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    let text = "";
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        text += this.#rest.toString("latin1", 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return text;
      }
      text += this.#rest.toString("latin1");
      if (text.length > 4096)
        throw new DevshellError("FETCH_GIT", "Cannot read Git's answer: a line has no end");
      await this.#more();
    }
  }

  async take(sizeBytes: number, use: (part: Buffer) => void): Promise<void> {
    for (let left = sizeBytes; left > 0;) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      use(part);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
    }
  }

  async #more(): Promise<void> {
    const next = await this.#chunks.next();
    if (next.done === true) throw new DevshellError("FETCH_GIT", "Cannot read Git's answer: it ends early");
    this.#rest = next.value;
  }
}
