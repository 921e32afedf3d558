import { existsSync, lstatSync, mkdtempSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { textOfBytes } from "../../core/index.ts";
import { quoteSh } from "../../env/index.ts";
import type { Invocation } from "../invocation.ts";
import { FLAGS, ParsedFlags, type FlagName } from "../flags.ts";
import { parseCommandLine, usageError } from "./commandLine.ts";
import { printHelp, printVersion } from "./output.ts";
import { requireShellFile, shellFileOf } from "./shellFile.ts";
import { inStore } from "./storeArgument.ts";

/** `nix-shell`: the shell of a derivation, by the same way as `devshell`'s own. */
export async function runNixShell(argv: readonly string[]): Promise<number> {
  if (argv.includes("--version")) return printVersion("nix-shell");
  if (argv.includes("--help")) return printHelp("nix-shell");
  const { expandScript, runScript } = await import("../shebang.ts");
  const script = expandScript(argv, "nix-shell");
  const [path, ...rest] = script?.script ?? [];
  const absolute = path === undefined ? undefined : resolve(path);
  const invoked = await invocationOf(script?.argv ?? argv, absolute);
  if (absolute !== undefined) {
    // Its expressions are relative to the script, too; the launcher runs it where we were started.
    if (isRelativeToScript(invoked.flags)) process.chdir(dirname(absolute));
    // Lines that name no interpreter describe a shell, of which the script is at most the expression.
    if (invoked.flags.has("interpreter")) return runScript(invoked, [absolute, ...rest]);
  }
  const text = invoked.flags.value("run");
  if (text !== undefined) {
    const { enterWith } = await import("../enterRecord.ts");
    return enterWith(invoked, { kind: "text", text: withBuildDirectory(text) });
  }
  const { run } = await import("../commands/enter.ts");
  return run(invoked);
}

function isRelativeToScript(flags: ParsedFlags): boolean {
  const given = flags
    .occurrences("option")
    .findLast(([, [name]]) => name === "nix-shell-shebang-arguments-relative-to-script");
  return given?.[1][1] !== "false";
}

/** Whether the search path has nixpkgs: else `-p` names packages of the embedded collection. */
function hasNixpkgs(includes: readonly string[]): boolean {
  const entries = [...includes, ...(process.env["NIX_PATH"] ?? "").split(":")];
  if (entries.some((entry) => entry.startsWith("nixpkgs=") || existsSync(join(entry, "nixpkgs"))))
    return true;
  return existsSync(join(homedir(), ".nix-defexpr/channels/nixpkgs"));
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

/**
 * A command line as `devshell` would have it. Its words are put in a canonical form, since the cache's key is made of
 * them and the same words may mean something else to `devshell`.
 * @param script the path of the script whose first lines they are: its relative paths are relative to it
 */
async function invocationOf(argv: readonly string[], script: string | undefined): Promise<Invocation> {
  const given: (readonly [FlagName, readonly string[]])[] = [];
  let words: string[] = [];
  const common = parseCommandLine("nix-shell", argv, (word, next) => {
    const name = OWN_FLAGS[word];
    if (name !== undefined) given.push([name, FLAGS[name].values.map(next)]);
    else if (IGNORED.has(word)) return true;
    else if (word.startsWith("-")) return false;
    else words.push(word);
    return true;
  });
  for (const path of common.includes) given.push(["include", [path]]);
  for (const { name, kind, value } of common.arguments)
    given.push([kind === "expression" ? "arg" : "argstr", [name, value]]);
  for (const setting of common.settings) given.push(["option", setting]);
  if (common.settings.get("show-trace") === "true") given.push(["showTrace", []]);
  if (common.verbosity < 0) given.push(["quiet", []]);
  for (let count = common.verbosity; count > 0; count--) given.push(["verbose", []]);
  const flags = new ParsedFlags(given);
  const isExpression = flags.has("expr");
  const isPackages = flags.has("packages");
  if (isExpression && isPackages) throw usageError("nix-shell", "'-p' and '-E' are mutually exclusive");
  if (isPackages && hasNixpkgs(common.includes)) {
    const inputs = words.map((word) => `(${word}) `).join("");
    words = [
      `{...}@args: with import <nixpkgs> args; (pkgs.runCommandCC or pkgs.runCommand) "shell" { buildInputs = [ ${inputs}]; } ""`,
    ];
    return invocation(
      given.map((flag) => (flag[0] === "packages" ? ["expr", []] : flag)),
      words,
    );
  }
  if (!isExpression && !isPackages) {
    if (words.length === 0) {
      requireShellFile();
      words = ["."];
    }
    if (script !== undefined) words = words.map((word) => fromScript(script, word));
    words = await Promise.all(words.map(derivationOf));
    words = await Promise.all(words.map((word) => shellFileOf(word, common)));
  }
  return invocation(given, words);
}

function invocation(
  given: readonly (readonly [FlagName, readonly string[]])[],
  words: readonly string[],
): Invocation {
  const argv = given.flatMap(([name, values]) => [FLAGS[name].long, ...values]);
  return { words: [...words], flags: new ParsedFlags(given), argv: [...argv, ...words], command: "enter" };
}

const OWN_FLAGS: Readonly<Record<string, FlagName>> = {
  "-A": "attr",
  "--attr": "attr",
  "-E": "expr",
  "--expr": "expr",
  "-p": "packages",
  "--packages": "packages",
  "-i": "interpreter",
  "--run": "run",
  "--command": "command",
  "--pure": "pure",
  "--impure": "impure",
  "--keep": "keep",
  "--exclude": "exclude",
};

const IGNORED = new Set(["--indirect", "--add-drv-link", "--run-env", "--no-out-link", "--no-link"]);

function fromScript(script: string, word: string): string {
  return /^[<]|^[a-z]+:/.test(word) ? word : resolve(dirname(script), word);
}
