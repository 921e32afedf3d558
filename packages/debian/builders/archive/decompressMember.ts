import { DevshellError } from "../../../../core/index.ts";
import { decompressPart, type Compression } from "../../../../io/index.ts";
import type { ArMember } from "./readAr.ts";
import { archiveError, show } from "./archiveError.ts";

/** By what follows `.tar` in a member's name. */
const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ["", "none"],
  [".gz", "gzip"],
  [".xz", "xz"],
  [".zst", "zstd"],
]);

/**
 * Streams a member of a .deb, decompressed as its name says, in bounded memory.
 * @throws {DevshellError} `DEBIAN_ARCHIVE_INVALID`
 */
export async function* decompressMember(file: string | Buffer, member: ArMember): AsyncIterable<Buffer> {
  const ending = /\.tar(\.[a-z0-9]+)?$/.exec(member.name);
  const compression = ending === null ? undefined : COMPRESSIONS.get(ending[1] ?? "");
  if (compression === undefined)
    throw archiveError(`the member ${show(member.name)} has an unknown compression`);
  try {
    yield* decompressPart(compression, { file, ...member });
  } catch (error) {
    const isDamaged = error instanceof DevshellError && error.code === "DECOMPRESS_FAILED";
    throw isDamaged ? archiveError(`${show(member.name)}: ${error.message}`) : error;
  }
}
