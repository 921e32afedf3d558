import { readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { DevshellError, bytesOfText, hashBytes, type HashAlgorithm } from "../../../core/index.ts";
import {
  formatContentAddress,
  hashFlat,
  hashNar,
  makeFixedOutputPath,
  narChunks,
  narOfBytes,
  type RemoteStore,
} from "../../../store/index.ts";
import type { AskedStore } from "../askedStore.ts";
import { usageError } from "../commandLine.ts";
import { algorithmOf } from "../nixHash.ts";
import { printLine } from "../output.ts";

interface AddRequest {
  readonly storeDir: string;
  readonly method: "flat" | "nar" | "text";
  readonly algorithm: HashAlgorithm;
  /** Instead of the files' own. */
  readonly name: string | undefined;
  readonly isDryRun: boolean;
}

/** `nix store add`, `add-file` and `add-path` into a store that is none of this machine. */
export async function addToAsked(
  { store, context }: AskedStore,
  request: {
    readonly action: string;
    readonly words: readonly string[];
    readonly values: ReadonlyMap<string, string>;
    readonly given: ReadonlySet<string>;
  },
): Promise<number> {
  const { action, words, values, given } = request;
  const mode = action === "add" ? (values.get("--mode") ?? "nar") : "nar";
  if (mode !== "flat" && mode !== "nar" && mode !== "text")
    throw usageError("nix store add", `content address method '${mode}' is not built yet`);
  await addElsewhere(store, words, {
    storeDir: store.storeDir ?? context.settings.storeDir,
    method: action === "add-file" || given.has("--flat") ? "flat" : mode,
    algorithm: algorithmOf(values.get("--hash-algo") ?? "sha256"),
    name: values.get("--name"),
    isDryRun: given.has("--dry-run"),
  });
  return 0;
}

/** @throws {DevshellError} `STORE_NOT_A_FILE` */
export function readRegular(file: string): Buffer {
  if (!statSync(file).isFile())
    throw new DevshellError("STORE_NOT_A_FILE", `Cannot add '${file}' as a file: it is none`);
  return readFileSync(file);
}

/** Without a copy in a store of this machine. */
async function addElsewhere(
  store: RemoteStore,
  words: readonly string[],
  { storeDir, method, algorithm, name, isDryRun }: AddRequest,
): Promise<void> {
  for (const word of words) {
    const file = resolve(word);
    const path = bytesOfText(file);
    // Whether it may be executed is not part of a file's bytes.
    const flat = method === "nar" ? undefined : narOfBytes(readRegular(file));
    const hash = flat === undefined ? hashNar(path, { algorithm }).hash : hashFlat(path, algorithm);
    const storePath = makeFixedOutputPath(storeDir, name ?? basename(file), { method, hash, references: [] });
    const nar =
      flat === undefined ? hashNar(path) : { hash: hashBytes("sha256", flat), sizeBytes: flat.length };
    const info = {
      path: storePath,
      narHash: nar.hash,
      narSizeBytes: nar.sizeBytes,
      references: [],
      contentAddress: formatContentAddress({ method, hash }),
    };
    if (!isDryRun) await store.addPath(info, chunksOf(flat === undefined ? narChunks(path) : [flat]), {});
    printLine(storePath);
  }
}

async function* chunksOf(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  // A chunk is only valid until the next is asked for.
  for (const chunk of chunks) yield Buffer.from(chunk);
}
