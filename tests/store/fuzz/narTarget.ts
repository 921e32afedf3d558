import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError } from "../../../core/index.ts";
import { NAR_TOKENS, narChunks, narString } from "../../../store/format/nar.ts";
import { NarReader, type NarHandler } from "../../../store/format/narReader.ts";
import { NarLister, NarRestorer } from "../../../store/format/narRestore.ts";
import { deleteTree } from "../../../store/local/files.ts";
import { printNarListing } from "../../../store/remote/binaryCache/narListing.ts";
import type { Random } from "../mutate.ts";
import type { FuzzTarget } from "./target.ts";

/** One of so many inputs is unpacked onto the disk too: that takes a hundred times as long as reading it. */
const RESTORED = 128;
/** One of so many comes in pieces of any size, others in not too many. */
const FINELY_CUT = 16;

export function makeTarget(): FuzzTarget {
  const directory = mkdtempSync(join(tmpdir(), "devshell-fuzz-"));
  let count = 0;
  return {
    corpus: corpus(),
    isCorpusRight: true,
    tokens: [
      ...Object.values(NAR_TOKENS),
      ...["", ".", "..", "a/b", "a", "b", "\0", "x".repeat(256)].map(narString),
    ],
    run: (input, random) => {
      if (count++ % RESTORED === 0) restore(directory, input, random);
      const whole = rebuild([input]);
      const inPieces = rebuild(pieces(input, random));
      if (outcomeOf(whole) !== outcomeOf(inPieces))
        throw new Error(`whole: ${outcomeOf(whole)}; in pieces: ${outcomeOf(inPieces)}`);
      if (whole instanceof DevshellError) throw whole;
      // There is but one way to write a tree.
      if (!whole.equals(input)) throw new Error("accepted, yet not the archive of what it holds");
    },
    end: () => rmdirSync(directory),
  };
}

function corpus(): Buffer[] {
  const file = (text: string, isExecutable = false): Buffer =>
    archive((handler, path) => {
      handler.file(path, text.length, isExecutable, 0);
      if (text !== "") handler.data(Buffer.from(text), 0, text.length);
      handler.fileEnd();
    });
  const link = archive((handler, path) => handler.symlink(path, "../elsewhere"));
  const tree = archive((handler) => {
    handler.directory("");
    for (const name of ["/a", "/b", "/c.d"]) {
      handler.file(name, 3, name === "/b", 0);
      handler.data(Buffer.from("abc"), 0, 3);
      handler.fileEnd();
    }
    handler.directory("/sub");
    handler.symlink("/sub/link", "/etc/passwd");
    handler.directory("/sub/sub");
    handler.directoryEnd("/sub/sub");
    handler.directoryEnd("/sub");
    handler.directoryEnd("");
  });
  const deep = archive((handler) => {
    const paths = Array.from({ length: 20 }, (_, depth) => "/d".repeat(depth));
    for (const path of paths) handler.directory(path);
    for (const path of paths.toReversed()) handler.directoryEnd(path);
  });
  return [file(""), file("some text", true), file("x".repeat(5000)), link, tree, deep];
}

function archive(describe: (handler: NarHandler, path: string) => void): Buffer {
  const builder = new Rebuilder();
  describe(builder, "");
  return builder.bytes();
}

function* pieces(input: Buffer, random: Random): Generator<Buffer> {
  const least = random.below(FINELY_CUT) === 0 ? 1 : input.length >> 6;
  const most = Math.max(least, 1 << random.below(9));
  for (let at = 0; at < input.length;) {
    const size = 1 + random.below(most);
    const piece = Buffer.from(input.subarray(at, at + size));
    yield piece;
    // The reader may keep nothing of a piece that it does not own.
    piece.fill(0xaa);
    at += size;
  }
}

/** What the archive holds, archived anew; or why it is none. */
function rebuild(source: Iterable<Buffer>): Buffer | DevshellError {
  const builder = new Rebuilder();
  const reader = new NarReader(builder);
  try {
    for (const piece of source) reader.push(piece);
    reader.end();
  } catch (error) {
    if (error instanceof DevshellError) return error;
    throw error;
  }
  return builder.bytes();
}

function outcomeOf(result: Buffer | DevshellError): string {
  return result instanceof DevshellError ? result.message : `archive of ${result.length} bytes`;
}

function restore(directory: string, input: Buffer, random: Random): void {
  const out = join(directory, "out");
  try {
    const lister = new NarLister();
    const reader = new NarReader(lister);
    using restorer = new NarRestorer(out);
    for (const piece of pieces(input, random)) {
      restorer.push(piece);
      reader.push(piece);
    }
    restorer.end();
    JSON.parse(printNarListing(lister.root()));
    if (!Buffer.concat(Array.from(narChunks(out), (chunk) => Buffer.from(chunk))).equals(input))
      throw new Error("restored, yet not the archive of what is there");
  } catch (error) {
    if (!(error instanceof DevshellError)) throw error;
  }
  const strange = readdirSync(directory).filter((name) => name !== "out");
  if (strange.length > 0) throw new Error(`written outside: ${strange.join()}`);
  deleteTree(out);
}

/** Archives what it is told. */
class Rebuilder implements NarHandler {
  readonly #parts: Buffer[] = [NAR_TOKENS.magic];
  #path = "";
  #left = 0;
  #sizeBytes = 0;

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  directory(path: string): void {
    this.#open(path);
    this.#parts.push(NAR_TOKENS.openDirectory);
  }

  directoryEnd(path: string): void {
    this.#close(path);
  }

  symlink(path: string, target: string): void {
    this.#open(path);
    this.#parts.push(NAR_TOKENS.openSymlink, narString(target));
    this.#close(path);
  }

  file(path: string, sizeBytes: number, isExecutable: boolean): void {
    this.#open(path);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(sizeBytes));
    this.#parts.push(NAR_TOKENS.openRegular);
    if (isExecutable) this.#parts.push(NAR_TOKENS.executable);
    this.#parts.push(NAR_TOKENS.contents, size);
    [this.#path, this.#left, this.#sizeBytes] = [path, sizeBytes, sizeBytes];
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#left -= end - start;
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  fileEnd(): void {
    if (this.#left !== 0) throw new Error(`${this.#left} bytes of a file are missing`);
    this.#parts.push(Buffer.alloc((8 - (this.#sizeBytes % 8)) % 8));
    this.#close(this.#path);
  }

  #open(path: string): void {
    if (path !== "")
      this.#parts.push(
        NAR_TOKENS.openEntry,
        narString(path.slice(path.lastIndexOf("/") + 1)),
        NAR_TOKENS.node,
      );
  }

  #close(path: string): void {
    this.#parts.push(NAR_TOKENS.close);
    if (path !== "") this.#parts.push(NAR_TOKENS.close);
  }
}
