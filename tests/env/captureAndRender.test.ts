import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assembleEnvironment } from "../../env/build/assembleEnvironment.ts";
import { captureSetup } from "../../env/build/captureSetup.ts";
import { parseDeclarations } from "../../env/build/parseDeclarations.ts";
import { diffEnvironment } from "../../env/render/diffEnvironment.ts";
import { environmentFromJson, environmentToJson } from "../../env/render/renderJson.ts";
import { applyEnvironment, renderBash, renderEnter, renderPosix } from "../../env/render/renderShell.ts";
import type { BuildEnvironment } from "../../env/types.ts";
import type { StorePath } from "../../store/index.ts";

const BASH = "/bin/bash";
const DRV = "/nix/store/00000000000000000000000000000000-x.drv" as StorePath;
const NASTY = "a'b\"c\\d $(e) `f`\n\tg\x01\xe4\xff !";

const SETUP = `
PATH=/nix/store/11111111111111111111111111111111-tools/bin
export EXPORTED=$nasty
plain=$nasty
declare -a list=("a b" "" "$nasty")
list[7]=seven
declare -A table=([k]=v ["k 2"]="$nasty")
declare -i number=7
unset LD_PRELOAD
greet() { echo "hello $1"; cat <<XX
}
XX
}
pattern() { [[ $1 == @(a|b) ]]; }
runHook() { eval "\${!1}"; }
shellHook='HOOKED=yes'
`;

