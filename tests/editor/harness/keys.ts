// keys - a key for each command, since the palette's ranking shifts; and VS Code's names of keys as Playwright's.

/** An entry of keybindings.json. */
export interface Keybinding {
  /** `ctrl+alt+f1`, or a chord: `ctrl+k ctrl+f1` */
  readonly key: string;
  readonly command: string;
  readonly when?: string;
  readonly args?: unknown;
}

/** Commands that the harness itself runs. */
const OWN_COMMANDS = [
  "workbench.action.terminal.new",
  "workbench.action.terminal.killAll",
  "workbench.actions.view.problems",
  "workbench.action.showCommands",
  "notifications.showList",
  "notifications.hideList",
  "workbench.trust.manage",
];
const MODIFIERS = ["ctrl+alt+shift", "ctrl+alt", "alt+shift"];

/** @throws {Error} when there are more commands than keys for them */
export function assignKeys(
  commands: readonly string[],
  keybindings: readonly Keybinding[],
): readonly Keybinding[] {
  const bound = new Set(keybindings.map(({ command }) => command));
  const taken = new Set(keybindings.map(({ key }) => key));
  const keys = MODIFIERS.flatMap((modifiers) =>
    Array.from({ length: 12 }, (_, n) => `${modifiers}+f${n + 1}`),
  );
  const free = keys.filter((key) => !taken.has(key));
  const unbound = [...new Set([...OWN_COMMANDS, ...commands])].filter((command) => !bound.has(command));
  if (unbound.length > free.length)
    throw new Error(`Cannot give a key to each of ${unbound.length} commands`);
  return [...keybindings, ...unbound.map((command, n) => ({ key: free[n] ?? "", command }))];
}

/** `ctrl+k f1` as `["Control+K", "F1"]` */
export function playwrightKeys(key: string): string[] {
  const names: Readonly<Record<string, string>> = {
    ctrl: "Control",
    alt: "Alt",
    shift: "Shift",
    meta: "Meta",
  };
  const named = (part: string): string =>
    names[part] ?? (part.length === 1 ? part : part[0]?.toUpperCase() + part.slice(1));
  return key.split(" ").map((press) => press.split("+").map(named).join("+"));
}
