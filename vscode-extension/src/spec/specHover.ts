import {
  Hover,
  MarkdownString,
  Range,
  l10n,
  type CancellationToken,
  type HoverProvider,
  type Position,
  type TextDocument,
} from "vscode";
import { cancellation } from "./cancellation.ts";
import {
  fieldHover,
  packageHover,
  scriptHover,
  topicAt,
  variableHover,
  type PackageFacts,
  type SpecTopic,
} from "./hoverSpec.ts";
import type { SpecDocument } from "./specDocument.ts";
import type { SpecServices } from "./specServices.ts";

/** What fields, variables, scripts and packages of data specs are. */
export class SpecHoverProvider implements HoverProvider {
  readonly #specs: SpecServices;

  constructor(specs: SpecServices) {
    this.#specs = specs;
  }

  async provideHover(
    document: TextDocument,
    position: Position,
    token: CancellationToken,
  ): Promise<Hover | undefined> {
    const spec = this.#specs.read(document);
    if (spec === undefined) return undefined;
    const topic = topicAt(spec, document.offsetAt(position), this.#specs.schema);
    if (topic === undefined) return undefined;
    const text = await this.#textOf(topic, document, spec, token);
    if (text === undefined) return undefined;
    const range = new Range(document.positionAt(topic.start), document.positionAt(topic.end));
    return new Hover(new MarkdownString(text), range);
  }

  async #textOf(
    topic: SpecTopic,
    document: TextDocument,
    spec: SpecDocument,
    token: CancellationToken,
  ): Promise<string | undefined> {
    const report = this.#specs.report(document);
    switch (topic.kind) {
      case "field":
        // the editor's JSON support says it
        return spec.file.hasJsonSupport ? undefined : fieldHover(topic.name, topic.schema, l10n);
      case "variable":
        return variableHover(topic.name, report, l10n);
      case "script":
        return scriptHover(topic.name, l10n);
      case "package": {
        using cancelled = cancellation(token);
        let facts: PackageFacts | null | undefined;
        try {
          facts = await this.#specs.packages(document, spec)?.get(topic.name, cancelled.signal);
        } catch (error) {
          if (!cancelled.signal.aborted) throw error;
        }
        return packageHover(topic, facts, report, l10n);
      }
    }
  }
}
