import type { EnvironmentReport, Report, WatchEvent } from "./types.ts";

/** Where the events of `devshell watch` go: lines of JSON, or lines for people. */
export interface WatchOutput {
  send(event: WatchEvent): void;
  /** Resolves when the reader has taken what was sent. */
  drained(signal?: AbortSignal): Promise<void>;
}

/** Progress is left out while the reader lags behind: what it then reads is not old news. */
export function openWatchOutput(isJson: boolean, stream: NodeJS.WriteStream = process.stdout): WatchOutput {
  return {
    send: (event) => {
      if (event.event === "progress" && stream.writableNeedDrain) return;
      const line = isJson ? JSON.stringify(event) : lineOf(event);
      if (line !== undefined) stream.write(`${line}\n`);
    },
    drained: (signal) =>
      new Promise((resolve) => {
        if (!stream.writableNeedDrain || signal?.aborted === true) return resolve();
        const end = (): void => {
          stream.off("drain", end);
          stream.off("close", end);
          signal?.removeEventListener("abort", end);
          resolve();
        };
        stream.once("drain", end);
        stream.once("close", end);
        signal?.addEventListener("abort", end, { once: true });
      }),
  };
}

/** A line a round; progress is drawn on standard error. */
function lineOf(event: WatchEvent): string | undefined {
  switch (event.event) {
    case "report":
      return lineOfReport(event.report);
    case "same":
      return "unchanged";
    case "hello":
    case "begin":
    case "progress":
      return undefined;
  }
}

function lineOfReport(report: Report): string {
  switch (report.state) {
    case "ready":
      return `ready: ${report.name} (${counts(report)}; ${(report.durationMs / 1000).toFixed(1)} s)`;
    case "failed":
      return `failed: ${report.error.message.split("\n", 1)[0] ?? ""}`;
    case "none":
      return `no spec for ${report.directory}`;
  }
}

function counts({ packages, variables }: EnvironmentReport): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  return `${count(packages.length, "package")}, ${count(variables.length, "variable")}`;
}
