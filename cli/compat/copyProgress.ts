import type { StorePath } from "../../store/index.ts";
// Not from the index, which would bring Ink into the bundle that copies.
import { formatBytes, formatDuration } from "../tui/rows.ts";

/** The rate is that of the last seconds. */
const RATE_WINDOW_MS = 5000;
const SAMPLE_MS = 250;

/** How far the copying of several paths is, for whoever waits for it. */
export class CopyProgress {
  #count = 0;
  #totalBytes = 0;
  #endedPaths = 0;
  readonly #running = new Map<StorePath, number>();
  #endedBytes = 0;
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  plan(count: number, totalBytes: number): void {
    this.#count = count;
    this.#totalBytes = totalBytes;
  }

  /** @param doneBytes of this path, in all */
  note(path: StorePath, doneBytes: number, nowMs: number): void {
    this.#running.set(path, doneBytes);
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs: nowMs, bytes: this.#doneBytes() });
    while (nowMs - (this.#samples[0]?.atMs ?? nowMs) > RATE_WINDOW_MS) this.#samples.shift();
  }

  end(path: StorePath): void {
    this.#endedPaths++;
    this.#endedBytes += this.#running.get(path) ?? 0;
    this.#running.delete(path);
  }

  /** `3 of 40 paths  1.2 MB of 30 MB  4.0 MB/s  ETA 8 s` */
  text(nowMs: number): string {
    const done = Math.min(this.#doneBytes(), this.#totalBytes);
    const rate = this.#rate(nowMs);
    return [
      `${this.#endedPaths} of ${this.#count} paths`,
      `${formatBytes(done)} of ${formatBytes(this.#totalBytes)}`,
      ...(rate > 0 ? [`${formatBytes(rate)}/s`] : []),
      ...(rate > 0 && done < this.#totalBytes
        ? [`ETA ${formatDuration(Math.ceil((this.#totalBytes - done) / rate))}`]
        : []),
    ].join("  ");
  }

  #doneBytes(): number {
    return [...this.#running.values()].reduce((sum, bytes) => sum + bytes, this.#endedBytes);
  }

  #rate(nowMs: number): number {
    const first = this.#samples[0];
    if (first === undefined || nowMs <= first.atMs) return 0;
    return Math.max(0, ((this.#doneBytes() - first.bytes) * 1000) / (nowMs - first.atMs));
  }
}