describe("capturing a setup", () => {
  let dir: string;
  let environment: BuildEnvironment;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "devshell-capture-"));
    writeFileSync(join(dir, "setup"), SETUP);
    const variables = new Map([
      ["stdenv", dir],
      ["nasty", NASTY],
      ["out", "/nix/store/x"],
    ]);
    environment = assemble(await captureSetup({ bash: BASH, environment: variables }), variables);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function assemble(captured: Awaited<ReturnType<typeof captureSetup>>, variables: Map<string, string>) {
    return assembleEnvironment({
      spec: { kind: "file", path: "/p/shell.nix", root: "/p", isFound: true },
      drvPath: DRV,
      name: "x",
      storeDir: "/nix/store",
      physicalPath: (path) => path,
      derivationVariables: variables,
      captured,
      shell: BASH,
      isPure: false,
      keep: [],
      roots: [],
    });
  }

  /** What a Bash says after it sourced a text. */
  function bash(text: string, script: string, env: NodeJS.ProcessEnv = { PATH: "/usr/bin:/bin" }): string {
    const file = join(dir, `rc-${Math.random()}`);
    writeFileSync(file, `${text}\n${script}`, "latin1");
    return execFileSync(BASH, ["--norc", "--noprofile", file], { env, encoding: "latin1", stdio: "pipe" });
  }

  it("keeps variables, arrays and functions to the byte", () => {
    expect(environment.variables.get("EXPORTED")).toEqual({ kind: "exported", value: NASTY });
    expect(environment.variables.get("plain")).toEqual({ kind: "var", value: NASTY });
    expect(environment.variables.get("list")).toEqual({
      kind: "array",
      value: ["a b", "", NASTY, "seven"],
      indices: [0, 1, 2, 7],
    });
    expect(environment.variables.get("table")).toMatchObject({
      value: new Map([
        ["k", "v"],
        ["k 2", NASTY],
      ]),
    });
    expect([...environment.functions.keys()].sort()).toEqual(["greet", "pattern", "runHook"]);
    expect(environment.unset).toEqual(["LD_PRELOAD"]);
    for (const name of ["LD_LIBRARY_PATH", "HOME", "TMPDIR", "NIX_BUILD_TOP", "BASH_VERSION", "PWD", "UID"])
      expect(environment.variables.has(name)).toBe(false);
  });

  it("comes back the same in Bash, hook last, with the caller's PATH after ours", () => {
    const script = `printf '%s\\0' "$EXPORTED" "$plain" "\${list[7]}" "\${table[k 2]}" "$(greet you)" "$HOOKED" "$PATH" "$NIX_BUILD_TOP" "$IN_NIX_SHELL"; pattern b && echo ok`;
    expect(bash(renderBash(environment), script).split("\0")).toEqual([
      NASTY,
      NASTY,
      "seven",
      NASTY,
      "hello you\n}",
      "yes",
      "/nix/store/11111111111111111111111111111111-tools/bin:/usr/bin:/bin",
      "/tmp",
      "impure",
      "ok\n",
    ]);
  });

  it("comes back the same through JSON", () => {
    const json = JSON.parse(JSON.stringify(environmentToJson(environment))) as ReturnType<
      typeof environmentToJson
    >;
    const back = environmentFromJson(json);
    expect(back.variables.get("EXPORTED")).toEqual(environment.variables.get("EXPORTED"));
    expect(back.functions).toEqual(environment.functions);
    expect(back.appended).toEqual(environment.appended);
  });

  it("exports in any POSIX shell what applyEnvironment computes", () => {
    const file = join(dir, "vars.sh");
    writeFileSync(file, renderPosix(environment), "latin1");
    const caller = { PATH: "/usr/bin:/bin", OTHER: "1" };
    const printed = execFileSync("/bin/sh", ["-c", `. ${file}; env -0`], { env: caller, encoding: "latin1" });
    const found = new Map(
      printed.split("\0").flatMap((entry): [string, string][] => {
        const at = entry.indexOf("=");
        return at < 0 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
      }),
    );
    for (const name of ["PWD", "_", "SHLVL", "OLDPWD"]) found.delete(name);
    expect(found).toEqual(applyEnvironment(environment, caller));
  });

  it("enters pure with the kept variables only, and passes the status on", () => {
    const pure = { ...environment, isPure: true, keep: [...environment.keep, "KEPT"] };
    const file = join(dir, "enter.sh");
    writeFileSync(file, renderEnter(pure), "latin1");
    const result = spawnSync(
      "/bin/sh",
      ["-c", `. ${file}`, "sh", "/bin/sh", "-c", 'echo "$KEPT|$GONE|$HOME|$PATH"; exit 7'],
      {
        env: { PATH: "/usr/bin:/bin", KEPT: "k", GONE: "g", HOME: "/h" },
        encoding: "latin1",
      },
    );
    expect(result.stdout).toBe("k||/h|/nix/store/11111111111111111111111111111111-tools/bin\n");
    expect(result.status).toBe(7);
  });

  it("shows what entering changes, secrets masked", () => {
    const variables = new Map(environment.variables);
    variables.set("API_TOKEN", { kind: "exported", value: "hunter2" });
    const changes = diffEnvironment({ ...environment, variables }, { PATH: "/bin" });
    expect(changes.find((change) => change.name === "API_TOKEN")).toMatchObject({
      value: "********",
      isMasked: true,
    });
    expect(changes.find((change) => change.name === "PATH")).toMatchObject({ kind: "prepended" });
  });

  it("says what a failing setup printed", async () => {
    writeFileSync(join(dir, "setup"), "echo about to fail >&2\nexit 3\n");
    const capture = captureSetup({ bash: BASH, environment: new Map([["stdenv", dir]]) });
    await expect(capture).rejects.toMatchObject({
      code: "ENV_SETUP_FAILED",
      message: expect.stringMatching(/status 0|status 3[^]*about to fail/) as unknown,
    });
  });

  it("ends with an abort", async () => {
    writeFileSync(join(dir, "setup"), "while :; do read -t 1 <> <(:); done\n");
    const capture = captureSetup(
      { bash: BASH, environment: new Map([["stdenv", dir]]) },
      { signal: AbortSignal.timeout(200) },
    );
    await expect(capture).rejects.toMatchObject({ name: "TimeoutError" });
  });
});

describe("parseDeclarations", () => {
  it("reads every quoting Bash prints", () => {
    expect(
      parseDeclarations(
        'declare -x A="a\\$b\\""\ndeclare -- B=$\'\\n\\\'\\303\\244\\E\'\ndeclare -r C\ndeclare -a D=([0]="x y" [3]=$\'\\t\')\ndeclare -A E=([a]="1" ["b c"]="2" )\ndeclare -a F=()\n',
      ),
    ).toMatchObject([
      { name: "A", variable: { kind: "exported", value: 'a$b"' } },
      { name: "B", variable: { kind: "var", value: "\n'\xc3\xa4\x1b" } },
      { name: "C", attributes: "r", variable: undefined },
      { name: "D", variable: { kind: "array", value: ["x y", "\t"], indices: [0, 3] } },
      {
        name: "E",
        variable: {
          kind: "associative",
          value: new Map([
            ["a", "1"],
            ["b c", "2"],
          ]),
        },
      },
      { name: "F", variable: { kind: "array", value: [] } },
    ]);
  });
});
