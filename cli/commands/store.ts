import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  readdirSync,
} from "node:fs";
import { basename, resolve } from "node:path";
import {
  DevshellError,
  bytesOfText,
  formatHash,
  fsPath,
  textOfBytes,
  type ByteString,
} from "../../core/index.ts";
import { createStoreContext, suggestNames } from "../../env/index.ts";
import { dumpNar, restoreNar, splitStorePath } from "../../store/index.ts";
import type { Store, StorePath, ValidPathInfo } from "../../store/index.ts";
import type { Invocation } from "../invocation.ts";
import { writeStandardOutput } from "../compat/output.ts";
import { findCommand } from "../commandTable.ts";
import { inStore, storePathOf } from "../compat/storeArgument.ts";
import { openStore } from "../openStore.ts";
import { formatBytes } from "../tui/index.ts";
import { withDisplay } from "../withDisplay.ts";

type Action = (store: Store, words: readonly string[], invocation: Invocation) => Promise<number> | number;

/** `devshell store ACTION`: looks into the store and mends it. */
export async function run(invocation: Invocation): Promise<number> {
  const [name = "", ...words] = invocation.words;
  // These two need no store.
  if (name === "dump") return dump(one(words, "dump"));
  if (name === "restore") return restore(one(words, "restore"));
  const action = ACTIONS.get(name);
  if (action === undefined) {
    const known = findCommand("store")?.arguments[0]?.choices ?? [];
    throw new DevshellError(
      "CLI_UNKNOWN_ACTION",
      `Cannot run "devshell store ${name}": there is no such action`,
      {
        suggestions: suggestNames(name, known),
        hint: `there are ${known.join(", ")}`,
      },
    );
  }
  using store = openStore(invocation.flags);
  return await action(store, words, invocation);
}

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["add", add],
  ["add-text", addText],
  ["path-info", pathInfo],
  ["verify", verify],
  ["ls", list],
  ["cat", cat],
  ["delete", deletePaths],
  ["optimise", optimise],
  ["roots", roots],
]);

function add(store: Store, words: readonly string[], { flags }: Invocation): number {
  for (const word of atLeastOne(words, "add")) {
    const path = resolve(word);
    const name = flags.value("name") ?? basename(path);
    print(store.addPath(bytesOfText(path), { name, method: flags.has("flat") ? "flat" : "nar" }));
  }
  return 0;
}

function addText(store: Store, words: readonly string[]): number {
  const [name, text] = words;
  if (name === undefined) throw usage("add-text takes a name, and a text or standard input");
  const contents = text === undefined ? readFileSync(0).toString("latin1") : bytesOfText(text);
  print(store.addText(name, contents, []));
  return 0;
}

function pathInfo(store: Store, words: readonly string[], { flags }: Invocation): number {
  const named = words.map((word) => storePathOf(store.storeDir, word));
  const paths =
    flags.has("all") || named.length === 0
      ? store.allValidPaths()
      : flags.has("recursive")
        ? store.closureOf(named)
        : named;
  const infos = paths.map((path) => store.pathInfo(path));
  if (flags.has("json")) {
    print(
      JSON.stringify(Object.fromEntries(infos.map((info) => [info.path, infoJson(store, info)])), null, 2),
    );
    return 0;
  }
  if (flags.count("verbose") === 0 && named.length !== 1) {
    for (const info of infos) print(info.path);
    return 0;
  }
  for (const info of infos) {
    const closureBytes = store
      .closureOf(info.path)
      .reduce((sum, path) => sum + store.pathInfo(path).narSizeBytes, 0);
    print(info.path);
    print(`  hash        ${formatHash(info.narHash, "sri")}`);
    print(
      `  size        ${formatBytes(info.narSizeBytes)} (${info.narSizeBytes} bytes as a NAR), closure ${formatBytes(closureBytes)}`,
    );
    if (info.deriver !== undefined) print(`  deriver     ${info.deriver}`);
    if (info.contentAddress !== undefined) print(`  content     ${info.contentAddress}`);
    print(
      `  registered  ${new Date(info.registrationTime * 1000).toISOString()}${info.isUltimate ? ", built here" : ""}`,
    );
    for (const signature of info.signatures) print(`  signature   ${signature}`);
    for (const reference of info.references) print(`  needs       ${reference}`);
  }
  return 0;
}

function infoJson(store: Store, info: ValidPathInfo): unknown {
  return {
    narHash: formatHash(info.narHash, "sri"),
    narSize: info.narSizeBytes,
    references: info.references,
    referrers: store.queryReferrers(info.path),
    deriver: info.deriver ?? null,
    ca: info.contentAddress ?? null,
    signatures: info.signatures,
    registrationTime: info.registrationTime,
    ultimate: info.isUltimate,
  };
}

