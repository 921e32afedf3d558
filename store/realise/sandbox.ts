import { execFile } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { mkdir, symlink, writeFile, chmod } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { DevshellError, fsPath, quoteForShell, type ByteString } from "../../core/index.ts";
import type { StorePath, StoreSettings } from "../types.ts";
import type { BuilderCommand, BuilderLaunch } from "./builderProcess.ts";
import {
  builderLimits,
  deathSignal,
  envWords,
  exportLines,
  processText,
  splitEnvironment,
} from "./builderProcess.ts";
import { findProgram } from "../../io/index.ts";

export const SANDBOX_BUILD_DIR = "/build";
const SANDBOX_UID = 1000;
const SANDBOX_GID = 100;

export interface SandboxRequest {
  readonly settings: StoreSettings;
  readonly command: BuilderCommand;
  /** An existing, empty directory that becomes the root's home; on the store's file system, for outputs move out of it. */
  readonly chrootDir: string;
  readonly inputPaths: Iterable<StorePath>;
  /** Where a store path's files lie on the host. */
  readonly realPath: (path: StorePath) => ByteString;
  /** Fixed outputs keep the host's network. */
  readonly hasNetwork: boolean;
}

/**
 * Lays out a sandbox's root directory and tells how to start the builder in it: own mounts, processes, IPC, host
 * name, users and (unless it has a fixed output) network, by util-linux's `unshare` and `mount`, or by bubblewrap. The
 * root is entered as uid 1000 without any capability, so the builder cannot leave it or undo its mounts.
 * The store inside holds the input closure, read-only; what the builder adds there lies below {@link sandboxedPath}.
 */
export async function launchInSandbox(request: SandboxRequest): Promise<BuilderLaunch> {
  const { settings, command, chrootDir } = request;
  const root = join(chrootDir, "root");
  const binds = new Binds(root);
  await makeSkeleton(root, settings.storeDir);
  for (const path of request.inputPaths)
    await bindStorePath(binds, { source: request.realPath(path), target: path });
  await binds.bind(command.hostBuildDir, SANDBOX_BUILD_DIR, "rw");
  for (const device of ["full", "null", "random", "tty", "urandom", "zero"])
    await binds.bind(`/dev/${device}`, `/dev/${device}`, "rw");
  for (const { source, target } of await sandboxPaths(settings)) await binds.bind(source, target, "ro");
  if (request.hasNetwork)
    for (const file of ["/etc/resolv.conf", "/etc/services", "/etc/hosts"])
      if (existsSync(file)) await binds.bind(realpathSync(file), file, "ro");
  await writeFile(fsPath(join(chrootDir, "fstab")), fstabOf(binds.list), "latin1");
  const { safe, withheld, odd } = splitEnvironment(command.env);
  const inner = [command.builder, ...command.args].map(processText);
  const wrapped =
    withheld.size === 0 ? inner : ["/bin/sh", "-c", `${exportLines(withheld)}exec "$0" "$@"`, ...inner];
  const method = await sandboxMethod();
  if (method.kind === "none") throw new DevshellError("SANDBOX_UNAVAILABLE", method.obstacle);
  const isolateNetwork = !request.hasNetwork;
  const argv =
    method.kind === "unshare"
      ? unshareCommand(method.tools, { root, chrootDir, isolateNetwork, prefix: envWords(odd), wrapped })
      : bubblewrapCommand(method.bwrap, {
          root,
          isolateNetwork,
          prefix: envWords(odd),
          binds: binds.list,
          wrapped,
        });
  return {
    argv: [...deathSignal(), ...argv],
    env: safe,
    cwd: "/",
    setupFailure: "while setting up the build environment",
  };
}

/** Where something of the sandbox's store lies on the host. */
export function sandboxedPath(chrootDir: string, path: string): string {
  return join(chrootDir, "root", path);
}

/**
 * The builder could have put a link in the place of a directory on the way to its store, and so have us take something
 * of the host's for its output.
 * @throws {DevshellError} `SANDBOX_FAILED`
 */
