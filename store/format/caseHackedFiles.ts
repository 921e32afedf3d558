import { DevshellError, type ByteString } from "../../core/index.ts";
import { CASE_HACK_SUFFIX } from "./caseHack.ts";
import type { NarHandler } from "./narReader.ts";

interface OpenDirectory {
  readonly path: ByteString;
  /** Its entries so far, by their names in lower case. */
  readonly taken: Map<ByteString, { readonly name: ByteString; copies: number }>;
}

/** Tells a handler of a NAR's entries under names that differ by more than case (`use-case-hack`). */
export class CaseHackedFiles implements NarHandler {
  readonly #handler: NarHandler;
  readonly #open: OpenDirectory[] = [];

  constructor(handler: NarHandler) {
    this.#handler = handler;
  }

  directory(path: ByteString): void {
    const place = this.#placeOf(path);
    this.#open.push({ path: place, taken: new Map() });
    this.#handler.directory(place);
  }

  directoryEnd(): void {
    const directory = this.#open.pop();
    if (directory !== undefined) this.#handler.directoryEnd(directory.path);
  }

  symlink(path: ByteString, target: ByteString): void {
    this.#handler.symlink(this.#placeOf(path), target);
  }

  file(path: ByteString, sizeBytes: number, isExecutable: boolean, offset: number): void {
    this.#handler.file(this.#placeOf(path), sizeBytes, isExecutable, offset);
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#handler.data(bytes, start, end);
  }

  fileEnd(): void {
    this.#handler.fileEnd();
  }

  /** @throws {DevshellError} `NAR_CASE_COLLISION` */
  #placeOf(path: ByteString): ByteString {
    const directory = this.#open.at(-1);
    if (directory === undefined) return path;
    const { taken } = directory;
    const given = path.slice(path.lastIndexOf("/") + 1);
    const known = taken.get(lowerCase(given));
    if (known === undefined) {
      taken.set(lowerCase(given), { name: given, copies: 0 });
      return `${directory.path}/${given}`;
    }
    const name = `${given}${CASE_HACK_SUFFIX}${++known.copies}`;
    const other = taken.get(lowerCase(name));
    if (other !== undefined)
      throw new DevshellError(
        "NAR_CASE_COLLISION",
        `NAR contains file name '${given}' that collides with case-hacked file name '${other.name}'`,
      );
    return `${directory.path}/${name}`;
  }
}

/** Of letters of ASCII, as Nix compares. */
function lowerCase(name: ByteString): ByteString {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
