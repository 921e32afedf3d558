import { accessSync, constants, lstatSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, isAbsolute, resolve } from "node:path";
import { DevshellError, bytesOfText } from "../core/index.ts";
import { isDaemonUrl, parseDaemonUrl } from "./remote/daemonClient/parseDaemonUrl.ts";
import { decodePercents, isRelativePath, parametersOf } from "./remote/storeAddress.ts";
import type { StoreConfig, StoreSettings } from "./types.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface StoreSettingsOptions {
  /** `--option name value`, the strongest. */
  readonly overrides?: ReadonlyMap<string, string> | undefined;
  /** `--store`: a directory to live below, `daemon`, `local`, `auto`. */
  readonly store?: string | undefined;
  /** Effective user; the process's unless said. */
  readonly uid?: number | undefined;
  readonly onWarn?: ((message: string) => void) | undefined;
  /** Told of every configuration file that is looked for. */
  readonly onFile?: ((path: string) => void) | undefined;
}

const DEFAULT_STORE_DIR = "/nix/store";
const MAX_INCLUDE_DEPTH = 16;
const CACHE_KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/** Options whose default is not the empty text. */
const DEFAULTS: Readonly<Record<string, string>> = {
  "build-poll-interval": "5",
  "connect-timeout": "15",
  "download-attempts": "5",
  "experimental-features": "",
  fallback: "false",
  "fsync-metadata": "true",
  "fsync-store-paths": "false",
  "gc-reserved-space": "8388608",
  "http-connections": "25",
  "keep-derivations": "true",
  "keep-env-derivations": "false",
  "keep-failed": "false",
  "keep-going": "false",
  "keep-outputs": "false",
  cores: "0",
  "max-jobs": "1",
  "max-silent-time": "0",
  "narinfo-cache-meta-ttl": "604800",
  "narinfo-cache-negative-ttl": "3600",
  "narinfo-cache-positive-ttl": "2592000",
  "pure-eval": "false",
  "require-sigs": "true",
  "restrict-eval": "false",
  sandbox: "true",
  substitute: "true",
  substituters: "https://cache.nixos.org/",
  timeout: "0",
  "trusted-public-keys": CACHE_KEY,
};

/** Old names and those that Nix still takes. */
const ALIASES: Readonly<Record<string, string>> = {
  "binary-caches": "substituters",
  "trusted-binary-caches": "trusted-substituters",
  "binary-cache-public-keys": "trusted-public-keys",
  "build-cores": "cores",
  "build-fallback": "fallback",
  "build-keep-going": "keep-going",
  "commit-lockfile-summary": "commit-lock-file-summary",
  "filetransfer-retry-attempts": "download-attempts",
  "build-max-jobs": "max-jobs",
  "build-max-silent-time": "max-silent-time",
  "build-timeout": "timeout",
  "build-use-sandbox": "sandbox",
  "build-use-substitutes": "substitute",
  "gc-keep-derivations": "keep-derivations",
  "gc-keep-outputs": "keep-outputs",
};

/**
 * Decides where the store is and how it is configured.
 *
 * The ladder, first that fits: what variables or `--store` give; `/nix/store` where it is ours to write, which root
 * creates; a running daemon's store; a store at a prefix of the user's own. A rung between the last two, a private
 * `/nix/store` in a mount namespace, has its place in `pickPlace`.
 * @throws {DevshellError} `STORE_REMOTE_UNSUPPORTED`, `STORE_CONFIG_INVALID`
 */
export function resolveStoreSettings(env: Environment, options: StoreSettingsOptions = {}): StoreSettings {
  const place = pickPlace(env, options);
  const { realStoreDir } = place;
  return {
    ...place,
    storeDir: bytesOfText(place.storeDir),
    ...(realStoreDir !== undefined && { realStoreDir: bytesOfText(realStoreDir) }),
    stateDir: bytesOfText(place.stateDir),
    logDir: bytesOfText(place.logDir),
    cacheDir: bytesOfText(cacheDirOf(env)),
    config: withParameters(
      readStoreConfig(env, place.confDir, options),
      options.store ?? env["NIX_REMOTE"] ?? "",
    ),
  };
}

