import { existsSync, lstatSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import { quoteSh } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { findCommand } from "../commandTable.ts";
import { printHelp, printVersion } from "./output.ts";
import { inStore } from "./storeArgument.ts";

/** `nix-shell`: the shell of a derivation, by the same way as `devshell`'s own. */
export async function runNixShell(argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion("nix-shell");
  if (argv.includes("--help")) return printHelp("nix-shell");
  const { expandScript, runScript } = await import("../shebang.ts");
  const script = expandScript(argv, "nix-shell");
  const invocation = await invocationOf(script?.argv ?? argv);
  if (script !== undefined) return runScript(invocation, script.script);
  const text = invocation.flags.value("run");
  if (text !== undefined) {
    const { enterWith } = await import("../enterRecord.ts");
    return enterWith(invocation, { kind: "text", text: withBuildDirectory(text) });
  }
  const { run } = await import("../commands/enter.ts");
  return run(invocation);
}

/** `….drv!out` and links to derivations mean the derivation; other words stay. */
async function derivationOf(word: string): Promise<string> {
  const path = word.replace(/![^/]*$/, "");
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (!stat.isSymbolicLink() && !path.endsWith(".drv"))) return word;
  const { isInStore, resolveStoreSettings } = await import("../../store/index.ts");
  const { storeDir } = resolveStoreSettings(process.env);
  const place = inStore(storeDir, path);
  return isInStore(storeDir, place) && place.endsWith(".drv") ? textOfBytes(place) : word;
}

/** A command of Bash with a temporary directory of its own, as a build has; it goes when the command ends. */
function withBuildDirectory(text: string): string {
  const directory = quoteSh(mkdtempSync(join(tmpdir(), "nix-shell-")));
  const names = ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP"];
  return `trap ${quoteSh(`command rm -rf ${directory}`)} EXIT
export ${names.map((name) => `${name}=${directory}`).join(" ")}
${text}
exit`;
}

async function invocationOf(argv: readonly string[]): Promise<Invocation> {
  const spec = findCommand("enter");
  if (spec === undefined) throw new Error("no command enter");
  const { parseCommand } = await import("../parseCommand.ts");
  const parsed = parseCommand(spec, argv);
  if (parsed === "help") throw new Error("unreachable");
  const isNamed = parsed.words.length > 0 || parsed.flags.has("expr") || parsed.flags.has("packages");
  if (isNamed) {
    const isFile = !parsed.flags.has("expr") && !parsed.flags.has("packages");
    const words = isFile ? await Promise.all(parsed.words.map(derivationOf)) : parsed.words;
    return { ...parsed, words, argv, command: "enter" };
  }
  const file = ["shell.nix", "default.nix"].find((name) => existsSync(name));
  if (file === undefined)
    throw new DevshellError(
      "CLI_NO_SHELL_FILE",
      "no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory",
    );
  return { ...parsed, words: [file], argv: [...argv, file], command: "enter" };
}
