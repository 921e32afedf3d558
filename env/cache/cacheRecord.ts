import { randomBytes } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { encodeNix32, textOfBytes, type ByteString } from "../../core/index.ts";
import type { StorePath } from "../../store/index.ts";
import { currentInput, isSameInput, isUntouchedInput } from "../inputTracker.ts";
import { quoteSh } from "../render/quote.ts";
import { environmentFromJson, environmentToJson, type EnvironmentJson } from "../render/renderJson.ts";
import { renderBash, renderEnter, renderPosix } from "../render/renderShell.ts";
import type { BuildEnvironment, EnvironmentRequest, TrackedInput } from "../types.ts";
import {
  cacheDirectory,
  formatIndex,
  indexPath,
  readIndex,
  selectionKey,
  wordsOfKey,
} from "./recordPaths.ts";
import { renderCheck, renderStat } from "./renderCheck.ts";
import { writeScripts } from "./scripts.ts";

const FORMAT = "1\n";
/** A stamp lies this much before the evaluation began: file times move in steps of up to 10 ms. */
const STAMP_MARGIN_MS = 20;
/** How long a superseded record stays, since open shells use its scripts, and a one-off after it was last entered. */
const KEEP_MS = 7 * 24 * 3600 * 1000;

/** An environment as the cache holds it. */
export interface CachedEnvironment {
  readonly environment: BuildEnvironment;
  /** The record's directory. */
  readonly record: string;
  readonly inputs: readonly TrackedInput[];
  readonly warnings: readonly string[];
  /** What is different now; empty: the record is valid. */
  readonly changed: readonly TrackedInput[];
  /** What was asked for: where, and the words of the selection. */
  readonly directory: string;
  readonly selection: readonly string[];
}

export interface WriteRecordRequest {
  readonly request: EnvironmentRequest;
  readonly environment: BuildEnvironment;
  readonly inputs: readonly TrackedInput[];
  /** What making it said that a user should know. */
  readonly warnings?: readonly string[] | undefined;
  readonly startedMs: number;
  readonly rung: string;
  /** It belongs to no project's spec: kept only while it is in use. */
  readonly isOneOff?: boolean | undefined;
  /** Further store paths to root, which the environment itself can do without. */
  readonly furtherRoots?: readonly StorePath[] | undefined;
  /** Makes a link into the store and registers it as an indirect root. */
  readonly addRoot: (link: string, path: StorePath) => void;
}

interface RecordJson {
  readonly version: 1;
  readonly directory: string;
  readonly key: string;
  readonly inputs: readonly TrackedInput[];
  readonly existing: readonly string[];
  readonly warnings?: readonly string[] | undefined;
  readonly isOneOff?: boolean | undefined;
}

/** Writes a record and puts it into its directory's index. @returns the record's directory */
export function writeRecord(request: WriteRecordRequest): string {
  const cache = cacheDirectory();
  const { environment, inputs } = request;
  const { directory } = request.request;
  const key = selectionKey(request.request.selection ?? []);
  const record = join(cache, "records", encodeNix32(randomBytes(20)));
  const staging = `${record}.tmp-${process.pid}`;
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  try {
    const existing = request.rung === "namespace" ? [] : environment.roots.map(textOfBytes);
    const hasScripts = environment.scripts.size > 0;
    if (hasScripts) writeScripts(environment, join(staging, "scripts"));
    const scriptsDir = hasScripts ? join(record, "scripts") : undefined;
    const write = (name: string, text: ByteString): void =>
      writeFileSync(join(staging, name), text, { encoding: "latin1", mode: 0o600 });
    write("format", FORMAT);
    write("check.sh", renderCheck(inputs, existing));
    write("stat", renderStat(inputs));
    // Inputs that nobody touched since they were read need no doubt about the time in between.
    const isUntouched = inputs.every((input) => isUntouchedInput(input));
    writeStamp(staging, isUntouched ? Date.now() : request.startedMs);
    write("entered", "");
    write("meta.sh", renderMeta(environment, request.rung));
    write("vars.sh", renderPosix(environment, { scriptsDir }));
    write("enter.sh", renderEnter(environment, { scriptsDir }));
    write("rc.bash", renderBash(environment, { scriptsDir }));
    write("run.bash", '. "${BASH_SOURCE[0]%/*}/rc.bash"\nexec -- "$@"\nexit $?\n');
    const watched = watchedPaths(inputs);
    writeFileSync(join(staging, "env.json"), JSON.stringify(environmentToJson(environment, watched)));
    const { isOneOff = false, warnings } = request;
    const json: RecordJson = { version: 1, directory, key, inputs, existing, warnings, isOneOff };
    writeFileSync(join(staging, "record.json"), JSON.stringify(json));
    renameSync(staging, record);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    throw error;
  }
  mkdirSync(join(record, "roots"));
  const roots = new Set([...environment.roots, ...(request.furtherRoots ?? [])]);
  [...roots].forEach((path, n) => request.addRoot(join(record, "roots", String(n)), path));
  addToIndex(cache, directory, key, record);
  dropOldRecords();
  return record;
}

