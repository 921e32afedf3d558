import { appendFileSync } from "node:fs";
import { DevshellError, textOfBytes } from "../../core/index.ts";
import type { ContextEvent } from "../../env/index.ts";

/** Nix's numbers of activities, of what they report and of how important something is. */
const ACTIVITY = { copy: 100, build: 105, substitute: 108 } as const;
const RESULT = { logLine: 101, phase: 104, progress: 105 } as const;
const LEVEL = { warning: 1, info: 3, talkative: 4, chatty: 5 } as const;

/**
 * Appends what happens to the file of the option `json-log-path`, an object a line as in Nix's `internal-json` format.
 * @throws {DevshellError} `CLI_JSON_LOG` where the file cannot be written
 */
export function writeJsonLog(file: string, event: ContextEvent): void {
  const records = recordsOf(event);
  if (records.length === 0) return;
  try {
    appendFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  } catch (cause) {
    throw new DevshellError("CLI_JSON_LOG", `Cannot write the log "${file}": ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Keys in byte order, as Nix's printer has them. */
type JsonRecord = Readonly<{ [key: string]: unknown }>;

function recordsOf(event: ContextEvent): readonly JsonRecord[] {
  switch (event.kind) {
    case "start":
      return startOf(event);
    case "end":
      return [{ action: "stop", id: event.id }];
    case "phase":
      return [{ action: "result", fields: [event.phase], id: event.id, type: RESULT.phase }];
    case "transfer":
      return [message(LEVEL.talkative, `downloading '${event.url}'...`)];
    case "progress":
      return [
        {
          action: "result",
          fields: [event.doneBytes, event.totalBytes ?? 0, 0, 0],
          id: event.id,
          type: RESULT.progress,
        },
      ];
    case "log":
      return event.id === 0
        ? [message(event.line.startsWith("warning: ") ? LEVEL.warning : LEVEL.info, event.line)]
        : [{ action: "result", fields: [textOfBytes(event.line)], id: event.id, type: RESULT.logLine }];
    case "message":
      return [message(event.level === "warning" ? LEVEL.warning : LEVEL.info, event.text)];
    default:
      return [];
  }
}

function startOf(event: Extract<ContextEvent, { kind: "start" }>): readonly JsonRecord[] {
  const { id, path, activity, builder } = event;
  const isBuild = activity === "build" || activity === "download";
  const start = {
    action: "start",
    fields: isBuild ? [path, "", 1, 1] : [path],
    id,
    level: LEVEL.info,
    parent: 0,
    text: isBuild ? `building '${path}'` : `copying path '${path}'`,
    type: isBuild ? ACTIVITY.build : activity === "substitute" ? ACTIVITY.substitute : ACTIVITY.copy,
  };
  return builder === undefined
    ? [start]
    : [start, message(LEVEL.chatty, `executing builder '${textOfBytes(builder)}'`)];
}

function message(level: number, text: string): JsonRecord {
  return { action: "msg", level, msg: text };
}
