import type { EnvironmentEvent } from "../env/index.ts";
import type { RealiseEvent } from "../store/index.ts";
import type { ParsedFlags } from "./flags.ts";
import { Interrupted } from "../core/index.ts";
import { displayMode, openDisplay } from "./tui/index.ts";

export interface Work {
  readonly onEvent: (event: RealiseEvent | EnvironmentEvent) => void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Runs something long under a display on standard error. Ctrl-C aborts it; a second one ends at once.
 * @throws {Interrupted} when it was aborted
 */
export async function withDisplay<T>(
  flags: ParsedFlags,
  label: string,
  /** Events as JSON lines (`devshell --json`): for programs that show progress themselves. */
  isJson: boolean,
  work: (work: Work) => Promise<T>,
): Promise<T> {
  const display = openDisplay({
    mode: displayMode({ quiet: flags.has("quiet"), json: isJson }),
    label,
    isVerbose: flags.has("verbose"),
  });
  const interruption = new AbortController();
  const interrupt = (): void => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort(new Interrupted());
  };
  // Evaluation holds the thread, so a listener would only be heard after it: until then the signal simply ends us,
  // which loses nothing.
  let isListening = false;
  const onEvent: Work["onEvent"] = (event) => {
    if (!isListening && event.kind === "stage" && event.stage !== "discover" && event.stage !== "evaluate") {
      isListening = true;
      process.on("SIGINT", interrupt);
      process.on("SIGTERM", interrupt);
    }
    display.onEvent(event);
  };
  try {
    return await work({ onEvent, signal: interruption.signal });
  } catch (error) {
    throw interruption.signal.aborted ? new Interrupted() : error;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await display.close();
  }
}
