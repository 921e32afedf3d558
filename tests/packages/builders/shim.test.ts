import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../../core/index.ts";

const hasGcc = spawnSync("gcc", ["--version"]).status === 0;

const PROGRAM = `#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char line[4096] = "";
  struct stat st;
  FILE *file;
  if (!strcmp(argv[1], "read")) { file = fopen(argv[2], "r"); if (!file) return 1; fgets(line, sizeof line, file); fputs(line, stdout); }
  if (!strcmp(argv[1], "write")) { file = fopen(argv[2], "w"); return file ? 0 : 1; }
  if (!strcmp(argv[1], "stat")) return stat(argv[2], &st) == 0 ? 0 : 1;
  if (!strcmp(argv[1], "popen")) { file = popen(argv[2], "r"); fgets(line, sizeof line, file); fputs(line, stdout); pclose(file); }
  if (!strcmp(argv[1], "shell")) execl("/bin/sh", "sh", "-c", argv[2], (char *)NULL);
  if (!strcmp(argv[1], "exec")) execl(argv[2], argv[2], "arg", (char *)NULL);
  if (!strcmp(argv[1], "path")) { setenv("PATH", argv[2], 1); puts(getenv("PATH")); }
  return 0;
}
`;

describe.skipIf(!hasGcc)("devshell-root.c (skipped where there is no gcc)", () => {
  let root: string;
  const UNIQUE = "devshell-test-only";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "devshell-shim-"));
    const lib = join(root, "usr/lib/x86_64-linux-gnu");
    for (const part of [lib, join(root, "usr/bin"), join(root, "usr/share"), join(root, "usr/lib/git-core")])
      mkdirSync(part, { recursive: true });
    const source = join(packageRoot, "packages/debian/builders/shim/devshell-root.c");
    const shim = join(lib, "libdevshell-root.so");
    execFileSync("gcc", [
      "-shared",
      "-fPIC",
      "-O2",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-Wl,-soname,libdevshell-root.so",
      "-o",
      shim,
      source,
      "-ldl",
    ]);
    writeFileSync(join(root, "p.c"), PROGRAM);
    execFileSync("gcc", [
      "-w",
      "-o",
      join(root, "usr/bin/p"),
      "-Wl,--no-as-needed",
      shim,
      "-Wl,-rpath,$ORIGIN/../lib/x86_64-linux-gnu",
      join(root, "p.c"),
    ]);
    writeFileSync(join(root, `usr/share/${UNIQUE}`), "from the tree\n");
    writeFileSync(join(root, `usr/bin/${UNIQUE}`), '#!/bin/sh\necho "ran $*"\n');
    chmodSync(join(root, `usr/bin/${UNIQUE}`), 0o755);
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const run = (...args: string[]) => spawnSync(join(root, "usr/bin/p"), args, { encoding: "utf8" });

  it("reads and runs the tree's files where it has them", () => {
    expect(run("read", `/usr/share/${UNIQUE}`).stdout).toBe("from the tree\n");
    expect(run("stat", `/usr/share/${UNIQUE}`).status).toBe(0);
    expect(run("stat", `/usr/share/${UNIQUE}-not`).status).toBe(1);
    expect(run("stat", `/usr/local/share/${UNIQUE}`).status).toBe(1);
    expect(run("exec", `/usr/bin/${UNIQUE}`).stdout).toBe("ran arg\n");
  });

  it("moves the words of shell commands, not parts of other paths", () => {
    for (const how of ["popen", "shell"]) {
      expect(run(how, `"/usr/bin/${UNIQUE}" one /usr/share/${UNIQUE} x/usr/share/${UNIQUE}`).stdout).toBe(
        `ran one ${root}/usr/share/${UNIQUE} x/usr/share/${UNIQUE}\n`,
      );
    }
  });

  it("leaves the machine's files, and what is written, as they are", () => {
    expect(run("read", "/etc/passwd").stdout).not.toBe("");
    // The machine has no such directory, the tree has: it is not written to.
    const place = `/usr/share/${UNIQUE}.d/file`;
    mkdirSync(join(root, `usr/share/${UNIQUE}.d`));
    writeFileSync(root + place, "kept\n");
    expect(run("write", place).status).toBe(1);
    expect(run("read", place).stdout).toBe("kept\n");
  });

  it("moves git's own directory in PATH", () => {
    expect(run("path", "/usr/lib/git-core:/usr/bin").stdout).toBe(`${root}/usr/lib/git-core:/usr/bin\n`);
    expect(run("path", "/usr/lib/git-core2:/usr/bin").stdout).toBe("/usr/lib/git-core2:/usr/bin\n");
  });
});
