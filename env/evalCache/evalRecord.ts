import { randomBytes, randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeNix32, fsPath, hashBytes, packageRoot, type ByteString } from "../../core/index.ts";
import { hasOutline } from "../../lang/index.ts";
import { currentInput, isSameInput, isUntouchedInput } from "../inputTracker.ts";
import type { InputStat, TrackedInput } from "../types.ts";
import { putAllFirst, putFirst, recordsOf, removeOutdated } from "./evalIndex.ts";
import { evalCacheDirectory, type EvalKey } from "./evalKey.ts";
import { pruneEvalRecords } from "./pruneEvalRecords.ts";
import { renderEvalCheck, renderEvalSums } from "./renderEvalCheck.ts";
import type { EvalRecord } from "./types.ts";
import { writeDurably, writeWhole } from "./writeDurably.ts";

interface RecordJson extends EvalRecord {
  readonly version: 1;
  /** Another installation may answer otherwise. */
  readonly package: string;
  /** No input was read before, for the last time. */
  readonly readMs: number;
  readonly directory: string;
  readonly key: string;
}

const MAX_INPUTS = 50_000;
const MAX_OUTPUT_BYTES = 8 << 20;
/** One in so many that are kept looks at all: at 500 records that takes 10 ms, a twentieth of instantiating hello. */
const PRUNING_PERIOD = 8;
/** File times move in steps of up to 10 ms, on some file systems of 1 or 2 s. */
const TICK_MS = 20;
const COARSE_TICK_MS = 2100;

/** The shell's form of a record that only Node can check. */
const ONLY_NODE = "devshell_answer() {\nreturn 1\n}\n";

/**
 * Keeps what a command printed, where nothing that it read has changed meanwhile.
 * @param startedMs when evaluation began: nothing was read before
 * @returns whether it was kept
 */
export function writeEvalRecord(key: EvalKey, record: EvalRecord, startedMs: number): boolean {
  if (!isBounded(record)) return false;
  const verified = verify(record, startedMs, process.env);
  if (verified === undefined) return false;
  const cache = evalCacheDirectory();
  const records = join(cache, "records");
  mkdirSync(records, { recursive: true, mode: 0o700 });
  removeOutdated(cache, key);
  const base = join(records, encodeNix32(randomBytes(20)));
  writeForms(base, key, record, verified);
  putFirst(cache, key, base);
  if (randomInt(PRUNING_PERIOD) === 0) pruneEvalRecords(cache);
  return true;
}

/**
 * Keeps parts of what a command printed for Node, as they were read: the launcher's form is made when one is asked for
 * alone. Fifteen attributes of nixpkgs took half as long again when each was written as a whole is.
 */
export function writeEvalParts(
  parts: readonly { readonly key: EvalKey; readonly record: EvalRecord }[],
  startedMs: number,
): void {
  const cache = evalCacheDirectory();
  const records = join(cache, "records");
  const made = parts
    .filter(({ record }) => isBounded(record))
    .map(({ key, record }) => {
      const base = join(records, encodeNix32(randomBytes(20)));
      writeJson(base, key, record, { inputs: record.inputs, readMs: startedMs });
      writeWhole(`${base}.sh`, Buffer.from(ONLY_NODE));
      return { key, base };
    });
  for (const [directory, keys] of Map.groupBy(made, ({ key }) => key.directory))
    putAllFirst(cache, directory, keys);
}

function isBounded({ inputs, output, messages }: EvalRecord): boolean {
  return inputs.length <= MAX_INPUTS && output.length + messages.length <= MAX_OUTPUT_BYTES;
}

/**
 * A record whose inputs are as they were; made ready for the launcher where they were only touched.
 * @param isPart of a command line that is kept as a whole, so that this one may stay as it is
 */
export function findEvalRecord(
  key: EvalKey,
  environment: NodeJS.ProcessEnv = process.env,
  isPart = false,
): EvalRecord | undefined {
  const cache = evalCacheDirectory(environment);
  // Many parts are looked for at once: of each the newest only, since reading them is what takes long.
  for (const base of recordsOf(cache, key).slice(0, isPart ? 1 : undefined)) {
    const record = readRecord(`${base}.json`, key);
    if (record?.required.every((path) => existsSync(fsPath(path))) !== true) continue;
    const verified = verify(record, record.readMs, environment);
    if (verified === undefined) continue;
    try {
      if (!isPart && !isSameText(`${base}.sh`, shellForm(record, verified)))
        writeForms(base, key, record, verified);
      markUsed(base);
      if (!isPart) putFirst(cache, key, base);
    } catch {
      // a cache that cannot be written stays as it is
    }
    return { ...record, inputs: verified.inputs };
  }
  return undefined;
}

/** Whether a record's links are where its command put them. */
export function hasLinks({ links }: EvalRecord): boolean {
  return links.every(({ link, target }) => {
    try {
      return realpathSync(fsPath(link)) === realpathSync(fsPath(target));
    } catch {
      return false;
    }
  });
}

