import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeJsonLog } from "../../cli/compat/jsonLog.ts";
import type { StorePath } from "../../store/index.ts";

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "devshell-json-log-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("says what happens as Nix's internal-json does, a line each", () => {
  const file = join(dir, "log.json");
  const path = "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv" as StorePath;
  const log = (event: Parameters<typeof writeJsonLog>[1]): void => writeJsonLog(file, event);
  log({ kind: "start", id: 7, activity: "build", name: "foo", path, builder: "/bin/sh" });
  log({ kind: "phase", id: 7, phase: "buildPhase" });
  log({ kind: "transfer", id: 7, url: "https://example.org/nar/x.nar.xz" });
  log({ kind: "log", id: 7, line: "a line" });
  log({ kind: "log", id: 0, line: "warning: something" });
  log({ kind: "end", id: 7, status: "done" });
  expect(readFileSync(file, "utf8").trim().split("\n")).toEqual([
    `{"action":"start","fields":["${path}","",1,1],"id":7,"level":3,"parent":0,"text":"building '${path}'","type":105}`,
    `{"action":"msg","level":5,"msg":"executing builder '/bin/sh'"}`,
    '{"action":"result","fields":["buildPhase"],"id":7,"type":104}',
    `{"action":"msg","level":4,"msg":"downloading 'https://example.org/nar/x.nar.xz'..."}`,
    '{"action":"result","fields":["a line"],"id":7,"type":101}',
    '{"action":"msg","level":1,"msg":"warning: something"}',
    '{"action":"stop","id":7}',
  ]);
});

it("says why it cannot be written", () => {
  const write = (): void => writeJsonLog(join(dir, "absent", "log"), { kind: "end", id: 1, status: "done" });
  expect(write).toThrow(/^Cannot write the log/);
});
