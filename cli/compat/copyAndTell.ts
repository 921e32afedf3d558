import { StoreEndpoint, copyPaths, type CopyRequest, type StorePath } from "../../store/index.ts";
import { Interruption } from "../interruption.ts";
import { CopyProgress } from "./copyProgress.ts";
import { say } from "./output.ts";

const REDRAW_MS = 100;
/** Back to the line's beginning, and what stands there gone. */
const CLEAR_LINE = "\r\u001b[K";

/**
 * Copies and tells of it in Nix's words: a store of this machine's own is not named. At a terminal, how far it is, too.
 * Ctrl-C ends it when what is half written is gone.
 * @throws {Interrupted} then
 */
export async function copyAndTell(request: CopyRequest): Promise<readonly StorePath[]> {
  const { source, target } = request;
  const from = source instanceof StoreEndpoint ? "" : ` from '${source.url}'`;
  const to = target instanceof StoreEndpoint ? "" : ` to '${target.url}'`;
  // Else what is half written would lie in the target until someone writes to it again.
  using interruption = new Interruption(request.signal);
  using status = new StatusLine();
  return await copyPaths({
    ...request,
    signal: interruption.signal,
    onPlan: (count, totalBytes) => {
      status.say(`copying ${count} paths...`);
      status.progress.plan(count, totalBytes);
    },
    onPath: (path) => status.say(`copying path '${path}'${from}${to}...`),
    onRetry: (message) => status.say(`warning: ${message}`),
    onProgress: (path, doneBytes) => {
      status.progress.note(path, doneBytes, Date.now());
      status.draw();
    },
    onCopied: (path) => status.progress.end(path),
  });
}

/** A line at the bottom of the terminal that other lines push down. */
class StatusLine implements Disposable {
  readonly progress = new CopyProgress();
  readonly #isShown = process.stderr.isTTY && process.env["TERM"] !== "dumb";
  #drawnMs = 0;

  say(line: string): void {
    this.#clear();
    say(line);
  }

  draw(): void {
    const nowMs = Date.now();
    if (!this.#isShown || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const text = this.progress.text(nowMs).slice(0, (process.stderr.columns || 80) - 1);
    process.stderr.write(`${CLEAR_LINE}${text}`);
  }

  [Symbol.dispose](): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#drawnMs > 0) process.stderr.write(CLEAR_LINE);
    this.#drawnMs = 0;
  }
}
