import type { FromView, ViewCommand } from "./viewMessages.ts";

const COMMANDS: Readonly<Record<ViewCommand, true>> = {
  reload: true,
  cancel: true,
  enable: true,
  openSpec: true,
  openError: true,
  showLog: true,
  initialise: true,
  manageTrust: true,
};

/** What the page asks for; undefined: nothing that it may. */
export function parseRequest(message: unknown): FromView | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { type, name, index, path, command } = message as Readonly<Record<string, unknown>>;
  switch (type) {
    case "ready":
    case "loadClosure":
      return { type };
    case "command":
      return isCommand(command) ? { type, command } : undefined;
    case "copyName":
    case "copyValue":
    case "openOrigin":
    case "openScript":
      return typeof name === "string" ? { type, name } : undefined;
    case "copyElement":
      return typeof name === "string" && typeof index === "number" ? { type, name, index } : undefined;
    case "copyStorePath":
      return typeof path === "string" ? { type, path } : undefined;
    default:
      return undefined;
  }
}

function isCommand(command: unknown): command is ViewCommand {
  return typeof command === "string" && Object.hasOwn(COMMANDS, command);
}
