import { NarReader, type NarHandler } from "../format/narReader.ts";

/** Finds where a NAR ends in a stream that goes on after it: only its own structure tells. */
export class NarBoundary {
  readonly #reader = new NarReader(IGNORED);

  get isPassed(): boolean {
    return this.#reader.isDone;
  }

  /** What of the next piece belongs to the NAR, and what comes after it. @throws {DevshellError} `NAR_…` */
  split(part: Buffer): readonly [nar: Buffer, rest: Buffer] {
    const used = this.#reader.pushUntilEnd(part);
    return [part.subarray(0, used), part.subarray(used)];
  }
}

const IGNORED: NarHandler = {
  directory: () => undefined,
  directoryEnd: () => undefined,
  symlink: () => undefined,
  file: () => undefined,
  data: () => undefined,
  fileEnd: () => undefined,
};
