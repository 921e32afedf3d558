// onFailure - when an editor test fails: the editors' logs, and a picture of each window.
import type { Page } from "playwright-core";
import { beforeEach } from "vitest";
import { shotPath } from "./shots.ts";

interface Kept {
  readonly name: string;
  read: () => string;
  isClosed: boolean;
  readonly pages: Page[];
}

/** Editors that run, and those that closed since the test began. */
const kept = new Set<Kept>();
let count = 0;

/** Keeps an editor's logs for a failure's report, beyond `close`. */
export function keepLogs(read: () => string): { addPage(page: Page): void; close(): void } {
  const entry: Kept = { name: `editor ${++count}`, read, isClosed: false, pages: [] };
  kept.add(entry);
  return {
    addPage: (page) => void entry.pages.push(page),
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
      for (const { name, read, pages } of kept) {
        for (const page of pages.filter((candidate) => !candidate.isClosed())) {
          const path = shotPath(`failed ${task.name}`);
          await page.screenshot({ path }).catch(() => undefined);
          console.error(`[${name}] picture: ${path}`);
        }
        console.error(`[${name}] log:\n${read()}`);
      }
    });
  });
}
