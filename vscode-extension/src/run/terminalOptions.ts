import type { VariableReport } from "../../../cli/protocol/types.ts";
import { own, type Environment } from "../apply/applyVariables.ts";

/** A process to start. */
export interface Start {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** They belong to the extension host: a terminal gets its own from the editor, or has none. */
const HOST_VARIABLE =
  /^(?:VSCODE_(?!GIT_|IPC_HOOK_CLI)|ELECTRON_|CHROME_DESKTOP$|ORIGINAL_XDG_CURRENT_DESKTOP$|NODE_CHANNEL_|APPLICATION_INSIGHTS_NO_)/;

/** What the editor's own terminals have beside the variables of the editor. */
const TERMINAL_VARIABLES: Environment = { COLORTERM: "truecolor", TERM_PROGRAM: "vscode" };

/**
 * The whole environment of a terminal in which devshell itself makes the environment: it starts from the user's own
 * variables, not from those that all terminals of the folder are given, so that leaving out, unsetting and live reload
 * are devshell's to do.
 * @param base     the extension host's variables without any environment of ours
 * @param settings `terminal.integrated.env.linux`; null takes a variable away
 * @param cli      the CLI's variables, as its setting says
 */
export function sessionEnvironment(
  base: Readonly<Record<string, string | undefined>>,
  settings: Readonly<Record<string, unknown>>,
  cli: Environment,
  version: string,
): Record<string, string> {
  const environment = new Map<string, string>();
  for (const [name, value] of Object.entries(base))
    if (value !== undefined && !HOST_VARIABLE.test(name)) environment.set(name, value);
  for (const [name, value] of Object.entries({ ...TERMINAL_VARIABLES, TERM_PROGRAM_VERSION: version }))
    environment.set(name, value);
  if (!environment.has("LANG") && !environment.has("LC_ALL")) environment.set("LANG", "C.UTF-8");
  for (const [name, value] of Object.entries(settings)) {
    if (value === null) environment.delete(name);
    else if (typeof value === "string")
      environment.set(
        name,
        value.replace(/\$\{env:([^}]*)\}/g, (_, other: string) => base[other] ?? ""),
      );
  }
  for (const [name, value] of Object.entries(cli)) environment.set(name, value);
  return Object.fromEntries(environment);
}

/** Below the system's limit for one variable, 128 KiB. */
const NAMES_LIMIT = 64 * 1024;
/** They have shells with the editor's integration set the collection's variables once more. */
const INTEGRATION_VARIABLES = "VSCODE_ENV_REPLACE VSCODE_ENV_PREPEND VSCODE_ENV_APPEND";

/**
 * The same process without the variables that the editor gives every process of the folder: on servers it does so to
 * terminals that are to have exactly their own environment, too. A shell takes them away and becomes the program.
 * @param variables those that the folder's terminals are given
 * @param base      what the process is to have of them
 */
export function withoutVariables(
  start: Start,
  variables: readonly VariableReport[],
  base: Environment,
): Start {
  const names = variables.map(({ name }) => name).filter((name) => /^[A-Za-z_]\w*$/.test(name));
  if (names.length === 0) return start;
  const passed = new Map<string, string>();
  const script: string[] = [];
  // By variables, not by words of the command line: others of the machine may read those.
  for (const chunk of chunksOf(names.filter((name) => own(base, name) === undefined))) {
    const carrier = `DEVSHELL_UNDO_${passed.size}`;
    passed.set(carrier, chunk);
    script.push(
      `for devshell_name in $${carrier}; do unset "$devshell_name"; done; unset devshell_name ${carrier}`,
    );
  }
  for (const name of names) {
    const value = own(base, name);
    if (value === undefined) continue;
    const carrier = `DEVSHELL_UNDO_${passed.size}`;
    passed.set(carrier, value);
    script.push(`${name}=$${carrier}; export ${name}; unset ${carrier}`);
  }
  return {
    program: "/bin/sh",
    args: [
      "-c",
      `${script.join("\n")}\nunset ${INTEGRATION_VARIABLES}\nexec "$@"`,
      "devshell",
      start.program,
      ...start.args,
    ],
    environment: { ...start.environment, ...Object.fromEntries(passed) },
  };
}

function chunksOf(names: readonly string[]): string[] {
  const chunks: string[] = [];
  let chunk = "";
  for (const name of names) {
    if (chunk.length + name.length > NAMES_LIMIT) {
      chunks.push(chunk);
      chunk = "";
    }
    chunk += chunk === "" ? name : ` ${name}`;
  }
  return chunk === "" ? chunks : [...chunks, chunk];
}
