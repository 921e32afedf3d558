import { fsPath, hashBytes, type ByteString } from "../../core/index.ts";
import { FileLock } from "../local/fileLock.ts";
import { makeDirectories } from "../local/files.ts";
import type { Machine } from "./machines.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { utimesSync } from "node:fs";

/** Uploads to a machine wait for each other, but not for ever. */
const UPLOAD_WAIT_MS = 15 * 60_000;
const MAX_NAME_BYTES = 240;

/** A machine with a free place, which is ours until the lock ends. */
export interface MachineSlot extends Disposable {
  readonly machine: Machine;
}

/** Counts who builds where by lock files that all processes share, real Nix's among them. */
export class MachineSlots {
  readonly #directory: ByteString;

  constructor(stateDir: ByteString) {
    this.#directory = `${stateDir}/current-load`;
  }

  /** Takes a place on the best of the machines: the one with the least load for its speed. @returns `undefined` where all are busy */
  async claim(machines: readonly Machine[], signal: AbortSignal): Promise<MachineSlot | undefined> {
    makeDirectories(this.#directory);
    using _main = await FileLock.acquire(`${this.#directory}/main-lock`, "exclusive", { signal });
    let best: { readonly machine: Machine; readonly lock: FileLock; readonly load: number } | undefined;
    for (const machine of machines) {
      const { lock, load } = this.#tryMachine(machine);
      if (lock === undefined) continue;
      if (best === undefined || isBetter({ machine, load }, best)) {
        best?.lock[Symbol.dispose]();
        best = { machine, lock, load };
      } else lock[Symbol.dispose]();
    }
    if (best === undefined) return undefined;
    const { machine, lock } = best;
    const now = new Date();
    utimesSync(fsPath(lock.path), now, now);
    return { machine, [Symbol.dispose]: () => lock[Symbol.dispose]() };
  }

  /** Lets one process at a time send to a machine, since what they send is often the same. */
  async lockUploads(url: string, signal: AbortSignal): Promise<Disposable> {
    const path = `${this.#directory}/${fileName(url)}.upload-lock`;
    const stop = new AbortController();
    const patience = sleep(UPLOAD_WAIT_MS, undefined, { signal: stop.signal, ref: false }).then(
      () => ({ [Symbol.dispose]: () => undefined }),
      () => ({ [Symbol.dispose]: () => undefined }),
    );
    const both = AbortSignal.any([signal, stop.signal]);
    const lock = FileLock.acquire(path, "exclusive", { signal: both });
    try {
      return await Promise.race([lock, patience]);
    } finally {
      stop.abort();
      lock.catch(() => undefined);
    }
  }

  #tryMachine(machine: Machine): { readonly lock: FileLock | undefined; readonly load: number } {
    let free: FileLock | undefined;
    let load = 0;
    for (let slot = 0; slot < machine.maxJobs; slot++) {
      const lock = FileLock.tryAcquire(`${this.#directory}/${fileName(machine.url)}-${slot}`, "exclusive");
      if (lock === undefined) load++;
      else if (free === undefined) free = lock;
      else lock[Symbol.dispose]();
    }
    return { lock: free, load };
  }
}

function isBetter(
  a: { readonly machine: Machine; readonly load: number },
  b: { readonly machine: Machine; readonly load: number },
): boolean {
  const difference = a.load / a.machine.speedFactor - b.load / b.machine.speedFactor;
  if (difference !== 0) return difference < 0;
  if (a.machine.speedFactor !== b.machine.speedFactor) return a.machine.speedFactor > b.machine.speedFactor;
  return a.load < b.load;
}

function fileName(url: string): string {
  const name = url.replaceAll("/", "_");
  return Buffer.byteLength(name) <= MAX_NAME_BYTES ? name : hashBytes("md5", name).digest.toString("hex");
}
