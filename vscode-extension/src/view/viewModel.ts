import type {
  ClosureReport,
  EnvironmentReport,
  OriginReport,
  PositionReport,
  VariableReport,
} from "../../../cli/protocol/types.ts";
import type { FolderState } from "../model.ts";
import type {
  ChangeModel,
  ChangesModel,
  ClosureModel,
  SearchPathsModel,
  SideModel,
  StateModel,
  VariableModel,
  ViewModel,
} from "./viewMessages.ts";
import type { ViewStrings } from "./viewStrings.ts";
import {
  beginning,
  elementsOf,
  makeRedact,
  SHOWN_ELEMENTS,
  SHOWN_LENGTH,
  shownValue,
  stateTexts,
  textsOf,
  type Redact,
} from "./viewValues.ts";

/** Characters of values in one message; beyond it each value is cut shorter. */
const TOTAL_LENGTH = 8_000_000;
const SHORT_LENGTH = 300;
const CHANGES = 5000;
const SHOWN_LINES = 200;

export interface ViewInput {
  readonly folder: string;
  readonly selection: readonly string[];
  readonly state: FolderState;
  readonly report: EnvironmentReport | undefined;
  readonly notices: readonly string[];
  /** Of earlier reports: a text may still hold one after the variable itself has a new value. */
  readonly formerSecrets: readonly VariableReport[];
  readonly changes: ChangesModel | undefined;
}

/** What the view shows of a folder's environment. Secrets are masked here, before anything leaves the extension. */
export function makeViewModel(input: ViewInput, strings: ViewStrings): ViewModel {
  const { report, state } = input;
  const variables = report?.variables ?? [];
  const redact = makeRedact(
    [...variables, ...input.formerSecrets],
    [
      ...textsOf(variables),
      ...(report?.scripts ?? []).map((script) => script.text),
      ...warningsOf(input, strings),
      ...stateTexts(state),
    ],
  );
  const total = variables.reduce((sum, each) => sum + (each.action === "unset" ? 0 : each.value.length), 0);
  const length = total > TOTAL_LENGTH ? SHORT_LENGTH : SHOWN_LENGTH;
  return {
    folder: input.folder,
    name: report?.name,
    selection: input.selection.join(" "),
    state: makeState(state, redact, strings),
    spec:
      report === undefined
        ? undefined
        : { text: specText(report, strings), canOpen: report.spec.path !== undefined },
    isPure: report?.isPure ?? false,
    warnings: warningsOf(input, strings).map(redact),
    reportId: report?.id,
    variables: variables.map((variable) => makeVariable(variable, redact, length, strings)),
    changes: input.changes,
    scripts: (report?.scripts ?? []).map((script) => ({
      name: script.name,
      text: beginning(redact(script.text).split("\n").slice(0, SHOWN_LINES).join("\n"), SHOWN_LENGTH),
      where: whereText(script.position),
    })),
    searchPaths: makeSearchPaths(report),
  };
}

/** @param redact of the texts in the state */
export function makeState(state: FolderState, redact: Redact, strings: ViewStrings): StateModel {
  switch (state.kind) {
    case "none":
      return { kind: "none", text: strings.stateNone };
    case "untrusted":
      return { kind: "untrusted", text: strings.stateUntrusted };
    case "disabled":
      return { kind: "disabled", text: strings.stateDisabled };
    case "ready":
      return { kind: "ready", text: strings.stateReady };
    case "loading":
    case "stale":
      return {
        kind: state.kind,
        text: state.kind === "loading" ? strings.stateLoading : strings.stateStale,
        progress: {
          text: beginning(redact(state.progress?.text ?? ""), 300),
          fraction: state.progress?.fraction,
        },
      };
    case "failed":
      return {
        kind: "failed",
        text: state.isCancelled ? strings.stateCancelled : strings.stateFailed,
        error: {
          message: beginning(redact(state.error.message), SHOWN_LENGTH),
          hint:
            state.error.hint === undefined ? undefined : beginning(redact(state.error.hint), SHOWN_LENGTH),
          where: whereText(state.error.position),
        },
      };
  }
}

/** What a reload changed, by name; positions and origins alone are no change. */
export function makeChanges(
  before: EnvironmentReport,
  after: EnvironmentReport,
  timeMs: number,
): ChangesModel {
  // Of both: what was a secret stays one, though it is now called otherwise.
  const redact = makeRedact(
    [...before.variables, ...after.variables],
    [...textsOf(before.variables), ...textsOf(after.variables)],
  );
  const old = new Map(before.variables.map((variable) => [variable.name, variable]));
  const now = new Map(after.variables.map((variable) => [variable.name, variable]));
  const names = [...new Set([...old.keys(), ...now.keys()])].sort(byCodeUnit);
  const changes = names
    .filter((name) => identity(old.get(name)) !== identity(now.get(name)))
    .map((name) => [old.get(name), now.get(name)] as const);
  return {
    timeMs,
    changes: changes.slice(0, CHANGES).flatMap(([from, to]) => makeChange(from, to, redact) ?? []),
    more: Math.max(0, changes.length - CHANGES),
  };
}

