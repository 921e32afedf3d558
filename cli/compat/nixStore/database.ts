import { DevshellError, formatHash, parseHash } from "../../../core/index.ts";
import {
  canonicalise,
  hashNar,
  parseStorePath,
  type Store,
  type StorePath,
  type ValidPathInfo,
} from "../../../store/index.ts";
import { openAskedStore } from "../askedStore.ts";
import { openContext } from "../context.ts";
import { printLine, printLines, standardInput } from "../output.ts";
import { storePathOf } from "../storeArgument.ts";
import { refuseWords, switchesOf, type StoreOperation } from "./operation.ts";

/** `nix-store --init`: the database is made when the store is opened. */
export function initialise(operation: StoreOperation): number {
  refuseWords(operation);
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  return context.store.storeDir === "" ? 1 : 0;
}

/** `nix-store --register-validity`: paths whose files are there become valid. */
export function registerValidity(operation: StoreOperation): number {
  refuseWords(operation);
  const given = switchesOf(operation, ["--reregister", "--hash-given"]);
  return register(operation, {
    isAgain: given.has("--reregister"),
    hasHashes: given.has("--hash-given"),
    isCanonicalised: true,
  });
}

/** `nix-store --load-db`: reads what `--dump-db` printed. */
export function loadDatabase(operation: StoreOperation): number {
  refuseWords(operation);
  switchesOf(operation, []);
  return register(operation, { isAgain: true, hasHashes: true, isCanonicalised: false });
}

/** `nix-store --dump-db`: what is registered, of all paths or of some. */
export function dumpDatabase(operation: StoreOperation): number {
  switchesOf(operation, []);
  using context = openContext(operation.flags);
  const { store } = context;
  const paths =
    operation.words.length > 0
      ? operation.words.map((word) => storePathOf(store.storeDir, word))
      : store.allValidPaths().toSorted();
  printLines(registrationsOf(store, paths));
  return 0;
}

function* registrationsOf(store: Store, paths: readonly StorePath[]): Generator<string> {
  for (const path of paths) {
    const info = store.pathInfo(path);
    yield [
      path,
      formatHash(info.narHash, "base16"),
      info.narSizeBytes,
      info.deriver ?? "",
      info.references.length,
      ...info.references,
    ].join("\n");
  }
}

/** `nix-store --check-validity`: fails at the first path that is not valid, or prints those. */
export async function checkValidity(operation: StoreOperation): Promise<number> {
  const isPrinting = switchesOf(operation, ["--print-invalid"]).has("--print-invalid");
  await using asked = await openAskedStore(operation.flags);
  const { context, store } = asked;
  for (const word of operation.words) {
    const path = storePathOf(context.settings.storeDir, word);
    if ((await store.query(path, context.signal)) !== undefined) continue;
    if (!isPrinting) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
    printLine(path);
  }
  return 0;
}

interface RegisterOptions {
  readonly isAgain: boolean;
  readonly hasHashes: boolean;
  readonly isCanonicalised: boolean;
}

function register({ flags }: StoreOperation, options: RegisterOptions): number {
  using context = openContext(flags);
  const { store } = context;
  const text = Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString("latin1");
  const infos = new Map<StorePath, ValidPathInfo>();
  for (const entry of entriesOf(store.storeDir, text, options.hasHashes)) {
    if (!options.isAgain && store.isValidPath(entry.path)) continue;
    if (options.isCanonicalised) canonicalise(store.realPath(entry.path));
    infos.set(entry.path, entry.hash === undefined ? hashed(store, entry) : entry.info(entry.hash));
  }
  store.registerValidPaths([...infos.values()]);
  return 0;
}

interface Entry {
  readonly path: StorePath;
  readonly hash: Pick<ValidPathInfo, "narHash" | "narSizeBytes"> | undefined;
  info(hash: Pick<ValidPathInfo, "narHash" | "narSizeBytes">): ValidPathInfo;
}

/** Path, hash and size where they are given, deriver or an empty line, number of references, references. */
function* entriesOf(storeDir: string, text: string, hasHashes: boolean): Generator<Entry> {
  const lines = text.split("\n");
  let at = 0;
  const line = (): string => {
    const next = lines[at++];
    if (next === undefined) throw new DevshellError("CLI_REGISTRATION", "missing input");
    return next;
  };
  while (at < lines.length && lines[at] !== "") {
    const path = parseStorePath(storeDir, line());
    const hash = hasHashes
      ? { narHash: parseHash(line(), "sha256"), narSizeBytes: count(line()) }
      : undefined;
    const deriver = line();
    const references: StorePath[] = [];
    for (let left = count(line()); left > 0; left--) references.push(parseStorePath(storeDir, line()));
    yield {
      path,
      hash,
      info: (digest) => ({
        path,
        ...digest,
        deriver: deriver === "" ? undefined : parseStorePath(storeDir, deriver),
        references: [...new Set(references)].toSorted(),
        registrationTime: 0,
        isUltimate: false,
        signatures: [],
      }),
    };
  }
}

function count(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new DevshellError("CLI_REGISTRATION", "number expected");
  return Number(text);
}

function hashed(store: Store, entry: Entry): ValidPathInfo {
  const { hash, sizeBytes } = hashNar(store.realPath(entry.path));
  return entry.info({ narHash: hash, narSizeBytes: sizeBytes });
}
