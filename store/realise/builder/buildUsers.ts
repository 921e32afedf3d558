import { execFile } from "node:child_process";
import { chownSync, chmodSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { DevshellError, fsPath } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import { FileLock } from "../../local/fileLock.ts";
import type { StoreSettings } from "../../types.ts";
import { asUser, type BuilderUser } from "./sandboxMethod.ts";

const FIRST_PAUSE_MS = 20;
const LAST_PAUSE_MS = 500;

/** Whether builders are other users than we. */
export function hasBuildUsers({ config }: StoreSettings): boolean {
  return groupOf(config) !== undefined;
}

function groupOf({ raw }: StoreSettings["config"]): string | undefined {
  const group = raw.get("build-users-group")?.trim() ?? "";
  return group === "" || process.geteuid?.() !== 0 ? undefined : group;
}

/** A user of the group that the option `build-users-group` names, for one build; no other build has it meanwhile. */
export class BuildUser implements BuilderUser, Disposable {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly #lock: FileLock;

  private constructor(user: BuilderUser, lock: FileLock) {
    this.uid = user.uid;
    this.gid = user.gid;
    this.groups = user.groups;
    this.#lock = lock;
  }

  /**
   * Takes one that no build has, ours or Nix's, waiting where there is none.
   * @param onWait told once
   * @returns `undefined` where builds have no users: we are not root, or the option is not set
   * @throws {DevshellError} `BUILD_USERS`
   */
  static async acquire(
    { config, stateDir }: StoreSettings,
    { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: () => void },
  ): Promise<BuildUser | undefined> {
    const group = groupOf(config);
    if (group === undefined) return undefined;
    users ??= new Map();
    let members = users.get(group);
    if (members === undefined) {
      members = membersOf(group);
      users.set(group, members);
    }
    const all = await members;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
      for (const user of all) {
        const lock = FileLock.tryAcquire(`${stateDir}/userpool/${user.uid}`, "exclusive");
        if (lock === undefined) continue;
        const taken = new BuildUser(user, lock);
        try {
          await killProcessesOf(user);
          return taken;
        } catch (error) {
          taken[Symbol.dispose]();
          throw error;
        }
      }
      if (pause === FIRST_PAUSE_MS) onWait();
      await sleep(pause, undefined, { signal });
    }
  }

  /** Ends all that the user runs. */
  async endProcesses(): Promise<void> {
    await killProcessesOf(this);
  }

  /** Nothing of the build's lives on when the next one gets the user. */
  async release(): Promise<void> {
    await this.endProcesses();
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

/** Lets a group's members make paths in the store's directory, and take none away that is another's; as Nix has it. */
export function shareStoreDir(storeDir: string, gid: number): void {
  const { gid: known, mode } = statSync(fsPath(storeDir));
  if (known !== gid) chownSync(fsPath(storeDir), 0, gid);
  if ((mode & 0o7777) !== 0o1775 || known !== gid) chmodSync(fsPath(storeDir), 0o1775);
}

let users: Map<string, Promise<readonly BuilderUser[]>> | undefined;

async function membersOf(group: string): Promise<readonly BuilderUser[]> {
  const [entry = ""] = await entriesOf("group", [group]);
  const [, , gid, names = ""] = entry.split(":");
  if (gid === undefined)
    throw failure(`the group '${group}' specified in 'build-users-group' does not exist`);
  const wanted = names.split(",").filter((name) => name !== "");
  if (wanted.length === 0) throw failure(`the build users group '${group}' has no members`);
  const known = new Map((await entriesOf("passwd", wanted)).map((line) => [line.split(":")[0], line]));
  return await Promise.all(
    wanted.map(async (name) => {
      const uid = Number(known.get(name)?.split(":")[2]);
      if (!Number.isSafeInteger(uid))
        throw failure(`the user '${name}' in the group '${group}' does not exist`);
      if (uid === 0) throw failure(`the Nix user should not be a member of '${group}'`);
      const { stdout } = await run(findProgram("id") ?? "id", ["-G", "--", name]);
      const groups = stdout.trim().split(" ").map(Number);
      return { uid, gid: Number(gid), groups: groups.filter((each) => Number.isSafeInteger(each)) };
    }),
  );
}

/** The system's entries of these names, wherever it has them. */
async function entriesOf(database: "group" | "passwd", names: readonly string[]): Promise<readonly string[]> {
  const getent = findProgram("getent");
  if (getent === undefined) throw failure('the program "getent" is needed for build-users-group');
  // Where one is missing its status is not 0.
  const { stdout } = await run(getent, [database, ...names]).catch((error: unknown) => ({
    stdout: error instanceof Error && "stdout" in error ? String(error.stdout) : "",
  }));
  return stdout.split("\n").filter((line) => line !== "");
}

async function killProcessesOf(user: BuilderUser): Promise<void> {
  const setpriv = findProgram("setpriv");
  if (setpriv === undefined) throw failure('the program "setpriv" is needed for build-users-group');
  // -1: whatever that user may signal, which is what it runs, but for the one that asks.
  await run(setpriv, [...asUser(user), findProgram("sh") ?? "/bin/sh", "-c", "kill -KILL -1 2>/dev/null; :"]);
}

/** Node's module for it is loaded when first used. */
async function run(program: string, words: readonly string[]): Promise<{ readonly stdout: string }> {
  return await promisify(execFile)(program, words);
}

function failure(message: string): DevshellError {
  return new DevshellError("BUILD_USERS", message, {
    hint: "set build-users-group to nothing to build without such users",
  });
}