/** Indexes for paths: a third of the size, and what a picture needs. */
export function makeClosure(report: ClosureReport): ClosureModel {
  const indexes = new Map(report.paths.map(({ path }, index) => [path, index]));
  const indexed = (paths: readonly string[]): number[] =>
    paths.flatMap((path) => indexes.get(path) ?? []).sort((a, b) => a - b);
  return {
    paths: report.paths.map(
      ({ path, name, narSizeBytes, ownSizeBytes = narSizeBytes, references, linkedFrom = [] }, index) => ({
        path,
        name,
        sizeBytes: ownSizeBytes,
        references: indexed([...new Set([...references, ...linkedFrom])]).filter(
          (reference) => reference !== index,
        ),
      }),
    ),
    roots: indexed(report.roots),
  };
}

function makeVariable(
  variable: VariableReport,
  redact: Redact,
  length: number,
  strings: ViewStrings,
): VariableModel {
  return {
    name: variable.name,
    action: variable.action,
    isSecret: variable.isSecret,
    value: shownValue(variable, redact, length),
    origin: redact(originText(variable.origin, strings)),
    where: whereText(variable.origin.position),
  };
}

function originText({ by, detail }: OriginReport, strings: ViewStrings): string {
  const who = {
    derivation: strings.byDerivation,
    setup: strings.bySetup,
    spec: strings.bySpec,
    devshell: strings.byDevshell,
    searchPath: strings.bySearchPath,
    shellHook: strings.byShellHook,
  }[by];
  return detail === undefined || detail === ""
    ? who
    : strings.byDetail.replace("{0}", who).replace("{1}", () => detail);
}

function whereText(position: PositionReport | undefined): string | undefined {
  if (position === undefined) return undefined;
  return `${position.path.slice(position.path.lastIndexOf("/") + 1)}:${position.line}`;
}

function specText({ spec, selection }: EnvironmentReport, strings: ViewStrings): string {
  if (spec.path === undefined) return selection.length === 0 ? strings.noSpecFile : selection.join(" ");
  return spec.path.startsWith(`${spec.root}/`) ? spec.path.slice(spec.root.length + 1) : spec.path;
}

function warningsOf({ report, notices }: ViewInput, strings: ViewStrings): readonly string[] {
  if (report?.hook.state !== "failed") return notices;
  const { message } = report.hook;
  // The CLI may have warned of it in its own words.
  if (notices.some((notice) => notice.includes(message))) return notices;
  return [strings.hookFailed.replace("{0}", () => message), ...notices];
}

function makeSearchPaths(report: EnvironmentReport | undefined): SearchPathsModel {
  const { programs = [], headers = [], libraries = [], pkgConfig = [], compiler } = report?.searchPaths ?? {};
  return { programs, headers, libraries, pkgConfig, compiler };
}

function makeChange(
  from: VariableReport | undefined,
  to: VariableReport | undefined,
  redact: Redact,
): ChangeModel | undefined {
  const either = to ?? from;
  if (either === undefined) return undefined;
  const isSecret = from?.isSecret === true || to?.isSecret === true;
  const side = (variable: VariableReport | undefined): SideModel | undefined =>
    variable && {
      action: variable.action,
      value: isSecret ? undefined : shownValue(variable, redact, SHOWN_LENGTH),
    };
  return {
    name: either.name,
    kind: from === undefined ? "added" : to === undefined ? "removed" : "changed",
    isSecret,
    before: side(from),
    after: side(to),
    elements: isSecret || from === undefined || to === undefined ? [] : changedElements(from, to, redact),
  };
}

function changedElements(from: VariableReport, to: VariableReport, redact: Redact): ChangeModel["elements"] {
  // Redacted first: a secret may hold the separator.
  const elements = (variable: VariableReport): readonly string[] =>
    variable.action === "unset" ? [] : (elementsOf({ ...variable, value: redact(variable.value) }) ?? []);
  const before = elements(from);
  const after = elements(to);
  if (before.length + after.length < 2) return [];
  const old = new Set(before);
  const now = new Set(after);
  const shown = (kind: "added" | "removed", texts: readonly string[]): ChangeModel["elements"] =>
    texts.slice(0, SHOWN_ELEMENTS).map((text) => ({ kind, text: beginning(text, SHOWN_LENGTH) }));
  return [
    ...shown(
      "added",
      after.filter((element) => !old.has(element)),
    ),
    ...shown(
      "removed",
      before.filter((element) => !now.has(element)),
    ),
  ];
}

/** Equal for what does the same. */
function identity(variable: VariableReport | undefined): string | undefined {
  if (variable === undefined) return undefined;
  if (variable.action === "unset") return "unset";
  const separator = variable.action === "prepend" ? variable.separator : "";
  return `${variable.action}\0${separator}\0${variable.base64 ?? ""}\0${variable.value}`;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
