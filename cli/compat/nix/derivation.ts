import { DevshellError, formatHash, textOfBytes } from "../../../core/index.ts";
import type { Derivation, DerivationOutput } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { openContext } from "../context.ts";
import { printLine } from "../output.ts";
import { newInstallableFlags, takeInstallableFlag, targetsOf } from "./installables.ts";

/** `nix derivation show [-r]`. */
export function derivation(argv: readonly string[]): number {
  const words: string[] = [];
  const installables = newInstallableFlags();
  let isRecursive = false;
  const flags = parseCommandLine("nix derivation", argv, (word, next) => {
    if (takeInstallableFlag(installables, word, next)) return true;
    if (word === "-r" || word === "--recursive") isRecursive = true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const [action, ...rest] = words;
  if (action !== "show") throw usageError("nix derivation", `'${action ?? ""}' is not built yet`);
  using context = openContext(flags);
  const { store } = context;
  const drvPaths = targetsOf(context, flags, installables, rest).map((target) => {
    const path = target.kind === "built" ? target.drvPath : target.path;
    const drvPath = path.endsWith(".drv") ? path : store.pathInfo(path).deriver;
    if (drvPath === undefined)
      throw new DevshellError("CLI_NO_DERIVER", `deriver of path '${path}' is not known`);
    return drvPath;
  });
  const shown = isRecursive ? store.closureOf(drvPaths).filter((path) => path.endsWith(".drv")) : drvPaths;
  const entries = shown.map((path) => [path, jsonOf(store.readDerivation(path))] as const);
  printLine(JSON.stringify(Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))), null, 2));
  return 0;
}

function jsonOf(drv: Derivation): unknown {
  return {
    args: drv.args.map(textOfBytes),
    builder: textOfBytes(drv.builder),
    env: Object.fromEntries([...drv.env].map(([name, value]) => [textOfBytes(name), textOfBytes(value)])),
    inputDrvs: Object.fromEntries(
      [...drv.inputDrvs].map(([path, outputs]) => [path, { dynamicOutputs: {}, outputs }]),
    ),
    inputSrcs: drv.inputSrcs,
    name: drv.name,
    outputs: Object.fromEntries([...drv.outputs].map(([name, output]) => [name, outputJson(output)])),
    system: textOfBytes(drv.system),
  };
}

function outputJson(output: DerivationOutput): unknown {
  switch (output.kind) {
    case "inputAddressed":
      return { path: output.path };
    case "fixed":
      return {
        hash: formatHash(output.hash, "base16"),
        hashAlgo: output.hash.algorithm,
        method: output.method,
        path: output.path,
      };
    case "contentAddressed":
      return { hashAlgo: output.algorithm, method: output.method };
    case "impure":
      return { hashAlgo: output.algorithm, impure: true, method: output.method };
    case "deferred":
      return {};
  }
}
