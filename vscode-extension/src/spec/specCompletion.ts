import {
  CompletionItem,
  CompletionItemKind,
  CompletionList,
  Range,
  SnippetString,
  type CancellationToken,
  type CompletionItemProvider,
  type Position,
  type TextDocument,
} from "vscode";
import { cancellation } from "./cancellation.ts";
import { completeSpec, packageCompletions, type SpecCompletion } from "./completeSpec.ts";
import { specCursorAt } from "./specCursor.ts";
import type { SpecServices } from "./specServices.ts";

/** Who types on is not asked for. */
const DEBOUNCE_MS = 150;
const PACKAGE_NAME = /^[\w.+][\w.+-]*$/;

/** Whatever may begin a key, an item or a version. */
export const COMPLETION_TRIGGERS: readonly string[] = ['"', "'", " ", "-", "[", "@"];

/** Fields, values, variables and packages of data specs. */
export class SpecCompletionProvider implements CompletionItemProvider {
  readonly #specs: SpecServices;

  constructor(specs: SpecServices) {
    this.#specs = specs;
  }

  async provideCompletionItems(
    document: TextDocument,
    position: Position,
    token: CancellationToken,
  ): Promise<CompletionList | undefined> {
    const spec = this.#specs.read(document);
    if (spec === undefined) return undefined;
    const cursor = specCursorAt(spec.text, document.offsetAt(position), spec.file);
    if (cursor === undefined) return undefined;
    const facts = {
      variables: this.#specs.report(document)?.variables ?? [],
      callerNames: this.#specs.callerNames(),
    };
    const { items, query } = completeSpec(spec, cursor, this.#specs.schema, facts);
    // the editor's JSON support has the schema, and says what of it is there
    const own = spec.file.hasJsonSupport ? items.filter(({ kind }) => kind === "variable") : items;
    const range = new Range(document.positionAt(cursor.start), document.positionAt(cursor.end));
    const list = new CompletionList(own.map((item, n) => completionItem(item, range, n)));
    const prefix = query?.kind === "names" ? query.prefix : (query?.name ?? "");
    const index = this.#specs.packages(document, spec);
    if (query === undefined || index === undefined || (prefix !== "" && !PACKAGE_NAME.test(prefix)))
      return list;
    using cancelled = cancellation(token);
    try {
      await cancelled.after(DEBOUNCE_MS);
      const report = await index.find(prefix, cancelled.signal);
      const found = packageCompletions(cursor, spec, query, report?.packages ?? []);
      list.items.push(...found.map((item, n) => completionItem(item, range, n)));
      list.isIncomplete = report === undefined || report.isTruncated || query.kind === "names";
    } catch (error) {
      if (!cancelled.signal.aborted) throw error;
      return undefined;
    }
    return list;
  }
}

const KINDS: Readonly<Record<SpecCompletion["kind"], CompletionItemKind>> = {
  field: CompletionItemKind.Property,
  value: CompletionItemKind.Value,
  variable: CompletionItemKind.Variable,
  package: CompletionItemKind.Module,
  version: CompletionItemKind.Constant,
};

function completionItem(completion: SpecCompletion, range: Range, rank: number): CompletionItem {
  const { label, kind, insert, filter, detail, documentation, goesOn } = completion;
  const item = new CompletionItem(label, KINDS[kind]);
  item.insertText = new SnippetString(insert);
  item.filterText = filter;
  item.sortText = String(rank).padStart(6, "0");
  item.range = range;
  if (detail !== undefined && detail !== "") item.detail = detail;
  if (documentation !== undefined) item.documentation = documentation;
  if (goesOn) item.command = { command: "editor.action.triggerSuggest", title: "" };
  return item;
}
