import { DevshellError, formatHash } from "../../../core/index.ts";
import type { StoreContext } from "../../../env/index.ts";
import type { DerivedPath, LocalStore, StorePath } from "../../../store/index.ts";
import { parseCommandLine } from "../commandLine.ts";
import { printLine } from "../output.ts";
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
  const installables = newInstallableFlags();
  const flags = parseCommandLine("nix path-info", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    const name = SWITCHES[word];
    if (name !== undefined) given.add(name);
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  using context = openInstallableContext(flags, installables, { name: "nix path-info" });
  const { store } = context;
  const named = given.has("all")
    ? store.allValidPaths()
    : targetsOf(context, flags, installables, words).flatMap((target) =>
        pathsOf(context, target, given.has("derivation")),
      );
  const paths = given.has("recursive") ? store.closureOf(named) : named;
  if (given.has("json")) printLine(jsonOf(store, paths, given.has("closureSize")));
  else for (const path of paths) printLine(lineOf(store, path, given));
  return 0;
}

const SWITCHES: Readonly<Record<string, string>> = {
  "--all": "all",
  "-r": "recursive",
  "--recursive": "recursive",
  "--derivation": "derivation",
  "--json": "json",
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

function lineOf(store: LocalStore, path: StorePath, given: ReadonlySet<string>): string {
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

function jsonOf(store: LocalStore, paths: readonly StorePath[], hasClosure: boolean): string {
  const entries = paths.map((path) => {
    const info = store.queryPathInfo(path);
    if (info === undefined) return [path, null] as const;
    return [
      path,
      {
        ca: info.contentAddress ?? null,
        ...(hasClosure ? { closureSize: closureBytes(store, path) } : {}),
        deriver: info.deriver ?? null,
        narHash: formatHash(info.narHash, "sri"),
        narSize: info.narSizeBytes,
        references: info.references,
        registrationTime: info.registrationTime,
        signatures: info.signatures,
        ultimate: info.isUltimate,
      },
    ] as const;
  });
  return JSON.stringify(Object.fromEntries(entries));
}

function closureBytes(store: LocalStore, path: StorePath): number {
  return store.closureOf(path).reduce((sum, each) => sum + infoOf(store, each).narSizeBytes, 0);
}

function infoOf(store: LocalStore, path: StorePath): ReturnType<LocalStore["pathInfo"]> {
  const info = store.queryPathInfo(path);
  if (info === undefined) throw new DevshellError("STORE_PATH_NOT_VALID", `path '${path}' is not valid`);
  return info;
}