export function checkSandboxStore(chrootDir: string, storeDir: string): void {
  const expected = join(realpathSync(fsPath(chrootDir), "latin1"), "root", storeDir);
  if (realpathSync(fsPath(sandboxedPath(chrootDir, storeDir)), "latin1") !== expected)
    throw new DevshellError("SANDBOX_FAILED", "the builder replaced the store directory of its sandbox");
}

type SandboxMethod =
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
function sandboxMethod(): Promise<SandboxMethod> {
  method ??= findMethod();
  return method;
}

interface Tools {
  readonly unshare: string;
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
    const flags = [
      "--user",
      "--map-root-user",
      "--mount",
      "--pid",
      "--ipc",
      "--uts",
      "--net",
      "--fork",
      "--mount-proc",
    ];
    const nested = [unshare, "--user", `--map-user=${SANDBOX_UID}`, "--root=/", sh, "-c", ":"];
    const refusal = await tryProgram(unshare, [...flags, "--", ...nested]);
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

interface BubblewrapRequest {
  readonly root: ByteString;
  readonly isolateNetwork: boolean;
  /** Words before the command, where a shell would drop variables. */
  readonly prefix: string;
  readonly binds: readonly Bind[];
  readonly wrapped: readonly string[];
}

function bubblewrapCommand(
  bwrap: string,
  { root, isolateNetwork, prefix, binds, wrapped }: BubblewrapRequest,
): readonly string[] {
  const mounts = binds.flatMap(({ source, target, mode }) => [
    mode === "ro" ? "--ro-bind" : target.startsWith("/dev/") ? "--dev-bind" : "--bind",
    processText(source),
    processText(target),
  ]);
  const command = [
    bwrap,
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    ...(isolateNetwork ? ["--unshare-net"] : []),
    "--uid",
    String(SANDBOX_UID),
    "--gid",
    String(SANDBOX_GID),
    "--hostname",
    "localhost",
    "--die-with-parent",
    "--as-pid-1",
    "--cap-drop",
    "ALL",
    "--bind",
    processText(root),
    "/",
    ...mounts,
    "--proc",
    "/proc",
    "--tmpfs",
    "/dev/shm",
    "--chdir",
    SANDBOX_BUILD_DIR,
    "--",
  ];
  // The byte says that the sandbox stands. A shell inside would lose odd variables; then one outside says it early.
  if (prefix === "") {
    const script = `${builderLimits()}; printf '\\002' >&2; exec "$0" "$@" 2>&1`;
    return [...command, "/bin/sh", "-c", script, ...wrapped];
  }
  const script = `${builderLimits()}; printf '\\002' >&2; exec ${prefix}"$@" 2>&1`;
  return [findProgram("sh") ?? "/bin/sh", "-c", script, "devshell-sandbox", ...command, ...wrapped];
}

interface UnshareRequest extends Omit<SetupScriptRequest, "tools"> {
  readonly wrapped: readonly string[];
}

function unshareCommand(tools: Tools, request: UnshareRequest): readonly string[] {
  const namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--ipc", "--uts"];
  if (request.isolateNetwork) namespaces.push("--net");
  const script = setupScript({ ...request, tools });
  return [
    tools.unshare,
    ...namespaces,
    "--fork",
    "--kill-child=KILL",
    "--",
    tools.sh,
    "-c",
    script,
    "devshell-sandbox",
    ...request.wrapped,
  ];
}

interface SetupScriptRequest {
  readonly root: string;
  readonly chrootDir: string;
  readonly tools: Tools;
  readonly isolateNetwork: boolean;
  /** Words before the last command. */
  readonly prefix: string;
}

function setupScript({ root, chrootDir, tools, isolateNetwork, prefix }: SetupScriptRequest): string {
  const at = (path: string): string => quoteForShell(processText(join(root, path)));
  const mount = quoteForShell(tools.mount);
  const hostname = findProgram("hostname");
  const ip = findProgram("ip");
  return [
    "set -eu",
    builderLimits(),
    `${mount} --all --fstab ${quoteForShell(processText(join(chrootDir, "fstab")))}`,
    `${mount} -t proc -o nosuid,nodev,noexec proc ${at("/proc")}`,
    `${mount} -t tmpfs -o nosuid,nodev,mode=1777 tmpfs ${at("/dev/shm")}`,
    `${mount} -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts ${at("/dev/pts")} 2>/dev/null || :`,
    hostname === undefined ? "" : `${quoteForShell(hostname)} localhost 2>/dev/null || :`,
    ip === undefined || !isolateNetwork ? "" : `${quoteForShell(ip)} link set lo up 2>/dev/null || :`,
    // What came so far on standard error is about the sandbox; this byte says that it stands.
    String.raw`printf '\002' >&2`,
    "unset OLDPWD SHLVL 2>/dev/null || :",
    `exec ${prefix}${quoteForShell(tools.unshare)} --user --map-user=${SANDBOX_UID} --map-group=${SANDBOX_GID} ` +
      `--root=${at("/")} --wd=${SANDBOX_BUILD_DIR} -- "$@" 2>&1`,
  ]
    .filter((line) => line !== "")
    .join("\n");
}

async function makeSkeleton(root: string, storeDir: string): Promise<void> {
  const directories = ["/bin", "/dev/shm", "/dev/pts", "/etc", "/proc", "/tmp", SANDBOX_BUILD_DIR, storeDir];
  for (const directory of directories)
    await mkdir(fsPath(join(root, directory)), { recursive: true, mode: 0o755 });
  await chmod(fsPath(join(root, "/tmp")), 0o1777);
  const home = SANDBOX_BUILD_DIR;
  const passwd =
    `root:x:0:0:Nix build user:${home}:/noshell\n` +
    `nixbld:x:${SANDBOX_UID}:${SANDBOX_GID}:Nix build user:${home}:/noshell\n` +
    "nobody:x:65534:65534:Nobody:/:/noshell\n";
  await writeFile(fsPath(join(root, "etc/passwd")), passwd);
  await writeFile(fsPath(join(root, "etc/group")), `root:x:0:\nnixbld:!:${SANDBOX_GID}:\nnogroup:x:65534:\n`);
  await writeFile(fsPath(join(root, "etc/hosts")), "127.0.0.1 localhost\n::1 localhost\n");
  await symlink("/proc/self/fd", fsPath(join(root, "dev/fd")));
  await symlink("pts/ptmx", fsPath(join(root, "dev/ptmx")));
  for (const [fd, name] of ["stdin", "stdout", "stderr"].entries())
    await symlink(`/proc/self/fd/${fd}`, fsPath(join(root, "dev", name)));
}

async function bindStorePath(binds: Binds, { source, target }: SandboxPath): Promise<void> {
  // Links cannot be mounted on; a copy is the same.
  if (lstatSync(fsPath(source)).isSymbolicLink())
    await symlink(readlinkSync(fsPath(source), "buffer"), fsPath(binds.placeOf(target)));
  else await binds.bind(source, target, "ro");
}

interface Bind {
  readonly source: ByteString;
  /** As the builder sees it. */
  readonly target: ByteString;
  /** Where that lies on the host. */
  readonly place: ByteString;
  readonly mode: "ro" | "rw";
}

/** Collects what is bound into a root, making the places to mount on. */
class Binds {
  readonly list: Bind[] = [];
  readonly #root: ByteString;

