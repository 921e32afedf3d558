import { readFile, stat } from "node:fs/promises";
import {
  Diagnostic,
  DiagnosticRelatedInformation,
  DiagnosticSeverity,
  Location,
  Range,
  Uri,
  languages,
  l10n,
  workspace,
  type Disposable,
  type TextDocument,
  type WorkspaceFolder,
} from "vscode";
import type { ErrorReport, PositionReport } from "../../../cli/protocol/types.ts";
import type { FolderEnvironment, Services } from "../model.ts";
import { manualOf, missingNames, shortMessage, spanOfPosition, suggestionsOf } from "./errorPlaces.ts";
import { lineSpans, rangeOfSpan, type LineRange } from "./lineRanges.ts";
import { validateSpec, type SpecProblem } from "./validateSpec.ts";
import type { SpecServices } from "./specServices.ts";

/** Who types on is not told of half a word. */
const DEBOUNCE_MS = 300;
const MAX_TRACE = 12;
const MAX_FILE_BYTES = 4 << 20;

/** A failure of the CLI's as it is shown in a file, with what quick fixes need. */
export interface ShownFailure {
  readonly folder: WorkspaceFolder;
  readonly uri: Uri;
  readonly range: Range;
  /** What stands at the range. */
  readonly word: string;
  readonly error: ErrorReport;
  readonly suggestions: readonly string[];
}

/** What is wrong with specs: as the CLI says it of saved ones, and with the schema's words while they are typed. */
export class SpecDiagnostics implements Disposable {
  readonly #services: Services;
  readonly #specs: SpecServices;
  readonly #collection = languages.createDiagnosticCollection("devshell");
  readonly #failures = new Map<string, ShownFailure & { readonly diagnostic: Diagnostic }>();
  readonly #rounds = new Map<string, number>();
  readonly #typed = new Map<string, readonly Diagnostic[]>();
  /** Documents that were changed since the CLI read them. */
  readonly #changed = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #listeners: Disposable[];

  constructor(services: Services, specs: SpecServices) {
    this.#services = services;
    this.#specs = specs;
    this.#listeners = [
      services.environments.onDidChange(({ environment }) => void this.#folderChanged(environment)),
      workspace.onDidChangeWorkspaceFolders(({ removed }) => {
        for (const folder of removed) this.#setFailure(folder, undefined);
      }),
      workspace.onDidOpenTextDocument((document) => this.#check(document)),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0) this.#documentChanged(document);
      }),
      workspace.onDidCloseTextDocument(({ uri }) => this.#forget(uri)),
    ];
    for (const document of workspace.textDocuments) this.#check(document);
    for (const environment of services.environments.all) void this.#folderChanged(environment);
  }

  /** The CLI's failures that are shown in a document at a range. */
  failuresAt(document: TextDocument, range: Range): ShownFailure[] {
    const key = document.uri.toString();
    return [...this.#failures.values()].filter(
      (failure) =>
        failure.uri.toString() === key &&
        failure.range.intersection(range) !== undefined &&
        document.getText(failure.range) === failure.word,
    );
  }

