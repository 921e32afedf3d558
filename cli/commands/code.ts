import { writeSync } from "node:fs";
import { quoteSh, workingDirectory } from "../../env/index.ts";
import { findEditor, hasExtension, installExtension } from "../editor.ts";
import { describeLaunch } from "../editorLaunch.ts";
import { readEditorWords } from "../editorWords.ts";
import type { Invocation } from "../invocation.ts";
import { withoutInternals } from "../launcher.ts";
import { openEnvironment } from "../openEnvironment.ts";
import { makeReport } from "../protocol/index.ts";

/** A window is not to wait for a slow answer to what is only a hint. */
const HINT_WAIT_MS = 1500;

/** `devshell code [DIRECTORY] [-- EDITOR ARGUMENTS]`: an editor that has the environment from its first moment. */
export async function run(invocation: Invocation): Promise<number> {
  const { flags, argv } = invocation;
  const caller = workingDirectory();
  const words = readEditorWords(argv, flags, caller);
  const { directory } = words;
  const editor = findEditor(flags.value("editor"), process.env, caller);
  if (flags.has("installExtension")) await installExtension(editor);
  // Answered while the environment is made.
  using known = hasExtension(editor);

  process.chdir(directory);
  process.env["PWD"] = directory;
  const selecting = { ...invocation, argv: words.selecting, words: words.specWords };
  const { record, environment } = await openEnvironment(selecting, words.specWords);
  // For the extension, the shell hook's variables among it.
  const { report } = await makeReport(selecting);
  const variables = report.state === "ready" ? report.variables : [];
  if ((await known.within(HINT_WAIT_MS)) === false && !flags.has("quiet"))
    process.stderr.write(
      `devshell: this editor has no devshell extension yet; \`devshell code --install-extension\` installs it\n`,
    );
  return goThere(
    launchText({
      record,
      directory,
      caller,
      shell: process.env["SHELL"] ?? "",
      launch: describeLaunch(directory, words.selection, variables, process.env),
      words: [...editor, directory, ...words.editorWords],
      callerPath: environment.isPure ? (process.env["PATH"] ?? "") : undefined,
    }),
  );
}

interface Launch {
  readonly record: string;
  readonly directory: string;
  readonly caller: string;
  /** The caller's SHELL; empty: none. */
  readonly shell: string;
  /** For the extension. */
  readonly launch: string;
  readonly words: readonly string[];
  /** Where the environment is pure: an editor without the programs of the machine (git, a shell) is none. */
  readonly callerPath?: string | undefined;
}

/**
 * Shell source that becomes the editor. The record's `run.bash` runs the shell hook, in the project's directory; the
 * caller's other variables stay also where the environment is pure, for no window opens without its display and bus.
 */
export function launchText({ record, directory, caller, shell, launch, words, callerPath }: Launch): string {
  const steps = [
    `cd -- ${quoteSh(directory)} || exit 1`,
    `DEVSHELL_EDITOR_LAUNCH=${quoteSh(launch)}; export DEVSHELL_EDITOR_LAUNCH`,
    `. ${quoteSh(`${record}/meta.sh`)} || exit 1`,
  ];
  const inside = [
    callerPath === undefined ? ":" : "PATH=${PATH:+$PATH:}$1; export PATH",
    // The environment's Bash may have no line editing: terminals are to be the user's own.
    'if [ -n "$2" ]; then SHELL=$2; export SHELL; else unset SHELL; fi',
    // The editor's own arguments are relative to where they were typed.
    'cd -- "$3" || exit 1',
    'shift 3; exec "$@"',
  ].join("\n");
  const wrapped = ["/bin/sh", "-c", inside, "sh", callerPath ?? "", shell, caller, ...words];
  const run = ["--noprofile", "--norc", `${record}/run.bash`, ...wrapped].map(quoteSh).join(" ");
  return `${steps.join("\n")}\nexec "$devshell_shell" ${run}\n`;
}

/** Through the launcher that listens, which has the caller's own limits; else by becoming a shell. */
function goThere(text: string): number {
  const replyTo = process.env["DEVSHELL_REPLY_FD"];
  if (replyTo === undefined)
    process.execve?.("/bin/sh", ["/bin/sh", "-c", text], withoutInternals(process.env));
  writeSync(Number(replyTo), Buffer.from(text));
  return 0;
}
