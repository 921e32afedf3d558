import { DevshellError, bytesOfText, formatHash } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import { parseContentAddress, type DerivedPath, type Store, type StorePath } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printLine, say, wordsOfStandardInput } from "../output.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";

/** `nix path-info`. */
export function pathInfo(argv: readonly string[]): number {
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
  using context = openInstallableContext(flags, installables, { name: "nix path-info" });
  const { store } = context;
  if (given.has("stdin")) words.push(...wordsOfStandardInput());
  if (given.has("json")) checkFormat(format);
  const named = given.has("all")
    ? store.allValidPaths()
    : given.has("stdin") && words.length === 0
      ? []
      : targetsOf(context, flags, installables, words).flatMap((target) =>
          pathsOf(context, target, given.has("derivation")),
        );
  const paths = given.has("recursive") ? store.closureOf(named) : named;
  if (given.has("json"))
    printLine(
      bytesOfText(jsonOf(store, paths, { hasClosure: given.has("closureSize"), isNew: format === "2" })),
    );
  else for (const path of paths) printLine(lineOf(store, path, given));
  return 0;
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
  "--sigs": "signatures",
};

function pathsOf(context: StoreContext, target: DerivedPath, isDerivation: boolean): StorePath[] {
  if (target.kind === "opaque") return [target.path];
  if (isDerivation) return [target.drvPath];
  const { outputs } = target;
  return [...context.store.queryDerivationOutputs(target.drvPath)].flatMap(([name, path]) =>
    path !== undefined && (outputs === "*" || outputs.includes(name)) ? [path] : [],
  );
}

function lineOf(store: Store, path: StorePath, given: ReadonlySet<string>): string {
  const info = infoOf(store, path);
  const fields: string[] = [path];
  if (given.has("size")) fields.push(String(info.narSizeBytes));
  if (given.has("closureSize")) fields.push(String(closureBytes(store, path)));
  if (given.has("signatures")) {
    if (info.isUltimate) fields.push("ultimate");
    if (info.contentAddress !== undefined) fields.push(`ca:${info.contentAddress}`);
    fields.push(...info.signatures);
  }
  return fields.join("\t");
}

/** @throws {DevshellError} `CLI_USAGE` */
function checkFormat(format: string | undefined): void {
  if (format === undefined)
    say(
      "warning: '--json' without '--json-format' is deprecated; please specify '--json-format 1' or '--json-format 2'. This will become an error in a future release.",
    );
  else if (format !== "1" && format !== "2")
    throw usageError("nix path-info", `unknown JSON format '${format}': there are 1 and 2`);
}

interface JsonOptions {
  readonly hasClosure: boolean;
  /** Format 2: base names, and content addresses taken apart. */
  readonly isNew: boolean;
}

function jsonOf(store: Store, paths: readonly StorePath[], options: JsonOptions): string {
  const { isNew } = options;
  const { storeDir } = store;
  const shown = (path: StorePath): string => (isNew ? path.slice(storeDir.length + 1) : path);
  const info = Object.fromEntries(paths.map((path) => [shown(path), entryOf(store, path, shown, options)]));
  return JSON.stringify(isNew ? { info, storeDir, version: 2 } : info);
}

function entryOf(
  store: Store,
  path: StorePath,
  shown: (path: StorePath) => string,
  { hasClosure, isNew }: JsonOptions,
): unknown {
  const info = store.queryPathInfo(path);
  if (info === undefined) return null;
  const { contentAddress } = info;
  return {
    ca: contentAddress === undefined ? null : isNew ? addressJson(contentAddress) : contentAddress,
    ...(hasClosure ? { closureSize: closureBytes(store, path) } : {}),
    deriver: info.deriver === undefined ? null : shown(info.deriver),
    narHash: formatHash(info.narHash, "sri"),
    narSize: info.narSizeBytes,
    references: info.references.map(shown),
    registrationTime: info.registrationTime,
    signatures: info.signatures,
    storeDir: store.storeDir,
    ultimate: info.isUltimate,
    version: isNew ? 2 : 1,
  };
}

function addressJson(text: string): unknown {
  const { hash, method } = parseContentAddress(text);
  return { hash: formatHash(hash, "sri"), method };
}

function closureBytes(store: Store, path: StorePath): number {
  return store.closureOf(path).reduce((sum, each) => sum + infoOf(store, each).narSizeBytes, 0);
}

function infoOf(store: Store, path: StorePath): ReturnType<Store["pathInfo"]> {
  const info = store.queryPathInfo(path);
  if (info === undefined) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
  return info;
}
