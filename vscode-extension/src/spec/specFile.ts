/** How a data spec is written. `devshell.ts` is a program: its editor is TypeScript's. */
export type SpecSyntax = "yaml" | "json" | "toml";

export interface SpecFile {
  readonly syntax: SpecSyntax;
  /** Keys to the spec inside the document. */
  readonly within: readonly string[];
  /** Whether the editor's own JSON support has the schema, and completes and checks by it. */
  readonly hasJsonSupport: boolean;
}

/** Larger ones are refused by the CLI, too. */
export const MAX_SPEC_LENGTH = 1 << 20;

const YAML_NAMES = new Set([
  "devshell.yaml",
  "devshell.yml",
  ".devshellrc",
  ".devshellrc.yaml",
  ".devshellrc.yml",
]);
const JSON_NAMES = new Set(["devshell.json", ".devshellrc.json"]);
const TOML_NAMES = new Set(["devshell.toml", ".devshellrc.toml"]);

/** Names of all files that may hold a data spec, for document selectors. */
export const SPEC_FILE_NAMES: readonly string[] = [
  ...YAML_NAMES,
  ...JSON_NAMES,
  ...TOML_NAMES,
  "package.json",
];

/** What kind of data spec a document is; undefined for anything else. */
export function specFileOf(fileName: string, languageId: string): SpecFile | undefined {
  const name = fileName.slice(Math.max(fileName.lastIndexOf("/"), fileName.lastIndexOf("\\")) + 1);
  const hasJsonSupport = languageId === "json" || languageId === "jsonc";
  if (YAML_NAMES.has(name)) return { syntax: "yaml", within: [], hasJsonSupport: false };
  if (JSON_NAMES.has(name)) return { syntax: "json", within: [], hasJsonSupport };
  if (TOML_NAMES.has(name)) return { syntax: "toml", within: [], hasJsonSupport: false };
  if (name === "package.json") return { syntax: "json", within: ["devshell"], hasJsonSupport };
  return undefined;
}