async function verify(store: Store, _words: readonly string[], { flags }: Invocation): Promise<number> {
  const repair = flags.has("repair") ? (path: StorePath) => repairPath(flags, path) : undefined;
  const result = await store.verify({ checkContents: flags.has("checkContents"), repair });
  for (const path of result.forgotten) print(`forgotten, since it is gone: ${path}`);
  for (const problem of result.problems) process.stderr.write(`${textOfBytes(problem)}\n`);
  print(`${result.checkedPaths} paths checked, ${result.problems.length} problems`);
  return result.problems.length === 0 ? 0 : 1;
}

async function repairPath(flags: Invocation["flags"], path: StorePath): Promise<boolean> {
  return withDisplay(flags, path, false, async ({ onEvent, signal }) => {
    using context = createStoreContext({ onEvent, signal });
    const report = await context.tryRealise([{ kind: "opaque", path }], { mode: "repair" });
    return report.failures.length === 0;
  });
}

function dump(path: string): number {
  dumpNar(bytesOfText(resolve(path)), (chunk) => writeStandardOutput(chunk));
  return 0;
}

async function restore(path: string): Promise<number> {
  await restoreNar(bytesOfText(resolve(path)), readChunks(0));
  return 0;
}

function list(store: Store, words: readonly string[], { flags }: Invocation): number {
  for (const word of atLeastOne(words, "ls")) listPath(insideStore(store, word), "", flags.has("recursive"));
  return 0;
}

function listPath(path: ByteString, shown: string, isRecursive: boolean): void {
  const stat = lstatSync(fsPath(path));
  const kind = stat.isDirectory() ? "dr-xr-xr-x" : stat.isSymbolicLink() ? "lrwxrwxrwx" : (stat.mode & 0o111) !== 0 ? "-r-xr-xr-x" : "-r--r--r--"; // prettier-ignore
  const target = stat.isSymbolicLink() ? ` -> ${readlinkSync(fsPath(path))}` : "";
  print(
    `${kind} ${String(stat.isFile() ? stat.size : 0).padStart(12)} ${shown === "" ? "." : textOfBytes(shown)}${target}`,
  );
  if (!stat.isDirectory() || (shown !== "" && !isRecursive)) return;
  for (const name of readdirSync(fsPath(path), { encoding: "latin1" }).toSorted())
    listPath(`${path}/${name}`, shown === "" ? name : `${shown}/${name}`, isRecursive);
}

function cat(store: Store, words: readonly string[]): number {
  for (const word of atLeastOne(words, "cat")) {
    const fd = openSync(fsPath(insideStore(store, word)), "r");
    try {
      if (!fstatSync(fd).isFile())
        throw new DevshellError("CLI_NO_FILE", `Cannot print "${word}": it is no regular file`);
      for (const chunk of readChunks(fd)) writeStandardOutput(chunk);
    } finally {
      closeSync(fd);
    }
  }
  return 0;
}

async function deletePaths(store: Store, words: readonly string[]): Promise<number> {
  const result = await store.deletePaths(
    atLeastOne(words, "delete").map((word) => storePathOf(store.storeDir, word)),
  );
  print(`${result.paths.length} paths deleted, ${formatBytes(result.freedBytes)} freed`);
  return 0;
}

async function optimise(store: Store): Promise<number> {
  const result = await store.optimise();
  print(`${result.linkedFiles} files linked, ${formatBytes(result.savedBytes)} saved`);
  return 0;
}

function roots(store: Store, _words: readonly string[], { flags }: Invocation): number {
  const found = [...store.findRoots()].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (flags.has("json"))
    print(JSON.stringify(Object.fromEntries(found.map(([path, links]) => [path, [...links]])), null, 2));
  else for (const [path, links] of found) for (const link of links) print(`${textOfBytes(link)} -> ${path}`);
  return 0;
}

/** Where something inside the store lies on the disk; its store path must be valid. */
function insideStore(store: Store, word: string): ByteString {
  const path = inStore(store.storeDir, word);
  store.pathInfo(splitStorePath(store.storeDir, path).storePath);
  return store.realPath(path);
}

function atLeastOne(words: readonly string[], action: string): readonly string[] {
  if (words.length === 0) throw usage(`${action} takes at least one path`);
  return words;
}

function one(words: readonly string[], action: string): string {
  const [word] = words;
  if (word === undefined || words.length > 1) throw usage(`${action} takes one path`);
  return word;
}

function usage(what: string): DevshellError {
  return new DevshellError("CLI_USAGE", `Cannot understand the arguments of devshell store: ${what}`, {
    hint: "see `devshell store --help`",
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const CHUNK_BYTES = 1 << 20;

function* readChunks(fd: number): Generator<Buffer> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const count = readSync(fd, buffer);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}