interface Verified {
  readonly inputs: readonly TrackedInput[];
  readonly readMs: number;
  /** From now on no input can change without its stat. */
  readonly isSettled: boolean;
}

/**
 * The inputs as they are now, where they mean the same.
 * @param readMs no input was read before
 */
function verify(
  { inputs, globals }: Pick<EvalRecord, "inputs" | "globals">,
  readMs: number,
  environment: NodeJS.ProcessEnv,
): Verified | undefined {
  const nowMs = Date.now();
  const current: TrackedInput[] = [];
  for (const input of inputs) {
    const isKnown = "stat" in input && isOlder(input.stat, readMs) && isUntouchedInput(input);
    const now = isKnown ? input : currentInput(input, environment);
    if (!isKnown && !isSameInput(input, now) && !isAsGood(input, now, globals)) return undefined;
    current.push(now);
  }
  const isSettled = current.every((input) => !("stat" in input) || isOlder(input.stat, nowMs));
  return { inputs: current, readMs: nowMs, isSettled };
}

/** Whether a file changed only where evaluation did not look. */
function isAsGood(input: TrackedInput, now: TrackedInput, globals: readonly string[]): boolean {
  if (input.kind !== "file" || now.kind !== "file" || input.outline === undefined) return false;
  // Its last word is whether it may be executed.
  const [sum, ...mode] = now.content.split(" ");
  if (mode.join() !== input.content.split(" ").slice(1).join()) return false;
  let bytes: Buffer;
  try {
    bytes = readFileSync(fsPath(now.path));
  } catch {
    // gone since it was hashed
    return false;
  }
  if (hashBytes("sha256", bytes).digest.toString("hex") !== sum) return false;
  return hasOutline(now.path, bytes.toString("latin1"), input.outline, globals);
}

/** Whether a file last changed so long before a moment that a change after it shows in its stat. */
function isOlder({ ctimeNs }: InputStat, momentMs: number): boolean {
  const tickMs = /0{9}$/.test(ctimeNs) ? COARSE_TICK_MS : TICK_MS;
  return Number(BigInt(ctimeNs) / 1_000_000n) + tickMs < momentMs;
}

function writeForms(base: string, key: EvalKey, record: EvalRecord, verified: Verified): void {
  const { inputs } = verified;
  writeJson(base, key, record, verified);
  const check = shellForm(record, verified);
  const sums = check === ONLY_NODE ? undefined : renderEvalSums({ ...record, inputs });
  // Beside an older check, too, they say what was read: contents that give this answer.
  if (sums !== undefined) writeWhole(`${base}.sums`, Buffer.from(sums, "latin1"));
  writeDurably(`${base}.sh`, Buffer.from(check, "latin1"));
}

function writeJson(
  base: string,
  key: EvalKey,
  { globals, required, links, output, messages }: EvalRecord,
  { inputs, readMs }: Pick<Verified, "inputs" | "readMs">,
): void {
  const json: RecordJson = {
    version: 1,
    package: packageRoot,
    directory: key.directory,
    key: key.text,
    readMs,
    inputs,
    globals,
    required,
    links,
    output,
    messages,
  };
  const text = JSON.stringify(json);
  writeWhole(`${base}.json`, Buffer.from(`${checksum(text)}\n${text}`));
}

function shellForm(record: EvalRecord, { inputs, isSettled }: Verified): ByteString {
  const text = isSettled ? renderEvalCheck({ ...record, inputs }) : undefined;
  return text ?? ONLY_NODE;
}

function isSameText(path: string, text: ByteString): boolean {
  try {
    return readFileSync(path, "latin1") === text;
  } catch {
    return false;
  }
}

function readRecord(path: string, key: EvalKey): RecordJson | undefined {
  try {
    const [, sum, text = ""] = /^([0-9a-f]{64})\n(.*)$/s.exec(readFileSync(path, "utf8")) ?? [];
    if (sum !== checksum(text)) return undefined;
    const json = JSON.parse(text) as RecordJson;
    if (json.version !== 1 || json.package !== packageRoot) return undefined;
    if (json.key !== key.text || json.directory !== key.directory) return undefined;
    if (typeof json.readMs !== "number") return undefined;
    if (![json.inputs, json.globals, json.required, json.links].every(Array.isArray)) return undefined;
    return typeof json.output === "string" && typeof json.messages === "string" ? json : undefined;
  } catch {
    return undefined;
  }
}

function checksum(text: string): string {
  return hashBytes("sha256", Buffer.from(text)).digest.toString("hex");
}

function markUsed(base: string): void {
  const path = `${base}.used`;
  if (!existsSync(path)) writeFileSync(path, "", { mode: 0o600 });
  const now = new Date();
  utimesSync(path, now, now);
}
