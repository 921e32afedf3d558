import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadsDir } from "../../../store/local/layout.ts";
import { builderLimits } from "../../../store/realise/builder/builderProcess.ts";
import { removeOrphanedDownloads } from "../../../store/realise/orphanedDownloads.ts";

describe("downloads of killed processes", () => {
  let stateDir: string;
  beforeEach(() => (stateDir = mkdtempSync(join(tmpdir(), "devshell-orphans-"))));
  afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

  function download(name: string, ageSeconds: number): string {
    const path = join(downloadsDir(stateDir), name);
    mkdirSync(downloadsDir(stateDir), { recursive: true });
    writeFileSync(path, "begun");
    const at = Date.now() / 1000 - ageSeconds;
    utimesSync(path, at, at);
    return path;
  }

  it("are deleted, but for recent ones and those that a process has open", () => {
    const [orphan, recent, held] = [download("a.part", 3600), download("b.part", 1), download("c.nar", 3600)];
    const fd = openSync(held, "r");
    try {
      removeOrphanedDownloads(stateDir);
    } finally {
      closeSync(fd);
    }
    expect([orphan, recent, held].map((path) => existsSync(path))).toEqual([false, true, true]);
  });

  it("need not be there", () => {
    expect(() => removeOrphanedDownloads(stateDir)).not.toThrow();
  });
});

describe("builderLimits", () => {
  it("gives a builder its caller's stack, not the evaluator's", () => {
    expect(builderLimits({ DEVSHELL_STACK: "8192" })).toContain("ulimit -S -s 8192 ");
    expect(builderLimits({ DEVSHELL_STACK: "unlimited" })).toContain("ulimit -S -s unlimited ");
    expect(builderLimits({})).not.toContain("-s ");
    expect(builderLimits({ DEVSHELL_STACK: "8192; touch /x" })).not.toContain("-s ");
  });
});
