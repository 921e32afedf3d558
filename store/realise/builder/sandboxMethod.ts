import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram } from "../../../io/index.ts";

/** Who the builder is inside. */
export const SANDBOX_UID = 1000;
export const SANDBOX_GID = 100;

/** Where Nix's automatically allocated build users begin (`start-id`): nobody else has these. */
const FIRST_BUILDER_UID = 872_415_232;
const BUILDER_UIDS = 1 << 16;
let builders = 0;

/** Who a builder is outside. */
export interface BuilderUser {
  readonly uid: number;
  readonly gid: number;
  /** All that it is in, or none. */
  readonly groups: readonly number[];
}

/** Whether builders in the sandbox can be other users than we are. */
export async function canBeOthers(): Promise<boolean> {
  const found = await sandboxMethod();
  return found.kind === "unshare" && found.tools.setpriv !== undefined;
}

/**
 * A user for a builder that the system knows nothing of: as root it would be the host's root to whatever looks at user
 * ids only, such as the kernel's own files and sockets.
 */
export function inventUser(): BuilderUser {
  // Processes that build at the same time seldom get the same.
  const uid = FIRST_BUILDER_UID + ((process.pid * 64 + builders++) % BUILDER_UIDS);
  return { uid, gid: uid, groups: [] };
}

/** Words of `setpriv` that make what follows another user for good; the kernel kills it when its parent dies. */
export function asUser({ uid, gid, groups }: BuilderUser): readonly string[] {
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    ...(groups.length === 0 ? WITHOUT_GROUPS : [`--groups=${groups.join(",")}`]),
    "--inh-caps=-all",
    "--bounding-set=-all",
    "--no-new-privs",
    "--pdeathsig=KILL",
    "--",
  ];
}

let dropsGroups: Promise<boolean> | undefined;

/** Whether the supplementary groups that we are in can be left. Tried once a process. */
export function canDropGroups(): Promise<boolean> {
  dropsGroups ??= (async () => {
    const setpriv = findProgram("setpriv");
    return (
      setpriv !== undefined && (await tryProgram(setpriv, [...WITHOUT_GROUPS, "--", "true"])) === undefined
    );
  })();
  return dropsGroups;
}

/** Words of `setpriv`. */
export const WITHOUT_GROUPS: readonly string[] = ["--clear-groups"];

export type SandboxMethod =
  | { readonly kind: "unshare"; readonly tools: Tools }
  | { readonly kind: "bwrap"; readonly bwrap: string }
  | { readonly kind: "none"; readonly obstacle: string };

let method: Promise<SandboxMethod> | undefined;

/** Why builds cannot be sandboxed here; `undefined` where they can. Tried once a process. */
export async function sandboxObstacle(): Promise<string | undefined> {
  const found = await sandboxMethod();
  return found.kind === "none" ? found.obstacle : undefined;
}

/** util-linux where it may make namespaces; else bubblewrap, which some hosts allow more than others. */
export function sandboxMethod(): Promise<SandboxMethod> {
  method ??= findMethod();
  return method;
}

export interface Tools {
  readonly unshare: string;
  /** Set where we are root and may make namespaces as such: then builders run as users of their own. */
  readonly setpriv?: string | undefined;
  readonly mount: string;
  readonly sh: string;
}

async function findMethod(): Promise<SandboxMethod> {
  const unshare = findProgram("unshare");
  const mount = findProgram("mount");
  const sh = findProgram("dash") ?? findProgram("sh");
  const bwrap = findProgram("bwrap");
  const isPreferred = process.env["DEVSHELL_SANDBOX"] === "bwrap";
  let obstacle = '"unshare" and "mount" of util-linux, or "bwrap", are needed';
  if (unshare !== undefined && mount !== undefined && sh !== undefined && !isPreferred) {
    const flags = ["--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--mount-proc", "--"];
    const nested = [unshare, "--user", `--map-user=${SANDBOX_UID}`, "--root=/", sh, "-c", ":"];
    const setpriv = findProgram("setpriv");
    if (setpriv !== undefined && process.geteuid?.() === 0) {
      const other = [setpriv, ...asUser(inventUser())];
      if ((await tryProgram(unshare, [...flags, ...other, ...nested])) === undefined)
        return { kind: "unshare", tools: { unshare, setpriv, mount, sh } };
    }
    const refusal = await tryProgram(unshare, ["--user", "--map-root-user", ...flags, ...nested]);
    if (refusal === undefined) return { kind: "unshare", tools: { unshare, mount, sh } };
    obstacle = refusal;
  }
  if (bwrap !== undefined) {
    const flags = [
      "--unshare-user",
      "--unshare-pid",
      "--unshare-net",
      "--uid",
      String(SANDBOX_UID),
      "--ro-bind",
      "/",
      "/",
    ];
    const refusal = await tryProgram(bwrap, [...flags, "--proc", "/proc", "--", sh ?? "/bin/sh", "-c", ":"]);
    if (refusal === undefined) return { kind: "bwrap", bwrap };
    obstacle = `${obstacle}; ${refusal}`;
  }
  return { kind: "none", obstacle };
}

/** @returns what it said where it failed */
async function tryProgram(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    await promisify(execFile)(program, args, { env: {}, timeout: 10_000 });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    return said === "" ? "the kernel refuses user namespaces" : said;
  }
}
