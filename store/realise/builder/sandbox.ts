import { existsSync, realpathSync } from "node:fs";
import { chmod, chown, lstat, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { isAbsolute, join, normalize } from "node:path";
import { DevshellError, fsPath, quoteForShell, type ByteString } from "../../../core/index.ts";
import { findProgram } from "../../../io/index.ts";
import type { StorePath, StoreSettings } from "../../types.ts";
import {
  builderLimits,
  deathSignal,
  envWords,
  exportLines,
  processText,
  splitEnvironment,
  type BuilderCommand,
  type BuilderLaunch,
} from "./builderProcess.ts";
import {
  SANDBOX_GID,
  SANDBOX_UID,
  WITHOUT_GROUPS,
  asUser,
  canDropGroups,
  sandboxMethod,
  type BuilderUser,
  type Tools,
} from "./sandboxMethod.ts";
import { Binds, fstabOf, type Bind } from "./sandboxMounts.ts";
import { sandboxPaths, type SandboxPath } from "./sandboxPaths.ts";

/** Where builders find their directory: the option `sandbox-build-dir`. */
export function sandboxBuildDir({ config, storeDir }: StoreSettings): string {
  const directory = config.raw.get("sandbox-build-dir") ?? "/build";
  if (!isAbsolute(directory) || normalize(directory) !== directory || directory === "/")
    throw new DevshellError("SANDBOX_PATH", `Cannot use "${directory}" as sandbox-build-dir`, {
      hint: "it is an absolute path below the sandbox's root, such as /build",
    });
  if (storeDir === directory || storeDir.startsWith(`${directory}/`))
    throw new DevshellError("SANDBOX_PATH", "`sandbox-build-dir` must not contain the storeDir");
  return directory;
}

export interface SandboxRequest {
  readonly settings: StoreSettings;
  readonly command: BuilderCommand;
  /** An existing, empty directory that becomes the root's home; on the store's file system, for outputs move out of it. */
  readonly chrootDir: string;
  readonly inputPaths: Iterable<StorePath>;
  /** Where a store path's files lie on the host. */
  readonly realPath: (path: StorePath) => ByteString;
  /** Whose the build directory is and who the builder is outside, where that is not us. */
  readonly builderUser: BuilderUser | undefined;
  /** Fixed outputs keep the host's network. */
  readonly hasNetwork: boolean;
  /** Beside those of the settings, in their form. */
  readonly extraPaths: readonly string[];
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
  const buildDir = sandboxBuildDir(settings);
  await makeSkeleton(root, settings.storeDir, buildDir);
  const { builderUser } = request;
  if (builderUser !== undefined)
    await chown(fsPath(join(root, settings.storeDir)), builderUser.uid, builderUser.gid);
  for (const path of request.inputPaths) await binds.show(request.realPath(path), path);
  await binds.bind(command.hostBuildDir, buildDir, "rw");
  for (const device of ["full", "null", "random", "tty", "urandom", "zero"])
    await binds.bind(`/dev/${device}`, `/dev/${device}`, "rw");
  for (const { source, target } of await sandboxPaths(settings, request.extraPaths))
    await binds.show(source, target);
  if (request.hasNetwork)
    for (const { source, target } of networkFiles(settings)) await binds.bind(source, target, "ro");
  // Our own mask may be stricter than another user can do with.
  if (builderUser !== undefined && (process.umask() & 0o055) !== 0) await openToAll(root);
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
      ? unshareCommand(method.tools, {
          root,
          chrootDir,
          buildDir,
          builderUser,
          isolateNetwork,
          prefix: envWords(odd),
          wrapped,
        })
      : bubblewrapCommand(method.bwrap, {
          root,
          buildDir,
          isolateNetwork,
          prefix: envWords(odd),
          binds: binds.list,
          wrapped,
        });
  const withoutGroups = builderUser === undefined ? await groupWords(settings) : [];
  return {
    argv: [...deathSignal(withoutGroups), ...argv],
    env: safe,
    cwd: "/",
    setupFailure: "while setting up the build environment",
  };
}

/**
 * Words that take our supplementary groups from a builder that is not another user: it could read what is theirs.
 * Root wants that, and others who say so; they may not be able to.
 * @throws {DevshellError} `SANDBOX_FAILED`
 */
async function groupWords({ config }: StoreSettings): Promise<readonly string[]> {
  const isRoot = process.geteuid?.() === 0;
  const isRequired = config.raw.get("require-drop-supplementary-groups") ?? String(isRoot);
  if (process.getgroups?.().length === 0 || (!isRoot && isRequired !== "true")) return [];
  if (await canDropGroups()) return WITHOUT_GROUPS;
  if (isRequired !== "true") return [];
  throw new DevshellError(
    "SANDBOX_FAILED",
    "setgroups failed. Set the require-drop-supplementary-groups option to false to skip this step.",
  );
}

/** What programs need of the host's to reach others. */
function networkFiles({ config }: StoreSettings): readonly SandboxPath[] {
  const files = ["/etc/resolv.conf", "/etc/services", "/etc/hosts"].map((file) => [file, file] as const);
  const certificates = config.raw.get("ssl-cert-file") ?? "";
  return [...files, [certificates, "/etc/ssl/certs/ca-certificates.crt"] as const]
    .filter(([source]) => source !== "" && existsSync(source))
    .map(([source, target]) => ({ source: realpathSync(source), target }));
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

interface BubblewrapRequest {
  readonly root: ByteString;
  readonly buildDir: string;
  readonly isolateNetwork: boolean;
  /** Words before the command, where a shell would drop variables. */
  readonly prefix: string;
  readonly binds: readonly Bind[];
  readonly wrapped: readonly string[];
}

function bubblewrapCommand(
  bwrap: string,
  { root, buildDir, isolateNetwork, prefix, binds, wrapped }: BubblewrapRequest,
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
    buildDir,
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
  const namespaces = ["--mount", "--pid", "--ipc", "--uts"];
  if (request.builderUser === undefined) namespaces.unshift("--user", "--map-root-user");
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
  readonly buildDir: string;
  readonly tools: Tools;
  readonly builderUser: BuilderUser | undefined;
  readonly isolateNetwork: boolean;
  /** Words before the last command. */
  readonly prefix: string;
}

function setupScript({
  root,
  chrootDir,
  buildDir,
  tools,
  builderUser,
  isolateNetwork,
  prefix,
}: SetupScriptRequest): string {
  const at = (path: string): string => quoteForShell(processText(join(root, path)));
  const mount = quoteForShell(tools.mount);
  const hostname = findProgram("hostname");
  const ip = findProgram("ip");
  return [
    "set -eu",
    builderLimits(),
    `${mount} --all --fstab ${quoteForShell(processText(join(chrootDir, "fstab")))}`,
    `${mount} -t proc -o nosuid,nodev,noexec proc ${at("/proc")}`,
    ...(builderUser === undefined ? protectKernel(mount, at("/proc")) : []),
    `${mount} -t tmpfs -o nosuid,nodev,mode=1777 tmpfs ${at("/dev/shm")}`,
    `${mount} -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts ${at("/dev/pts")} 2>/dev/null || :`,
    hostname === undefined ? "" : `${quoteForShell(hostname)} localhost 2>/dev/null || :`,
    ip === undefined || !isolateNetwork ? "" : `${quoteForShell(ip)} link set lo up 2>/dev/null || :`,
    // What came so far on standard error is about the sandbox; this byte says that it stands.
    String.raw`printf '\002' >&2`,
    // Entered from within: another user may not pass the directories above.
    `cd ${at("/")}`,
    `unset OLDPWD SHLVL 2>/dev/null || :; export PWD=${quoteForShell(buildDir)}`,
    `exec ${prefix}${anotherUser(tools, builderUser)}${quoteForShell(tools.unshare)} --user --map-user=${SANDBOX_UID} --map-group=${SANDBOX_GID} ` +
      `--root=. --wd=${quoteForShell(buildDir)} -- "$@" 2>&1`,
  ]
    .filter((line) => line !== "")
    .join("\n");
}

function anotherUser({ setpriv }: Tools, user: BuilderUser | undefined): string {
  return user === undefined || setpriv === undefined
    ? ""
    : `${[setpriv, ...asUser(user)].map(quoteForShell).join(" ")} `;
}

/** The kernel's files that root may write to whatever its namespaces; shown read-only where the builder is root. */
function protectKernel(mount: string, proc: string): readonly string[] {
  if (process.geteuid?.() !== 0) return [];
  return ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"].map((name) => {
    const place = `${proc}/${name}`;
    return `! [ -e ${place} ] || { ${mount} --bind ${place} ${place}; ${mount} -o remount,bind,ro,nosuid,nodev,noexec ${place}; }`;
  });
}

/** Lets everyone in and read, as far as the laid out directory goes; nothing is mounted yet. */
async function openToAll(path: string): Promise<void> {
  for (const entry of await readdir(fsPath(path), { withFileTypes: true, encoding: "latin1" })) {
    const child = join(path, entry.name);
    if (entry.isFile()) await chmod(fsPath(child), 0o644);
    else if (entry.isDirectory()) await openToAll(child);
  }
  const { mode } = await lstat(fsPath(path));
  await chmod(fsPath(path), (mode & 0o7777) | 0o755);
}

async function makeSkeleton(root: string, storeDir: string, buildDir: string): Promise<void> {
  const directories = ["/bin", "/dev/shm", "/dev/pts", "/etc", "/proc", "/tmp", buildDir, storeDir];
  for (const directory of directories)
    await mkdir(fsPath(join(root, directory)), { recursive: true, mode: 0o755 });
  await chmod(fsPath(join(root, "/tmp")), 0o1777);
  const home = buildDir;
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
