import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../../core/index.ts";

const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path));

/** An environment of the machine's own tools, with our setup script. */
let dir: string;
let env: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-setup-"));
  env = join(dir, "env");
  mkdirSync(`${env}/usr`, { recursive: true });
  symlinkSync("/usr/bin", `${env}/usr/bin`);
  const fill = (name: string): void => {
    const text = readFileSync(join(packageRoot, "packages/debian/setup", name), "utf8");
    writeFileSync(
      join(env, name === "setup.sh" ? "setup" : name),
      text
        .replaceAll("@env@", env)
        .replaceAll("@triplet@", "x86_64-linux-gnu")
        .replaceAll("@loader@", "/loader"),
    );
  };
  fill("setup.sh");
  fill("default-builder.sh");
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function run(script: string, variables: Record<string, string> = {}, options = "-eu"): string {
  return execFileSync(bash ?? "bash", [options, "-c", `. ${env}/setup; ${script}`], {
    cwd: dir,
    encoding: "utf8",
    // A socket as standard input makes bash read the user's own rc file.
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: "/usr/bin:/bin", stdenv: env, ...variables },
  });
}

describe.skipIf(bash === undefined)("setup (skipped where there is no bash)", () => {
  it.each(["-eu", "-e", "-c"])("can be sourced by bash %s and starts no program", (options) => {
    expect(run("echo done", { PATH: "/nowhere" }, options === "-c" ? "-u" : options)).toBe("done\n");
  });

  it("takes about no time", () => {
    const started = performance.now();
    for (let i = 0; i < 10; i++) run(":");
    expect((performance.now() - started) / 10).toBeLessThan(100);
  });

  it("sets search paths and drops what would beat the store's run paths", () => {
    const input = join(dir, "input");
    for (const part of ["bin", "lib/pkgconfig", "include", "share/aclocal"])
      mkdirSync(join(input, part), { recursive: true });
    const names = ["PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_PATH", "CPATH", "LDFLAGS", "CMAKE_PREFIX_PATH"];
    const text = run(
      `${names.map((name) => `echo "${name}=\${${name}}"`).join(";")}; echo "\${LD_PRELOAD-unset}"`,
      {
        buildInputs: input,
        LD_PRELOAD: "",
      },
    );
    expect(text.split("\n")).toEqual([
      `PATH=${input}/bin:${env}/usr/bin`,
      `PKG_CONFIG_LIBDIR=${env}/usr/lib/x86_64-linux-gnu/pkgconfig:${env}/usr/share/pkgconfig`,
      `PKG_CONFIG_PATH=${input}/lib/pkgconfig`,
      `CPATH=${input}/include`,
      `LDFLAGS=-Wl,-rpath,${input}/lib`,
      `CMAKE_PREFIX_PATH=${input}:${env}/usr`,
      "unset",
      "",
    ]);
  });

  it("runs hooks: functions, texts and arrays", () => {
    expect(
      run(
        'preOne() { echo function; }; preOneHooks=("echo array"); runHook preOne; preTwo="echo text"; runHook preTwo; runHook none',
      ),
    ).toBe("array\nfunction\ntext\n");
  });

  it("substitutes in place, exactly", () => {
    writeFileSync(join(dir, "f"), "a/b & @x@ a/b *\n\n");
    run("substituteInPlace f --replace-fail a/b '\\&c' --subst-var-by x 'y&' --replace-fail '*' star");
    expect(readFileSync(join(dir, "f"), "utf8")).toBe("\\&c & y& \\&c star\n\n");
    const failed = spawnSync(
      bash ?? "bash",
      ["-c", `. ${env}/setup; substituteInPlace f --replace-fail none x`],
      { cwd: dir },
    );
    expect(failed.status).toBe(1);
    expect(failed.stderr.toString()).toContain("pattern 'none' doesn't match anything in file 'f'");
  });

  const hasMake = spawnSync("make", ["--version"]).status === 0;
  it.skipIf(!hasMake)(
    "builds an autotools-like source by its phases (skipped where there is no make)",
    () => {
      const source = join(dir, "src-1.0");
      mkdirSync(source);
      writeFileSync(
        join(source, "configure"),
        '#!/bin/sh\necho "configured $*" > config.log; cp Makefile.in Makefile\n',
      );
      chmodSync(join(source, "configure"), 0o755);
      writeFileSync(
        join(source, "Makefile.in"),
        "all:\n\techo built > built\ncheck:\n\ttest -f built\ninstall:\n\tmkdir -p $(out)/bin; cp tool config.log $(out)/bin; chmod +x $(out)/bin/tool\n",
      );
      writeFileSync(join(source, "tool"), "#!/usr/bin/env bash\necho hi\n");
      execFileSync("tar", ["czf", join(dir, "src.tar.gz"), "-C", dir, "src-1.0"]);
      writeFileSync(
        join(dir, "fix.patch"),
        "--- a/tool\n+++ b/tool\n@@ -1,2 +1,2 @@\n #!/usr/bin/env bash\n-echo hi\n+echo patched\n",
      );
      mkdirSync(join(dir, "build"));
      const out = join(dir, "out");
      const log = execFileSync(bash ?? "bash", ["-e", `${env}/default-builder.sh`], {
        cwd: join(dir, "build"),
        encoding: "utf8",
        env: {
          PATH: "/nowhere",
          NIX_STORE: "/nowhere",
          stdenv: env,
          out,
          src: join(dir, "src.tar.gz"),
          patches: join(dir, "fix.patch"),
          configureFlags: "--enable-x --with-y=z",
          preBuild: 'echo "before the build in $PWD"',
          doCheck: "1",
          NIX_LOG_FD: "1",
        },
      });
      expect(log).toContain("source root is src-1.0");
      expect(log).toContain(`before the build in ${dir}/build/src-1.0`);
      expect(log).toContain('@nix { "action": "setPhase", "phase": "checkPhase" }');
      expect(readFileSync(`${out}/bin/config.log`, "utf8")).toBe(
        `configured --prefix=${out} --enable-x --with-y=z\n`,
      );
      expect(readFileSync(`${out}/bin/tool`, "utf8")).toBe(`#!${env}/usr/bin/bash\necho patched\n`);
    },
  );

  it("installs where $out points when the phase runs, unless $prefix is given", () => {
    mkdirSync(join(dir, "late"));
    const script = 'configureScript="echo ran"; out=/second; configurePhase; prefix=/mine; configurePhase';
    expect(run(`cd late; ${script}`, { out: "/first" })).toMatch(
      /ran --prefix=\/second\n[^]*ran --prefix=\/mine\n/,
    );
  });

  it("ends with the failing phase's status", () => {
    mkdirSync(join(dir, "fail"));
    const failed = spawnSync(bash ?? "bash", ["-e", `${env}/default-builder.sh`], {
      cwd: join(dir, "fail"),
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: "/nowhere",
        stdenv: env,
        out: join(dir, "none"),
        phases: "buildPhase installPhase",
        buildPhase: "echo first; (exit 7); echo never",
        installPhase: "echo later",
      },
      encoding: "utf8",
    });
    expect(failed.status).toBe(7);
    expect(failed.stdout).toContain("first");
    expect(failed.stdout).not.toMatch(/never|later/);
  });

  it("genericBuild in a shell ends with its first failure; the shell and its own trap stay", () => {
    const script = `trap 'echo kept' ERR; one() { echo one; }; two() { false; echo not reached; }
      genericBuild; echo "status $?"; false; echo after`;
    expect(run(script, { phases: "one two three" }, "-u")).toBe(
      "running phase: one\none\nrunning phase: two\nkept\nstatus 1\nkept\nafter\n",
    );
  });
});
