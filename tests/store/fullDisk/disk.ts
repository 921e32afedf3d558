import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

const PAGE_BYTES = 4096;
const CHUNK = Buffer.alloc(1 << 20, "x");

/** A small disk that is filled up to a wanted rest: of bytes, or of files that may still be made. */
export interface FillableDisk {
  /** Leaves this much room. */
  leave(room: number): void;
  /** Makes all room again. */
  empty(): void;
}

/** @param mountPoint of a file system of its own */
export class DiskOfBytes implements FillableDisk {
  readonly #mountPoint: string;
  readonly #fd: number;
  #size = 0;

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
    this.#fd = openSync(join(mountPoint, "ballast"), "w");
  }

  leave(room: number): void {
    // Room comes and goes by whole pages.
    const wanted = room - (room % PAGE_BYTES);
    for (let surplus = this.#free() - wanted; surplus !== 0; surplus = this.#free() - wanted) {
      if (surplus < 0) {
        this.#size = Math.max(0, this.#size + surplus);
        ftruncateSync(this.#fd, this.#size);
        if (this.#size === 0) return;
      } else this.#size += writeSync(this.#fd, CHUNK, 0, Math.min(surplus, CHUNK.length), this.#size);
    }
  }

  empty(): void {
    this.#size = 0;
    ftruncateSync(this.#fd, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#mountPoint);
    return bavail * bsize;
  }
}

export class DiskOfFiles implements FillableDisk {
  readonly #mountPoint: string;
  readonly #directory: string;
  #next = 0;

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
    this.#directory = join(mountPoint, "ballast");
    mkdirSync(this.#directory);
  }

  leave(room: number): void {
    while (this.#free() > room) writeFileSync(join(this.#directory, String(this.#next++)), "");
    const names = readdirSync(this.#directory);
    while (this.#free() < room) {
      const name = names.pop();
      if (name === undefined) return;
      rmSync(join(this.#directory, name));
    }
  }

  empty(): void {
    for (const name of readdirSync(this.#directory)) rmSync(join(this.#directory, name));
  }

  #free(): number {
    return statfsSync(this.#mountPoint).ffree;
  }
}
