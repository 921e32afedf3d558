import { execFile } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { mkdir, symlink, writeFile, chmod } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { DevshellError, fsPath, type ByteString } from "../../core/index.ts";
import type { StorePath, StoreSettings } from "../types.ts";
import type { BuilderCommand, BuilderLaunch } from "./builderProcess.ts";
import {
  deathSignal,
  envWords,
  exportLines,
  processText,
  quoteForShell,
  splitEnvironment,
} from "./builderProcess.ts";
import { findProgram } from "./programs.ts";

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
 * name, users and (unless it has a fixed output) network, by util-linux's `unshare` and `mount` alone. The root is
 * entered by chroot as uid 1000 without any capability, so the builder cannot leave it or undo its mounts.
 * The store inside holds the input closure, read-only; what the builder adds there lies below {@link sandboxedPath}.
 */
export async function launchInSandbox(request: SandboxRequest): Promise<BuilderLaunch> {
  const { settings, command, chrootDir } = request;
  const root = join(chrootDir, "root");
  const fstab = new Fstab(root);
  await makeSkeleton(root, settings.storeDir);
  for (const path of request.inputPaths)
    await bindStorePath(fstab, { source: request.realPath(path), target: path });
  await fstab.bind(command.hostBuildDir, SANDBOX_BUILD_DIR, "rw");
  for (const device of ["full", "null", "random", "tty", "urandom", "zero"])
    await fstab.bind(`/dev/${device}`, `/dev/${device}`, "rw");
  for (const { source, target } of await sandboxPaths(settings)) await fstab.bind(source, target, "ro");
  if (request.hasNetwork)
    for (const file of ["/etc/resolv.conf", "/etc/services", "/etc/hosts"])
      if (existsSync(file)) await fstab.bind(realpathSync(file), file, "ro");
  await writeFile(fsPath(join(chrootDir, "fstab")), fstab.text(), "latin1");

  const tools = requireTools();
  const { safe, withheld, odd } = splitEnvironment(command.env);
  const inner = [command.builder, ...command.args].map(processText);
  const wrapped =
    withheld.size === 0 ? inner : ["/bin/sh", "-c", `${exportLines(withheld)}exec "$0" "$@"`, ...inner];
  const script = setupScript({
    root,
    chrootDir,
    tools,
    isolateNetwork: !request.hasNetwork,
    prefix: envWords(odd),
  });
  const namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--ipc", "--uts"];
  if (!request.hasNetwork) namespaces.push("--net");
  return {
    argv: [
      ...deathSignal(),
      tools.unshare,
      ...namespaces,
      "--fork",
      "--kill-child=KILL",
      "--",
      tools.sh,
      "-c",
      script,
      "devshell-sandbox",
      ...wrapped,
    ],
    env: safe,
    cwd: "/",
    setupFailure: "while setting up the build environment",
  };
}

/** Where something of the sandbox's store lies on the host. */
export function sandboxedPath(chrootDir: string, path: string): string {
  return join(chrootDir, "root", path);
}

let probed: Promise<string | undefined> | undefined;

/** Why builds cannot be sandboxed here; `undefined` where they can. Tried once a process. */
export function sandboxObstacle(): Promise<string | undefined> {
  probed ??= probe();
  return probed;
}

interface Tools {
  readonly unshare: string;
  readonly mount: string;
  readonly sh: string;
}

function requireTools(): Tools {
  const unshare = findProgram("unshare");
  const mount = findProgram("mount");
  const sh = findProgram("dash") ?? findProgram("sh");
  if (unshare === undefined || mount === undefined || sh === undefined)
    throw new DevshellError(
      "SANDBOX_UNAVAILABLE",
      'Cannot sandbox a build: "unshare" and "mount" of util-linux are needed',
      { hint: "install util-linux, or set sandbox = false" },
    );
  return { unshare, mount, sh };
}

async function probe(): Promise<string | undefined> {
  let tools: Tools;
  try {
    tools = requireTools();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
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
  const nested = [tools.unshare, "--user", `--map-user=${SANDBOX_UID}`, "--root=/", tools.sh, "-c", ":"];
  try {
    await promisify(execFile)(tools.unshare, [...flags, "--", ...nested], { env: {}, timeout: 10_000 });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    return said === "" ? "the kernel refuses user namespaces" : said;
  }
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
    "umask 022",
    "ulimit -c 0",
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

async function bindStorePath(fstab: Fstab, { source, target }: SandboxPath): Promise<void> {
  // Links cannot be mounted on; a copy is the same.
  if (lstatSync(fsPath(source)).isSymbolicLink())
    await symlink(readlinkSync(fsPath(source), "buffer"), fsPath(fstab.placeOf(target)));
  else await fstab.bind(source, target, "ro");
}

/** Collects mounts for one `mount --all`, making the places to mount on. */
class Fstab {
  readonly #root: string;
  readonly #lines: string[] = [];
  #mounts: readonly MountPoint[] | undefined;

  constructor(root: string) {
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
    const options = mode === "ro" ? ["bind", "ro", ...this.#lockedOptions(source)] : ["bind"];
    this.#lines.push(`${escapeField(source)} ${escapeField(place)} none ${options.join(",")} 0 0\n`);
  }

  text(): string {
    return this.#lines.join("");
  }

  /** In a user namespace a mount's restrictions may not be lifted, so a remount must repeat them. */
  #lockedOptions(path: string): readonly string[] {
    this.#mounts ??= readMounts();
    const mount = this.#mounts.find(
      ({ place }) => path === place || path.startsWith(place === "/" ? "/" : `${place}/`),
    );
    return mount?.options ?? [];
  }
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
