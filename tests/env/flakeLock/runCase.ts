import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { REGISTERED, type LockCase, type LockStep } from "./cases.ts";

/** Everything is this old: `lastModified` stands in lock files. */
const TIME_S = 1_700_000_000;

/** Lays a case out below `root`, with a registry that leads to its flakes. */
export function layOut(root: string, { files, repositories = [] }: LockCase): void {
  for (const [path, text] of Object.entries(files)) write(root, path, text);
  for (const repository of repositories) commit(join(root, repository));
  const flakes = REGISTERED.map((id) => ({
    from: { type: "indirect", id },
    to: repositories.includes(id)
      ? { type: "git", url: `file://${join(root, id)}` }
      : { type: "path", path: join(root, id) },
  }));
  write(root, "registry.json", JSON.stringify({ version: 2, flakes }));
  makeOld(root);
}

/** @param lock locks a flake, and writes its lock file */
export function runSteps(
  root: string,
  steps: readonly LockStep[],
  lock: (step: Extract<LockStep, { kind: "lock" }>) => void,
): void {
  for (const step of steps) {
    if (step.kind === "write") write(root, step.path, step.text);
    else lock(step);
    makeOld(root);
  }
}

/** The lock file of `top`, its place left out. */
export function lockText(root: string): string {
  return readFileSync(join(root, "top/flake.lock"), "utf8").replaceAll(root, "@ROOT@");
}

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function makeOld(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.name === ".git") continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) makeOld(path);
    utimesSync(path, TIME_S, TIME_S);
  }
  utimesSync(directory, TIME_S, TIME_S);
}

function commit(directory: string): void {
  const date = `${TIME_S} +0000`;
  const env = {
    ...process.env,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_DATE: date,
  };
  const git = (...args: string[]): unknown =>
    execFileSync("git", ["-C", directory, "-c", "user.name=x", "-c", "user.email=x@example.org", ...args], {
      env,
      stdio: "pipe",
    });
  git("init", "--quiet", "--initial-branch=main");
  git("add", ".");
  git("commit", "--quiet", "--no-gpg-sign", "-m", "first");
}
