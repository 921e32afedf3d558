import {
  CodeAction,
  CodeActionKind,
  Range,
  WorkspaceEdit,
  l10n,
  type CancellationToken,
  type CodeActionContext,
  type CodeActionProvider,
  type Diagnostic,
  type TextDocument,
} from "vscode";
import { cancellation } from "./cancellation.ts";
import type { ShownFailure, SpecDiagnostics } from "./diagnostics.ts";
import { replaceName } from "./errorPlaces.ts";
import { likeWord, mendsOf, type SpecMend } from "./mendSpec.ts";
import { validateSpec } from "./validateSpec.ts";
import type { SpecServices } from "./specServices.ts";

/** Mends what diagnostics are about, in data specs and in Nix files. */
export class SpecQuickFixes implements CodeActionProvider {
  readonly #specs: SpecServices;
  readonly #diagnostics: SpecDiagnostics;

  constructor(specs: SpecServices, diagnostics: SpecDiagnostics) {
    this.#specs = specs;
    this.#diagnostics = diagnostics;
  }

  async provideCodeActions(
    document: TextDocument,
    range: Range,
    context: CodeActionContext,
    token: CancellationToken,
  ): Promise<CodeAction[]> {
    const actions: CodeAction[] = [];
    const add = (title: string, at: Range, text: string, isBest: boolean): void => {
      if (actions.some((action) => action.title === title)) return;
      const action = new CodeAction(title, CodeActionKind.QuickFix);
      action.edit = new WorkspaceEdit();
      action.edit.replace(document.uri, at, text);
      action.diagnostics = diagnosticsAt(context.diagnostics, at, range);
      action.isPreferred = isBest && !actions.some(({ isPreferred }) => isPreferred);
      actions.push(action);
    };
    for (const { mend, isBest } of this.#mends(document, range)) {
      const at = new Range(document.positionAt(mend.span.start), document.positionAt(mend.span.end));
      add(titleOf(mend), at, mend.text, isBest);
    }
    for (const failure of this.#diagnostics.failuresAt(document, range)) {
      const changes = failure.suggestions.flatMap((name): Change[] => {
        const text = replaceName(failure.word, name, failure.error);
        return text === undefined ? [] : [{ name, text }];
      });
      const others = changes.length > 0 ? [] : await this.#packagesFor(failure, document, token);
      for (const [n, { name, text }] of [...changes, ...others].entries())
        add(l10n.t('Change to "{0}"', name), failure.range, text, n === 0);
    }
    return actions;
  }

  /** From the text as it is now: a diagnostic may be of another's making, the editor's JSON support for one. */
  *#mends(document: TextDocument, range: Range): Generator<{ mend: SpecMend; isBest: boolean }> {
    const spec = this.#specs.read(document);
    if (spec === undefined) return;
    for (const problem of validateSpec(spec, this.#specs.schema)) {
      const at = new Range(document.positionAt(problem.start), document.positionAt(problem.end));
      if (at.intersection(range) === undefined) continue;
      for (const [n, mend] of mendsOf(spec, problem).entries())
        yield { mend, isBest: n === 0 && mend.kind !== "remove" };
    }
  }

  /** Of an unknown package for which the CLI had no suggestion: what the collection's index has like it. */
  async #packagesFor(
    { word, error }: ShownFailure,
    document: TextDocument,
    token: CancellationToken,
  ): Promise<readonly Change[]> {
    const spec = this.#specs.read(document);
    const index = spec === undefined ? undefined : this.#specs.packages(document, spec);
    if (index === undefined || error.code !== "SPEC_PACKAGE") return [];
    using cancelled = cancellation(token);
    try {
      const names = await index.suggest(word.replace(/^["']|["']$/g, ""), cancelled.signal);
      return names.map((name) => ({ name, text: likeWord(word, name) }));
    } catch (thrown) {
      if (!cancelled.signal.aborted) throw thrown;
      return [];
    }
  }
}

interface Change {
  readonly name: string;
  readonly text: string;
}

function titleOf({ kind, name }: SpecMend): string {
  switch (kind) {
    case "change":
      return l10n.t('Change to "{0}"', name);
    case "remove":
      return l10n.t('Remove the field "{0}"', name);
    case "makeList":
      return l10n.t("Make it a list");
    case "makeText":
      return l10n.t("Put it in quotes");
    case "makeBoolean":
      return l10n.t("Change to {0}", name);
  }
}

function diagnosticsAt(diagnostics: readonly Diagnostic[], at: Range, range: Range): Diagnostic[] {
  return diagnostics.filter(
    (diagnostic) =>
      diagnostic.range.intersection(at) !== undefined || diagnostic.range.intersection(range) !== undefined,
  );
}
