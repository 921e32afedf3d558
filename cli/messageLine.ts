import type { MessageLevel } from "../env/index.ts";

/** What evaluation says, in a line (or more) of its own, as Nix has it. */
export function messageLine(level: MessageLevel, text: string): string {
  if (level === "note") return text;
  if (level === "trace") return `trace: ${text}`;
  // A program's own begin so, but for an empty one.
  return text === "" || /^(?:evaluation )?warning:/.test(text) ? text : `warning: ${text}`;
}
