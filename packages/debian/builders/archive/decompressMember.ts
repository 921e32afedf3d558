import { spawn } from "node:child_process";
import { createReadStream, openSync, readSync, closeSync, accessSync, constants } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { XzReadableStream } from "xz-decompress";
import type { ArMember } from "./readAr.ts";
import { archiveError, show } from "./archiveError.ts";

const READ_BYTES = 256 << 10;
/** Below this, starting a process costs more than its faster decoder saves (a fork of a grown Node: 5–10 ms). */
const XZ_PROGRAM_BYTES = 192 << 10;

/**
 * Streams a member of a .deb, decompressed by its name's ending (`.xz`, `.zst`, `.gz`, none). Memory is bounded by
 * the stream's buffers. Of large members the system's `xz`, where there is one, reads the file itself, on another
 * processor; else a WASM decoder does, at 1.4 times the processor time.
 */
export function decompressMember(file: string | Buffer, member: ArMember): AsyncIterable<Buffer> {
  const ending = /\.tar(?:\.([a-z0-9]+))?$/.exec(member.name);
  switch (ending === null ? "?" : (ending[1] ?? "")) {
    case "":
      return readMember(file, member);
    case "gz":
      return through(readMember(file, member), createGunzip({ chunkSize: READ_BYTES }));
    case "zst":
      return through(readMember(file, member), createZstdDecompress({ chunkSize: READ_BYTES }));
    case "xz": {
      const program = member.sizeBytes < XZ_PROGRAM_BYTES ? undefined : findXz();
      return program === undefined ? xzByWasm(file, member) : xzByProgram(program, file, member);
    }
    default:
      throw archiveError(`the member ${show(member.name)} has an unknown compression`);
  }
}

function readMember(file: string | Buffer, member: ArMember): Readable {
  if (member.sizeBytes === 0) return Readable.from([]);
  const end = member.offset + member.sizeBytes - 1;
  return createReadStream(file, { start: member.offset, end, highWaterMark: READ_BYTES });
}

async function* through(source: Readable, decoder: NodeJS.ReadWriteStream): AsyncIterable<Buffer> {
  source.on("error", (error) => decoder.emit("error", error));
  source.pipe(decoder);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    throw isSystemError(error) ? error : damaged(error);
  } finally {
    source.destroy();
  }
}

/** The child shares our file description, so reading up to the member is what tells it where to start. */
async function* xzByProgram(program: string, file: string | Buffer, member: ArMember): AsyncIterable<Buffer> {
  const fd = openSync(file, "r");
  const seek = Buffer.alloc(Math.min(member.offset, READ_BYTES));
  for (let left = member.offset; left > 0;) {
    const count = readSync(fd, seek, 0, Math.min(left, seek.length), null);
    if (count === 0) throw archiveError("the file is cut short");
    left -= count;
  }
  const child = spawn(program, ["-dcq", "-T1", "--single-stream", "--memlimit-decompress=256MiB"], {
    stdio: [fd, "pipe", "pipe"],
    env: {},
  });
  closeSync(fd);
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    if (stderr.length < 2000) stderr += chunk.toString("latin1");
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  ended.catch(() => undefined);
  try {
    for await (const chunk of child.stdout ?? Readable.from([])) yield chunk as Buffer;
    const status = await ended;
    if (status !== 0) throw damaged(new Error(stderr.trim()));
  } finally {
    child.kill("SIGKILL");
  }
}

async function* xzByWasm(file: string | Buffer, member: ArMember): AsyncIterable<Buffer> {
  const { XzReadableStream } = await importXz();
  const input = Readable.toWeb(readMember(file, member));
  // The package's types are the browser's; Node's stream is the same thing.
  const output = new XzReadableStream(input as unknown as ConstructorParameters<typeof XzReadableStream>[0]);
  try {
    for await (const chunk of output as unknown as AsyncIterable<Uint8Array>)
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  } catch (error) {
    throw isSystemError(error) ? error : damaged(error);
  }
}

/** A CommonJS module: its names are on `default` where the loader does not find them (Node's own does not). */
async function importXz(): Promise<XzModule> {
  const module: XzModule & { readonly default?: XzModule } = await import("xz-decompress");
  return module.default ?? module;
}

interface XzModule {
  readonly XzReadableStream: typeof XzReadableStream;
}

let xzProgram: string | null | undefined;

function findXz(): string | undefined {
  if (process.env["DEVSHELL_XZ"] === "wasm") return undefined;
  xzProgram ??= ["/usr/bin/xz", "/bin/xz", "/usr/local/bin/xz"].find(isExecutable) ?? null;
  return xzProgram ?? undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function damaged(error: unknown): Error {
  const why = error instanceof Error && error.message !== "" ? error.message : "it is damaged";
  return archiveError(`cannot decompress: ${why}`);
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
