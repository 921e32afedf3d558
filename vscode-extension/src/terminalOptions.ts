import type { Environment } from "./applyVariables.ts";

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