/** An option that a store's address may set for it: what builders on it have. */
function withParameters(config: StoreConfig, address: string): StoreConfig {
  const at = address.indexOf("?");
  const features = at < 0 ? undefined : parametersOf(address.slice(at + 1)).get("system-features");
  return features === undefined
    ? config
    : { ...config, raw: new Map([...config.raw, ["system-features", features]]) };
}

/** Nix's own place: what it was told of binary caches serves us, and what we were told it. */
function cacheDirOf(env: Environment): string {
  const given = env["DEVSHELL_CACHE_DIR"] || env["NIX_CACHE_HOME"];
  return given || `${env["XDG_CACHE_HOME"] || `${env["HOME"] || homedir()}/.cache`}/nix`;
}

type Place = Omit<StoreSettings, "config">;

function pickPlace(env: Environment, options: StoreSettingsOptions): Place {
  const remote = options.store ?? env["NIX_REMOTE"] ?? "";
  const confDir = env["NIX_CONF_DIR"] || "/etc/nix";
  if (isDaemonUrl(remote)) return placeOfDaemon(remote, env, confDir, false);
  if (remote !== "" && remote !== "auto" && remote !== "local") return placeOfRemote(remote, env, confDir);
  const isFree = remote !== "local";
  const given = env["NIX_STORE_DIR"] || env["NIX_STORE"];
  if (given !== undefined && given !== "") {
    const place = placeOfVariables(env, given, confDir);
    const isForeign = typeOf(place.stateDir) === "directory" && !isWritable(place.stateDir);
    return isFree && isForeign && isSocket(socketPathOf(env, place.stateDir))
      ? placeOfDaemon("daemon", env, confDir, true)
      : place;
  }
  const stateDir = env["NIX_STATE_DIR"] || "/nix/var/nix";
  const logDir = env["NIX_LOG_DIR"] || "/nix/var/log/nix";
  if (isOurs(DEFAULT_STORE_DIR, stateDir, options.uid))
    return { storeDir: DEFAULT_STORE_DIR, stateDir, logDir, confDir, rung: "system" };
  if (isFree && isSocket(socketPathOf(env, stateDir))) return placeOfDaemon("daemon", env, confDir, true);
  // The rung "namespace" belongs here: a store below the data directory seen as /nix/store.
  const prefix = `${env["XDG_DATA_HOME"] || `${env["HOME"] || homedir()}/.local/share`}/devshell`;
  return {
    storeDir: `${prefix}/store`,
    stateDir: env["NIX_STATE_DIR"] || `${prefix}/state`,
    logDir: env["NIX_LOG_DIR"] || `${prefix}/state/log`,
    confDir,
    rung: "prefix",
  };
}

function placeOfVariables(env: Environment, storeDir: string, confDir: string): Place {
  const normal = normalDirectory("NIX_STORE_DIR", storeDir);
  // As Nix: the other directories do not follow the store directory.
  const stateDir = normalDirectory("NIX_STATE_DIR", env["NIX_STATE_DIR"] || "/nix/var/nix");
  const logDir = normalDirectory("NIX_LOG_DIR", env["NIX_LOG_DIR"] || "/nix/var/log/nix");
  return { storeDir: normal, stateDir, logDir, confDir, rung: "given" };
}

/**
 * A store named by address: a directory to live below, `local?root=…&store=…&real=…&state=…&log=…`, or `dummy://`,
 * which holds nothing and only tells paths, unless it is `dummy://?read-only=false`: then it holds what it is given
 * until its process ends.
 */
