import { DevshellError } from "../../core/index.ts";
import type { DataSpec, DevSpec, PackageChoice } from "../types.ts";
import { parsePackageChoice } from "./packageChoice.ts";

/** A spec as an expression of the language: from here on there is one way. */
export interface SpecExpression {
  readonly text: string;
  /** What relative paths in the text mean. */
  readonly baseDirectory: string;
}

/** @throws for a flake, which is no expression */
export function specExpression(
  spec: DevSpec,
): SpecExpression | { readonly file: string } | { readonly drvPath: string } {
  switch (spec.kind) {
    case "file":
      return { file: spec.path };
    case "searchPath":
      return { text: `import <${spec.entry}>`, baseDirectory: spec.root };
    case "expression":
      return { text: spec.text, baseDirectory: spec.root };
    case "packages":
      return { text: packagesExpression(spec.names, spec.collection), baseDirectory: spec.root };
    case "data":
      return { text: dataExpression(spec.data), baseDirectory: spec.root };
    case "derivation":
      return { drvPath: spec.drvPath };
    case "flake":
      throw new Error("a flake is no expression");
  }
}

/** The collection whose `mkShell` or attribute an environment is, by its name in the search path, where that is known. */
export function collectionOf(spec: DevSpec): string | undefined {
  switch (spec.kind) {
    case "data":
      return spec.data.collection;
    case "packages":
      return spec.collection;
    case "searchPath":
      return spec.entry;
    case "file":
    case "expression":
    case "derivation":
    case "flake":
      return undefined;
  }
}

/**
 * The embedded collection has its own `mkShell`; any other is taken for nixpkgs, and gets what nix-shell makes of
 * `-p`, to the same derivation.
 */
function packagesExpression(names: readonly string[], collection: string): string {
  const from = collectionExpression(collection);
  if (collection !== "debian") {
    const inputs = names.map((name) => `(${name}) `).join("");
    return `{...}@args: with import ${from} args; (pkgs.runCommandCC or pkgs.runCommand) "shell" { buildInputs = [ ${inputs}]; } ""`;
  }
  const packages = names.map((name) => (isExpression(name) ? `(${name})` : chosen(parsePackageChoice(name))));
  return `{ ... }@given:
let
  collection = import ${from} (builtins.removeAttrs given [ "inNixShell" ]);
${CHOOSE}
in
with collection; collection.mkShell { name = "devshell"; packages = [ ${packages.join(" ")} ]; }
`;
}

function isExpression(name: string): boolean {
  return !/^[A-Za-z0-9][A-Za-z0-9+.@~:_-]*$/.test(name);
}

function dataExpression(data: DataSpec): string {
  const args = [...data.args].map(([name, value]) => `${quoteNix(name)} = ${nixValue(value)};`);
  if (data.suite !== undefined && !data.args.has("suite")) args.push(`suite = ${quoteNix(data.suite)};`);
  const packages = data.packages.map(chosen);
  const from = collectionExpression(data.collection);
  // Debian's build dependencies belong to source packages, which the collection gives to a shell.
  const inputsFrom = data.inputsFrom.map((choice) =>
    data.collection === "debian" && choice.version === undefined
      ? `sources.${quoteNix(choice.name)}`
      : chosen(choice),
  );
  const field = data.collection === "debian" ? "packages" : "nativeBuildInputs";
  return `{ ... }@given:
let
  arguments = { ${args.join(" ")} } // builtins.removeAttrs given [ "inNixShell" ];
  collection = import ${from} arguments;
  sources = import ${from} (arguments // { inNixShell = true; });
${CHOOSE}
in
collection.mkShell {
  name = "devshell";
  ${field} = [ ${packages.join(" ")} ];
${inputsFrom.length > 0 ? `  inputsFrom = [ ${inputsFrom.join(" ")} ];\n` : ""}${data.shellHook === "" ? "" : `  shellHook = ${quoteNix(data.shellHook)};\n`}}
`;
}

/**
 * `choose name version`: the attribute itself, or where its version is another one, a sibling whose name carries
 * the version (`nodejs_22`, `gcc-12`, `python313`).
 */
const CHOOSE = `  parts = name: builtins.filter builtins.isString (builtins.split "\\\\." name);
  select = name: if builtins.hasAttr name collection then collection.\${name}
    else builtins.foldl' (set: part: set.\${part}) collection (parts name);
  isVersion = wanted: package:
    let
      # Debian's versions may begin with an epoch
      upstream = builtins.match "[0-9]+:(.*)" (package.version or "");
      version = if upstream == null then package.version or "" else builtins.head upstream;
      length = builtins.stringLength wanted;
    in
    version == wanted
    || (builtins.substring 0 length version == wanted
      && builtins.elem (builtins.substring length 1 version) [ "." "-" "+" "~" "_" ]);
  choose = name: wanted:
    let
      major = builtins.head (parts wanted);
      joined = builtins.replaceStrings [ "." ] [ "" ] wanted;
      underscored = builtins.replaceStrings [ "." ] [ "_" ] wanted;
      names = [ name "\${name}\${wanted}" "\${name}-\${wanted}" "\${name}_\${wanted}" "\${name}\${joined}"
        "\${name}_\${underscored}" "\${name}\${major}" "\${name}-\${major}" "\${name}_\${major}" ];
      known = builtins.filter (one: builtins.hasAttr one collection) names;
      fitting = builtins.filter (one: isVersion wanted collection.\${one}) known;
    in
    if collection ? versions && (collection.versions.\${name} or { }) ? \${wanted} then collection.versions.\${name}.\${wanted}
    else if fitting != [ ] then collection.\${builtins.head fitting}
    else if known == [ ] then select name
    else throw "no version \${wanted} of \${name}: the collection has \${builtins.concatStringsSep ", "
      (map (one: "\${one} \${collection.\${one}.version or "?"}") known)}";`;

function chosen(choice: PackageChoice): string {
  return choice.version === undefined
    ? `(select ${quoteNix(choice.name)})`
    : `(choose ${quoteNix(choice.name)} ${quoteNix(choice.version)})`;
}

function collectionExpression(collection: string): string {
  if (/^[A-Za-z0-9._+-]+$/.test(collection) && !collection.startsWith(".")) return `<${collection}>`;
  if (collection.startsWith("/") || collection.startsWith("./") || collection.startsWith("../"))
    return `(${collection.startsWith("/") ? "/." : "./."} + ${quoteNix(`/${collection}`)})`;
  throw new DevshellError("SPEC_COLLECTION", `Cannot use collection "${collection}"`, {
    hint: "name a search path entry (debian, nixpkgs) or a path that begins with ./ or /",
  });
}

/** A text as a string literal of the language. */
export function quoteNix(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, "\\$&")
    .replaceAll("${", "\\${")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return `"${escaped}"`;
}

function nixValue(value: string | number | boolean): string {
  return typeof value === "string" ? quoteNix(value) : String(value);
}