/**
 * The record of a selection in a directory, validated by content where stats differ; a record whose inputs were only
 * touched is made fresh again.
 * @returns undefined where there is none that can be read
 */
export function loadCachedEnvironment(
  directory: string,
  selection: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): CachedEnvironment | undefined {
  const cache = cacheDirectory(environment);
  const key = selectionKey(selection);
  const record = readIndex(indexPath(cache, directory)).find((entry) => entry.key === key)?.record;
  return record === undefined ? undefined : loadRecord(record, environment);
}

/** As {@link loadCachedEnvironment}, for a record whose directory is known. */
export function loadRecord(
  record: string,
  environment: NodeJS.ProcessEnv = process.env,
): CachedEnvironment | undefined {
  let json: RecordJson;
  let built: BuildEnvironment;
  try {
    if (readFileSync(join(record, "format"), "latin1") !== FORMAT) return undefined;
    json = JSON.parse(readFileSync(join(record, "record.json"), "utf8")) as RecordJson;
    built = environmentFromJson(
      JSON.parse(readFileSync(join(record, "env.json"), "utf8")) as EnvironmentJson,
    );
  } catch {
    return undefined;
  }
  if (!json.existing.every((path) => existsSync(path))) return undefined;
  const checkedMs = Date.now();
  const now = json.inputs.map((input) => currentInput(input, environment));
  const changed = json.inputs.filter((input, n) => {
    const current = now[n];
    return current === undefined || !isSameInput(input, current);
  });
  if (changed.length === 0) {
    refreshRecord(record, json, now, checkedMs);
    markEntered(record);
  }
  return {
    environment: built,
    record,
    inputs: json.inputs,
    warnings: json.warnings ?? [],
    changed,
    directory: json.directory,
    selection: wordsOfKey(json.key),
  };
}

/** Directory → its records, for `devshell gc` and tests. */
export function listRecords(cache: string = cacheDirectory()): string[] {
  const records = join(cache, "records");
  return existsSync(records) ? readdirSync(records).map((name) => join(records, name)) : [];
}

/** The project of a record and the words that select its environment there; `undefined` where it cannot be read. */
export function recordOwner(
  record: string,
): { readonly directory: string; readonly selection: readonly string[] } | undefined {
  try {
    const json = JSON.parse(readFileSync(join(record, "record.json"), "utf8")) as RecordJson;
    return { directory: json.directory, selection: wordsOfKey(json.key) };
  } catch {
    return undefined;
  }
}

