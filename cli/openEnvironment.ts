import { loadCachedEnvironment, makeEnvironment } from "../env/index.ts";
import type { BuildEnvironment } from "../env/index.ts";
import { findCommand } from "./commandTable.ts";
import type { Invocation } from "./invocation.ts";
import { requestOf, settingsOf } from "./request.ts";
import { selectionOf } from "./selection.ts";
import { withDisplay } from "./withDisplay.ts";

export interface OpenedEnvironment {
  /** The cache record's directory. */
  readonly record: string;
  readonly environment: BuildEnvironment;
}

/**
 * The environment that a command line selects: from the cache where its inputs are unchanged, else evaluated and
 * realised under a display of its progress.
 */
export async function openEnvironment(
  invocation: Invocation,
  words: readonly string[] = invocation.command === "run" ? [] : invocation.words,
): Promise<OpenedEnvironment> {
  const { flags } = invocation;
  const isPassThrough = findCommand(invocation.command)?.isPassThrough === true;
  const selection =
    invocation.command === "explain"
      ? selectionOf(
          invocation.argv.filter((word) => !invocation.words.includes(word)),
          false,
        )
      : selectionOf(invocation.argv, isPassThrough);
  const request = requestOf(words, flags, selection);
  if ((process.env["DEVSHELL_NO_CACHE"] ?? "") === "") {
    const cached = loadCachedEnvironment(request.directory, selection);
    if (cached !== undefined && cached.changed.length === 0) return cached;
  }
  const label = labelOf(request.files, request.attributes, request.packages);
  const isJson = invocation.command === "enter" && flags.has("json");
  return withDisplay(flags, label, isJson, (work) =>
    makeEnvironment(request, { settings: settingsOf(flags), ...work }),
  );
}

/** What is evaluated, for the display. */
function labelOf(
  files: readonly string[] = [],
  attributes: readonly string[] = [],
  packages: readonly string[] = [],
): string {
  const named = [...files, ...attributes, ...packages].join(" ");
  return named === "" ? "the project's spec" : named.slice(0, 60);
}
