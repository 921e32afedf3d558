import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DevshellError, bytesOfText, textOfBytes } from "../../core/index.ts";
import type { FoundDerivation } from "../../env/index.ts";
import { isStringValue, showType, textOf } from "../../lang/index.ts";
import { throwFailure, type StorePath } from "../../store/index.ts";
import { printLog } from "../compat/buildLogs.ts";
import { launcherPath, withoutInternals } from "../launcher.ts";
import { showDocumentation } from "./documentation.ts";
import { interruptSignal } from "./conversation.ts";
import { editDefinition } from "./editDefinition.ts";
import { REPL_HELP } from "./help.ts";
import type { ReplSession } from "./replSession.ts";

/** A promise is only given to sessions that nothing waits for. */
type ReplCommand = (session: ReplSession, argument: string) => void | Promise<void>;

/** What a colon and this name do; `undefined` for names that do nothing. `:q` is the session's. */
export function findReplCommand(name: string): ReplCommand | undefined {
  return COMMANDS.get(name);
}

const load: ReplCommand = (session, path) => {
  session.forgetFiles();
  session.load(path);
};
const add: ReplCommand = (session, text) => session.addAttributes(session.evaluate(text));
const loadFlake: ReplCommand = (session, reference) => session.loadFlake(reference);
const reload: ReplCommand = (session) => session.reload();
const print: ReplCommand = (session, text) => {
  const value = session.evaluator.force(session.evaluate(text));
  if (isStringValue(value)) session.options.print(`${textOf(value)}\n`);
  else session.print(value);
};
const help: ReplCommand = ({ options }) => options.print(REPL_HELP);

const COMMANDS: ReadonlyMap<string, ReplCommand> = new Map<string, ReplCommand>([
  ["?", help],
  ["help", help],
  ["a", add],
  ["add", add],
  ["l", load],
  ["load", load],
  ["lf", loadFlake],
  ["load-flake", loadFlake],
  ["ll", showLastLoaded],
  ["last-loaded", showLastLoaded],
  ["r", reload],
  ["reload", reload],
  ["p", print],
  ["print", print],
  ["te", enableTrace],
  ["trace-enable", enableTrace],
  ["e", editDefinition],
  ["edit", editDefinition],
  ["doc", showDocumentation],
  ["t", (session, text) => session.options.print(`${showType(session.evaluate(text))}\n`)],
  ["b", (session, text) => build(session, text)],
  ["bl", (session, text) => build(session, text, "repl-result-")],
  ["log", showLog],
  ["i", (session, text) => runDropIn("nix-env", ["-i", derivationPath(session, text)])],
  ["sh", (session, text) => runDropIn("nix-shell", [derivationPath(session, text)])],
  ["u", enterShellWith],
]);

function showLastLoaded({ lastLoaded, options }: ReplSession): void {
  if (lastLoaded === undefined) throw new DevshellError("REPL_NOTHING", "nothing has been loaded yet");
  // As they were written, as far as that is known: Nix shows them in the order in which it met the names.
  const names = lastLoaded.flatten().shape.names.map((name) => `${name}\n`);
  options.print(names.join(""));
}

function enableTrace(session: ReplSession, argument: string): void {
  if (argument !== "" && argument !== "true" && argument !== "false")
    throw new DevshellError("REPL_ARGUMENT", `unexpected argument '${argument}' to :te`);
  session.hasTrace = argument === "" ? !session.hasTrace : argument === "true";
  session.options.print(`${session.hasTrace ? "" : "not "}showing error traces\n`);
}

/** @param link where the outputs are linked, without their names */
function build(session: ReplSession, text: string, link?: string): void | Promise<void> {
  const found = session.derivations(text);
  if (session.options.isWaiting !== true) return buildMeanwhile(session, found, link);
  session.realise(found);
  showOutputs(session, found, link);
}

async function buildMeanwhile(
  session: ReplSession,
  found: readonly FoundDerivation[],
  link: string | undefined,
): Promise<void> {
  const targets = found.map(({ drvPath }) => ({ kind: "built", drvPath, outputs: "*" }) as const);
  throwFailure(await session.options.context.tryRealise(targets, { signal: interruptSignal() }));
  showOutputs(session, found, link);
}

function showOutputs(
  { options: { context, directory, print: show } }: ReplSession,
  found: readonly FoundDerivation[],
  link: string | undefined,
): void {
  for (const { drvPath } of found) {
    show("\nThis derivation produced the following outputs:\n");
    for (const [output, path] of context.store.queryDerivationOutputs(drvPath)) {
      if (path === undefined) continue;
      if (link !== undefined)
        context.store.addRoot(bytesOfText(resolve(directory, `${link}${output}`)), path);
      show(`  ${link === undefined ? output : `./${link}${output}`} -> ${path}\n`);
    }
  }
}

function showLog(session: ReplSession, text: string): Promise<void> {
  const { context, isWaiting } = session.options;
  if (isWaiting === true)
    throw new DevshellError("REPL_WAITING", "Cannot show a log here: an evaluation waits for the debugger", {
      hint: "`:q` ends it; `nix log` shows logs",
    });
  return printLog(context.store, derivationPath(session, text));
}

function derivationPath(session: ReplSession, text: string): StorePath {
  const [found] = session.derivations(text);
  if (found === undefined)
    throw new DevshellError(
      "REPL_NO_DERIVATION",
      "expression does not evaluate to a derivation, so I can't build it",
    );
  return found.drvPath;
}

function enterShellWith(session: ReplSession, text: string): void {
  const shell = `(drv: (import <nixpkgs> { }).runCommand "shell" { buildInputs = [ drv ]; } "") (${text})`;
  runDropIn("nix-shell", [derivationPath(session, shell)]);
}

/** Runs a drop-in command of ours at this terminal: the launcher looks at the name by which it is called. */
function runDropIn(name: string, args: readonly string[]): void {
  const bin = mkdtempSync(join(tmpdir(), "devshell-repl-"));
  try {
    const program = join(bin, name);
    symlinkSync(launcherPath(), program);
    const { error } = spawnSync(program, args.map(textOfBytes), {
      stdio: "inherit",
      env: withoutInternals(process.env),
    });
    if (error !== undefined)
      throw new DevshellError("REPL_RUN", `Cannot run '${name}': ${error.message}`, { cause: error });
  } finally {
    rmSync(bin, { recursive: true });
  }
}
