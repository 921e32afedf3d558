import { writeSync } from "node:fs";
import { quoteSh } from "../env/index.ts";
import { launcherPath, withoutInternals } from "./launcher.ts";
import type { Invocation } from "./invocation.ts";
import { openEnvironment } from "./openEnvironment.ts";

/** What is to be done inside. */
export type Errand =
  | { readonly kind: "run"; readonly words: readonly string[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "stdin" }
  | { readonly kind: "enter"; readonly command?: string | undefined; readonly isReloading: boolean };

/** Makes the environment ready and goes there. @returns the exit status, where this process lives on to have one */
export async function enterWith(invocation: Invocation, errand: Errand): Promise<number> {
  const { record } = await openEnvironment(invocation);
  return goThere(record, errand);
}

/**
 * Hands the record to the launcher, which enters it: through the descriptor it listens on, or, when this program was
 * started without it, by becoming it.
 */
function goThere(record: string, errand: Errand): number {
  const words = wordsOf(record, errand);
  const replyTo = process.env["DEVSHELL_REPLY_FD"];
  if (replyTo === undefined)
    process.execve?.(launcherPath(), [launcherPath(), "--record", ...words], withoutInternals(process.env));
  writeSync(Number(replyTo), replyOf(record, errand, words));
  return 0;
}

function wordsOf(record: string, errand: Errand): string[] {
  switch (errand.kind) {
    case "run":
      return [record, "run", ...errand.words];
    case "text":
      return [record, "text", errand.text];
    case "stdin":
      return [record, "stdin"];
    case "enter":
      if (!errand.isReloading || errand.command !== undefined) return [record, "plain", errand.command ?? ""];
      return [record, "enter"];
  }
}

/** Shell source; a command's words are left to the launcher where they are the command line's own. */
function replyOf(record: string, errand: Errand, words: readonly string[]): string {
  if (errand.kind === "run") {
    const count = errand.words.length;
    const tail = process.argv.slice(process.argv.length - count);
    if (tail.every((word, index) => word === errand.words[index]))
      return `devshell_record=${quoteSh(record)} devshell_take=${count}\n`;
  }
  return `devshell_enter ${words.map(quoteSh).join(" ")}\n`;
}