/** When a record was last made, found good or entered, in milliseconds since 1970. */
export function lastUsedMs(record: string): number {
  const times = ["entered", "stat", "."].map(
    (name) => lstatSync(join(record, name), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}

/**
 * Forgets records that nobody will enter again: of directories that are gone; and, a week after they were last used,
 * superseded ones, one-offs and what was never finished. Their roots go with them.
 * @returns how many
 */
export function dropOldRecords(cache: string = cacheDirectory()): number {
  const limit = Date.now() - KEEP_MS;
  const old = listRecords(cache).filter((record) => {
    const isRecent = lastUsedMs(record) > limit;
    try {
      const json = JSON.parse(readFileSync(join(record, "record.json"), "utf8")) as RecordJson;
      if (!existsSync(json.directory)) return true;
      const isNamed = readIndex(indexPath(cache, json.directory)).some((entry) => entry.record === record);
      return !isRecent && (!isNamed || json.isOneOff === true);
    } catch {
      const writer = /\.tmp-(\d+)$/.exec(record)?.[1];
      return !isRecent || (writer !== undefined && !existsSync(`/proc/${writer}`));
    }
  });
  for (const record of old) rmSync(record, { recursive: true, force: true });
  return old.length;
}

/** The paths whose change can change the environment. */
export function watchedPaths(inputs: readonly TrackedInput[]): ByteString[] {
  const paths = new Set<ByteString>();
  for (const input of inputs)
    switch (input.kind) {
      case "variable":
      case "direct":
      case "access":
      case "object":
      case "program":
        break;
      default:
        paths.add(input.path);
    }
  return [...paths];
}

function refreshRecord(
  record: string,
  json: RecordJson,
  now: readonly TrackedInput[],
  checkedMs: number,
): void {
  const stat = renderStat(now);
  try {
    if (readFileSync(join(record, "stat"), "latin1") === stat) return;
    const temporary = join(record, `stat.tmp-${process.pid}`);
    writeFileSync(temporary, stat, { encoding: "latin1", mode: 0o600 });
    renameSync(temporary, join(record, "stat"));
    writeStamp(record, checkedMs);
    writeFileSync(join(record, "record.json"), JSON.stringify({ ...json, inputs: now }));
  } catch {
    // a cache that cannot be written stays as it is
  }
}

/** The launcher does the same on the way in. */
function markEntered(record: string): void {
  try {
    writeFileSync(join(record, "entered"), "");
  } catch {
    // a cache that cannot be written stays as it is
  }
}

function writeStamp(directory: string, startedMs: number): void {
  const path = join(directory, "stamp");
  writeFileSync(path, "", { mode: 0o600 });
  const at = (startedMs - STAMP_MARGIN_MS) / 1000;
  utimesSync(path, at, at);
}

function renderMeta(environment: BuildEnvironment, rung: string): string {
  const needsBash = environment.shellHook !== "" || environment.exitHook !== "";
  return `devshell_shell=${quoteSh(environment.shell)}
devshell_pure=${environment.isPure ? "1" : ""}
devshell_hook=${needsBash ? "1" : ""}
devshell_rung=${rung}
devshell_spec=${quoteSh(environment.spec.path ?? "")}
`;
}

/** Two writers at once: the later wins, and the other's next entry is a miss. */
function addToIndex(cache: string, directory: string, key: string, record: string): void {
  if (/\n/.test(directory) || /\n/.test(key)) return;
  const path = indexPath(cache, directory);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const entries = readIndex(path).filter((entry) => entry.key !== key && existsSync(entry.record));
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, formatIndex([...entries, { key, record }]), { mode: 0o600 });
  renameSync(temporary, path);
}

/** The directory as the shell's `$PWD` names it, when that is where we are; else as the kernel does. */
export function workingDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const cwd = process.cwd();
  const pwd = environment["PWD"];
  if (pwd === undefined || !pwd.startsWith("/")) return cwd;
  const [a, b] = [statSync(cwd), statSync(pwd, { throwIfNoEntry: false })];
  return b !== undefined && a.ino === b.ino && a.dev === b.dev && !pwd.split("/").includes("..")
    ? pwd
    : realpathSync(cwd);
}
