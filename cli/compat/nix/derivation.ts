import { DevshellError, bytesOfText } from "../../../core/index.ts";
import type { Derivation, StorePath } from "../../../store/index.ts";
import { parseCommandLine, usageError, type CommonFlags } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine, standardInput } from "../output.ts";
import { DERIVATION_JSON_VERSION, derivationFromJson, derivationToJson } from "./derivationJson.ts";
import {
  newInstallableFlags,
  openInstallableContext,
  takeInstallableFlag,
  targetsOf,
} from "./installables.ts";
import { printJsonLine, takeJsonLayout, type JsonLayout } from "./prettyJson.ts";

/** `nix derivation show [-r]`, `nix derivation add`. */
export function derivation(argv: readonly string[]): number {
  const words: string[] = [];
  const installables = newInstallableFlags();
  const layout: JsonLayout = { isPretty: undefined };
  let isRecursive = false;
  let isDryRun = false;
  const flags = parseCommandLine("nix derivation", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next) || takeJsonLayout(layout, word)) return true;
    if (word === "--dry-run") {
      isDryRun = true;
      return true;
    }
    if (word === "-r" || word === "--recursive") isRecursive = true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [action, ...rest] = words;
  if (action === "add") return add(flags, isDryRun);
  if (action !== "show") throw usageError("nix derivation", `'${action ?? ""}' is not built yet`);
  using context = openInstallableContext(flags, installables, { name: "nix derivation show" });
  const { store } = context;
  const drvPaths = targetsOf(context, flags, installables, rest).map((target) => {
    const path = target.kind === "built" ? target.drvPath : target.path;
    const drvPath = path.endsWith(".drv") ? path : store.pathInfo(path).deriver;
    if (drvPath === undefined)
      throw new DevshellError("CLI_NO_DERIVER", `deriver of path '${path}' is not known`);
    return drvPath;
  });
  const shown = isRecursive ? store.closureOf(drvPaths).filter((path) => path.endsWith(".drv")) : drvPaths;
  const start = store.storeDir.length + 1;
  const entries = shown
    .toSorted()
    .map((path) => [path.slice(start), derivationToJson(store.readDerivation(path))] as const);
  const json = { derivations: Object.fromEntries(entries), version: DERIVATION_JSON_VERSION };
  printJsonLine(bytesOfText(JSON.stringify(json)), layout);
  return 0;
}

function add(flags: CommonFlags, isDryRun: boolean): number {
  using context = openContext(flags);
  const { store } = context;
  const text = Buffer.concat([...standardInput()].map((chunk) => Buffer.from(chunk))).toString("utf8");
  const features = new Set((store.settings.config.raw.get("experimental-features") ?? "").split(/\s+/));
  const read = (drvPath: StorePath): Derivation => store.readDerivation(drvPath);
  const made = derivationFromJson(text, store.storeDir, read, features);
  printLine(isDryRun || flags.isReadOnly ? made.drvPath : store.writeDerivation(made));
  return 0;
}
