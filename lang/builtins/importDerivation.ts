import type { ByteString } from "../../core/index.ts";
import { AttrSet, NO_POS, call1, makeString, type Runtime, type Slot, type Value } from "../value/index.ts";
import { failure } from "./define.ts";
import { placeholderOf } from "./derivation.ts";

/** The value of `import <file>.drv`: the derivation as its file describes it. */
export function importDerivation(runtime: Runtime, drvPath: ByteString): Value {
  const { name, outputs } = readDerivationFile(runtime.host.readFile(drvPath), drvPath);
  const attributes = new Map<string, Slot>([
    ["drvPath", makeString(drvPath, new Set([`=${drvPath}`]))],
    ["name", name],
    ["outputs", outputs.map((output) => output.name)],
  ]);
  for (const output of outputs)
    attributes.set(
      output.name,
      makeString(
        output.path === "" ? placeholderOf(drvPath, output.name) : output.path,
        new Set([`!${output.name}!${drvPath}`]),
      ),
    );
  const convert = runtime.evalInternal(IMPORTED_DERIVATION, "imported-drv-to-derivation.nix");
  return call1(convert, AttrSet.fromMap(attributes), NO_POS);
}

/** Gives the outputs the attributes that `derivation` gives them. */
const IMPORTED_DERIVATION = `
attrs@{ drvPath, outputs, name, ... }:
let
  common = builtins.listToAttrs all // {
    all = map (output: output.value) all;
    inherit drvPath name;
    type = "derivation";
  };
  all = map (outputName: {
    name = outputName;
    value = common // {
      outPath = attrs.\${outputName};
      inherit outputName;
    };
  }) outputs;
in
(builtins.head all).value
`;

interface DerivationFile {
  readonly name: ByteString;
  readonly outputs: readonly { readonly name: ByteString; readonly path: ByteString }[];
}

/** Reads what `import` needs of a derivation file: `Derive([("out","/nix/store/…","",""),…],…,[("name","…")])`. */
function readDerivationFile(text: ByteString, drvPath: ByteString): DerivationFile {
  const outputs: { name: ByteString; path: ByteString }[] = [];
  const strings = /"((?:[^"\\]|\\.)*)"/gsy;
  const list = text.startsWith("Derive([") ? 8 : text.startsWith('DrvWithVersion("xp-dyn-drv",[') ? 29 : -1;
  if (list < 0) throw failure(`'${drvPath}' is not a derivation`);
  let at = list;
  while (text[at] === "(") {
    const fields: string[] = [];
    do {
      strings.lastIndex = at + 1;
      const match = strings.exec(text);
      if (match === null) throw failure(`'${drvPath}' is not a derivation`);
      fields.push(unescape(match[1]!));
      at = strings.lastIndex;
    } while (text[at] === ",");
    outputs.push({ name: fields[0]!, path: fields[1]! });
    at++;
    if (text[at] === ",") at++;
  }
  const name = /\("name","((?:[^"\\]|\\.)*)"\)/s.exec(text);
  return { name: name === null ? "" : unescape(name[1]!), outputs };
}

function unescape(text: ByteString): ByteString {
  return text.replace(/\\(.)/gs, (_, char: string) => ({ n: "\n", r: "\r", t: "\t" })[char] ?? char);
}
