import { PassThrough } from "node:stream";
import { Terminal } from "@xterm/headless";
import { renderToString } from "ink";
import { describe, expect, it } from "vitest";
import { BuildTree } from "../../cli/tui/BuildTree.tsx";
import { displayMode, openDisplay } from "../../cli/tui/display.ts";
import type { ProgressEvent } from "../../cli/tui/progress.ts";
import type { OutputTerminal } from "../../shell/index.ts";
import type { StorePath } from "../../store/index.ts";

const path = (name: string) => `/nix/store/00000000000000000000000000000000-${name}` as StorePath;

/** A terminal to draw on, and what it shows. */
function fakeTerminal(columns: number, rows: number) {
  const terminal = new Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    columns,
    rows,
    fd: -1,
  }) as unknown as OutputTerminal;
  stream.on("data", (chunk: Buffer) => terminal.write(chunk));
  const screen = async (): Promise<string> => {
    await new Promise<void>((resolve) => terminal.write("", resolve));
    const lines: string[] = [];
    for (let y = 0; y < terminal.buffer.active.length; y++)
      lines.push(terminal.buffer.active.getLine(y)?.translateToString(true) ?? "");
    return lines.join("\n").trimEnd();
  };
  return { stream, screen };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const START: ProgressEvent = {
  kind: "start",
  id: 1,
  activity: "build",
  name: "tool",
  path: path("tool.drv"),
};

describe("BuildTree", () => {
  it("draws rows and nothing more", () => {
    const rows = [
      {
        key: "a",
        parts: [
          { text: "✓", tone: "good" as const },
          { text: " done", tone: "plain" as const },
        ],
      },
      { key: "b", parts: [{ text: "  second", tone: "dim" as const }] },
    ];
    // eslint-disable-next-line no-control-regex
    expect(renderToString(<BuildTree rows={rows} />).replace(/\x1b\[[0-9;]*m/g, "")).toBe("✓ done\n  second");
  });
});

describe("display", () => {
  it("shows what lasts, wipes itself and leaves what failed", async () => {
    const { stream, screen } = fakeTerminal(60, 10);
    const display = openDisplay({ mode: "tui", label: "shell.nix", stream });
    display.onEvent({
      kind: "plan",
      builds: [path("tool.drv")],
      downloads: [],
      downloadBytes: 0,
      unpackedBytes: 0,
    });
    display.onEvent(START);
    for (let tries = 0; tries < 100 && !(await screen()).includes("tool"); tries++) await wait(50);
    expect(await screen()).toMatch(/0 of 1 steps[^]*tool/);
    display.onEvent({ kind: "end", id: 1, status: "failed", message: "Cannot build.\nReason: exit code 3." });
    await display.close();
    expect(await screen()).toBe("devshell: build of tool failed: exit code 3");
    expect(stream.listenerCount("resize")).toBe(0);
  });

  it("stays silent when all is quick", async () => {
    const { stream, screen } = fakeTerminal(60, 10);
    const display = openDisplay({ mode: "tui", label: "shell.nix", stream });
    display.onEvent({ kind: "stage", stage: "evaluate" });
    display.onEvent({ kind: "stage", stage: "done" });
    await display.close();
    expect(await screen()).toBe("");
  });

  it("prints events as JSON lines when asked to", async () => {
    const { stream } = fakeTerminal(60, 10);
    const chunks: string[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
    const display = openDisplay({ mode: "json", label: "", stream });
    display.onEvent(START);
    await display.close();
    expect(JSON.parse(chunks.join(""))).toEqual(START);
  });

  it.each([
    [{}, true, "xterm", "tui"],
    [{}, true, "dumb", "plain"],
    [{}, true, "", "plain"],
    [{}, false, "xterm", "plain"],
    [{ quiet: true }, true, "xterm", "quiet"],
    [{ json: true }, false, "xterm", "json"],
  ])("fits the terminal: %j %s %s → %s", (asked, isTTY, term, mode) => {
    const stream = { isTTY } as unknown as OutputTerminal;
    expect(displayMode(asked, stream, { TERM: term })).toBe(mode);
  });
});