  constructor(root: ByteString) {
    this.#root = root;
  }

  /** Where a path of the sandbox lies on the host. */
  placeOf(target: ByteString): ByteString {
    return join(this.#root, target);
  }

  async bind(source: ByteString, target: ByteString, mode: "ro" | "rw"): Promise<void> {
    const place = this.placeOf(target);
    if (lstatSync(fsPath(source)).isDirectory()) await mkdir(fsPath(place), { recursive: true });
    else {
      await mkdir(fsPath(dirname(place)), { recursive: true });
      await writeFile(fsPath(place), "", { flag: "a" });
    }
    this.list.push({ source, target, place, mode });
  }
}

/** The binds for one `mount --all`. */
function fstabOf(binds: readonly Bind[]): ByteString {
  const mounts = readMounts();
  // In a user namespace a mount's restrictions may not be lifted, so a remount must repeat them.
  const lockedOptions = (path: ByteString): readonly string[] =>
    mounts.find(({ place }) => path === place || path.startsWith(place === "/" ? "/" : `${place}/`))
      ?.options ?? [];
  return binds
    .map(({ source, place, mode }) => {
      const options = mode === "ro" ? ["bind", "ro", ...lockedOptions(source)] : ["bind"];
      return `${escapeField(source)} ${escapeField(place)} none ${options.join(",")} 0 0\n`;
    })
    .join("");
}

interface MountPoint {
  readonly place: string;
  readonly options: readonly string[];
}

const LOCKED = new Set(["nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"]);

/** Deepest first. */
function readMounts(): readonly MountPoint[] {
  return readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const place = (fields[4] ?? "/").replaceAll(/\\(\d{3})/g, (_, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      );
      return { place, options: (fields[5] ?? "").split(",").filter((option) => LOCKED.has(option)) };
    })
    .reverse()
    .sort((a, b) => b.place.length - a.place.length);
}

function escapeField(text: string): string {
  return text.replaceAll(
    /[\s\\#]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
}

interface SandboxPath {
  readonly source: string;
  readonly target: string;
}

/** `sandbox-paths` and `extra-sandbox-paths` (`target`, `target=source`, `?` for optional), and a `/bin/sh`. */
async function sandboxPaths({ config }: StoreSettings): Promise<readonly SandboxPath[]> {
  const words = ["sandbox-paths", "extra-sandbox-paths"].flatMap((option) =>
    (config.raw.get(option) ?? "").split(/\s+/).filter((word) => word !== ""),
  );
  const paths: SandboxPath[] = [];
  for (const word of words) {
    const isOptional = word.endsWith("?");
    const [target = "", source = target] = (isOptional ? word.slice(0, -1) : word).split("=", 2);
    if (isOptional && !existsSync(source)) continue;
    if (!target.startsWith("/") || target.split("/").includes(".."))
      throw new DevshellError("SANDBOX_PATH", `sandbox path '${target}' escapes the chroot`);
    paths.push({ source, target });
  }
  if (!paths.some(({ target }) => target === "/bin/sh")) paths.push(...(await hostShell()));
  return paths;
}

let shell: Promise<readonly SandboxPath[]> | undefined;

/** A static busybox where the host has one; else the host's shell with the libraries that it needs. */
function hostShell(): Promise<readonly SandboxPath[]> {
  shell ??= findShell();
  return shell;
}

async function findShell(): Promise<readonly SandboxPath[]> {
  const busybox = findProgram("busybox");
  if (busybox !== undefined && (await librariesOf(busybox)).length === 0)
    return [{ source: realpathSync(busybox), target: "/bin/sh" }];
  const sh = findProgram("dash") ?? findProgram("sh");
  if (sh === undefined) return [];
  const libraries = await librariesOf(realpathSync(sh));
  return [
    { source: realpathSync(sh), target: "/bin/sh" },
    ...libraries.map((library) => ({ source: realpathSync(library), target: library })),
  ];
}

async function librariesOf(program: string): Promise<readonly string[]> {
  const ldd = findProgram("ldd");
  if (ldd === undefined) return [];
  try {
    const { stdout } = await promisify(execFile)(ldd, [program], { env: {} });
    return [...stdout.matchAll(/(?:=>\s+)?(\/\S+)\s+\(0x/g)].flatMap((match) => match[1] ?? []);
  } catch {
    return []; // "not a dynamic executable"
  }
}