function placeOfRemote(remote: string, env: Environment, confDir: string): Place {
  const at = remote.indexOf("?");
  // `local:///somewhere` is how Nix names a directory to its own programs.
  const named = at < 0 ? remote : remote.slice(0, at);
  const address = named.startsWith("local:///") ? decodePercents(named.slice("local://".length)) : named;
  const parameters = parametersOf(at < 0 ? "" : remote.slice(at + 1));
  const storeDir = normalDirectory("NIX_STORE_DIR", parameters.get("store") ?? storeDirOf(env));
  if (address === "dummy://" || address === "dummy")
    return {
      storeDir,
      isReadOnly: isDummyReadOnly(remote, parameters),
      stateDir: "/nix/var/nix",
      logDir: "/nix/var/log/nix",
      confDir,
      rung: "dummy",
    };
  const isLocal = address === "local" || address === "local://";
  const given = isLocal ? parameters.get("root") : address;
  const root = given !== undefined && isRelativePath(given) ? resolve(given) : given;
  if (root !== undefined && !isAbsolute(root))
    throw new DevshellError(
      "STORE_REMOTE_UNSUPPORTED",
      `Cannot use the store "${remote}": only a local one can be opened yet`,
      {
        hint: 'give "local", or the absolute path of a directory to hold it',
      },
    );
  const base = root === undefined ? undefined : normalDirectory("the store's root", root);
  const directory = (name: string, variable: string, usual: string): string =>
    normalDirectory(
      `"${name}" of the store's address`,
      parameters.get(name) ?? (base === undefined ? env[variable] || usual : `${base}${usual}`),
    );
  return {
    storeDir,
    ...(/^(?:true|yes|1)$/.test(parameters.get("read-only") ?? "") && { isReadOnly: true }),
    realStoreDir: normalDirectory(
      '"real" of the store\'s address',
      parameters.get("real") ?? (base === undefined ? storeDir : `${base}${DEFAULT_STORE_DIR}`),
    ),
    stateDir: directory("state", "NIX_STATE_DIR", "/nix/var/nix"),
    logDir: directory("log", "NIX_LOG_DIR", "/nix/var/log/nix"),
    confDir,
    rung: "given",
  };
}

/** What the address of a store in memory may say. */
const DUMMY_PARAMETERS: ReadonlySet<string> = new Set([
  "path-info-cache-size",
  "priority",
  "read-only",
  "store",
  "system-features",
  "trusted",
  "want-mass-query",
]);

/** @throws {DevshellError} `STORE_ADDRESS_INVALID` */
function isDummyReadOnly(address: string, parameters: ReadonlyMap<string, string>): boolean {
  const invalid = (why: string, hint: string): DevshellError =>
    new DevshellError("STORE_ADDRESS_INVALID", `Cannot use the store "${address}": ${why}`, { hint });
  for (const name of parameters.keys())
    if (!DUMMY_PARAMETERS.has(name))
      throw invalid(`it has no parameter "${name}"`, `it has ${[...DUMMY_PARAMETERS].join(", ")}`);
  const value = parameters.get("read-only") ?? "true";
  if (/^(?:true|yes|1)$/.test(value)) return true;
  if (/^(?:false|no|0)$/.test(value)) return false;
  throw invalid(`"${value}" is no value of "read-only"`, 'give "true" or "false"');
}

/** A daemon's store: its files lie where a local store's would, unless it is on another machine. */
function placeOfDaemon(url: string, env: Environment, confDir: string, isFound: boolean): Place {
  const usualState = env["NIX_STATE_DIR"] || "/nix/var/nix";
  const { address, parameters, isHere } = parseDaemonUrl(url, socketPathOf(env, usualState));
  const root = parameters.get("root");
  const directory = (name: string, usual: string): string =>
    normalDirectory(`"${name}" of the store's address`, parameters.get(name) ?? usual);
  const storeDir = directory("store", storeDirOf(env));
  return {
    storeDir,
    ...(isHere && {
      realStoreDir: directory("real", root === undefined ? storeDir : `${root}${DEFAULT_STORE_DIR}`),
    }),
    stateDir: directory("state", root === undefined ? usualState : `${root}/nix/var/nix`),
    logDir: directory(
      "log",
      root === undefined ? env["NIX_LOG_DIR"] || "/nix/var/log/nix" : `${root}/nix/var/log/nix`,
    ),
    confDir,
    daemon: { url, address, isHere, isFound },
    rung: "daemon",
  };
}

