import type { EnvironmentReport, OriginReport, VariableReport } from "../../../cli/protocol/types.ts";
import type { Localiser } from "../commands/statusText.ts";
import type { SpecDocument } from "./specDocument.ts";
import { schemaAt, typesOf, type Schema } from "./specSchema.ts";
import { placeAt, type Span } from "./specTree.ts";

/** What a place in a data spec is about. */
export type SpecTopic = Span &
  (
    | { readonly kind: "field"; readonly name: string; readonly schema: Schema }
    | { readonly kind: "variable"; readonly name: string }
    | { readonly kind: "script"; readonly name: string }
    | { readonly kind: "package"; readonly name: string; readonly version?: string | undefined }
  );

export function topicAt(document: SpecDocument, offset: number, schema: Schema): SpecTopic | undefined {
  const place = placeAt(document.root, offset);
  if (place === undefined) return undefined;
  const { path, isKey, span, node } = place;
  const [field, second] = path;
  const { start, end } = span;
  if (path.length === 2 && second !== undefined) {
    if (typeof second === "number") {
      const word = node?.kind === "scalar" ? String(node.value) : "";
      if (field === "unset" || field === "keep") return { kind: "variable", name: word, start, end };
      if (field === "packages" || field === "inputsFrom") {
        const at = word.indexOf("@", 1);
        const [name, version] = at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
        return name === "" ? undefined : { kind: "package", name, version, start, end };
      }
    } else if (isKey) {
      if (field === "env") return { kind: "variable", name: second, start, end };
      if (field === "scripts") return { kind: "script", name: second, start, end };
    }
  }
  const name = String(path.at(-1));
  const at = schemaAt(schema, path);
  if (!isKey || at?.description === undefined) return undefined;
  return { kind: "field", name, schema: at, start, end };
}

export function fieldHover(name: string, schema: Schema, l10n: Localiser): string {
  const lines = [`**${escapeMarkdown(name)}**: ${typesOf(schema).join(" | ")}`];
  if (schema.description !== undefined) lines.push(escapeMarkdown(schema.description));
  if (schema.default !== undefined)
    lines.push(`${l10n.t("Default")}: ${code(JSON.stringify(schema.default))}`);
  const examples = schema.examples ?? [];
  if (examples.length > 0)
    lines.push(
      `${l10n.t("Examples")}: ${examples.map((example) => code(JSON.stringify(example))).join(", ")}`,
    );
  return lines.join("\n\n");
}

/** @param report of the environment in use */
export function variableHover(name: string, report: EnvironmentReport | undefined, l10n: Localiser): string {
  const title = `**${escapeMarkdown(name)}**`;
  if (report === undefined) return `${title}\n\n${l10n.t("No environment is loaded")}`;
  const variable = report.variables.find((one) => one.name === name);
  if (variable === undefined) return `${title}\n\n${l10n.t("The environment in use does not change it")}`;
  return `${title}\n\n${valueText(variable, l10n)}\n\n${originText(variable.origin, l10n)}`;
}

/** A value longer than this is cut. */
const MAX_VALUE_LENGTH = 600;

function valueText(variable: VariableReport, l10n: Localiser): string {
  if (variable.action === "unset") return l10n.t("Unset in the environment in use");
  if (variable.isSecret) return l10n.t("Its value looks like a secret and is not shown");
  const { value } = variable;
  const shown = value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH)}…` : value;
  const before =
    variable.action === "prepend" ? l10n.t("Comes before the value that you already have.") : l10n.t("Now:");
  return `${before}\n\n${codeBlock(shown, "")}`;
}

function originText({ by, detail }: OriginReport, l10n: Localiser): string {
  const of = detail === undefined ? "" : ` (${code(detail)})`;
  switch (by) {
    case "derivation":
      return `${l10n.t("Set by the derivation")}${of}`;
    case "setup":
      return `${l10n.t("Set by a package's set-up hook")}${of}`;
    case "spec":
      return `${l10n.t("Set by the spec")}${of}`;
    case "devshell":
      return `${l10n.t("Set by devshell")}${of}`;
    case "searchPath":
      return `${l10n.t("A search path of the packages")}${of}`;
    case "shellHook":
      return `${l10n.t("Set by the shell hook")}${of}`;
  }
}

export function scriptHover(name: string, l10n: Localiser): string {
  return `**${escapeMarkdown(name)}**\n\n${l10n.t("Run it in a terminal of the environment, from anywhere, or as a task:")}\n\n${codeBlock(`${name}\ndevshell run ${name}`, "sh")}`;
}

export interface PackageFacts {
  readonly name: string;
  readonly versions: readonly string[];
  readonly summary?: string | undefined;
}

/** @param facts undefined where nothing is known, `null` where the collection has no such package */
export function packageHover(
  topic: { readonly name: string; readonly version?: string | undefined },
  facts: PackageFacts | null | undefined,
  report: EnvironmentReport | undefined,
  l10n: Localiser,
): string {
  const lines = [`**${escapeMarkdown(topic.name)}**`];
  if (facts === null) lines.push(l10n.t("The collection has no package of this name"));
  if (facts?.summary !== undefined) lines.push(escapeMarkdown(facts.summary));
  if (facts !== undefined && facts !== null && facts.versions.length > 0)
    lines.push(`${l10n.t("Versions")}: ${facts.versions.slice(0, 12).map(code).join(", ")}`);
  const [root] = rootsOf(topic.name, report);
  if (root !== undefined) lines.push(`${l10n.t("In use")}: ${code(root)}`);
  return lines.join("\n\n");
}

/** Store paths of the environment that a package's name stands in: `<hash>-gcc-12.2.0`. */
function rootsOf(name: string, report: EnvironmentReport | undefined): string[] {
  return (report?.roots ?? []).filter((root) => {
    const pathName = root.slice(root.lastIndexOf("/") + 1).replace(/^[0-9a-z]{32}-/, "");
    return pathName === name || (pathName.startsWith(name) && /^-\d/.test(pathName.slice(name.length)));
  });
}

export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!<>|~&]/g, "\\$&").replace(/\s+/g, " ");
}

/** In as many backticks as it takes. */
function code(text: string): string {
  const fence = "`".repeat(longestRun(text) + 1);
  const pad = /^`|`$/.test(text) ? " " : "";
  return `${fence}${pad}${text.replace(/\s+/g, " ")}${pad}${fence}`;
}

function codeBlock(text: string, language: string): string {
  const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
