import { join } from "node:path";
import { quoteSh } from "../env/index.ts";
import type { BuildEnvironment } from "../env/index.ts";
import { bytesOfText, packageRoot } from "../core/index.ts";

export interface RcFileRequest {
  readonly environment: BuildEnvironment;
  /** The cache record, whose `rc.bash` sets the environment (env/cache/FORMAT.md). */
  readonly recordDir: string;
  /** The session's own directory: `next` and `applied` lie there. */
  readonly sessionDir: string;
  /** Run after everything else (`--command`). */
  readonly command?: string | undefined;
}

/**
 * The file that an interactive Bash reads: the user's own rc, the prompt's marker, the environment with its shell
 * hook, and last the prompt hook, whose cost is two stats.
 */
export function renderRcFile(request: RcFileRequest): string {
  const { environment, recordDir, sessionDir, command } = request;
  return [
    `__devshell_dir=${quoteSh(sessionDir)}`,
    `. ${quoteSh(join(packageRoot, "shell/session.bash"))}`,
    "__devshell_own_suspend",
    // A pure shell knows nothing of its user's settings, as in nix-shell.
    environment.isPure ? "" : "if [ -r ~/.bashrc ]; then . ~/.bashrc; fi",
    `__devshell_keep ${variableNames(environment).join(" ")}`,
    `__devshell_mark ${quoteSh(promptName(environment))}`,
    `. ${quoteSh(`${recordDir}/rc.bash`)}`,
    `__devshell_note ${ownNames(environment).join(" ")}`,
    // A hook that wrote its own prompt is not overruled.
    'case ${PS1-} in *"$__devshell_marker"*) ;; *) __devshell_marker= ;; esac',
    "__devshell_hook_prompt",
    command === undefined ? "" : `${command}\nexit`,
    "",
  ]
    .filter((line) => line !== "")
    .join("\n");
}

/**
 * What the prompt hook sources after a reload: takes the old environment back where the user has not changed it,
 * sets the new one, and says what changed in one line.
 */
export function renderReload(
  before: BuildEnvironment,
  beforeDir: string,
  after: BuildEnvironment,
  recordDir: string,
  note: string,
): string {
  const lines = [`__devshell_hold ${ownNames(before).join(" ")}`];
  const appended = new Set(before.appended);
  // Scripts go first on PATH, from the record's own directory.
  const scripts = before.scripts.size > 0 ? `${bytesOfText(join(beforeDir, "scripts"))}:` : "";
  for (const [name, variable] of before.variables) {
    if (!isShellName(name)) continue;
    if (appended.has(name) && (variable.kind === "exported" || variable.kind === "var"))
      lines.push(`__devshell_strip ${name} ${quoteSh((name === "PATH" ? scripts : "") + variable.value)}`);
    else if (!after.variables.has(name))
      lines.push(
        variable.kind === "exported" || variable.kind === "var"
          ? `__devshell_restore ${name} ${quoteSh(variable.value)}`
          : `unset -v ${name}`,
      );
  }
  const gone = [...before.functions.keys()].filter((name) => !after.functions.has(name) && isShellName(name));
  if (gone.length > 0) lines.push(`unset -f ${gone.join(" ")}`);
  lines.push(`__devshell_keep ${variableNames(after).join(" ")}`);
  lines.push(`. ${quoteSh(`${recordDir}/rc.bash`)}`);
  lines.push(`__devshell_settle ${ownNames(after).join(" ")}`);
  lines.push("hash -r");
  lines.push(renderNote(note));
  return `${lines.join("\n")}\n`;
}

/** What the prompt hook sources when nothing but a message is to be shown. */
export function renderNote(note: string): string {
  return `printf '%s\\n' ${quoteSh(note)} >&2\n`;
}

/** The name in the prompt: the environment's, or its directory's where that says nothing. */
export function promptName(environment: BuildEnvironment): string {
  const isPlain = /^(?:nix-shell|devshell|shell|interactive-shell-env|nix-shell-env)?$/.test(
    environment.name,
  );
  const name = isPlain ? (environment.spec.root.split("/").at(-1) ?? "") : environment.name;
  // What Bash or the terminal would obey is taken out: the name is foreign text.
  const shown = name.replace(/-env$/, "").replace(/[^A-Za-z0-9._+@-]/g, "_");
  return shown === "" ? "devshell" : shown.slice(0, 40);
}

function variableNames(environment: BuildEnvironment): string[] {
  return [...environment.variables.keys(), ...environment.unset].filter(isShellName);
}

/** Exported variables whose value is the environment's alone. */
function ownNames(environment: BuildEnvironment): string[] {
  const appended = new Set(environment.appended);
  return [...environment.variables].flatMap(([name, variable]) =>
    variable.kind === "exported" && !appended.has(name) && isShellName(name) ? [name] : [],
  );
}

function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}
