import { DevshellError, bytesOfText, formatHash } from "../../../core/index.ts";
import {
  parseContentAddress,
  queryPaths,
  renderSize,
  type RemotePathInfo,
  type RemoteStore,
  type StorePath,
} from "../../../store/index.ts";
import { allPathsOf, openAskedStore, pathsOfTargets } from "../askedStore.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printLine, printLines, say, wordsOfStandardInput } from "../output.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix path-info`. */
export async function pathInfo(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const given = new Set<string>();
  let format: string | undefined;
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix path-info", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    const name = SWITCHES[word];
    if (word === "--json-format") {
      format = next();
      return true;
    }
    if (name !== undefined) given.add(name);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  await using asked = await openAskedStore(flags, {
    open: (common) => openInstallableContext(common, installables, { name: "nix path-info" }),
  });
  const { context, store } = asked;
  if (given.has("stdin")) words.push(...wordsOfStandardInput());
  if (given.has("json")) checkFormat(format);
  const named = given.has("all")
    ? await allPathsOf(store)
    : given.has("stdin") && words.length === 0
      ? []
      : pathsOfTargets(context, targetsOf(context, flags, installables, words), {
          isDerivation: given.has("derivation"),
        });
  const paths = given.has("recursive")
    ? [...(await queryPaths(store, named, { isRecursive: true })).keys()].sort()
    : named;
  const printer = new InfoPrinter(store, context.settings.storeDir, given, format === "2");
  if (given.has("json")) printLine(bytesOfText(await printer.json(paths)));
  else await printAll(paths, printer);
  return 0;
}

/** Lines printed at once. */
const BATCH_SIZE = 1000;

async function printAll(paths: readonly StorePath[], printer: InfoPrinter): Promise<void> {
  const lines: string[] = [];
  try {
    for (const path of paths) {
      lines.push(await printer.line(path));
      if (lines.length >= BATCH_SIZE) printLines(lines.splice(0));
    }
  } finally {
    printLines(lines);
  }
}

const SWITCHES: Readonly<Record<string, string>> = {
  "--all": "all",
  "-r": "recursive",
  "--recursive": "recursive",
  "--derivation": "derivation",
  "--json": "json",
  "--stdin": "stdin",
  "-s": "size",
  "--size": "size",
  "-S": "closureSize",
  "--closure-size": "closureSize",
  "-h": "human",
  "--human-readable": "human",
  "--sigs": "signatures",
};

/** @throws {DevshellError} `CLI_USAGE` */
function checkFormat(format: string | undefined): void {
  if (format === undefined)
    say(
      "warning: '--json' without '--json-format' is deprecated; please specify '--json-format 1' or '--json-format 2'. This will become an error in a future release.",
    );
  else if (format !== "1" && format !== "2")
    throw usageError("nix path-info", `unknown JSON format '${format}': there are 1 and 2`);
}

interface ClosureSize {
  readonly narBytes: number;
  /** Undefined where the store does not keep compressed files. */
  readonly downloadBytes: number | undefined;
}

class InfoPrinter {
  readonly #store: RemoteStore;
  readonly #storeDir: string;
  readonly #given: ReadonlySet<string>;
  /** JSON of format 2: base names, and content addresses taken apart. */
  readonly #isNew: boolean;

  constructor(store: RemoteStore, storeDir: string, given: ReadonlySet<string>, isNew: boolean) {
    this.#store = store;
    this.#storeDir = storeDir;
    this.#given = given;
    this.#isNew = isNew;
  }

  async line(path: StorePath): Promise<string> {
    const info = await this.#store.query(path);
    if (info === undefined) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
    const given = this.#given;
    const fields: string[] = [path];
    const addSize = (sizeBytes: number): void =>
      void fields.push(given.has("human") ? renderSize(sizeBytes).padStart(10) : String(sizeBytes));
    if (given.has("size")) addSize(info.narSizeBytes);
    if (given.has("closureSize")) addSize((await this.#closureSize(path)).narBytes);
    if (given.has("signatures")) {
      if (info.isUltimate) fields.push("ultimate");
      if (info.contentAddress !== undefined) fields.push(`ca:${info.contentAddress}`);
      fields.push(...info.signatures);
    }
    return fields.join("\t");
  }

  async json(paths: readonly StorePath[]): Promise<string> {
    const entries: [string, unknown][] = [];
    for (const path of paths) entries.push([this.#shown(path), await this.#entry(path)]);
    const info = Object.fromEntries(entries);
    return JSON.stringify(this.#isNew ? { info, storeDir: this.#storeDir, version: 2 } : info);
  }

  async #entry(path: StorePath): Promise<unknown> {
    const info = await this.#store.query(path);
    if (info === undefined) return null;
    const { contentAddress, narFile } = info;
    const closure = this.#given.has("closureSize") ? await this.#closureSize(path) : undefined;
    return {
      ca: contentAddress === undefined ? null : this.#isNew ? addressJson(contentAddress) : contentAddress,
      ...(closure?.downloadBytes !== undefined && { closureDownloadSize: closure.downloadBytes }),
      ...(closure !== undefined && { closureSize: closure.narBytes }),
      ...(narFile !== undefined && { compression: narFile.compression }),
      deriver: info.deriver === undefined ? null : this.#shown(info.deriver),
      ...(narFile?.hash !== undefined && { downloadHash: formatHash(narFile.hash, "sri") }),
      ...(narFile?.sizeBytes !== undefined && { downloadSize: narFile.sizeBytes }),
      narHash: formatHash(info.narHash, "sri"),
      narSize: info.narSizeBytes,
      references: info.references.map((reference) => this.#shown(reference)),
      registrationTime: info.registrationTime === 0 ? null : info.registrationTime,
      signatures: info.signatures,
      storeDir: this.#storeDir,
      ultimate: info.isUltimate,
      ...(narFile !== undefined && { url: narFile.url }),
      version: this.#isNew ? 2 : 1,
    };
  }

  #shown(path: StorePath): string {
    return this.#isNew ? path.slice(this.#storeDir.length + 1) : path;
  }

  async #closureSize(path: StorePath): Promise<ClosureSize> {
    const infos = [...(await queryPaths(this.#store, [path], { isRecursive: true })).values()];
    const hasFiles = infos.every((info) => info.narFile !== undefined);
    const sum = (sizeOf: (info: RemotePathInfo) => number): number =>
      infos.reduce((total, info) => total + sizeOf(info), 0);
    return {
      narBytes: sum((info) => info.narSizeBytes),
      downloadBytes: hasFiles ? sum((info) => info.narFile?.sizeBytes ?? 0) : undefined,
    };
  }
}

function addressJson(text: string): unknown {
  const { hash, method } = parseContentAddress(text);
  return { hash: formatHash(hash, "sri"), method };
}
