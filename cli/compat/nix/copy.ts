import { DevshellError } from "../../../core/index.ts";
import {
  LocalStore,
  hasTrustedSignature,
  narChunks,
  parsePublicKey,
  resolveStoreSettings,
  type DerivedPath,
  type StorePath,
  type ValidPathInfo,
} from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { say } from "../output.ts";
import { reportFailures } from "../reportFailures.ts";
import { newInstallableFlags, takeInstallableFlag, targetsOf } from "./installables.ts";

/** `nix copy --to STORE` and `--from STORE`, between stores of this machine. */
export async function copy(argv: readonly string[]): Promise<number> {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let from: string | undefined;
  let to: string | undefined;
  let checksSignatures = true;
  let isAll = false;
  let isWhole = true;
  const flags = parseCommandLine("nix copy", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "--from") from = next();
    else if (word === "--to") to = next();
    else if (word === "--no-check-sigs") checksSignatures = false;
    else if (word === "--all") isAll = true;
    else if (word === "--no-recursive") isWhole = false;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  if (from === undefined && to === undefined)
    throw usageError("nix copy", "you must pass '--from' and/or '--to'");
  using context = openContext(from === undefined ? flags : { ...flags, store: from });
  const settings = resolveStoreSettings(process.env, {
    overrides: flags.settings,
    store: to ?? flags.store,
  });
  const source = context.store;
  if (settings.storeDir !== source.storeDir)
    throw new DevshellError(
      "STORE_DIRECTORY_DIFFERS",
      `Cannot copy from a store of "${source.storeDir}" to one of "${settings.storeDir}"`,
      { hint: "name the directory: `--to '/some/place?store=/nix/store'`" },
    );
  using target = LocalStore.open(settings, { onWarn: (text) => say(`warning: ${text}`) });
  let paths: StorePath[];
  if (isAll) paths = source.allValidPaths();
  else {
    const targets = targetsOf(context, flags, installables, words);
    const report = await context.tryRealise(targets);
    if (report.failures.length > 0) return (await reportFailures(report)) > 0 ? 1 : 0;
    paths = targets.flatMap((each) => outputsOf(source, each));
  }
  const wanted = isWhole ? source.closureOf(paths) : paths;
  const missing = source.topologicalSort(wanted.filter((path) => !target.isValidPath(path)));
  const keys = settings.config.trustedPublicKeys.map(parsePublicKey);
  for (const path of missing) {
    const info = source.pathInfo(path);
    if (checksSignatures && settings.config.requireSignatures && !isTrusted(info, keys))
      throw new DevshellError(
        "STORE_SIGNATURE_MISSING",
        `cannot add path '${path}' because it lacks a signature by a trusted key`,
      );
    say(`copying path '${path}'...`);
    await target.addToStoreFromStream({ ...info, isUltimate: false }, narChunks(source.realPath(path)));
  }
  return 0;
}

/** What is addressed by its content needs no signature. */
function isTrusted(info: ValidPathInfo, keys: Parameters<typeof hasTrustedSignature>[1]): boolean {
  return info.contentAddress !== undefined || hasTrustedSignature(info, keys);
}

function outputsOf(store: LocalStore, target: DerivedPath): StorePath[] {
  if (target.kind === "opaque") return [target.path];
  const { outputs } = target;
  return [...store.queryDerivationOutputs(target.drvPath)].flatMap(([name, path]) =>
    path !== undefined && (outputs === "*" || outputs.includes(name)) ? [path] : [],
  );
}
