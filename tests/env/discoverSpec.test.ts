import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InputTracker } from "../../env/inputTracker.ts";
import { discoverSpec } from "../../env/spec/discoverSpec.ts";

describe("a spec that cannot be read", () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "devshell-spec-"))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const discover = (files?: string[]): Promise<unknown> =>
    discoverSpec({ directory, files }, new InputTracker("/nix/store"));

  const cases: readonly (readonly [string, (path: string) => void, RegExp])[] = [
    ["a directory", (path) => mkdirSync(path), /it is a directory/],
    ["a pipe", (path) => void spawnSync("mkfifo", [path]), /it is no regular file/],
    ["a circle of links", (path) => symlinkSync(path, path), /lead round in a circle/],
    ["a link to nothing", (path) => symlinkSync("gone", path), /does not exist/],
  ];
  for (const name of ["devshell.yaml", "shell.nix", "package.json"])
    it.each(cases)(`${name}: %s`, async (_what, make, message) => {
      make(join(directory, name));
      await expect(discover()).rejects.toThrow(message);
      await expect(discover()).rejects.toMatchObject({ code: "SPEC_UNREADABLE" });
    });

  it("is told by name, too", async () => {
    symlinkSync("gone", join(directory, "x.nix"));
    await expect(discover(["x.nix"])).rejects.toThrow(
      /x\.nix": it is a symbolic link to what does not exist/,
    );
  });

  it.skipIf(process.getuid?.() === 0)("is of someone else (skipped for root, who may read all)", async () => {
    writeFileSync(join(directory, "shell.nix"), "1");
    chmodSync(join(directory, "shell.nix"), 0);
    await expect(discover()).rejects.toThrow(/permission denied/);
  });
});
