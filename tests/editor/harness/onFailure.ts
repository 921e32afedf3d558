// onFailure - when an editor test fails: the editors' logs, and a picture of each window.
import { writeFileSync } from "node:fs";
import { beforeEach } from "vitest";
import type { Workbench } from "./openWorkbench.ts";
import { shotPath } from "./shots.ts";

interface Kept {
  readonly name: string;
  read: () => string;
  isClosed: boolean;
  readonly windows: Workbench[];
}

/** Editors that run, and those that closed since the test began. */
const kept = new Set<Kept>();
let count = 0;

/** Keeps an editor's logs for a failure's report, beyond `close`. */
export function keepLogs(read: () => string): { addWindow(window: Workbench): void; close(): void } {
  const entry: Kept = { name: `editor ${++count}`, read, isClosed: false, windows: [] };
  kept.add(entry);
  return {
    addWindow: (window) => void entry.windows.push(window),
    close: () => {
      const last = read();
      entry.read = () => last;
      entry.isClosed = true;
    },
  };
}

/** For vitest's setupFiles. */
export function registerFailureReports(): void {
  beforeEach(({ onTestFailed, task }) => {
    for (const entry of kept) if (entry.isClosed) kept.delete(entry);
    onTestFailed(async () => {
      for (const { name, read, windows } of kept) {
        for (const window of windows) {
          const picture = window.page.isClosed()
            ? window.lastPicture()
            : await window.page.screenshot().catch(() => undefined);
          if (picture === undefined) continue;
          const path = shotPath(`failed ${task.name}`);
          writeFileSync(path, picture);
          console.error(`[${name}] picture: ${path}`);
        }
        console.error(`[${name}] log:\n${read()}`);
      }
    });
  });
}
