import { CodeActionKind, languages } from "vscode";
import { SpecDiagnostics } from "./diagnostics.ts";
import type { Services } from "../model.ts";
import { COMPLETION_TRIGGERS, SpecCompletionProvider } from "./specCompletion.ts";
import { SpecHoverProvider } from "./specHover.ts";
import { SpecQuickFixes } from "./specQuickFixes.ts";
import { SPEC_SELECTOR, SpecServices } from "./specServices.ts";

/** Completion, hover, diagnostics and quick fixes of specs. */
export function registerSpecEditing(services: Services): void {
  const specs = new SpecServices(services);
  const diagnostics = new SpecDiagnostics(services, specs);
  const quickFixes = new SpecQuickFixes(specs, diagnostics);
  services.context.subscriptions.push(
    specs.watch(),
    diagnostics,
    languages.registerCompletionItemProvider(
      SPEC_SELECTOR,
      new SpecCompletionProvider(specs),
      ...COMPLETION_TRIGGERS,
    ),
    languages.registerHoverProvider(SPEC_SELECTOR, new SpecHoverProvider(specs)),
    languages.registerCodeActionsProvider(
      [...SPEC_SELECTOR, { scheme: "file", pattern: "**/*.nix" }],
      quickFixes,
      { providedCodeActionKinds: [CodeActionKind.QuickFix] },
    ),
  );
}
