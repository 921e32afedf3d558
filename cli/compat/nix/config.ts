import { DevshellError } from "../../../core/index.ts";
import { resolveStoreSettings } from "../../../store/index.ts";
import { parseCommandLine, usageError } from "../commandLine.ts";
import { printLine } from "../output.ts";

/** `nix config show [NAME]`. */
export function config(argv: readonly string[]): number {
  const [action, ...rest] = argv.filter((word) => word !== "");
  const at = argv.indexOf("show");
  if (at < 0) throw usageError("nix config", `'${action ?? ""}' is not a recognised command`);
  return showConfig(
    [...argv.slice(0, at), ...argv.slice(at + 1)].length === 0 ? rest : argv.toSpliced(at, 1),
  );
}

/** `nix show-config`, the older name. */
export function showConfig(argv: readonly string[]): number {
  const words: string[] = [];
  let isJson = false;
  const flags = parseCommandLine("nix config show", argv, (word) => {
    if (word === "--json") isJson = true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  const { raw } = resolveStoreSettings(process.env, { overrides: flags.settings, store: flags.store }).config;
  const [name] = words;
  if (name !== undefined) {
    const value = raw.get(name);
    if (value === undefined) throw new DevshellError("CLI_NO_SETTING", `could not find setting '${name}'`);
    printLine(value);
    return 0;
  }
  const sorted = [...raw].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (isJson) printLine(JSON.stringify(Object.fromEntries(sorted.map(([key, value]) => [key, { value }]))));
  else for (const [key, value] of sorted) printLine(`${key} = ${value}`);
  return 0;
}
