import { usageError } from "./commandLine.ts";

const DAY_MS = 86_400_000;

/** `14d`: so many days ago, in ms since 1970. */
export function readTimeSpec(command: string, text: string): number {
  const digits = /^(\d{1,6})d$/.exec(text)?.[1];
  if (digits === undefined && !text.endsWith("d"))
    throw usageError(command, `invalid number of days specifier '${text}', expected something like '14d'`);
  const days = Number(digits ?? 0);
  if (days < 1) throw usageError(command, `invalid number of days specifier '${text}'`);
  return Date.now() - days * DAY_MS;
}
