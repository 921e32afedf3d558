import { bytesOfShown } from "../../core/index.ts";
import {
  createStoreContext,
  parseReference,
  workingDirectory,
  type ContextEvent,
  type StoreContext,
} from "../../env/index.ts";
import { describePlan, type RealisePlan } from "../../store/index.ts";
import { messageLine } from "../messageLine.ts";
import type { CommonFlags } from "./commandLine.ts";
import { writeJsonLog } from "./jsonLog.ts";
import { say } from "./output.ts";

/** Nix's level "info". */
const DEFAULT_VERBOSITY = 3;
const DEBUG_VERBOSITY = 4;
/** Nix's limit of calls within calls. */
const MAX_CALL_DEPTH = 10_000;

/** The store and the evaluator's surroundings, as the flags say; what happens is told on standard error. */
export function openContext(
  flags: CommonFlags,
  options: { readonly isReadOnly?: boolean | undefined; readonly isRecording?: boolean | undefined } = {},
): StoreContext {
  // Not an option of nix.conf: fetchers tell more where more is wanted.
  const verbosity: [string, string] = ["verbosity", String(DEFAULT_VERBOSITY + flags.verbosity)];
  const jsonLog = flags.settings.get("json-log-path") ?? "";
  const names = new Map<number, string>();
  const context = createStoreContext({
    settings: flags.verbosity > 0 ? new Map([...flags.settings, verbosity]) : flags.settings,
    store: flags.store,
    evalStore: flags.evalStore,
    isReadOnly: options.isReadOnly ?? flags.isReadOnly,
    isRecording: options.isRecording,
    maxCallDepth: MAX_CALL_DEPTH,
    isLogShown: flags.buildOutput !== "none",
    onEvent: (event) => {
      if (jsonLog !== "") writeJsonLog(jsonLog, event);
      report(event, flags, names);
    },
    onDebug: flags.verbosity >= DEBUG_VERBOSITY ? say : undefined,
  });
  for (const [from, to] of flags.flakeOverrides) {
    const [original, target] = [from, to].map((text) =>
      parseReference(text, { directory: workingDirectory(), isMissingAllowed: true, notice: say }),
    );
    if (original !== undefined && target !== undefined) context.overrideFlake(original.attributes, target);
  }
  return context;
}

/**
 * Log lines as Nix's plain logger prints them.
 * @param names of what has begun, by number
 */
function report(event: ContextEvent, flags: CommonFlags, names: Map<number, string>): void {
  switch (event.kind) {
    case "start":
      names.set(event.id, event.name);
      if (flags.verbosity < 0) return;
      if (event.activity === "build" || event.activity === "download")
        say(`building '${event.path}'${event.machine === undefined ? "" : ` on '${event.machine}'`}...`);
      else say(`copying path '${event.path}'...`);
      return;
    case "log":
      if (event.id === 0 || flags.buildOutput === "raw") say(event.line);
      else if (flags.buildOutput === "named") say(`${names.get(event.id) ?? "unnamed"}> ${event.line}`);
      return;
    case "transfer":
      if (flags.verbosity > 0) say(`downloading '${event.url}'...`);
      return;
    case "message":
      say(Buffer.from(bytesOfShown(messageLine(event.level, event.text))).toString("latin1"));
      return;
    case "plan":
      printPlan(event as RealisePlan & { kind: "plan" }, flags);
      return;
    default:
      return;
  }
}

function printPlan(plan: RealisePlan, flags: CommonFlags): void {
  if (flags.verbosity < 0 || flags.settings.get("print-missing") === "false") return;
  for (const line of describePlan({ ...plan, unknown: plan.unknown ?? [] })) say(line);
}