/** Where the daemon of a state directory listens. */
export function socketPathOf(env: Environment, stateDir: string): string {
  return env["NIX_DAEMON_SOCKET_PATH"] || `${stateDir}/daemon-socket/socket`;
}

function storeDirOf(env: Environment): string {
  return env["NIX_STORE_DIR"] || env["NIX_STORE"] || DEFAULT_STORE_DIR;
}

/** Whether store and state directory can be written, or made: root makes them. */
function isOurs(storeDir: string, stateDir: string, uid = process.geteuid?.()): boolean {
  return [storeDir, stateDir].every((directory) => {
    if (typeOf(directory) === undefined) return uid === 0 || isOurDirectory(nearestExisting(directory));
    return isOurDirectory(directory);
  });
}

function nearestExisting(path: string): string {
  let directory = dirname(path);
  while (directory !== "/" && typeOf(directory) === undefined) directory = dirname(directory);
  return directory;
}

function isOurDirectory(path: string): boolean {
  return typeOf(path) === "directory" && isWritable(path);
}

/** A symlink is none: the store's directory may not be one. */
function typeOf(path: string): "directory" | "other" | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? undefined : stats.isDirectory() ? "directory" : "other";
  } catch {
    return undefined;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isSocket(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  } catch {
    return false;
  }
}

function normalDirectory(what: string, path: string): string {
  if (!isAbsolute(path))
    throw new DevshellError(
      "STORE_CONFIG_INVALID",
      `Cannot use ${what} "${path}": it is not an absolute path`,
    );
  return resolve(path);
}

/**
 * Reads `nix.conf`, the user's, `NIX_CONFIG` and overrides, in this order, later ones stronger.
 * @throws {DevshellError} `STORE_CONFIG_INVALID`, naming file and line
 */
export function readStoreConfig(
  env: Environment,
  confDir: string,
  options: StoreSettingsOptions = {},
): StoreConfig {
  const raw = new Map(Object.entries(DEFAULTS));
  raw.set(
    "system",
    `${process.arch === "arm64" ? "aarch64" : process.arch === "ia32" ? "i686" : "x86_64"}-linux`,
  );
  const reader: ConfigReader = { raw, onFile: options.onFile };
  applyFile(reader, `${confDir}/nix.conf`, true, 0);
  const ofMachine = new Map(raw);
  for (const file of userFiles(env)) applyFile(reader, file, true, 0);
  if (env["NIX_CONFIG"] !== undefined) applyText(reader, env["NIX_CONFIG"], "NIX_CONFIG", undefined, 0);
  for (const [name, value] of options.overrides ?? []) applySetting(raw, name, value);
  if (/(^|\s)no-url-literals(\s|$)/.test(raw.get("experimental-features") ?? ""))
    options.onWarn?.(
      "experimental feature 'no-url-literals' has been stabilized and renamed; use 'lint-url-literals = fatal' setting instead",
    );
  const chosen = [...raw.keys()].filter((name) => raw.get(name) !== ofMachine.get(name));
  return { ...toConfig(raw), chosen: new Set(chosen) };
}

/** Settings with some of them changed: what a daemon's client chooses. @throws {DevshellError} `STORE_CONFIG_INVALID` */
export function changeConfig(
  config: StoreConfig,
  changes: Iterable<readonly [name: string, value: string]>,
): StoreConfig {
  const raw = new Map(config.raw);
  for (const [name, value] of changes) applySetting(raw, name, value);
  return { ...toConfig(raw), chosen: config.chosen };
}

function userFiles(env: Environment): string[] {
  const explicit = env["NIX_USER_CONF_FILES"];
  if (explicit !== undefined)
    return explicit
      .split(":")
      .filter((file) => file !== "")
      .reverse();
  const home = env["XDG_CONFIG_HOME"] || `${env["HOME"] || homedir()}/.config`;
  const system = (env["XDG_CONFIG_DIRS"] || "/etc/xdg").split(":").filter((directory) => directory !== "");
  return [home, ...system].map((directory) => `${directory}/nix/nix.conf`).reverse();
}

