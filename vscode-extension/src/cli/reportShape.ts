import type {
  EnvironmentReport,
  ErrorReport,
  FailureReport,
  PROTOCOL as ProtocolVersion,
  PositionReport,
  ProgressReport,
  Report,
  ScriptReport,
  SpecReport,
  VariableReport,
  WatchEvent,
} from "../../../cli/protocol/types.ts";

/** The version that this extension speaks. */
export const PROTOCOL: typeof ProtocolVersion = 1;

const MAX_ITEMS = 200_000;

/** What another process printed, or a file holds, is looked at before it is believed. Unknown fields are ignored. */
export function isReport(value: unknown): value is Report {
  if (!isObject(value) || value["protocol"] !== PROTOCOL) return false;
  if (!isText(value["directory"]) || !isTexts(value["selection"]) || !isTexts(value["watch"])) return false;
  switch (value["state"]) {
    case "ready":
      return isReady(value);
    case "failed":
      return isFailed(value);
    case "none":
      return true;
    default:
      return false;
  }
}

export function isEnvironmentReport(value: unknown): value is EnvironmentReport {
  return isReport(value) && value.state === "ready";
}

/** Events of other kinds, of later minor versions, are not errors: they give `undefined`. */
export function watchEventOf(value: unknown): WatchEvent | undefined {
  if (!isObject(value)) return undefined;
  switch (value["event"]) {
    case "hello":
      return isNumber(value["protocol"]) && isText(value["version"]) ? (value as WatchEvent) : undefined;
    case "begin":
      return isText(value["reason"]) ? (value as WatchEvent) : undefined;
    case "progress":
      return isProgress(value) ? { ...value, event: "progress" } : undefined;
    case "report":
      return isReport(value["report"]) ? { event: "report", report: value["report"] } : undefined;
    case "same":
      return isText(value["id"]) ? { event: "same", id: value["id"] } : undefined;
    default:
      return undefined;
  }
}

function isReady(value: Record<string, unknown>): value is Record<string, unknown> & EnvironmentReport {
  const { searchPaths, hook } = value;
  return (
    isText(value["id"]) &&
    isText(value["name"]) &&
    isSpec(value["spec"]) &&
    isText(value["drvPath"]) &&
    isText(value["storeDir"]) &&
    isBoolean(value["isPure"]) &&
    isTexts(value["keep"]) &&
    isList(value["variables"], isVariable) &&
    isObject(searchPaths) &&
    ["programs", "headers", "libraries", "pkgConfig"].every((name) => isTexts(searchPaths[name])) &&
    isOptional(searchPaths["compiler"], isText) &&
    isList(value["scripts"], isScript) &&
    isTexts(value["packages"]) &&
    isTexts(value["roots"]) &&
    isObject(hook) &&
    (hook["state"] === "none" ||
      (hook["state"] === "done" && isNumber(hook["durationMs"])) ||
      (hook["state"] === "failed" && isText(hook["message"]))) &&
    isTexts(value["warnings"]) &&
    isNumber(value["durationMs"])
  );
}

function isFailed(value: Record<string, unknown>): value is Record<string, unknown> & FailureReport {
  return isOptional(value["spec"], isSpec) && isError(value["error"]);
}

function isError(value: unknown): value is ErrorReport {
  return (
    isObject(value) &&
    isText(value["code"]) &&
    isText(value["message"]) &&
    isOptional(value["hint"], isText) &&
    isOptional(value["position"], isPosition) &&
    isTexts(value["suggestions"]) &&
    isList(
      value["trace"],
      (item): item is ErrorReport["trace"][number] =>
        isObject(item) && isText(item["message"]) && isOptional(item["position"], isPosition),
    ) &&
    isText(value["text"])
  );
}

function isVariable(value: unknown): value is VariableReport {
  if (!isObject(value) || !isText(value["name"]) || !isBoolean(value["isSecret"])) return false;
  const { origin } = value;
  if (!isObject(origin) || !isText(origin["by"]) || !isOptional(origin["detail"], isText)) return false;
  if (!isOptional(origin["position"], isPosition)) return false;
  switch (value["action"]) {
    case "set":
      return isText(value["value"]) && isOptional(value["base64"], isText);
    case "prepend":
      return isText(value["value"]) && isOptional(value["base64"], isText) && isText(value["separator"]);
    default:
      return value["action"] === "unset";
  }
}

function isScript(value: unknown): value is ScriptReport {
  return (
    isObject(value) &&
    isText(value["name"]) &&
    isText(value["text"]) &&
    isOptional(value["position"], isPosition)
  );
}

function isSpec(value: unknown): value is SpecReport {
  return (
    isObject(value) && isText(value["kind"]) && isOptional(value["path"], isText) && isText(value["root"])
  );
}

function isPosition(value: unknown): value is PositionReport {
  return (
    isObject(value) &&
    isText(value["path"]) &&
    isNumber(value["line"]) &&
    isNumber(value["column"]) &&
    isOptional(value["endColumn"], isNumber)
  );
}

function isProgress(value: unknown): value is ProgressReport {
  return (
    isObject(value) &&
    isText(value["stage"]) &&
    isOptional(value["text"], isText) &&
    isOptional(value["fraction"], isNumber)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isTexts(value: unknown): value is string[] {
  return isList(value, isText);
}

function isList<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.length <= MAX_ITEMS && value.every(isItem);
}

function isOptional<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value);
}