  dispose(): void {
    for (const listener of this.#listeners) listener.dispose();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#collection.dispose();
  }

  async #folderChanged(environment: FolderEnvironment): Promise<void> {
    const { folder, state } = environment;
    // what was said last stands until there is something newer
    if (state.kind === "loading" || state.kind === "stale") return;
    const round = (this.#rounds.get(folder.uri.toString()) ?? 0) + 1;
    this.#rounds.set(folder.uri.toString(), round);
    if (state.kind !== "failed") return this.#setFailure(folder, undefined);
    const { error, isCancelled, spec } = state;
    // the extension's own failures are no fault of the spec's: the status bar shows them
    if (isCancelled || error.code.startsWith("CLI_") || error.code === "EXTENSION") return;
    const place = spec?.path ?? environment.report?.spec.path;
    try {
      const failure = await shownFailure(folder, error, place);
      if (this.#rounds.get(folder.uri.toString()) === round) this.#setFailure(folder, failure);
    } catch (thrown) {
      this.#services.log.error(thrown instanceof Error ? thrown : String(thrown));
    }
  }

  #setFailure(
    folder: WorkspaceFolder,
    failure: (ShownFailure & { readonly diagnostic: Diagnostic }) | undefined,
  ): void {
    const key = folder.uri.toString();
    const previous = this.#failures.get(key);
    if (failure === undefined) this.#failures.delete(key);
    else this.#failures.set(key, failure);
    // the CLI has read what is saved
    for (const document of workspace.textDocuments)
      if (!document.isDirty && workspace.getWorkspaceFolder(document.uri)?.uri.toString() === key)
        this.#changed.delete(document.uri.toString());
    if (previous !== undefined && previous.uri.toString() !== failure?.uri.toString())
      this.#publish(previous.uri);
    if (failure !== undefined) this.#publish(failure.uri);
  }

  #documentChanged(document: TextDocument): void {
    if (document.uri.scheme !== "file") return;
    const key = document.uri.toString();
    this.#changed.add(key);
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        this.#check(document);
      }, DEBOUNCE_MS),
    );
  }

  #check(document: TextDocument): void {
    if (document.isClosed || document.uri.scheme !== "file") return;
    const spec = this.#specs.read(document);
    // the editor's JSON support checks by the same schema
    if (spec === undefined || spec.file.hasJsonSupport) return;
    const problems = validateSpec(spec, this.#specs.schema);
    this.#typed.set(
      document.uri.toString(),
      problems.map((problem) => problemDiagnostic(problem, document)),
    );
    this.#publish(document.uri);
  }

  #forget(uri: Uri): void {
    const key = uri.toString();
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#changed.delete(key);
    if (this.#typed.delete(key)) this.#publish(uri);
  }

  #publish(uri: Uri): void {
    const key = uri.toString();
    const typed = this.#typed.get(key);
    const failures = [...this.#failures.values()].filter((failure) => failure.uri.toString() === key);
    const shown = failures.filter(({ error }) => {
      const isOfSchema = error.code === "SPEC_INVALID" || error.code === "SPEC_SYNTAX";
      // the same was said from the text itself, which is newer
      return !(isOfSchema && typed !== undefined && (typed.length > 0 || this.#changed.has(key)));
    });
    // two folders may fail in one file that both import
    const distinct = new Map(
      shown.map(({ range, diagnostic }) => [`${range.start.line} ${diagnostic.message}`, diagnostic]),
    );
    this.#collection.set(uri, [...distinct.values(), ...(typed ?? [])]);
  }
}

function problemDiagnostic(problem: SpecProblem, document: TextDocument): Diagnostic {
  const [first] = lineSpans(document.getText(), problem);
  const { start, end } = first ?? problem;
  const range = new Range(document.positionAt(start), document.positionAt(end));
  const text = withSuggestions(shortMessage(problem.message), problem.suggestions);
  const diagnostic = new Diagnostic(range, text, DiagnosticSeverity.Error);
  diagnostic.source = "devshell";
  diagnostic.code = problem.code;
  if (problem.hint !== undefined)
    diagnostic.relatedInformation = [
      new DiagnosticRelatedInformation(new Location(document.uri, range), problem.hint),
    ];
  return diagnostic;
}

async function shownFailure(
  folder: WorkspaceFolder,
  error: ErrorReport,
  specPath: string | undefined,
): Promise<ShownFailure & { readonly diagnostic: Diagnostic }> {
  const position: PositionReport | undefined =
    error.position ?? (specPath === undefined ? undefined : { path: specPath, line: 1, column: 1 });
  const uri = position === undefined ? folder.uri : Uri.file(position.path);
  const text = position === undefined ? undefined : await textOf(uri);
  const suggestions = suggestionsOf(error);
  let range = new Range(0, 0, 0, 0);
  let word = "";
  if (text !== undefined && position !== undefined) {
    const span =
      error.position === undefined
        ? { start: 0, end: /^[^\r\n]*/.exec(text)?.[0].length ?? 0 }
        : spanOfPosition(text, position, missingNames(error));
    range = toRange(rangeOfSpan(text, span));
    word = text.slice(span.start, span.end);
  } else if (position !== undefined) range = new Range(position.line - 1, 0, position.line - 1, 1);
  const diagnostic = new Diagnostic(
    range,
    withSuggestions(shortMessage(error.message), suggestions),
    DiagnosticSeverity.Error,
  );
  diagnostic.source = "devshell";
  const manual = manualOf(error.code);
  diagnostic.code = manual === undefined ? error.code : { value: error.code, target: Uri.parse(manual) };
  diagnostic.relatedInformation = await relatedInformation(error, new Location(uri, range));
  return { folder, uri, range, word, error, suggestions, diagnostic };
}

async function relatedInformation(
  { hint, suggestions, trace }: ErrorReport,
  place: Location,
): Promise<DiagnosticRelatedInformation[]> {
  const related: DiagnosticRelatedInformation[] = [];
  if (hint !== undefined && (suggestions.length > 0 || !hint.startsWith("did you mean")))
    related.push(new DiagnosticRelatedInformation(place, hint));
  // innermost first, as one looks for the cause
  for (const { message, position } of trace.toReversed().slice(0, MAX_TRACE)) {
    if (position === undefined) continue;
    const uri = Uri.file(position.path);
    const text = await textOf(uri);
    const range =
      text === undefined
        ? new Range(position.line - 1, 0, position.line - 1, 1)
        : toRange(rangeOfSpan(text, spanOfPosition(text, position)));
    related.push(new DiagnosticRelatedInformation(new Location(uri, range), message));
  }
  return related;
}

function withSuggestions(message: string, suggestions: readonly string[]): string {
  const [first] = suggestions;
  return first === undefined ? message : `${message}\n${l10n.t("Did you mean {0}?", suggestions.join(", "))}`;
}

/** As the editor has it, else as it is on disk. */
async function textOf(uri: Uri): Promise<string | undefined> {
  const key = uri.toString();
  const open = workspace.textDocuments.find((document) => document.uri.toString() === key);
  if (open !== undefined) return open.getText();
  try {
    const { size } = await stat(uri.fsPath);
    return size > MAX_FILE_BYTES ? undefined : await readFile(uri.fsPath, "utf8");
  } catch {
    return undefined;
  }
}

function toRange({ start, end }: LineRange): Range {
  return new Range(start.line, start.character, end.line, end.character);
}
