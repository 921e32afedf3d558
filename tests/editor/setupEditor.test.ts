// scripts/setup-editor on other machines: apt-get, npm, id, sudo are stand-ins on PATH.
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/setup-editor");
/** Makes what code-server's package would: the folders and a node that starts. */
const NPM = `echo npm >>"$CALLS"; sleep 0.2
vscode=node_modules/code-server/lib/vscode
case $PWD in */tmp.??????)
  mkdir -p $vscode/extensions $vscode/node_modules/@vscode/spdlog $vscode/node_modules/@vscode/native-watchdog
  mkdir -p $vscode/node_modules/a/prebuilds/linux-x64 $vscode/node_modules/a/prebuilds/darwin-x64
  for cpu in x64 arm64; do
    mkdir -p node_modules/node-linux-$cpu/bin
    printf '#!/bin/sh\\necho 1\\n' >node_modules/node-linux-$cpu/bin/node
    chmod +x node_modules/node-linux-$cpu/bin/node
  done
esac`;

let dir: string;
let env: Record<string, string>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "devshell-setup-editor-"));
  env = {
    PATH: `${dir}/bin:/usr/bin:/bin`,
    HOME: dir,
    CALLS: `${dir}/calls`,
    DEVSHELL_EDITOR_CACHE: `${dir}/cache`,
    DEVSHELL_EDITOR_CHROMIUM: `${dir}/chromium`,
  };
  mkdirSync(`${dir}/bin`);
  stub("id", "echo 0");
  stub("npm", NPM);
  stub("apt-cache", 'test -e "$HOME/lists"');
  stub(
    "apt-get",
    `echo "$*" | grep -oE 'update|install.*' >>"$CALLS"
     case "$*" in
       *update) : >"$HOME/lists" ;;
       *) printf '#!/bin/sh\\n' >"$DEVSHELL_EDITOR_CHROMIUM"; chmod +x "$DEVSHELL_EDITOR_CHROMIUM" ;;
     esac`,
  );
});
afterEach(() => rmSync(dir, { recursive: true }));

test("installs both, lists first when they are missing; then has nothing to do", () => {
  const first = setUp();
  expect(first.stderr).toContain("installing Chromium");
  expect(first).toMatchObject({ status: 0 });
  expect(calls()).toEqual([
    "update",
    "install --no-install-recommends chromium fonts-dejavu-core",
    "npm",
    "npm",
    "npm",
  ]);
  const folder = first.stdout.trim();
  expect(readdirSync(`${folder}/node_modules/code-server/lib/vscode/node_modules/a/prebuilds`)).toHaveLength(
    1,
  );
  expect(readdirSync(`${dir}/cache`).filter((name) => name.startsWith("tmp."))).toEqual([]);

  expect(setUp()).toMatchObject({ status: 0, stdout: first.stdout, stderr: "" });
  expect(calls()).toHaveLength(5);
});

test("lets another set-up finish, then finds its work done", async () => {
  const other = spawn("sh", [SCRIPT], { env, stdio: "ignore" });
  expect(setUp().status).toBe(0);
  if (other.exitCode === null) await once(other, "exit");
  expect(other.exitCode).toBe(0);
  expect(calls().filter((call) => call === "npm")).toHaveLength(3);
});

test("uses sudo where that needs no password", () => {
  stub("id", "echo 1000");
  stub("sudo", 'echo "sudo $1 $2" >>"$CALLS"; shift; exec "$@"');
  expect(setUp().status).toBe(0);
  expect(calls().slice(0, 3)).toEqual(["sudo -n true", "sudo -n env", "update"]);
});

test.for([
  {
    name: "no root",
    stubs: { id: "echo 1000", sudo: "exit 1" },
    reason: /chromium is missing, and apt-get needs root \(as root: apt-get install chromium\)$/,
  },
  {
    name: "no lists to be had",
    stubs: { "apt-get": "echo 'E: Failed to fetch http://deb.example/'; exit 100" },
    reason: /apt-get update failed: E: Failed to fetch http:\/\/deb\.example\/$/,
  },
  {
    name: "no such package",
    stubs: {
      "apt-cache": "exit 0",
      "apt-get": 'case "$*" in *install*) echo "E: Unable to locate package"; exit 100; esac',
    },
    reason: /apt-get install chromium failed: E: Unable to locate package$/,
  },
  {
    name: "no registry",
    stubs: { npm: "echo 'npm error code ENOTFOUND' >&2; echo 'npm error A complete log' >&2; exit 1" },
    reason: /npm install code-server failed: npm error code ENOTFOUND$/,
  },
])("exits with 75 and one line that says why: $name", ({ stubs, reason }) => {
  for (const [name, body] of Object.entries(stubs)) stub(name, body ?? "");
  const run = setUp();
  expect(run).toMatchObject({ status: 75, stdout: "" });
  expect(run.stderr.trim().split("\n").at(-1)).toMatch(reason);
  expect(existsSync(`${dir}/cache`) ? readdirSync(`${dir}/cache`).sort() : []).toEqual(["lock", "setup.log"]);
});

test.for(["SIGTERM", "SIGKILL"] as const)(
  "a set-up ended by %s leaves no folder that looks whole",
  async (signal) => {
    stub("npm", `${NPM}\nsleep 60`);
    const run = spawn("sh", [SCRIPT], { env, stdio: "ignore", detached: true });
    await expect.poll(() => existsSync(`${dir}/calls`) && calls().includes("npm")).toBe(true);
    process.kill(-(run.pid ?? 0), signal);
    await once(run, "exit");
    stub("npm", NPM);
    const folder = setUp().stdout.trim();
    expect(readdirSync(`${dir}/cache`).sort()).toEqual([basename(folder), "lock", "setup.log"]);
  },
);

function stub(name: string, body: string): void {
  writeFileSync(`${dir}/bin/${name}`, `#!/bin/sh\n${body}\n`);
  chmodSync(`${dir}/bin/${name}`, 0o755);
}

function setUp(): SpawnSyncReturns<string> {
  return spawnSync("sh", [SCRIPT], { env, encoding: "utf8" });
}

function calls(): string[] {
  return readFileSync(`${dir}/calls`, "utf8").trim().split("\n");
}
