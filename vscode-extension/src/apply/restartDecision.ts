/** What is remembered of earlier offers, over restarts. */
export interface RestartMemory {
  /** The environment that a restart was last offered or done for. */
  readonly id?: string | undefined;
  /** When the extension host was last restarted without asking. */
  readonly automaticMs?: number | undefined;
}

export type RestartSetting = "ask" | "always" | "never";

export interface RestartQuestion {
  /** The environment that other extensions would get. */
  readonly id: string;
  /** It is the last window's, in use from the start: nobody has the one before. */
  readonly isFromCache: boolean;
  /** Whether the extension host's environment is another than it was. */
  readonly isChanged: boolean;
  readonly setting: RestartSetting;
  readonly memory: RestartMemory;
  readonly nowMs: number;
}

/** An environment that differs each time it is made must not restart the editor for ever. */
const AUTOMATIC_EVERY_MS = 60_000;

/** Each environment is offered once at most, and never restarted for twice. */
export function decideRestart(question: RestartQuestion): "nothing" | "ask" | "restart" {
  const { id, isFromCache, isChanged, setting, memory, nowMs } = question;
  if (!isChanged || isFromCache || setting === "never" || memory.id === id) return "nothing";
  if (setting === "ask") return "ask";
  const sinceMs = nowMs - (memory.automaticMs ?? Number.NEGATIVE_INFINITY);
  return sinceMs >= 0 && sinceMs < AUTOMATIC_EVERY_MS ? "ask" : "restart";
}
