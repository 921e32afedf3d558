import { loadCachedEnvironment, makeEnvironment } from "../env/index.ts";
import type { BuildEnvironment, EnvironmentRequest, MakeObserver, TrackedInput } from "../env/index.ts";
import { findCommand } from "./commandTable.ts";
import type { Invocation } from "./invocation.ts";
import { requestOf, settingsOf } from "./request.ts";
import { selectionOf } from "./selection.ts";
import { withDisplay, type Work } from "./withDisplay.ts";

export interface OpenedEnvironment {
  /** The cache record's directory. */
  readonly record: string;
  readonly environment: BuildEnvironment;
  /** All that it was made from. */
  readonly inputs: readonly TrackedInput[];
  readonly warnings: readonly string[];
}

/** Sees what happens on the way, beside the display. */
export interface OpenObserver extends MakeObserver {
  readonly onEvent?: Work["onEvent"] | undefined;
}

/**
 * The environment that a command line selects: from the cache where its inputs are unchanged, else evaluated and
 * realised under a display of its progress.
 */
export async function openEnvironment(
  invocation: Invocation,
  words: readonly string[] = invocation.command === "run" ? [] : invocation.words,
): Promise<OpenedEnvironment> {
  const request = requestOf(words, invocation.flags, selectionFor(invocation));
  return openRequest(invocation, request);
}

/** As {@link openEnvironment}, for a request that is read already. */
export async function openRequest(
  invocation: Invocation,
  request: EnvironmentRequest,
  observer: OpenObserver = {},
): Promise<OpenedEnvironment> {
  const { flags } = invocation;
  if ((process.env["DEVSHELL_NO_CACHE"] ?? "") === "") {
    const cached = loadCachedEnvironment(request.directory, request.selection ?? []);
    if (cached !== undefined && cached.changed.length === 0) return cached;
  }
  const label = labelOf(request.files, request.attributes, request.packages);
  const isJson = invocation.command === "enter" && flags.has("json");
  return withDisplay(flags, label, isJson, ({ onEvent, signal }) =>
    makeEnvironment(request, {
      ...observer,
      settings: settingsOf(flags),
      signal,
      onEvent: (event) => {
        onEvent(event);
        observer.onEvent?.(event);
      },
    }),
  );
}

/** The words of a command line that select an environment. */
export function selectionFor(invocation: Invocation): string[] {
  const isPassThrough = findCommand(invocation.command)?.isPassThrough === true;
  return invocation.command === "explain"
    ? selectionOf(
        invocation.argv.filter((word) => !invocation.words.includes(word)),
        false,
      )
    : selectionOf(invocation.argv, isPassThrough);
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