interface ConfigReader {
  readonly raw: Map<string, string>;
  readonly onFile: StoreSettingsOptions["onFile"];
}

function applyFile(reader: ConfigReader, file: string, isOptional: boolean, depth: number): void {
  let text: string;
  reader.onFile?.(file);
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (isOptional && (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES")) return;
    throw new DevshellError(
      "STORE_CONFIG_INVALID",
      `Cannot read configuration "${file}": ${(error as Error).message}`,
      { cause: error },
    );
  }
  applyText(reader, text, file, dirname(file), depth);
}

function applyText(
  reader: ConfigReader,
  text: string,
  whence: string,
  directory: string | undefined,
  depth: number,
): void {
  for (const [index, line] of text.split("\n").entries()) {
    const words = line
      .replace(/#.*/, "")
      .split(/\s+/)
      .filter((word) => word !== "");
    const [first, second] = words;
    if (first === undefined) continue;
    const invalid = (why: string): DevshellError =>
      new DevshellError(
        "STORE_CONFIG_INVALID",
        `Cannot read configuration "${whence}" at line ${index + 1}: ${why}`,
      );
    if (first === "include" || first === "!include") {
      if (words.length !== 2 || second === undefined) throw invalid(`"${first}" takes one path`);
      if (depth >= MAX_INCLUDE_DEPTH)
        throw invalid(`files include each other more than ${MAX_INCLUDE_DEPTH} deep`);
      applyFile(reader, resolve(directory ?? "/", second), first === "!include", depth + 1);
    } else if (second === "=") applySetting(reader.raw, first, words.slice(2).join(" "));
    else throw invalid('expected "name = value"');
  }
}

function applySetting(raw: Map<string, string>, name: string, value: string): void {
  const isExtra = name.startsWith("extra-");
  const bare =
    isExtra && !(name in DEFAULTS) && name !== "extra-platforms" && name !== "extra-sandbox-paths"
      ? name.slice("extra-".length)
      : name;
  const key = ALIASES[bare] ?? bare;
  // "extra-platforms" is an option of its own; "extra-X" appends to X.
  if (bare !== name || isExtra)
    raw.set(key, [raw.get(key), value].filter((part) => part !== undefined && part !== "").join(" "));
  else raw.set(key, value);
}

function toConfig(raw: ReadonlyMap<string, string>): StoreConfig {
  const text = (name: string): string => raw.get(name) ?? "";
  const list = (name: string): string[] =>
    text(name)
      .split(/\s+/)
      .filter((word) => word !== "");
  const invalid = (name: string, expected: string): DevshellError =>
    new DevshellError(
      "STORE_CONFIG_INVALID",
      `Cannot use "${text(name)}" for the option "${name}": expected ${expected}`,
    );
  const flag = (name: string): boolean => {
    const value = text(name);
    if (/^(true|yes|1)$/.test(value)) return true;
    if (/^(false|no|0)$/.test(value)) return false;
    throw invalid(name, '"true" or "false"');
  };
  const number = (name: string): number => {
    if (!/^\d{1,9}$/.test(text(name))) throw invalid(name, "a number");
    return Number(text(name));
  };
  const sandbox = text("sandbox");
  const maxJobs = text("max-jobs") === "auto" ? availableParallelism() : number("max-jobs");
  return {
    system: text("system"),
    extraPlatforms: list("extra-platforms"),
    maxJobs,
    cores: number("cores"),
    sandbox: sandbox === "relaxed" ? "relaxed" : flag("sandbox") ? "on" : "off",
    substituters: list("substituters"),
    trustedPublicKeys: list("trusted-public-keys"),
    requireSignatures: flag("require-sigs"),
    substitute: flag("substitute"),
    keepDerivations: flag("keep-derivations"),
    keepOutputs: flag("keep-outputs"),
    keepFailed: flag("keep-failed"),
    keepGoing: flag("keep-going"),
    fallback: flag("fallback"),
    buildTimeoutSeconds: number("timeout"),
    maxSilentSeconds: number("max-silent-time"),
    raw,
  };
}
