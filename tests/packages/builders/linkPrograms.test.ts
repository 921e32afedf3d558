import { linkSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { linkPrograms } from "../../../packages/debian/builders/profile/linkPrograms.ts";
import { TestDirectory } from "../../store/testStore.ts";

describe("what a profile shows of a package of Debian's", () => {
  it("is its programs, by all their names in the tree where they run, and its shared files", () => {
    using dir = new TestDirectory();
    const at = (path: string): string => join(dir.path, path);
    const write = (path: string): void => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), path);
    };
    write("package/usr/bin/vim.basic");
    write("package/usr/sbin/helper");
    write("package/usr/games/play");
    write("package/usr/share/man/man1/vim.1");
    for (const name of ["bin/vim.basic", "sbin/helper", "games/play"]) {
      mkdirSync(dirname(at(`env/usr/${name}`)), { recursive: true });
      linkSync(at(`package/usr/${name}`), at(`env/usr/${name}`));
    }
    // Another package's, an alternative's two links, and one that leads nowhere.
    write("env/usr/bin/sh");
    mkdirSync(at("env/etc/alternatives"), { recursive: true });
    symlinkSync("../../usr/bin/vim.basic", at("env/etc/alternatives/vi"));
    symlinkSync("../../etc/alternatives/vi", at("env/usr/bin/vi"));
    symlinkSync("nothing", at("env/usr/bin/broken"));
    linkPrograms({ package: at("package"), environment: at("env"), out: at("out") });
    expect(readdirSync(at("out")).sort()).toEqual(["bin", "sbin", "share"]);
    expect(readdirSync(at("out/bin")).sort()).toEqual(["play", "vi", "vim.basic"]);
    expect(readFileSync(at("out/bin/vi"), "utf8")).toBe("package/usr/bin/vim.basic");
    expect(readFileSync(at("out/sbin/helper"), "utf8")).toBe("package/usr/sbin/helper");
    expect(readFileSync(at("out/share/man/man1/vim.1"), "utf8")).toContain("vim.1");
  });

  it("is nothing of a package that has neither", () => {
    using dir = new TestDirectory();
    mkdirSync(join(dir.path, "package/usr/lib"), { recursive: true });
    mkdirSync(join(dir.path, "env"));
    const out = join(dir.path, "out");
    linkPrograms({ package: join(dir.path, "package"), environment: join(dir.path, "env"), out });
    expect(readdirSync(out)).toEqual([]);
  });
});
