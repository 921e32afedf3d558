import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { DevshellError, hashStream } from "../../core/index.ts";
import type { IncomingPathInfo } from "../local/types.ts";
import type { ByteSource } from "../protocol/byteSource.ts";
import { readOptionalPath, readPath, readPaths } from "../protocol/values.ts";
import { readNumber, readString, type Decoder } from "../protocol/wire.ts";
import type { Store } from "../store.ts";
import type { StorePath, ValidPathInfo } from "../types.ts";
import { readNar } from "../protocol/readNar.ts";
import { commonWire } from "./serveProtocol.ts";

/*
 * export = { number(1) nar number(EXPORT_MAGIC) path references deriver number(0 or 1) [string] } number(0)
 */

/** `NIXE`, after each NAR of an export. */
export const EXPORT_MAGIC = 0x4558494e;

/**
 * Adds what `nix-store --export` wrote, without asking for signatures.
 * @throws {DevshellError} `IMPORT_INVALID`, `NAR_…`, `STORE_REFERENCE_INVALID`
 */
export async function* importPaths(store: Store, source: ByteSource): AsyncGenerator<StorePath> {
  try {
    for (;;) {
      const more = await source.decode(readNumber());
      if (more === 0) return;
      if (more !== 1) throw importError(NO_EXPORT);
      const describe = (): Promise<Trailer> => source.decode(readTrailer(store.storeDir));
      const { path } =
        store.addToStoreNamedLater === undefined
          ? await addBySpool(store, readNar(source), describe)
          : await store.addToStoreNamedLater(readNar(source), describe);
      yield path;
    }
  } catch (error) {
    throw inWordsOfImport(error);
  }
}

type Trailer = Pick<IncomingPathInfo, "path" | "references" | "deriver">;

/** For a store that must be told the name first: the NAR is kept in a file until it is known. */
async function addBySpool(
  store: Store,
  nar: AsyncIterable<Buffer>,
  describe: () => Promise<Trailer>,
): Promise<ValidPathInfo> {
  const directory = await mkdtemp(join(tmpdir(), "devshell-import-"));
  try {
    const file = join(directory, "nar");
    const running = hashStream("sha256");
    let narSizeBytes = 0;
    await pipeline(async function* () {
      for await (const chunk of nar) {
        running.update(chunk);
        narSizeBytes += chunk.length;
        yield chunk;
      }
    }, createWriteStream(file));
    const info = { ...(await describe()), narHash: running.digest(), narSizeBytes };
    return await store.addToStoreFromStream(info, createReadStream(file, { highWaterMark: 1 << 20 }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function* readTrailer(storeDir: string): Decoder<Trailer> {
  const wire = commonWire(storeDir);
  if ((yield* readNumber()) !== EXPORT_MAGIC)
    throw importError("Nix archive cannot be imported; wrong format");
  const path = yield* readPath(wire);
  const references = yield* readPaths(wire);
  const deriver = yield* readOptionalPath(wire);
  // A signature of long ago.
  if ((yield* readNumber()) === 1) yield* readString();
  return { path, references, deriver };
}

/** What is read need not come from another side. */
function inWordsOfImport(error: unknown): unknown {
  if (!(error instanceof DevshellError)) return error;
  if (error.code === "PROTOCOL_DISCONNECTED") return importError("unexpected end-of-file", error);
  return error.code === "PROTOCOL_INVALID"
    ? importError(`${NO_EXPORT}: ${error.message.replace(/^[^:]*: /, "")}`, error)
    : error;
}

const NO_EXPORT = "input doesn't look like something created by 'nix-store --export'";

function importError(why: string, cause?: DevshellError): DevshellError {
  return new DevshellError("IMPORT_INVALID", why, { cause });
}
